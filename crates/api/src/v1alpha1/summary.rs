//! Figures in the status of LoadTest and LoadTestRun (`status.rs`): the summary and one result per SLO. Written by
//! `status/summary.rs`.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::words;

/// Results of the judged part of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Requests of the judged part.
    pub requests: u64,
    /// Of them, failed.
    pub failures: u64,
    /// Failures by class.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub failures_by_class: BTreeMap<String, u64>,
    /// Share of failed requests: 1.2%.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub errors: Option<String>,
    /// Complete requests per second: 18.2/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub rate: Option<String>,
    /// Median latency: 95.1ms. A percentile that falls among requests without a complete response reads >max.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub p50: Option<String>,
    /// 90th percentile of latency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub p90: Option<String>,
    /// 95th percentile of latency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub p95: Option<String>,
    /// 99th percentile of latency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub p99: Option<String>,
    /// Largest latency of complete requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub max: Option<String>,
    /// The whole run, warmup and cooldown included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Total>,
}

/// Counts of the whole run: what a server's own count is compared with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Total {
    /// Requests, sent or not.
    pub requests: u64,
    /// Requests handed to the network, as far as they were counted.
    pub sent: u64,
    /// True if sent is what a server must have seen: the run is over, no worker was lost and nothing was unfinished.
    pub exact: bool,
    /// Least number of requests that a server can have seen; only if not exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at_least: Option<u64>,
    /// Largest number of requests that a server can have seen; only if not exact and known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at_most: Option<u64>,
    /// Requests that failed before they were sent, or never were.
    pub not_sent: u64,
    /// Requests in flight when the time for the rest was over.
    pub unfinished: u64,
    /// Failed requests.
    pub failures: u64,
}

/// Result of one SLO.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SloStatus {
    /// Its name.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Met, Missed or Unknown.
    pub result: SloOutcome,
    /// Its severity: Critical, Error, Warning or Info.
    #[schemars(length(max = 16))]
    pub severity: String,
    /// Measured: 612.4ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub value: Option<String>,
    /// Allowed: ≤ 500ms.
    #[schemars(length(max = 128))]
    pub bound: String,
    /// Exact share of requests over the bound: 7.63%.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub share: Option<String>,
    /// Requests over the bound, counted one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad: Option<u64>,
    /// Requests that it was judged on.
    pub samples: u64,
    /// The result in a sentence.
    #[schemars(length(max = 1024))]
    pub message: String,
    /// What was asked of Prometheus for it last, and what came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<QueryStatus>,
}

/// A query to Prometheus and its answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueryStatus {
    /// The server: its name in the operator's configuration, or its URL.
    #[schemars(length(max = 256))]
    pub server: String,
    /// The query as it was sent, with its placeholders filled in.
    #[schemars(length(max = 1024))]
    pub query: String,
    /// The moment that it was asked for; of a range, its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<MicroTime>,
    /// The answer as the server gave it: 0.7351, or an excerpt if it was not one number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub raw: Option<String>,
    /// Series in the answer; one is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<u64>,
}

/// Result of an SLO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, transform = words)]
pub enum SloOutcome {
    /// Holds.
    Met,
    /// Does not hold.
    Missed,
    /// Cannot be said.
    Unknown,
}
