//! What is counted: request names, windows and objectives. Part of the plan; the recorder is built from it.

use serde::{Deserialize, Serialize};

use crate::{ErrorClass, RequestId, WindowId};

/// The names and counters of one run, the same in every worker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Layout {
    /// Request names; [`RequestId`] indexes it.
    pub requests: Vec<String>,
    /// Windows by name; [`WindowId`] indexes it. Always holds the implicit `main`, and `warmup`, `cooldown` if there are any.
    pub windows: Vec<Window>,
    /// Which window a moment belongs to: consecutive `(end in ns since start, window)`, the last one open-ended.
    pub segments: Vec<(u64, WindowId)>,
    /// Counted per request in the worker, one pair of counters each.
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

/// A pair of counters: requests in scope, and those of them that are bad.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Objective {
    /// Only this request; all when absent.
    pub request: Option<RequestId>,
    /// Only this window; all judged windows when absent.
    pub window: Option<WindowId>,
    /// What makes a request bad.
    pub bad: Bad,
}

/// What makes a request bad for an [`Objective`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Bad {
    /// Latency over `nanos`, or no complete response. With `succeeded_only`, failed requests are out of scope.
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
}

impl Layout {
    /// The window of a moment.
    #[must_use]
    pub fn window_at(&self, nanos: u64) -> WindowId {
        let at = self.segments.partition_point(|(end, _)| *end <= nanos);
        self.segments.get(at).or(self.segments.last()).map_or(WindowId(0), |(_, w)| *w)
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
