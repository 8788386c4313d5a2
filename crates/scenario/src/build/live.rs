//! What must be kept of responses: a step's own afterwork reads its response at once, steps without an action and conditions read
//! the user's last one later. Found by going through the steps backwards, as compilers find live variables.

use crate::after::{After, CompiledAssigns, CompiledCondition, Placed};
use crate::compiled::{CompiledAction, CompiledStep, CompiledStepAction, Needs};
use crate::model::OnFailure;

/// Marks all steps of a scenario; its iterations follow one another.
pub(super) fn mark_scenario(
    on_start: &mut [CompiledStep],
    action: &mut CompiledAction,
    on_stop: &mut [CompiledStep],
) {
    let stop = mark(on_stop, Needs::default(), Needs::default());
    let mut ends = stop;
    // What an iteration reads of the one before is known after the first pass, so the second is the last.
    for _ in 0..2 {
        ends = stop.and(iteration(action, ends));
    }
    mark(on_start, ends, ends);
}

/// Marks steps that are done once.
pub(super) fn mark_once(steps: &mut [CompiledStep]) {
    mark(steps, Needs::default(), Needs::default());
}

/// What an iteration reads of the response before it, if what comes after it reads `ends`.
fn iteration(action: &mut CompiledAction, ends: Needs) -> Needs {
    match action {
        CompiledAction::Steps(steps) => mark(steps, ends, ends),
        CompiledAction::Tasks(tasks) => tasks.list.iter_mut().fold(ends, |needs, task| {
            needs.and(condition(task.when.as_ref())).and(mark(&mut task.steps, ends, ends))
        }),
    }
}

/// What these steps read of the response before them. `live`: what is read after them; `ends`: after the iteration.
fn mark(steps: &mut [CompiledStep], mut live: Needs, ends: Needs) -> Needs {
    for step in steps.iter_mut().rev() {
        let own = after(&step.after);
        let later = if step.on_failure == OnFailure::Continue { live } else { live.and(ends) };
        let always = step.when.is_none() && step.chance.is_none();
        let before = match &mut step.action {
            CompiledStepAction::Pause(_) => live,
            CompiledStepAction::Nothing => later.and(own),
            CompiledStepAction::Run(inner) => {
                let first = mark(inner, later, ends);
                // A flow that is repeated, or tried again, comes after itself.
                let repeats = step.repeat.is_some() || step.retry.is_some();
                later.and(if repeats { mark(inner, later.and(first), ends) } else { first })
            }
            CompiledStepAction::Http(http) => {
                step.needs = own.and(http.needs()).and(later);
                if always { Needs::default() } else { later }
            }
            CompiledStepAction::Poll(poll) => {
                let judged = condition(Some(&poll.done)).and(condition(poll.failed.as_ref()));
                step.needs = own.and(judged).and(poll.http.needs()).and(later);
                if always { Needs::default() } else { later }
            }
            CompiledStepAction::WebSocket(socket) => {
                step.needs = own.and(Needs { message: false, ..socket.needs() }).and(later);
                later
            }
            CompiledStepAction::Sse(sse) => {
                step.needs = own.and(Needs { message: false, ..sse.needs() }).and(later);
                later
            }
        };
        step.keeps_last = later.response && step.needs.response;
        live = before.and(condition(step.when.as_ref()));
    }
    live
}

pub(crate) fn condition(condition: Option<&CompiledCondition>) -> Needs {
    condition.map_or_else(Needs::default, |condition| placed(&condition.expr))
}

fn after(after: &After) -> Needs {
    let measures = after.metrics.iter().map(|measure| placed(&measure.expr));
    let checks = after.checks.0.iter().map(|(expr, _)| placed(expr));
    let of = checks.chain(measures).fold(Needs::default(), Needs::and);
    let needs = of.and(assigns(&after.captures)).and(assigns(&after.sets));
    // Whether checks and captures are made at all depends on the status.
    let response = needs.response || !after.checks.is_empty() || !after.captures.is_empty();
    Needs { response, ..needs }
}

pub(crate) fn assigns(assigns: &CompiledAssigns) -> Needs {
    assigns.0.iter().fold(Needs::default(), |needs, assign| needs.and(placed(&assign.expr)))
}

pub(crate) fn placed(expr: &Placed) -> Needs {
    let uses = expr.code.uses();
    Needs { response: uses.response, body: uses.body, headers: uses.headers, message: uses.message }
}
