//! Steps that are more than one plain request: repeated, retried, capped, polls, sessions, streams, pauses, flows. Called by
//! `steps.rs`; polls are in `poll.rs`, sessions in `ws/`, streams in `sse/`, places in `limit.rs`.

use plimsoll_measure::Observation;
use plimsoll_scenario::{CompiledStep, CompiledStepAction, Message, Needs, Retry, Wait};

use crate::core::Core;
use crate::lane::Lane;
use crate::limit::place;
use crate::poll::poll;
use crate::request::perform;
use crate::steps::{Then, enters, needs, outcome, run};
use crate::stream::StreamEnd;
use crate::trace::TraceEvent;
use crate::{sse, ws};

/// What came of a step's action.
#[derive(Debug)]
pub(crate) struct Done {
    /// What is made of it belongs to the window of this moment.
    pub(crate) at: u64,
    pub(crate) failed: bool,
    /// Status of its last response; 0 without a complete one.
    pub(crate) status: u16,
    /// The last message of a session or stream.
    pub(crate) message: Option<Message>,
    /// A flow's steps may end more than the flow.
    pub(crate) then: Then,
}

impl Done {
    pub(crate) fn new(at: u64, failed: bool, status: u16) -> Self {
        Self { at, failed, status, message: None, then: Then::Next }
    }
}

/// Does a step as often as it is to be repeated.
pub(crate) async fn elaborate(core: &Core, lane: &mut Lane, step: &CompiledStep) -> Then {
    let times = step.repeat.map_or(1, |repeat| repeat.times);
    for turn in 0..times {
        if let (1.., Some(repeat)) = (turn, step.repeat)
            && repeat.gap > 0
        {
            core.trace(|_| TraceEvent::Pause { length: repeat.gap, why: "gap" });
            pause(core, lane, repeat.gap).await;
        }
        if lane.due.is_none() && lane.is_over(core.clock.now()) {
            return Then::Over;
        }
        if !enters(core, lane, step) {
            continue;
        }
        let then = once(core, lane, step).await;
        if then != Then::Next {
            return then;
        }
    }
    Then::Next
}

/// A step from its place, if it is capped, to what is made of its response. The place is given back at the end, also when the user
/// is dropped.
async fn once(core: &Core, lane: &mut Lane, step: &CompiledStep) -> Then {
    let _place = match step.limit {
        None => None,
        Some(limit) => match place(core, lane, limit).await {
            Some(place) => Some(place),
            None => return Then::Over,
        },
    };
    let finishing = lane.finishing;
    let done = match &step.retry {
        None => act(core, lane, step, needs(core, step)).await,
        Some(retry) => attempts(core, lane, step, retry).await,
    };
    lane.finishing = finishing;
    let Some(done) = done else { return Then::Over };
    if done.then != Then::Next {
        return done.then;
    }
    if !step.after.is_empty() {
        let mut env = lane.env(core);
        env.message = done.message.as_ref();
        step.after.apply(&mut env, &mut |note| core.note(done.at, note));
    }
    outcome(lane, step, done.failed)
}

/// Tries until it succeeds or there are no attempts left. Its later attempts may begin after the end of the load: they finish what
/// was begun.
async fn attempts(core: &Core, lane: &mut Lane, step: &CompiledStep, retry: &Retry) -> Option<Done> {
    let needs = needs(core, step);
    let answer = retry.honour_retry_after;
    let needs = needs.and(Needs { response: answer, headers: answer, ..Needs::default() });
    let mut delay = retry.delay;
    let mut first = None;
    for attempt in 1.. {
        lane.retry = attempt > 1;
        let done = act(core, lane, step, needs).await;
        lane.retry = false;
        let done = done?;
        let at = *first.get_or_insert(done.at);
        let again = done.failed || retry.on.iter().any(|(from, to)| (*from..=*to).contains(&done.status));
        if !again || attempt >= retry.attempts || done.then != Then::Next {
            core.observe(retry.metric, at, Observation::Good(!again));
            return Some(done);
        }
        lane.finishing = true;
        let told = if answer { retry_after(lane) } else { None };
        let length = told.unwrap_or(delay).min(retry.max_delay);
        core.trace(|_| TraceEvent::Pause { length, why: "retry" });
        sleep(core, length).await;
        let longer = u128::from(delay) * u128::from(retry.factor) / 1000;
        delay = u64::try_from(longer).unwrap_or(u64::MAX).min(retry.max_delay);
    }
    None
}

