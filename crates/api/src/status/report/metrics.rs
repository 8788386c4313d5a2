//! Tables of what was measured beside requests, over the judged part: checks, trends, counters and rates. Laid out by `table.rs`.

use plimsoll_measure::{Metric, MetricId, MetricKind, MetricTotal};
use plimsoll_slo::text;

use super::super::figures::Source;
use super::table::Align::{Left, Right};
use super::table::Table;

/// All tables that have a row.
pub(super) fn metrics(source: Source) -> Vec<String> {
    let all: Vec<(&Metric, MetricTotal)> = source
        .layout
        .metrics
        .iter()
        .zip(0..=u16::MAX)
        .map(|(metric, id)| (metric, source.merged.metric(source.layout, MetricId(id), None)))
        .collect();
    let rows = |kinds: &[MetricKind], row: &dyn Fn(&Metric, &MetricTotal) -> Vec<String>| {
        let of_kind =
            all.iter().filter(|(metric, total)| kinds.contains(&metric.kind) && is_shown(metric.kind, total));
        of_kind.map(|(metric, total)| row(metric, total)).collect::<Vec<_>>()
    };
    let checks = rows(&[MetricKind::Check, MetricKind::Fault], &|metric, total| check(source, metric, total));
    let trends = rows(&[MetricKind::Trend], &trend);
    let others = rows(&[MetricKind::Counter, MetricKind::Rate], &other);
    [
        table(&["check", "of"], &["judged", "failed", "passed"], checks),
        table(&["trend"], &["done", "failed", "timed out", "p50", "p95", "p99", "max"], trends),
        table(&["metric"], &["observed", "value"], others),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A check is shown even if it was never judged, everything else once something was observed; of what scenarios say of themselves that
/// is only what failed.
fn is_shown(kind: MetricKind, total: &MetricTotal) -> bool {
    total.count > 0 || matches!(kind, MetricKind::Check)
}

fn table(left: &[&'static str], right: &[&'static str], rows: Vec<Vec<String>>) -> Option<String> {
    let heads = left.iter().map(|head| (*head, Left)).chain(right.iter().map(|head| (*head, Right)));
    let mut table = Table::new(heads.collect());
    let empty = rows.is_empty();
    rows.into_iter().for_each(|row| table.row(row));
    (!empty).then(|| table.render())
}

fn check(source: Source, metric: &Metric, total: &MetricTotal) -> Vec<String> {
    let request = metric.request.and_then(|id| source.layout.requests.get(usize::from(id.0)));
    let passed = match (metric.kind, total.count) {
        (MetricKind::Fault, _) | (_, 0) => "-".to_owned(),
        _ => text::share(total.good, total.count),
    };
    vec![
        metric.name.clone(),
        request.cloned().unwrap_or_default(),
        text::count(total.count),
        text::count(total.count - total.good),
        passed,
    ]
}

fn trend(metric: &Metric, total: &MetricTotal) -> Vec<String> {
    let failed = total.count.saturating_sub(total.good + total.timed_out);
    let shown = |nanos: Option<u64>| nanos.map_or_else(|| "-".to_owned(), text::duration);
    let percentile = |q| match total.histogram.percentile(q, total.timed_out) {
        plimsoll_measure::Percentile::OverMax => ">max".to_owned(),
        other => shown(other.finite()),
    };
    let counts = [total.good, failed, total.timed_out].map(text::count);
    let times = [5_000, 9_500, 9_900].map(percentile).into_iter().chain([shown(total.histogram.max())]);
    std::iter::once(metric.name.clone()).chain(counts).chain(times).collect()
}

fn other(metric: &Metric, total: &MetricTotal) -> Vec<String> {
    let value = match metric.kind {
        MetricKind::Counter => text::count(total.sum),
        _ if total.count == 0 => "-".to_owned(),
        _ => text::share(total.good, total.count),
    };
    vec![metric.name.clone(), text::count(total.count), value]
}
