//! Families as OTLP messages: counters as cumulative sums, histograms as exponential ones whose buckets are the recorder's own. Pure.
//! Sent by `metrics.rs`; the other writer of families is `../prometheus`.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar as ProtoExemplar, ExponentialHistogram, ExponentialHistogramDataPoint,
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, exemplar, metric, number_data_point,
};
use plimsoll_measure::Histogram;

use super::resource::{Resource, attribute};
use crate::inventory::Kind;
use crate::{Exemplar, Family, Point, Value};

/// What a resource says of its metrics at one moment.
pub(super) fn resource_metrics(resource: &Resource, families: &[Family], now: SystemTime) -> ResourceMetrics {
    let scope = InstrumentationScope {
        name: "plimsoll".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let metrics = families.iter().filter(|family| !family.points.is_empty());
    ResourceMetrics {
        resource: Some(resource.to_proto()),
        scope_metrics: vec![ScopeMetrics {
            scope: Some(scope),
            metrics: metrics.map(|family| encoded(family, now)).collect(),
            schema_url: String::new(),
        }],
        schema_url: String::new(),
    }
}

fn encoded(family: &Family, now: SystemTime) -> Metric {
    let cumulative = AggregationTemporality::Cumulative.into();
    let numbers = || family.points.iter().filter_map(|point| number(point, now)).collect();
    let data = match family.metric.kind {
        Kind::Gauge => metric::Data::Gauge(Gauge { data_points: numbers() }),
        kind @ (Kind::Counter | Kind::UpDownCounter) => metric::Data::Sum(Sum {
            data_points: numbers(),
            aggregation_temporality: cumulative,
            is_monotonic: kind == Kind::Counter,
        }),
        Kind::Histogram => metric::Data::ExponentialHistogram(ExponentialHistogram {
            data_points: family.points.iter().filter_map(|point| histogram(point, now)).collect(),
            aggregation_temporality: cumulative,
        }),
    };
    Metric {
        name: family.metric.otel.to_owned(),
        description: family.metric.meaning.to_owned(),
        unit: family.metric.unit.to_owned(),
        metadata: Vec::new(),
        data: Some(data),
    }
}

fn number(point: &Point, now: SystemTime) -> Option<NumberDataPoint> {
    let value = match point.value {
        Value::Count(count) => number_data_point::Value::AsInt(i64::try_from(count).unwrap_or(i64::MAX)),
        Value::Seconds(number) | Value::Gauge(number) => number_data_point::Value::AsDouble(number),
        Value::Histogram { .. } => return None,
    };
    Some(NumberDataPoint {
        attributes: attributes(point),
        start_time_unix_nano: point.since.map_or(0, nanos),
        time_unix_nano: nanos(now),
        value: Some(value),
        ..NumberDataPoint::default()
    })
}

/// Requests without a duration have no bucket here, and are not in the count: they are a counter of their own
/// (`plimsoll.requests.incomplete`).
fn histogram(point: &Point, now: SystemTime) -> Option<ExponentialHistogramDataPoint> {
    let Value::Histogram { durations, exemplars, .. } = &point.value else { return None };
    let seconds = |nanos: u64| nanos as f64 / 1e9;
    Some(ExponentialHistogramDataPoint {
        attributes: attributes(point),
        start_time_unix_nano: point.since.map_or(0, nanos),
        time_unix_nano: nanos(now),
        count: durations.count(),
        sum: Some(durations.sum() as f64 / 1e9),
        scale: durations.scale(),
        zero_count: durations.zero(),
        positive: Some(buckets(durations)),
        min: durations.min().map(seconds),
        max: durations.max().map(seconds),
        exemplars: exemplars.iter().map(exemplar).collect(),
        ..ExponentialHistogramDataPoint::default()
    })
}

/// From the first filled bucket to the last, those between them with zeros.
fn buckets(durations: &Histogram) -> Buckets {
    let mut buckets = durations.buckets().peekable();
    let Some((offset, _)) = buckets.peek().copied() else { return Buckets::default() };
    let mut counts: Vec<u64> = Vec::new();
    for (index, count) in buckets {
        // Ascending, so that the difference is at least 0.
        counts.resize(usize::try_from(index - offset).unwrap_or_default(), 0);
        counts.push(count);
    }
    Buckets { offset, bucket_counts: counts }
}

fn exemplar(exemplar: &Exemplar) -> ProtoExemplar {
    ProtoExemplar {
        time_unix_nano: nanos(exemplar.at),
        span_id: bytes(&exemplar.span_id),
        trace_id: bytes(&exemplar.trace_id),
        value: Some(exemplar::Value::AsDouble(exemplar.nanos as f64 / 1e9)),
        ..ProtoExemplar::default()
    }
}

/// Hexadecimal digits as bytes; what is none is left out.
fn bytes(digits: &str) -> Vec<u8> {
    let pair = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (0..digits.len()).step_by(2).filter_map(pair).collect()
}

fn attributes(point: &Point) -> Vec<KeyValue> {
    let said = point.labels.iter().filter(|(_, value)| !value.is_empty());
    said.map(|(label, value)| attribute(label.otel, value)).collect()
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::inventory;

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    #[test]
    fn the_buckets_are_the_recorders_own() {
        let mut durations = Histogram::new();
        for nanos in [0, 1, 999, 1_000_000, 1_000_000, 2_500_000, 1_000_000_000, 7_000_000_000] {
            durations.record(nanos);
        }
        let point = Point {
            labels: vec![(inventory::REQUEST, "home".into()), (inventory::WINDOW, "".into())],
            value: Value::durations(durations.clone()),
            since: Some(at(1)),
        };
        let encoded = histogram(&point, at(2)).unwrap();
        assert_eq!((encoded.scale, encoded.count, encoded.zero_count), (8, 8, 1));
        assert_eq!((encoded.start_time_unix_nano, encoded.time_unix_nano), (1_000_000_000, 2_000_000_000));
        assert_eq!((encoded.min, encoded.max), (Some(0.0), Some(7.0)));
        let positive = encoded.positive.unwrap();
        let filled = (positive.offset..).zip(positive.bucket_counts).filter(|(_, count)| *count > 0);
        assert!(filled.eq(durations.buckets()));
        assert_eq!(encoded.attributes, [attribute("request", "home")]);
    }

    #[test]
    fn an_empty_histogram_is_there_with_zeros() {
        let point = Point { labels: Vec::new(), value: Value::durations(Histogram::new()), since: None };
        let encoded = histogram(&point, at(2)).unwrap();
        assert_eq!((encoded.count, encoded.sum, encoded.min), (0, Some(0.0), None));
        assert_eq!(encoded.positive, Some(Buckets::default()));
    }

    #[test]
    fn counters_are_cumulative_and_gauges_have_no_start() {
        let count = Point { labels: Vec::new(), value: Value::Count(7), since: Some(at(3)) };
        let family = Family { metric: &inventory::REQUESTS_SENT, points: vec![count] };
        let metric = encoded(&family, at(9));
        let Some(metric::Data::Sum(sum)) = metric.data else { panic!("{metric:?}") };
        assert!(sum.is_monotonic);
        assert_eq!(sum.aggregation_temporality(), AggregationTemporality::Cumulative);
        assert_eq!(sum.data_points[0].value, Some(number_data_point::Value::AsInt(7)));
        assert_eq!(sum.data_points[0].start_time_unix_nano, 3_000_000_000);
        assert_eq!(metric.name, "plimsoll.requests.sent");
    }

    #[test]
    fn exemplars_carry_their_trace() {
        let exemplar = exemplar(&Exemplar {
            trace_id: "0102030405060708090a0b0c0d0e0f10".to_owned(),
            span_id: "00000000000000ff".to_owned(),
            nanos: 1_500_000_000,
            at: at(4),
        });
        assert_eq!(exemplar.trace_id, (1..=16).collect::<Vec<u8>>());
        assert_eq!(exemplar.span_id, [0, 0, 0, 0, 0, 0, 0, 255]);
        assert_eq!(exemplar.value, Some(exemplar::Value::AsDouble(1.5)));
    }
}
