//! The script as a whole: each kind of user with its own variables.

use std::sync::Arc;

use super::{Builder, live, names};
use crate::compiled::{
    Bound, CompiledAction, CompiledScenario, CompiledStep, CompiledTask, Hooks, Tasks, Timeline,
};
use crate::expr::Type;
use crate::memory::{Shared, Slots};
use crate::model::{Action, Scenario, Step};

impl<'a> Builder<'a> {
    /// Builds everything; tables are put in by the caller.
    pub(super) fn script(&mut self) -> Bound {
        let script = self.script;
        if script.scenarios.iter().all(|s| s.weight == 0) {
            self.fault("spec.scenarios", "no scenario has a weight over 0; nothing would be sent");
        }
        let mut setup_names = Vec::new();
        names::of_steps(&script.setup, &mut setup_names);
        self.scope.within_setup = true;
        let setup = self.hooks("setup", &script.setup);
        self.scope.within_setup = false;
        self.scope.setup = setup_names;
        let scenarios = script.scenarios.iter().enumerate().map(|(i, s)| self.scenario(i, s)).collect();
        let teardown = self.hooks("teardown", &script.teardown);
        let timeline = self.timeline();
        Bound {
            scenarios,
            setup,
            teardown,
            timeline,
            limits: script.limits.clone(),
            requests: self.requests,
            shared: Arc::new(Shared::default()),
        }
    }

    /// Begins another kind of user.
    fn enter(&mut self, who: String, variables: Vec<&'a str>) {
        self.who = who;
        self.tables.clear();
        self.scope.users = variables.into_iter().map(|name| (name, Type::Any)).collect();
    }

    /// The variables of the present kind of user, when all of it is built.
    fn slots(&self) -> Arc<Slots> {
        let names = self.scope.users.iter().map(|(name, _)| (*name).to_owned()).collect();
        Arc::new(Slots { names, tables: self.tables.iter().copied().collect() })
    }

    fn scenario(&mut self, index: usize, scenario: &'a Scenario) -> CompiledScenario {
        self.enter(format!("scenario \"{}\"", scenario.name), names::of_scenario(scenario));
        let at = format!("spec.scenarios[{index}]");
        let state = self.assigns(&scenario.state, super::expression::Sight::NOTHING);
        let mut on_start = self.steps(&scenario.on_start);
        let mut action = match &scenario.action {
            Action::Steps(steps) => CompiledAction::Steps(self.some_steps(&at, steps)),
            Action::Tasks(tasks) => {
                if tasks.iter().all(|t| t.weight == 0) {
                    self.fault(&format!("{at}.tasks"), "no task has a weight over 0; give one a weight");
                }
                let (mut list, mut total) = (Vec::with_capacity(tasks.len()), 0);
                for (i, task) in tasks.iter().enumerate() {
                    let when = task.when.as_ref().map(|when| self.when(when));
                    let steps = self.some_steps(&format!("{at}.tasks[{i}]"), &task.steps);
                    if task.weight > 0 {
                        total += u64::from(task.weight);
                        list.push(CompiledTask { name: task.name.clone(), upto: total, when, steps });
                    }
                }
                CompiledAction::Tasks(Tasks { list, total })
            }
        };
        let mut on_stop = self.steps(&scenario.on_stop);
        live::mark_scenario(&mut on_start, &mut action, &mut on_stop);
        let (name, weight, wait) = (scenario.name.clone(), scenario.weight, scenario.wait);
        CompiledScenario { name, weight, wait, slots: self.slots(), state, on_start, on_stop, action }
    }

    fn some_steps(&mut self, at: &str, steps: &'a [Step]) -> Vec<CompiledStep> {
        if steps.is_empty() {
            self.fault(&format!("{at}.steps"), "no steps; add at least one");
        }
        self.steps(steps)
    }

    fn hooks(&mut self, who: &str, steps: &'a [Step]) -> Hooks {
        let mut variables = Vec::new();
        names::of_steps(steps, &mut variables);
        self.enter(who.to_owned(), variables);
        let mut steps = self.steps(steps);
        live::mark_once(&mut steps);
        Hooks { steps, slots: self.slots() }
    }

    fn timeline(&mut self) -> Timeline {
        let calls = &self.script.timeline;
        let mut variables = Vec::new();
        names::of_steps(calls.iter().map(|call| &call.step), &mut variables);
        self.enter("the timeline".to_owned(), variables);
        let mut order: Vec<_> = calls.iter().collect();
        order.sort_by_key(|call| call.at);
        let mut steps: Vec<_> = order.iter().map(|call| self.step(&call.step)).collect();
        live::mark_once(&mut steps);
        Timeline { calls: order.iter().map(|call| call.at).zip(steps).collect(), slots: self.slots() }
    }
}
