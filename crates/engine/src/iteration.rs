//! One iteration of a virtual user: its steps in order. The users of `closed.rs` repeat it, the lanes of `open.rs` run one per
//! arrival; a step's request is in `request.rs`.
//!
//! No request begins at or after the end of the run: an iteration under way stops there, between two steps. Only the first
//! request of an arrival that was due before the end still goes out.

use plimsoll_measure::RequestId;
use plimsoll_scenario::{CompiledScenario, CompiledStep};

use crate::core::Core;
use crate::flight::Flight;
use crate::request::{Lane, perform};

/// Runs an iteration; `due` is when the schedule asked for its first request, if a schedule did.
pub(crate) async fn iterate(core: &Core, lane: &mut Lane, scenario: &CompiledScenario, mut due: Option<u64>) {
    let steps = scenario.action.iteration(&mut lane.rng);
    for step in steps {
        match step {
            CompiledStep::Http(http) => {
                let now = core.clock.now();
                let request = RequestId(http.request);
                let flight = match due.take() {
                    Some(intended) => Flight::scheduled(core, request, intended),
                    None if core.is_over(now) => break,
                    None => Flight::begun(core, request, now),
                };
                perform(core, lane, http, flight, now).await;
            }
            CompiledStep::Pause(wait) => {
                let length = wait.draw(&mut lane.rng);
                let until = due.unwrap_or_else(|| core.clock.now()).saturating_add(length);
                due = due.map(|at| at.saturating_add(length));
                core.pause(until, || false).await;
                if core.is_over(core.clock.now()) {
                    break;
                }
            }
        }
    }
    if let (Some(intended), Some(request)) = (due, first_request(steps)) {
        // It paused to the end of the run before its first request.
        drop(Flight::scheduled(core, request, intended));
    }
}

/// The request by which an arrival is counted.
pub(crate) fn first_request(steps: &[CompiledStep]) -> Option<RequestId> {
    steps.iter().find_map(|step| match step {
        CompiledStep::Http(http) => Some(RequestId(http.request)),
        CompiledStep::Pause(_) => None,
    })
}
