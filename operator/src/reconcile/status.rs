//! The status of a run: what is known is put into a view (pure), `plimsoll_api::status` finds the words, and one server-side apply writes
//! them, if they differ. Transitions are written at once, everything else at most every five seconds.

use std::time::{Duration, Instant};

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::Resource;
use kube::api::{Api, Patch, PatchParams};
use plimsoll_api::status::{Measured, RunView, StoredResult, Waiting, run_status};
use plimsoll_api::v1alpha1::{LoadTestRun, LoadTestRunStatus, Phase, RunResults, WorkerCounts};
use plimsoll_manifests::{Frozen, Settings, plan_name, result_name};
use plimsoll_measure::Snapshot;
use plimsoll_session::{Progress, WorkerState};
use plimsoll_slo::Facts;
use serde_json::json;

use super::apply::MANAGER;
use super::decide::{Over, Say};
use super::observe::{Observed, newer};
use super::{dashboard, ended, running, starting};
use crate::context::Context;

/// Between two writes that are no transition.
pub(crate) const PACE: Duration = Duration::from_secs(5);

/// Why a status was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StatusError {
    /// This process must not write: its lease has run out.
    #[error("not written: this process does not hold the lease")]
    NotLeading,
    /// Somebody changed the run since it was observed.
    #[error("the run was changed in between")]
    Changed,
    /// The API server failed.
    #[error("write the status: {0}")]
    Api(#[source] Box<kube::Error>),
}

/// The status of a run that is under way, or queued.
pub(super) fn under_way(observed: &Observed, say: &Say, settings: &Settings) -> LoadTestRunStatus {
    let (phase, waiting, progress, start) = match say {
        Say::Now { phase, waiting, progress, start } => (*phase, waiting.as_ref(), Some(&**progress), *start),
        Say::Queued { message } => {
            let waiting = Waiting { reason: plimsoll_api::conditions::reasons::QUEUED, message };
            let view = RunView { waiting: Some(waiting), ..view(observed, Phase::Pending) };
            return run_status(&view);
        }
        Say::Over(_) | Say::Again(_) | Say::Latched => (Phase::Finished, None, None, None),
    };
    let mut view = view(observed, phase);
    view.waiting = waiting.map(|(reason, message)| Waiting { reason, message });
    view.started_at = start.and_then(|at| Timestamp::try_from(at).ok());
    let frozen = observed.frozen.as_deref();
    let facts = frozen.zip(progress).map(|(frozen, progress)| running::facts_now(observed, frozen, progress));
    view.measured = measured(frozen, progress, facts.as_ref());
    view.workers = progress.map(|progress| counts(progress, phase));
    view.start_by = frozen.filter(|_| phase == Phase::Starting).and_then(|frozen| start_by(observed, frozen));
    view.results = results(observed, settings, false);
    view.unseen = unseen(progress, facts.as_ref());
    if phase > Phase::Pending {
        view.queued_at = Some(observed.now.stamp).filter(|_| queued_before(observed).is_none());
    }
    run_status(&view)
}

/// The last status of a run, and its full result.
pub(super) fn over(
    observed: &Observed,
    over: &Over,
    settings: &Settings,
) -> (LoadTestRunStatus, StoredResult) {
    let mut view = view(observed, Phase::Finished);
    view.judgement = Some(&over.judgement);
    let frozen = observed.frozen.as_deref();
    let nothing = Snapshot::default();
    view.measured = measured(frozen, over.progress.as_ref(), Some(&over.facts));
    view.workers = match &over.progress {
        Some(progress) => {
            Some(WorkerCounts { lost: over.facts.workers_lost, ..counts(progress, Phase::Collecting) })
        }
        None => frozen.map(|frozen| WorkerCounts { desired: frozen.plan.workers, ..WorkerCounts::default() }),
    };
    view.unseen = unseen(over.progress.as_ref(), Some(&over.facts));
    view.results = results(observed, settings, true);
    let status = run_status(&view);
    // A run without a start was not measured, but its plan says what it would have been.
    view.measured = view.measured.or_else(|| {
        let Frozen { plan, slos, validity, .. } = frozen?;
        Some(Measured { plan, slos, validity, merged: &nothing, facts: &over.facts })
    });
    let mut stored = StoredResult::new(&view, &status);
    stored.run.namespace.clone_from(&observed.key.namespace);
    stored.run.name.clone_from(&observed.key.name);
    stored.run.test.clone_from(&observed.run.spec.test_ref.name);
    stored.spec_hash = ended::spec_hash(observed);
    (status, stored)
}

