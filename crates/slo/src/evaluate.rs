//! Judges one SLO on the evidence, by its kind. Called by `judge.rs` at the end and by `live.rs` every second.

use crate::doubt::doubted;
use crate::rates::Limits;
use crate::scope::{Evidence, Finding};
use crate::{Kind, Slo, Stat, drift, latency, metrics, query, rates, recovery, sourced};

/// What one SLO comes to.
pub(crate) fn evaluate(slo: &Slo, evidence: &Evidence) -> Finding {
    if let Some(query) = evidence.sourced(slo) {
        return sourced::judge(slo, query, evidence);
    }
    doubted(slo, evidence, counted(slo, evidence))
}

/// What one SLO comes to by what was counted.
pub(crate) fn counted(slo: &Slo, evidence: &Evidence) -> Finding {
    let at_most = |limit: u64| Limits { at_most: Some(limit), at_least: None };
    match &slo.kind {
        Kind::Latency { stat: Stat::Percentile(q), at_most, succeeded_only } => {
            latency::percentile(slo, *q, (*at_most, *succeeded_only), evidence)
        }
        Kind::Latency { stat, at_most, succeeded_only } => {
            latency::exact(slo, *stat, (*at_most, *succeeded_only), evidence)
        }
        Kind::LatencyDrift { stat, at_most } => drift::drift(slo, *stat, *at_most, evidence),
        Kind::ErrorRate { at_most, classes, within: Some(within) } => {
            recovery::within(slo, (*at_most, *within), classes, evidence)
        }
        Kind::ErrorRate { at_most: limit, classes, within: None } => {
            rates::share(slo, at_most(*limit), &rates::failures(classes), evidence)
        }
        Kind::TimeoutRate { at_most: limit } => rates::share(slo, at_most(*limit), "timed out", evidence),
        Kind::StatusRate { at_most, at_least } => {
            let limits = Limits { at_most: *at_most, at_least: *at_least };
            rates::status_share(slo, limits, evidence)
        }
        Kind::Throughput { at_least, at_most } => {
            rates::throughput(slo, Limits { at_most: *at_most, at_least: *at_least }, evidence)
        }
        Kind::CheckRate { at_least } => {
            let limits = Limits { at_most: None, at_least: Some(*at_least) };
            metrics::good_share(slo, limits, &metrics::CHECKS, evidence)
        }
        Kind::MetricRate { at_least, at_most } => {
            let limits = Limits { at_most: *at_most, at_least: *at_least };
            metrics::good_share(slo, limits, metrics::words(slo, evidence), evidence)
        }
        Kind::MetricCount { at_least, at_most } => {
            metrics::count(slo, Limits { at_most: *at_most, at_least: *at_least }, evidence)
        }
        Kind::Prometheus { at_most, at_least, unit } => {
            query::query(slo, (*at_most, *at_least), unit.as_deref(), evidence)
        }
    }
}
