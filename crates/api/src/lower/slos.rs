//! SLOs of profile, test and run to what is judged, and to the counters that workers keep for it.

use plimsoll_measure::{Bad, ErrorClass, Layout, Objective, Population, RequestId, WindowId};
use plimsoll_slo::{Kind, Slo};

use super::error::Errors;
use crate::LatencyBound;
use crate::read::closest;
use crate::v1alpha1::{self as api, LoadTestSpec, Overrides};

/// An SLO and the path where it was written.
type Written = (String, api::Slo);

/// The SLOs of the profile, those of the test over them, those of the run over both; without those that one of them disables.
pub(super) fn merge(
    profile: &[api::Slo],
    spec: &LoadTestSpec,
    overrides: &Overrides,
    errors: &mut Errors,
) -> Vec<Written> {
    let mut merged: Vec<Written> =
        profile.iter().map(|slo| (format!("spec.profile.slos[name={}]", slo.name), slo.clone())).collect();
    let own = spec.slos.iter().enumerate().map(|(at, slo)| (format!("spec.slos[{at}]"), slo));
    let run = overrides.slos.iter().enumerate().map(|(at, slo)| (format!("spec.overrides.slos[{at}]"), slo));
    for (path, slo) in own.chain(run) {
        match merged.iter_mut().find(|(_, known)| known.name == slo.name) {
            Some(known) => *known = (path, slo.clone()),
            None if slo.disabled == Some(true) => {
                let known: Vec<&str> = merged.iter().map(|(_, slo)| slo.name.as_str()).collect();
                errors.add(format!("{path}.name"), unknown("SLO to disable named", &slo.name, &known));
            }
            None => merged.push((path, slo.clone())),
        }
    }
    merged.retain(|(_, slo)| slo.disabled != Some(true));
    merged
}

pub(super) fn lower(slos: &[Written], layout: &mut Layout, errors: &mut Errors) -> Vec<Slo> {
    let mut lowered = Vec::new();
    for (at, slo) in slos {
        let Some((kind, bad)) = condition(slo, at, errors) else { continue };
        let request = slo.request.as_ref().and_then(|name| request(name, at, layout, errors));
        let window = slo.window.as_ref().and_then(|name| window(name, at, layout, errors));
        let severity = severity(slo.severity.unwrap_or_default());
        if slo.abort.is_some() && severity < plimsoll_slo::Severity::Error {
            let message =
                format!("a miss of severity {severity:?} stops no run: remove abort, or make it Error");
            errors.add(format!("{at}.abort"), message);
        }
        let objective = bad.map(|bad| objective(Objective { population: Population::Requests, request, window, bad }, layout));
        lowered.push(Slo {
            name: slo.name.clone(),
            severity,
            request,
            metric: None,
            window,
            kind,
            objective,
            abort_after: slo.abort.map(|abort| abort.after.nanos),
            min_samples: None,
        });
    }
    lowered
}

/// Index of a pair of counters; SLOs that count the same share one.
fn objective(objective: Objective, layout: &mut Layout) -> usize {
    let known = layout.objectives.iter().position(|known| *known == objective);
    known.unwrap_or_else(|| {
        layout.objectives.push(objective);
        layout.objectives.len() - 1
    })
}

fn request(name: &str, at: &str, layout: &Layout, errors: &mut Errors) -> Option<RequestId> {
    let names = &layout.requests;
    let found = names.iter().position(|known| known == name).and_then(|at| u16::try_from(at).ok());
    if found.is_none() {
        errors.add(
            format!("{at}.request"),
            unknown("request", name, &names.iter().map(String::as_str).collect::<Vec<_>>()),
        );
    }
    found.map(RequestId)
}

