//! LoadTestRun: one execution of a LoadTest. Its overrides are merged by `lower/overrides.rs`.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::patterns;
use super::profile::{Place, shape_rules};
use super::rules::rules;
use super::{LoadTestRunStatus, Profile, Slo, Var};
use crate::GoDuration;

/// One execution of a LoadTest. Frozen, but for cancel.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "plimsoll.dev",
    version = "v1alpha1",
    kind = "LoadTestRun",
    namespaced,
    status = "LoadTestRunStatus",
    derive = "PartialEq",
    shortname = "plr",
    category = "plimsoll",
    doc = "One execution of a LoadTest: made by the operator, or by whoever wants a run now. Its status holds the verdict.",
    selectable = ".status.verdict",
    selectable = ".spec.testRef.name",
    printcolumn = r#"{"name": "Phase", "type": "string", "jsonPath": ".status.phase"}"#,
    printcolumn = r#"{"name": "Verdict", "type": "string", "jsonPath": ".status.verdict"}"#,
    printcolumn = r#"{"name": "SLOs", "type": "string", "jsonPath": ".status.slosMet", "description": "SLOs met, of all"}"#,
    printcolumn = r#"{"name": "Progress", "type": "string", "jsonPath": ".status.progress"}"#,
    printcolumn = r#"{"name": "Rate", "type": "string", "jsonPath": ".status.summary.rate"}"#,
    printcolumn = r#"{"name": "P95", "type": "string", "jsonPath": ".status.summary.p95"}"#,
    printcolumn = r#"{"name": "Errors", "type": "string", "jsonPath": ".status.summary.errors"}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name": "Reason", "type": "string", "jsonPath": ".status.reason", "priority": 1}"#,
    printcolumn = r#"{"name": "Test", "type": "string", "jsonPath": ".spec.testRef.name", "priority": 1}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[(
    "has(self.overrides) == has(oldSelf.overrides)",
    "overrides is frozen: create another LoadTestRun",
), (
    "has(self.ttlAfterFinished) == has(oldSelf.ttlAfterFinished)",
    "ttlAfterFinished is frozen: create another LoadTestRun",
), (
    "!(has(oldSelf.cancel) && oldSelf.cancel) || (has(self.cancel) && self.cancel)",
    "a cancelled run stays cancelled: create another LoadTestRun",
)])))]
pub struct LoadTestRunSpec {
    /// The LoadTest of the same namespace that is run, as it is when the run begins.
    #[schemars(extend("x-kubernetes-validations" = rules(&[(
        "self == oldSelf", "testRef is frozen: create another LoadTestRun",
    )])))]
    pub test_ref: TestRef,
    /// What this run does differently.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = rules(&[(
        "self == oldSelf", "overrides is frozen: create another LoadTestRun",
    )])))]
    pub overrides: Option<Overrides>,
    /// How long the run is kept after its end. Default: as the test's runPolicy says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = rules(&[(
        "self == oldSelf", "ttlAfterFinished is frozen: create another LoadTestRun",
    )])))]
    pub ttl_after_finished: Option<GoDuration>,
    /// True stops the run; what was measured stays. The one field that may be changed, and only to true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<bool>,
}

/// A LoadTest of the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TestRef {
    /// Its name.
    #[schemars(length(min = 1, max = 40))]
    pub name: String,
}

/// What one run does differently from its test; merged as a test merges over a profile.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Overrides {
    /// Another target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetOverride>,
    /// Constants by name, over those of the test; values only. What Secrets a test may use, the test says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        extend(
            "x-kubernetes-list-type" = "map",
            "x-kubernetes-list-map-keys" = ["name"],
            "x-kubernetes-validations" = rules(&[(
                "self.all(item, !has(item.valueFrom))", "overrides.vars have values: valueFrom belongs into the LoadTest",
            )])
        )
    )]
    pub vars: Vec<Var>,
    /// Fields of the profile, over those of the test: users scales it, duration stretches it. A preset or ref replaces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = shape_rules(Place::Override)))]
    pub profile: Option<Profile>,
    /// SLOs by name, over those of the test.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 50),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub slos: Vec<Slo>,
    /// Another number of workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<WorkersOverride>,
}

/// Another target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetOverride {
    /// URL in place of the test's.
    #[schemars(length(max = 2048), regex(pattern = patterns::URL))]
    pub url: String,
}

/// Another number of workers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkersOverride {
    /// Number of pods.
    #[schemars(range(min = 1, max = 1000))]
    pub count: u32,
}
