//! HTTP/1.1 connections: reads a request (`http1/head.rs`, `http1/body.rs`), does what the plan says and
//! writes the answer (`http1/write.rs`), until one side ends it. The other protocol is `http2.rs`.

mod body;
mod head;
mod write;

use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use self::head::Head;
use self::write::Form;
use crate::control;
use crate::core::Core;
use crate::feed::End;
use crate::ledger::Outcome;
use crate::plan::{self, Act, Resolved};
use crate::reply::Reply;
use crate::request::Incoming;
use crate::target;
use crate::transport::Transport;
use crate::websocket::{self, Opening};

/// How long a connection that the server ends is read until the client ends it too, so that a late segment of
/// the client's does not turn the last answer into a reset.
const LINGER: Duration = Duration::from_secs(1);

/// The most that is read ahead of a request that is not being answered.
const READ_AHEAD: usize = 64 << 10;

/// A connection with its buffers.
struct Connection<T> {
    io: T,
    /// The client's address.
    peer: IpAddr,
    /// What was read and not yet used up; a request's head stays here until it is answered.
    input: Vec<u8>,
    output: Vec<u8>,
}

impl<T: Transport> Connection<T> {
    /// Reads more input; 0 means that the client has ended the connection.
    async fn fill(&mut self) -> io::Result<usize> {
        self.input.reserve(4096);
        self.io.read_buf(&mut self.input).await
    }
}

/// What follows a request.
enum Next {
    Request,
    /// The connection is ended in order.
    Close,
    /// The connection is dropped as it is.
    Drop,
    /// The connection is a WebSocket from now on.
    Upgrade(Box<Opening>),
}

/// Serves a connection whose first bytes may have been read already.
pub(crate) async fn serve<T: Transport>(core: &Rc<Core>, io: T, first: Vec<u8>) -> io::Result<()> {
    let peer = io.tcp().peer_addr()?.ip();
    let mut connection = Connection { io, peer, input: first, output: Vec::with_capacity(1024) };
    let mut served = 0;
    loop {
        let head = match read_head(&mut connection).await? {
            Some(Ok(head)) => head,
            Some(Err(status)) => {
                core.server.ledger.bad_request();
                refuse(&mut connection, status).await?;
                break;
            }
            None => return Ok(()),
        };
        served += 1;
        let limit = core.server.keep_alive_requests;
        let last = !head.keep_alive || (limit > 0 && served >= limit);
        match exchange(core, &mut connection, &head, last).await? {
            Next::Request => drop(connection.input.drain(..head.len)),
            Next::Close => break,
            Next::Drop => return Ok(()),
            Next::Upgrade(opening) => {
                let behind = connection.input.get(head.len..).unwrap_or_default();
                return websocket::serve(core, connection.io, behind, *opening).await;
            }
        }
    }
    close(core, connection).await
}

/// Ends a connection so that the client gets all that was written.
async fn close<T: Transport>(core: &Core, mut connection: Connection<T>) -> io::Result<()> {
    connection.io.shutdown().await?;
    let deadline = Instant::now() + LINGER;
    loop {
        connection.input.clear();
        let read = tokio::select! {
            read = connection.fill() => read?,
            () = core.timer.sleep_until(deadline) => 0,
        };
        if read == 0 {
            return Ok(());
        }
    }
}

/// Reads the next head; nothing if the client is done, the status of a refusal if it cannot be read.
async fn read_head<T: Transport>(
    connection: &mut Connection<T>,
) -> io::Result<Option<Result<Head, StatusCode>>> {
    loop {
        if !connection.input.is_empty() {
            match head::parse(&connection.input) {
                Ok(Some(head)) => return Ok(Some(Ok(head))),
                Ok(None) => {}
                Err(status) => return Ok(Some(Err(status))),
            }
        }
        if connection.fill().await? == 0 {
            return Ok(None);
        }
    }
}

/// Answers a request that cannot be served.
async fn refuse<T: Transport>(connection: &mut Connection<T>, status: StatusCode) -> io::Result<()> {
    let reason = status.canonical_reason().unwrap_or_default();
    let reply = Reply::json(status, &json!({ "error": reason }));
    let form = Form { head_only: false, close: true, cut: false };
    write::reply(connection, &reply, form, &mut 0, None).await
}

