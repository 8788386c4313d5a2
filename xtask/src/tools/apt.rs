//! Debian packages, only those that are missing. The list is in `list.rs`.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::list::Package;
use crate::{paths, process, report};

/// Installs the packages of `packages` whose programs are not there.
///
/// # Errors
/// If `apt-get` fails, or with `CI=true` if it cannot be used.
pub fn install(packages: &[Package]) -> Result<()> {
    let missing: Vec<_> = packages.iter().filter(|package| !is_there(package.brings)).collect();
    if missing.is_empty() {
        report::cached("Debian packages");
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|package| package.name).collect();
    let why_not = match (paths::on_path("apt-get"), is_root()) {
        (None, _) => Some("this machine has no apt-get; install them by hand"),
        (_, false) => Some("installing needs root; run `apt-get install` with these names as root"),
        _ => None,
    };
    if let Some(why_not) = why_not {
        for package in missing {
            report::skip(&format!("{} ({})", package.name, package.purpose), why_not)?;
        }
        return Ok(());
    }
    report::step(&format!("apt-get install {}", names.join(" ")), || {
        for package in missing {
            println!("    {}: {}", package.name, package.purpose);
        }
        process::output(apt().arg("update"))?;
        process::output(apt().args(["install", "--yes", "--no-install-recommends"]).args(names)).map(drop)
    })
}

/// Whether this process runs as root, which namespaces, mounts and packages need.
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    // The services that the packages bring are not to be started: in run level 1 the packages' scripts leave them.
    command.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1").arg("--quiet");
    command
}

fn is_there(brings: &str) -> bool {
    if brings.starts_with('/') { Path::new(brings).exists() } else { paths::on_path(brings).is_some() }
}
