//! The same manifest by `plimsoll run`, in the cluster's network so that it reaches the same servers.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{Outcome, Stage};

/// What `plimsoll run` said.
#[derive(Clone, Debug)]
pub struct Local {
    /// Its exit code.
    pub code: i32,
    /// The LoadTestRun on its standard output, as an outcome without a test.
    pub outcome: Outcome,
}

/// Runs manifests, of which one is a LoadTest, with `plimsoll run - --output json`.
///
/// # Errors
/// If it does not start, or its output is not one LoadTestRun.
pub fn run(stage: &Stage, manifests: &[&Value], arguments: &[&str]) -> Result<Local> {
    use std::io::Write;
    let mut command: Command = stage.cluster.inside(stage.program("plimsoll")?)?;
    command.args(["run", "-", "--output=json", "--quiet"]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("start plimsoll")?;
    if let Some(mut stdin) = child.stdin.take() {
        for manifest in manifests {
            writeln!(stdin, "---\n{manifest}")?;
        }
    }
    let output = child.wait_with_output()?;
    let Some(code) = output.status.code() else { bail!("plimsoll ended with {}", output.status) };
    let run: Value = serde_json::from_slice(&output.stdout).with_context(|| {
        format!("plimsoll ended with {code}: {}", String::from_utf8_lossy(&output.stderr).trim())
    })?;
    Ok(Local { code, outcome: Outcome { test: Value::Null, run } })
}
