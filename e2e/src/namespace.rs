//! A namespace of one run or a few, so that tests do not see each other. Deleted when it is dropped; set
//! PLIMSOLL_E2E_KEEP to look at it afterwards.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use xtask::{chart, process};

use crate::{Outcome, Stage};

/// A namespace.
#[derive(Debug)]
pub struct Namespace<'a> {
    /// Where it is.
    pub stage: &'a Stage,
    /// Its name.
    pub name: String,
}

impl<'a> Namespace<'a> {
    /// Makes one, and waits until pods can be made in it.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn make(stage: &'a Stage, about: &str) -> Result<Self> {
        let name = format!("e2e-{about}-{}", std::process::id());
        stage.kubectl(&["create", "namespace", &name])?;
        let namespace = Self { stage, name };
        namespace.kubectl(&["wait", "--for=create", "serviceaccount/default", "--timeout=60s"])?;
        Ok(namespace)
    }

    /// `kubectl` in the namespace.
    ///
    /// # Errors
    /// If it fails.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.stage.kubectl(&[arguments, &["--namespace", &self.name]].concat())
    }

    /// `kubectl … --output=json` in the namespace.
    ///
    /// # Errors
    /// If it fails.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        self.stage.json(&[arguments, &["--namespace", &self.name]].concat())
    }

    /// `kubectl apply` for one object.
    ///
    /// # Errors
    /// If the API server refuses it.
    pub fn apply(&self, object: &Value) -> Result<String> {
        self.send("apply", object)
    }

    /// `kubectl create` for one object; its name.
    ///
    /// # Errors
    /// If the API server refuses it.
    pub fn create(&self, object: &Value) -> Result<String> {
        self.send("create", object)
    }

    fn send(&self, verb: &str, object: &Value) -> Result<String> {
        let mut command = self.stage.cluster.kubectl()?;
        command.args([verb, "--namespace", &self.name, "--validate=strict", "--output=name", "--filename=-"]);
        piped(&mut command, &object.to_string())
    }

    /// Waits until the test is finished, and reads what became of it.
    ///
    /// # Errors
    /// After `limit`, with all that can be said about the namespace.
    pub fn finished(&self, test: &str, limit: Duration) -> Result<Outcome> {
        self.wait(&format!("loadtest/{test}"), "condition=Finished", limit)?;
        Outcome::read(self, test)
    }

    /// `kubectl wait --for=WHAT`.
    ///
    /// # Errors
    /// After `limit`, with all that can be said about the namespace.
    pub fn wait(&self, object: &str, what: &str, limit: Duration) -> Result<()> {
        let (what, limit) = (format!("--for={what}"), format!("--timeout={}ms", limit.as_millis()));
        self.kubectl(&["wait", object, &what, &limit]).map(drop).with_context(|| self.story())
    }

    /// Waits until the test's run has that phase.
    ///
    /// # Errors
    /// After `limit`.
    pub fn phase(&self, test: &str, phase: &str, limit: Duration) -> Result<()> {
        self.wait(&format!("loadtest/{test}"), &format!("jsonpath={{.status.phase}}={phase}"), limit)
    }

    /// The name of the run that the test's spec asked for.
    ///
    /// # Errors
    /// If there is none.
    pub fn run_of(&self, test: &str) -> Result<String> {
        let name = self.kubectl(&["get", "loadtest", test, "--output=jsonpath={.status.run}"])?;
        if name.is_empty() {
            bail!("{test} has no run");
        }
        Ok(name)
    }

    /// The pods of the test's workers.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn pods(&self, test: &str) -> Result<Vec<Value>> {
        let pods = self.json(&["get", "pods", "--selector", &format!("plimsoll.dev/test={test}")])?;
        Ok(pods["items"].as_array().cloned().unwrap_or_default())
    }

    /// Everything that helps to see why a test failed.
    pub fn story(&self) -> String {
        let ask = |arguments: &[&str]| self.kubectl(arguments).unwrap_or_else(|error| format!("{error:#}"));
        let kinds = "loadtests,loadtestruns,jobs,pods,configmaps";
        let objects = ask(&["get", kinds, "--output=wide", "--request-timeout=10s"]);
        let events =
            ask(&["get", "events", "--sort-by=.metadata.creationTimestamp", "--request-timeout=10s"]);
        let workers =
            ask(&["logs", "--selector=plimsoll.dev/run", "--tail=5", "--prefix", "--request-timeout=10s"]);
        let operator = chart::story(&self.stage.cluster);
        format!("namespace {}:\n{objects}\n{events}\n{workers}\n{operator}", self.name)
    }
}

impl Drop for Namespace<'_> {
    fn drop(&mut self) {
        if std::env::var_os("PLIMSOLL_E2E_KEEP").is_none() {
            // What is left goes with the cluster.
            let _ = self.stage.kubectl(&[
                "delete",
                "namespace",
                &self.name,
                "--wait=false",
                "--request-timeout=20s",
            ]);
        }
    }
}

/// A LoadTest.
pub fn load_test(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "plimsoll.dev/v1alpha1", "kind": "LoadTest", "metadata": {"name": name}, "spec": spec})
}

/// A LoadTestRun of a test.
pub fn load_test_run(name: &str, test: &str) -> Value {
    json!({"apiVersion": "plimsoll.dev/v1alpha1", "kind": "LoadTestRun", "metadata": {"name": name},
        "spec": {"testRef": {"name": test}}})
}

/// Runs a program with `input` on its standard input; its output, or an error that quotes what it said.
///
/// # Errors
/// If it fails.
pub fn piped(command: &mut std::process::Command, input: &str) -> Result<String> {
    use std::io::Write;
    let line = process::text(command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("start `{line}`"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends before it has read everything says why itself.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("`{line}` ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}
