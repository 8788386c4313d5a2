//! A plan in words: what load, to what, judged by what. For people who want to know what a manifest amounts to.

use std::fmt::Write;

use plimsoll_api::Resolved;
use plimsoll_measure::Snapshot;
use plimsoll_plan::{Distribution, Load, LoadGroup, Plan, Ramp};
use plimsoll_slo::{Facts, Kind, Slo, class_name, judge, stat_name, text};

use super::script;

/// The plan, one fact per line.
pub(super) fn plan(resolved: &Resolved) -> String {
    let plan = &resolved.plan;
    let mut out = format!("{}/{}\n", plan.run.namespace, plan.run.test);
    let target = &plan.target;
    line(
        &mut out,
        "target",
        &format!("{}://{}:{}{}", target.scheme, target.host, target.port, target.base_path),
    );
    line(&mut out, "duration", &duration(plan));
    for group in &plan.loads {
        load(&mut out, plan, group);
    }
    for window in plan.layout.windows.iter().filter(|window| window.judged && !window.spans.is_empty()) {
        let spans: Vec<String> = window.spans.iter().map(|(from, to)| span(*from, *to)).collect();
        line(&mut out, "judged", &format!("{} as window {}", spans.join(" and "), window.name));
    }
    script::describe(&plan.script, &plan.layout.requests, &mut |word, text| line(&mut out, word, text));
    // A judgement of nothing knows every bound.
    let nothing =
        judge(&resolved.slos, &resolved.validity, &plan.layout, &Snapshot::default(), &Facts::default());
    for (slo, result) in resolved.slos.iter().zip(&nothing.results) {
        line(&mut out, "slo", &condition(slo, &result.bound, plan));
    }
    line(&mut out, "workers", &plan.workers.to_string());
    for notice in &resolved.notices {
        line(&mut out, "notice", notice);
    }
    out
}

fn line(out: &mut String, word: &str, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "  {word:9} {text}");
}

fn duration(plan: &Plan) -> String {
    let stop = text::duration_exact(plan.graceful_stop);
    format!("{}, then up to {stop} for what is in flight", text::duration_exact(plan.duration))
}

/// One load; where there are several, with its scenarios and its time.
fn load(out: &mut String, plan: &Plan, group: &LoadGroup) {
    let whose = if plan.loads.len() == 1 { String::new() } else { format!("{}: ", names(plan, group)) };
    let until = group.iterations.map(|n| format!(", or until {} are done", text::counted(n, "iteration")));
    let until = until.unwrap_or_default();
    match &group.load {
        Load::Closed { users } => {
            let most = text::counted(group.peak_users(), "user");
            line(out, "load", &format!("{whose}closed model, at most {most}{until}"));
            ramps(out, group, users, |value| text::counted(value, "user"));
        }
        Load::Open { rate, distribution, max_in_flight } => {
            let spread = match distribution {
                Distribution::Uniform => "equal gaps",
                Distribution::Poisson => "exponential gaps (Poisson)",
            };
            let total = text::counted(group.arrivals_before(u64::MAX), "arrival");
            let most = text::count(*max_in_flight);
            line(
                out,
                "load",
                &format!("{whose}open model, {total} in {spread}, at most {most} in flight{until}"),
            );
            ramps(out, group, rate, text::rate_exact);
        }
    }
}

fn names(plan: &Plan, group: &LoadGroup) -> String {
    let scenarios = group.scenarios.iter().filter_map(|at| plan.script.scenarios.get(*at));
    scenarios.map(|scenario| scenario.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// The stages up to the end of the load, which may cut one short.
fn ramps(out: &mut String, group: &LoadGroup, ramps: &[Ramp], show: impl Fn(u64) -> String) {
    let mut at = group.start;
    for ramp in ramps.iter().filter(|ramp| ramp.duration > 0) {
        if at >= group.end() {
            break;
        }
        let whole = at.saturating_add(ramp.duration);
        let end = whole.min(group.end());
        let change = if end < whole {
            format!("from {} towards {} at {}", show(ramp.from), show(ramp.to), text::duration_exact(whole))
        } else if ramp.from == ramp.to {
            show(ramp.to)
        } else {
            format!("from {} to {}", show(ramp.from), show(ramp.to))
        };
        line(out, "", &format!("{}: {change}", span(at, end)));
        at = end;
    }
}

fn condition(slo: &Slo, bound: &str, plan: &Plan) -> String {
    let request = slo.request.and_then(|id| plan.layout.requests.get(usize::from(id.0)));
    let window = slo.window.and_then(|id| plan.layout.windows.get(usize::from(id.0)));
    let metric = slo.metric.and_then(|id| plan.layout.metrics.get(usize::from(id.0)));
    let mut text = format!("{} ({:?}): {} {bound}", slo.name, slo.severity, subject(&slo.kind));
    if let Some(metric) = metric {
        text.push_str(&format!(" of {}", metric.name));
    }
    if let Some(request) = request {
        text.push_str(&format!(" of {request}"));
    }
    if let Some(window) = window {
        text.push_str(&format!(" in window {}", window.name));
    }
    if let Some(after) = slo.abort_after {
        text.push_str(&format!(", stops the run from {} on", text::duration_exact(after)));
    }
    text
}

fn subject(kind: &Kind) -> String {
    match kind {
        Kind::Latency { stat, .. } | Kind::LatencyDrift { stat, .. } => stat_name(*stat),
        Kind::ErrorRate { classes, .. } if classes.is_empty() => "failed requests".to_owned(),
        Kind::ErrorRate { classes, .. } => {
            let classes: Vec<&str> = classes.iter().map(|class| class_name(*class)).collect();
            format!("requests failed as {}", classes.join(", "))
        }
        Kind::TimeoutRate { .. } => "timeouts".to_owned(),
        Kind::StatusRate { .. } => "requests with these statuses".to_owned(),
        Kind::Throughput { .. } => "throughput".to_owned(),
        Kind::CheckRate { .. } => "passed checks".to_owned(),
        Kind::MetricRate { .. } => "share".to_owned(),
        Kind::MetricCount { .. } => "number".to_owned(),
        Kind::Prometheus { .. } => "query".to_owned(),
    }
}

fn span(from: u64, to: u64) -> String {
    format!("{} to {}", text::duration_exact(from), text::duration_exact(to))
}
