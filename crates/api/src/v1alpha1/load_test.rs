//! LoadTest: how much load to apply to what, and which lines must not be crossed. Lowered by `lower.rs`.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    LoadTestStatus, Profile, PrometheusServer, Results, RunPolicy, Scenario, Slo, Target, Telemetry,
    Validity, Var, Workers,
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
    /// The load over time: a preset, a profile that tests share, or the fields themselves.
    pub profile: Profile,
    /// What virtual users do. Without scenarios they request target.url as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 20),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub scenarios: Vec<Scenario>,
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
