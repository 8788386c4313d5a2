//! Does what the script of a WebSocket step says, item by item, until it is complete, fails, or the load ends. The items that read
//! are in `reading.rs`, bytes in `socket.rs`.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::rc::Rc;

use plimsoll_measure::{ErrorClass, Observation};
use plimsoll_scenario::{
    CompiledSocketAction as Item, CompiledText, CompiledWebSocket, Memory, Message, Wait,
};

use crate::core::Core;
use crate::deadline::Deadline;
use crate::lane::{Lane, env_at};
use crate::span::Span;
use crate::stream::{Arrival, Ears, Outcome};
use crate::trace::TraceEvent;

use super::frame::ROOM;
use super::socket::{Lost, Socket};

/// How long the server may take to answer a close frame, nanoseconds.
const CLOSING: u64 = 5_000_000_000;

/// The same where the session is lost anyway.
const LEAVING: u64 = 1_000_000_000;

/// How long the server may take to end the connection after both said close.
const SETTLING: u64 = 100_000_000;

/// A longer text leaves no buffer behind: the session may be silent from now on. Bytes.
const LARGEST_KEPT: usize = 16 * 1024;

/// Close code of a session that ends in good order.
pub(super) const NORMAL: u16 = 1000;

/// Why a script does not go on.
#[derive(Debug)]
pub(super) enum Stop {
    /// Both sides said close, at this time, as the script wanted it.
    Closed(u64),
    Lost(Lost),
    /// With what was waited for.
    TimedOut(String),
    /// The server closed in another way than the script wanted.
    Unwanted(String),
    /// A message could not be made.
    Unmade(String),
    /// The load ends, or the user retires.
    Ending,
}

impl From<Lost> for Stop {
    fn from(lost: Lost) -> Self {
        Self::Lost(lost)
    }
}

/// An open session.
#[derive(Debug)]
pub(super) struct Session<'s> {
    pub(super) core: &'s Core,
    pub(super) step: &'s CompiledWebSocket,
    pub(super) memory: &'s mut Memory,
    pub(super) deadline: &'s mut Deadline,
    out: &'s mut Vec<u8>,
    pub(super) span: Rc<Span>,
    pub(super) retires: u64,
    /// Whether the end of the load cuts holds and pauses short; not in what users do after it.
    pub(super) cut_short: bool,
    pub(super) socket: Socket,
    pub(super) ears: Ears<'s>,
    /// Messages that came while a pong was awaited: the next item reads them.
    pub(super) waiting: VecDeque<(Arrival, String)>,
    pub(super) pings: u64,
}

impl<'s> Session<'s> {
    pub(super) fn new(
        core: &'s Core,
        lane: &'s mut Lane,
        step: &'s CompiledWebSocket,
        socket: Socket,
        ears: Ears<'s>,
    ) -> Self {
        let Lane { memory, deadline, out, span, retires, .. } = lane;
        let span = Rc::clone(span);
        Self {
            core,
            step,
            memory,
            deadline,
            out,
            cut_short: !span.is_over(core.clock.now()),
            span,
            retires: *retires,
            socket,
            ears,
            waiting: VecDeque::new(),
            pings: 0,
        }
    }

    /// The last message, if it was to be kept.
    pub(super) fn into_last(self) -> Option<Message> {
        self.ears.into_last()
    }

    /// Does the script and closes. Returns how it ended, and when.
    pub(super) async fn run(&mut self) -> (Outcome, u64) {
        let mut stopped = None;
        for (index, item) in self.step.script.iter().enumerate() {
            if let Err(stop) = self.act(item).await {
                stopped = Some((index, item, stop));
                break;
            }
        }
        let (outcome, at) = match stopped {
            Some((_, _, Stop::Closed(at))) => (Outcome::Done, at),
            Some((_, _, Stop::Ending)) => (Outcome::Unfinished, self.leave(NORMAL, "", CLOSING).await),
            Some((index, item, stop)) => {
                let place = format!("script[{index}] {}", name(item));
                (self.failed(stop, &place).await, self.core.clock.now())
            }
            None => (Outcome::Done, self.leave(NORMAL, "", CLOSING).await),
        };
        let until = self.core.clock.now().saturating_add(SETTLING);
        let Self { core, deadline, socket, .. } = self;
        deadline.within(core.clock.instant(until), socket.settle(core)).await;
        (outcome, at)
    }