async fn exchange<T: Transport>(
    core: &Rc<Core>,
    connection: &mut Connection<T>,
    head: &Head,
    last: bool,
) -> io::Result<Next> {
    let _busy = core.busy();
    let (path, query) = target::split(head.target(&connection.input));
    let is_control = control::is_control(path);
    let (path, query) = (path.to_owned(), query.map(str::to_owned));
    let resolved = (!is_control).then(|| core.resolve(&path));
    let keep = resolved.as_ref().is_none_or(|resolved| resolved.handler.wants_body());
    let body = match body::read(connection, head, keep).await? {
        Ok(body) => body,
        Err(status) => {
            core.server.ledger.bad_request();
            refuse(connection, status).await?;
            return Ok(Next::Close);
        }
    };
    let at = Instant::now();
    let request = Request { head, path: &path, query: query.as_deref(), body: &body, last };
    match resolved {
        Some(resolved) => answer(core, connection, &request, &resolved, at).await,
        None => {
            let target = (request.path, request.query);
            let reply = control::answer(&core.server, &head.method, target, &body.kept);
            let form = request.form(core);
            write::reply(connection, &reply, form, &mut 0, None).await?;
            Ok(if form.close { Next::Close } else { Next::Request })
        }
    }
}

/// A request that has arrived.
struct Request<'a> {
    head: &'a Head,
    path: &'a str,
    query: Option<&'a str>,
    body: &'a body::Body,
    /// Whether it is the connection's last.
    last: bool,
}

impl Request<'_> {
    fn form(&self, core: &Core) -> Form {
        let head_only = self.head.method == Method::HEAD;
        Form { head_only, close: self.last || core.draining(), cut: false }
    }
}

/// Does what the plan of a counted request says.
async fn answer<T: Transport>(
    core: &Rc<Core>,
    connection: &mut Connection<T>,
    request: &Request<'_>,
    resolved: &Resolved,
    at: Instant,
) -> io::Result<Next> {
    core.server.faults.note_request(at);
    let bytes_in = request.head.len as u64 + request.body.bytes;
    let mut in_flight = resolved.account.arrive(&request.head.method, at, bytes_in);
    let plan = {
        let headers = || head::headers(&connection.input[..request.head.len]);
        let incoming = Incoming {
            method: &request.head.method,
            path: request.path,
            query: request.query,
            protocol: "HTTP/1.1",
            peer: connection.peer,
            body: &request.body.kept,
            at,
            headers: &headers,
        };
        plan::plan(&core.server, resolved, &incoming)
    };
    core.answer_at(at + plan.delay).await;
    match &plan.act {
        Act::Reset => {
            connection.io.tcp().set_zero_linger()?;
            in_flight.finish(Outcome::Reset, Instant::now());
            return Ok(Next::Drop);
        }
        Act::Drop => {
            in_flight.finish(Outcome::Dropped, Instant::now());
            return Ok(Next::Close);
        }
        stall @ (Act::Stall | Act::StallDuring(_)) => {
            if !still_there(connection, core.stalled(stall)).await? {
                return Ok(Next::Drop);
            }
        }
        Act::Answer | Act::Truncate | Act::Upgrade(_) => {}
    }
    let cut = matches!(plan.act, Act::Truncate);
    let upgrade = matches!(plan.act, Act::Upgrade(_));
    let form = Form { cut, ..request.form(core) };
    let form = Form { close: form.close && !upgrade, ..form };
    write::reply(connection, &plan.reply, form, &mut in_flight.bytes_out, Some(core)).await?;
    let mut next = if form.close { Next::Close } else { Next::Request };
    if let Some(feed) = plan.reply.feed.as_ref().filter(|_| !form.head_only) {
        match write::play(core, connection, feed, &mut in_flight.bytes_out).await? {
            End::Complete => {}
            End::Left => return Ok(Next::Drop),
            End::Dropped => {
                in_flight.finish(Outcome::Truncated, Instant::now());
                return Ok(Next::Close);
            }
        }
    }
    if cut {
        in_flight.finish(Outcome::Truncated, Instant::now());
        return Ok(Next::Close);
    }
    in_flight.finish(Outcome::Answered(plan.reply.status.as_u16()), Instant::now());
    if let Act::Upgrade(opening) = plan.act {
        next = Next::Upgrade(opening);
    }
    Ok(next)
}

/// Waits for something; false if the client ends the connection before.
async fn still_there<T: Transport>(
    connection: &mut Connection<T>,
    something: impl Future<Output = ()>,
) -> io::Result<bool> {
    tokio::pin!(something);
    loop {
        tokio::select! {
            () = &mut something => return Ok(true),
            read = connection.fill(), if connection.input.len() < READ_AHEAD => if read? == 0 {
                return Ok(false);
            },
        }
    }
}
