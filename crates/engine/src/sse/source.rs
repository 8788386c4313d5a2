//! Where the bytes of an event stream come from: the body of an HTTP/1.1 response or the data frames of an HTTP/2 stream. Opened
//! by `open.rs`, read by `mod.rs`.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use h2::RecvStream;
use plimsoll_measure::ErrorClass;
use tokio::io::{AsyncRead, ReadBuf};

use crate::core::Core;
use crate::fault::Fault;
use crate::h1::{self, Broken, Reader};
use crate::h2::lost;
use crate::pool::{Held, Link, Wire};
use crate::stream::Arrival;

/// A response whose body is still coming. Dropped before its end, it takes its connection along; over HTTP/2 its stream only.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) held: Held,
    pub(super) form: Form,
}

/// How the body comes.
#[derive(Debug)]
pub(super) enum Form {
    H1(Reader),
    H2(RecvStream),
}

/// What the reader of a piece wants: more, or no more.
pub(super) type Wish = Result<bool, Fault>;

impl Source {
    /// Hands out pieces of the body as they come, with the time, until `each` wants no more (`true`) or the body ends (`false`).
    pub(super) async fn read(
        &mut self,
        core: &Core,
        mut each: impl FnMut(&[u8], Arrival) -> Wish,
    ) -> Result<bool, Fault> {
        let Self { held, form } = self;
        poll_fn(|cx| match form {
            Form::H1(reader) => match held.link_mut().map(|link| &mut link.wire) {
                Some(Wire::H1(io)) => poll_h1(io, reader, cx, core, &mut each),
                _ => Poll::Ready(Err(ASTRAY)),
            },
            Form::H2(body) => poll_h2(body, held.link(), cx, core, &mut each),
        })
        .await
    }

    /// Gives the connection back after the end of the body.
    pub(super) fn give_back(self, core: &Core, own: &mut Option<Box<Link>>) {
        let keep_alive = match self.form {
            Form::H1(reader) => reader.is_done() && reader.into_head().keep_alive,
            Form::H2(_) => true,
        };
        core.pool.give_back(self.held, own, keep_alive, core.clock.now());
    }
}

const ASTRAY: Fault =
    Fault::new(ErrorClass::Protocol, "the connection does not speak the protocol that it was opened for");

fn poll_h1(
    io: &mut crate::io::Io,
    reader: &mut Reader,
    cx: &mut Context<'_>,
    core: &Core,
    each: &mut impl FnMut(&[u8], Arrival) -> Wish,
) -> Poll<Result<bool, Fault>> {
    let mut buffer = core.buffer();
    while !reader.is_done() {
        let mut piece = ReadBuf::new(&mut buffer);
        let result = ready!(Pin::new(&mut *io).poll_read(cx, &mut piece));
        let arrival = Arrival::now(core);
        let bytes = piece.filled();
        match result {
            Ok(()) if bytes.is_empty() => reader.eof()?,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => reader.eof()?,
            Err(error) => return Poll::Ready(Err(h1::lost(&error))),
            Ok(()) => {
                let mut enough = false;
                reader.feed(bytes, &mut |_, piece| {
                    if !enough {
                        enough = each(piece, arrival)?;
                    }
                    Ok(())
                })?;
                if enough {
                    return Poll::Ready(Ok(true));
                }
            }
        }
    }
    Poll::Ready(Ok(false))
}

fn poll_h2(
    body: &mut RecvStream,
    link: &Link,
    cx: &mut Context<'_>,
    core: &Core,
    each: &mut impl FnMut(&[u8], Arrival) -> Wish,
) -> Poll<Result<bool, Fault>> {
    let Wire::H2(connection) = &link.wire else { return Poll::Ready(Err(ASTRAY)) };
    let fault = |error: &h2::Error| match lost(connection, error) {
        Broken::Lost(fault) => fault,
        Broken::Unsent => ASTRAY,
    };
    while let Some(piece) = ready!(body.poll_data(cx)) {
        let piece = piece.map_err(|error| fault(&error))?;
        let enough = each(&piece, Arrival::now(core))?;
        body.flow_control().release_capacity(piece.len()).map_err(|error| fault(&error))?;
        if enough {
            return Poll::Ready(Ok(true));
        }
    }
    Poll::Ready(Ok(false))
}
