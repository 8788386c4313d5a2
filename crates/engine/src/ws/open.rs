//! Opens a WebSocket: a connection of its own, and the handshake as a request with its sample. What is said there is in
//! `handshake.rs`; the open socket is in `socket.rs`.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Poll, ready};

use plimsoll_measure::ErrorClass;
use plimsoll_scenario::{CompiledWebSocket, Needs, Rng, Stream};
use tokio::io::{AsyncRead, ReadBuf};

use crate::core::Core;
use crate::fault::Fault;
use crate::flight::{Ended, Flight};
use crate::h1::{self, Broken, Expecting, Head, Reader};
use crate::keep::Keep;
use crate::lane::Lane;
use crate::pool::{Fresh, Link};
use crate::request::{Render, conclude, failed, show, timed_out, unmade};
use crate::stream::Arrival;

use super::handshake::{self, Offer};
use super::socket::Socket;

/// Status of an accepted handshake.
const SWITCHED: u16 = 101;

/// A handshake that was accepted.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) socket: Socket,
    pub(super) request: Ended,
    /// When it was, nanoseconds since the start of the run.
    pub(super) at: u64,
}

/// What the server answered.
#[derive(Debug)]
struct Answer {
    fresh: Fresh,
    offer: Offer,
    head: Head,
    /// What came behind the head.
    first: Vec<u8>,
    arrival: Arrival,
}

/// Makes the handshake and records it. Its timeout counts from `now`. `Err`: there is no session, be it that this was expected.
pub(super) async fn open(
    core: &Core,
    lane: &mut Lane,
    step: &CompiledWebSocket,
    needs: Needs,
    mut flight: Flight<'_>,
    now: u64,
) -> Result<Opened, Ended> {
    flight.tried();
    let limit = core.clock.instant(now.saturating_add(step.handshake.timeout));
    // Masks are not the user's choices: how many it needs depends on the server.
    let mut masks = Rng::new(lane.memory.rng.bits(), Stream::Member, 0);
    let Lane { memory, link, out, body, deadline, .. } = &mut *lane;
    body.clear();
    let mut keep = Keep { body, all: needs.body, unless: Some(&step.handshake.expect) };
    let render = Render { out, memory, epoch: core.epoch() };
    let answer = deadline.within(limit, shake(step, render, &mut keep, link, &mut masks, &mut flight)).await;
    let Answer { fresh, offer, head, first, arrival } = match answer {
        Some(Ok(answer)) => answer,
        Some(Err(fault)) => return Err(failed(core, lane, needs, flight, fault)),
        None => return Err(failed(core, lane, needs, flight, timed_out(&step.handshake))),
    };
    if head.status != SWITCHED {
        return Err(conclude(lane, &step.handshake, needs, flight, head, arrival.at));
    }
    if let Err(fault) = handshake::agree(&offer, &head.headers) {
        return Err(failed(core, lane, needs, flight, fault));
    }
    // One that was not wanted says goodbye when it is dropped.
    let socket = Socket::new(fresh.io, (fresh.permit, fresh.open), masks, first, arrival);
    let request = conclude(lane, &step.handshake, needs, flight, head, arrival.at);
    if request.error.is_some() {
        return Err(request);
    }
    Ok(Opened { socket, request, at: arrival.at })
}

async fn shake(
    step: &CompiledWebSocket,
    mut render: Render<'_>,
    keep: &mut Keep<'_>,
    own: &mut Option<Box<Link>>,
    masks: &mut Rng,
    flight: &mut Flight<'_>,
) -> Result<Answer, Fault> {
    let core = flight.core();
    let mut fresh = core.pool.fresh(own, flight).await?;
    let (out, mut env) = render.env(core);
    let mut parts = step.handshake.parts(&mut env).map_err(|error| unmade(&error))?;
    let offer = handshake::offer(&mut parts, &step.subprotocols, masks);
    out.clear();
    parts.write_h1(out);
    show(core, out);
    h1::write(&mut fresh.io, out, core.clock.now(), flight).await.map_err(|broken| match broken {
        Broken::Lost(fault) => fault,
        Broken::Unsent => {
            Fault::new(ErrorClass::Reset, "the connection was closed before it took the handshake")
        }
    })?;
    flight.written(core.clock.now());
    let expecting = Expecting { upgrade: true, headers: true, ..Expecting::default() };
    let mut reader = Reader::new(expecting);
    let (mut first, mut arrival) = (Vec::new(), Arrival::default());
    poll_fn(|cx| {
        let mut buffer = core.buffer();
        while !reader.is_done() {
            let mut piece = ReadBuf::new(&mut buffer);
            let result = ready!(Pin::new(&mut fresh.io).poll_read(cx, &mut piece));
            arrival = Arrival::now(core);
            let bytes = piece.filled();
            match result {
                Ok(()) if bytes.is_empty() => reader.eof()?,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => reader.eof()?,
                Err(error) => return Poll::Ready(Err(h1::lost(&error))),
                Ok(()) => {
                    flight.read(|| arrival.at, bytes.len());
                    let used = reader.feed(bytes, &mut |status, piece| keep.take(status, piece))?;
                    if reader.is_done() {
                        // Frames may come in the same piece as the head.
                        first.extend_from_slice(&bytes[used..]);
                    }
                }
            }
        }
        Poll::Ready(Ok(()))
    })
    .await?;
    Ok(Answer { fresh, offer, head: reader.into_head(), first, arrival })
}
