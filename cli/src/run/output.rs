//! What a run leaves: the LoadTestRun with the status that the operator would have written, and the full result for the report.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context;
use k8s_openapi::jiff::Timestamp;
use plimsoll_api::Resolved;
use plimsoll_api::status::{Measured, RunView, StoredResult, run_status};
use plimsoll_api::v1alpha1::{LoadTestRun, Phase, RunResults, WorkerCounts};
use plimsoll_measure::Snapshot;
use plimsoll_slo::{Facts, Judgement};

/// A run that is over.
pub(super) struct Finished {
    pub(super) run: LoadTestRun,
    pub(super) result: StoredResult,
}

/// A run at one moment.
pub(super) struct Moment<'a> {
    pub(super) resolved: &'a Resolved,
    pub(super) merged: &'a Snapshot,
    pub(super) facts: &'a Facts,
    /// When the run was asked for.
    pub(super) queued: SystemTime,
    /// When the load began; absent if it never did.
    pub(super) started: Option<SystemTime>,
    /// The judgement, once the run is over.
    pub(super) judgement: Option<&'a Judgement>,
    pub(super) spec_hash: &'a str,
}

/// Writes status and result of a run as the operator would.
pub(super) fn finished(mut run: LoadTestRun, moment: &Moment<'_>) -> anyhow::Result<Finished> {
    let result = result(moment)?;
    run.status = Some(result.status.clone());
    Ok(Finished { run, result })
}

/// What is known of a run, in the form in which a finished one is stored.
pub(super) fn result(moment: &Moment<'_>) -> anyhow::Result<StoredResult> {
    let Moment { resolved, merged, facts, queued, started, judgement, spec_hash } = moment;
    let desired = resolved.plan.workers;
    let ready = if started.is_some() { desired } else { 0 };
    let phase = if judgement.is_some() { Phase::Finished } else { Phase::Running };
    let view = RunView {
        queued_at: Some(Timestamp::try_from(*queued)?),
        started_at: started.map(Timestamp::try_from).transpose()?,
        workers: Some(WorkerCounts { desired, ready, lost: 0 }),
        measured: Some(Measured {
            plan: &resolved.plan,
            slos: &resolved.slos,
            validity: &resolved.validity,
            merged,
            facts,
        }),
        judgement: *judgement,
        notices: &resolved.notices,
        results: RunResults { spec_hash: Some((*spec_hash).to_owned()), ..RunResults::default() },
        ..RunView::new(1, phase, Timestamp::try_from(SystemTime::now())?)
    };
    let status = run_status(&view);
    Ok(StoredResult::new(&view, &status))
}

/// The file of `--result`.
pub(super) struct Results {
    file: File,
    path: PathBuf,
}

impl Results {
    /// Before any traffic: a run whose result cannot be kept is not begun.
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let file =
            File::create(path).with_context(|| format!("--result {}: cannot be written", path.display()))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Adds the result of one run: a line of JSON.
    pub(super) fn add(&mut self, result: &StoredResult) -> anyhow::Result<()> {
        let line = serde_json::to_string(result)? + "\n";
        let written = self.file.write_all(line.as_bytes());
        written.with_context(|| format!("--result {}: cannot be written", self.path.display()))
    }
}
