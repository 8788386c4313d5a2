//! Decides for every request, and every observation of a metric, which objectives it belongs to and whether it is bad for them.
//! Precomputed for `recorder.rs`.

use crate::{
    Bad, ErrorClass, Layout, MetricId, Objective, ObjectiveCount, Observation, Population, RequestId, Sample,
    WindowId,
};

/// The objectives of each (request, window), ready for the hot path.
#[derive(Debug)]
pub(crate) struct Bounds {
    /// One per objective.
    rules: Vec<Rule>,
    /// One per (request, window), by request, then window: the objectives in whose scope it is.
    cells: Vec<Box<[usize]>>,
    /// The same for each (metric, window).
    metrics: Vec<Box<[usize]>>,
}

#[derive(Debug)]
enum Rule {
    Slower {
        nanos: u64,
        succeeded_only: bool,
    },
    /// Bit `c` is class `c`.
    Failed {
        classes: u8,
    },
    Status {
        ranges: Box<[(u16, u16)]>,
    },
    NotGood,
}

impl Bounds {
    pub(crate) fn new(layout: &Layout) -> Self {
        let rules = layout.objectives.iter().map(|objective| Rule::new(&objective.bad)).collect();
        let ids = |n: usize| (0..n).filter_map(|id| u16::try_from(id).ok());
        let cells = ids(layout.requests.len()).flat_map(|request| {
            ids(layout.windows.len())
                .map(move |window| of_request(layout, RequestId(request), WindowId(window)))
        });
        let metrics = ids(layout.metrics.len()).flat_map(|metric| {
            ids(layout.windows.len()).map(move |window| of_metric(layout, MetricId(metric), WindowId(window)))
        });
        Self { cells: cells.collect(), metrics: metrics.collect(), rules }
    }

    /// Each objective that a sample of this cell counts for, and whether the sample is bad.
    #[inline]
    pub(crate) fn judge<'a>(
        &'a self,
        cell: usize,
        sample: &'a Sample,
    ) -> impl Iterator<Item = (usize, bool)> + 'a {
        let objectives = self.cells.get(cell).map_or(&[][..], |objectives| objectives);
        objectives.iter().filter_map(|at| Some((*at, self.rules.get(*at)?.is_bad(sample)?)))
    }

    /// Each objective that an observation in this (metric, window) counts for, and whether it is bad.
    pub(crate) fn judge_metric(
        &self,
        cell: usize,
        seen: Observation,
    ) -> impl Iterator<Item = (usize, bool)> + '_ {
        let objectives = self.metrics.get(cell).map_or(&[][..], |objectives| objectives);
        objectives.iter().filter_map(move |at| Some((*at, self.rules.get(*at)?.is_bad_of(seen)?)))
    }
}

fn of_request(layout: &Layout, request: RequestId, window: WindowId) -> Box<[usize]> {
    matching(layout, window, |objective| {
        objective.population == Population::Requests && objective.request.is_none_or(|r| r == request)
    })
}

fn of_metric(layout: &Layout, id: MetricId, window: WindowId) -> Box<[usize]> {
    matching(layout, window, |objective| {
        let belongs = |request| layout.metric(id).is_some_and(|metric| metric.request == Some(request));
        objective.population.has(id, layout) && objective.request.is_none_or(belongs)
    })
}

/// The objectives that count a window, and to which this applies.
fn matching(layout: &Layout, window: WindowId, applies: impl Fn(&Objective) -> bool) -> Box<[usize]> {
    let in_window = |objective: &Objective| match objective.window {
        Some(only) => only == window,
        None => layout.is_judged(window),
    };
    let objectives = layout.objectives.iter().enumerate();
    objectives.filter(|(_, o)| in_window(o) && applies(o)).map(|(at, _)| at).collect()
}

impl Rule {
    fn new(bad: &Bad) -> Self {
        match bad {
            Bad::Slower { nanos, succeeded_only } => {
                Self::Slower { nanos: *nanos, succeeded_only: *succeeded_only }
            }
            Bad::Failed { classes } if classes.is_empty() => Self::Failed { classes: u8::MAX },
            Bad::Failed { classes } => {
                Self::Failed { classes: classes.iter().fold(0, |set, class| set | bit(*class)) }
            }
            Bad::Status { ranges } => Self::Status { ranges: ranges.as_slice().into() },
            Bad::NotGood => Self::NotGood,
        }
    }

    /// Nothing if the sample is out of scope.
    #[inline]
    fn is_bad(&self, sample: &Sample) -> Option<bool> {
        let (status, error) = (sample.end.status(), sample.end.error());
        match self {
            Self::Slower { succeeded_only: true, .. } if error.is_some() => None,
            Self::Slower { nanos, .. } => Some(status.is_none() || sample.latency > *nanos),
            Self::Failed { classes } => Some(error.is_some_and(|class| classes & bit(class) != 0)),
            Self::Status { ranges } => Some(
                status.is_some_and(|status| ranges.iter().any(|(from, to)| (*from..=*to).contains(&status))),
            ),
            Self::NotGood => None,
        }
    }

    /// As [`Self::is_bad`], of an observation.
    fn is_bad_of(&self, seen: Observation) -> Option<bool> {
        match (self, seen) {
            (_, Observation::Add(_)) | (Self::Failed { .. } | Self::Status { .. }, _) => None,
            (Self::NotGood, Observation::Good(good)) => Some(!good),
            (Self::NotGood, seen) => Some(!matches!(seen, Observation::Done(_))),
            (Self::Slower { nanos, .. }, Observation::Done(took)) => Some(took > *nanos),
            (Self::Slower { succeeded_only: false, .. }, Observation::TimedOut) => Some(true),
            (Self::Slower { .. }, _) => None,
        }
    }
}

fn bit(class: ErrorClass) -> u8 {
    1 << class as u8
}

impl ObjectiveCount {
    #[inline]
    pub(crate) fn count(&mut self, bad: bool) {
        self.total += 1;
        self.bad += u64::from(bad);
    }
}

/// Takes the counters out and leaves zeros; nothing if all are zero.
pub(crate) fn take(counts: &mut [ObjectiveCount]) -> Vec<ObjectiveCount> {
    if counts.iter().all(|count| count.total == 0) {
        return Vec::new();
    }
    let taken = counts.to_vec();
    counts.fill(ObjectiveCount::default());
    taken
}
