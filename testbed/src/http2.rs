//! HTTP/2 connections, over TLS or with prior knowledge. The other protocol is `http1.rs`.

use std::future::poll_fn;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONTENT_LENGTH, UPGRADE};
use http::{HeaderValue, Method, Request, Response, StatusCode, request};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task;

use crate::control;
use crate::core::Core;
use crate::feed::{End, Feed, Player};
use crate::ledger::{InFlight, Outcome};
use crate::plan::{self, Act, Resolved};
use crate::reply::Reply;
use crate::request::Incoming;

/// Receive windows, wide enough that no client waits for credit.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// Streams that a client may have open at once.
const MAX_STREAMS: u32 = 10_000;

/// The largest body that is kept, to be echoed or to be read as a command.
const MAX_KEPT: usize = 8 << 20;

/// Serves a connection until one side ends it.
pub(crate) async fn serve<T>(core: &Rc<Core>, io: T, peer: IpAddr) -> Result<(), h2::Error>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut builder = Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(MAX_STREAMS);
    let mut connection: Connection<T, Bytes> = builder.handshake(io).await?;
    let _busy = core.busy();
    let limit = core.server.keep_alive_requests;
    let (mut served, mut ending) = (0, false);
    loop {
        let accepted = tokio::select! {
            accepted = connection.accept() => accepted,
            () = core.drain_begins(), if !ending => {
                ending = true;
                connection.graceful_shutdown();
                continue;
            }
        };
        let Some(accepted) = accepted else { return Ok(()) };
        let (request, respond) = accepted?;
        served += 1;
        if limit > 0 && served >= limit && !ending {
            ending = true;
            connection.graceful_shutdown();
        }
        let core = core.clone();
        // An error here ends one stream and is the client's doing, who sees it as well.
        task::spawn_local(async move { exchange(&core, request, respond, peer).await });
    }
}

async fn exchange(
    core: &Rc<Core>,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    peer: IpAddr,
) -> Result<(), h2::Error> {
    let (parts, mut stream) = request.into_parts();
    let path = parts.uri.path();
    let resolved = (!control::is_control(path)).then(|| core.resolve(path));
    let keep = resolved.as_ref().is_none_or(|resolved| resolved.handler.wants_body());
    let Some((kept, bytes)) = read_body(&mut stream, keep).await? else {
        let error = json!({"error": format!("the body is over {MAX_KEPT} bytes")});
        let reply = Reply::json(StatusCode::PAYLOAD_TOO_LARGE, &error);
        return send(core, &mut respond, &reply, false, None).await;
    };
    let at = Instant::now();
    match resolved {
        Some(resolved) => {
            core.server.faults.note_request(at);
            let in_flight = resolved.account.arrive(&parts.method, at, bytes);
            let arrived = Arrived { parts: &parts, kept: &kept, peer, at };
            answer(core, &mut respond, &arrived, &resolved, in_flight).await
        }
        None => {
            let target = (path, parts.uri.query());
            let reply = control::answer(&core.server, &parts.method, target, &kept);
            send(core, &mut respond, &reply, parts.method == Method::HEAD, None).await
        }
    }
}

/// Reads a body to its end: what is kept of it, and its length. Nothing if it is too long to be kept.
async fn read_body(stream: &mut RecvStream, keep: bool) -> Result<Option<(Vec<u8>, u64)>, h2::Error> {
    let (mut kept, mut bytes) = (Vec::new(), 0);
    while let Some(data) = stream.data().await {
        let data = data?;
        stream.flow_control().release_capacity(data.len())?;
        bytes += data.len() as u64;
        if keep {
            if kept.len() + data.len() > MAX_KEPT {
                return Ok(None);
            }
            kept.extend_from_slice(&data);
        }
    }
    Ok(Some((kept, bytes)))
}

/// A request that has arrived.
struct Arrived<'a> {
    parts: &'a request::Parts,
    kept: &'a [u8],
    peer: IpAddr,
    at: Instant,
}

impl Arrived<'_> {
    fn headers(&self) -> Vec<(String, String)> {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        self.parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
    }
}

