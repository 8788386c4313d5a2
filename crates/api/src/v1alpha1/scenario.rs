//! What virtual users do. Lowered by `lower/scenarios.rs`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::patterns;
use super::rules::{any_json, rules, texts};
use crate::{GoDuration, StatusMatch};

/// One kind of virtual user.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[(
    "has(self.tasks) != has(self.steps)",
    "a scenario has either tasks (one drawn by weight per iteration) or steps (all, in order)",
)])))]
pub struct Scenario {
    /// Its name.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Its part of the users or arrivals, relative to the other scenarios. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub weight: Option<u32>,
    /// Pause after every iteration, in place of the profile's. Not used with arrivals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
    /// Headers of its requests, over those of the target. Values may hold ${…}.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "texts")]
    pub headers: BTreeMap<String, String>,
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

/// A weighted list of steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// Its name.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// How often it is drawn, relative to the other tasks. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub weight: Option<u32>,
    /// Steps, all of them in order.
    #[schemars(length(min = 1, max = 100), extend("x-kubernetes-list-type" = "atomic"))]
    pub steps: Vec<Step>,
}

/// One action of a virtual user.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[(
    "has(self.http) != has(self.pause)",
    "a step has exactly one action: http or pause",
)])))]
pub struct Step {
    /// Its name: requests are counted, and named by SLOs, under it. Default: method and path, as in GET /search. Steps of the same
    /// name count together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub name: Option<String>,
    /// Sends a request and reads the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<Http>,
    /// Does nothing for a while, drawn evenly between min and max.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Wait>,
}

/// A pause, drawn evenly between min and max.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = rules(&[(
    "duration(self.min) <= duration(self.max)",
    "min is more than max",
)])))]
pub struct Wait {
    /// Shortest.
    pub min: GoDuration,
    /// Longest.
    pub max: GoDuration,
}

/// An HTTP request. Texts may hold ${…}.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Http {
    /// Method. Default GET.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 20), regex(pattern = patterns::METHOD))]
    pub method: Option<String>,
    /// Path, appended to that of target.url; starts with / and may hold a query.
    #[schemars(length(min = 1, max = 2048), regex(pattern = patterns::PATH))]
    pub path: String,
    /// Query parameters, appended percent-encoded.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "texts")]
    pub query: BTreeMap<String, String>,
    /// Headers, over those of scenario and target.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "texts")]
    pub headers: BTreeMap<String, String>,
    /// Body as JSON, sent with content-type application/json. A string that is exactly one ${…} keeps the type of the expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_json")]
    pub json: Option<Value>,
    /// Body as text, in place of json.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65536))]
    pub body: Option<String>,
    /// What counts as success; anything else is a failed request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
    /// Time for the whole exchange, connecting included; then the request has failed as Timeout. Default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<GoDuration>,
    /// Most redirects followed; a response that still redirects then fails the request (Status). 0 follows none and takes the redirect
    /// as the response. Default 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 50))]
    pub redirects: Option<u16>,
}

/// What counts as success.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Expect {
    /// Statuses: numbers, classes such as "2xx" or ranges such as "200-299". Default 200-399.
    #[schemars(length(min = 1, max = 50), extend("x-kubernetes-list-type" = "atomic"))]
    pub status: Vec<StatusMatch>,
}
