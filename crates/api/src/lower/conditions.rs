//! What an SLO is a condition on, and what makes a request, a check or a sample of a metric bad for it. Used by `slos.rs`.

use plimsoll_measure::{Bad, ErrorClass, Layout, Metric, MetricId, MetricKind, Population};
use plimsoll_slo::Kind;

use super::error::Errors;
use super::prometheus;
use super::registry::word;
use super::unknown;
use crate::LatencyBound;
use crate::v1alpha1 as api;

/// A condition.
pub(super) struct Condition {
    pub(super) kind: Kind,
    /// What is bad for it, if it counts any.
    pub(super) bad: Option<Bad>,
    pub(super) population: Population,
    pub(super) metric: Option<MetricId>,
}

/// The one condition of an SLO.
pub(super) fn condition(slo: &api::Slo, at: &str, layout: &Layout, errors: &mut Errors) -> Option<Condition> {
    let metric = match &slo.metric {
        Some(name) => Some(metric(slo, name, at, layout, errors)?),
        None => None,
    };
    let (kind, bad) = kind(slo, metric.map(|(_, metric)| metric), at, layout, errors)?;
    let id = metric.map(|(id, _)| id);
    let population = match (&slo.check_rate, id) {
        (Some(rate), _) => {
            let check = match &rate.check {
                Some(name) => Some(check(name, at, layout, errors)?),
                None => None,
            };
            Population::Checks { check }
        }
        (None, Some(id)) => Population::Metric(id),
        (None, None) => Population::Requests,
    };
    Some(Condition { kind, bad, population, metric: id })
}

/// The metric that an SLO names.
fn metric<'a>(
    slo: &api::Slo,
    name: &str,
    at: &str,
    layout: &'a Layout,
    errors: &mut Errors,
) -> Option<(MetricId, &'a Metric)> {
    if slo.request.is_some() {
        errors.add(
            format!("{at}.request"),
            "a metric is judged in place of requests: remove request, or metric",
        );
    }
    if slo.latency.is_none() && slo.rate.is_none() && slo.count.is_none() {
        errors.add(
            format!("{at}.metric"),
            "a metric is judged by latency, rate or count: use one of them, or remove metric",
        );
        return None;
    }
    let of_metric = |metric: &Metric| !is_check(metric.kind);
    let found = layout.metrics.iter().position(|metric| of_metric(metric) && metric.name == name);
    let found =
        found.and_then(|index| Some((MetricId(u16::try_from(index).ok()?), layout.metrics.get(index)?)));
    if found.is_none() {
        let mut known: Vec<&str> = layout
            .metrics
            .iter()
            .filter(|metric| of_metric(metric))
            .map(|metric| metric.name.as_str())
            .collect();
        known.sort_unstable();
        errors.add(format!("{at}.metric"), unknown("metric", name, &known));
    }
    found
}

fn is_check(kind: MetricKind) -> bool {
    matches!(kind, MetricKind::Check | MetricKind::Fault)
}

/// A check of that name; it stands for all of them.
fn check(name: &str, at: &str, layout: &Layout, errors: &mut Errors) -> Option<MetricId> {
    let found = layout.metrics.iter().position(|metric| is_check(metric.kind) && metric.name == name);
    let found = found.and_then(|index| u16::try_from(index).ok()).map(MetricId);
    if found.is_none() {
        let mut known: Vec<&str> = layout
            .metrics
            .iter()
            .filter(|metric| is_check(metric.kind))
            .map(|metric| metric.name.as_str())
            .collect();
        known.sort_unstable();
        known.dedup();
        errors.add(format!("{at}.checkRate.check"), unknown("check", name, &known));
    }
    found
}

/// The kind of an SLO, and what is bad for it.
fn kind(
    slo: &api::Slo,
    metric: Option<&Metric>,
    at: &str,
    layout: &Layout,
    errors: &mut Errors,
) -> Option<(Kind, Option<Bad>)> {
    let given = [
        slo.latency.as_ref().map(|latency| latency_condition(slo, latency, metric, at, errors)),
        slo.error_rate.as_ref().map(error_rate),
        slo.timeout_rate.as_ref().map(timeout_rate),
        slo.status_rate.as_ref().map(|rate| status_rate(rate, at, errors)),
        slo.throughput.as_ref().map(|throughput| throughput_condition(throughput, at, errors)),
        slo.check_rate.as_ref().map(check_rate),
        slo.rate.as_ref().map(|rate| metric_rate(rate, metric, at, errors)),
        slo.count.as_ref().map(|count| metric_count(count, metric, at, errors)),
        slo.prometheus.as_ref().map(|query| prometheus::condition(slo, query, at, layout, errors)),
    ];
    let mut given = given.into_iter().flatten();
    let first = given.next();
    if first.is_none() || given.next().is_some() {
        errors.add(
            at,
            "an SLO has exactly one of latency, errorRate, timeoutRate, statusRate, throughput, checkRate, rate, count, prometheus (or disabled: true)",
        );
        return None;
    }
    first
}

