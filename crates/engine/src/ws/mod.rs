//! WebSocket sessions (RFC 6455), driven by hand as HTTP/1.1 is: no task, no buffer while nothing is cut. permessage-deflate is not
//! offered.
//!
//! `frame.rs`, `decoder.rs` and `handshake.rs` are the pure part; `open.rs` makes the handshake, `socket.rs` moves bytes and
//! `script.rs` and
//! `reading.rs` do what the step says. Called by `steps.rs`.

mod decoder;
mod frame;
mod handshake;
mod open;
mod reading;
mod script;
mod socket;

use plimsoll_measure::RequestId;
use plimsoll_scenario::{CompiledWebSocket, Needs};

use crate::core::Core;
use crate::flight::Flight;
use crate::lane::Lane;
use crate::stream::{Ears, Opening, StreamEnd, conclude};

use open::{Opened, open};
use script::Session;

/// Opens a session and does what its script says; the handshake is a request and counts from `now`. The last message is kept if
/// `needs` asks for it.
pub(crate) async fn session(
    core: &Core,
    lane: &mut Lane,
    step: &CompiledWebSocket,
    needs: Needs,
    flight: Flight<'_>,
    now: u64,
) -> StreamEnd {
    // Boxed, so that an open session does not carry what opening it took.
    let opened = Box::pin(open(core, lane, step, needs, flight, now)).await;
    let Opened { socket, request, at } = match opened {
        Ok(opened) => opened,
        Err(request) => return StreamEnd::refused(request),
    };
    let opening = Opening {
        core,
        request: RequestId(step.handshake.request),
        ended: request,
        at,
        metric: step.metrics.session,
        concluded: false,
    };
    let ears = Ears::new(core, &step.metrics, at, needs.message);
    let mut session = Session::new(core, lane, step, socket, ears);
    let (outcome, at) = session.run().await;
    conclude(opening, outcome, at, session.into_last())
}
