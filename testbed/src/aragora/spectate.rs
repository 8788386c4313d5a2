//! Event streams: the events of a debate for its spectators, and the counting stream of `/sse`. `feed.rs` is what the
//! protocols play.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::answers::stamp;
use super::debates::of;
use super::live::Live;
use super::script::{Script, envelope};
use super::{Call, Shape};
use crate::clock::Clock;
use crate::feed::{Due, Feed, Source};
use crate::reply::Reply;
use crate::request::Incoming;
use crate::server::Server;

/// The longest pause of `/sse`, in milliseconds.
const MAX_PAUSE: u64 = 600_000;

/// An event as it stands in a stream.
fn event(id: Option<u64>, kind: &str, data: &Value) -> Bytes {
    let id = id.map_or_else(String::new, |id| format!("id: {id}\n"));
    Bytes::from(format!("{id}event: {kind}\ndata: {data}\n\n"))
}

/// A stream of the source's events.
fn reply(server: &Server, live: &Live, source: Arc<dyn Source>, pattern: &'static str) -> Reply {
    let headers = [("content-type", "text/event-stream"), ("cache-control", "no-cache")];
    let mut reply = Reply::with_constants(StatusCode::OK, headers);
    reply.chunked = true;
    reply.feed = Some(Box::new(Feed {
        source,
        heartbeat: Duration::from_secs_f64(live.settings.sse.heartbeat_ms / 1e3),
        drop_after: live.settings.sse.drop_after.map(|count| count as u64),
        streams: server.events.clone(),
        pattern,
    }));
    reply
}

/// `GET /api/debates/{id}/spectate`: first `connected`, then the events from the beginning, or from the one after
/// `Last-Event-ID`, each at its time and at once if that has passed.
pub(super) fn debate(call: &Call<'_>) -> Result<Reply, Reply> {
    let seen = call.request.header("last-event-id").and_then(|id| id.trim().parse().ok()).unwrap_or(0);
    let debate = of(call, &call.books())?.clone();
    let source = Spectator {
        id: call.id.to_owned(),
        script: debate.script,
        created: debate.created,
        begun: call.request.at,
        seen,
        shape: call.settings().shape,
        clock: call.server.clock,
    };
    Ok(reply(call.server, call.live, Arc::new(source), "/api/debates/{id}/spectate"))
}

/// A spectator of a debate.
struct Spectator {
    id: String,
    script: Arc<Script>,
    created: Instant,
    begun: Instant,
    /// Events of the debate that the client has seen before.
    seen: u64,
    shape: Shape,
    clock: Clock,
}

impl Source for Spectator {
    fn due(&self, number: u64) -> Due {
        let Some(event) = number.checked_sub(1).map(|number| number.saturating_add(self.seen)) else {
            return Due::At(self.begun);
        };
        match self.script.at(event) {
            Some(after) => Due::At((self.created + after).max(self.begun)),
            None if event < self.script.len() => Due::Never,
            None => Due::End,
        }
    }

    fn event(&self, number: u64, now: Instant) -> Bytes {
        let timestamp = stamp(self.shape, self.clock.unix_us(now));
        let Some(number) = number.checked_sub(1).map(|number| number.saturating_add(self.seen)) else {
            return event(None, "connected", &json!({"debate_id": self.id, "timestamp": timestamp}));
        };
        let data = envelope(&self.script, number, &self.id, timestamp);
        event(Some(number + 1), data["type"].as_str().unwrap_or_default(), &data)
    }
}

/// `GET /sse?events=N&every=MS`: so many events, the first at once; without end for 0.
pub(crate) fn counting(server: &Server, request: &Incoming<'_>) -> Reply {
    let live = server.faults.live();
    let source = Counting {
        events: request.number("events").unwrap_or(10),
        every: Duration::from_millis(request.number("every").unwrap_or(100).min(MAX_PAUSE)),
        begun: request.at,
        shape: live.settings.shape,
        clock: server.clock,
    };
    reply(server, &live, Arc::new(source), "/sse")
}

/// A stream that counts.
struct Counting {
    events: u64,
    every: Duration,
    begun: Instant,
    shape: Shape,
    clock: Clock,
}

impl Source for Counting {
    fn due(&self, number: u64) -> Due {
        let wait = u32::try_from(number).ok().and_then(|number| self.every.checked_mul(number));
        match wait {
            Some(wait) if self.events == 0 || number < self.events => Due::At(self.begun + wait),
            _ => Due::End,
        }
    }

    fn event(&self, number: u64, now: Instant) -> Bytes {
        let timestamp = stamp(self.shape, self.clock.unix_us(now));
        event(Some(number + 1), "count", &json!({"number": number + 1, "timestamp": timestamp}))
    }
}
