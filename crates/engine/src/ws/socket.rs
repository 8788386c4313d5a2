//! An open WebSocket: bytes in and out, pings answered, the closing handshake. Frames are in `frame.rs` and `decoder.rs`; what is
//! said on it in `script.rs`.

use std::future::poll_fn;
use std::io;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use plimsoll_measure::ErrorClass;
use plimsoll_scenario::Rng;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;

use crate::active::One;
use crate::core::Core;
use crate::fault::Fault;
use crate::h1::lost;
use crate::io::Io;
use crate::stream::{Arrival, Spares};

use super::decoder::{Breach, Decoder, Incoming};
use super::frame::{self, Opcode, ROOM};

/// Most bytes of control frames that wait to be written: pings of a peer that does not read are not answered beyond them.
const MOST_WAITING: usize = 16 * 1024;

/// Close code of a client that goes away without a word from its script.
const GOING_AWAY: u16 = 1001;

/// Why a socket is of no more use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The peer closed it, with this code and reason. The answer is on its way.
    Closed(Option<u16>, String),
    /// The peer broke the protocol.
    Breach(Breach),
    /// The connection ended without a close frame.
    Gone(Fault),
}

impl Lost {
    pub(crate) fn class(&self) -> ErrorClass {
        match self {
            Self::Closed(..) => ErrorClass::Reset,
            Self::Breach(_) => ErrorClass::Protocol,
            Self::Gone(fault) => fault.class,
        }
    }
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed(code, reason) => {
                write!(f, "the server closed with ")?;
                match code {
                    Some(code) => write!(f, "code {code}")?,
                    None => write!(f, "no code (1005)")?,
                }
                if reason.is_empty() { Ok(()) } else { write!(f, ": {reason}") }
            }
            Self::Breach(breach) => write!(f, "{breach}; closed with code {}", breach.code),
            Self::Gone(fault) => write!(f, "no close frame (1006): {}", fault.cause),
        }
    }
}

/// How far the closing handshake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    /// Our close frame is written or waits to be.
    SaidClose,
    /// There is nobody to say anything to.
    Over,
}

/// An open connection. One that is dropped while open says that it goes away, if that can be said at once.
#[derive(Debug)]
pub(crate) struct Socket {
    io: Io,
    decoder: Decoder,
    /// What was read and not yet used, and when it arrived: messages after the one at which an item of the script ended.
    rest: Vec<u8>,
    rest_arrival: Arrival,
    /// Control frames to be written from `written` on.
    out: Vec<u8>,
    written: usize,
    unflushed: bool,
    /// A message is written in part: no frame may come between.
    writing: bool,
    stage: Stage,
    masks: Rng,
    _held: (Option<OwnedSemaphorePermit>, One),
}

impl Socket {
    /// `first` came behind the head of the handshake.
    pub(crate) fn new(
        io: Io,
        held: (Option<OwnedSemaphorePermit>, One),
        masks: Rng,
        first: Vec<u8>,
        arrival: Arrival,
    ) -> Self {
        Self {
            io,
            decoder: Decoder::default(),
            rest: first,
            rest_arrival: arrival,
            out: Vec::new(),
            written: 0,
            unflushed: false,
            writing: false,
            stage: Stage::Open,
            masks,
            _held: held,
        }
    }

