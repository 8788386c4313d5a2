//! One request of a user: take a connection, exchange, judge, follow redirects, record. Connections are in `pool.rs`, bytes in
//! `h1/` and `h2.rs`, the sample in `flight.rs`; `steps.rs` says when. Where redirects lead is in `redirect.rs`.

use std::pin::pin;
use std::time::Duration;

use plimsoll_measure::{End, ErrorClass};
use plimsoll_scenario::{CompiledHttp, Env, Memory, Needs, Parts, RenderError};

use crate::core::Core;
use crate::fault::{Fault, excerpt};
use crate::flight::{Ended, Flight};
use crate::follow::{Redirected, follow};
use crate::h1::{self, Broken, Expecting, Head, Headers};
use crate::h2;
use crate::keep::Keep;
use crate::lane::{Lane, env_at};
use crate::pool::{Link, Wire};
use crate::trace::TraceEvent;

/// Connections that may turn out dead before a request is given up as reset.
const ATTEMPTS: u32 = 3;

/// What to send: rendered late, in the form that the connection speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Message<'m> {
    Step(&'m CompiledHttp),
    Parts(&'m Parts<'m>),
}

impl Message<'_> {
    /// Whether rendering it makes no choice.
    #[inline]
    fn is_static(&self) -> bool {
        match self {
            Self::Step(step) => step.as_static().is_some(),
            Self::Parts(_) => true,
        }
    }

    /// The number of a request whose response is likely to repeat.
    #[inline]
    fn ordinal(&self) -> Option<usize> {
        match self {
            Self::Step(step) => Some(step.ordinal),
            Self::Parts(_) => None,
        }
    }

    pub(crate) fn h1<'a>(&'a self, out: &'a mut Vec<u8>, env: &mut Env<'_>) -> Result<&'a [u8], Fault> {
        match self {
            Self::Step(step) => {
                if let Some(bytes) = step.as_static() {
                    return Ok(bytes);
                }
                out.clear();
                step.render_h1(out, env).map_err(|error| unmade(&error))?;
            }
            Self::Parts(parts) => {
                out.clear();
                parts.write_h1(out);
            }
        }
        Ok(out)
    }
}

/// Where and from what a request is rendered.
pub(crate) struct Render<'l> {
    pub(crate) out: &'l mut Vec<u8>,
    pub(crate) memory: &'l mut Memory,
    /// Wall time that its expressions see.
    pub(crate) epoch: u64,
}

impl Render<'_> {
    pub(crate) fn env<'a>(&'a mut self, core: &'a Core) -> (&'a mut Vec<u8>, Env<'a>) {
        (self.out, env_at(core, self.memory, self.epoch))
    }
}

/// Makes a request and records it, and each redirect that it follows. Its timeout counts from `now`. The response becomes the
/// user's last one if `needs` asks for it.
#[inline]
pub(crate) async fn perform(
    core: &Core,
    lane: &mut Lane,
    step: &CompiledHttp,
    needs: Needs,
    flight: Flight<'_>,
    now: u64,
) -> Ended {
    let mut flight = flight;
    flight.tried();
    let limit = core.clock.instant(now.saturating_add(step.timeout));
    let expecting = Expecting {
        no_body: step.is_head(),
        location: step.redirects > 0,
        upgrade: step.upgrades,
        headers: needs.headers,
    };
    // A redirect repeats the very choices of the request that it answers. What does not vary makes none, and does not see the time.
    let (choices, epoch) = match step.as_static() {
        Some(_) => (None, 0),
        None => (Some(lane.memory.rng.clone()), core.epoch()),
    };
    let Lane { memory, link, out, body, deadline, .. } = &mut *lane;
    let keep = Keep { body, all: needs.body, unless: Some(&step.expect) };
    let mut exchange =
        Exchange { message: Message::Step(step), expecting, keep, render: Render { out, memory, epoch } };
    let answer = {
        let attempt = pin!(to_target(&mut exchange, link, &mut flight));
        deadline.within_pinned(limit, attempt).await
    };
    let (head, now) = match answer {
        Some(Ok(done)) => done,
        Some(Err(fault)) => return failed(core, lane, needs, flight, fault),
        None => return failed(core, lane, needs, flight, timed_out(step)),
    };
    if head.location.is_none() && !needs.response && !step.has_that() && step.expect.contains(head.status) {
        // Most requests: nothing is to be done but to count it.
        return flight.end(End::Complete { status: head.status, error: None }, now);
    }
    if head.location.is_some() {
        let choices = choices.unwrap_or_else(|| lane.memory.rng.clone());
        let redirected = Redirected { head, now, choices, epoch };
        return Box::pin(follow(lane, step, needs, flight, redirected, limit)).await;
    }
    conclude(lane, step, needs, flight, head, now)
}

