//! HTTP/1.1 by hand: one write, one read, no task and no allocation of its own per request (why: docs/adr/0002-hot-path.md).
//!
//! `reader.rs`, `lines.rs` and `chunked.rs` are the pure part; this file moves bytes. Connections come from and return to `pool.rs`.

mod chunked;
mod known;
mod lines;
#[cfg(test)]
mod lines_tests;
mod reader;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use plimsoll_measure::ErrorClass;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::fault::Fault;
use crate::flight::Flight;
use crate::io::Io;
use crate::keep::Keep;

pub(crate) use known::Known;
pub(crate) use reader::{Expecting, Head, Headers, Reader};

/// Why an exchange came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The connection was dead before it took a byte: the request may go out on another one.
    Unsent,
    /// The request is lost.
    Lost(Fault),
}

/// Whether a kept-alive connection was closed by its peer, or spoke without being asked. Costs no system call unless the event
/// loop saw something arrive.
pub(crate) fn is_stale(io: &mut Io, cx: &mut Context<'_>) -> bool {
    let mut byte = [0_u8; 1];
    match io {
        Io::Plain(stream) => {
            !matches!(stream.try_read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
        }
        Io::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, &mut ReadBuf::new(&mut byte)).is_ready(),
    }
}

/// Sends a rendered request and reads the response to its end; of the body is kept what `keep` asks for. Returns the head and the time of the last
/// byte.
///
/// `ready` is the time, if it was read just now; `ordinal` numbers requests whose responses may repeat.
pub(crate) async fn exchange(
    io: &mut Io,
    request: &[u8],
    expecting: Expecting,
    keep: &mut Keep<'_>,
    (ready, ordinal): (Option<u64>, Option<usize>),
    flight: &mut Flight<'_>,
) -> Result<(Head, u64), Broken> {
    let ready = ready.unwrap_or_else(|| flight.core().clock.now());
    write(io, request, ready, flight).await?;
    flight.written(flight.core().clock.now());
    let mut reader = Reader::new(expecting);
    let mut pieces = 0_u32;
    poll_fn(|cx| {
        let core = flight.core();
        let mut buffer = core.buffer();
        while !reader.is_done() {
            let mut piece = ReadBuf::new(&mut buffer);
            let result = ready!(Pin::new(&mut *io).poll_read(cx, &mut piece));
            let bytes = piece.filled();
            match result {
                Ok(()) if bytes.is_empty() => reader.eof()?,
                // Peers that hang up without TLS's farewell are common; framing decides whether something is missing.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => reader.eof()?,
                Err(error) => return Poll::Ready(Err(lost(&error))),
                Ok(()) => {
                    flight.read(|| core.clock.now(), bytes.len());
                    let mut body = |status, piece: &[u8]| keep.take(status, piece);
                    match ordinal.and_then(|ordinal| core.known(ordinal)) {
                        Some(mut known) => known.feed(&mut reader, bytes, &mut body)?,
                        None => reader.feed(bytes, &mut body)?,
                    };
                    pieces += 1;
                }
            }
        }
        Poll::Ready(Ok(()))
    })
    .await
    .map_err(Broken::Lost)?;
    let now = if pieces == 1 { flight.answered() } else { flight.core().clock.now() };
    Ok((reader.into_head(), now))
}

/// Writes a rendered request; `ready` is the time before.
pub(crate) async fn write(
    io: &mut Io,
    request: &[u8],
    ready: u64,
    flight: &mut Flight<'_>,
) -> Result<(), Broken> {
    let mut at = 0;
    let result = poll_fn(|cx| {
        while at < request.len() {
            match ready!(Pin::new(&mut *io).poll_write(cx, &request[at..])) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(taken) => {
                    flight.sent(ready);
                    at += taken;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        if io.is_buffered() { Pin::new(&mut *io).poll_flush(cx) } else { Poll::Ready(Ok(())) }
    })
    .await;
    result.map_err(|error| if flight.is_sent() { Broken::Lost(lost(&error)) } else { Broken::Unsent })
}

/// After the handshake TLS reports its own trouble, an alert among them, as invalid data.
pub(crate) fn lost(error: &io::Error) -> Fault {
    let tls = error.kind() == io::ErrorKind::InvalidData;
    Fault::told(if tls { ErrorClass::Tls } else { ErrorClass::Reset }, error)
}
