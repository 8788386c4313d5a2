//! Conditions that decide the verdict. Lowered by `lower/slos.rs`, judged by `plimsoll-slo`.

use plimsoll_measure::ErrorClass;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::patterns;
use super::rules::{rules, words};
use crate::{GoDuration, LatencyBound, Rate, Share, Statistic, StatusMatch};

/// A condition on the run. Its result is Met, Missed or Unknown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[(
    "(has(self.disabled) && self.disabled) || [has(self.latency), has(self.errorRate), has(self.timeoutRate), has(self.statusRate), has(self.throughput), has(self.checkRate), has(self.rate), has(self.count), has(self.prometheus)].filter(x, x).size() == 1",
    "an SLO has exactly one of latency, errorRate, timeoutRate, statusRate, throughput, checkRate, rate, count, prometheus (or disabled: true)",
), (
    "has(self.metric) ? !has(self.request) && (has(self.latency) || has(self.rate) || has(self.count)) : !(has(self.rate) || has(self.count))",
    "latency, rate or count of a metric: rate and count need metric, and metric excludes request",
), (
    "!has(self.prometheus) || !(has(self.request) || has(self.window) || has(self.source))",
    "request, window and source do not apply to a prometheus query: write the scope into the query",
)])))]
pub struct Slo {
    /// Its name. SLOs merge by name: the run's over the test's over the profile's.
    #[schemars(length(min = 1, max = 63), regex(pattern = patterns::SLO))]
    pub name: String,
    /// Only requests of this name (the name of a step). Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub request: Option<String>,
    /// Judges this metric instead of requests: one of a step's metrics, or one that a poll, a WebSocket, a stream, retries or a
    /// concurrency limit makes, such as "NAME duration".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 160))]
    pub metric: Option<String>,
    /// Only this window of the profile. Default: the duration without warmup and cooldown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40))]
    pub window: Option<String>,
    /// What a miss does. Critical: stops and fails the run. Error (default): fails the run. Warning and Info: shown, never change the verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Stop the run when the SLO is missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort: Option<Abort>,
    /// Where the counts come from: Measured (default), or Prometheus: from the series that Plimsoll exports, as the server of
    /// spec.prometheus has them. For latency percentiles, errorRate, timeoutRate, statusRate, throughput, checkRate and rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SloSource>,
    /// A bound on a latency. What never completed counts as over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// A bound on the share of failed requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_rate: Option<ErrorRate>,
    /// A bound on the share of requests that timed out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_rate: Option<TimeoutRate>,
    /// A bound on the share of requests answered with given statuses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_rate: Option<StatusRate>,
    /// A bound on complete requests per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throughput: Option<Throughput>,
    /// A bound on the share of checks that held; failed captures and conditions that could not be computed count as checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_rate: Option<CheckRate>,
    /// A bound on the share of true of a rate, or of what ended well of a poll or session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<MetricRate>,
    /// A bound on the sum of a counter, or on the number of samples of a rate or trend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<Count>,
    /// A bound on the result of a Prometheus query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusQuery>,
    /// True removes the SLO of this name that the profile brings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

/// What a miss does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, transform = words)]
pub enum Severity {
    /// Stops and fails the run.
    Critical,
    /// Fails the run.
    #[default]
    Error,
    /// Shown; the reason becomes PassedWithWarnings.
    Warning,
    /// Shown.
    Info,
}

/// Where the counts of an SLO come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, transform = words)]
pub enum SloSource {
    /// What the workers counted.
    #[default]
    Measured,
    /// The same counters, read back from Prometheus.
    Prometheus,
}

/// When a missed SLO stops the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Abort {
    /// From that long into the judged part; judged every second on the counts so far, by a query every ten seconds.
    pub after: GoDuration,
}

/// A bound on a latency.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[(
    "has(self.relativeTo) == self.atMost.endsWith('%')",
    "atMost is a duration such as 500ms, or, with relativeTo, a share such as 110%",
)])))]
pub struct Latency {
    /// Statistic: a percentile such as p95 or p99.9 (nearest rank), mean or max.
    pub stat: Statistic,
    /// Bound: a duration; equality holds. With relativeTo a share such as 110%.
    pub at_most: LatencyBound,
    /// All (default) or Succeeded: only requests that did not fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Population>,
    /// FirstTenth: compare with the same statistic in the first tenth of the judged part, to see drift. From histograms, approximate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative_to: Option<RelativeTo>,
}

