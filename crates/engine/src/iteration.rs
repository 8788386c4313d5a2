//! Beginnings: of a user's life, and of one iteration, which is all that an arrival does. The users of `closed.rs` repeat it, the
//! lanes of `open.rs` run one per arrival; the steps are in `steps.rs`.

use plimsoll_scenario::{CompiledAction, CompiledScenario, CompiledStep};

use crate::core::Core;
use crate::lane::Lane;
use crate::trace::{Part, TraceEvent};

/// The steps of the next iteration; draws the task.
#[inline]
pub(crate) fn steps_of<'s>(
    core: &Core,
    lane: &mut Lane,
    scenario: &'s CompiledScenario,
) -> &'s [CompiledStep] {
    // Only a task's condition sees the time.
    let (epoch, at) = match &scenario.action {
        CompiledAction::Steps(steps) => return steps,
        CompiledAction::Tasks(_) => (core.epoch(), core.clock.now()),
    };
    let shared = &core.bound.shared;
    scenario.action.iteration(shared, &mut lane.memory, epoch, &mut |note| core.note(at, note))
}

/// The steps of an iteration that begins now.
#[inline]
pub(crate) fn begin_iteration<'s>(
    core: &Core,
    lane: &mut Lane,
    scenario: &'s CompiledScenario,
) -> &'s [CompiledStep] {
    core.trace(|_| TraceEvent::Part(Part::Iteration(lane.memory.iteration)));
    let steps = steps_of(core, lane, scenario);
    if steps.is_empty() {
        let why = || "`when` of the task that was drawn is false".to_owned();
        core.trace(|_| TraceEvent::Skipped { at: scenario.name.clone(), why: why() });
    }
    steps
}

/// Begins a user's life: its first rows of the tables, and its state. `false`: the data are used up.
pub(crate) fn is_born(core: &Core, lane: &mut Lane, scenario: &CompiledScenario) -> bool {
    let at = core.clock.now();
    let epoch = if scenario.state.is_empty() { 0 } else { core.epoch() };
    let (shared, rows) = (&core.bound.shared, &mut *core.rows());
    lane.memory.begin_life(scenario, shared, rows, epoch, &mut |note| core.note(at, note))
}
