//! Steps: what a user does, whether and how often, and what it makes of the response. Their requests are in `exchange.rs`.

use serde::{Deserialize, Serialize};

use super::{HttpStep, PollStep, SseStep, StatusRange, Wait, WebSocketStep};

/// One action of a virtual user with what decides whether and how often it is done, and what is made of its response. Metrics are
/// indexes into the plan's metrics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Where the step stands in the manifest, for messages: `spec.scenarios[0].steps[1]`.
    pub at: String,
    /// Skipped unless this holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
    /// Done with this probability, parts per billion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance: Option<u64>,
    /// Done several times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Repeat>,
    /// Tried again when it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Only so many users at once: index into [`Script::limits`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u16>,
    /// What a failure means for the user.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// What is done.
    pub action: StepAction,
    /// Recorded judgements of the response.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// What the user keeps of a successful response.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub captures: Vec<Assign>,
    /// What the user remembers from now on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<Assign>,
    /// What is measured beside the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Measure>,
}

impl Step {
    /// A step that is nothing but its action.
    #[must_use]
    pub fn new(at: impl Into<String>, action: StepAction) -> Self {
        Self {
            at: at.into(),
            when: None,
            chance: None,
            repeat: None,
            retry: None,
            limit: None,
            on_failure: OnFailure::Continue,
            action,
            checks: Vec::new(),
            captures: Vec::new(),
            sets: Vec::new(),
            metrics: Vec::new(),
        }
    }
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StepAction {
    /// One HTTP request.
    Http(Box<HttpStep>),
    /// HTTP requests until a job is done.
    Poll(Box<PollStep>),
    /// A WebSocket session.
    WebSocket(Box<WebSocketStep>),
    /// A stream of server-sent events.
    Sse(Box<SseStep>),
    /// Doing nothing for a while.
    Pause(Wait),
    /// The steps of a flow.
    Run(Vec<Step>),
    /// Nothing: only what is made of the user's last response.
    Nothing,
}

/// An expression that decides; `fault` counts its failures to be computed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// The expression, a bool.
    pub expr: String,
    /// Where it stands in the manifest.
    pub at: String,
    /// Metric of kind Fault.
    pub fault: u16,
}

/// A named expression whose result is a recorded check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// The expression, a bool; one that cannot be computed is a failed check.
    pub expr: String,
    /// Where it stands in the manifest.
    pub at: String,
    /// Metric of kind Check.
    pub metric: u16,
}

/// `user.NAME` gets the value of an expression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assign {
    /// The variable.
    pub name: String,
    /// The expression.
    pub expr: String,
    /// Where it stands in the manifest.
    pub at: String,
    /// Metric of kind Fault.
    pub fault: u16,
}

/// A measurement of the user's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measure {
    /// The expression: an int for a counter, a bool for a rate, a duration for a trend.
    pub expr: String,
    /// Where it stands in the manifest.
    pub at: String,
    /// What kind of metric it feeds.
    pub kind: MeasureKind,
    /// The metric.
    pub metric: u16,
    /// Metric of kind Fault.
    pub fault: u16,
}

/// What a [`Measure`] feeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MeasureKind {
    /// Adds an int of at least 0.
    Counter,
    /// Counts true and false.
    Rate,
    /// Adds a duration to a histogram.
    Trend,
}

/// A step done several times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeat {
    /// How often.
    pub times: u32,
    /// Nanoseconds between.
    pub gap: u64,
}

/// A step tried again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    /// Attempts in all, at least 2.
    pub attempts: u32,
    /// Nanoseconds before the second attempt.
    pub delay: u64,
    /// The delay before each further one is this many thousandths of the one before.
    pub factor: u32,
    /// Nanoseconds that no delay exceeds.
    pub max_delay: u64,
    /// Statuses that are tried again though they may be expected.
    pub on: Vec<StatusRange>,
    /// A `Retry-After` in seconds replaces the delay.
    pub honour_retry_after: bool,
    /// Metric of kind Rate: whether the last attempt succeeded.
    pub metric: u16,
}

/// What a failed step means for its user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnFailure {
    /// Nothing.
    #[default]
    Continue,
    /// The rest of the iteration is left out.
    EndIteration,
    /// The user ends; in the open model, the arrival. In setup: the run.
    EndUser,
}