/// Whose latencies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, transform = words)]
pub enum Population {
    /// Every request.
    #[default]
    All,
    /// Those that did not fail.
    Succeeded,
}

/// What a relative bound is relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, transform = words)]
pub enum RelativeTo {
    /// The first tenth of the judged part.
    FirstTenth,
}

/// A bound on the share of failed requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorRate {
    /// Bound, such as 1%; equality holds.
    pub at_most: Share,
    /// Only failures of these classes: DNS, Connect, TLS, Timeout, Reset, Protocol, Status (not an expected one), Body. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "error_classes")]
    pub class: Vec<ErrorClass>,
    /// Recovery: from that long after the start of the window on, the rest of the window holds the bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<GoDuration>,
}

fn error_classes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": {"type": "string", "enum": ErrorClass::ALL},
        "maxItems": 8,
        "x-kubernetes-list-type": "set"
    })
}

/// A bound on the share of requests that timed out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimeoutRate {
    /// Bound, such as 0.5%; equality holds.
    pub at_most: Share,
}

/// A bound on the share of requests answered with given statuses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[(
    "has(self.atMost) || has(self.atLeast)",
    "statusRate needs atMost or atLeast",
)])))]
pub struct StatusRate {
    /// Statuses: numbers, classes such as "5xx" or ranges such as "500-504".
    #[schemars(length(min = 1, max = 50), extend("x-kubernetes-list-type" = "atomic"))]
    pub status: Vec<StatusMatch>,
    /// Upper bound; equality holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<Share>,
    /// Lower bound; equality holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<Share>,
}

/// A bound on complete requests per second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[(
    "has(self.atMost) || has(self.atLeast)",
    "throughput needs atLeast or atMost",
)])))]
pub struct Throughput {
    /// Lower bound, such as 50/s; equality holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<Rate>,
    /// Upper bound; equality holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<Rate>,
}

/// A bound on the share of checks that held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckRate {
    /// Lower bound, such as 99.9%; equality holds.
    pub at_least: Share,
    /// Only checks of this name. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub check: Option<String>,
}

/// A bound on a share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[(
    "has(self.atMost) || has(self.atLeast)",
    "rate needs atLeast or atMost",
)])))]
pub struct MetricRate {
    /// Lower bound, such as 95%; equality holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<Share>,
    /// Upper bound; equality holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<Share>,
}

/// A bound on a number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[(
    "has(self.atMost) || has(self.atLeast)",
    "count needs atLeast or atMost",
)])))]
pub struct Count {
    /// Lower bound; equality holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000_000_000_000_i64))]
    pub at_least: Option<u64>,
    /// Upper bound; equality holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000_000_000_000_i64))]
    pub at_most: Option<u64>,
}

/// A bound on the result of a Prometheus query.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[(
    "has(self.atMost) || has(self.atLeast)",
    "prometheus needs atMost or atLeast",
)])))]
pub struct PrometheusQuery {
    /// PromQL whose result is one number. Replaced are ${run.namespace}, ${run.test}, ${run.name}, ${run.window} (length of the judged
    /// part, such as 300s), ${run.start} and ${run.end} (its beginning and end in Unix seconds).
    #[schemars(length(min = 1, max = 4096))]
    pub query: String,
    /// Query the judged part as a range and aggregate it. Default: one instant query at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<QueryRange>,
    /// Upper bound; equality holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
    /// Lower bound; equality holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    /// Unit for messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20))]
    pub unit: Option<String>,
    /// What an empty result means: Inconclusive (default), Met or Missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_no_data: Option<OnNoData>,
}

/// A range query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QueryRange {
    /// Distance of the points.
    pub step: GoDuration,
    /// Max, Min or Mean of the points.
    pub aggregate: Aggregate,
}

/// How points become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, transform = words)]
#[allow(missing_docs)]
pub enum Aggregate {
    Max,
    Min,
    Mean,
}

/// What an empty result means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, transform = words)]
pub enum OnNoData {
    /// The SLO is Unknown.
    #[default]
    Inconclusive,
    /// The SLO is Met.
    Met,
    /// The SLO is Missed.
    Missed,
}
