//! Decides for every request which objectives it belongs to and whether it is bad for them. Precomputed for `recorder.rs`.

use crate::{Bad, ErrorClass, Layout, ObjectiveCount, RequestId, Sample, WindowId};

/// The objectives of each (request, window), ready for the hot path.
#[derive(Debug)]
pub(crate) struct Bounds {
    /// One per objective.
    rules: Vec<Rule>,
    /// One per (request, window), by request, then window: the objectives in whose scope it is.
    cells: Vec<Box<[usize]>>,
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
}

impl Bounds {
    pub(crate) fn new(layout: &Layout) -> Self {
        let rules = layout.objectives.iter().map(|objective| Rule::new(&objective.bad)).collect();
        let ids = |n: usize| (0..n).filter_map(|id| u16::try_from(id).ok());
        let cells = ids(layout.requests.len()).flat_map(|request| {
            ids(layout.windows.len())
                .map(move |window| in_scope(layout, RequestId(request), WindowId(window)))
        });
        Self { cells: cells.collect(), rules }
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
}

fn in_scope(layout: &Layout, request: RequestId, window: WindowId) -> Box<[usize]> {
    let objectives = layout.objectives.iter().enumerate();
    let matching = objectives.filter(|(_, objective)| {
        objective.request.is_none_or(|r| r == request)
            && objective.window.map_or_else(|| layout.is_judged(window), |w| w == window)
    });
    matching.map(|(at, _)| at).collect()
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
