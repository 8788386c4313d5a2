//! Programs that Cargo installs, into the cache and not into the user's own folder.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::list::CargoTool;
use crate::{paths, process, report};

/// Where the program of a tool is, or will be.
pub fn program(tool: &CargoTool) -> PathBuf {
    folder(tool).join("bin").join(tool.name)
}

/// Installs a tool unless the cache has that version.
///
/// # Errors
/// If Cargo fails.
pub fn install(tool: &CargoTool) -> Result<()> {
    let title = format!("{} {}", tool.name, tool.version);
    if paths::is_program(&program(tool)) {
        report::cached(&title);
        return Ok(());
    }
    report::step(&format!("{title}: {} (some minutes)", tool.purpose), || {
        let folder = folder(tool);
        std::fs::create_dir_all(&folder)?;
        let mut cargo = Command::new("cargo");
        // From the cache: the configuration of the work tree is for Plimsoll's own binaries.
        cargo.current_dir(&folder).args(["install", "--quiet", "--locked", "--root"]).arg(&folder);
        cargo.args([tool.name, "--version", tool.version]);
        cargo.env_remove("RUSTFLAGS").env_remove("CARGO_BUILD_TARGET");
        process::run(&mut cargo)
    })
}

fn folder(tool: &CargoTool) -> PathBuf {
    paths::cache().join("tools").join(format!("{}-{}", tool.name, tool.version))
}
