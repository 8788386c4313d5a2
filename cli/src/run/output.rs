//! What a run leaves: the LoadTestRun with the status that the operator would have written, and the full result for the report.

use std::time::SystemTime;

use k8s_openapi::jiff::Timestamp;
use plimsoll_api::Resolved;
use plimsoll_api::status::{Measured, RunView, StoredResult, run_status};
use plimsoll_api::v1alpha1::{LoadTestRun, Phase, RunResults, WorkerCounts};
use plimsoll_slo::Judgement;

use super::drive::Outcome;

/// A run that is over.
pub(super) struct Finished {
    pub(super) run: LoadTestRun,
    pub(super) result: StoredResult,
}

/// Writes status and result of a run as the operator would.
pub(super) fn finished(
    mut run: LoadTestRun,
    resolved: &Resolved,
    outcome: &Outcome,
    judgement: &Judgement,
    queued: SystemTime,
    spec_hash: String,
) -> anyhow::Result<Finished> {
    let desired = resolved.plan.workers;
    let ready = if outcome.started.is_some() { desired } else { 0 };
    let view = RunView {
        queued_at: Some(Timestamp::try_from(queued)?),
        started_at: outcome.started.map(Timestamp::try_from).transpose()?,
        workers: Some(WorkerCounts { desired, ready, lost: 0 }),
        measured: Some(Measured {
            plan: &resolved.plan,
            slos: &resolved.slos,
            validity: &resolved.validity,
            merged: &outcome.merged,
            facts: &outcome.facts,
        }),
        judgement: Some(judgement),
        notices: &resolved.notices,
        results: RunResults { spec_hash: Some(spec_hash), ..RunResults::default() },
        ..RunView::new(1, Phase::Finished, Timestamp::try_from(SystemTime::now())?)
    };
    let status = run_status(&view);
    let result = StoredResult::new(&view, &status);
    run.status = Some(status);
    Ok(Finished { run, result })
}
