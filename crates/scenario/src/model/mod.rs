//! Scenarios as plain data, as they travel in the plan: the script, its scenarios, tables and run constants. Compiled by
//! `../compile/`. Steps are in `step.rs`, what they exchange with the target in `exchange.rs`.

mod exchange;
mod step;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use exchange::{
    Body, Field, HttpStep, PollStep, Reading, SseStep, StatusRange, StreamMetrics, WebSocketAction,
    WebSocketStep,
};
pub use step::{Assign, Check, Condition, Measure, MeasureKind, OnFailure, Repeat, Retry, Step, StepAction};

/// Everything that virtual users do, and what is done once per run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Script {
    /// Kinds of virtual users; never empty.
    pub scenarios: Vec<Scenario>,
    /// Once per run, before the start: what it captures is `setup.NAME` for everybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub setup: Vec<Step>,
    /// Once per run, after the load.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teardown: Vec<Step>,
    /// Once per run, at given times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<Call>,
    /// Tables of variables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<Data>,
    /// Caps on concurrency, over all users of the run; [`Step::limit`] indexes it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
}

/// Something done once at a time of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// Nanoseconds since the start of the run.
    pub at: u64,
    /// What is done.
    pub step: Step,
}

/// A cap on how many users of the run may be in the steps that name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limit {
    /// Its name, for messages.
    pub name: String,
    /// Most users at once, over all workers; at least as many as workers.
    pub max: u64,
    /// Trend of the time that users waited for a place.
    pub waiting: u16,
}

/// A table of variables, `data.NAME.COLUMN`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Data {
    /// Its name.
    pub name: String,
    /// Where its text is.
    pub from: VarSource,
    /// How its text is read.
    pub format: DataFormat,
    /// Which row an iteration sees.
    pub pick: Pick,
    /// Whether a user ends when all rows were used ([`Pick::Sequential`]); otherwise they begin anew.
    pub once: bool,
}

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DataFormat {
    /// Comma-separated values with a header line (RFC 4180).
    #[serde(rename = "CSV")]
    Csv,
    /// One JSON object a line.
    #[serde(rename = "JSONLines")]
    JsonLines,
}

/// Which row of a table an iteration sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pick {
    /// The next one; every core takes its own rows.
    #[default]
    Sequential,
    /// A random one.
    Random,
    /// That of the user's number, for its whole life.
    PerUser,
}

/// One kind of virtual user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// Share of the users (closed model) or arrivals (open model), relative to the other scenarios of its load.
    pub weight: u32,
    /// Pause after every iteration (every task, or one pass through the steps).
    pub wait: Option<Wait>,
    /// What a user remembers from its birth.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub state: Vec<Assign>,
    /// Once per user, before its first iteration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on_start: Vec<Step>,
    /// Once per user, after its last iteration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on_stop: Vec<Step>,
    /// What an iteration does.
    pub action: Action,
}

/// What one iteration of a scenario does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// All steps in order.
    Steps(Vec<Step>),
    /// One task drawn by weight.
    Tasks(Vec<Task>),
}

/// A weighted task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// Its name.
    pub name: String,
    /// Relative to the other tasks of the scenario.
    pub weight: u32,
    /// Nothing is done unless this holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
    /// Steps in order.
    pub steps: Vec<Step>,
}

/// A length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Wait {
    /// Uniformly distributed over `[min, max]` nanoseconds; constant if they are equal.
    Uniform {
        /// Nanoseconds.
        min: u64,
        /// Nanoseconds, at least `min`.
        max: u64,
    },
    /// Exponentially distributed with this mean, nanoseconds.
    Exponential {
        /// Nanoseconds.
        mean: u64,
    },
}

/// A run constant `vars.NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Var {
    /// Its name.
    pub name: String,
    /// Where its value comes from.
    pub from: VarSource,
}

/// Where a constant comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum VarSource {
    /// Given in the manifest.
    Value(String),
    /// Key of a Secret; mounted in worker pods as `<secrets dir>/<name>/<key>`, never part of the plan.
    Secret {
        /// Name of the Secret.
        name: String,
        /// Key in it.
        key: String,
    },
    /// Key of a ConfigMap; mounted in worker pods as `<configs dir>/<name>/<key>`.
    ConfigMap {
        /// Name of the ConfigMap.
        name: String,
        /// Key in it.
        key: String,
    },
}

/// Values of the run constants, by name; secret ones are never logged or reported.
pub type Vars = BTreeMap<String, String>;
