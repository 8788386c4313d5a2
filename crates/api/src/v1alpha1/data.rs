//! Tables of variables. Lowered by `lower/data.rs`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::{rules, words};
use super::{KeyRef, patterns};

/// A table whose rows are used as ${data.NAME.COLUMN}.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[(
    "has(self.configMapKeyRef) != has(self.inline)",
    "a table has either configMapKeyRef or inline",
), (
    "!has(self.inline) || has(self.format)",
    "an inline table needs a format: CSV or JSONLines",
), (
    "!has(self.onEnd) || !has(self.pick) || self.pick == 'Sequential'",
    "onEnd is of pick Sequential: other rows never come to an end",
)])))]
pub struct Data {
    /// Its name: letters, digits and _.
    #[schemars(length(min = 1, max = 40), regex(pattern = patterns::VARIABLE))]
    pub name: String,
    /// Key of a ConfigMap of the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<KeyRef>,
    /// The table itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 65536))]
    pub inline: Option<String>,
    /// CSV (with a header line) or JSONLines (an object a line). Default: by the end of the key, .csv, .jsonl or .ndjson.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<DataFormat>,
    /// Which row an iteration sees. Sequential (default): the next one, over the whole run. Random: any. PerUser: always the user's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pick: Option<Pick>,
    /// What happens when all rows were used. Restart (default): they come again. EndUser: the user ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_end: Option<OnEnd>,
}

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, transform = words)]
pub enum DataFormat {
    /// Comma-separated values with a header line.
    #[serde(rename = "CSV")]
    Csv,
    /// One JSON object a line.
    #[serde(rename = "JSONLines")]
    JsonLines,
}

/// Which row an iteration sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, transform = words)]
pub enum Pick {
    /// The next one.
    #[default]
    Sequential,
    /// Any.
    Random,
    /// The user's own.
    PerUser,
}

/// What happens when all rows were used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, transform = words)]
pub enum OnEnd {
    /// They come again.
    #[default]
    Restart,
    /// The user ends.
    EndUser,
}
