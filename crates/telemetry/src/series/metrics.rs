//! Checks, rates, counters, trends and faults by name, request and window. Several of one name and request, as the same check in two
//! steps may be, are one series.

use std::collections::BTreeMap;
use std::sync::Arc;

use plimsoll_measure::{MetricId, MetricKind, MetricTotal, Population, Snapshot};

use super::requests::{bounds_of, request_name, window_name};
use super::{Series, value};
use crate::family::LabelValue;
use crate::inventory::{METRIC, METRIC_DURATION, METRIC_EVENTS, METRIC_GOOD, METRIC_SUM, REQUEST, WINDOW};

/// Values of the labels metric, request and window, and whether it is a counter, or a trend.
type Key = (LabelValue, LabelValue, LabelValue, Shape);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shape {
    Good,
    Sum,
    Durations,
}

impl Shape {
    fn of(kind: MetricKind) -> Self {
        match kind {
            MetricKind::Check | MetricKind::Fault | MetricKind::Rate => Self::Good,
            MetricKind::Counter => Self::Sum,
            MetricKind::Trend => Self::Durations,
        }
    }
}

pub(super) fn metrics(series: &mut Series<'_>, snapshot: &Snapshot) {
    let kept = series.caps.metrics(series.run.layout.metrics.len());
    let mut totals: BTreeMap<Key, MetricTotal> = BTreeMap::new();
    let windows = series.windows.iter().enumerate();
    let hooks = series.run.layout.hooks.map(|window| usize::from(window.0));
    for (_, window) in windows.filter(|(at, _)| Some(*at) != hooks) {
        for at in 0..kept {
            if let Some(key) = key(series, at, window) {
                totals.entry(key).or_default();
            }
        }
    }
    for cell in &snapshot.metrics {
        let at = usize::from(cell.metric.0);
        let window = window_name(series, cell.window);
        if let Some(key) = (at < kept).then(|| key(series, at, &window)).flatten() {
            totals.entry(key).or_default().add(cell);
        }
    }
    let bounds = bounds_of(series, |population| matches!(population, Population::Metric(_)));
    for ((name, request, window, shape), total) in totals {
        let labels = [(METRIC, name), (REQUEST, request), (WINDOW, window)];
        series.count(&METRIC_EVENTS, &labels, total.count);
        series.count(&METRIC_GOOD, &labels, total.good);
        match shape {
            Shape::Good => {}
            Shape::Sum => series.count(&METRIC_SUM, &labels, total.sum),
            Shape::Durations => {
                series.histogram(&METRIC_DURATION, &labels, (total.histogram, total.timed_out), &bounds);
            }
        }
    }
}

/// The key of a metric of the layout, by its place there.
fn key(series: &Series<'_>, at: usize, window: &LabelValue) -> Option<Key> {
    let metric = series.run.layout.metric(MetricId(u16::try_from(at).ok()?))?;
    let request = metric.request.map_or_else(|| value(""), |request| request_name(series, request));
    let name = value(metric.name.as_str());
    Some((name, request, Arc::clone(window), Shape::of(metric.kind)))
}
