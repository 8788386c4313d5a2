//! What a worker reads from mounted files: the plan with its hash, and the values that the plan names. Used by `main.rs`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use plimsoll_plan::{PLAN_VERSION, Plan, PlanError, Share, SplitError};
use plimsoll_session::plan_hash;
use plimsoll_worker::Shelf;
use serde::Deserialize;

use crate::settings::Settings;

/// A plan that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShareError {
    #[error("cannot read the plan {0}: {1}; is the run's ConfigMap mounted?")]
    Read(PathBuf, #[source] std::io::Error),
    #[error("{0} is not a plan: {1}")]
    Parse(PathBuf, #[source] serde_json::Error),
    #[error(
        "{0} is of version {1}, this worker knows up to {PLAN_VERSION}; use the worker image of the operator's release"
    )]
    Version(PathBuf, u32),
    #[error("{0} cannot be executed: {1}")]
    Plan(PathBuf, #[source] PlanError),
    #[error(transparent)]
    Split(#[from] SplitError),
}

/// Just the version, so that a plan of another one is named as such and not by its first unknown field.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// The share of this index and the hash of the plan's text.
pub(crate) fn read(file: &Path, index: u32) -> Result<(Share, String), ShareError> {
    let text = std::fs::read(file).map_err(|error| ShareError::Read(file.to_owned(), error))?;
    let parse = |error| ShareError::Parse(file.to_owned(), error);
    let Version { version } = serde_json::from_slice(&text).map_err(parse)?;
    if version > PLAN_VERSION {
        return Err(ShareError::Version(file.to_owned(), version));
    }
    let plan: Plan = serde_json::from_slice(&text).map_err(parse)?;
    plan.check().map_err(|error| ShareError::Plan(file.to_owned(), error))?;
    Ok((Arc::new(plan).share(index)?, plan_hash(&text)))
}

/// A value from its mounted file.
pub(crate) fn mounted(settings: &Settings, shelf: Shelf, name: &str, key: &str) -> Result<Vec<u8>, String> {
    let home = match shelf {
        Shelf::Secret => &settings.secrets,
        Shelf::ConfigMap => &settings.configs,
    };
    let file = home.join(name).join(key);
    std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))
}