/// A timeout says what it was.
pub(crate) fn timed_out(step: &CompiledHttp) -> Fault {
    let limit = Duration::from_nanos(step.timeout);
    Fault::told(ErrorClass::Timeout, format_args!("no complete response within {limit:?}"))
}

/// Judges a complete response, whose body is in `lane.body` as far as it was kept, and records its request.
pub(crate) fn conclude(
    lane: &mut Lane,
    step: &CompiledHttp,
    needs: Needs,
    flight: Flight<'_>,
    head: Head,
    now: u64,
) -> Ended {
    let core = flight.core();
    let Head { status, headers, .. } = head;
    if !step.expect.contains(status) {
        return refuse(lane, needs, flight, (status, headers), now, ErrorClass::Status);
    }
    if !step.has_that() {
        let ended = flight.end(End::Complete { status, error: None }, now);
        if needs.response {
            told(core, lane, &headers, &ended);
            lane.remember(headers, &ended);
        }
        return ended;
    }
    // The response must be seen before it is known whether it is one.
    let seen = Ended { at: now, status, latency: flight.latency(now), error: None };
    told(core, lane, &headers, &seen);
    lane.remember(headers, &seen);
    let Err(cause) = step.that(&mut lane.env(core)) else {
        return flight.end(End::Complete { status, error: None }, now);
    };
    core.trace(|_| TraceEvent::Failed { class: ErrorClass::Body, cause: cause.clone() });
    let body = lane.memory.last.as_ref().map_or(&[][..], |last| &last.body);
    let ended =
        flight.refused(ErrorClass::Body, status, now, || format!("{cause}; {}", excerpt(status, body)));
    if let Some(last) = &mut lane.memory.last {
        last.error = ended.error.map(crate::fault::class_name);
    }
    ended
}

/// A complete response that is not what was expected, with its status and headers.
pub(crate) fn refuse(
    lane: &mut Lane,
    needs: Needs,
    flight: Flight<'_>,
    (status, headers): (u16, Headers),
    now: u64,
    class: ErrorClass,
) -> Ended {
    let core = flight.core();
    let ended = flight.refused(class, status, now, || excerpt(status, &lane.body));
    if needs.response {
        told(core, lane, &headers, &ended);
        let cause = || format!("status {status} is not among the expected ones");
        core.trace(|_| TraceEvent::Failed { class, cause: cause() });
        lane.remember(headers, &ended);
    }
    ended
}

/// There is no complete response.
pub(crate) fn failed(core: &Core, lane: &mut Lane, needs: Needs, flight: Flight<'_>, fault: Fault) -> Ended {
    core.trace(|_| TraceEvent::Failed { class: fault.class, cause: fault.cause.clone().into_owned() });
    let ended = flight.fail(fault);
    if needs.response {
        lane.body.clear();
        lane.remember(Headers::new(), &ended);
    }
    ended
}

fn told(core: &Core, lane: &Lane, headers: &Headers, ended: &Ended) {
    core.trace(|_| TraceEvent::Response {
        status: ended.status,
        headers: headers.clone(),
        body: String::from_utf8_lossy(&lane.body).into_owned(),
        latency: ended.latency,
    });
}

/// One request, and what is wanted of its response.
pub(crate) struct Exchange<'x> {
    pub(crate) message: Message<'x>,
    pub(crate) expecting: Expecting,
    pub(crate) keep: Keep<'x>,
    pub(crate) render: Render<'x>,
}

