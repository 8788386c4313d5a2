//! SLOs on queries: what may stand in them, and what is asked for them. Asked by `crates/telemetry/src/query`, judged by
//! `crates/slo/src/query.rs` and `crates/slo/src/sourced.rs`.

use plimsoll_measure::{Bad, Layout};
use plimsoll_scenario::did_you_mean;
use plimsoll_slo::template::{self, TemplateError, Values};
use plimsoll_slo::{Aggregate, Ask, Kind, Over, Question, Stat};

use super::error::Errors;
use crate::v1alpha1 as api;
use crate::v1alpha1::LoadTestSpec;

/// Most points of a range that Prometheus answers.
const MOST_POINTS: u64 = 11_000;

/// What is asked of Prometheus for the SLOs of a resolved spec ([`crate::Resolved::spec`]).
#[must_use]
pub fn questions(spec: &LoadTestSpec) -> Vec<Question> {
    let question = |slo: &api::Slo| {
        let ask = match (&slo.prometheus, slo.source) {
            (Some(query), _) => Ask::Query {
                template: query.query.clone(),
                over: query.over.as_ref().map(over),
                on_no_data: match query.on_no_data.unwrap_or_default() {
                    api::OnNoData::Inconclusive => None,
                    api::OnNoData::Met => Some(true),
                    api::OnNoData::Missed => Some(false),
                },
            },
            (None, Some(api::SloSource::Prometheus)) => Ask::Own,
            (None, _) => return None,
        };
        Some(Question { slo: slo.name.clone(), ask })
    };
    spec.slos.iter().filter_map(question).collect()
}

fn over(range: &api::QueryRange) -> Over {
    let aggregate = match range.aggregate {
        api::Aggregate::Max => Aggregate::Max,
        api::Aggregate::Min => Aggregate::Min,
        api::Aggregate::Mean => Aggregate::Mean,
    };
    Over { step: range.step.nanos, aggregate }
}

/// Refuses two servers.
pub(super) fn check_server(spec: &LoadTestSpec, errors: &mut Errors) {
    if spec.prometheus.as_ref().is_some_and(|server| server.server.is_some() && server.url.is_some()) {
        errors.add("spec.prometheus", "prometheus has a server or a url, not both");
    }
}

/// The condition of an SLO on a query.
pub(super) fn condition(
    slo: &api::Slo,
    query: &api::PrometheusQuery,
    at: &str,
    layout: &Layout,
    errors: &mut Errors,
) -> (Kind, Option<Bad>) {
    if query.at_most.is_none() && query.at_least.is_none() {
        errors.add(format!("{at}.prometheus"), "needs atMost or atLeast");
    }
    let scope = [
        ("request", slo.request.is_some()),
        ("metric", slo.metric.is_some()),
        ("window", slo.window.is_some()),
        ("source", slo.source.is_some()),
    ];
    for (field, _) in scope.iter().filter(|(_, given)| *given) {
        errors.add(format!("{at}.{field}"), "does not apply to a query: write the scope into it");
    }
    if let Err(wrong) = template::fill(&query.query, &Values::default()) {
        errors.add(format!("{at}.prometheus.query"), refused(&wrong));
    }
    if let Some(range) = &query.over {
        check_step(range.step, at, layout, errors);
    }
    let kind =
        Kind::Prometheus { at_most: query.at_most, at_least: query.at_least, unit: query.unit.clone() };
    (kind, None)
}

fn refused(wrong: &TemplateError) -> String {
    let TemplateError::Unknown(name) = wrong else { return wrong.to_string() };
    match did_you_mean(name, template::PLACEHOLDERS) {
        Some(close) => format!("{wrong}; did you mean ${{{close}}}?"),
        None => {
            let all = template::PLACEHOLDERS.map(|name| format!("${{{name}}}"));
            format!("{wrong}; there are {} (write $${{ for ${{ itself)", all.join(", "))
        }
    }
}

fn check_step(step: crate::GoDuration, at: &str, layout: &Layout, errors: &mut Errors) {
    let at = format!("{at}.prometheus.over.step");
    // Prometheus counts in milliseconds.
    if step.nanos < 1_000_000 {
        return errors.add(at, format!("{step} is shorter than a millisecond"));
    }
    let spans = layout.judged_spans(None);
    let judged = spans.last().map_or(0, |(_, end)| *end) - spans.first().map_or(0, |(start, _)| *start);
    let points = judged / step.nanos + 1;
    if points > MOST_POINTS {
        let seconds = judged.div_ceil((MOST_POINTS - 1) * 1_000_000_000).max(1);
        errors.add(
            at,
            format!("{step} makes {points} points of the judged part, and Prometheus answers {MOST_POINTS}: use at least {seconds}s"),
        );
    }
}

/// Refuses `source: Prometheus` where no two counters decide.
pub(super) fn check_source(slo: &api::Slo, kind: &Kind, at: &str, errors: &mut Errors) {
    if slo.source != Some(api::SloSource::Prometheus) {
        return;
    }
    let what = match kind {
        Kind::Latency { stat: Stat::Percentile(_), .. }
        | Kind::ErrorRate { within: None, .. }
        | Kind::TimeoutRate { .. }
        | Kind::StatusRate { .. }
        | Kind::Throughput { .. }
        | Kind::CheckRate { .. }
        | Kind::MetricRate { .. } => return,
        Kind::Latency { .. } => "mean and max of a latency are",
        Kind::LatencyDrift { .. } => "a drift is",
        Kind::ErrorRate { .. } => "a recovery is",
        Kind::MetricCount { .. } => "a count is",
        // Said by its own condition.
        Kind::Prometheus { .. } => return,
    };
    errors.add(
        format!("{at}.source"),
        format!(
            "{what} not computed from Prometheus: remove source, or use a query (prometheus: {{query: …}})"
        ),
    );
}