fn window(name: &str, at: &str, layout: &Layout, errors: &mut Errors) -> Option<WindowId> {
    let windows = &layout.windows;
    let found = windows.iter().position(|known| known.name == name);
    match found.map(|at| (&windows[at], u16::try_from(at))) {
        Some((window, Ok(at))) if window.judged => return Some(WindowId(at)),
        Some(_) => errors.add(
            format!("{at}.window"),
            format!("{name} is recorded, but not judged: choose another window"),
        ),
        None => {
            let judged = windows.iter().filter(|window| window.judged).map(|window| window.name.as_str());
            let judged: Vec<&str> = judged.collect();
            errors.add(format!("{at}.window"), unknown("window", name, &judged));
        }
    }
    None
}

/// The message of a name that is none of those there are.
fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    match closest(name, known.iter().copied()) {
        Some(close) => format!("there is no {what} {name:?}; did you mean {close:?}?"),
        None => {
            if known.is_empty() {
                return format!("there is no {what} {name:?}, nor any other");
            }
            let some = known.iter().take(10).map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
            format!(
                "there is no {what} {name:?}; there are {some}{}",
                if known.len() > 10 { " …" } else { "" }
            )
        }
    }
}

pub(super) fn severity(severity: api::Severity) -> plimsoll_slo::Severity {
    match severity {
        api::Severity::Info => plimsoll_slo::Severity::Info,
        api::Severity::Warning => plimsoll_slo::Severity::Warning,
        api::Severity::Error => plimsoll_slo::Severity::Error,
        api::Severity::Critical => plimsoll_slo::Severity::Critical,
    }
}

/// The condition of an SLO, and what makes a request bad for it, if it counts any.
fn condition(slo: &api::Slo, at: &str, errors: &mut Errors) -> Option<(Kind, Option<Bad>)> {
    let given = [
        slo.latency.as_ref().map(|latency| latency_condition(slo, latency, at, errors)),
        slo.error_rate.as_ref().map(error_rate),
        slo.timeout_rate.as_ref().map(timeout_rate),
        slo.status_rate.as_ref().map(|rate| status_rate(rate, at, errors)),
        slo.throughput.as_ref().map(|throughput| throughput_condition(throughput, at, errors)),
        slo.prometheus.as_ref().map(|query| prometheus(slo, query, at, errors)),
    ];
    let mut given = given.into_iter().flatten();
    let first = given.next();
    if first.is_none() || given.next().is_some() {
        errors.add(
            at,
            "an SLO has exactly one of latency, errorRate, timeoutRate, statusRate, throughput, prometheus (or disabled: true)",
        );
        return None;
    }
    first
}

fn latency_condition(
    slo: &api::Slo,
    latency: &api::Latency,
    at: &str,
    errors: &mut Errors,
) -> (Kind, Option<Bad>) {
    let stat = latency.stat.0;
    let succeeded_only = latency.of == Some(api::Population::Succeeded);
    match (latency.at_most, latency.relative_to) {
        (LatencyBound::Absolute(bound), None) => {
            let bad = Bad::Slower { nanos: bound.nanos, succeeded_only };
            // Mean and maximum are judged by the exact sums beside the histograms.
            let counted = matches!(stat, plimsoll_slo::Stat::Percentile(_));
            (Kind::Latency { stat, at_most: bound.nanos, succeeded_only }, counted.then_some(bad))
        }
        (LatencyBound::Relative(share), Some(api::RelativeTo::FirstTenth)) => {
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

fn prometheus(
    slo: &api::Slo,
    query: &api::PrometheusQuery,
    at: &str,
    errors: &mut Errors,
) -> (Kind, Option<Bad>) {
    if query.at_most.is_none() && query.at_least.is_none() {
        errors.add(format!("{at}.prometheus"), "needs atMost or atLeast");
    }
    let scope = [
        ("request", slo.request.is_some()),
        ("window", slo.window.is_some()),
        ("abort", slo.abort.is_some()),
    ];
    for (field, _) in scope.iter().filter(|(_, given)| *given) {
        errors.add(format!("{at}.{field}"), "does not apply to a query: write the scope into it");
    }
    let kind =
        Kind::Prometheus { at_most: query.at_most, at_least: query.at_least, unit: query.unit.clone() };
    (kind, None)
}
