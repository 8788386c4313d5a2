//! The handshake of a WebSocket: which requests become one, which are refused, and which become one that is closed at
//! once with the reason. `plan.rs` asks, `websocket.rs` serves what is opened.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};

use super::frame;
use super::peers::Place;
use super::{Door, Kind};
use crate::aragora::{self, Live, part_in, problem};
use crate::reply::{self, Reply};
use crate::request::Incoming;
use crate::server::Server;
use crate::streams::OpenStream;

/// A connection that becomes a WebSocket.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(super) door: &'static Door,
    /// The debate that the path names.
    pub(super) debate: Option<String>,
    /// The close code and the reason of a client that may not stay.
    pub(super) reject: Option<(u16, &'static str)>,
    pub(super) stream: OpenStream,
    /// Its place among the sockets of its address.
    pub(super) place: Option<Place>,
}

/// How long a handshake takes.
pub(crate) fn handshake_delay(server: &Server, door: &Door) -> Duration {
    match door.kind {
        Kind::Echo | Kind::Order => Duration::ZERO,
        Kind::Talk => Duration::from_secs_f64(server.faults.live().settings.sockets.handshake_ms / 1e3),
    }
}

/// Opens a WebSocket with the reply that agrees to it; the refusal otherwise.
pub(crate) fn open(
    server: &Server,
    door: &'static Door,
    request: &Incoming<'_>,
) -> Result<(Opening, Reply), Reply> {
    let live = server.faults.live();
    let opened = agree(server, door, request, &live);
    if opened.is_err() {
        server.sockets.refused(door.pattern);
    }
    opened
}

fn agree(
    server: &Server,
    door: &'static Door,
    request: &Incoming<'_>,
    live: &Live,
) -> Result<(Opening, Reply), Reply> {
    let accept = upgrade(request, live.settings.sockets.plain_status)?;
    if door.kind == Kind::Talk {
        admit(server, door, request, live)?;
    }
    let stream = server.sockets.open(door.pattern);
    let mut opening = Opening { door, debate: None, reject: None, stream, place: None };
    if door.kind == Kind::Talk {
        let debate = part_in(door.pattern, request.path);
        opening.debate = (!debate.is_empty()).then(|| debate.to_owned());
        match stay(server, request, live) {
            Ok(place) => opening.place = Some(place),
            Err(reject) => opening.reject = Some(reject),
        }
    }
    let headers = [("upgrade", "websocket"), ("connection", "Upgrade")];
    let reply = Reply::with_constants(StatusCode::SWITCHING_PROTOCOLS, headers);
    let reply = reply.with_numbers(&[("x-socket", opening.stream.number)]);
    let failed = |error: String| problem(StatusCode::INTERNAL_SERVER_ERROR, &error);
    Ok((opening, reply.with_header("sec-websocket-accept", &accept).map_err(failed)?))
}

/// Checks that the request asks for a WebSocket as the standard wants it (RFC 6455, 4.2.1); the accept key then.
fn upgrade(request: &Incoming<'_>, plain_status: u16) -> Result<String, Reply> {
    let headers = (request.headers)();
    let header =
        |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let has = |name: &str, token: &str| {
        let all = headers.iter().filter(|(known, _)| known == name);
        all.flat_map(|(_, value)| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(token))
    };
    let refuse = |status: u16, error: &str| {
        let reply = problem(reply::status(status).unwrap_or(StatusCode::UPGRADE_REQUIRED), error);
        let told = [("upgrade", "websocket"), ("sec-websocket-version", "13")];
        told.into_iter()
            .try_fold(reply.clone(), |reply, (name, value)| reply.with_header(name, value))
            .unwrap_or(reply)
    };
    if request.protocol != "HTTP/1.1" {
        return Err(refuse(
            plain_status,
            "WebSockets are served over HTTP/1.1; use a connection without HTTP/2",
        ));
    }
    if request.method != Method::GET || !has("upgrade", "websocket") || !has("connection", "upgrade") {
        return Err(refuse(plain_status, "this path takes WebSockets; ask with GET and the upgrade headers"));
    }
    if header("sec-websocket-version") != Some("13") {
        return Err(refuse(426, "the WebSocket version is 13"));
    }
    header("sec-websocket-key")
        .and_then(frame::accept)
        .ok_or_else(|| refuse(400, "sec-websocket-key is missing or not 16 bytes in base64"))
}

/// Checks what is answered with a status.
fn admit(server: &Server, door: &Door, request: &Incoming<'_>, live: &Live) -> Result<(), Reply> {
    let number = server.world.take_handshake();
    let sockets = &live.settings.sockets;
    if sockets.refuse.is_some_and(|when| when.hits(number)) {
        let status = reply::status(sockets.refuse_status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        return Err(problem(status, "refused by the testbed"));
    }
    let debate = part_in(door.pattern, request.path);
    let books = server.world.books();
    let known =
        books.debates.get(debate).filter(|debate| !debate.is_purged(&live.settings.debates, request.at));
    if !debate.is_empty() && known.is_none() {
        return Err(problem(StatusCode::NOT_FOUND, &format!("there is no debate {debate}")));
    }
    Ok(())
}

/// Checks what is answered with a close frame.
fn stay(server: &Server, request: &Incoming<'_>, live: &Live) -> Result<Place, (u16, &'static str)> {
    let settings = &live.settings;
    let origin = request.header("origin");
    let allowed = |origin: &String| settings.sockets.origins.contains(origin);
    if !settings.sockets.origins.is_empty() && origin.as_ref().is_some_and(|origin| !allowed(origin)) {
        return Err((4003, "the origin is not allowed"));
    }
    if settings.auth.required && !has_token(server, request, live, request.at) {
        server.world.books().counts.unauthorized += 1;
        return Err((4001, "the token is missing or not valid"));
    }
    server.peers.enter(request.peer, &settings.sockets, request.at).map_err(|reason| (4029, reason))
}

/// Whether the request has a good token, in a header or in its query.
fn has_token(server: &Server, request: &Incoming<'_>, live: &Live, now: Instant) -> bool {
    let token = request.bearer().or_else(|| request.text("token"));
    token.is_some_and(|token| aragora::is_good(live, &server.world.books(), &token, now))
}
