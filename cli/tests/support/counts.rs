//! Holds what a run counted against what the testbed counted, path by path. Used by `aragora.rs`.

#![allow(dead_code, clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::collections::{BTreeMap, BTreeSet};

use plimsoll_plan::Plan;
use plimsoll_scenario::{Action, HttpStep, Script, Step, StepAction};
use plimsoll_testbed::Stats;
use serde_json::Value;

/// Holds the counts of a result (`plimsoll run --result`) against those of the testbed it ran against, path by path; says what
/// differs. The testbed's own switches (`/__…`) are none of its paths.
pub(crate) fn compare(plan: &Plan, result: &Value, stats: &Stats) -> Result<(), String> {
    let groups = groups(plan);
    let patterns: Vec<&String> = groups.iter().flat_map(|(_, paths)| paths).collect();
    // The testbed names the paths of its endpoints by their patterns, all others as they were asked for.
    let pattern = |path: &str| {
        let named = unnamed(path);
        let matching = patterns.iter().find(|pattern| ***pattern == named);
        matching
            .or_else(|| patterns.iter().find(|pattern| fits(pattern, &named)))
            .map(|pattern| (*pattern).clone())
    };
    let mut received: BTreeMap<String, u64> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (path, counts) in stats.endpoints.iter().filter(|(_, counts)| counts.received > 0) {
        match pattern(path) {
            Some(pattern) => *received.entry(pattern).or_default() += counts.received,
            None => wrong.push(format!("{path} received {} that no step sends", counts.received)),
        }
    }
    let mut sent: BTreeMap<&str, u64> = BTreeMap::new();
    for row in result["requests"].as_array().unwrap() {
        *sent.entry(row["request"].as_str().unwrap()).or_default() += row["counts"]["sent"].as_u64().unwrap();
    }
    for (names, paths) in groups.iter().filter(|(_, paths)| !paths.iter().all(|path| path.contains(" /__"))) {
        let ours: u64 = names.iter().filter_map(|name| sent.get(name.as_str())).sum();
        let theirs: u64 = paths.iter().filter_map(|path| received.get(path)).sum();
        if ours != theirs {
            wrong.push(format!("{names:?} sent {ours}, {paths:?} received {theirs}"));
        }
    }
    if sent.values().all(|n| *n == 0) {
        wrong.push("nothing was sent".to_owned());
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// Whether a path is one of a pattern, whose `{}` stand for whole segments.
fn fits(pattern: &str, path: &str) -> bool {
    let (pattern, path) = (pattern.split('/'), path.split('/'));
    pattern.clone().count() == path.clone().count() && pattern.zip(path).all(|(a, b)| a == "{}" || a == b)
}

/// Request names that share a path, with these paths: their sums are compared.
fn groups(plan: &Plan) -> Vec<(BTreeSet<String>, BTreeSet<String>)> {
    let mut groups: Vec<(BTreeSet<String>, BTreeSet<String>)> = Vec::new();
    for http in requests(&plan.script) {
        let name = plan.layout.requests[usize::from(http.request)].clone();
        let mut merged = (BTreeSet::from([name.clone()]), BTreeSet::from([endpoint(http)]));
        let (same, others) = groups
            .into_iter()
            .partition(|(names, paths)| names.contains(&name) || paths.contains(&endpoint(http)));
        groups = others;
        for (names, paths) in Vec::from_iter::<Vec<_>>(same) {
            merged.0.extend(names);
            merged.1.extend(paths);
        }
        groups.push(merged);
    }
    groups
}

fn requests(script: &Script) -> Vec<&HttpStep> {
    let mut found = Vec::new();
    let hooks =
        script.setup.iter().chain(&script.teardown).chain(script.timeline.iter().map(|call| &call.step));
    hooks.for_each(|step| of_step(step, &mut found));
    for scenario in &script.scenarios {
        scenario.on_start.iter().chain(&scenario.on_stop).for_each(|step| of_step(step, &mut found));
        match &scenario.action {
            Action::Steps(steps) => steps.iter().for_each(|step| of_step(step, &mut found)),
            Action::Tasks(tasks) => {
                tasks.iter().flat_map(|task| &task.steps).for_each(|step| of_step(step, &mut found));
            }
        }
    }
    found
}

fn of_step<'a>(step: &'a Step, found: &mut Vec<&'a HttpStep>) {
    match &step.action {
        StepAction::Http(http) => found.push(http),
        StepAction::Poll(poll) => found.push(&poll.http),
        StepAction::WebSocket(socket) => found.push(&socket.handshake),
        StepAction::Sse(sse) => found.push(&sse.http),
        StepAction::Run(steps) => steps.iter().for_each(|step| of_step(step, found)),
        StepAction::Pause(_) | StepAction::Nothing => {}
    }
}

/// `GET /a/{}/b`: method and path, what varies in it as `{}`, without a query.
fn endpoint(http: &HttpStep) -> String {
    format!("{} {}", http.method, unnamed(http.path.split('?').next().unwrap()))
}

/// A path whose `${…}` or `{…}` are `{}`.
fn unnamed(path: &str) -> String {
    let (mut out, mut depth) = (String::new(), 0);
    for c in path.chars() {
        match c {
            '{' => {
                if depth == 0 {
                    out = out.trim_end_matches('$').to_owned() + "{}";
                }
                depth += 1;
            }
            '}' => depth -= 1,
            c if depth == 0 => out.push(c),
            _ => {}
        }
    }
    out
}
