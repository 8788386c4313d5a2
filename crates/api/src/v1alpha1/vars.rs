//! Constants of a run. Lowered by `lower/vars.rs`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::patterns;
use super::rules::rules;

/// A constant, used as ${vars.NAME}.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[(
    "has(self.value) != has(self.valueFrom)",
    "a variable has either value or valueFrom",
)])))]
pub struct Var {
    /// Its name: letters, digits and _.
    #[schemars(length(min = 1, max = 40), regex(pattern = patterns::VARIABLE))]
    pub name: String,
    /// Its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub value: Option<String>,
    /// Where its value is kept. Values of Secrets are mounted in worker pods only, and redacted everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<ValueFrom>,
}

/// Where a value is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[(
    "has(self.secretKeyRef) != has(self.configMapKeyRef)",
    "valueFrom has either secretKeyRef or configMapKeyRef",
)])))]
pub struct ValueFrom {
    /// Key of a Secret of the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeyRef>,
    /// Key of a ConfigMap of the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<KeyRef>,
}

/// One key of a Secret or ConfigMap of the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyRef {
    /// Name of the object.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key in it.
    #[schemars(length(min = 1, max = 253), regex(pattern = patterns::KEY))]
    pub key: String,
}
