//! The counts of a server as they are shown: by `GET /__stats` (`control.rs`) and to the process it runs in.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::streams::StreamStats;

/// Everything counted since the start or the last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// The server's start in microseconds of Unix time; the log's arrivals count from here.
    pub started_at_us: u64,
    /// Connections, over all listeners.
    pub connections: Connections,
    /// Requests that could not be read as HTTP/1.1; they belong to no path.
    pub bad_requests: u64,
    /// Whether the log of durations was too small for all requests.
    pub log_truncated: bool,
    /// Counts by path; paths of the Aragora endpoints with an id in them stand under their pattern. Paths beyond the ten thousandth are counted under their route.
    pub paths: BTreeMap<String, PathStats>,
    /// The same counts by method and path, such as `GET /api/debates/{id}`.
    pub endpoints: BTreeMap<String, PathStats>,
    /// WebSockets.
    pub ws: StreamStats,
    /// Event streams.
    pub sse: StreamStats,
    /// What the Aragora endpoints did.
    pub aragora: AragoraStats,
}

impl Stats {
    /// Requests received on all paths.
    pub fn received(&self) -> u64 {
        self.paths.values().map(|path| path.received).sum()
    }
}

/// Counts of connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Connections {
    /// Accepted since the start or the last reset.
    pub accepted: u64,
    /// Open now.
    pub open: u64,
    /// The most that were open at once.
    pub peak: u64,
    /// TLS handshakes that took up an earlier session, since the start or the last reset.
    pub resumed: u64,
}

/// Counts of one path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PathStats {
    /// Requests whose head and body have arrived.
    pub received: u64,
    /// Complete answers by status.
    pub answered: BTreeMap<u16, u64>,
    /// Requests answered by a reset.
    pub reset: u64,
    /// Requests whose connection was ended in place of an answer.
    pub dropped: u64,
    /// Requests whose answer was cut off by a law.
    pub truncated: u64,
    /// Requests that found no client any more, or whose server stopped.
    pub abandoned: u64,
    /// Requests being served now.
    pub in_flight: u64,
    /// The most that were served at once.
    pub peak_in_flight: u64,
    /// Bytes of the requests: head and body in HTTP/1.1, the body alone in HTTP/2.
    pub bytes_in: u64,
    /// Bytes of the answers, as far as they were written, counted in the same way.
    pub bytes_out: u64,
}

/// What the Aragora endpoints did since the start or the last reset of the counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AragoraStats {
    /// Logins that gave out tokens.
    pub logins: u64,
    /// Logins and second factors that were refused.
    pub logins_rejected: u64,
    /// Refresh tokens that were exchanged.
    pub refreshes: u64,
    /// Refresh tokens that were refused.
    pub refreshes_rejected: u64,
    /// Access tokens that were revoked.
    pub logouts: u64,
    /// Requests and handshakes refused for the want of a good token.
    pub unauthorized: u64,
    /// Requests refused by a rate limit, whatever their path.
    pub limited: u64,
    /// Debates that were created.
    pub debates_created: u64,
    /// Knowledge nodes that were created.
    pub nodes_created: u64,
    /// Gauntlets that were started.
    pub gauntlets_created: u64,
    /// Pipelines that were started.
    pub pipelines_created: u64,
}