/// Nanoseconds that the last response asks to wait; dates are not understood.
fn retry_after(lane: &Lane) -> Option<u64> {
    let last = lane.memory.last.as_ref()?;
    let seconds: u64 = last.headers.iter().find(|(name, _)| name == "retry-after")?.1.trim().parse().ok()?;
    Some(seconds.saturating_mul(1_000_000_000))
}

/// Does what a step does, once. Nothing if the load is over and nothing was begun.
async fn act(core: &Core, lane: &mut Lane, step: &CompiledStep, needs: Needs) -> Option<Done> {
    let now = core.clock.now();
    match &step.action {
        CompiledStepAction::Http(http) => {
            let flight = lane.begin(core, http.request, now)?;
            let ended = perform(core, lane, http, needs, flight, now).await;
            Some(Done::new(ended.at, ended.error.is_some(), ended.status))
        }
        CompiledStepAction::Poll(job) => poll(core, lane, job, needs).await,
        CompiledStepAction::WebSocket(socket) => {
            let flight = lane.begin(core, socket.handshake.request, now)?;
            lane.finishing = true;
            Some(streamed(Box::pin(ws::session(core, lane, socket, needs, flight, now)).await))
        }
        CompiledStepAction::Sse(stream) => {
            let flight = lane.begin(core, stream.http.request, now)?;
            lane.finishing = true;
            Some(streamed(Box::pin(sse::stream(core, lane, stream, needs, flight, now)).await))
        }
        CompiledStepAction::Pause(wait) => {
            wait_for(core, lane, wait).await;
            if lane.is_over(core.clock.now()) { None } else { Some(Done::new(now, false, 0)) }
        }
        CompiledStepAction::Run(steps) => {
            let before = std::mem::take(&mut lane.failed);
            let then = Box::pin(run(core, lane, steps)).await;
            let failed = std::mem::replace(&mut lane.failed, before);
            Some(Done { then, ..Done::new(now, failed, last_status(lane)) })
        }
        CompiledStepAction::Nothing => Some(Done::new(now, false, 0)),
    }
}

fn streamed(end: StreamEnd) -> Done {
    let StreamEnd { request, failed, message } = end;
    Done { message, ..Done::new(request.at, failed, request.status) }
}

fn last_status(lane: &Lane) -> u16 {
    lane.memory.last.as_ref().map_or(0, |last| last.status)
}

async fn wait_for(core: &Core, lane: &mut Lane, wait: &Wait) {
    let length = wait.draw(&mut lane.memory.rng);
    core.trace(|_| TraceEvent::Pause { length, why: "pause" });
    pause(core, lane, length).await;
}

/// Does nothing for so long, or until the load ends. What an arrival is due to do, is due that much later.
async fn pause(core: &Core, lane: &mut Lane, length: u64) {
    let from = lane.due.unwrap_or_else(|| core.clock.now());
    let until = from.saturating_add(length);
    lane.due = lane.due.map(|due| due.saturating_add(length));
    if lane.finishing {
        sleep(core, length).await;
    } else {
        lane.span.pause(&core.clock, until, || false).await;
    }
}

/// Does nothing for so long, the end of the load or not; the hard end drops the user.
pub(crate) async fn sleep(core: &Core, length: u64) {
    let until = core.clock.instant(core.clock.now().saturating_add(length));
    tokio::time::sleep_until(until.into()).await;
}
