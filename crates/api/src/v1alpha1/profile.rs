//! The load over time: `profile` of a LoadTest, LoadProfile and ClusterLoadProfile. Resolved by `lower/profile.rs`.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::patterns;
use super::rules::{speaking_rule, words};
use super::{Slo, Wait};
use crate::{GoDuration, Rate, Users};

/// Where the fields of a shape stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// `spec.profile` of a LoadTest.
    Test,
    /// `spec.overrides.profile` of a LoadTestRun.
    Override,
    /// `spec` of a LoadProfile.
    Profile,
}

/// Rules of a shape, by where it stands.
pub(super) fn shape_rules(place: Place) -> serde_json::Value {
    let mut rules = vec![
        json!({
            "rule": "!has(self.arrivals) || !(has(self.users) || has(self.stages) || has(self.spawnRate) || has(self.wait))",
            "message": "arrivals (open model) excludes users, stages, spawnRate and wait (closed model): keep one of them"
        }),
        json!({
            "rule": "!(has(self.spawnRate) && has(self.stages))",
            "message": "spawnRate excludes stages: the stages say how fast users come; remove spawnRate"
        }),
    ];
    rules.extend(duration_rules(place));
    if place != Place::Profile {
        rules.push(json!({
            "rule": "!(has(self.preset) && has(self.ref))",
            "message": "preset and ref exclude each other: keep one and override its fields"
        }));
    }
    if place == Place::Profile {
        // In a test it depends on its scenarios: `load_test.rs`.
        rules.push(json!({
            "rule": "has(self.users) || has(self.stages) || has(self.arrivals)",
            "message": "a profile needs users, stages or arrivals"
        }));
    }
    rules.into()
}

/// The load over time: a preset, a profile that tests share, or neither. Fields given beside preset or ref override it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = shape_rules(Place::Test)))]
pub struct Profile {
    /// A built-in shape with SLOs: smoke, light, medium, heavy, spike or soak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// A LoadProfile of the namespace, or a ClusterLoadProfile.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<ProfileRef>,
    /// The fields of a shape.
    #[serde(flatten)]
    pub shape: Shape,
}

impl Profile {
    /// Whether it says nothing.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The built-in profiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline, transform = words)]
#[allow(missing_docs)]
pub enum Preset {
    Smoke,
    Light,
    Medium,
    Heavy,
    Spike,
    Soak,
}

/// A reference to a profile.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ProfileRef {
    /// LoadProfile or ClusterLoadProfile.
    pub kind: ProfileKind,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Kinds of profiles that tests share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, transform = words)]
pub enum ProfileKind {
    /// Of the test's namespace.
    LoadProfile,
    /// Of the cluster.
    ClusterLoadProfile,
}

/// In a test, the stages are the duration; a profile that tests share may hold its last value for longer.
fn duration_rules(place: Place) -> [serde_json::Value; 2] {
    let sum = |stages: &str| format!("{stages}.map(s, duration(s.duration)).sum()");
    let (closed, open) = (sum("self.stages"), sum("self.arrivals.stages"));
    let (given, given_open) = (
        "has(self.duration) && has(self.stages)",
        "has(self.duration) && has(self.arrivals) && has(self.arrivals.stages)",
    );
    if place == Place::Profile {
        let shorter = "duration is shorter than the sum of the stages: remove it, or make it longer";
        return [(given, &closed), (given_open, &open)]
            .map(|(given, sum)| json!({"rule": format!("!({given}) || duration(self.duration) >= {sum}"), "message": shorter}));
    }
    let message = "duration excludes stages: their sum is the duration; remove duration";
    [(given, &closed), (given_open, &open)].map(|(given, sum)| {
        speaking_rule(
            &format!("!({given})"),
            message,
            // Its cost is estimated lower than that of joining texts by +.
            &format!("'duration %s excludes stages, whose sum is %s: remove duration'.format([self.duration, {sum}])"),
        )
    })
}

