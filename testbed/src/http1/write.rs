//! Writes a reply as HTTP/1.1. Used by `http1.rs`.

use std::cell::Cell;
use std::io::{self, Write};
use std::time::Instant;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;

use super::Connection;
use crate::core::Core;
use crate::feed::{End, Feed, Player};
use crate::reply::Reply;
use crate::transport::Transport;

/// The largest body that is copied behind its head, so that both leave in one segment.
const MAX_COPIED: usize = 32 << 10;

/// How a reply is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// No body, as the request was a HEAD.
    pub(super) head_only: bool,
    /// Says that the connection ends.
    pub(super) close: bool,
    /// Stops after half of the body.
    pub(super) cut: bool,
}

/// Writes a reply and adds what was written to `written`. Pauses between pieces are kept with the timer of the
/// core, if there is one.
pub(super) async fn reply<T: Transport>(
    connection: &mut Connection<T>,
    reply: &Reply,
    form: Form,
    written: &mut u64,
    core: Option<&Core>,
) -> io::Result<()> {
    connection.output.clear();
    head(&mut connection.output, reply, form)?;
    let has_body = reply.may_have_body() && !form.head_only && reply.feed.is_none();
    if has_body && !form.cut && reply.pieces == 1 && !reply.chunked && reply.body.len() <= MAX_COPIED {
        connection.output.extend_from_slice(&reply.body);
        return flush(connection, written).await;
    }
    if !has_body {
        return flush(connection, written).await;
    }
    let whole = if form.cut { reply.body.len() / 2 } else { reply.body.len() };
    let shortened = Reply { body: reply.body.slice(..whole), ..reply.clone() };
    let start = Instant::now();
    for (i, piece) in shortened.cut().enumerate() {
        if let (1.., Some(core)) = (i, core) {
            core.answer_at(start + reply.gap * u32::try_from(i).unwrap_or(u32::MAX)).await;
        }
        write_piece(connection, &piece, reply.chunked, written).await?;
    }
    if reply.chunked && !form.cut {
        connection.output.extend_from_slice(b"0\r\n\r\n");
    }
    flush(connection, written).await
}

/// Renders status line and headers.
fn head(out: &mut Vec<u8>, reply: &Reply, form: Form) -> io::Result<()> {
    let reason = reply.status.canonical_reason().unwrap_or_default();
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(reply.status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\n");
    for (name, value) in reply.headers.iter() {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if reply.may_have_body() {
        if reply.chunked {
            out.extend_from_slice(b"transfer-encoding: chunked\r\n");
        } else {
            // A body of no bytes cannot be cut in half, so one byte is promised of it.
            let length = if form.cut { reply.body.len().max(1) } else { reply.body.len() };
            write!(out, "content-length: {length}\r\n")?;
        }
    }
    if form.close {
        out.extend_from_slice(b"connection: close\r\n");
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// Sends the events of a feed behind its head, each as one chunk at its time.
pub(super) async fn play<T: Transport>(
    core: &Core,
    connection: &mut Connection<T>,
    feed: &Feed,
    written: &mut u64,
) -> io::Result<End> {
    let mut player = Player::new(feed, Instant::now());
    let end = loop {
        let due = match player.next() {
            Ok(due) => due,
            Err(end) => break end,
        };
        let (stops, wait) = (Cell::new(false), core.answer_at(due));
        let wait = async {
            tokio::select! {
                () = wait => {}
                () = core.drain_begins() => stops.set(true),
            }
        };
        if !super::still_there(connection, wait).await? {
            break End::Left;
        }
        if stops.get() {
            break End::Complete;
        }
        let piece = player.take(Instant::now());
        connection.output.clear();
        write_piece(connection, &piece, true, written).await?;
    };
    player.end(end);
    if end == End::Complete {
        connection.output.extend_from_slice(b"0\r\n\r\n");
        flush(connection, written).await?;
    }
    Ok(end)
}

async fn write_piece<T: Transport>(
    connection: &mut Connection<T>,
    piece: &Bytes,
    chunked: bool,
    written: &mut u64,
) -> io::Result<()> {
    if piece.is_empty() {
        return flush(connection, written).await;
    }
    if chunked {
        write!(connection.output, "{:x}\r\n", piece.len())?;
    }
    if piece.len() <= MAX_COPIED {
        connection.output.extend_from_slice(piece);
    } else {
        flush(connection, written).await?;
        connection.io.write_all(piece).await?;
        *written += piece.len() as u64;
    }
    if chunked {
        connection.output.extend_from_slice(b"\r\n");
    }
    flush(connection, written).await
}

/// Writes out what is in the buffer.
async fn flush<T: Transport>(connection: &mut Connection<T>, written: &mut u64) -> io::Result<()> {
    connection.io.write_all(&connection.output).await?;
    connection.io.flush().await?;
    *written += connection.output.len() as u64;
    connection.output.clear();
    Ok(())
}
