//! Bounded cardinality: which names have series of their own, and how many have not. A name keeps its place as long as the run lives,
//! since its rank in the plan decides; so what is summed up never moves.

use crate::family::{LabelValue, value};
use crate::inventory::{MAX_METRICS, MAX_REQUESTS, MAX_SLOS, MAX_WINDOWS, OTHER};

/// Names without series of their own, by what they name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Caps {
    pub(super) requests: u64,
    pub(super) windows: u64,
    pub(super) slos: u64,
    pub(super) metrics: u64,
    pub(super) statuses: u64,
}

impl Caps {
    /// The caps, and the values of the labels of requests and of windows.
    pub(super) fn new<'a>(
        requests: impl Iterator<Item = &'a str>,
        windows: impl Iterator<Item = &'a str>,
        slos: usize,
    ) -> (Self, Vec<LabelValue>, Vec<LabelValue>) {
        let (requests, requests_left) = capped(requests, MAX_REQUESTS);
        let (windows, windows_left) = capped(windows, MAX_WINDOWS);
        let slos = beyond(slos, MAX_SLOS);
        let caps = Self { requests: requests_left, windows: windows_left, slos, ..Self::default() };
        (caps, requests, windows)
    }

    /// Notes how many metrics there are, and says how many of them have series.
    pub(super) fn metrics(&mut self, all: usize) -> usize {
        self.metrics = beyond(all, MAX_METRICS);
        all.min(MAX_METRICS)
    }
}

fn beyond(all: usize, most: usize) -> u64 {
    all.saturating_sub(most) as u64
}

/// The names, those beyond the most as [`OTHER`].
fn capped<'a>(names: impl Iterator<Item = &'a str>, most: usize) -> (Vec<LabelValue>, u64) {
    let names: Vec<&str> = names.collect();
    let other = value(OTHER);
    let kept = |(at, name): (usize, &&str)| if at < most { value(*name) } else { LabelValue::clone(&other) };
    (names.iter().enumerate().map(kept).collect(), beyond(names.len(), most))
}
