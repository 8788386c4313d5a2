//! A plan in words: what load, to what, judged by what. For people who want to know what a manifest amounts to.

use std::fmt::Write;

use plimsoll_api::Resolved;
use plimsoll_measure::Snapshot;
use plimsoll_plan::{Distribution, Load, Plan, Ramp};
use plimsoll_scenario::{Action, HttpStep, Scenario, Step, Wait};
use plimsoll_slo::{Facts, Kind, Slo, class_name, judge, stat_name, text};

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
    load(&mut out, plan);
    for window in plan.layout.windows.iter().filter(|window| window.judged && !window.spans.is_empty()) {
        let spans: Vec<String> = window.spans.iter().map(|(from, to)| span(*from, *to)).collect();
        line(&mut out, "judged", &format!("{} as window {}", spans.join(" and "), window.name));
    }
    for scenario in &plan.scenarios {
        describe(&mut out, scenario);
    }
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
    let iterations =
        plan.iterations.map(|n| format!(", or until {} are done", text::counted(n, "iteration")));
    let stop = text::duration_exact(plan.graceful_stop);
    let whole = text::duration_exact(plan.duration);
    format!("{whole}{}, then up to {stop} for what is in flight", iterations.unwrap_or_default())
}

fn load(out: &mut String, plan: &Plan) {
    match &plan.load {
        Load::Closed { users } => {
            line(out, "load", &format!("closed model, at most {}", text::counted(plan.peak_users(), "user")));
            ramps(out, plan, users, |value| text::counted(value, "user"));
        }
        Load::Open { rate, distribution, max_in_flight } => {
            let spread = match distribution {
                Distribution::Uniform => "equal gaps",
                Distribution::Poisson => "exponential gaps (Poisson)",
            };
            let total = text::counted(plan.total_arrivals(), "arrival");
            let most = text::count(*max_in_flight);
            line(out, "load", &format!("open model, {total} in {spread}, at most {most} in flight"));
            ramps(out, plan, rate, text::rate_exact);
        }
    }
}

/// The stages up to the end of the run, which may cut one short.
fn ramps(out: &mut String, plan: &Plan, ramps: &[Ramp], show: impl Fn(u64) -> String) {
    let mut at = 0u64;
    for ramp in ramps.iter().filter(|ramp| ramp.duration > 0) {
        if at >= plan.duration {
            break;
        }
        let whole = at.saturating_add(ramp.duration);
        let end = whole.min(plan.duration);
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

fn describe(out: &mut String, scenario: &Scenario) {
    let wait = scenario.wait.map_or_else(|| "no wait".to_owned(), |wait| format!("wait {}", pause(wait)));
    line(out, "scenario", &format!("{} (weight {}, {wait})", scenario.name, scenario.weight));
    match &scenario.action {
        Action::Steps(list) => steps(out, list, ""),
        Action::Tasks(tasks) => {
            for task in tasks {
                line(out, "", &format!("task {} (weight {})", task.name, task.weight));
                steps(out, &task.steps, "  ");
            }
        }
    }
}

fn steps(out: &mut String, steps: &[Step], indent: &str) {
    for step in steps {
        let text = match step {
            Step::Http(http) => request(http),
            Step::Pause(wait) => format!("pause {}", pause(*wait)),
        };
        line(out, "", &format!("{indent}{text}"));
    }
}

fn request(http: &HttpStep) -> String {
    let expect: Vec<String> = http
        .expect
        .iter()
        .map(|(from, to)| if from == to { from.to_string() } else { format!("{from}-{to}") })
        .collect();
    let timeout = text::duration_exact(http.timeout);
    format!("{} {}, expect {}, timeout {timeout}", http.method, http.path, expect.join(", "))
}

fn pause(wait: Wait) -> String {
    if wait.min == wait.max {
        return text::duration_exact(wait.min);
    }
    format!("{} to {}", text::duration_exact(wait.min), text::duration_exact(wait.max))
}

fn condition(slo: &Slo, bound: &str, plan: &Plan) -> String {
    let request = slo.request.and_then(|id| plan.layout.requests.get(usize::from(id.0)));
    let window = slo.window.and_then(|id| plan.layout.windows.get(usize::from(id.0)));
    let mut text = format!("{} ({:?}): {} {bound}", slo.name, slo.severity, subject(&slo.kind));
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
        Kind::Prometheus { .. } => "query".to_owned(),
    }
}

fn span(from: u64, to: u64) -> String {
    format!("{} to {}", text::duration_exact(from), text::duration_exact(to))
}
