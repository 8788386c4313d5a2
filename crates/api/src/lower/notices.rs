//! What a spec asks for and this version accepts without acting on it. Shown in the status, so that nobody relies on it.

use super::load::Lowered;
use crate::v1alpha1::{Concurrency, LoadTestSpec, RunPolicy};

/// One notice per field that has no effect.
pub(super) fn of(spec: &LoadTestSpec, load: &Lowered) -> Vec<String> {
    let mut notices = Vec::new();
    let mut without_effect = |field: &str| notices.push(format!("{field} is not acted on by this version"));
    for field in spec.run_policy.iter().flat_map(policy) {
        without_effect(&format!("runPolicy.{field}"));
    }
    if spec.telemetry.as_ref().is_some_and(|telemetry| telemetry.traces.is_some()) {
        without_effect("telemetry.traces");
    }
    if spec.results.as_ref().is_some_and(|results| results.volume_claim.is_some()) {
        without_effect("results.volumeClaim");
    }
    for (index, scenario) in spec.scenarios.iter().enumerate() {
        if scenario.wait.is_some() && load.is_open(index) {
            let name = &scenario.name;
            notices.push(format!("wait of scenario {name} is not used: arrivals come when they are due"));
        }
    }
    let per = spec.target.connections.as_ref().and_then(|connections| connections.per);
    let open = load.groups.iter().filter(|group| group.load.is_open()).count();
    if per.is_none() && open > 0 && open < load.groups.len() {
        notices.push(
            "users and arrivals are in one run: each has connections of its own, as users have; set target.connections.per: Worker to share them"
                .to_owned(),
        );
    }
    notices
}

/// Fields of the run policy that have no effect.
fn policy(policy: &RunPolicy) -> Vec<&'static str> {
    let fields = [
        ("schedule", policy.schedule.is_some()),
        ("onRollout", policy.on_rollout.is_some()),
        ("concurrency", policy.concurrency.is_some_and(|concurrency| concurrency != Concurrency::Queue)),
    ];
    fields.into_iter().filter(|(_, given)| *given).map(|(field, _)| field).collect()
}
