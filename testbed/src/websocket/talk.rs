//! The conversation on a WebSocket of the Aragora service: what is answered to a client's messages, and which events it
//! gets when. It neither waits nor sends; `websocket.rs` does both.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::aragora::{Debate, Live, Pace, Script, Shape, envelope, stamp};
use crate::limit::Drip;
use crate::server::Server;

/// Debates that `loop_list` tells of.
const MAX_LOOPS: usize = 20;

/// Debates that one socket may be subscribed to at once.
const MAX_SUBSCRIPTIONS: usize = 1000;

/// Something to say.
#[derive(Debug)]
pub(super) enum Out {
    /// An answer, which no fault of events touches.
    Plain(Value),
    /// An event, and whether it is the last of its kind.
    Event { value: Value, last: bool },
}

/// A subscription to a debate.
#[derive(Debug)]
struct Subscription {
    debate: String,
    script: Arc<Script>,
    /// When the debate began for this subscriber.
    zero: Instant,
    /// The number of the next event, counted from 0.
    next: u64,
}

impl Subscription {
    fn due(&self) -> Option<Instant> {
        Some(self.zero + self.script.at(self.next)?)
    }
}

/// A subscription to a channel.
#[derive(Debug)]
struct Channel {
    name: String,
    next: Instant,
    seq: u64,
}

/// What holds while something is said.
#[derive(Clone, Copy)]
pub(super) struct Moment<'a> {
    pub(super) server: &'a Server,
    pub(super) live: &'a Live,
    pub(super) now: Instant,
}

impl Moment<'_> {
    /// The time as the shape in use writes it.
    fn stamp(self) -> Value {
        stamp(self.live.settings.shape, self.server.clock.unix_us(self.now))
    }
}

/// What one socket's conversation has come to.
#[derive(Debug)]
pub(super) struct Talk {
    socket: u64,
    /// The debate that the path names.
    bound: Option<String>,
    subscriptions: Vec<Subscription>,
    channel: Option<Channel>,
    heartbeat: Instant,
    drip: Drip,
}

/// Milliseconds of the settings as a time.
fn time(ms: f64) -> Duration {
    Duration::from_secs_f64(ms / 1e3)
}

impl Talk {
    /// The conversation of a socket that has just opened.
    pub(super) fn new(socket: u64, bound: Option<String>, now: Instant) -> Self {
        let (subscriptions, channel) = (Vec::new(), None);
        Talk { socket, bound, subscriptions, channel, heartbeat: now, drip: Drip::FULL }
    }

    /// What is said before the client says anything.
    pub(super) fn greet(&mut self, at: Moment<'_>) -> Vec<Out> {
        self.heartbeat = at.now + time(at.live.settings.sockets.heartbeat_ms);
        if at.live.settings.shape == Shape::Test {
            return Vec::new();
        }
        let data = json!({"authenticated": at.live.settings.auth.required, "client_id": self.socket, "write_access": true});
        let info = said(at, "connection_info", [("data", data)]);
        vec![info, loops(at)]
    }

    /// When the next event is due.
    pub(super) fn due(&self) -> Option<Instant> {
        let debates = self.subscriptions.iter().filter_map(Subscription::due);
        debates.chain(self.channel.as_ref().map(|channel| channel.next)).chain([self.heartbeat]).min()
    }

    /// The event that is due; none if none is.
    pub(super) fn fire(&mut self, at: Moment<'_>) -> Vec<Out> {
        let sockets = &at.live.settings.sockets;
        if self.heartbeat <= at.now {
            self.heartbeat = at.now + time(sockets.heartbeat_ms);
            return vec![said(at, "heartbeat", [("data", json!({}))])];
        }
        if let Some(channel) = &mut self.channel
            && channel.next <= at.now
        {
            channel.next += time(sockets.channel_ms);
            channel.seq += 1;
            let data = json!({"channel": channel.name});
            let fields = [("data", data), ("seq", json!(channel.seq))];
            return match said(at, "debate_update", fields) {
                Out::Plain(value) => vec![Out::Event { value, last: false }],
                event @ Out::Event { .. } => vec![event],
            };
        }
        let due = self.subscriptions.iter().enumerate().filter_map(|(i, own)| Some((own.due()?, i)));
        let Some((due, index)) = due.min() else { return Vec::new() };
        if due > at.now {
            return Vec::new();
        }
        let subscription = &mut self.subscriptions[index];
        let event = event(at, subscription);
        subscription.next += 1;
        if subscription.next >= subscription.script.len() {
            self.subscriptions.swap_remove(index);
        }
        vec![event]
    }

    /// What is said to a message of the client.
    pub(super) fn hear(&mut self, at: Moment<'_>, message: &[u8]) -> Vec<Out> {
        let sockets = &at.live.settings.sockets;
        let error = |code: u16, text: &str| vec![error(at, code, text)];
        if message.len() > sockets.max_bytes {
            let text = format!("the message has {} bytes; {} are the most", message.len(), sockets.max_bytes);
            return error(413, &text);
        }
        let rate = sockets.messages_per_second;
        if rate > 0.0 && !self.drip.take(rate, sockets.burst, at.now) {
            return error(429, "too many messages; rate limit exceeded");
        }
        let Ok(Value::Object(fields)) = serde_json::from_slice(message) else {
            return error(400, "the message is no JSON object");
        };
        let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default();
        match kind {
            "subscribe" => self.subscribe(at, &fields),
            "ping" => {
                let client_ts = ["ts", "client_ts", "timestamp"].iter().find_map(|name| fields.get(*name));
                let server_ts = at.stamp();
                let times = [("client_ts", json!(client_ts)), ("server_ts", server_ts)];
                vec![said(at, "pong", times)]
            }
            "get_loops" => vec![loops(at)],
            "user_vote" | "user_suggestion" | "connection_quality" => {
                vec![said(at, "ack", [("data", json!({ "for": kind }))])]
            }
            "" => error(400, "the message has no type"),
            other => error(400, &format!("nothing is known of messages of the type {other}")),
        }
    }