/// One exchange with the run's target. A connection that was dead before it took a byte is replaced.
pub(crate) async fn to_target(
    exchange: &mut Exchange<'_>,
    own: &mut Option<Box<Link>>,
    flight: &mut Flight<'_>,
) -> Result<(Head, u64), Fault> {
    let core = flight.core();
    let varies = !exchange.message.is_static();
    let choices = varies.then(|| exchange.render.memory.rng.clone());
    for attempt in 0..ATTEMPTS {
        if let (1.., Some(choices)) = (attempt, &choices) {
            exchange.render.memory.rng = choices.clone();
        }
        exchange.keep.body.clear();
        let mut taken = core.pool.take(own, flight).await.map_err(Fault::from)?;
        let result = match taken.held.link_mut().map(|link| &mut link.wire) {
            Some(Wire::H1(io)) => {
                let Exchange { message, expecting, keep, render } = &mut *exchange;
                let (out, mut env) = render.env(core);
                let bytes = match message.h1(out, &mut env) {
                    Ok(bytes) => bytes,
                    Err(fault) => {
                        core.pool.give_back(taken.held, own, true, core.clock.now());
                        return Err(fault);
                    }
                };
                show(core, bytes);
                let ready = flight.ready(taken.at_once);
                h1::exchange(io, bytes, *expecting, keep, (ready, message.ordinal()), flight).await
            }
            // Boxed, so that users of HTTP/1.1 do not carry its state.
            _ => Box::pin(over_h2(exchange, taken.held.link(), flight)).await,
        };
        match result {
            Ok((head, now)) => {
                core.pool.give_back(taken.held, own, head.keep_alive, now);
                return Ok((head, now));
            }
            Err(Broken::Lost(fault)) => return Err(fault),
            Err(Broken::Unsent) if taken.reused => {}
            Err(Broken::Unsent) => break,
        }
    }
    Err(Fault::new(ErrorClass::Reset, "the connection was closed before it took the request"))
}

async fn over_h2(
    exchange: &mut Exchange<'_>,
    link: &Link,
    flight: &mut Flight<'_>,
) -> Result<(Head, u64), Broken> {
    let Wire::H2(connection) = &link.wire else {
        let cause = "the connection does not speak the protocol that it was opened for";
        return Err(Broken::Lost(Fault::new(ErrorClass::Protocol, cause)));
    };
    let core = flight.core();
    let Exchange { message, expecting, keep, render } = exchange;
    let step = match message {
        Message::Parts(parts) => {
            show_parts(core, parts);
            let request = (h2::request(parts)?, &*parts.body);
            return h2::exchange(connection, request, *expecting, keep, flight).await;
        }
        Message::Step(step) => step,
    };
    if let Some(request) = core.repeated.get(step.ordinal) {
        return h2::exchange(connection, (request, &[]), *expecting, keep, flight).await;
    }
    let parts = {
        let (_, mut env) = render.env(core);
        step.parts(&mut env).map_err(|error| Broken::Lost(unmade(&error)))?
    };
    show_parts(core, &parts);
    let request = h2::request(&parts)?;
    // Whoever traces sees every request in its parts.
    if step.as_static().is_some() && parts.body.is_empty() && core.tracer.is_none() {
        core.repeated.keep(step.ordinal, &request);
    }
    h2::exchange(connection, (request, &parts.body), *expecting, keep, flight).await
}

/// An expression failed: there is no request to send. Counted as not sent.
pub(crate) fn unmade(error: &RenderError) -> Fault {
    Fault::told(ErrorClass::Protocol, format_args!("the request could not be made: {error}"))
}

/// Shows a request to whoever traces.
#[inline]
pub(crate) fn show(core: &Core, bytes: &[u8]) {
    core.trace(|_| TraceEvent::Request { text: String::from_utf8_lossy(bytes).into_owned() });
}

/// [`show`], of a request that is not made of HTTP/1.1's bytes.
pub(crate) fn show_parts(core: &Core, parts: &Parts<'_>) {
    if core.tracer.is_some() {
        let mut bytes = Vec::new();
        parts.write_h1(&mut bytes);
        show(core, &bytes);
    }
}
