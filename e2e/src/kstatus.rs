//! What Kubernetes' own kstatus library, by which Argo CD, Flux and others judge health, computes of an object. The program
//! around it is `xtask/tools/kstatus`.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;
use xtask::tools;

use crate::namespace::piped;

/// `Current`, `InProgress`, `Failed` …
///
/// # Errors
/// If the program is missing or does not understand the object.
pub fn of(object: &Value) -> Result<String> {
    let said = piped(&mut Command::new(tools::find("kstatus")?), &object.to_string())?;
    let status = said.split('\t').next().context("kstatus said nothing")?;
    Ok(status.to_owned())
}
