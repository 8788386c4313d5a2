//! What virtual users do, and what is done once per run. Steps are in `step.rs`; lowered by `lower/scenarios.rs`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::rules::{expressions, rules, texts};
use super::{Arrivals, Expressions, Shape, Stage, Step, Wait, patterns};
use crate::GoDuration;

/// One kind of virtual user.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[(
    "has(self.tasks) != has(self.steps)",
    "a scenario has either tasks (one drawn by weight per iteration) or steps (all, in order)",
), (
    "!(has(self.profile) && has(self.weight))",
    "a scenario with a profile of its own shares its load with no other: remove weight",
), (
    "!has(self.startAfter) || has(self.profile)",
    "startAfter is of a scenario with a profile of its own: give it one, or remove startAfter",
)])))]
pub struct Scenario {
    /// Its name.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Its part of the users or arrivals of spec.profile, relative to the other scenarios without a profile of their own. Default 1;
    /// 0 has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub weight: Option<u32>,
    /// A load of its own, beside that of spec.profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<ScenarioProfile>,
    /// When its own load begins, from the start of the run. Default 0s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_after: Option<GoDuration>,
    /// Pause after every iteration, in place of the profile's. Not used with arrivals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
    /// Headers of its requests, over those of the target. Values may hold ${…}. They are those of tasks and steps and of the flows that
    /// these run, not of onStart and onStop.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "texts")]
    pub headers: BTreeMap<String, String>,
    /// What every user remembers from the start, as user.NAME: expressions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "expressions")]
    pub state: Expressions,
    /// Steps that every user does once, before its first iteration. Not with arrivals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), extend("x-kubernetes-list-type" = "atomic"))]
    pub on_start: Vec<Step>,
    /// Steps that every user does once, after its last iteration. Not with arrivals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), extend("x-kubernetes-list-type" = "atomic"))]
    pub on_stop: Vec<Step>,
    /// Tasks, one of them drawn by weight in each iteration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 50),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub tasks: Option<Vec<Task>>,
    /// Steps, all of them in order in each iteration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100), extend("x-kubernetes-list-type" = "atomic"))]
    pub steps: Option<Vec<Step>>,
}

/// A load of one scenario, in the fields of spec.profile.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = json!([{
    "rule": "[has(self.users) || has(self.stages) || has(self.spawnRate), has(self.arrivals)].filter(x, x).size() == 1",
    "message": "a scenario's profile has either users or stages (closed model), or arrivals (open model)"
}])))]
pub struct ScenarioProfile {
    /// Virtual users that send one request after the other. Beside stages, the number that their percentages are of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub users: Option<u32>,
    /// Users that start per second, until all are there. Default: all at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub spawn_rate: Option<u32>,
    /// Users over time, linear from the last stage's value, the first from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100), extend("x-kubernetes-list-type" = "atomic"))]
    pub stages: Option<Vec<Stage>>,
    /// Requests that arrive at given times, whatever the target does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrivals: Option<Arrivals>,
    /// How long new work is started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<GoDuration>,
    /// Iterations over all its users; its load ends when they are done, or after the duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000_000_i64))]
    pub iterations: Option<u64>,
    /// How long a user that a falling stage retires may finish its iteration. Default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graceful_ramp_down: Option<GoDuration>,
}

impl ScenarioProfile {
    /// The same as a shape.
    pub(crate) fn shape(&self) -> Shape {
        Shape {
            users: self.users,
            spawn_rate: self.spawn_rate,
            stages: self.stages.clone(),
            arrivals: self.arrivals.clone(),
            duration: self.duration,
            iterations: self.iterations,
            graceful_ramp_down: self.graceful_ramp_down,
            ..Shape::default()
        }
    }
}

/// A weighted list of steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// Its name.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// How often it is drawn, relative to the other tasks. Default 1; 0 is never drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub weight: Option<u32>,
    /// Expression; unless it is true, nothing is sent, and the wait still happens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub when: Option<String>,
    /// Steps, all of them in order.
    #[schemars(length(min = 1, max = 100), extend("x-kubernetes-list-type" = "atomic"))]
    pub steps: Vec<Step>,
}

/// Steps with a name, done wherever a step runs them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Flow {
    /// Its name.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Steps, all of them in order.
    #[schemars(length(min = 1, max = 100), extend("x-kubernetes-list-type" = "atomic"))]
    pub steps: Vec<Step>,
}

/// A step that is done once per run, at a time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Call {
    /// When: the name of a window, for its start, or a time since the start of the run, such as 90s.
    #[schemars(length(min = 1, max = 40), regex(pattern = patterns::WINDOW))]
    pub at: String,
    /// The fields of a step.
    #[serde(flatten)]
    pub step: Step,
}
