//! Checks that compile or read the whole tree: formatting, lints, dependencies. Rules of our own about the tree are in
//! `tests/tidy.rs`; `suite.rs` runs both.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::tools::{cargo as cargo_tools, list};
use crate::{paths, process, report};

/// Cargo in the work tree, the very one that runs us.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(paths::root());
    command
}

/// `cargo fmt --check`.
///
/// # Errors
/// If a file is not formatted.
pub fn format() -> Result<()> {
    process::run(cargo().args(["fmt", "--all", "--check"])).context("run `cargo fmt --all`")
}

/// Clippy over everything, tests too, where a warning is an error.
///
/// # Errors
/// If there is a warning.
pub fn lint() -> Result<()> {
    process::run(cargo().args([
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ]))
}

/// Licences, bans and sources of all dependencies, by `deny.toml`; and known vulnerabilities, if their database can be had.
///
/// # Errors
/// If one is not allowed, or with `CI=true` if cargo-deny is not in the cache.
pub fn dependencies() -> Result<()> {
    let program = cargo_tools::program(&list::CARGO_DENY);
    if !paths::is_program(&program) {
        return report::skip("cargo-deny", "it is not in the cache; `cargo xtask tools` installs it");
    }
    let deny = |what: &[&str]| {
        let mut command = Command::new(&program);
        command.current_dir(paths::root()).args(["check", "--hide-inclusion-graph"]).args(what);
        command
    };
    process::run(&mut deny(&["licenses", "bans", "sources"]))?;
    let output = deny(&["advisories"]).output().context("start cargo-deny")?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        return Ok(());
    }
    if said.contains("failed to fetch advisory database") {
        // The database is no package of any registry, so there are machines that cannot have it, CI's among them.
        report::allowed_skip(
            "cargo deny check advisories",
            "the database of vulnerabilities cannot be fetched here",
        );
        return Ok(());
    }
    bail!("cargo deny check advisories:\n{said}");
}
