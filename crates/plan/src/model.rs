//! The resolved run as plain data: what the run's ConfigMap holds and every worker reads.

use std::sync::Arc;

use plimsoll_measure::Layout;
use plimsoll_scenario::{Field, Script, Var};
use serde::{Deserialize, Serialize};

/// Version of the plan's format; a worker refuses a newer one.
pub const PLAN_VERSION: u32 = 2;

/// A resolved run. All times are nanoseconds since the start of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// [`PLAN_VERSION`].
    pub version: u32,
    /// Which run.
    pub run: RunId,
    /// Seeds every random choice: the same plan makes the same choices.
    pub seed: u64,
    /// Number of shares.
    pub workers: u32,
    /// Where the load goes.
    pub target: Target,
    /// Run constants.
    pub vars: Vec<Var>,
    /// What virtual users do, and what is done once per run.
    pub script: Script,
    /// The loads; several go on side by side or one after the other. Never empty.
    pub loads: Vec<LoadGroup>,
    /// When the last of them ends: no new work starts at or after this.
    pub duration: u64,
    /// How long work in flight may go on after its load has ended.
    pub graceful_stop: u64,
    /// Names and counters.
    pub layout: Layout,
}

/// Identifies a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunId {
    /// Namespace of the LoadTestRun.
    pub namespace: String,
    /// Name of the LoadTest.
    pub test: String,
    /// Name of the LoadTestRun.
    pub name: String,
}

/// A load and the scenarios that share it: its users or arrivals are dealt out to them by their weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadGroup {
    /// The load over time, from `start` on.
    pub load: Load,
    /// When it starts, in nanoseconds since the start of the run.
    pub start: u64,
    /// How long it takes: no new work of it starts at or after [`LoadGroup::end`].
    pub duration: u64,
    /// How long a user that a ramp retires may finish its iteration; then it is interrupted.
    pub graceful_ramp_down: u64,
    /// Iterations over all its members; the load ends when they are done.
    pub iterations: Option<u64>,
    /// Indexes into the script's scenarios; never empty.
    pub scenarios: Vec<usize>,
}

/// The load over time, counted from the start of its group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Load {
    /// Virtual users that send one request after the other.
    #[serde(rename_all = "camelCase")]
    Closed {
        /// Users over time; user `u` (from 0) is active while the curve is over `u`.
        users: Vec<Ramp>,
    },
    /// Arrivals at given times, whatever the target does.
    #[serde(rename_all = "camelCase")]
    Open {
        /// Arrivals per [`RATE_SECONDS`](plimsoll_measure::RATE_SECONDS) over time.
        rate: Vec<Ramp>,
        /// How arrivals spread within the rate.
        distribution: Distribution,
        /// Most arrivals in flight over all workers; more wait in a queue, and their latency counts from when they were due.
        max_in_flight: u64,
    },
}

/// A linear stretch; consecutive ramps make a curve. A jump is a change of value between ramps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ramp {
    /// Nanoseconds.
    pub duration: u64,
    /// Value at its beginning.
    pub from: u64,
    /// Value at its end.
    pub to: u64,
}

/// How arrivals spread within their rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Distribution {
    /// Equal gaps: the run sends exactly rate × duration.
    #[default]
    Uniform,
    /// Exponential gaps, as independent callers make.
    Poisson,
}

/// Where the load goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// `http` or `https`.
    pub scheme: String,
    /// Host name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path put before every step's path; empty or starting with `/`, no trailing `/`.
    pub base_path: String,
    /// Protocol.
    pub http: HttpVersion,
    /// TLS settings; present iff `https`.
    pub tls: Option<Tls>,
    /// Connection policy.
    pub connections: Connections,
    /// Whether one connection is tried before the start.
    pub preflight: Preflight,
    /// Headers sent with every request (already merged into the steps; kept for preflight reports).
    pub headers: Vec<Field>,
}

/// HTTP version spoken to the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum HttpVersion {
    /// TLS: HTTP/2 if ALPN offers it, else HTTP/1.1. Clear text: HTTP/1.1.
    #[default]
    Auto,
    /// Only HTTP/1.1.
    #[serde(rename = "HTTP/1.1")]
    Http1,
    /// Only HTTP/2; in clear text by prior knowledge.
    #[serde(rename = "HTTP/2")]
    Http2,
}

/// TLS settings; PEM texts of certificates are part of the plan, keys never are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// Name to send and to verify; the host when absent.
    pub server_name: Option<String>,
    /// Private CA in place of the public roots: PEM, or where it is mounted.
    pub ca: Option<plimsoll_scenario::VarSource>,
    /// Secret of type kubernetes.io/tls with the client's certificate and key, mounted like a secret variable.
    pub client_secret: Option<String>,
    /// Accept any certificate.
    pub insecure_skip_verify: bool,
    /// Connections resume the sessions of earlier ones in place of full handshakes.
    pub resumption: bool,
}

/// Connection policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connections {
    /// Whose connections they are.
    pub per: ConnectionsPer,
    /// Most connections of the whole run; no limit when absent.
    pub max: Option<u64>,
    /// Close a connection after this many nanoseconds.
    pub max_age: Option<u64>,
    /// Close a connection after this many requests.
    pub max_requests: Option<u64>,
    /// Resolve the name for every connection instead of once per worker.
    pub resolve_per_connection: bool,
}

/// Whose connections they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConnectionsPer {
    /// Each virtual user has its own, like a browser.
    User,
    /// All requests of a worker share a pool, like a service.
    Worker,
}

/// Whether one connection is tried before the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Preflight {
    /// TCP and TLS handshake, no bytes after it.
    #[default]
    Connect,
    /// Nothing.
    Skip,
}

/// One worker's (or one core's) part of a plan.
#[derive(Clone, Debug)]
pub struct Share {
    /// The whole plan.
    pub plan: Arc<Plan>,
    /// Which users, arrivals and limits are its own.
    pub stride: Stride,
}

/// One worker's (or one core's) part of one load of a plan. Members are numbered over the whole run; this part has those whose number
/// is a member of the share's stride.
#[derive(Clone, Debug)]
pub struct GroupShare {
    /// The whole plan.
    pub plan: Arc<Plan>,
    /// Which of its loads.
    pub index: usize,
    /// Number of the load's first member.
    pub first: u64,
    /// Which members are its own, counted from the first one of the load.
    pub stride: Stride,
}

/// Takes the members `offset, offset + step, …` of any sequence of the run (users, arrivals, rows).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stride {
    /// First member.
    pub offset: u64,
    /// Distance between members; at least 1.
    pub step: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{SECOND, both, closed, open, ramp};

    #[test]
    fn a_plan_survives_its_config_map() {
        let users = closed(vec![ramp(u64::MAX, 0, 4)], SECOND);
        let arrivals = open(vec![ramp(SECOND, 9, 9)], SECOND, Distribution::Poisson);
        for plan in [both(&users, &arrivals, 7), users, arrivals] {
            let text = serde_json::to_string(&plan).unwrap();
            assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
        }
    }
}
