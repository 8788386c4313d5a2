//! One step of a user: take a connection, exchange, judge, follow redirects, record. Connections are in `pool.rs`, bytes in
//! `h1/` and `h2.rs`, the sample in `flight.rs`.

use std::time::Instant;

use plimsoll_measure::{End, ErrorClass, RequestId};
use plimsoll_scenario::{CompiledHttp, Parts, RenderError, Rng};
use rustls_pki_types::ServerName;

use crate::core::Core;
use crate::deadline::Deadline;
use crate::dial::Destination;
use crate::flight::Flight;
use crate::h1::{self, Broken, Expecting, Head};
use crate::h2;
use crate::pool::{Link, Wire, count_failure, speak_h2};
use crate::redirect::Place;

/// Connections that may turn out dead before a request is given up as reset.
const ATTEMPTS: u32 = 3;

/// What a user carries from request to request.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) rng: Rng,
    /// Its own connection, if users have one.
    pub(crate) link: Option<Box<Link>>,
    /// A request that varies is rendered here.
    out: Vec<u8>,
    deadline: Deadline,
}

impl Lane {
    pub(crate) fn new(rng: Rng) -> Self {
        Self { rng, link: None, out: Vec::new(), deadline: Deadline::default() }
    }
}

/// What to send: rendered late, in the form that the connection speaks.
#[derive(Clone, Copy, Debug)]
enum Message<'m> {
    Step(&'m CompiledHttp),
    Parts(&'m Parts<'m>),
}

impl Message<'_> {
    fn h1<'a>(&'a self, out: &'a mut Vec<u8>, rng: &mut Rng) -> Result<&'a [u8], RenderError> {
        match self {
            Self::Step(step) => {
                if let Some(bytes) = step.as_static() {
                    return Ok(bytes);
                }
                out.clear();
                step.render_h1(out, rng)?;
            }
            Self::Parts(parts) => {
                out.clear();
                parts.write_h1(out);
            }
        }
        Ok(out)
    }
}

/// Makes the request of a step and records it, and each redirect that it follows. `limit` of time counts from `now`.
#[inline]
pub(crate) async fn perform(core: &Core, lane: &mut Lane, step: &CompiledHttp, flight: Flight<'_>, now: u64) {
    let mut flight = flight;
    flight.tried();
    let limit = core.clock.instant(now.saturating_add(step.timeout));
    let expecting = Expecting { no_body: step.is_head(), location: step.redirects > 0 };
    // A redirect repeats the very choices of the request that it answers.
    let choices = lane.rng.clone();
    let Lane { rng, link, out, deadline } = lane;
    let message = Message::Step(step);
    let attempt = to_target(message, expecting, Render { out, rng }, link, &mut flight);
    let (head, now) = match deadline.within(limit, attempt).await {
        None => return flight.fail(ErrorClass::Timeout),
        Some(Err(class)) => return flight.fail(class),
        Some(Ok(done)) => done,
    };
    if head.location.is_some() {
        let redirected = Redirected { head, now, choices };
        return Box::pin(follow(core, lane, step, flight, redirected, limit)).await;
    }
    finish(step, flight, head.status, now);
}

fn finish(step: &CompiledHttp, flight: Flight<'_>, status: u16, now: u64) {
    let error = if step.expect.contains(status) { None } else { Some(ErrorClass::Status) };
    flight.end(End::Complete { status, error }, now);
}

/// Where and from what a request is rendered.
struct Render<'l> {
    out: &'l mut Vec<u8>,
    rng: &'l mut Rng,
}

/// One exchange with the run's target. A connection that was dead before it took a byte is replaced.
async fn to_target(
    message: Message<'_>,
    expecting: Expecting,
    render: Render<'_>,
    own: &mut Option<Box<Link>>,
    flight: &mut Flight<'_>,
) -> Result<(Head, u64), ErrorClass> {
    let core = flight.core();
    let Render { out, rng } = render;
    let choices = rng.clone();
    for _ in 0..ATTEMPTS {
        *rng = choices.clone();
        let mut taken = core.pool.take(own, flight).await.map_err(|error| error.class())?;
        let result = match taken.held.link_mut().map(|link| &mut link.wire) {
            Some(Wire::H1(io)) => {
                let bytes = message.h1(out, rng).map_err(|error| unmade(&error))?;
                let ready = flight.ready(taken.at_once);
                h1::exchange(io, bytes, expecting, ready, flight).await
            }
            // Boxed, so that users of HTTP/1.1 do not carry its state.
            _ => Box::pin(over_h2(message, expecting, rng, taken.held.link(), flight)).await,
        };
        match result {
            Ok((head, now)) => {
                core.pool.give_back(taken.held, own, head.keep_alive, now);
                return Ok((head, now));
            }
            Err(Broken::Lost(class)) => return Err(class),
            Err(Broken::Unsent) if taken.reused => {}
            Err(Broken::Unsent) => break,
        }
    }
    Err(ErrorClass::Reset)
}

