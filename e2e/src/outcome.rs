//! What became of a run: the objects as `kubectl` shows them, and the full result in its ConfigMap.

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::ConfigMap;
use plimsoll_api::status::StoredResult;
use plimsoll_manifests::{plan_name, read_result, result_name};
use serde_json::Value;

use crate::Namespace;

/// A finished test.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The LoadTest.
    pub test: Value,
    /// The LoadTestRun that its spec asked for.
    pub run: Value,
}

impl Outcome {
    /// Reads a test and its run.
    ///
    /// # Errors
    /// If they are not there.
    pub fn read(namespace: &Namespace<'_>, test: &str) -> Result<Self> {
        let test = namespace.json(&["get", "loadtest", test])?;
        let Some(name) = test["status"]["run"].as_str() else { bail!("no run: {:#}", test["status"]) };
        let run = namespace.json(&["get", "loadtestrun", name])?;
        Ok(Self { test, run })
    }

    /// The run's status.
    pub fn status(&self) -> &Value {
        &self.run["status"]
    }

    /// Verdict and reason: `Passed SLOsMet`.
    pub fn verdict(&self) -> String {
        format!("{} {}", word(&self.status()["verdict"]), word(&self.status()["reason"]))
    }

    /// The verdict in a sentence.
    pub fn message(&self) -> &str {
        word(&self.status()["message"])
    }

    /// A count of the whole run, by its name in `summary.total`.
    ///
    /// # Errors
    /// If there is none.
    pub fn total(&self, count: &str) -> Result<u64> {
        let total = &self.status()["summary"]["total"];
        total[count].as_u64().with_context(|| format!("no {count} in {total:#}"))
    }

    /// The result of an SLO.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn slo(&self, name: &str) -> Result<&Value> {
        let slos = self.status()["slos"].as_array().into_iter().flatten();
        slos.clone()
            .find(|slo| slo["name"] == name)
            .with_context(|| format!("no SLO {name} in {:#}", self.status()))
    }

    /// Status and reason of a condition: `True SLOsMet`, or nothing if it is not there.
    pub fn condition(object: &Value, kind: &str) -> Option<String> {
        let mut conditions = object["status"]["conditions"].as_array()?.iter();
        let condition = conditions.find(|condition| condition["type"] == kind)?;
        Some(format!("{} {}", word(&condition["status"]), word(&condition["reason"])))
    }

    /// The full result, from its ConfigMap.
    ///
    /// # Errors
    /// If it is missing or cannot be read.
    pub fn result(&self, namespace: &Namespace<'_>) -> Result<StoredResult> {
        Ok(read_result(&self.config_map(namespace, &result_name(self.name()))?)?)
    }

    /// The ConfigMap with the frozen run.
    ///
    /// # Errors
    /// If it is missing.
    pub fn plan(&self, namespace: &Namespace<'_>) -> Result<ConfigMap> {
        self.config_map(namespace, &plan_name(self.name()))
    }

    /// The run's name.
    pub fn name(&self) -> &str {
        word(&self.run["metadata"]["name"])
    }

    fn config_map(&self, namespace: &Namespace<'_>, name: &str) -> Result<ConfigMap> {
        let map = namespace.json(&["get", "configmap", name])?;
        serde_json::from_value(map).with_context(|| format!("read the ConfigMap {name}"))
    }
}

/// A text in an object, or the empty one.
pub fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
