//! Series as values: a metric of the inventory with its points. Made by `series.rs` and by the operator, written by `prometheus.rs` and
//! by what pushes OTLP.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use plimsoll_measure::Histogram;

use crate::inventory::{self, Label, Metric};

/// A metric and what is known of it. The points of a family have different labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Which metric.
    pub metric: &'static Metric,
    /// Its points; a family without any is not written.
    pub points: Vec<Point>,
}

/// One series at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// What tells it from the others.
    pub labels: Labels,
    /// Its value.
    pub value: Value,
    /// When it counted nothing yet: OpenTelemetry's start time, Prometheus' created timestamp. Absent for gauges, and where nobody knows.
    pub since: Option<SystemTime>,
}

/// Labels of a point, those of its origin first. Empty values are as good as none.
pub type Labels = Vec<(Label, LabelValue)>;

/// The value of a label; shared, since most are on many points.
pub type LabelValue = Arc<str>;

/// What a point says.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of a counter.
    Count(u64),
    /// Of a counter in seconds.
    Seconds(f64),
    /// Of a gauge, or of an up-down counter.
    Gauge(f64),
    /// Of a histogram.
    Histogram {
        /// Those that have a duration.
        durations: Histogram,
        /// Those that have none and are slower than every bound.
        endless: u64,
        /// Bounds that a classic histogram needs beside the usual ones, nanoseconds: thresholds of SLOs.
        bounds: Arc<[u64]>,
        /// Single requests that a trace leads to, at most a few.
        exemplars: Vec<Exemplar>,
    },
}

/// A single request, and the trace that it is part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exemplar {
    /// 32 lower-case hexadecimal digits.
    pub trace_id: String,
    /// 16 lower-case hexadecimal digits.
    pub span_id: String,
    /// How long it took, nanoseconds.
    pub nanos: u64,
    /// When it ended.
    pub at: SystemTime,
}

impl Value {
    /// A histogram that needs no bounds of its own.
    #[must_use]
    pub fn durations(durations: Histogram) -> Self {
        Self::Histogram { durations, endless: 0, bounds: Arc::default(), exemplars: Vec::new() }
    }
}

impl Point {
    /// A point of a gauge.
    #[must_use]
    pub fn gauge(labels: Labels, value: f64) -> Self {
        Self { labels, value: Value::Gauge(value), since: None }
    }

    /// Value of a label of this name, or the empty text.
    #[must_use]
    pub fn label(&self, label: Label) -> &str {
        self.labels.iter().find(|(known, _)| *known == label).map_or("", |(_, value)| value)
    }
}

/// The families of several origins as one list: each metric once, in the order of the inventory.
#[must_use]
pub fn gather(families: impl IntoIterator<Item = Family>) -> Vec<Family> {
    let mut gathered: Vec<Family> =
        inventory::all().map(|metric| Family { metric, points: Vec::new() }).collect();
    for family in families {
        let place = gathered.iter_mut().find(|known| std::ptr::eq(known.metric, family.metric));
        if let Some(known) = place {
            known.points.extend(family.points);
        }
    }
    gathered.retain(|family| !family.points.is_empty());
    gathered
}

/// A value of a label.
pub(crate) fn value<'a>(text: impl Into<Cow<'a, str>>) -> LabelValue {
    match text.into() {
        Cow::Borrowed(text) => Arc::from(text),
        Cow::Owned(text) => Arc::from(text),
    }
}
