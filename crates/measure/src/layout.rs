//! What is counted: request names, metrics, windows and objectives. Part of the plan; the recorder is built from it.

use serde::{Deserialize, Serialize};

use crate::{ErrorClass, MetricId, RequestId, WindowId};

/// The names and counters of one run, the same in every worker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Layout {
    /// Request names; [`RequestId`] indexes it.
    pub requests: Vec<String>,
    /// What is measured beside requests; [`MetricId`] indexes it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Metric>,
    /// Windows by name; [`WindowId`] indexes it. Always holds the implicit `main`, and `warmup`, `cooldown` if there are any.
    pub windows: Vec<Window>,
    /// The unjudged window of setup, teardown and timeline, if the run has any of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<WindowId>,
    /// Which window a moment belongs to: consecutive `(end in ns since start, window)`, the last one open-ended.
    pub segments: Vec<(u64, WindowId)>,
    /// Counted in the worker as it happens, one pair of counters each.
    pub objectives: Vec<Objective>,
}

/// A named stretch of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// Its name.
    pub name: String,
    /// False for warm-up and cool-down, which are recorded but not judged.
    pub judged: bool,
    /// The judged stretches in nanoseconds since the start, `[start, end)`, in order; empty if not judged.
    pub spans: Vec<(u64, u64)>,
}

/// Something that scenarios measure beside their requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metric {
    /// Its name; a check and a fault may share theirs with those of other steps.
    pub name: String,
    /// What is counted.
    pub kind: MetricKind,
    /// The request whose step it belongs to, if it belongs to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
}

/// What a [`Metric`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MetricKind {
    /// A condition on responses or messages: how often it was judged, and how often it held.
    Check,
    /// Something that the scenario says of itself (`capture token`, `when`): only its failures are counted.
    Fault,
    /// A sum.
    Counter,
    /// How often something was true.
    Rate,
    /// Durations; with those beside them that did not come to a good end.
    Trend,
}

/// A pair of counters: what is in scope, and how much of that is bad.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Objective {
    /// What is counted.
    #[serde(default, skip_serializing_if = "Population::is_requests")]
    pub population: Population,
    /// Only this request, or what belongs to its step; all when absent.
    pub request: Option<RequestId>,
    /// Only this window; all judged windows when absent.
    pub window: Option<WindowId>,
    /// What makes one of them bad.
    pub bad: Bad,
}

/// What an [`Objective`] counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Population {
    /// Requests.
    #[default]
    Requests,
    /// Checks and faults.
    Checks {
        /// Only checks of this one's name; all of them, and all faults, when absent.
        check: Option<MetricId>,
    },
    /// What one metric observes.
    Metric(MetricId),
}

impl Population {
    fn is_requests(&self) -> bool {
        *self == Self::Requests
    }

    /// Whether a metric of the layout belongs to it.
    pub(crate) fn has(self, id: MetricId, layout: &Layout) -> bool {
        let Some(metric) = layout.metric(id) else { return false };
        let is_check = matches!(metric.kind, MetricKind::Check | MetricKind::Fault);
        match self {
            Self::Requests => false,
            Self::Checks { check: Some(check) } => {
                is_check && layout.metric(check).is_some_and(|check| check.name == metric.name)
            }
            Self::Checks { check: None } => is_check,
            Self::Metric(metric) => metric == id,
        }
    }
}

/// What makes a request, or an observation of a metric, bad for an [`Objective`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Bad {
    /// Latency over `nanos`, or no complete response. With `succeeded_only`, failed requests are out of scope.
    /// Of a trend: over `nanos`, or timed out; what failed is out of scope, and with `succeeded_only` what timed out, too.
    Slower {
        /// The bound; exactly the bound is good.
        nanos: u64,
        /// `of: Succeeded`.
        succeeded_only: bool,
    },
    /// Failed with one of these classes; with any, if empty. An unfinished or unsent request is failed as Timeout.
    Failed {
        /// The classes.
        classes: Vec<ErrorClass>,
    },
    /// Answered with one of these statuses (inclusive ranges).
    Status {
        /// The statuses.
        ranges: Vec<(u16, u16)>,
    },
    /// Of a metric: a check that failed, a rate's false, a trend's failed or timed out.
    NotGood,
}

impl Layout {
    /// The window of a moment.
    #[must_use]
    pub fn window_at(&self, nanos: u64) -> WindowId {
        let at = self.segments.partition_point(|(end, _)| *end <= nanos);
        self.segments.get(at).or(self.segments.last()).map_or(WindowId(0), |(_, w)| *w)
    }

    /// A metric, if there is one of this number.
    #[must_use]
    pub fn metric(&self, id: MetricId) -> Option<&Metric> {
        self.metrics.get(usize::from(id.0))
    }

    /// Whether a window is judged; unknown windows are not.
    #[must_use]
    pub fn is_judged(&self, window: WindowId) -> bool {
        self.windows.get(usize::from(window.0)).is_some_and(|w| w.judged)
    }

    /// The judged stretches of a window, or of all of them, in order: nanoseconds since the start, `[start, end)`.
    #[must_use]
    pub fn judged_spans(&self, window: Option<WindowId>) -> Vec<(u64, u64)> {
        let windows = self
            .windows
            .iter()
            .enumerate()
            .filter(|(at, w)| w.judged && window.is_none_or(|window| usize::from(window.0) == *at));
        let mut spans: Vec<(u64, u64)> = windows.flat_map(|(_, w)| w.spans.iter().copied()).collect();
        spans.sort_unstable();
        spans
    }

    /// Nanoseconds of the judged stretches of a window, or of all of them, up to a moment of the run.
    #[must_use]
    pub fn judged_time(&self, window: Option<WindowId>, until: u64) -> u64 {
        let spans = self.judged_spans(window);
        spans.iter().fold(0, |sum, (start, end)| sum.saturating_add((*end).min(until).saturating_sub(*start)))
    }
}
