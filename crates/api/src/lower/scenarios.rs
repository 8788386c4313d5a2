//! The script: what virtual users do, and what is done once per run, with merged headers, joined paths, defaults and names. Type-checked
//! by `plimsoll-scenario`.

use plimsoll_measure::Layout;
use plimsoll_scenario::{Action, Body, HttpStep, OnFailure, Scenario, Script, Step, StepAction, Task, Var};

use super::actions::{EXPECTED, REDIRECTS, TIMEOUT, fields};
use super::context::{Context, Place};
use super::error::Errors;
use super::origins::Origins;
use super::registry::Registry;
use super::steps::wait;
use super::{data, flows, load, target, timeline};
use crate::v1alpha1::{self as api, LoadTestSpec};

/// The script, the layout with its names, and where texts came from.
pub(super) struct Lowered {
    pub(super) script: Script,
    pub(super) layout: Layout,
    /// Some steps could not be put in place, so that names of theirs are lacking.
    pub(super) incomplete: bool,
    /// Where each concurrency limit was written.
    pub(super) limits_at: Vec<String>,
    origins: Origins,
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
    let url_at = target.url_at;
    let flows = flows::check(spec, errors);
    let data = data::lower(spec, errors);
    let mut context = Context {
        spec,
        base_path: target.plan.base_path.clone(),
        registry: Registry::new(layout),
        flows,
        origins: Origins::default(),
        steps: 0,
        too_many: false,
        errors,
    };
    let once = Place::default();
    // Nothing starts that was not set up, unless a step says that it may fail.
    let strict = Place { on_failure: OnFailure::EndUser, ..Place::default() };
    let setup = context.steps(&spec.setup, "spec.setup", &strict);
    let scenarios = if spec.scenarios.is_empty() {
        vec![context.target_itself(target, load)]
    } else {
        context.scenarios(load)
    };
    let timeline = timeline::lower(&mut context, load);
    let teardown = context.steps(&spec.teardown, "spec.teardown", &once);
    // With steps beside it, the target has a path before theirs.
    let has_steps = context.steps > 0;
    if target.has_query && has_steps {
        context.errors.add(url_at, "has a query, which no step would send: move it to the steps");
    }
    let incomplete = context.flows.broken || context.too_many;
    let Context { registry: Registry { layout, limits, limits_at, .. }, origins, .. } = context;
    let script = Script { scenarios, setup, teardown, timeline, data, limits };
    Lowered { script, layout, incomplete, limits_at, origins, url_at }
}

impl Context<'_> {
    /// Without scenarios: the target's URL as it is.
    fn target_itself(&mut self, target: &target::Lowered, load: &load::Lowered) -> Scenario {
        let path = target.path_and_query.split('?').next().unwrap_or_default();
        let request = self.registry.request(&format!("GET {path}"), "spec.target", self.errors);
        let step = HttpStep {
            request: request.0,
            at: "spec.target".to_owned(),
            method: "GET".to_owned(),
            path: target.path_and_query.clone(),
            query: Vec::new(),
            headers: fields(&self.spec.target.headers),
            body: Body::Empty,
            expect: vec![EXPECTED],
            that: None,
            timeout: TIMEOUT.nanos,
            redirects: REDIRECTS,
        };
        Scenario {
            name: "target".to_owned(),
            weight: 1,
            wait: load.wait.filter(|_| !load.is_open(0)),
            state: Vec::new(),
            on_start: Vec::new(),
            on_stop: Vec::new(),
            action: Action::Steps(vec![Step::new("spec.target", StepAction::Http(Box::new(step)))]),
        }
    }

    fn scenarios(&mut self, load: &load::Lowered) -> Vec<Scenario> {
        let scenarios = self.spec.scenarios.iter().enumerate();
        scenarios.map(|(index, scenario)| self.scenario(index, scenario, load)).collect()
    }

    fn scenario(&mut self, index: usize, scenario: &api::Scenario, load: &load::Lowered) -> Scenario {
        let at = format!("spec.scenarios[{index}]");
        let open = load.is_open(index);
        let own = scenario.wait.map(|given| wait(given, &format!("{at}.wait"), self.errors));
        for (field, steps) in [("onStart", &scenario.on_start), ("onStop", &scenario.on_stop)] {
            if open && !steps.is_empty() {
                let message = "arrivals are no users that start and stop: put these steps among those of the scenario, or use users in place of arrivals";
                self.errors.add(format!("{at}.{field}"), message);
            }
        }
        let once = Place::default();
        let state = self.assigns(&scenario.state, "state", &at, None);
        let on_start = self.steps(&scenario.on_start, &format!("{at}.onStart"), &once);
        let action = self.scenario_action(scenario, &at);
        Scenario {
            name: scenario.name.clone(),
            weight: scenario.weight.unwrap_or(1),
            // Arrivals come when they are due, not when others have waited.
            wait: own.or(load.wait).filter(|_| !open),
            state,
            on_start,
            on_stop: self.steps(&scenario.on_stop, &format!("{at}.onStop"), &once),
            action,
        }
    }

    fn scenario_action(&mut self, scenario: &api::Scenario, at: &str) -> Action {
        let place = Place { scenario: Some((scenario, at)), ..Place::default() };
        match (&scenario.tasks, &scenario.steps) {
            (Some(tasks), None) => {
                let task = |(i, task): (usize, &api::Task)| {
                    let at = format!("{at}.tasks[{i}]");
                    let when = task.when.as_ref();
                    Task {
                        name: task.name.clone(),
                        weight: task.weight.unwrap_or(1),
                        when: when.map(|when| self.condition(when, "when", format!("{at}.when"), None)),
                        steps: self.steps(&task.steps, &format!("{at}.steps"), &place),
                    }
                };
                Action::Tasks(tasks.iter().enumerate().map(task).collect())
            }
            (None, Some(steps)) => Action::Steps(self.steps(steps, &format!("{at}.steps"), &place)),
            _ => {
                let message = "a scenario has either tasks (one drawn by weight per iteration) or steps (all, in order)";
                self.errors.add(at, message);
                Action::Steps(Vec::new())
            }
        }
    }
}

impl Lowered {
    /// Type-checks every template and expression.
    pub(super) fn compile(&self, vars: &[Var], errors: &mut Errors) {
        for wrong in plimsoll_scenario::compile(&self.script, vars).err().unwrap_or_default() {
            let (path, message) = self.origins.place(&wrong, self.url_at);
            errors.add(path, message);
        }
    }
}
