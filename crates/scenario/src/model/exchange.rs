//! What a step exchanges with the target: requests, polls, WebSocket sessions, event streams. Their steps are in `step.rs`.

use serde::{Deserialize, Serialize};

use super::{Assign, Check, Condition, Wait};

/// HTTP requests until a job is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PollStep {
    /// The request.
    pub http: HttpStep,
    /// Nanoseconds from the end of a response to the next request.
    pub every: u64,
    /// Nanoseconds from the first request, after which it has timed out.
    pub limit: u64,
    /// Whether the job is done.
    pub done: Condition,
    /// Whether the job failed.
    pub failed: Option<Condition>,
    /// Trend of what is done.
    pub metric: u16,
}

/// A WebSocket session (RFC 6455).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebSocketStep {
    /// The handshake: a GET whose `expect` holds 101; `timeout` is that of connecting.
    pub handshake: HttpStep,
    /// Offered subprotocols.
    pub subprotocols: Vec<String>,
    /// What is done on it, in order.
    pub script: Vec<WebSocketAction>,
    /// What is measured.
    pub metrics: StreamMetrics,
}

/// One item of a WebSocket script.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WebSocketAction {
    /// Sends a text message.
    Send {
        /// The message; [`Body::Json`] is sent as compact JSON text.
        message: Body,
        /// Where it stands in the manifest.
        at: String,
    },
    /// Reads messages until one meets the condition.
    #[serde(rename_all = "camelCase")]
    Receive {
        /// The last message to read; the next one when absent.
        until: Option<Condition>,
        /// Nanoseconds.
        within: u64,
        /// Whether the script goes on when none came in time.
        optional: bool,
        /// How messages are read.
        reading: Reading,
        /// What is kept of the message that met the condition.
        captures: Vec<Assign>,
    },
    /// Reads messages for a while.
    Hold {
        /// How long.
        length: Wait,
        /// How messages are read.
        reading: Reading,
    },
    /// Sends a ping and waits for its pong.
    Ping {
        /// Nanoseconds.
        within: u64,
    },
    /// Does nothing for a while; messages wait.
    Pause(Wait),
    /// Closes the session.
    Close {
        /// Status code.
        code: u16,
        /// A template.
        reason: String,
        /// Where it stands in the manifest.
        at: String,
    },
    /// Waits until the peer closes.
    AwaitClose {
        /// Nanoseconds.
        within: u64,
        /// Status codes that it may close with; any when empty.
        codes: Vec<u16>,
    },
}

/// What is made of every message that is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reading {
    /// When the peer sent it: a timestamp, an RFC 3339 text, or a number of epoch seconds.
    pub sent_at: Option<Condition>,
    /// Recorded judgements.
    pub checks: Vec<Check>,
}

/// Metrics that a WebSocket or SSE step makes: trends, then counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamMetrics {
    /// Trend: from the handshake's end to the first message.
    pub first_message: u16,
    /// Trend: from `sentAt` to arrival.
    pub message: u16,
    /// Trend: round-trip times of pings; unused by SSE.
    pub ping: u16,
    /// Trend: from the handshake's end to the end of the session.
    pub session: u16,
    /// Counter: messages sent; unused by SSE.
    pub sent: u16,
    /// Counter: messages received.
    pub received: u16,
    /// Counter: messages whose `sentAt` was later than their arrival.
    pub skewed: u16,
}

/// A stream of server-sent events (WHATWG HTML, "Server-sent events").
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SseStep {
    /// The request; its `timeout` is that of the response's head.
    pub http: HttpStep,
    /// The last event to read; the end of the stream when absent.
    pub until: Option<Condition>,
    /// Nanoseconds from the response's head on.
    pub limit: u64,
    /// How events are read.
    pub reading: Reading,
    /// What is kept of the event that met the condition.
    pub captures: Vec<Assign>,
    /// What is measured.
    pub metrics: StreamMetrics,
}

/// One HTTP request, all texts still templates with `${expr}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpStep {
    /// Index into the plan's request names.
    pub request: u16,
    /// Where the step stands in the manifest, for messages: `spec.scenarios[0].steps[1]`. The fields of its request stand below
    /// `.http`, `.poll.http`, `.websocket` or `.sse` there.
    pub at: String,
    /// Upper-case token.
    pub method: String,
    /// Path and query of the request line, target path already put before it: starts with `/`.
    pub path: String,
    /// Query parameters, appended to the path percent-encoded.
    pub query: Vec<Field>,
    /// Target, scenario and step headers already merged (the later replaces the earlier, by lower-case name).
    pub headers: Vec<Field>,
    /// The body.
    pub body: Body,
    /// Expected statuses (inclusive); others fail the request.
    pub expect: Vec<StatusRange>,
    /// Must hold, or the request has failed; an expression that cannot be computed does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub that: Option<String>,
    /// Nanoseconds for the whole exchange, connect included.
    pub timeout: u64,
    /// Redirects followed; a response that still redirects then fails. 0 follows none: the redirect is the response.
    pub redirects: u16,
}

/// A named text: header or query parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Not a template.
    pub name: String,
    /// A template.
    pub value: String,
}

/// A request body.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Body {
    /// None.
    #[default]
    Empty,
    /// A template.
    Text(String),
    /// JSON whose strings are templates; a string that is exactly one `${expr}` keeps the expression's type.
    Json(serde_json::Value),
}

/// Inclusive range of statuses.
pub type StatusRange = (u16, u16);
