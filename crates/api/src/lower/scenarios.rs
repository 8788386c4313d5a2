//! What virtual users do: scenarios with merged headers, joined paths, defaults and request names. Compiled by `plimsoll-scenario`.

use std::collections::{BTreeMap, HashMap};

use plimsoll_measure::Layout;
use plimsoll_scenario::{Action, Body, Field, HttpStep, Scenario, Step, Task, Var};

use super::error::Errors;
use super::load::{self, wait};
use super::target;
use crate::GoDuration;
use crate::v1alpha1::{self as api, LoadTestSpec};

/// Scenarios, the layout with their request names, and where headers came from.
pub(super) struct Lowered {
    pub(super) scenarios: Vec<Scenario>,
    pub(super) layout: Layout,
    /// Put before the path of every step.
    base_path: String,
    /// Path of a header as the compiler names it → path where it was written.
    origins: HashMap<String, String>,
    /// Where the target's URL was written.
    url_at: &'static str,
}

pub(super) fn lower(
    spec: &LoadTestSpec,
    target: &target::Lowered,
    load: &load::Lowered,
    layout: Layout,
    errors: &mut Errors,
) -> Lowered {
    let base_path = target.plan.base_path.clone();
    let (origins, url_at) = (HashMap::new(), target.url_at);
    let mut lowered = Lowered { scenarios: Vec::new(), layout, base_path, origins, url_at };
    if spec.scenarios.is_empty() {
        let scenario = lowered_target(spec, target, load, &mut lowered.layout);
        lowered.scenarios.push(scenario);
        return lowered;
    }
    if target.has_query {
        errors.add(url_at, "has a query, which no step would send: move it to the steps");
    }
    for (at, scenario) in spec.scenarios.iter().enumerate() {
        let at = format!("spec.scenarios[{at}]");
        let action = lowered.action(spec, scenario, &at, errors);
        check_wait(scenario.wait, &format!("{at}.wait"), errors);
        lowered.scenarios.push(Scenario {
            name: scenario.name.clone(),
            weight: scenario.weight.unwrap_or(1),
            // Arrivals come when they are due, not when others have waited.
            wait: scenario.wait.map(wait).or(load.wait).filter(|_| !load.is_open()),
            action,
        });
    }
    lowered
}

/// Without scenarios: the target's URL as it is.
fn lowered_target(
    spec: &LoadTestSpec,
    target: &target::Lowered,
    load: &load::Lowered,
    layout: &mut Layout,
) -> Scenario {
    let path = target.path_and_query.split('?').next().unwrap_or_default();
    layout.requests.push(format!("GET {path}"));
    let step = HttpStep {
        request: 0,
        at: "spec.target".to_owned(),
        method: "GET".to_owned(),
        path: target.path_and_query.clone(),
        query: Vec::new(),
        headers: fields(&spec.target.headers),
        body: Body::Empty,
        expect: vec![EXPECTED],
        timeout: TIMEOUT,
        redirects: REDIRECTS,
    };
    Scenario {
        name: "target".to_owned(),
        weight: 1,
        wait: load.wait.filter(|_| !load.is_open()),
        action: Action::Steps(vec![Step::Http(Box::new(step))]),
    }
}

const EXPECTED: (u16, u16) = (200, 399);
const TIMEOUT: u64 = GoDuration::from_secs(30).nanos;
const REDIRECTS: u16 = 10;

fn fields(map: &BTreeMap<String, String>) -> Vec<Field> {
    map.iter().map(|(name, value)| target::field(name, value)).collect()
}

fn check_wait(wait: Option<api::Wait>, path: &str, errors: &mut Errors) {
    if let Some(wait) = wait.filter(|wait| wait.min > wait.max) {
        errors.add(format!("{path}.min"), format!("{} is more than max, {}", wait.min, wait.max));
    }
}

impl Lowered {
    fn action(
        &mut self,
        spec: &LoadTestSpec,
        scenario: &api::Scenario,
        at: &str,
        errors: &mut Errors,
    ) -> Action {
        match (&scenario.tasks, &scenario.steps) {
            (Some(tasks), None) => {
                let tasks = tasks.iter().enumerate().map(|(i, task)| Task {
                    name: task.name.clone(),
                    weight: task.weight.unwrap_or(1),
                    steps: self.steps(spec, scenario, &task.steps, (at, &format!("{at}.tasks[{i}]")), errors),
                });
                Action::Tasks(tasks.collect())
            }
            (None, Some(steps)) => Action::Steps(self.steps(spec, scenario, steps, (at, at), errors)),
            _ => {
                let message = "a scenario has either tasks (one drawn by weight per iteration) or steps (all, in order)";
                errors.add(at, message);
                Action::Steps(Vec::new())
            }
        }
    }

