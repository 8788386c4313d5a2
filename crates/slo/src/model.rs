//! SLOs, what a judgement needs beside the counts, and what it says. Judged by `judge.rs`.

use plimsoll_measure::{ErrorClass, MetricId, RequestId, WindowId};
use serde::{Deserialize, Serialize};

use crate::Asked;

/// A condition on the run. `request` or `metric`, and `window` narrow it; `objective` is its pair of counters in the layout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Slo {
    /// Its name, unique in the run.
    pub name: String,
    /// What a miss does.
    pub severity: Severity,
    /// Only this request name.
    pub request: Option<RequestId>,
    /// This metric in place of requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<MetricId>,
    /// Only this window; the whole judged part when absent.
    pub window: Option<WindowId>,
    /// The condition.
    pub kind: Kind,
    /// Index of its pair of counters in the layout's objectives, for kinds that have one.
    pub objective: Option<usize>,
    /// Stop the run when missed, judged from this many nanoseconds into the judged part.
    pub abort_after: Option<u64>,
    /// Samples it takes to be judged; when absent ⌈1/(1−q)⌉ for percentiles, 1 for the others.
    pub min_samples: Option<u64>,
}

/// What a miss does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    /// Shown.
    Info,
    /// Shown, the verdict's reason becomes PassedWithWarnings.
    Warning,
    /// Fails the run.
    #[default]
    Error,
    /// Fails the run and stops it.
    Critical,
}

/// The conditions. Shares are parts per billion (1 % = 10 000 000), so that comparisons are integers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// `latency: {stat, atMost}`, nanoseconds; percentiles are decided by the counters. With a metric: of that trend, where what timed
    /// out is over every bound.
    #[serde(rename_all = "camelCase")]
    Latency {
        /// Which statistic.
        stat: Stat,
        /// Nanoseconds; equality holds.
        at_most: u64,
        /// `of: Succeeded`.
        succeeded_only: bool,
    },
    /// `latency: {stat, atMost: 110%, relativeTo: FirstTenth}`: from histograms, approximate.
    #[serde(rename_all = "camelCase")]
    LatencyDrift {
        /// Which statistic.
        stat: Stat,
        /// Parts per billion of the same statistic in the first tenth of the judged part.
        at_most: u64,
    },
    /// `errorRate: {atMost, class, within}`.
    #[serde(rename_all = "camelCase")]
    ErrorRate {
        /// Parts per billion.
        at_most: u64,
        /// Only these classes; all when empty.
        classes: Vec<ErrorClass>,
        /// Nanoseconds after the window's start from which on the rest of the window must hold.
        within: Option<u64>,
    },
    /// `timeoutRate: {atMost}`.
    #[serde(rename_all = "camelCase")]
    TimeoutRate {
        /// Parts per billion.
        at_most: u64,
    },
    /// `statusRate: {status, atMost or atLeast}`: share of requests answered with one of the statuses.
    #[serde(rename_all = "camelCase")]
    StatusRate {
        /// Parts per billion.
        at_most: Option<u64>,
        /// Parts per billion.
        at_least: Option<u64>,
    },
    /// `throughput: {atLeast or atMost}`: complete requests per second over the scope's time.
    #[serde(rename_all = "camelCase")]
    Throughput {
        /// Requests per [`RATE_SECONDS`](plimsoll_measure::RATE_SECONDS).
        at_least: Option<u64>,
        /// Requests per [`RATE_SECONDS`](plimsoll_measure::RATE_SECONDS).
        at_most: Option<u64>,
    },
    /// `checkRate: {atLeast, check}`: share of checks that passed.
    #[serde(rename_all = "camelCase")]
    CheckRate {
        /// Parts per billion.
        at_least: u64,
    },
    /// `rate: {atLeast or atMost}` of a metric: share of a rate's true, or of a trend's done.
    #[serde(rename_all = "camelCase")]
    MetricRate {
        /// Parts per billion.
        at_least: Option<u64>,
        /// Parts per billion.
        at_most: Option<u64>,
    },
    /// `count: {atLeast or atMost}` of a metric: a counter's sum, or how often a rate or a trend was measured.
    #[serde(rename_all = "camelCase")]
    MetricCount {
        /// The number itself.
        at_least: Option<u64>,
        /// The number itself.
        at_most: Option<u64>,
    },
    /// `prometheus: {…}`: judged from a query's result, which the caller brings.
    #[serde(rename_all = "camelCase")]
    Prometheus {
        /// Upper bound.
        at_most: Option<f64>,
        /// Lower bound.
        at_least: Option<f64>,
        /// Unit for messages.
        unit: Option<String>,
    },
}