/// Does what the plan of a counted request says.
async fn answer(
    core: &Rc<Core>,
    respond: &mut SendResponse<Bytes>,
    request: &Arrived<'_>,
    resolved: &Resolved,
    mut in_flight: InFlight,
) -> Result<(), h2::Error> {
    let plan = {
        let headers = || request.headers();
        let incoming = Incoming {
            method: &request.parts.method,
            path: request.parts.uri.path(),
            query: request.parts.uri.query(),
            protocol: "HTTP/2",
            peer: request.peer,
            body: request.kept,
            at: request.at,
            headers: &headers,
        };
        plan::plan(&core.server, resolved, &incoming)
    };
    core.answer_at(request.at + plan.delay).await;
    match &plan.act {
        Act::Reset => {
            respond.send_reset(Reason::INTERNAL_ERROR);
            in_flight.finish(Outcome::Reset, Instant::now());
            return Ok(());
        }
        Act::Drop => {
            respond.send_reset(Reason::CANCEL);
            in_flight.finish(Outcome::Dropped, Instant::now());
            return Ok(());
        }
        stall @ (Act::Stall | Act::StallDuring(_)) => {
            tokio::select! {
                () = core.stalled(stall) => {}
                _ = poll_fn(|context| respond.poll_reset(context)) => return Ok(()),
            }
        }
        Act::Truncate => {
            cut(respond, &plan.reply, &mut in_flight).await?;
            in_flight.finish(Outcome::Truncated, Instant::now());
            return Ok(());
        }
        // No upgrade comes out of a request over HTTP/2.
        Act::Answer | Act::Upgrade(_) => {}
    }
    let head_only = request.parts.method == Method::HEAD;
    if let Some(feed) = plan.reply.feed.as_ref().filter(|_| !head_only) {
        let mut stream = respond.send_response(response(&plan.reply), false)?;
        let outcome = match play(core, &mut stream, feed, &mut in_flight.bytes_out).await? {
            End::Complete => Outcome::Answered(plan.reply.status.as_u16()),
            End::Dropped => Outcome::Truncated,
            End::Left => return Ok(()),
        };
        in_flight.finish(outcome, Instant::now());
        return Ok(());
    }
    send(core, respond, &plan.reply, head_only, Some(&mut in_flight.bytes_out)).await?;
    in_flight.finish(Outcome::Answered(plan.reply.status.as_u16()), Instant::now());
    Ok(())
}

fn response(reply: &Reply) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = reply.status;
    let headers = response.headers_mut();
    // What concerns one connection has no place in HTTP/2 (RFC 9113, 8.2.2).
    for (name, value) in reply.headers.iter().filter(|(name, _)| *name != UPGRADE) {
        headers.append(name.clone(), value.clone());
    }
    if reply.may_have_body() && !reply.chunked {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(reply.body.len()));
    }
    response
}

/// Sends a whole reply, and adds the length of its body to `written`.
async fn send(
    core: &Core,
    respond: &mut SendResponse<Bytes>,
    reply: &Reply,
    head_only: bool,
    written: Option<&mut u64>,
) -> Result<(), h2::Error> {
    let has_body = reply.may_have_body() && !head_only && !reply.body.is_empty();
    let mut stream = respond.send_response(response(reply), !has_body)?;
    if !has_body {
        return Ok(());
    }
    let start = Instant::now();
    let mut pieces = reply.cut().enumerate().peekable();
    while let Some((i, piece)) = pieces.next() {
        if i > 0 {
            core.answer_at(start + reply.gap * u32::try_from(i).unwrap_or(u32::MAX)).await;
        }
        send_data(&mut stream, piece, pieces.peek().is_none()).await?;
    }
    if let Some(written) = written {
        *written += reply.body.len() as u64;
    }
    Ok(())
}

/// Sends the events of a feed, each at its time.
async fn play(
    core: &Core,
    stream: &mut SendStream<Bytes>,
    feed: &Feed,
    written: &mut u64,
) -> Result<End, h2::Error> {
    let mut player = Player::new(feed, Instant::now());
    let end = loop {
        let due = match player.next() {
            Ok(due) => due,
            Err(end) => break end,
        };
        tokio::select! {
            () = core.answer_at(due) => {}
            () = core.drain_begins() => break End::Complete,
            _ = poll_fn(|context| stream.poll_reset(context)) => break End::Left,
        }
        let piece = player.take(Instant::now());
        *written += piece.len() as u64;
        send_data(stream, piece, false).await?;
    };
    match end {
        End::Complete => stream.send_data(Bytes::new(), true)?,
        End::Dropped => {
            // A reset overtakes data that is still queued; letting the connection write first keeps the events.
            task::yield_now().await;
            stream.send_reset(Reason::CANCEL);
        }
        End::Left => {}
    }
    player.end(end);
    Ok(end)
}

/// Sends half of a body and resets the stream when the client has taken it.
async fn cut(
    respond: &mut SendResponse<Bytes>,
    reply: &Reply,
    in_flight: &mut InFlight,
) -> Result<(), h2::Error> {
    let half = reply.body.slice(..reply.body.len() / 2);
    in_flight.bytes_out = half.len() as u64;
    let mut stream = respond.send_response(response(reply), false)?;
    send_data(&mut stream, half, false).await?;
    // A reset overtakes data that is still queued; letting the connection write first keeps the half.
    task::yield_now().await;
    stream.send_reset(Reason::INTERNAL_ERROR);
    Ok(())
}

/// Hands data to the connection as the client's windows allow, so that the end of this is near the last byte sent.
async fn send_data(stream: &mut SendStream<Bytes>, mut data: Bytes, end: bool) -> Result<(), h2::Error> {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let granted = match poll_fn(|context| stream.poll_capacity(context)).await {
            Some(granted) => granted?,
            None => return Err(Reason::CANCEL.into()),
        };
        let now = data.split_to(granted.min(data.len()));
        let last = end && data.is_empty();
        stream.send_data(now, last)?;
    }
    Ok(())
}