/// A load shape, closed model (users) or open model (arrivals).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shape {
    /// Virtual users that send one request after the other (closed model). Beside stages, the number that their percentages are of.
    /// Overriding it scales the stages of a preset or ref.
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
    /// Pause after every iteration (a task, or one pass through the steps) of scenarios that give none. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
    /// Requests that arrive at given times, whatever the target does (open model). In place of the closed-model fields of a preset or ref.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrivals: Option<Arrivals>,
    /// How long new work is started. Overriding that of a preset or ref stretches its stages, warmup and cooldown in proportion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<GoDuration>,
    /// The first part of the duration: recorded, not judged. Default 0s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup: Option<GoDuration>,
    /// The last part of the duration: recorded, not judged. Default 0s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooldown: Option<GoDuration>,
    /// Iterations over all users; the run ends when they are done, or after the duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000_000_i64))]
    pub iterations: Option<u64>,
    /// How long what is in flight at the end may go on; then it counts as unfinished. Default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graceful_stop: Option<GoDuration>,
    /// How long a user that a falling stage retires may finish its iteration. Default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graceful_ramp_down: Option<GoDuration>,
}

/// A stretch of time at whose end so many users are there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stage {
    /// How long it takes.
    pub duration: GoDuration,
    /// Users at its end: a number, or a percentage of users.
    pub users: Users,
    /// Name of the window that it belongs to; SLOs can be bound to a window. Stages of one window count together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40), regex(pattern = patterns::WINDOW))]
    pub window: Option<String>,
}

/// Requests that arrive at given times.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = json!([{
    "rule": "has(self.rate) != has(self.stages)",
    "message": "arrivals needs either rate or stages"
}])))]
pub struct Arrivals {
    /// Arrivals of the whole run, split over the workers: 2000/s or 30/m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Arrivals over time, linear from the last stage's rate, the first from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100), extend("x-kubernetes-list-type" = "atomic"))]
    pub stages: Option<Vec<ArrivalStage>>,
    /// Uniform (default): equal gaps, exactly rate times duration. Poisson: as independent callers arrive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribution: Option<Distribution>,
    /// Most arrivals in flight over all workers; more wait in line, and their latency counts from when they were due. Default 10000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_in_flight: Option<u64>,
}

/// A stretch of time at whose end arrivals come at that rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ArrivalStage {
    /// How long it takes.
    pub duration: GoDuration,
    /// Rate at its end.
    pub rate: Rate,
    /// Name of the window that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40), regex(pattern = patterns::WINDOW))]
    pub window: Option<String>,
}

/// How arrivals spread within their rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, transform = words)]
pub enum Distribution {
    /// Equal gaps.
    #[default]
    Uniform,
    /// Exponential gaps.
    Poisson,
}

/// A load shape with its SLOs, for the tests of one namespace. Editing it starts no run.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "plimsoll.dev",
    version = "v1alpha1",
    kind = "LoadProfile",
    namespaced,
    derive = "PartialEq",
    shortname = "plp",
    category = "plimsoll",
    doc = "A load shape with its SLOs that the LoadTests of a namespace share by profile.ref. Editing it starts no run.",
    printcolumn = r#"{"name": "Users", "type": "integer", "jsonPath": ".spec.users"}"#,
    printcolumn = r#"{"name": "Rate", "type": "string", "jsonPath": ".spec.arrivals.rate"}"#,
    printcolumn = r#"{"name": "Duration", "type": "string", "jsonPath": ".spec.duration"}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name": "Description", "type": "string", "jsonPath": ".spec.description", "priority": 1}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = shape_rules(Place::Profile)))]
pub struct LoadProfileSpec {
    /// What the shape stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
    /// The fields of a shape.
    #[serde(flatten)]
    pub shape: Shape,
    /// SLOs of the shape; a test's SLO of the same name replaces one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 50),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub slos: Vec<Slo>,
}

/// A load shape with its SLOs, for all namespaces. Editing it starts no run.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "plimsoll.dev",
    version = "v1alpha1",
    kind = "ClusterLoadProfile",
    derive = "PartialEq",
    shortname = "plcp",
    category = "plimsoll",
    doc = "A load shape with its SLOs that the LoadTests of all namespaces share by profile.ref. Editing it starts no run.",
    printcolumn = r#"{"name": "Users", "type": "integer", "jsonPath": ".spec.users"}"#,
    printcolumn = r#"{"name": "Rate", "type": "string", "jsonPath": ".spec.arrivals.rate"}"#,
    printcolumn = r#"{"name": "Duration", "type": "string", "jsonPath": ".spec.duration"}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name": "Description", "type": "string", "jsonPath": ".spec.description", "priority": 1}"#
)]
#[serde(transparent)]
pub struct ClusterLoadProfileSpec(pub LoadProfileSpec);
