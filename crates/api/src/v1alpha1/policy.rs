//! When runs start, wait, are valid and are removed. Acted on by the operator; what is due is decided by `due.rs`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::patterns;
use super::rules::words;
use crate::{GoDuration, Share};

/// When runs start, wait and are removed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunPolicy {
    /// OnChange (default): applying a spec that differs from the last run's starts a run. Manual: only a LoadTestRun or the schedule does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Trigger>,
    /// What an edit does to the run in progress: Finish (default) lets it end, Replace stops it as Superseded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_edit: Option<OnEdit>,
    /// A workload of the namespace; each completed rollout of it starts a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_rollout: Option<Rollout>,
    /// When runs start by the clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// What becomes of a run that is due while another runs: Queue (default), Forbid (not made) or Replace (stops the other as Superseded).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    /// True starts nothing new; the run in progress goes on. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// How long the workers may take to be ready; then the run ends as StartTimeout. Default 10m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_timeout: Option<GoDuration>,
    /// How long a run may take from being due to its end; then it ends as DeadlineExceeded. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<GoDuration>,
    /// How many finished runs are kept. Default: 3 passed, 10 not passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history_limit: Option<ByOutcome<u32>>,
    /// How long finished runs are kept. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_after_finished: Option<ByOutcome<GoDuration>>,
}

/// What starts a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, transform = words)]
pub enum Trigger {
    /// A spec that differs from the last run's.
    #[default]
    OnChange,
    /// A LoadTestRun, or the schedule.
    Manual,
}

/// What an edit does to the run in progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, transform = words)]
pub enum OnEdit {
    /// It ends as planned.
    #[default]
    Finish,
    /// It is stopped.
    Replace,
}

/// A workload whose rollouts start runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rollout {
    /// Deployment, StatefulSet or DaemonSet.
    #[schemars(length(max = 63), regex(pattern = patterns::WORKLOAD))]
    pub kind: String,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// When runs start by the clock.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// Five fields: minute, hour, day of month, month, day of week.
    #[schemars(length(min = 9, max = 100))]
    pub cron: String,
    /// IANA time zone, such as Europe/Berlin. Default UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,
    /// How late a missed run may still start. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starting_deadline: Option<GoDuration>,
}

/// What becomes of a run that is due while another runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, transform = words)]
pub enum Concurrency {
    /// It waits.
    #[default]
    Queue,
    /// It is not made.
    Forbid,
    /// The other one is stopped.
    Replace,
}

/// A value for passed runs and one for all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ByOutcome<T> {
    /// For runs that passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed: Option<T>,
    /// For runs that did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_passed: Option<T>,
}

/// When a run counts as valid; a run that is not is Inconclusive.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Validity {
    /// Requests an SLO takes to be judged. Default: 1/(1-q) for a percentile q (p95: 20, p99: 100), 1 for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub min_samples: Option<u64>,
    /// Least share of the asked arrivals that must be sent. Default 95%.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_delivered: Option<Share>,
    /// How late the generator itself may be at its 99th percentile when it sends or ends a wait or comes to what is ready. Default 10ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_lateness: Option<GoDuration>,
    /// How far apart the first requests of the workers may be. Default 100ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_start_skew: Option<GoDuration>,
    /// What a lost worker means: Inconclusive (default), Fail, or Continue (judge what was measured).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_worker_loss: Option<OnWorkerLoss>,
}

/// What a lost worker means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, transform = words)]
pub enum OnWorkerLoss {
    /// The run is Inconclusive.
    #[default]
    Inconclusive,
    /// The run is Failed.
    Fail,
    /// The run is judged on what was measured.
    Continue,
}