    /// Says goodbye where that makes sense, and what went wrong.
    async fn failed(&mut self, stop: Stop, place: &str) -> Outcome {
        let (class, cause) = match stop {
            Stop::TimedOut(cause) => {
                self.leave(NORMAL, "", LEAVING).await;
                return Outcome::TimedOut(format!("{place}: {cause}"));
            }
            Stop::Lost(lost) => {
                if let Lost::Breach(breach) = &lost {
                    let farewell = self.socket.say_close(breach.code, breach.reason);
                    let until = self.core.clock.now().saturating_add(LEAVING);
                    let _ = self.deadline.within(self.core.clock.instant(until), farewell).await;
                }
                (lost.class(), lost.to_string())
            }
            Stop::Unwanted(cause) => (ErrorClass::Reset, cause),
            Stop::Unmade(cause) => {
                self.leave(NORMAL, "", LEAVING).await;
                (ErrorClass::Protocol, cause)
            }
            Stop::Closed(_) | Stop::Ending => return Outcome::Unfinished,
        };
        Outcome::Failed(class, format!("{place}: {cause}"))
    }

    async fn act(&mut self, item: &Item) -> Result<(), Stop> {
        match item {
            Item::Send(text) => self.send(text).await,
            Item::Receive { until, within, optional, reading, captures } => {
                self.receive(until.as_ref(), *within, *optional, (reading, captures)).await
            }
            Item::Hold { length, reading } => self.hold(length, reading).await,
            Item::Ping { within } => self.ping(*within).await,
            Item::Pause(length) => self.pause(length).await,
            Item::Close { code, reason } => {
                let reason = self.text(reason)?;
                self.close(*code, &reason).await
            }
            Item::AwaitClose { within, codes } => self.await_close(*within, codes).await,
        }
    }

    /// Renders a text behind room for a frame's head.
    fn render(&mut self, text: &CompiledText) -> Result<(), Stop> {
        self.out.clear();
        self.out.resize(ROOM, 0);
        let mut env = env_at(self.core, self.memory, self.core.epoch());
        let made = text.render(self.out, &mut env);
        made.map_err(|error| Stop::Unmade(format!("the message could not be made: {error}")))
    }

    fn text(&mut self, text: &CompiledText) -> Result<String, Stop> {
        self.render(text)?;
        Ok(String::from_utf8_lossy(&self.out[ROOM..]).into_owned())
    }

    async fn send(&mut self, text: &CompiledText) -> Result<(), Stop> {
        self.render(text)?;
        let Self { core, step, deadline, out, socket, .. } = self;
        core.trace(|_| TraceEvent::Message {
            sent: true,
            text: String::from_utf8_lossy(&out[ROOM..]).into_owned(),
        });
        let begun = core.clock.now();
        let limit = core.clock.instant(begun.saturating_add(step.handshake.timeout));
        let sent = deadline.within(limit, socket.send(out)).await;
        if out.capacity() > LARGEST_KEPT {
            **out = Vec::new();
        }
        match sent {
            None => {
                Err(Stop::TimedOut("the server does not read: the message could not be written".to_owned()))
            }
            Some(Err(lost)) => Err(self.explained(lost).await.into()),
            Some(Ok(())) => {
                core.observe(step.metrics.sent, begun, Observation::Add(1));
                Ok(())
            }
        }
    }

    /// A server that closed and then refused what was sent has left its reason to be read.
    async fn explained(&mut self, lost: Lost) -> Lost {
        let until = self.core.clock.now().saturating_add(SETTLING);
        match self.ignore(until).await {
            Some(closed @ Lost::Closed(..)) => closed,
            _ => lost,
        }
    }

