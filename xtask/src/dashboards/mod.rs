//! Grafana's dashboards: `dashboards/*.json` are made from the descriptions in this folder, so that units, legends and selectors are the
//! same everywhere. `check.rs` holds dashboards and rules against the rules for queries, `ask.rs` runs them against a Prometheus,
//! `picture.rs` draws what it answers.

pub mod ask;
pub mod check;
mod compare;
mod fleet;
mod generator;
mod grafana;
mod model;
mod operator;
mod parts;
pub mod picture;
pub mod queries;
mod run;
mod slos;
mod trouble;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::paths;

/// The folder of dashboards and, in `rules`, of alerting and recording rules.
pub const FOLDER: &str = "dashboards";

/// Every dashboard: the name of its file, and its content.
///
/// # Errors
/// If one cannot be written as JSON.
pub fn files() -> Result<Vec<(String, String)>> {
    let file = |dashboard: model::Dashboard| {
        let text = serde_json::to_string_pretty(&dashboard.json())?;
        Ok((format!("{}.json", dashboard.uid), text + "\n"))
    };
    let all = [
        run::dashboard(),
        compare::dashboard(),
        slos::dashboard(),
        fleet::dashboard(),
        operator::dashboard(),
    ];
    all.into_iter().map(file).collect()
}

/// Writes every dashboard.
///
/// # Errors
/// If a file cannot be written.
pub fn write() -> Result<()> {
    let folder = paths::root().join(FOLDER);
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    files()?.into_iter().try_for_each(|(name, text)| {
        std::fs::write(folder.join(&name), text).with_context(|| format!("write {FOLDER}/{name}"))
    })
}

/// The dashboards whose files are not what their descriptions make.
///
/// # Errors
/// If one cannot be written as JSON.
pub fn drift() -> Result<Vec<String>> {
    let folder = paths::root().join(FOLDER);
    let files = files()?.into_iter();
    let differs =
        files.filter(|(name, text)| std::fs::read_to_string(folder.join(name)).ok().as_ref() != Some(text));
    Ok(differs.map(|(name, _)| format!("{FOLDER}/{name} differs from its description")).collect())
}

/// The dashboards as they are committed, by the name of their file.
///
/// # Errors
/// If a file cannot be read.
pub fn committed() -> Result<Vec<(String, Value)>> {
    let folder = paths::root().join(FOLDER);
    let entries = std::fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            found.push((name, serde_json::from_str(&text).with_context(|| path.display().to_string())?));
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}