fn view<'a>(observed: &'a Observed, phase: Phase) -> RunView<'a> {
    let generation = observed.run.metadata.generation.unwrap_or(0);
    RunView {
        previous: observed.run.status.as_ref().filter(|status| status.observed_generation >= 0),
        notices: observed.frozen.as_ref().map_or(&[], |frozen| frozen.notices.as_slice()),
        ..RunView::new(generation, phase, observed.now.stamp)
    }
}

fn queued_before(observed: &Observed) -> Option<Timestamp> {
    observed.run.status.as_ref()?.queued_at.as_ref().map(|time| time.0)
}

fn measured<'a>(
    frozen: Option<&'a Frozen>,
    progress: Option<&'a Progress>,
    facts: Option<&'a Facts>,
) -> Option<Measured<'a>> {
    let Frozen { plan, slos, validity, .. } = frozen?;
    Some(Measured { plan, slos, validity, merged: progress?.gather.merged(), facts: facts? })
}

/// Workers that are there: ready before the start, then all that make load or are done.
pub(super) fn counts(progress: &Progress, phase: Phase) -> WorkerCounts {
    let workers = progress.gather.workers();
    let ready = |state: &WorkerState| match state {
        WorkerState::Ready => true,
        WorkerState::Running | WorkerState::Done => phase >= Phase::Running,
        WorkerState::Absent | WorkerState::Connected | WorkerState::Failed(_) | WorkerState::Lost => false,
    };
    let count = |of: &dyn Fn(&WorkerState) -> bool| {
        u32::try_from(workers.iter().filter(|worker| of(&worker.state)).count()).unwrap_or(u32::MAX)
    };
    WorkerCounts {
        desired: u32::try_from(workers.len()).unwrap_or(u32::MAX),
        ready: count(&ready),
        lost: count(&|state| *state == WorkerState::Lost),
    }
}

fn start_by(observed: &Observed, frozen: &Frozen) -> Option<Timestamp> {
    starting::asked_at(observed).checked_add(SignedDuration::try_from(frozen.start_timeout()).ok()?).ok()
}

/// What lost workers can have sent beyond what they reported: their share of the rate so far over the two seconds that a report may be
/// late.
fn unseen(progress: Option<&Progress>, facts: Option<&Facts>) -> Option<u64> {
    let (progress, facts) = (progress?, facts?);
    let lost = u64::from(facts.workers_lost);
    if lost == 0 {
        return None;
    }
    let busiest = progress.gather.merged().series.iter().map(|second| second.sent).max().unwrap_or(0);
    let workers = u64::from(facts.workers.max(1));
    Some(busiest.saturating_mul(2).saturating_mul(lost).div_ceil(workers))
}

fn results(observed: &Observed, settings: &Settings, over: bool) -> RunResults {
    let frozen = observed.frozen.as_ref();
    let before = observed.run.status.as_ref().and_then(|status| status.results.clone()).unwrap_or_default();
    RunResults {
        plan: frozen.map(|_| plan_name(&observed.key.name)),
        plan_hash: frozen.map(|frozen| frozen.plan_hash.clone()),
        spec_hash: Some(ended::spec_hash(observed)).filter(|hash| !hash.is_empty()),
        full: over.then(|| result_name(&observed.key.name)),
        // A run keeps the image that it began with.
        worker_image: before.worker_image.or_else(|| frozen.map(|_| settings.worker_image.clone())),
        dashboard: settings.grafana.as_deref().map(|grafana| dashboard::address(grafana, observed, over)),
    }
}

