//! WebSockets (RFC 6455) over HTTP/1.1: the handshake is planned like any answer (`plan.rs`), then the connection is
//! served here. The frames (`websocket/frame.rs`) are written here and not taken from a library, because faults have to
//! break the protocol on purpose and times have to be taken at the moment of writing.

mod frame;
mod handshake;
mod outbox;
mod peers;
mod socket;
mod talk;

use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::json;

pub(crate) use self::handshake::{Opening, handshake_delay, open};
pub(crate) use self::peers::Peers;

use self::outbox::Outbox;
use self::socket::{Next, Socket};
use self::talk::{Moment, Out, Talk};
use crate::aragora::{Live, matches, stamp};
use crate::core::Core;
use crate::transport::Transport;

/// A path that takes WebSockets.
#[derive(Debug)]
pub(crate) struct Door {
    /// The path; `{…}` stands for any one part.
    pub(crate) pattern: &'static str,
    kind: Kind,
}

/// What is spoken behind a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Every message is sent back.
    Echo,
    /// Subscriptions to debates and channels.
    Talk,
    /// After the client's first message, what becomes of an order.
    Order,
}

/// The door that sends everything back.
pub(crate) static ECHO: Door = Door { pattern: "/ws/echo", kind: Kind::Echo };

/// The door to the orders of the default service.
pub(crate) static ORDER: Door = Door { pattern: "/ws/orders/{id}", kind: Kind::Order };

/// The stages of an order, and the time from one to the next.
const STAGES: [&str; 3] = ["packed", "shipped", "delivered"];
const STAGE: Duration = Duration::from_millis(20);

/// The doors to the Aragora service.
pub(crate) static DOORS: &[Door] = &[
    Door { pattern: "/ws", kind: Kind::Talk },
    Door { pattern: "/ws/stream", kind: Kind::Talk },
    Door { pattern: "/ws/debates/{id}", kind: Kind::Talk },
];

/// The door of a path.
pub(crate) fn find(path: &str) -> Option<&'static Door> {
    DOORS.iter().find(|door| matches(door.pattern, path))
}

/// Serves a connection after its handshake until one side ends it; `input` is what was read behind the handshake.
pub(crate) async fn serve<T: Transport>(
    core: &Rc<Core>,
    io: T,
    input: &[u8],
    opening: Opening,
) -> io::Result<()> {
    let _busy = core.busy();
    let Opening { door, debate, reject, stream, place } = opening;
    let mut socket = Socket::new(core.clone(), io, input, stream);
    let served = match (reject, door.kind) {
        (Some((code, reason)), _) => socket.close(code, reason).await,
        (None, Kind::Echo) => echo(&mut socket).await,
        (None, Kind::Order) => order(&mut socket).await,
        (None, Kind::Talk) => talk(&mut socket, debate).await,
    };
    drop(place);
    served
}

/// Sends everything back.
async fn echo<T: Transport>(socket: &mut Socket<T>) -> io::Result<()> {
    loop {
        match socket.next(None).await? {
            Next::Message(message) => socket.send(message.is_text, &message.payload, Instant::now()).await?,
            Next::Due => {}
            Next::Stop => return socket.close(1001, "the server stops").await,
            Next::Ended => return Ok(()),
        }
    }
}

/// Tells of the stages of an order, from the client's first message on.
async fn order<T: Transport>(socket: &mut Socket<T>) -> io::Result<()> {
    let (mut stages, mut due) = (STAGES.iter(), None);
    loop {
        match socket.next(due).await? {
            Next::Message(_) if due.is_none() && stages.len() > 0 => due = Some(Instant::now() + STAGE),
            Next::Message(_) => {}
            Next::Due => {
                let now = Instant::now();
                if let Some(stage) = stages.next() {
                    let server = &socket.core.server;
                    let ts = stamp(server.faults.live().settings.shape, server.clock.unix_us(now));
                    let text = json!({"type": stage, "ts": ts}).to_string();
                    socket.send(true, text.as_bytes(), now).await?;
                }
                due = due.filter(|_| stages.len() > 0).map(|due| due + STAGE);
            }
            Next::Stop => return socket.close(1001, "the server stops").await,
            Next::Ended => return Ok(()),
        }
    }
}

/// Speaks with a client of the Aragora service.
async fn talk<T: Transport>(socket: &mut Socket<T>, debate: Option<String>) -> io::Result<()> {
    let core = socket.core.clone();
    let server = &core.server;
    let (mut outbox, mut talk) = (Outbox::default(), Talk::new(socket.number(), debate, Instant::now()));
    let now = Instant::now();
    let greeting = talk.greet(Moment { server, live: &server.faults.live(), now });
    if !say(socket, &mut outbox, greeting, now).await? {
        return Ok(());
    }
    loop {
        let next = match talk.due() {
            // What is due goes before what was received, or a client that sends much would stop the clock.
            Some(due) if due <= Instant::now() && server.faults.frozen_until(Instant::now()).is_none() => {
                Next::Due
            }
            due => socket.next(due).await?,
        };
        let live = server.faults.live();
        if matches!(next, Next::Message(_)) {
            pause(&core, &live).await;
        }
        let now = Instant::now();
        let at = Moment { server, live: &live, now };
        let said = match next {
            Next::Due => talk.fire(at),
            Next::Message(message) => talk.hear(at, &message.payload),
            Next::Stop => return socket.close(1001, "the server stops").await,
            Next::Ended => return Ok(()),
        };
        if !say(socket, &mut outbox, said, now).await? {
            return Ok(());
        }
    }
}

/// Lets a message lie for a while, as a server that cannot keep up does.
async fn pause(core: &Core, live: &Live) {
    let ms = live.settings.sockets.read_delay_ms;
    if ms > 0.0 {
        core.answer_at(Instant::now() + Duration::from_secs_f64(ms / 1e3)).await;
    }
}

/// Sends what there is to say, with the faults that are set; false if one of them has ended the connection. The log has
/// the time `at`, which is that in the messages.
async fn say<T: Transport>(
    socket: &mut Socket<T>,
    outbox: &mut Outbox,
    said: Vec<Out>,
    at: Instant,
) -> io::Result<bool> {
    let faults = socket.core.server.faults.live();
    let sockets = &faults.settings.sockets;
    for text in said.into_iter().flat_map(|out| outbox.pass(sockets, out)) {
        socket.send(true, text.as_bytes(), at).await?;
        if sockets.drop_after.is_some_and(|count| socket.sent_so_far() >= count) {
            match sockets.drop_code {
                Some(code) => socket.close(code, "dropped by the testbed").await?,
                None => socket.vanish().await?,
            }
            return Ok(false);
        }
    }
    Ok(true)
}
