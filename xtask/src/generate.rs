//! Files that are made from others and committed: the CRDs from the types of `crates/api`, the dashboards from their descriptions
//! (`dashboards/mod.rs`), and the chart's copies. The test `crds` of that crate writes the first; `tests/tidy.rs` holds the copies and
//! `tests/dashboards.rs` the dashboards against their originals.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::report::step;
use crate::{checks, dashboards, paths, process};

/// Folders of which the chart has a copy, since Helm packs nothing from outside of the chart: original and copy.
/// Every folder that the chart is to carry along gets a line here.
pub const COPIES: &[(&str, &str)] = &[
    ("crds", "charts/plimsoll/crds"),
    ("dashboards", "charts/plimsoll/dashboards"),
    ("dashboards/rules", "charts/plimsoll/rules"),
];

/// Makes everything anew.
///
/// # Errors
/// If the types do not compile or a file cannot be written.
pub fn all() -> Result<()> {
    step("crds/ from the types of crates/api", || process::run(crds().env("UPDATE", "1")))?;
    step("dashboards/ from their descriptions", dashboards::write)?;
    step("docs/metrics.md from the inventory of crates/telemetry", || {
        process::run(metrics_page().env("UPDATE", "1"))
    })?;
    for (original, copy) in COPIES {
        step(&format!("{copy}/ from {original}/"), || copy_folder(original, copy))?;
    }
    Ok(())
}

/// Checks that making everything anew would change nothing.
///
/// # Errors
/// If it would, naming the files.
pub fn check() -> Result<()> {
    step("crds/ against the types of crates/api", || process::run(&mut crds()))?;
    step("docs/metrics.md against the inventory of crates/telemetry", || process::run(&mut metrics_page()))?;
    let mut drift = drift()?;
    drift.extend(dashboards::drift()?);
    if drift.is_empty() {
        return Ok(());
    }
    bail!("run `cargo xtask generate`: {}", drift.join("; "));
}

/// The copies that differ from their originals, in words.
///
/// # Errors
/// If a file cannot be read.
pub fn drift() -> Result<Vec<String>> {
    let mut found = Vec::new();
    for (original, copy) in COPIES {
        let (from, to) = (paths::root().join(original), paths::root().join(copy));
        for name in names(&from)?.union(&names(&to)?) {
            let text = |folder: &Path| std::fs::read(folder.join(name)).ok();
            if text(&from) != text(&to) {
                let name = name.to_string_lossy();
                found.push(format!("{copy}/{name} differs from {original}/{name}"));
            }
        }
    }
    Ok(found)
}

fn crds() -> std::process::Command {
    let mut cargo = checks::cargo();
    cargo.args(["test", "--quiet", "--package", "plimsoll-api", "--test", "crds"]);
    cargo
}

fn metrics_page() -> std::process::Command {
    let mut cargo = checks::cargo();
    cargo.args(["test", "--quiet", "--package", "plimsoll-telemetry", "--test", "document"]);
    cargo
}

fn copy_folder(original: &str, copy: &str) -> Result<()> {
    let (from, to) = (paths::root().join(original), paths::root().join(copy));
    std::fs::create_dir_all(&to).with_context(|| format!("make {}", to.display()))?;
    let wanted = names(&from)?;
    for name in names(&to)?.difference(&wanted) {
        std::fs::remove_file(to.join(name))
            .with_context(|| format!("remove {copy}/{}", name.to_string_lossy()))?;
    }
    for name in wanted {
        std::fs::copy(from.join(&name), to.join(&name))
            .with_context(|| format!("copy {original}/{}", name.to_string_lossy()))?;
    }
    Ok(())
}

/// The names of the files in a folder, without those of folders in it; none if there is no folder.
fn names(folder: &Path) -> Result<BTreeSet<OsString>> {
    if !folder.exists() {
        return Ok(BTreeSet::new());
    }
    let entries = std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    let files = entries.filter(|entry| entry.as_ref().map_or(true, |entry| !entry.path().is_dir()));
    files.map(|entry| Ok(entry?.file_name())).collect()
}