    fn subscribe(&mut self, at: Moment<'_>, fields: &Map<String, Value>) -> Vec<Out> {
        let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
        let named = text("debate_id").or_else(|| text("loop_id"));
        let Some(debate) = named.or_else(|| self.bound.clone()) else {
            return match text("channel") {
                Some(name) if at.live.settings.shape == Shape::Test => {
                    let answer = said(at, "subscribed", [("channel", json!(name))]);
                    let next = at.now + time(at.live.settings.sockets.channel_ms);
                    self.channel = Some(Channel { name, next, seq: 0 });
                    vec![answer]
                }
                _ => vec![error(at, 400, "a subscription names a debate_id or a loop_id")],
            };
        };
        let found = at.server.world.books().debates.get(&debate).cloned();
        let Some(found) = found.filter(|found| !found.is_purged(&at.live.settings.debates, at.now)) else {
            return vec![error(at, 404, &format!("there is no debate {debate}"))];
        };
        let replay = fields.get("replay_from_seq").and_then(Value::as_u64);
        self.subscriptions.retain(|own| own.debate != debate);
        if self.subscriptions.len() >= MAX_SUBSCRIPTIONS {
            return vec![error(at, 429, "too many subscriptions on one connection")];
        }
        self.follow(at, debate, &found, replay)
    }

    /// Subscribes to a debate: the answer, and what is said of the past.
    fn follow(&mut self, at: Moment<'_>, debate: String, found: &Debate, replay: Option<u64>) -> Vec<Out> {
        let (script, age) = (found.script.clone(), found.age(at.now));
        let status = script.status(age);
        let mut out = vec![match at.live.settings.shape {
            Shape::Test => {
                let fields = [("debate_id", json!(debate)), ("status", json!(status))];
                said(at, "subscribed", fields)
            }
            Shape::Real => {
                let state = match status {
                    "starting" => "waiting",
                    "running" => "in_progress",
                    over => over,
                };
                let fields = [("data", json!({ "status": state })), ("loop_id", json!(debate))];
                said(at, "sync", fields)
            }
        }];
        let from = replay.map(|seq| seq.saturating_sub(1).min(script.len()));
        let (zero, passed) = match at.live.settings.sockets.pace {
            // The subscriber's clock stands so that the event it begins with comes after the usual pause.
            Pace::Subscriber => {
                let skipped = script.gap * u32::try_from(from.unwrap_or(0)).unwrap_or(u32::MAX);
                (at.now.checked_sub(skipped).unwrap_or(at.now), from.unwrap_or(0))
            }
            Pace::Debate => (found.created, script.passed(age)),
        };
        let mut subscription = Subscription { debate, script, zero, next: passed };
        if let Some(from) = from {
            let count = passed.saturating_sub(from);
            let start = [("from_seq", json!(from + 1)), ("count", json!(count))];
            out.push(said(at, "replay_start", start));
            for number in from..passed {
                subscription.next = number;
                out.push(event(at, &subscription));
            }
            subscription.next = passed;
            out.push(said(at, "replay_end", [("count", json!(count))]));
        } else if passed >= subscription.script.len() {
            // It is over: who comes late hears of the end at least.
            subscription.next = passed - 1;
            out.push(event(at, &subscription));
            subscription.next = passed;
        }
        if subscription.next < subscription.script.len() {
            self.subscriptions.push(subscription);
        }
        out
    }
}

/// The subscription's next event, as it is said now.
fn event(at: Moment<'_>, of: &Subscription) -> Out {
    let timestamp = at.stamp();
    let value = envelope(&of.script, of.next, &of.debate, timestamp);
    Out::Event { value, last: of.next + 1 >= of.script.len() }
}

/// A message with its type, its fields and the time.
fn said<const N: usize>(at: Moment<'_>, kind: &str, fields: [(&str, Value); N]) -> Out {
    let mut message = Map::new();
    message.insert("type".to_owned(), json!(kind));
    message.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    message.insert("timestamp".to_owned(), at.stamp());
    Out::Plain(Value::Object(message))
}

/// An error event; the connection stays.
fn error(at: Moment<'_>, code: u16, text: &str) -> Out {
    let category = match code {
        413 | 400 => "validation",
        429 => "rate_limit",
        _ => "not_found",
    };
    let fields = [("code", json!(code)), ("category", json!(category)), ("message", json!(text))];
    said(at, "error", fields)
}

/// The debates that are going on.
fn loops(at: Moment<'_>) -> Out {
    let books = at.server.world.books();
    let running = books.debates.newest().filter(|(_, debate)| !debate.script.is_over(debate.age(at.now)));
    let loops: Vec<Value> = running
        .take(MAX_LOOPS)
        .map(|(id, debate)| json!({"loop_id": id, "task": debate.script.task}))
        .collect();
    drop(books);
    let count = loops.len();
    said(at, "loop_list", [("loops", json!(loops)), ("count", json!(count))])
}