async fn over_h2(
    message: Message<'_>,
    expecting: Expecting,
    rng: &mut Rng,
    link: &Link,
    flight: &mut Flight<'_>,
) -> Result<(Head, u64), Broken> {
    let Wire::H2(connection) = &link.wire else { return Err(Broken::Lost(ErrorClass::Protocol)) };
    match message {
        Message::Parts(parts) => h2::exchange(connection, parts, expecting, flight).await,
        Message::Step(step) => {
            let parts = step.parts(rng).map_err(|error| Broken::Lost(unmade(&error)))?;
            h2::exchange(connection, &parts, expecting, flight).await
        }
    }
}

/// An expression failed: there is no request to send. Counted as not sent; the reason is in the log.
fn unmade(error: &RenderError) -> ErrorClass {
    tracing::warn!(%error, "a request could not be made");
    ErrorClass::Protocol
}

/// A response that names another place.
struct Redirected {
    head: Head,
    /// When it ended.
    now: u64,
    /// The generator as it was before the request was rendered.
    choices: Rng,
}

/// Follows redirects: each answered request is recorded as complete, the next begins at once. One that still redirects at the limit
/// has failed, whatever the step expects.
async fn follow(
    core: &Core,
    lane: &mut Lane,
    step: &CompiledHttp,
    mut flight: Flight<'_>,
    redirected: Redirected,
    limit: Instant,
) {
    let Redirected { mut head, mut now, mut choices } = redirected;
    let Ok(mut parts) = step.parts(&mut choices) else { return finish(step, flight, head.status, now) };
    let mut place = Place {
        scheme: core.origin.scheme().to_owned(),
        host: core.destination.host.clone(),
        port: core.destination.port,
        target: String::from_utf8_lossy(&parts.target).into_owned(),
    };
    for _ in 0..step.redirects {
        let Some(next) = head.location.as_deref().and_then(|location| place.follow(location)) else { break };
        flight.end(End::Complete { status: head.status, error: None }, now);
        parts.redirect(head.status, &place.origin(), &next.origin(), &next.target);
        place = next;
        now = core.clock.now();
        flight = Flight::begun(core, RequestId(step.request), now);
        let expecting = Expecting { no_body: parts.method == "HEAD", location: true };
        let Lane { rng, link, out, deadline } = &mut *lane;
        let message = Message::Parts(&parts);
        let outcome = if place.origin() == core.origin {
            deadline
                .within(limit, to_target(message, expecting, Render { out, rng }, link, &mut flight))
                .await
        } else {
            deadline
                .within(limit, elsewhere(&place, message, expecting, Render { out, rng }, &mut flight))
                .await
        };
        (head, now) = match outcome {
            None => return flight.fail(ErrorClass::Timeout),
            Some(Err(class)) => return flight.fail(class),
            Some(Ok(done)) => done,
        };
    }
    // The limit is reached and there is no answer yet.
    if head.location.as_deref().is_some_and(|location| place.follow(location).is_some()) {
        return flight.end(End::Complete { status: head.status, error: Some(ErrorClass::Status) }, now);
    }
    finish(step, flight, head.status, now);
}

/// One exchange with another origin than the target, on a connection for it alone.
async fn elsewhere(
    place: &Place,
    message: Message<'_>,
    expecting: Expecting,
    render: Render<'_>,
    flight: &mut Flight<'_>,
) -> Result<(Head, u64), ErrorClass> {
    let core = flight.core();
    let server_name = match place.scheme.as_str() {
        "https" => Some(ServerName::try_from(place.host.clone()).map_err(|_| ErrorClass::Tls)?),
        _ => None,
    };
    let to =
        Destination { host: place.host.clone(), port: place.port, server_name, http: core.destination.http };
    let dialed = core.dialer.elsewhere(&to).await;
    let dialed = dialed.inspect_err(|error| count_failure(core, error)).map_err(|error| error.class())?;
    core.recorder().health().connections += 1;
    flight.opened(dialed.split);
    let mut io = dialed.io;
    let result = match message {
        Message::Parts(parts) if dialed.h2 => {
            let connection = speak_h2(core, io).await.map_err(|error| error.class())?;
            h2::exchange(&connection, parts, expecting, flight).await
        }
        message => {
            let bytes = message.h1(render.out, render.rng).map_err(|error| unmade(&error))?;
            h1::exchange(&mut io, bytes, expecting, None, flight).await
        }
    };
    result.map_err(|broken| match broken {
        Broken::Lost(class) => class,
        Broken::Unsent => ErrorClass::Reset,
    })
}
