//! Flows: who runs whom. Unknown ones, unused ones and cycles are refused here, before `steps.rs` puts flows where they are run.

use super::error::Errors;
use super::unknown;
use crate::v1alpha1::{Flow, LoadTestSpec, Step};

/// Flows by name, none of which runs itself.
pub(super) struct Flows<'a> {
    list: &'a [Flow],
    /// Some flow runs itself: none can be put in place.
    pub(super) endless: bool,
    /// Some step runs what is not there, or flows are endless.
    pub(super) broken: bool,
}

/// The flows of a spec, checked.
pub(super) fn check<'a>(spec: &'a LoadTestSpec, errors: &mut Errors) -> Flows<'a> {
    let mut flows = Flows { list: &spec.flows, endless: false, broken: false };
    let roots = roots(spec);
    let mut unknown = false;
    for (at, steps) in &roots {
        unknown |= flows.refuse_unknown(steps, at, errors);
    }
    for (index, flow) in spec.flows.iter().enumerate() {
        unknown |= flows.refuse_unknown(&flow.steps, &format!("spec.flows[{index}].steps"), errors);
    }
    flows.endless = flows.refuse_cycles(errors);
    flows.broken = unknown || flows.endless;
    let mut used = vec![false; flows.list.len()];
    for (_, steps) in roots {
        flows.mark(steps, &mut used);
    }
    for (index, flow) in flows.list.iter().enumerate().filter(|(index, _)| !used[*index]) {
        let message = format!("unused flow {:?}: run it from a step, or remove it", flow.name);
        errors.add(format!("spec.flows[{index}].name"), message);
    }
    flows
}

/// Lists of steps that are done without being run by another step, with their paths.
fn roots(spec: &LoadTestSpec) -> Vec<(String, Vec<&Step>)> {
    let mut roots: Vec<(String, Vec<&Step>)> = vec![
        ("spec.setup".to_owned(), spec.setup.iter().collect()),
        ("spec.teardown".to_owned(), spec.teardown.iter().collect()),
        ("spec.timeline".to_owned(), spec.timeline.iter().map(|call| &call.step).collect()),
    ];
    for (i, scenario) in spec.scenarios.iter().enumerate() {
        let at = format!("spec.scenarios[{i}]");
        roots.push((format!("{at}.onStart"), scenario.on_start.iter().collect()));
        roots.push((format!("{at}.onStop"), scenario.on_stop.iter().collect()));
        for (k, task) in scenario.tasks.iter().flatten().enumerate() {
            roots.push((format!("{at}.tasks[{k}].steps"), task.steps.iter().collect()));
        }
        roots.push((format!("{at}.steps"), scenario.steps.iter().flatten().collect()));
    }
    roots
}

impl<'a> Flows<'a> {
    /// A flow and its place in the list.
    pub(super) fn find(&self, name: &str) -> Option<(usize, &'a Flow)> {
        self.list.iter().enumerate().find(|(_, flow)| flow.name == name)
    }

    fn refuse_unknown<S: std::borrow::Borrow<Step>>(
        &self,
        steps: &[S],
        at: &str,
        errors: &mut Errors,
    ) -> bool {
        let mut found = false;
        for (i, step) in steps.iter().enumerate() {
            if let Some(name) = step.borrow().run.as_ref().filter(|name| self.find(name).is_none()) {
                let known: Vec<&str> = self.list.iter().map(|flow| flow.name.as_str()).collect();
                errors.add(format!("{at}[{i}].run"), unknown("flow", name, &known));
                found = true;
            }
        }
        found
    }

    /// Follows every chain of runs; says each cycle once, at the step that closes it.
    fn refuse_cycles(&self, errors: &mut Errors) -> bool {
        let mut done = vec![false; self.list.len()];
        let mut found = false;
        for index in 0..self.list.len() {
            found |= self.follow(index, &mut Vec::new(), &mut done, errors);
        }
        found
    }

    fn follow(&self, index: usize, chain: &mut Vec<usize>, done: &mut [bool], errors: &mut Errors) -> bool {
        if done[index] {
            return false;
        }
        chain.push(index);
        let mut found = false;
        for (i, step) in self.list[index].steps.iter().enumerate() {
            let Some((next, _)) = step.run.as_deref().and_then(|name| self.find(name)) else { continue };
            if let Some(from) = chain.iter().position(|flow| *flow == next) {
                let names: Vec<&str> = chain[from..].iter().map(|at| self.list[*at].name.as_str()).collect();
                let (cycle, first) = (names.join(" → "), names[0]);
                let message = format!(
                    "flow {first:?} runs itself: {cycle} → {first}; remove one of these steps, or use repeat"
                );
                errors.add(format!("spec.flows[{index}].steps[{i}].run"), message);
                found = true;
            } else {
                found |= self.follow(next, chain, done, errors);
            }
        }
        chain.pop();
        done[index] = true;
        found
    }

    /// Marks what these steps run, and what that runs.
    fn mark<'s>(&self, steps: impl IntoIterator<Item = &'s Step>, used: &mut [bool]) {
        let names = steps.into_iter().filter_map(|step| step.run.as_deref());
        for (index, flow) in names.filter_map(|name| self.find(name)) {
            if !used[index] {
                used[index] = true;
                self.mark(&flow.steps, used);
            }
        }
    }
}
