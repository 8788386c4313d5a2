//! Follows redirects: each answered request is recorded as complete, the next begins at once. Called by `request.rs`; where a
//! `Location` leads is in `redirect.rs`.

use std::time::Instant;

use plimsoll_measure::{End, ErrorClass, RequestId};
use plimsoll_scenario::{CompiledHttp, Needs, Rng};
use rustls_pki_types::ServerName;

use crate::dial::{Destination, count_failure};
use crate::fault::Fault;
use crate::flight::{Ended, Flight};
use crate::h1::{self, Broken, Expecting, Head};
use crate::h2;
use crate::keep::Keep;
use crate::lane::{Lane, env_at};
use crate::pool::speak_h2;
use crate::redirect::Place;
use crate::request::{
    Exchange, Message, Render, conclude, failed, refuse, show, show_parts, timed_out, to_target,
};

/// A response that names another place.
pub(crate) struct Redirected {
    pub(crate) head: Head,
    /// When it ended.
    pub(crate) now: u64,
    /// The generator as it was before the request was rendered.
    pub(crate) choices: Rng,
    /// The wall time that its expressions saw.
    pub(crate) epoch: u64,
}

/// Follows a redirect and those after it. A response that still redirects at the limit has failed, whatever the step expects.
pub(crate) async fn follow(
    lane: &mut Lane,
    step: &CompiledHttp,
    needs: Needs,
    mut flight: Flight<'_>,
    redirected: Redirected,
    limit: Instant,
) -> Ended {
    let core = flight.core();
    let Redirected { mut head, mut now, choices, epoch } = redirected;
    let after = std::mem::replace(&mut lane.memory.rng, choices);
    let parts = step.parts(&mut env_at(core, &mut lane.memory, epoch));
    lane.memory.rng = after;
    let Ok(mut parts) = parts else { return conclude(lane, step, needs, flight, head, now) };
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
        flight = Flight::begun(core, RequestId(step.request), now, lane.retry);
        let expecting = Expecting {
            no_body: parts.method == "HEAD",
            location: true,
            upgrade: false,
            headers: needs.headers,
        };
        let Lane { memory, link, out, body, deadline, .. } = &mut *lane;
        let keep = Keep { body, all: needs.body, unless: Some(&step.expect) };
        let message = Message::Parts(&parts);
        let mut exchange = Exchange { message, expecting, keep, render: Render { out, memory, epoch } };
        let outcome = if place.origin() == core.origin {
            deadline.within(limit, to_target(&mut exchange, link, &mut flight)).await
        } else {
            deadline.within(limit, elsewhere(&place, &mut exchange, &mut flight)).await
        };
        (head, now) = match outcome {
            None => return failed(core, lane, needs, flight, timed_out(step)),
            Some(Err(fault)) => return failed(core, lane, needs, flight, fault),
            Some(Ok(done)) => done,
        };
    }
    // The limit is reached and there is no answer yet.
    if head.location.as_deref().is_some_and(|location| place.follow(location).is_some()) {
        let answer = (head.status, head.headers);
        return refuse(lane, needs, flight, answer, now, ErrorClass::Status);
    }
    conclude(lane, step, needs, flight, head, now)
}

/// One exchange with another origin than the target, on a connection for it alone.
async fn elsewhere(
    place: &Place,
    exchange: &mut Exchange<'_>,
    flight: &mut Flight<'_>,
) -> Result<(Head, u64), Fault> {
    const NO_NAME: Fault =
        Fault::new(ErrorClass::Tls, "the redirect's host is neither a DNS name nor an address");
    let core = flight.core();
    let server_name = match place.scheme.as_str() {
        "https" => Some(ServerName::try_from(place.host.clone()).map_err(|_| NO_NAME)?),
        _ => None,
    };
    let to =
        Destination { host: place.host.clone(), port: place.port, server_name, http: core.destination.http };
    exchange.keep.body.clear();
    let dialed = core.dialer.elsewhere(&to).await;
    let dialed = dialed.inspect_err(|error| count_failure(core, error)).map_err(Fault::from)?;
    core.recorder().health().connections += 1;
    flight.opened(dialed.split);
    let mut io = dialed.io;
    let Exchange { message, expecting, keep, render } = exchange;
    let result = match message {
        Message::Parts(parts) if dialed.h2 => {
            let connection = speak_h2(core, io).await.map_err(Fault::from)?;
            show_parts(core, parts);
            match h2::request(parts) {
                Ok(request) => {
                    h2::exchange(&connection, (request, &parts.body), *expecting, keep, flight).await
                }
                Err(unfit) => Err(unfit),
            }
        }
        message => {
            let (out, mut env) = render.env(core);
            let bytes = message.h1(out, &mut env)?;
            show(core, bytes);
            h1::exchange(&mut io, bytes, *expecting, keep, (None, None), flight).await
        }
    };
    result.map_err(|broken| match broken {
        Broken::Lost(fault) => fault,
        Broken::Unsent => Fault::new(
            ErrorClass::Reset,
            "the redirect's host closed the connection before it took the request",
        ),
    })
}