fn latency_condition(
    slo: &api::Slo,
    latency: &api::Latency,
    metric: Option<&Metric>,
    at: &str,
    errors: &mut Errors,
) -> (Kind, Option<Bad>) {
    let stat = latency.stat.0;
    if let Some(metric) = metric.filter(|metric| metric.kind != MetricKind::Trend) {
        let message = format!(
            "{:?} is a {}, which has no latency: use {}",
            metric.name,
            word(metric.kind),
            judged_by(metric.kind)
        );
        errors.add(format!("{at}.latency"), message);
    }
    let succeeded_only = latency.of == Some(api::Population::Succeeded);
    match (latency.at_most, latency.relative_to) {
        (LatencyBound::Absolute(bound), None) => {
            let bad = Bad::Slower { nanos: bound.nanos, succeeded_only };
            // Mean and maximum are judged by the exact sums beside the histograms.
            let counted = matches!(stat, plimsoll_slo::Stat::Percentile(_));
            (Kind::Latency { stat, at_most: bound.nanos, succeeded_only }, counted.then_some(bad))
        }
        (LatencyBound::Relative(share), Some(api::RelativeTo::FirstTenth)) => {
            if metric.is_some() {
                errors.add(
                    format!("{at}.metric"),
                    "the drift of a metric is not recorded: remove relativeTo, or metric",
                );
            }
            if slo.request.is_some() {
                let message = "the drift of one request is not recorded: remove request, or judge it by a bound of its own";
                errors.add(format!("{at}.request"), message);
            }
            if succeeded_only {
                errors.add(format!("{at}.latency.of"), "relativeTo is of all requests: remove of");
            }
            (Kind::LatencyDrift { stat, at_most: share.ppb }, None)
        }
        (bound, _) => {
            let message = format!(
                "{bound}: atMost is a duration such as 500ms, or, with relativeTo, a share such as 110%"
            );
            errors.add(format!("{at}.latency.atMost"), message);
            (Kind::Latency { stat, at_most: 0, succeeded_only }, None)
        }
    }
}

fn error_rate(rate: &api::ErrorRate) -> (Kind, Option<Bad>) {
    let (at_most, classes) = (rate.at_most.ppb, rate.class.clone());
    let within = rate.within.map(|within| within.nanos);
    (Kind::ErrorRate { at_most, classes: classes.clone(), within }, Some(Bad::Failed { classes }))
}

fn timeout_rate(rate: &api::TimeoutRate) -> (Kind, Option<Bad>) {
    (
        Kind::TimeoutRate { at_most: rate.at_most.ppb },
        Some(Bad::Failed { classes: vec![ErrorClass::Timeout] }),
    )
}

fn status_rate(rate: &api::StatusRate, at: &str, errors: &mut Errors) -> (Kind, Option<Bad>) {
    let (at_most, at_least) = (rate.at_most.map(|share| share.ppb), rate.at_least.map(|share| share.ppb));
    if at_most.is_none() && at_least.is_none() {
        errors.add(format!("{at}.statusRate"), "needs atMost or atLeast");
    }
    let ranges = rate.status.iter().map(|status| (status.from, status.to)).collect();
    (Kind::StatusRate { at_most, at_least }, Some(Bad::Status { ranges }))
}

fn throughput_condition(throughput: &api::Throughput, at: &str, errors: &mut Errors) -> (Kind, Option<Bad>) {
    let (at_least, at_most) =
        (throughput.at_least.map(|rate| rate.per_1000_min), throughput.at_most.map(|rate| rate.per_1000_min));
    if at_most.is_none() && at_least.is_none() {
        errors.add(format!("{at}.throughput"), "needs atLeast or atMost");
    }
    (Kind::Throughput { at_least, at_most }, None)
}

fn check_rate(rate: &api::CheckRate) -> (Kind, Option<Bad>) {
    (Kind::CheckRate { at_least: rate.at_least.ppb }, Some(Bad::NotGood))
}

/// Which fields judge a metric, as a remedy.
fn judged_by(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Counter => "count",
        MetricKind::Rate => "rate or count",
        MetricKind::Trend => "latency, rate or count",
        MetricKind::Check | MetricKind::Fault => "checkRate",
    }
}

fn metric_rate(
    rate: &api::MetricRate,
    metric: Option<&Metric>,
    at: &str,
    errors: &mut Errors,
) -> (Kind, Option<Bad>) {
    let (at_most, at_least) = (rate.at_most.map(|share| share.ppb), rate.at_least.map(|share| share.ppb));
    if at_most.is_none() && at_least.is_none() {
        errors.add(format!("{at}.rate"), "needs atLeast or atMost");
    }
    match metric {
        None => errors.add(format!("{at}.rate"), "of which metric? set metric to its name"),
        Some(metric) if metric.kind == MetricKind::Counter => {
            errors.add(
                format!("{at}.rate"),
                format!("{:?} is a counter, which has no share: use count", metric.name),
            );
        }
        Some(_) => {}
    }
    (Kind::MetricRate { at_least, at_most }, Some(Bad::NotGood))
}

fn metric_count(
    count: &api::Count,
    metric: Option<&Metric>,
    at: &str,
    errors: &mut Errors,
) -> (Kind, Option<Bad>) {
    if count.at_most.is_none() && count.at_least.is_none() {
        errors.add(format!("{at}.count"), "needs atLeast or atMost");
    }
    if metric.is_none() {
        errors.add(format!("{at}.count"), "of which metric? set metric to its name");
    }
    (Kind::MetricCount { at_least: count.at_least, at_most: count.at_most }, None)
}
