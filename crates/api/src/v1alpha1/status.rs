//! Status of LoadTest and LoadTestRun. Written by `status/run.rs` and `status/mirror.rs`; numbers for people are texts of one number and one unit.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::words;
use super::{SloStatus, Summary};

/// What became of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoadTestRunStatus {
    /// Generation of the spec that this status speaks of; -1 until it has been looked at.
    #[serde(default)]
    pub observed_generation: i64,
    /// Pending (queued), Starting (workers), Running, Collecting (last results) or Finished; more may come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub phase: Option<String>,
    /// Passed, Failed, Inconclusive or Error; absent until the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Why verdict or phase is what it is, in one word, such as SLOMissed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reason: Option<String>,
    /// The same in a sentence with figures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub message: Option<String>,
    /// SLOs met, of all: 3/4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub slos_met: Option<String>,
    /// Part of the planned duration that is over: 45%.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub progress: Option<String>,
    /// When the run was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued_at: Option<Time>,
    /// The instant at which the workers start, agreed before they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<MicroTime>,
    /// When the verdict was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// The judged part of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Span>,
    /// The pods that make the load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<WorkerCounts>,
    /// Asked and delivered load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Delivery>,
    /// Between the first and the last worker's first request, relative to when each was due: 3.1ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub start_skew: Option<String>,
    /// Results of the judged part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// One result per SLO.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 100),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub slos: Vec<SloStatus>,
    /// SLO results that did not fit here; results says where all of them are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slos_left_out: Option<u32>,
    /// What the run does not do as its spec might suggest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(max = 512)), extend("x-kubernetes-list-type" = "atomic"))]
    pub notices: Vec<String>,
    /// Where plan and full results are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub results: Option<RunResults>,
    /// Passed, Finished, Ready, and Reconciling or Stalled while they are true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
}

/// What became of the run that the spec of the test asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoadTestStatus {
    /// Generation of the spec that this status speaks of; -1 until it has been looked at.
    #[serde(default)]
    pub observed_generation: i64,
    /// Phase of the run: Pending, Starting, Running, Collecting or Finished; more may come. Absent if nothing was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub phase: Option<String>,
    /// Verdict of the run: Passed, Failed, Inconclusive or Error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Why verdict or phase is what it is, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reason: Option<String>,
    /// The same in a sentence with figures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub message: Option<String>,
    /// SLOs met, of all: 3/4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub slos_met: Option<String>,
    /// Part of the planned duration that is over: 45%.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub progress: Option<String>,
    /// Name of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub run: Option<String>,
    /// Hash of the spec (without runPolicy) of the last run that the spec asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub spec_hash: Option<String>,
    /// Generation of the spec of that run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_generation: Option<i64>,
    /// Results of the judged part of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// One result per SLO of the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 100),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub slos: Vec<SloStatus>,
    /// SLO results that did not fit here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slos_left_out: Option<u32>,
    /// What the run does not do as its spec might suggest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(max = 512)), extend("x-kubernetes-list-type" = "atomic"))]
    pub notices: Vec<String>,
    /// The last ten runs, whatever started them, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "atomic"))]
    pub history: Vec<HistoryEntry>,
    /// Passed, Finished, Ready, and Reconciling or Stalled while they are true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Phase {
    /// Accepted; waits for its turn.
    Pending,
    /// Its workers are being made and get ready.
    Starting,
    /// Sends load.
    Running,
    /// The load is over; the last results come in.
    Collecting,
    /// The verdict is there.
    Finished,
}

impl Phase {
    /// As written in the status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Starting => "Starting",
            Self::Running => "Running",
            Self::Collecting => "Collecting",
            Self::Finished => "Finished",
        }
    }
}

/// Verdict of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, transform = words)]
pub enum Verdict {
    /// Every SLO of severity Error and Critical is Met, and the run is valid.
    Passed,
    /// One of them is Missed.
    Failed,
    /// The run cannot be judged.
    Inconclusive,
    /// The run could not take place.
    Error,
}

/// A stretch of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Span {
    /// Its beginning.
    pub start: MicroTime,
    /// Its end.
    pub end: MicroTime,
}

/// The pods that make the load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerCounts {
    /// Wanted.
    pub desired: u32,
    /// Connected and ready, running or done.
    pub ready: u32,
    /// Lost after the start.
    pub lost: u32,
}

/// Asked and delivered load.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// What the profile asks for now, once the run is over at the most: 100 users or 2000/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub asked: Option<String>,
    /// Share of the arrivals of the judged part that were sent: 99.8%. Only with arrivals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub delivered: Option<String>,
    /// 99th percentile of how late the generator itself was: 0.3ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub lateness: Option<String>,
}

/// Where plan and full results of a run are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunResults {
    /// ConfigMap that holds the resolved spec and the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub plan: Option<String>,
    /// SHA-256 of the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub plan_hash: Option<String>,
    /// Hash of the test's spec (without runPolicy).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub spec_hash: Option<String>,
    /// ConfigMap that holds the full result: every request and window, histograms, SLOs, the series of seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub full: Option<String>,
    /// Image of the workers, kept for the whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub worker_image: Option<String>,
    /// URL of the run's dashboard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub dashboard: Option<String>,
}

/// One of the last runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// Name of the run.
    #[schemars(length(max = 253))]
    pub name: String,
    /// What started it: Spec, Schedule, Rollout or Manual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub cause: Option<String>,
    /// Its verdict; absent while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reason: Option<String>,
    /// SLOs met, of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub slos_met: Option<String>,
    /// 95th percentile of latency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub p95: Option<String>,
    /// Share of failed requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub errors: Option<String>,
    /// When it started to send load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<MicroTime>,
    /// When its verdict was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
}
