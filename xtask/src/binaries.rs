//! Builds programs of the workspace and says where Cargo put them. `image.rs` packs them; tests run them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{paths, process};

/// The packages that make programs for users.
pub const PACKAGES: [&str; 4] = ["plimsoll-operator", "plimsoll-worker", "plimsoll-cli", "plimsoll-testbed"];

/// How to compile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// In seconds, for quick tests.
    Dev,
    /// As users get it.
    Release,
}

/// Builds the programs of `packages`; returns their paths by name.
///
/// # Errors
/// If they do not compile.
pub fn build(packages: &[&str], profile: Profile) -> Result<BTreeMap<String, PathBuf>> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(paths::root()).args(["build", "--bins", "--message-format=json-render-diagnostics"]);
    for package in packages {
        cargo.args(["--package", package]);
    }
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    let line = process::text(&cargo);
    let output = cargo.stderr(Stdio::inherit()).output().with_context(|| format!("start `{line}`"))?;
    if !output.status.success() {
        bail!("`{line}` ended with {}", output.status);
    }
    Ok(programs(&String::from_utf8_lossy(&output.stdout)))
}

/// The programs in Cargo's messages, one JSON object per line.
fn programs(messages: &str) -> BTreeMap<String, PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages
        .filter_map(|message| {
            let path = PathBuf::from(message.get("executable")?.as_str()?);
            let name = message.get("target")?.get("name")?.as_str()?;
            Some((name.to_owned(), path))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_among_the_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"lib"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"plimsoll"},"executable":"/t/release/plimsoll"}"#,
            "\nnot json\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        let found = programs(messages);
        assert_eq!(found, BTreeMap::from([("plimsoll".to_owned(), PathBuf::from("/t/release/plimsoll"))]));
    }
}
