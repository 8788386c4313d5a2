//! What a run leaves: the LoadTestRun with the status that the operator would have written, and the report.

use std::time::SystemTime;

use anyhow::Result;
use plimsoll_api::Resolved;
use plimsoll_api::v1alpha1::LoadTestRun;
use plimsoll_slo::Judgement;

use super::drive::Outcome;

pub(super) fn finished(
    run: LoadTestRun,
    _resolved: &Resolved,
    _outcome: &Outcome,
    _judgement: &Judgement,
    _queued: SystemTime,
) -> Result<LoadTestRun> {
    Ok(run)
}

pub(super) fn report(_run: &LoadTestRun, _resolved: &Resolved, _outcome: &Outcome, judgement: &Judgement) -> String {
    format!("{judgement:#?}\n")
}