    /// Hands out messages and pongs in order until `each` breaks; answers pings meanwhile. `Err`: there is nothing more to read.
    pub(crate) async fn listen(
        &mut self,
        core: &Core,
        mut each: impl FnMut(Incoming<'_>, Arrival) -> ControlFlow<()>,
    ) -> Result<(), Lost> {
        poll_fn(|cx| self.poll_listen(cx, core, &mut each)).await
    }

    fn poll_listen(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        each: &mut impl FnMut(Incoming<'_>, Arrival) -> ControlFlow<()>,
    ) -> Poll<Result<(), Lost>> {
        if !self.rest.is_empty() {
            let mut rest = std::mem::take(&mut self.rest);
            let used = self.digest(&rest, self.rest_arrival, &core.spares, each)?;
            let broke = used.is_break();
            if let ControlFlow::Break(used) = used {
                rest.drain(..used);
                self.rest = rest;
            } else {
                core.spares.reclaim(&mut rest);
            }
            if broke {
                return Poll::Ready(Ok(()));
            }
        }
        loop {
            // That a peer does not take an answer is no reason not to read.
            if let Poll::Ready(Err(error)) = self.poll_answers(cx) {
                return Poll::Ready(Err(self.gone(lost(&error))));
            }
            let mut buffer = core.buffer();
            let mut piece = ReadBuf::new(&mut buffer);
            let result = ready!(Pin::new(&mut self.io).poll_read(cx, &mut piece));
            let arrival = Arrival::now(core);
            let bytes = piece.filled();
            match result {
                Ok(()) if bytes.is_empty() => return Poll::Ready(Err(self.gone(ENDED))),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Poll::Ready(Err(self.gone(ENDED)));
                }
                Err(error) => return Poll::Ready(Err(self.gone(lost(&error)))),
                Ok(()) => {}
            }
            if let ControlFlow::Break(used) = self.digest(bytes, arrival, &core.spares, each)? {
                core.spares.append(&mut self.rest, &bytes[used..]);
                self.rest_arrival = arrival;
                // Pings before the message were to be answered, too.
                let _ = self.poll_answers(cx);
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Breaks with what was used when `each` did.
    fn digest(
        &mut self,
        bytes: &[u8],
        arrival: Arrival,
        spares: &Spares,
        each: &mut impl FnMut(Incoming<'_>, Arrival) -> ControlFlow<()>,
    ) -> Result<ControlFlow<usize>, Lost> {
        let Self { decoder, out, written, stage, masks, .. } = self;
        let (mut closed, mut enough) = (None, false);
        let used = decoder.feed(bytes, spares, |incoming| match incoming {
            Incoming::Ping(payload) => {
                if *stage == Stage::Open && out.len() - *written < MOST_WAITING {
                    frame::control(out, Opcode::Pong, payload, key(masks));
                }
                ControlFlow::Continue(())
            }
            Incoming::Close(code, reason) => {
                closed = Some((code, reason.to_owned()));
                ControlFlow::Break(())
            }
            incoming => {
                let flow = each(incoming, arrival);
                enough = flow.is_break();
                flow
            }
        });
        let used = used.map_err(Lost::Breach)?;
        if let Some((code, reason)) = closed {
            // The answer has the peer's code, or none as it had none.
            if self.stage == Stage::Open {
                let payload = code.map(u16::to_be_bytes);
                let key = self.key();
                frame::control(&mut self.out, Opcode::Close, payload.as_ref().map_or(&[], |code| code), key);
            }
            self.stage = Stage::SaidClose;
            return Err(Lost::Closed(code, reason));
        }
        Ok(if enough { ControlFlow::Break(used) } else { ControlFlow::Continue(()) })
    }

    /// Writes control frames that wait, unless a message is written in part.
    fn poll_answers(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.writing || (self.out.is_empty() && !self.unflushed) {
            return Poll::Ready(Ok(()));
        }
        while self.written < self.out.len() {
            let taken = ready!(Pin::new(&mut self.io).poll_write(cx, &self.out[self.written..]))?;
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += taken;
            self.unflushed = self.io.is_buffered();
        }
        // Freed, not kept: most sockets never answer again.
        (self.out, self.written) = (Vec::new(), 0);
        if self.unflushed {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Sends a text that stands in `bytes` behind [`ROOM`] bytes of room; it is masked in place.
    pub(crate) async fn send(&mut self, bytes: &mut [u8]) -> Result<(), Lost> {
        debug_assert!(bytes.len() >= ROOM);
        let frame = frame::seal(bytes, Opcode::Text, self.key());
        let result = self.write(frame).await;
        result.map_err(|error| self.gone(lost(&error)))
    }

    async fn write(&mut self, frame: &[u8]) -> io::Result<()> {
        poll_fn(|cx| self.poll_answers(cx)).await?;
        self.writing = true;
        let mut at = 0;
        poll_fn(|cx| {
            while at < frame.len() {
                match ready!(Pin::new(&mut self.io).poll_write(cx, &frame[at..]))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    taken => at += taken,
                }
            }
            if self.io.is_buffered() { Pin::new(&mut self.io).poll_flush(cx) } else { Poll::Ready(Ok(())) }
        })
        .await?;
        self.writing = false;
        Ok(())
    }

    /// Sends a ping.
    pub(crate) async fn ping(&mut self, payload: &[u8]) -> Result<(), Lost> {
        let key = self.key();
        frame::control(&mut self.out, Opcode::Ping, payload, key);
        self.flush().await
    }

    /// Sends a close frame, once.
    pub(crate) async fn say_close(&mut self, code: u16, reason: &str) -> Result<(), Lost> {
        if self.stage == Stage::Open {
            let key = self.key();
            frame::close(&mut self.out, code, reason, key);
            self.stage = Stage::SaidClose;
        }
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), Lost> {
        let result = poll_fn(|cx| self.poll_answers(cx)).await;
        result.map_err(|error| self.gone(lost(&error)))
    }

    /// After both sides said close: lets the server end the connection, so that the port that is blocked for a while is its own.
    pub(crate) async fn settle(&mut self, core: &Core) {
        let _ = self.flush().await;
        poll_fn(|cx| {
            let mut buffer = core.buffer();
            loop {
                let mut piece = ReadBuf::new(&mut buffer);
                match ready!(Pin::new(&mut self.io).poll_read(cx, &mut piece)) {
                    Ok(()) if !piece.filled().is_empty() => {}
                    _ => return Poll::Ready(()),
                }
            }
        })
        .await;
        self.stage = Stage::Over;
    }

    fn gone(&mut self, fault: Fault) -> Lost {
        self.stage = Stage::Over;
        Lost::Gone(fault)
    }

    fn key(&mut self) -> [u8; 4] {
        key(&mut self.masks)
    }
}

const ENDED: Fault = Fault::new(ErrorClass::Reset, "the connection ended");

fn key(masks: &mut Rng) -> [u8; 4] {
    ((masks.bits() >> 32) as u32).to_le_bytes()
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.stage != Stage::Open || self.writing || self.written > 0 {
            return;
        }
        let key = self.key();
        frame::close(&mut self.out, GOING_AWAY, "", key);
        // Whether the kernel takes it at once or not, nobody waits.
        let _ = self.poll_answers(&mut Context::from_waker(Waker::noop()));
    }
}
