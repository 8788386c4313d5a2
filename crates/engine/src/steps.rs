//! The interpreter: what a user does, step by step. Steps that are only a request, with what is made of its response, are done here;
//! what repeats, retries, waits for a place, or is no plain request is in `elaborate.rs`. A request itself is in `request.rs`; who
//! calls is in `iteration.rs` and `hooks.rs`.
//!
//! No request begins at or after the end of the load: what is under way stops there, between two steps. Only the first request of
//! an arrival that was due before the end still goes out, and a step that has begun may finish within `gracefulStop`.

use plimsoll_measure::RequestId;
use plimsoll_scenario::{CompiledStep, CompiledStepAction, Needs, OnFailure};

use crate::core::Core;
use crate::elaborate::elaborate;
use crate::lane::Lane;
use crate::request::perform;
use crate::trace::TraceEvent;

/// What comes after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// The next step.
    Next,
    /// The rest of the iteration is left out, since a step failed.
    EndIteration,
    /// The user ends, since a step failed.
    EndUser,
    /// The load is over.
    Over,
}

/// Does steps in order.
pub(crate) async fn run(core: &Core, lane: &mut Lane, steps: &[CompiledStep]) -> Then {
    let mut now = lane.now.take();
    for step in steps {
        let now = now.take();
        let then = match &step.action {
            CompiledStepAction::Http(http) if is_plain(step) => {
                if !enters(core, lane, step) {
                    continue;
                }
                let now = now.filter(|_| step.when.is_none()).unwrap_or_else(|| core.clock.now());
                let Some(flight) = lane.begin(core, http.request, now) else { return Then::Over };
                let ended = perform(core, lane, http, needs(core, step), flight, now).await;
                after(core, lane, step, ended.at);
                outcome(lane, step, ended.error.is_some())
            }
            CompiledStepAction::Nothing if is_plain(step) => {
                if enters(core, lane, step) {
                    after(core, lane, step, core.clock.now());
                }
                Then::Next
            }
            // Boxed, so that users of plain steps stay small.
            _ => Box::pin(elaborate(core, lane, step)).await,
        };
        if then != Then::Next {
            return then;
        }
    }
    Then::Next
}

#[inline]
fn is_plain(step: &CompiledStep) -> bool {
    step.repeat.is_none() && step.retry.is_none() && step.limit.is_none()
}

/// Whether a step is done this time: its condition holds, and its chance is drawn.
#[inline]
pub(crate) fn enters(core: &Core, lane: &mut Lane, step: &CompiledStep) -> bool {
    if let Some(when) = &step.when {
        let at = core.clock.now();
        if !when.holds(&mut lane.env(core), &mut |note| core.note(at, note)) {
            core.trace(|_| TraceEvent::Skipped { at: step.at.clone(), why: "`when` is false".to_owned() });
            return false;
        }
    }
    let happens = step.happens(&mut lane.memory.rng);
    match happens {
        true => core.trace(|tracer| TraceEvent::Step { at: step.at.clone(), name: name(tracer, step) }),
        false => core
            .trace(|_| TraceEvent::Skipped { at: step.at.clone(), why: "`chance` is not drawn".to_owned() }),
    }
    happens
}

fn name(tracer: &crate::trace::Tracer, step: &CompiledStep) -> String {
    match (&step.action, request_of(step)) {
        (CompiledStepAction::Run(_), _) => "run".to_owned(),
        (CompiledStepAction::Pause(_), _) => "pause".to_owned(),
        (_, Some(RequestId(request))) => tracer.request(request),
        (_, None) => "set".to_owned(),
    }
}

const ALL: Needs = Needs { response: true, body: true, headers: true, message: true };

/// What must be kept of a step's response; whoever traces sees all of it.
#[inline]
pub(crate) fn needs(core: &Core, step: &CompiledStep) -> Needs {
    if core.tracer.is_some() { ALL } else { step.needs }
}

/// What is made of a step's response, or of the user's last one. It belongs to the window of `at`.
#[inline]
pub(crate) fn after(core: &Core, lane: &mut Lane, step: &CompiledStep, at: u64) {
    if !step.after.is_empty() {
        step.after.apply(&mut lane.env(core), &mut |note| core.note(at, note));
    }
}

/// What a step's failure means for its user.
#[inline]
pub(crate) fn outcome(lane: &mut Lane, step: &CompiledStep, failed: bool) -> Then {
    lane.failed |= failed;
    if !failed || step.on_failure == OnFailure::Continue {
        return Then::Next;
    }
    lane.failed_at = Some(step.at.clone());
    if step.on_failure == OnFailure::EndUser { Then::EndUser } else { Then::EndIteration }
}

/// The request by which an arrival is counted: the first one of its steps, if none is left out.
pub(crate) fn first_request(steps: &[CompiledStep]) -> Option<RequestId> {
    steps.iter().find_map(request_of)
}

fn request_of(step: &CompiledStep) -> Option<RequestId> {
    let request = match &step.action {
        CompiledStepAction::Http(http) => http.request,
        CompiledStepAction::Poll(poll) => poll.http.request,
        CompiledStepAction::WebSocket(socket) => socket.handshake.request,
        CompiledStepAction::Sse(sse) => sse.http.request,
        CompiledStepAction::Run(steps) => return first_request(steps),
        CompiledStepAction::Pause(_) | CompiledStepAction::Nothing => return None,
    };
    Some(RequestId(request))
}
