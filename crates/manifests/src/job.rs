//! The Indexed Job of a run: one pod per share of the plan, replaced freely before the start. Its pods: `pod.rs`.

use plimsoll_api::v1alpha1::LoadTestRun;
use serde_json::{Value, json};

use crate::names::{CONTAINER, labels};
use crate::{BuildError, Frozen, Settings, pod};

/// How often the Job controller replaces a pod of one index.
const RETRIES_PER_INDEX: u32 = 4;
/// Exit code of a worker that cannot use its settings: another attempt would not help (`worker/src/main.rs`).
const HOPELESS: i32 = 2;

/// The Job. `backoffLimitPerIndex` and not `backoffLimit: 0`, with which one failed pod makes the Job controller kill the others.
///
/// After the start no pod is replaced in the sense of the run: the operator's sessions refuse a second pod of an index, which
/// then exits 1, until the retries of its index are used up. No `ttlSecondsAfterFinished`: the operator sets it once the outcome is stored.
pub(crate) fn job(run: &LoadTestRun, frozen: &Frozen, settings: &Settings) -> Result<Value, BuildError> {
    let name = run.metadata.name.as_deref().ok_or(BuildError::NoName)?;
    let test = &frozen.plan.run.test;
    let workers = frozen.plan.workers;
    let template = pod::template(run, frozen, settings)?;
    let metadata = crate::names::metadata(run, test, name.to_owned());
    let metadata = serde_json::to_value(&metadata)
        .map_err(|error| BuildError::Json { part: "the Job's metadata", error: error.to_string() })?;
    debug_assert_eq!(metadata["labels"], json!(labels(test, name)));
    Ok(json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            "completionMode": "Indexed",
            "completions": workers,
            "parallelism": workers,
            "backoffLimitPerIndex": RETRIES_PER_INDEX,
            "podReplacementPolicy": "Failed",
            "activeDeadlineSeconds": active_deadline(frozen, settings),
            "podFailurePolicy": {"rules": [
                // A drained node is nobody's fault: it costs no attempt.
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                {"action": "FailIndex", "onExitCodes": {"containerName": CONTAINER, "operator": "In", "values": [HOPELESS]}},
            ]},
            "template": template,
        },
    }))
}

/// Seconds after which the Job controller ends the pods whatever happened: start timeout, the run, and the wait for the outcome.
fn active_deadline(frozen: &Frozen, settings: &Settings) -> u64 {
    let run = frozen.latest_end().div_ceil(1_000_000_000);
    frozen.start_timeout().as_secs() + run + settings.linger.as_secs()
}
