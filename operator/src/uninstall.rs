//! What the chart's hook does before it is uninstalled: asks the running operator to stop every run, waits for that, and lets go what is
//! left, so that nothing waits for an operator that is gone, and nothing makes load without one.

use std::time::{Duration, Instant};

use k8s_openapi::api::batch::v1::Job;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::{Client, Resource, ResourceExt};
use plimsoll_api::v1alpha1::LoadTestRun;
use serde_json::json;

use crate::reconcile::{FINALIZER, release};

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

/// Stops every run and takes our finalizers off all of them.
///
/// # Errors
/// See [`UninstallError`]; doing it again does no harm.
pub async fn uninstall(client: Client) -> Result<(), UninstallError> {
    let runs: Api<LoadTestRun> = Api::all(client.clone());
    let begun = Instant::now();
    loop {
        let all = match runs.list(&ListParams::default()).await {
            // The CRDs are gone: so is everything of ours.
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
            all => all.map_err(UninstallError::List)?.items,
        };
        let late = begun.elapsed() >= PATIENCE;
        let left: Vec<_> = all.iter().filter_map(|run| Some((run, todo(run, late)?))).collect();
        if left.is_empty() {
            tracing::info!(late, "no run is in progress");
            return Ok(());
        }
        for (run, todo) in left {
            match todo {
                Todo::Await => {}
                Todo::Cancel => {
                    tracing::info!(run = run.name_any(), "cancelling");
                    cancel(&client, run).await.map_err(failed("cancelling", run))?;
                }
                Todo::LetGo => {
                    tracing::warn!(run = run.name_any(), "it did not end in time; ending its workers");
                    end_job(&client, run).await.map_err(failed("the Job", run))?;
                    let (namespace, uid) = (namespace_of(run), run.uid().unwrap_or_default());
                    match release(&client, &namespace, &run.name_any(), &uid).await {
                        // Somebody else changed it at that moment: the next pass tries again.
                        Err(kube::Error::Api(status)) if status.code == 409 => {}
                        released => drop(released.map_err(failed("the finalizer", run))?),
                    }
                }
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// What is to be done about a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Todo {
    /// It is on its way to its end.
    Await,
    /// Ask the operator to end it.
    Cancel,
    /// Nobody else does: end its workers, and take our finalizer off.
    LetGo,
}

/// Nothing about a run that is over and let go. Queued runs are cancelled too, and those made meanwhile: each would start when
/// another one ends.
fn todo(run: &LoadTestRun, late: bool) -> Option<Todo> {
    let is_guarded = run.finalizers().iter().any(|name| name == FINALIZER);
    let is_over = run.status.as_ref().is_some_and(|status| status.verdict.is_some());
    match (late, is_guarded) {
        (true, true) => Some(Todo::LetGo),
        (true, false) => None,
        (false, _) if !is_over && run.spec.cancel != Some(true) => Some(Todo::Cancel),
        (false, _) => (is_guarded || !is_over).then_some(Todo::Await),
    }
}

async fn cancel(client: &Client, run: &LoadTestRun) -> Result<(), kube::Error> {
    let runs: Api<LoadTestRun> = Api::namespaced(client.clone(), &namespace_of(run));
    // The UID: not another run that was made under its name.
    let patch = json!({"metadata": {"uid": run.uid()}, "spec": {"cancel": true}});
    let patched = runs.patch(&run.name_any(), &PatchParams::default(), &Patch::Merge(&patch)).await;
    unless_gone(patched.map(drop))
}

/// Has the Job controller end the workers of a run: without an operator they would work on for as long as they can.
async fn end_job(client: &Client, run: &LoadTestRun) -> Result<(), kube::Error> {
    let jobs: Api<PartialObjectMeta<Job>> = Api::namespaced(client.clone(), &namespace_of(run));
    let Some(job) = jobs.get_metadata_opt(&run.name_any()).await? else { return Ok(()) };
    if !job.owner_references().iter().any(|owner| Some(&owner.uid) == run.metadata.uid.as_ref()) {
        return Ok(());
    }
    let patch = json!({"metadata": {"uid": job.uid()}, "spec": {"activeDeadlineSeconds": 1}});
    let patched = jobs.patch_metadata(&run.name_any(), &PatchParams::default(), &Patch::Merge(&patch)).await;
    unless_gone(patched.map(drop))
}

/// What is gone needs nothing more; what was made anew under its name is seen in the next pass.
fn unless_gone(done: Result<(), kube::Error>) -> Result<(), kube::Error> {
    match done {
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        done => done,
    }
}

fn namespace_of(run: &LoadTestRun) -> String {
    run.meta().namespace.clone().unwrap_or_default()
}

fn failed<'a>(what: &'static str, run: &'a LoadTestRun) -> impl FnOnce(kube::Error) -> UninstallError + 'a {
    move |error| UninstallError::Change {
        what,
        run: format!("{}/{}", namespace_of(run), run.name_any()),
        error: Box::new(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_without_a_verdict_is_cancelled_and_in_the_end_let_go() {
        let run = |cancelled: bool, guarded: bool, over: bool| -> LoadTestRun {
            let mut run = json!({
                "apiVersion": "plimsoll.dev/v1alpha1", "kind": "LoadTestRun",
                "metadata": {"name": "web-1", "namespace": "shop"},
                "spec": {"testRef": {"name": "web"}, "cancel": cancelled},
            });
            if guarded {
                run["metadata"]["finalizers"] = json!([FINALIZER]);
            }
            if over {
                run["status"] = json!({"observedGeneration": 1, "phase": "Finished", "verdict": "Passed"});
            }
            serde_json::from_value(run).unwrap()
        };
        for (cancelled, guarded, over, soon, late) in [
            (false, false, false, Some(Todo::Cancel), None),
            (false, true, false, Some(Todo::Cancel), Some(Todo::LetGo)),
            (true, false, false, Some(Todo::Await), None),
            (true, true, false, Some(Todo::Await), Some(Todo::LetGo)),
            (false, true, true, Some(Todo::Await), Some(Todo::LetGo)),
            (false, false, true, None, None),
        ] {
            let run = run(cancelled, guarded, over);
            assert_eq!((todo(&run, false), todo(&run, true)), (soon, late), "{run:?}");
        }
    }
}