    fn steps(
        &mut self,
        spec: &LoadTestSpec,
        scenario: &api::Scenario,
        steps: &[api::Step],
        (scenario_at, parent): (&str, &str),
        errors: &mut Errors,
    ) -> Vec<Step> {
        let mut lowered = Vec::new();
        for (i, step) in steps.iter().enumerate() {
            let at = format!("{parent}.steps[{i}]");
            match (&step.http, step.pause) {
                (Some(http), None) => {
                    let request = self.request(step.name.as_deref(), http, &at, errors);
                    let headers = self.headers(spec, scenario, http, (scenario_at, &at));
                    let path = format!("{}{}", self.base_path, http.path);
                    let step = HttpStep { request, path, headers, ..exchange(http, at, errors) };
                    lowered.push(Step::Http(Box::new(step)));
                }
                (None, Some(pause)) => {
                    check_wait(Some(pause), &format!("{at}.pause"), errors);
                    lowered.push(Step::Pause(wait(pause)));
                }
                _ => errors.add(at, "a step has exactly one action: http or pause"),
            }
        }
        lowered
    }

    /// Index of a request name; steps of one name count together.
    fn request(&mut self, name: Option<&str>, http: &api::Http, at: &str, errors: &mut Errors) -> u16 {
        let path = http.path.split('?').next().unwrap_or_default();
        let name = name.map_or_else(|| format!("{} {path}", method(http)), str::to_owned);
        let names = &mut self.layout.requests;
        let found = names.iter().position(|known| *known == name).unwrap_or_else(|| {
            names.push(name);
            names.len() - 1
        });
        u16::try_from(found).unwrap_or_else(|_| {
            errors.add(at, "more than 65535 request names: give steps common names");
            0
        })
    }

    /// Target, scenario and step headers; the later replaces the earlier, whatever the case of its name.
    fn headers(
        &mut self,
        spec: &LoadTestSpec,
        scenario: &api::Scenario,
        http: &api::Http,
        (scenario_at, at): (&str, &str),
    ) -> Vec<Field> {
        let step_at = format!("{at}.http");
        let sources = [
            ("spec.target", &spec.target.headers),
            (scenario_at, &scenario.headers),
            (step_at.as_str(), &http.headers),
        ];
        let mut merged: Vec<Field> = Vec::new();
        for (source, headers) in sources {
            for (name, value) in headers {
                merged.retain(|field| !field.name.eq_ignore_ascii_case(name));
                merged.push(target::field(name, value));
                self.origins.insert(format!("{step_at}.headers.{name}"), format!("{source}.headers.{name}"));
            }
        }
        merged
    }

    /// Type-checks every template.
    pub(super) fn compile(&self, vars: &[Var], errors: &mut Errors) {
        let Err(wrong) = plimsoll_scenario::compile(&self.scenarios, vars) else { return };
        for wrong in wrong {
            let column = wrong.column.map_or_else(String::new, |column| format!("column {column}: "));
            let hint =
                wrong.closest.as_ref().map_or_else(String::new, |close| format!("; did you mean {close:?}?"));
            let message = format!("{column}{}{hint}", wrong.message);
            let written = self.origins.get(&wrong.at).unwrap_or(&wrong.at);
            // What was made of target.url has no step of its own.
            errors.add(
                written
                    .replace("spec.target.http.path", self.url_at)
                    .replace("spec.target.http.", "spec.target."),
                message,
            );
        }
    }
}

fn method(http: &api::Http) -> String {
    http.method.clone().unwrap_or_else(|| "GET".to_owned())
}

/// What a step says of one exchange; request name, path and headers are still to come.
fn exchange(http: &api::Http, at: String, errors: &mut Errors) -> HttpStep {
    let body = match (&http.json, &http.body) {
        (Some(json), None) => Body::Json(json.clone()),
        (None, Some(text)) => Body::Text(text.clone()),
        (None, None) => Body::Empty,
        (Some(_), Some(_)) => {
            errors.add(format!("{at}.http.body"), "json and body exclude each other: keep one");
            Body::Empty
        }
    };
    let expected =
        |expect: &api::Expect| expect.status.iter().map(|status| (status.from, status.to)).collect();
    let timeout = http.timeout.map_or(TIMEOUT, |timeout| timeout.nanos);
    if timeout == 0 {
        errors.add(format!("{at}.http.timeout"), "0s lets no request succeed: set a longer timeout");
    }
    HttpStep {
        request: 0,
        method: method(http),
        path: String::new(),
        query: fields(&http.query),
        headers: Vec::new(),
        body,
        expect: http.expect.as_ref().map_or_else(|| vec![EXPECTED], expected),
        timeout,
        redirects: http.redirects.unwrap_or(REDIRECTS),
        at,
    }
}
