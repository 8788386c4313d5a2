//! Scenarios as plain data, as they travel in the plan. Compiled by `compile.rs`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One kind of virtual user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// Share of the users (closed model) or arrivals (open model), relative to the other scenarios.
    pub weight: u32,
    /// Pause after every iteration (every task, or one pass through the steps).
    pub wait: Option<Wait>,
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
    /// Steps in order.
    pub steps: Vec<Step>,
}

/// One action of a virtual user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// One HTTP request.
    Http(Box<HttpStep>),
    /// Doing nothing for a while.
    Pause(Wait),
}

/// A pause, uniformly distributed over `[min, max]` nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// Nanoseconds.
    pub min: u64,
    /// Nanoseconds, at least `min`.
    pub max: u64,
}

/// One HTTP request, all texts still templates with `${expr}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpStep {
    /// Index into the plan's request names.
    pub request: u16,
    /// Where the step stands in the manifest, for messages: `spec.scenarios[0].steps[1]`.
    pub at: String,
    /// Upper-case token.
    pub method: String,
    /// Path and query of the request line, target path already put before it: starts with `/`.
    pub path: String,
    /// Query parameters, appended to the path percent-encoded.
    pub query: Vec<Field>,
    /// Target, scenario and step headers already merged (the later replaces the earlier, by lower-case name).
    pub headers: Vec<Field>,
    /// The body.
    pub body: Body,
    /// Expected statuses (inclusive); others fail the request.
    pub expect: Vec<StatusRange>,
    /// Nanoseconds for the whole exchange, connect included.
    pub timeout: u64,
    /// Redirects followed; a response that still redirects then fails. 0 follows none: the redirect is the response.
    pub redirects: u16,
}

/// A named text: header or query parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Not a template.
    pub name: String,
    /// A template.
    pub value: String,
}

/// A request body.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Body {
    /// None.
    #[default]
    Empty,
    /// A template.
    Text(String),
    /// JSON whose strings are templates; a string that is exactly one `${expr}` keeps the expression's type.
    Json(serde_json::Value),
}

/// Inclusive range of statuses.
pub type StatusRange = (u16, u16);

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
