//! Length-delimited protobuf: every family as a message behind its length. Histograms are classic and native at once; which of them is
//! kept is the scraper's choice.

use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use super::model::{
    Bucket, Counter, Exemplar, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType, Timestamp,
};
use super::{classic, native};
use crate::inventory::Kind;
use crate::{Family, Point, Value};

pub(super) fn write(families: &[Family]) -> Vec<u8> {
    let mut body = Vec::new();
    for family in families.iter().map(self::family) {
        // A vector takes all there is.
        let _ = family.encode_length_delimited(&mut body);
    }
    body
}

fn family(family: &Family) -> MetricFamily {
    let metric = family.metric;
    let kind = match metric.kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge | Kind::UpDownCounter => MetricType::Gauge,
        Kind::Histogram => MetricType::Histogram,
    };
    MetricFamily {
        name: metric.prometheus.to_owned(),
        help: metric.meaning.to_owned(),
        r#type: kind.into(),
        metric: family.points.iter().map(point).collect(),
        unit: String::new(),
    }
}

fn point(point: &Point) -> Metric {
    let label = point.labels.iter().filter(|(_, value)| !value.is_empty());
    let label = label.map(|(label, value)| pair(label.prometheus, value)).collect();
    let series = Metric { label, ..Metric::default() };
    let counter = |value| Some(Counter { value, created_timestamp: point.since.and_then(timestamp) });
    match &point.value {
        Value::Count(count) => Metric { counter: counter(*count as f64), ..series },
        Value::Seconds(seconds) => Metric { counter: counter(*seconds), ..series },
        Value::Gauge(value) => Metric { gauge: Some(Gauge { value: *value }), ..series },
        Value::Histogram { durations, endless, bounds, exemplars } => {
            let exemplars: Vec<Exemplar> = exemplars.iter().map(exemplar).collect();
            let native = native::buckets(durations, *endless);
            let count = durations.count().saturating_add(*endless);
            let histogram = Histogram {
                sample_count: count,
                sample_sum: durations.sum() as f64 / 1e9,
                bucket: classic(durations, bounds, count, &exemplars),
                schema: durations.scale(),
                zero_threshold: native::ZERO_THRESHOLD,
                zero_count: durations.zero(),
                positive_span: native.spans,
                positive_delta: native.deltas,
                created_timestamp: point.since.and_then(timestamp),
                exemplars,
            };
            Metric { histogram: Some(histogram), ..series }
        }
    }
}

fn classic(
    durations: &plimsoll_measure::Histogram,
    bounds: &[u64],
    count: u64,
    exemplars: &[Exemplar],
) -> Vec<Bucket> {
    let all = classic::buckets(durations, bounds).into_iter().chain([(f64::INFINITY, count)]);
    let mut below = f64::NEG_INFINITY;
    let bucket = |(upper_bound, cumulative_count): (f64, u64)| {
        let within =
            exemplars.iter().find(|exemplar| below < exemplar.value && exemplar.value <= upper_bound);
        below = upper_bound;
        Bucket { cumulative_count, upper_bound, exemplar: within.cloned() }
    };
    all.map(bucket).collect()
}

fn exemplar(exemplar: &crate::Exemplar) -> Exemplar {
    Exemplar {
        label: vec![pair("trace_id", &exemplar.trace_id), pair("span_id", &exemplar.span_id)],
        value: exemplar.nanos as f64 / 1e9,
        timestamp: timestamp(exemplar.at),
    }
}

fn pair(name: &str, value: &str) -> LabelPair {
    LabelPair { name: name.to_owned(), value: value.to_owned() }
}

fn timestamp(at: SystemTime) -> Option<Timestamp> {
    let since = at.duration_since(UNIX_EPOCH).ok()?;
    let nanos = i32::try_from(since.subsec_nanos()).unwrap_or(0);
    Some(Timestamp { seconds: i64::try_from(since.as_secs()).ok()?, nanos })
}