/// Writes the status, unless it says what is there, or it is not time yet.
///
/// # Errors
/// See [`StatusError`].
#[tracing::instrument(name = "write status", skip_all)]
pub(super) async fn write(
    context: &Context,
    observed: &Observed,
    status: LoadTestRunStatus,
) -> Result<(), StatusError> {
    let memory = context.run_memory(&observed.uid);
    let last = memory.written.as_ref().map(|(_, _, at)| *at);
    if !is_worth_writing(observed.run.status.as_ref(), &status, last, observed.now.instant) {
        return Ok(());
    }
    if !context.may_write() {
        return Err(StatusError::NotLeading);
    }
    let runs: Api<LoadTestRun> = Api::namespaced(context.client.clone(), &observed.key.namespace);
    let version = newer(memory.version, observed.version.clone());
    let patch = json!({
        "apiVersion": LoadTestRun::api_version(&()), "kind": LoadTestRun::kind(&()),
        // Conditional: a process that knows less than what is there must not undo it.
        "metadata": {"name": observed.key.name, "uid": observed.uid, "resourceVersion": version},
        "status": status,
    });
    context.metrics.wrote("status");
    let params = PatchParams::apply(MANAGER).force();
    match runs.patch_status(&observed.key.name, &params, &Patch::Apply(&patch)).await {
        Ok(written) => {
            context.remember_run(&observed.uid, |memory| {
                let version = written.metadata.resource_version.unwrap_or_default();
                memory.saw(Some(version.clone()));
                memory.written = Some((version, written.status.unwrap_or(status), Instant::now()));
            });
            Ok(())
        }
        Err(kube::Error::Api(answer)) if matches!(answer.code, 404 | 409) => {
            context.remember_run(&observed.uid, |memory| memory.version = None);
            Err(StatusError::Changed)
        }
        Err(error) => Err(StatusError::Api(Box::new(error))),
    }
}

/// Whether to write now.
fn is_worth_writing(
    before: Option<&LoadTestRunStatus>,
    after: &LoadTestRunStatus,
    last: Option<Instant>,
    now: Instant,
) -> bool {
    let Some(before) = before else { return true };
    if before == after {
        return false;
    }
    is_transition(before, after) || last.is_none_or(|last| now.duration_since(last) >= PACE)
}

/// Whether somebody who watches wants to know at once.
fn is_transition(before: &LoadTestRunStatus, after: &LoadTestRunStatus) -> bool {
    let lost = |status: &LoadTestRunStatus| status.workers.map_or(0, |workers| workers.lost);
    let conditions = |status: &LoadTestRunStatus| {
        let told = status
            .conditions
            .iter()
            .map(|condition| (condition.type_.clone(), condition.status.clone(), condition.reason.clone()));
        told.collect::<Vec<_>>()
    };
    let generation = |status: &LoadTestRunStatus| status.observed_generation;
    (generation(before), &before.phase, before.verdict, &before.reason, &before.started_at, lost(before))
        != (generation(after), &after.phase, after.verdict, &after.reason, &after.started_at, lost(after))
        || conditions(before) != conditions(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(phase: &str, progress: &str) -> LoadTestRunStatus {
        LoadTestRunStatus {
            phase: Some(phase.into()),
            progress: Some(progress.into()),
            ..LoadTestRunStatus::default()
        }
    }

    #[test]
    fn transitions_are_written_at_once_and_figures_every_five_seconds() {
        let (running, now) = (status("Running", "10%"), Instant::now());
        let write = |after: &LoadTestRunStatus, seconds| {
            is_worth_writing(Some(&running), after, Some(now), now + Duration::from_secs(seconds))
        };
        assert!(!write(&running, 60), "it says what is there");
        assert!(!write(&status("Running", "12%"), 1));
        assert!(write(&status("Running", "20%"), 5));
        assert!(write(&status("Collecting", "100%"), 0));
        assert!(is_worth_writing(None, &running, None, now), "there is none");
    }
}
