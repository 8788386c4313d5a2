//! LoadTest: how much load to apply to what, and which lines must not be crossed. Lowered by `lower.rs`.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::rules;
use super::{
    Call, Data, Flow, LoadTestStatus, Profile, PrometheusServer, Results, RunPolicy, Scenario, Slo, Step,
    Target, Telemetry, Validity, Var, Workers,
};

/// What to run: the target, the load over time, what the virtual users do and the SLOs that must hold. Applying it
/// starts a run, unless runPolicy says otherwise; the status says what became of it.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "plimsoll.dev",
    version = "v1alpha1",
    kind = "LoadTest",
    namespaced,
    status = "LoadTestStatus",
    derive = "PartialEq",
    shortname = "plt",
    category = "plimsoll",
    doc = "A load test: how much load to apply to what, and which lines (SLOs) must not be crossed. Its status says whether they were.",
    selectable = ".status.verdict",
    printcolumn = r#"{"name": "Phase", "type": "string", "jsonPath": ".status.phase"}"#,
    printcolumn = r#"{"name": "Verdict", "type": "string", "jsonPath": ".status.verdict"}"#,
    printcolumn = r#"{"name": "SLOs", "type": "string", "jsonPath": ".status.slosMet", "description": "SLOs met, of all"}"#,
    printcolumn = r#"{"name": "Progress", "type": "string", "jsonPath": ".status.progress"}"#,
    printcolumn = r#"{"name": "Rate", "type": "string", "jsonPath": ".status.summary.rate"}"#,
    printcolumn = r#"{"name": "P95", "type": "string", "jsonPath": ".status.summary.p95"}"#,
    printcolumn = r#"{"name": "Errors", "type": "string", "jsonPath": ".status.summary.errors"}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name": "Reason", "type": "string", "jsonPath": ".status.reason", "priority": 1}"#,
    printcolumn = r#"{"name": "Run", "type": "string", "jsonPath": ".status.run", "priority": 1}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[(
    "(has(self.profile) && (has(self.profile.preset) || has(self.profile.ref) || has(self.profile.users) || has(self.profile.stages) || has(self.profile.arrivals))) || (has(self.scenarios) && self.scenarios.all(s, has(s.profile)))",
    "a profile needs a preset, a ref, users, stages or arrivals, unless every scenario has a profile of its own",
)])))]
pub struct LoadTestSpec {
    /// Where the load goes.
    pub target: Target,
    /// Constants of the run, used as ${vars.NAME}. The only door for secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub vars: Vec<Var>,
    /// Tables of variables: rows of a CSV or JSON lines file, used as ${data.NAME.COLUMN}.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 20),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub data: Vec<Data>,
    /// The load over time: a preset, a profile that tests share, or the fields themselves. Required, unless every scenario has a
    /// profile of its own; then it may still say warmup, cooldown, gracefulStop and wait.
    #[serde(default, skip_serializing_if = "Profile::is_empty")]
    pub profile: Profile,
    /// What virtual users do. Without scenarios they request target.url as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 20),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub scenarios: Vec<Scenario>,
    /// Named steps that other steps run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 50),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub flows: Vec<Flow>,
    /// Steps done once per run, before the start. What they capture is ${setup.NAME} for all users. One that fails ends the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), extend("x-kubernetes-list-type" = "atomic"))]
    pub setup: Vec<Step>,
    /// Steps done once per run, at given times: at the start of a window, or so long after the start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), extend("x-kubernetes-list-type" = "atomic"))]
    pub timeline: Vec<Call>,
    /// Steps done once per run, after the load, even of a run that was stopped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), extend("x-kubernetes-list-type" = "atomic"))]
    pub teardown: Vec<Step>,
    /// The conditions that decide the verdict. They merge by name with those of the profile; the ones here win.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 50),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub slos: Vec<Slo>,
    /// When a run counts as valid; a run that is not valid is Inconclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validity: Option<Validity>,
    /// The pods that make the load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<Workers>,
    /// Where metrics are read that SLOs query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusServer>,
    /// Where metrics and traces of the run are written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<Telemetry>,
    /// Where full results are kept, beside the ConfigMap of each run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub results: Option<Results>,
    /// When runs start, wait and are removed. Editing it starts no run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_policy: Option<RunPolicy>,
}
