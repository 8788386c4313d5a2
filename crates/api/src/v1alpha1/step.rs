//! One step of a virtual user: what decides whether and how often it is done, and what is made of its response. What it does is in
//! `action.rs`; lowered by `lower/steps.rs`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::{expressions, rules, words};
use super::{Http, Poll, Sse, WebSocket};
use crate::{GoDuration, Share, StatusMatch};

/// Expressions by name.
pub type Expressions = BTreeMap<String, String>;

/// One action of a virtual user: at most one of http, poll, websocket, sse, pause and run. A step without an action judges or keeps
/// something of the user's last response.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[(
    "(has(self.http) ? 1 : 0) + (has(self.poll) ? 1 : 0) + (has(self.websocket) ? 1 : 0) + (has(self.sse) ? 1 : 0) + (has(self.pause) ? 1 : 0) + (has(self.run) ? 1 : 0) <= 1",
    "a step has at most one action: http, poll, websocket, sse, pause or run",
)])))]
pub struct Step {
    /// Its name: requests are counted, and named by SLOs, under it. Default: method and path, as in GET /search, WS /events and SSE
    /// /events. Steps of the same name count together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub name: Option<String>,
    /// Expression; the step is skipped unless it is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub when: Option<String>,
    /// Probability with which the step is done, such as 30%.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance: Option<Share>,
    /// Does the step several times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Repeat>,
    /// Tries again when the request fails. Every attempt is a request; what came of the last one is the rate "NAME after retries".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Lets only so many users of the run do this at once; the others wait, which is no latency but the trend "GROUP waiting".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Cap>,
    /// What a failure means: Continue (default), EndIteration or EndUser. In setup, Continue lets the run go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
    /// Sends a request and reads the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<Http>,
    /// Sends a request again and again until a job is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<Poll>,
    /// Opens a WebSocket and follows a script on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub websocket: Option<WebSocket>,
    /// Reads a stream of server-sent events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sse: Option<Sse>,
    /// Does nothing for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Wait>,
    /// Does the steps of a flow, by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub run: Option<String>,
    /// Expressions by name that should be true of a complete response. Recorded, and judged by checkRate; they never fail the request.
    #[serde(default, skip_serializing_if = "Expressions::is_empty")]
    #[schemars(schema_with = "expressions")]
    pub check: Expressions,
    /// What the user keeps of a 2xx response, as user.NAME: expressions such as body.token. Nothing found is a failed check.
    #[serde(default, skip_serializing_if = "Expressions::is_empty")]
    #[schemars(schema_with = "expressions")]
    pub capture: Expressions,
    /// What the user remembers from now on, as user.NAME: expressions that see the old values. The names are declared by state or capture.
    #[serde(default, skip_serializing_if = "Expressions::is_empty")]
    #[schemars(schema_with = "expressions")]
    pub set: Expressions,
    /// Metrics of your own, by name; SLOs name them by metric.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 20))]
    pub metrics: BTreeMap<String, Measure>,
}

/// A length of time: drawn evenly between min and max, constant, or exponentially distributed with a mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = rules(&[(
    "has(self.min) == has(self.max) && (has(self.min) ? 1 : 0) + (has(self.constant) ? 1 : 0) + (has(self.exponential) ? 1 : 0) == 1",
    "give either min and max, or constant, or exponential",
), (
    "!has(self.min) || !has(self.max) || duration(self.min) <= duration(self.max)",
    "min is more than max",
)])))]
pub struct Wait {
    /// Shortest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<GoDuration>,
    /// Longest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<GoDuration>,
    /// Always as long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constant: Option<GoDuration>,
    /// The mean of an exponential distribution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exponential: Option<GoDuration>,
}

impl Wait {
    /// Drawn evenly between two lengths.
    #[must_use]
    pub fn between(min: GoDuration, max: GoDuration) -> Self {
        Self { min: Some(min), max: Some(max), ..Self::default() }
    }
}

/// A step done several times.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Repeat {
    /// How often.
    #[schemars(range(min = 1, max = 10_000))]
    pub times: u32,
    /// Pause between. Default 0s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<GoDuration>,
}

/// A step tried again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    /// Attempts in all, the first included.
    #[schemars(range(min = 1, max = 100))]
    pub attempts: u32,
    /// Pause before the second attempt. Default 0s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<GoDuration>,
    /// By how much each further pause is longer than the one before. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub factor: Option<u32>,
    /// Longest pause. Default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_delay: Option<GoDuration>,
    /// Statuses that are tried again even if they are expected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), extend("x-kubernetes-list-type" = "atomic"))]
    pub status: Vec<StatusMatch>,
    /// A Retry-After header in seconds replaces the pause. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub honour_retry_after: Option<bool>,
}

/// How many users may do something at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cap {
    /// Most users of the run, over all workers; at least as many as workers.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max: u64,
    /// Steps of the same group share the places. Default: the step's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub group: Option<String>,
}

/// What a failed step means for its user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, transform = words)]
pub enum OnFailure {
    /// Nothing.
    #[default]
    Continue,
    /// The rest of the iteration is left out.
    EndIteration,
    /// The user ends.
    EndUser,
}

/// What is added to a metric, as an expression: exactly one of counter, rate and trend.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct Measure {
    /// A whole number that is added, at least 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub counter: Option<String>,
    /// True or false; the metric is the share of true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub rate: Option<String>,
    /// A duration, such as latency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub trend: Option<String>,
}