    /// Draws the length of a hold or pause: when it is over, and whether the user retires before.
    pub(super) fn until(&mut self, length: &Wait) -> (u64, bool) {
        let until = self.core.clock.now().saturating_add(length.draw(&mut self.memory.rng));
        (until.min(self.retires), until > self.retires)
    }

    async fn pause(&mut self, length: &Wait) -> Result<(), Stop> {
        let (until, retires) = self.until(length);
        let Self { core, deadline, span, .. } = self;
        if self.cut_short {
            let now = span.pause(&core.clock, until, || false).await;
            return if retires || now < until { Err(Stop::Ending) } else { Ok(()) };
        }
        deadline.within(core.clock.instant(until), std::future::pending::<()>()).await;
        if retires { Err(Stop::Ending) } else { Ok(()) }
    }

    async fn close(&mut self, code: u16, reason: &str) -> Result<(), Stop> {
        let until = self.core.clock.now().saturating_add(CLOSING);
        match self.goodbye(code, reason, until).await {
            Some(Lost::Closed(..)) => Err(Stop::Closed(self.core.clock.now())),
            Some(lost) => Err(lost.into()),
            None => Err(Stop::TimedOut("the server did not answer the close frame within 5s".to_owned())),
        }
    }

    async fn await_close(&mut self, within: u64, codes: &[u16]) -> Result<(), Stop> {
        let until = self.core.clock.now().saturating_add(within);
        let Some(lost) = self.ignore(until).await else {
            let within = std::time::Duration::from_nanos(within);
            return Err(Stop::TimedOut(format!("the server did not close within {within:?}")));
        };
        let code = match &lost {
            Lost::Closed(code, _) => code.unwrap_or(1005),
            Lost::Gone(_) if codes.contains(&1006) => 1006,
            Lost::Breach(_) | Lost::Gone(_) => return Err(lost.into()),
        };
        if codes.is_empty() || codes.contains(&code) {
            return Err(Stop::Closed(self.core.clock.now()));
        }
        Err(Stop::Unwanted(format!("{lost}; wanted was one of {codes:?}")))
    }

    /// Closes, whatever the server makes of it; returns when it was over.
    async fn leave(&mut self, code: u16, reason: &str, grace: u64) -> u64 {
        let until = self.core.clock.now().saturating_add(grace);
        self.goodbye(code, reason, until).await;
        self.core.clock.now()
    }

    /// Says close and waits for the server's; nothing if that did not come.
    async fn goodbye(&mut self, code: u16, reason: &str, until: u64) -> Option<Lost> {
        let limit = self.core.clock.instant(until);
        match self.deadline.within(limit, self.socket.say_close(code, reason)).await? {
            Err(lost) => Some(self.explained(lost).await),
            Ok(()) => self.ignore(until).await,
        }
    }

    /// Reads until there is nothing more to read: messages only count. Nothing if that has not come by `until`.
    async fn ignore(&mut self, until: u64) -> Option<Lost> {
        let Self { core, deadline, socket, ears, .. } = self;
        let mut listening = std::pin::pin!(socket.listen(core, |incoming, arrival| {
            if incoming.is_message() {
                ears.arrived(arrival);
                core.trace(|_| TraceEvent::Message { sent: false, text: incoming.text() });
            }
            // A server that never stops talking does not let the timer be heard.
            if arrival.at < until { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        }));
        deadline.within(core.clock.instant(until), listening.as_mut()).await?.err()
    }
}

fn name(item: &Item) -> &'static str {
    match item {
        Item::Send(_) => "send",
        Item::Receive { .. } => "receive",
        Item::Hold { .. } => "hold",
        Item::Ping { .. } => "ping",
        Item::Pause(_) => "pause",
        Item::Close { .. } => "close",
        Item::AwaitClose { .. } => "awaitClose",
    }
}
