//! The body of an HTTP/1.1 request, read to its last byte and mostly thrown away. Used by `http1.rs`.

use std::io;

use http::StatusCode;
use httparse::Status;
use tokio::io::AsyncWriteExt;

use super::Connection;
use super::head::{BodyLength, Head};
use crate::transport::Transport;

/// The largest body that is kept, to be echoed or to be read as a command.
const MAX_KEPT: usize = 8 << 20;

/// The longest line of a chunk's size or of a trailer.
const MAX_LINE: usize = 8 << 10;

/// A body that was read.
#[derive(Debug, Default)]
pub(super) struct Body {
    /// Its content, if it was to be kept.
    pub(super) kept: Vec<u8>,
    /// Its length on the wire, with the framing of chunks.
    pub(super) bytes: u64,
    keep: bool,
}

/// The status of a refusal, inside the error of a connection that broke.
type Refused<T> = io::Result<Result<T, StatusCode>>;

/// Reads the body that follows a head at the beginning of the connection's input, and takes it out of there.
pub(super) async fn read<T: Transport>(
    connection: &mut Connection<T>,
    head: &Head,
    keep: bool,
) -> Refused<Body> {
    let mut body = Body { keep, ..Body::default() };
    if head.body == BodyLength::Known(0) {
        return Ok(Ok(body));
    }
    if head.expects_continue && connection.input.len() == head.len {
        connection.io.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        connection.io.flush().await?;
    }
    let complete = match head.body {
        BodyLength::Known(length) => content(connection, head.len, length, &mut body).await?,
        BodyLength::Chunked => chunks(connection, head.len, &mut body).await?,
    };
    Ok(complete.map(|()| body))
}

/// Reads so many bytes of content.
async fn content<T: Transport>(
    connection: &mut Connection<T>,
    start: usize,
    length: u64,
    body: &mut Body,
) -> Refused<()> {
    let mut left = length;
    while left > 0 {
        if connection.input.len() == start {
            more(connection).await?;
        }
        let here = connection.input.len() - start;
        let count = here.min(usize::try_from(left).unwrap_or(usize::MAX));
        if body.keep {
            if body.kept.len() + count > MAX_KEPT {
                return Ok(Err(StatusCode::PAYLOAD_TOO_LARGE));
            }
            body.kept.extend_from_slice(&connection.input[start..start + count]);
        }
        connection.input.drain(start..start + count);
        body.bytes += count as u64;
        left -= count as u64;
    }
    Ok(Ok(()))
}

async fn chunks<T: Transport>(connection: &mut Connection<T>, start: usize, body: &mut Body) -> Refused<()> {
    loop {
        let size = match httparse::parse_chunk_size(&connection.input[start..]) {
            Ok(Status::Complete((line, size))) => {
                connection.input.drain(start..start + line);
                body.bytes += line as u64;
                size
            }
            Ok(Status::Partial) if connection.input.len() - start < MAX_LINE => {
                more(connection).await?;
                continue;
            }
            _ => return Ok(Err(StatusCode::BAD_REQUEST)),
        };
        if size == 0 {
            return trailers(connection, start, body).await;
        }
        if let Err(status) = content(connection, start, size, body).await? {
            return Ok(Err(status));
        }
        match line(connection, start, body).await? {
            Ok(0) => {}
            Ok(_) => return Ok(Err(StatusCode::BAD_REQUEST)),
            Err(status) => return Ok(Err(status)),
        }
    }
}

/// Reads trailers, which nobody here asks for, to the empty line after them.
async fn trailers<T: Transport>(
    connection: &mut Connection<T>,
    start: usize,
    body: &mut Body,
) -> Refused<()> {
    loop {
        match line(connection, start, body).await? {
            Ok(0) => return Ok(Ok(())),
            Ok(_) => {}
            Err(status) => return Ok(Err(status)),
        }
    }
}

/// Reads a line and gives its length without the line end.
async fn line<T: Transport>(connection: &mut Connection<T>, start: usize, body: &mut Body) -> Refused<usize> {
    loop {
        let here = &connection.input[start..];
        if let Some(end) = here.windows(2).position(|two| two == b"\r\n") {
            connection.input.drain(start..start + end + 2);
            body.bytes += end as u64 + 2;
            return Ok(Ok(end));
        }
        if here.len() > MAX_LINE {
            return Ok(Err(StatusCode::BAD_REQUEST));
        }
        more(connection).await?;
    }
}

/// Reads more of a request that is not complete; the client's end of the connection is an error here.
async fn more<T: Transport>(connection: &mut Connection<T>) -> io::Result<()> {
    match connection.fill().await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}
