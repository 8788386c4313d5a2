//! What a route is asked to do: the JSON and Rust form of its answer, its latency and its faults.
//! `table.rs` checks and compiles it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::law::{Latency, When};

/// How the requests to one path, or to all paths under a prefix, are answered.
///
/// All laws of a route share one counter of its requests, over all paths under a prefix. Where several laws
/// hit the same request, a reset wins over a stall, a stall over an error, an error over a truncated body.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Route {
    /// The exact path, without a query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The beginning of the paths; the longest matching prefix wins, and an exact path wins over prefixes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The status; 200, or 302 with `redirect`, if nothing is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// A cycle of statuses in place of `status`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<u16>,
    /// Further response headers; `content-type` replaces the one that the body brings.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The response body.
    pub body: Body,
    /// The time from the last byte of the request to the first byte of the response.
    pub latency: Latency,
    /// Requests answered with an error status in place of the usual answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<Errors>,
    /// Requests whose connection is reset (HTTP/2: whose stream is reset) in place of an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset: Option<When>,
    /// Requests that are accepted and never answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stall: Option<When>,
    /// Requests whose answer ends, with its connection, after half of the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncate: Option<When>,
    /// The value of a `location` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect: Option<String>,
    /// Sends the body without its length: chunked in HTTP/1.1, without `content-length` in HTTP/2.
    pub chunked: bool,
    /// Sends the body in pieces with pauses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow: Option<Slow>,
}

impl Route {
    /// A route for exactly this path that answers 200 at once.
    pub fn at(path: impl Into<String>) -> Self {
        Route { path: Some(path.into()), ..Route::default() }
    }

    /// A route for every path that begins like this.
    pub fn under(prefix: impl Into<String>) -> Self {
        Route { prefix: Some(prefix.into()), ..Route::default() }
    }
}

/// A response body: in JSON a string, a number of bytes, or an object or list that is sent as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a body is a string, a number of bytes, or a JSON object or list")]
pub enum Body {
    /// So many bytes of filler, `application/octet-stream`.
    Bytes(usize),
    /// A text, `text/plain`.
    Text(String),
    /// A document, `application/json`.
    Json(serde_json::Value),
}

impl Default for Body {
    fn default() -> Self {
        Body::Text(String::new())
    }
}

/// Errors in place of answers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Errors {
    /// The requests that fail.
    pub when: When,
    /// Their status; 503 if not given.
    #[serde(default = "unavailable")]
    pub status: u16,
}

/// The status of an error that names none.
pub(crate) fn unavailable() -> u16 {
    503
}

/// A body in equal pieces: the first at once, each further one so much after the one before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Slow {
    /// The number of pieces.
    pub pieces: usize,
    /// Milliseconds between two of them.
    pub every_ms: f64,
}