/// A statistic of latencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stat {
    /// Percentile in hundredths of a percent: p99.9 = 9990.
    Percentile(u32),
    /// Mean of complete requests.
    Mean,
    /// Largest of complete requests.
    Max,
}

/// When a run is valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Validity {
    /// Replaces every SLO's default.
    pub min_samples: Option<u64>,
    /// Parts per billion of the asked arrivals (open model).
    pub min_delivered: u64,
    /// Nanoseconds, p99 of sent minus intended (open model; without opening connections), of how late waits ended, and of how late the
    /// cores came to what was ready.
    pub max_lateness: u64,
    /// Nanoseconds between the first requests of workers.
    pub max_start_skew: u64,
    /// What a lost worker means.
    pub on_worker_loss: WorkerLossPolicy,
}

/// What a lost worker means for the verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkerLossPolicy {
    /// The run is Inconclusive.
    #[default]
    Inconclusive,
    /// The run is Failed.
    Fail,
    /// Judge what was measured.
    Continue,
}

/// What a judgement needs to know beside the counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// A part of the load follows the open model: its delivery is judged.
    pub open_model: bool,
    /// Most arrivals per [`RATE_SECONDS`](plimsoll_measure::RATE_SECONDS) that are asked for at any moment; 0 in the closed model.
    #[serde(default)]
    pub peak_rate: u64,
    /// Workers of the plan.
    pub workers: u32,
    /// Workers lost after the start.
    pub workers_lost: u32,
    /// Nanoseconds between the first and the last worker's first request, relative to their intended instants.
    pub start_skew: Option<u64>,
    /// Nanoseconds of the run that have been measured (the planned duration, unless it was stopped).
    pub measured: u64,
    /// Stopped before its planned end, and why.
    pub stopped: Option<Reason>,
    /// Why it could not run at all.
    pub error: Option<(Reason, String)>,
    /// Results of queries by SLO name. An SLO that stands here is judged by what is said here, whatever its kind.
    pub queries: Vec<(String, Query)>,
    /// How these results came about, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<Asked>,
}

/// Result of a query for an SLO.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Query {
    /// One number.
    Value(f64),
    /// None, and why.
    Missing(String),
    /// None, and `onNoData` says what that means.
    #[serde(rename_all = "camelCase")]
    NoData {
        /// The SLO is Met; otherwise Missed.
        met: bool,
        /// What the answer lacked.
        why: String,
    },
    /// The counters of the SLO as our own series in Prometheus have them; for a throughput all requests and the incomplete ones.
    Counts(Tally),
}

/// The counters of one SLO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Requests, checks or samples in scope.
    pub total: u64,
    /// Of them, bad.
    pub bad: u64,
}

/// What is known of one SLO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Holds.
    Met,
    /// Does not hold.
    Missed,
    /// Cannot be said.
    Unknown,
}

/// Result of one SLO, in numbers; `plimsoll-api` renders them for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SloResult {
    /// The SLO's name.
    pub name: String,
    /// Its severity.
    pub severity: Severity,
    /// Met, Missed or Unknown.
    pub outcome: Outcome,
    /// Measured value with its unit, e.g. `612ms`; absent if there is none.
    pub value: Option<String>,
    /// Bound with its unit, e.g. `≤ 500ms`.
    pub bound: String,
    /// Exact share of what is bad, e.g. `7.63%`, for kinds that count.
    pub share: Option<String>,
    /// The counters, for kinds that count.
    pub tally: Option<Tally>,
    /// Samples it was judged on.
    pub samples: u64,
    /// One line for people: `p95: 612 ms, allowed 500 ms (18 240 requests, 1 391 too slow)`.
    pub message: String,
}

/// Verdict of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// Why a verdict is what it is: the `reason` of status and condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Reason {
    SLOsMet,
    PassedWithWarnings,
    SLOMissed,
    SLOAborted,
    TooFewSamples,
    NoData,
    GeneratorSaturated,
    RateNotDelivered,
    StartSkewed,
    WorkerLost,
    NotJudged,
    Cancelled,
    Superseded,
    DeadlineExceeded,
    StartTimeout,
    TargetUnreachable,
    PolicyDenied,
    InvalidReference,
    DataDiffers,
    SetupFailed,
}

/// The judgement of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Its reason.
    pub reason: Reason,
    /// One or two sentences for people, with the figures and, where there is one, the remedy.
    pub message: String,
    /// One per SLO, in their order.
    pub results: Vec<SloResult>,
}
