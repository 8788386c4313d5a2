//! What a step does on the network: a request, a poll, a WebSocket or a stream of events. Lowered by `lower/actions.rs`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::rules::{any_json, expressions, texts, without_rules, words};
use super::{Expressions, Wait, patterns};
use crate::{GoDuration, StatusMatch};

/// An HTTP request. Texts may hold ${…}.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Http {
    /// Method. Default GET.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 20), regex(pattern = patterns::METHOD))]
    pub method: Option<String>,
    /// Path, appended to that of target.url; starts with / and may hold a query.
    #[schemars(length(min = 1, max = 2048), regex(pattern = patterns::PATH))]
    pub path: String,
    /// Query parameters, appended percent-encoded.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "texts")]
    pub query: BTreeMap<String, String>,
    /// Headers, over those of scenario and target. With an upgrade header, 101 is a response like any other and the connection is closed
    /// after it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "texts")]
    pub headers: BTreeMap<String, String>,
    /// Body as JSON, sent with content-type application/json. A string that is exactly one ${…} keeps the type of the expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_json")]
    pub json: Option<Value>,
    /// Body as text, in place of json.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65536))]
    pub body: Option<String>,
    /// What counts as success; anything else is a failed request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
    /// Time for the whole exchange, connecting included; then the request has failed as Timeout. Default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<GoDuration>,
    /// Most redirects followed; a response that still redirects then fails the request (Status). 0 follows none and takes the redirect
    /// as the response. Default 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 50))]
    pub redirects: Option<u16>,
}

/// What counts as success.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Expect {
    /// Statuses: numbers, classes such as "2xx" or ranges such as "200-299". Default 200-399; a WebSocket's 101 is always one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 50), extend("x-kubernetes-list-type" = "atomic"))]
    pub status: Vec<StatusMatch>,
    /// Expression of the response that must be true, or the request has failed (Body).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub that: Option<String>,
}

/// Requests until a job is done. Its duration is a metric: done, failed and timed out are told apart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Poll {
    /// Pause from a response to the next request.
    pub every: GoDuration,
    /// How long after the first request the job has timed out.
    pub limit: GoDuration,
    /// The request.
    pub http: Http,
    /// Expression of the response that is true when the job is done.
    #[schemars(length(min = 1, max = 4096))]
    pub done: String,
    /// Expression of the response that is true when the job has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub failed: Option<String>,
    /// Name of the trend of its duration. Default "NAME duration".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub metric: Option<String>,
}

/// A WebSocket. Its handshake is the request; it makes the trends "NAME first message", "NAME message", "NAME ping" and "NAME session"
/// and the counters "NAME sent", "NAME received" and "NAME skewed".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebSocket {
    /// Path, appended to that of target.url; starts with / and may hold a query.
    #[schemars(length(min = 1, max = 2048), regex(pattern = patterns::PATH))]
    pub path: String,
    /// Query parameters, appended percent-encoded.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "texts")]
    pub query: BTreeMap<String, String>,
    /// Headers, over those of scenario and target.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "texts")]
    pub headers: BTreeMap<String, String>,
    /// Subprotocols that are offered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), inner(length(min = 1, max = 128)), extend("x-kubernetes-list-type" = "atomic"))]
    pub subprotocols: Vec<String>,
    /// Time for the handshake, connecting included. Default 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<GoDuration>,
    /// Responses to the handshake that count as success beside 101.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
    /// What is done on it, in order; then it is closed with 1000.
    #[schemars(length(min = 1, max = 50), extend("x-kubernetes-list-type" = "atomic"))]
    pub script: Vec<SocketAction>,
}

/// One thing done on a WebSocket: exactly one of send, receive, hold, ping, pause, close and awaitClose.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct SocketAction {
    /// Sends a message: a text, or a value as JSON text. Texts may hold ${…}.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_json")]
    pub send: Option<Value>,
    /// Reads messages until one meets a condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receive: Option<Receive>,
    /// Stays open and reads whatever comes, for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// Sends a ping and waits for its pong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ping: Option<Ping>,
    /// Does nothing for a while; messages wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = without_rules)]
    pub pause: Option<Wait>,
    /// Closes, and waits up to 5s for the peer to do so too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub close: Option<Close>,
    /// Waits until the peer closes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub await_close: Option<AwaitClose>,
}

/// Reads messages until one meets a condition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Receive {
    /// Expression of message that is true of the last one to read. Default: the next message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub until: Option<String>,
    /// How long it may take. Default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<GoDuration>,
    /// Expression of message: when the peer sent it, as a timestamp, an RFC 3339 text or epoch seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub sent_at: Option<String>,
    /// Expressions by name that should be true of every message.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "expressions")]
    pub check: Expressions,
    /// What the user keeps of the message that met the condition, as user.NAME.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "expressions")]
    pub capture: Expressions,
    /// What it means that none came in time. Fail (default) ends the script, Continue goes on with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_timeout: Option<OnTimeout>,
}

/// What it means that no message met the condition in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, transform = words)]
pub enum OnTimeout {
    /// The script ends, timed out.
    #[default]
    Fail,
    /// It goes on.
    Continue,
}

/// Stays open and reads whatever comes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    /// How long.
    #[serde(rename = "for")]
    pub length: GoDuration,
    /// Expression of message: when the peer sent it, as a timestamp, an RFC 3339 text or epoch seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub sent_at: Option<String>,
    /// Expressions by name that should be true of every message.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "expressions")]
    pub check: Expressions,
}

/// A ping of the protocol.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ping {
    /// How long its pong may take. Default 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<GoDuration>,
}

/// How a WebSocket is closed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Close {
    /// Status code: 1000 to 1003, 1007 to 1011 or 3000 to 4999. Default 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1000, max = 4999))]
    pub code: Option<u16>,
    /// A text for the peer, at most 123 bytes; may hold ${…}.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub reason: Option<String>,
}

/// How the peer should close.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AwaitClose {
    /// How long it may take. Default 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<GoDuration>,
    /// Status codes that it may close with. Default: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 20),
        inner(range(min = 1000, max = 4999)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub codes: Vec<u16>,
}

/// A stream of server-sent events. The head of the response is the request; message is the event: {event, data, id}. It makes the trends
/// "NAME first message", "NAME message" and "NAME session" and the counters "NAME received" and "NAME skewed".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sse {
    /// Method. Default GET.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 20), regex(pattern = patterns::METHOD))]
    pub method: Option<String>,
    /// Path, appended to that of target.url; starts with / and may hold a query.
    #[schemars(length(min = 1, max = 2048), regex(pattern = patterns::PATH))]
    pub path: String,
    /// Query parameters, appended percent-encoded.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "texts")]
    pub query: BTreeMap<String, String>,
    /// Headers, over those of scenario and target.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "texts")]
    pub headers: BTreeMap<String, String>,
    /// Body as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_json")]
    pub json: Option<Value>,
    /// Body as text, in place of json.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65536))]
    pub body: Option<String>,
    /// What counts as success of the request. Default 200-299.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
    /// Time for the head of the response, connecting included. Default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<GoDuration>,
    /// Expression of message that is true of the last event to read. Default: the end of the stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub until: Option<String>,
    /// How long after the head of the response the stream has timed out. Default 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<GoDuration>,
    /// Expression of message: when the peer sent it, as a timestamp, an RFC 3339 text or epoch seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub sent_at: Option<String>,
    /// Expressions by name that should be true of every event.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "expressions")]
    pub check: Expressions,
    /// What the user keeps of the event that met the condition, as user.NAME.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "expressions")]
    pub capture: Expressions,
}
