//! What the chart's hook does before it is uninstalled: asks the running operator to stop every run, waits for that, and takes off the
//! finalizers that are left, so that nothing waits for an operator that is gone.

use std::time::{Duration, Instant};

use kube::Client;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::{Resource, ResourceExt};
use plimsoll_api::v1alpha1::LoadTestRun;
use serde_json::json;

use crate::reconcile::FINALIZER;

/// How long runs get to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why something may be left.
#[derive(Debug, thiserror::Error)]
pub enum UninstallError {
    /// The runs cannot be read.
    #[error("list the runs: {0}")]
    List(#[source] kube::Error),
    /// A run cannot be changed.
    #[error("{what} of run {run}: {error}")]
    Change {
        /// What was tried.
        what: &'static str,
        /// Which run.
        run: String,
        /// Why.
        error: Box<kube::Error>,
    },
}

/// Stops every run in progress and takes our finalizers off all runs.
///
/// # Errors
/// See [`UninstallError`]; doing it again does no harm.
pub async fn uninstall(client: Client) -> Result<(), UninstallError> {
    let runs: Api<LoadTestRun> = Api::all(client.clone());
    let begun = Instant::now();
    let mut asked = false;
    loop {
        let all = match runs.list(&ListParams::default()).await {
            // The CRDs are gone: so is everything of ours.
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
            all => all.map_err(UninstallError::List)?.items,
        };
        let guarded: Vec<_> =
            all.iter().filter(|run| run.finalizers().iter().any(|name| name == FINALIZER)).collect();
        if guarded.is_empty() {
            tracing::info!("no run is in progress");
            return Ok(());
        }
        let late = begun.elapsed() >= PATIENCE;
        for run in guarded {
            if late {
                tracing::warn!(run = run.name_any(), "it did not end in time; letting it go");
                let rest: Vec<_> = run.finalizers().iter().filter(|name| *name != FINALIZER).collect();
                change(&client, run, "the finalizer", &json!({"metadata": {"finalizers": rest}})).await?;
            } else if !asked && run.spec.cancel != Some(true) {
                tracing::info!(run = run.name_any(), "cancelling");
                change(&client, run, "cancelling", &json!({"spec": {"cancel": true}})).await?;
            }
        }
        asked = true;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn change(
    client: &Client,
    run: &LoadTestRun,
    what: &'static str,
    patch: &serde_json::Value,
) -> Result<(), UninstallError> {
    let namespace = run.meta().namespace.clone().unwrap_or_default();
    let runs: Api<LoadTestRun> = Api::namespaced(client.clone(), &namespace);
    match runs.patch(&run.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(UninstallError::Change {
            what,
            run: format!("{namespace}/{}", run.name_any()),
            error: Box::new(error),
        }),
    }
}
