//! Decides for every request, and every observation of a metric, which objectives it belongs to and whether it is bad for them.
//! Precomputed for `recorder.rs`.

use crate::batch::{LATENCY, Short};
use crate::histogram::Totals;
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
    cells: Vec<Scope>,
    /// The same for each (metric, window).
    metrics: Vec<Box<[usize]>>,
}

/// The objectives of requests of one cell.
#[derive(Debug)]
struct Scope {
    all: Box<[usize]>,
    /// Of them, those that ask nothing but the latency of a request that succeeded: it is bad if over so many nanoseconds.
    latency: Box<[(usize, u64)]>,
    /// Of them, those that ask its status.
    status: Box<[usize]>,
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
        let rules: Vec<Rule> = layout.objectives.iter().map(|objective| Rule::new(&objective.bad)).collect();
        let ids = |n: usize| (0..n).filter_map(|id| u16::try_from(id).ok());
        let cells = ids(layout.requests.len()).flat_map(|request| {
            ids(layout.windows.len())
                .map(move |window| of_request(layout, RequestId(request), WindowId(window)))
        });
        let cells = cells.map(|objectives| Scope::new(objectives, &rules)).collect();
        let metrics = ids(layout.metrics.len()).flat_map(|metric| {
            ids(layout.windows.len()).map(move |window| of_metric(layout, MetricId(metric), WindowId(window)))
        });
        Self { cells, metrics: metrics.collect(), rules }
    }

    /// Counts samples of this cell that succeeded, all with the same status.
    pub(crate) fn batch(
        &self,
        (cell, status): (usize, u16),
        samples: &[Short],
        latency: &Totals,
        counts: &mut [ObjectiveCount],
    ) {
        let Some(scope) = self.cells.get(cell) else { return };
        let mut count = |objective: &usize, bad: u64| {
            if let Some(count) = counts.get_mut(*objective) {
                count.total += latency.count;
                count.bad += bad;
            }
        };
        for (objective, nanos) in &scope.latency {
            count(objective, slower(samples, latency, *nanos));
        }
        for objective in &scope.status {
            if let Some(Rule::Status { ranges }) = self.rules.get(*objective) {
                count(objective, latency.count * u64::from(lies_in(status, ranges)));
            }
        }
    }

    /// Counts a sample of this cell that succeeded.
    pub(crate) fn succeeded(&self, cell: usize, sample: &Sample, status: u16, counts: &mut [ObjectiveCount]) {
        let Some(scope) = self.cells.get(cell) else { return };
        for (objective, nanos) in &scope.latency {
            if let Some(count) = counts.get_mut(*objective) {
                count.count(sample.latency > *nanos);
            }
        }
        for objective in &scope.status {
            if let (Some(Rule::Status { ranges }), Some(count)) =
                (self.rules.get(*objective), counts.get_mut(*objective))
            {
                count.count(lies_in(status, ranges));
            }
        }
    }

    /// Counts any other sample of this cell.
    #[cold]
    pub(crate) fn failed(&self, cell: usize, sample: &Sample, counts: &mut [ObjectiveCount]) {
        let Some(scope) = self.cells.get(cell) else { return };
        for objective in &scope.all {
            let bad = self.rules.get(*objective).and_then(|rule| rule.is_bad(sample));
            if let (Some(bad), Some(count)) = (bad, counts.get_mut(*objective)) {
                count.count(bad);
            }
        }
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

impl Scope {
    fn new(all: Box<[usize]>, rules: &[Rule]) -> Self {
        let rule = |at: &usize| rules.get(*at);
        // What never is bad of a request that succeeded is counted all the same.
        let latency = |at: &usize| match rule(at) {
            Some(Rule::Slower { nanos, .. }) => Some((*at, *nanos)),
            Some(Rule::Failed { .. }) => Some((*at, u64::MAX)),
            _ => None,
        };
        let by_status = |at: &usize| matches!(rule(at), Some(Rule::Status { .. }));
        Self {
            latency: all.iter().filter_map(latency).collect(),
            status: all.iter().copied().filter(by_status).collect(),
            all,
        }
    }
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

    /// Nothing if the sample, which did not succeed, is out of scope.
    fn is_bad(&self, sample: &Sample) -> Option<bool> {
        let (status, error) = (sample.end.status(), sample.end.error());
        match self {
            Self::Slower { succeeded_only: true, .. } => None,
            Self::Slower { nanos, .. } => Some(status.is_none() || sample.latency > *nanos),
            Self::Failed { classes } => Some(error.is_some_and(|class| classes & bit(class) != 0)),
            Self::Status { ranges } => Some(status.is_some_and(|status| lies_in(status, ranges))),
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

/// How many latencies are over a bound. Most bounds are on one side of all of them.
fn slower(samples: &[Short], latency: &Totals, nanos: u64) -> u64 {
    if latency.max <= nanos {
        return 0;
    }
    if latency.min > nanos {
        return latency.count;
    }
    let bound = i32::try_from(nanos).unwrap_or(i32::MAX);
    samples.iter().map(|sample| i32::from(sample[LATENCY] > bound)).sum::<i32>() as u64
}

fn lies_in(status: u16, ranges: &[(u16, u16)]) -> bool {
    ranges.iter().any(|(from, to)| (*from..=*to).contains(&status))
}

fn bit(class: ErrorClass) -> u8 {
    1 << class as u8
}

impl ObjectiveCount {
    #[inline]
    pub(crate) fn count(&mut self, bad: bool) {
        self.total += 1;
        if bad {
            self.bad += 1;
        }
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
