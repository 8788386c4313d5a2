//! Requests by name and window. Every pair of the layout is there from the beginning, but for the window of setup, timeline and
//! teardown, which is there once it saw something. Names beyond the caps are summed up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use plimsoll_measure::{Bad, Cell, Counts, ErrorClass, Histogram, Population, RequestId, Snapshot, WindowId};
use plimsoll_slo::class_name;

use super::statuses::is_known;
use super::{Series, value};
use crate::family::{LabelValue, Labels};
use crate::inventory::{
    CONNECT_DURATION, DNS_DURATION, ERROR_TYPE, FIRST_BYTE, OTHER, RECEIVED, REQUEST, REQUEST_DURATION,
    REQUEST_LATENCY, REQUESTS_FAILED, REQUESTS_INCOMPLETE, REQUESTS_NOT_SENT, REQUESTS_RETRIED,
    REQUESTS_SENT, REQUESTS_UNFINISHED, RESPONSES, STATUS, TLS_DURATION, WINDOW,
};

/// Values of the labels request and window.
type Pair = (LabelValue, LabelValue);

/// What belongs to one pair of labels.
#[derive(Default)]
struct Sum {
    counts: Counts,
    latency: Histogram,
    service: Histogram,
    first_byte: Histogram,
}

/// Where connections spent their time, in one window.
#[derive(Default)]
struct Opening {
    dns: Histogram,
    connect: Histogram,
    tls: Histogram,
}

pub(super) fn requests(series: &mut Series<'_>, snapshot: &Snapshot) {
    let mut sums = zeros(series);
    let mut openings: BTreeMap<LabelValue, Opening> = BTreeMap::new();
    for (_, window) in sums.keys() {
        openings.entry(Arc::clone(window)).or_default();
    }
    for cell in &snapshot.cells {
        let (request, window) = names(series, cell);
        sums.entry((request, Arc::clone(&window))).or_default().add(cell);
        openings.entry(window).or_default().add(cell);
    }
    let mut unknown = BTreeSet::new();
    let bounds = thresholds(series);
    for (pair, sum) in sums {
        let labels = vec![(REQUEST, pair.0), (WINDOW, pair.1)];
        counts(series, &labels, &sum.counts);
        unknown.extend(responses(series, &labels, &sum.counts));
        let endless = sum.counts.incomplete;
        series.histogram(&REQUEST_LATENCY, &labels, (sum.latency, endless), &bounds);
        series.histogram(&REQUEST_DURATION, &labels, (sum.service, 0), &Arc::default());
        series.histogram(&FIRST_BYTE, &labels, (sum.first_byte, 0), &Arc::default());
    }
    series.caps.statuses = unknown.len() as u64;
    for (window, opening) in openings {
        let labels = [(WINDOW, window)];
        series.histogram(&DNS_DURATION, &labels, (opening.dns, 0), &Arc::default());
        series.histogram(&CONNECT_DURATION, &labels, (opening.connect, 0), &Arc::default());
        series.histogram(&TLS_DURATION, &labels, (opening.tls, 0), &Arc::default());
    }
}

/// Every pair that requests of the load can fall into.
fn zeros(series: &Series<'_>) -> BTreeMap<Pair, Sum> {
    let hooks = series.run.layout.hooks.map(|window| usize::from(window.0));
    let windows = series.windows.iter().enumerate().filter(|(at, _)| Some(*at) != hooks);
    let pairs = windows.flat_map(|(_, window)| {
        series.requests.iter().map(move |request| (Arc::clone(request), Arc::clone(window)))
    });
    pairs.map(|pair| (pair, Sum::default())).collect()
}

fn names(series: &Series<'_>, cell: &Cell) -> Pair {
    (request_name(series, cell.request), window_name(series, cell.window))
}

/// The label of a request; of one that the layout does not have, which no plan makes, as of those beyond the cap.
pub(super) fn request_name(series: &Series<'_>, id: RequestId) -> LabelValue {
    series.requests.get(usize::from(id.0)).map_or_else(|| value(OTHER), Arc::clone)
}

/// The label of a window.
pub(super) fn window_name(series: &Series<'_>, id: WindowId) -> LabelValue {
    series.windows.get(usize::from(id.0)).map_or_else(|| value(OTHER), Arc::clone)
}

impl Sum {
    fn add(&mut self, cell: &Cell) {
        self.counts.merge(&cell.counts);
        self.latency.merge(&cell.latency);
        self.service.merge(&cell.service);
        self.first_byte.merge(&cell.first_byte);
    }
}

impl Opening {
    fn add(&mut self, cell: &Cell) {
        self.dns.merge(&cell.dns);
        self.connect.merge(&cell.connect);
        self.tls.merge(&cell.tls);
    }
}

fn counts(series: &mut Series<'_>, labels: &Labels, counts: &Counts) {
    for (metric, count) in [
        (&REQUESTS_SENT, counts.sent),
        (&REQUESTS_INCOMPLETE, counts.incomplete),
        (&REQUESTS_UNFINISHED, counts.unfinished),
        (&REQUESTS_NOT_SENT, counts.not_sent),
        (&REQUESTS_RETRIED, counts.retries),
        (&RECEIVED, counts.received),
    ] {
        series.count(metric, labels, count);
    }
    for class in ErrorClass::ALL {
        let labels = [&labels[..], &[(ERROR_TYPE, value(class_name(class)))]].concat();
        series.count(&REQUESTS_FAILED, &labels, counts.classes.get(&class).copied().unwrap_or(0));
    }
}

/// Responses by status; returns the statuses that have no series of their own.
fn responses(series: &mut Series<'_>, labels: &Labels, counts: &Counts) -> Vec<u16> {
    let mut unknown = Vec::new();
    let mut rest = 0u64;
    for (status, count) in &counts.statuses {
        if is_known(*status) {
            let labels = [&labels[..], &[(STATUS, value(status.to_string()))]].concat();
            series.count(&RESPONSES, &labels, *count);
        } else {
            unknown.push(*status);
            rest = rest.saturating_add(*count);
        }
    }
    if !unknown.is_empty() {
        let labels = [&labels[..], &[(STATUS, value(OTHER))]].concat();
        series.count(&RESPONSES, &labels, rest);
    }
    unknown
}

/// Bounds of all SLOs of the run on the latency of requests, nanoseconds: the same for every series, so that they can be added up.
fn thresholds(series: &Series<'_>) -> Arc<[u64]> {
    bounds_of(series, |population| *population == Population::Requests)
}

/// Bounds of objectives on durations of what `counts` says, ascending.
pub(super) fn bounds_of(series: &Series<'_>, counts: impl Fn(&Population) -> bool) -> Arc<[u64]> {
    let bounds = series.run.layout.objectives.iter().filter_map(|objective| match &objective.bad {
        Bad::Slower { nanos, .. } if counts(&objective.population) => Some(*nanos),
        _ => None,
    });
    let bounds: BTreeSet<u64> = bounds.collect();
    bounds.into_iter().collect()
}
