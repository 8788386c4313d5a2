//! One LoadTestRun, one step further: observe (IO) → decide (pure) → apply (IO) → status (pure, then one write) → apply. Called by
//! `schedule.rs` whenever something touched the run.

mod accept;
mod apply;
mod dashboard;
mod decide;
mod ended;
#[cfg(test)]
mod fixtures;
mod observe;
mod queue;
mod running;
mod show;
mod starting;
mod status;
mod step;
#[cfg(test)]
mod table;
#[cfg(test)]
mod table_end;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_api::v1alpha1::LoadTestRun;
use plimsoll_session::RunKey;

pub(crate) use apply::{FINALIZER, MANAGER, release};
pub(crate) use dashboard::grafana;
pub(crate) use status::PACE;

use self::apply::{ApplyError, apply};
use self::decide::{Decision, Policy, Say, decide};
use self::observe::{ObserveError, Observed, observe};
use self::status::StatusError;
use self::step::Step;
use crate::context::{Context, RunMemory};

/// Why a reconcile failed; one variant per step.
#[derive(Debug, thiserror::Error)]
enum ReconcileError {
    #[error(transparent)]
    Observe(#[from] ObserveError),
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error(transparent)]
    Status(#[from] StatusError),
}

impl ReconcileError {
    /// The step, for metrics.
    fn step(&self) -> &'static str {
        match self {
            Self::Observe(_) => "observe",
            Self::Apply(_) => "apply",
            Self::Status(_) => "status",
        }
    }
}

/// Takes a run one step further, and answers when to look again.
#[tracing::instrument(skip_all, fields(kind = "LoadTestRun", object = %key, otel.status_code = tracing::field::Empty))]
pub(crate) async fn reconcile(context: &Context, key: &RunKey) -> Result<Option<Duration>, ()> {
    match step(context, key).await {
        Ok(again) => {
            context.metrics.reconciled(None);
            Ok(again)
        }
        // Not an error: the lease is being fought for, or the API server is away. What needs neither was done.
        Err(
            ReconcileError::Apply(ApplyError::NotLeading) | ReconcileError::Status(StatusError::NotLeading),
        ) => Ok(Some(Duration::from_millis(500))),
        // Somebody else changed the run in between; the watch brings it.
        Err(ReconcileError::Apply(ApplyError::Changed) | ReconcileError::Status(StatusError::Changed)) => {
            Ok(Some(Duration::from_millis(100)))
        }
        Err(error) => {
            tracing::warn!(run = %key, step = error.step(), %error, "reconcile failed; trying again");
            tracing::Span::current().record("otel.status_code", "ERROR");
            context.metrics.reconciled(Some(error.step()));
            Err(())
        }
    }
}

async fn step(context: &Context, key: &RunKey) -> Result<Option<Duration>, ReconcileError> {
    let Some(mut observed) = observe(context, key).await? else {
        context.hub.close(key);
        return Ok(None);
    };
    if show::lacks_result(&observed, context.metrics.runs.get(&observed.uid).as_ref()) {
        observed.look(context).await?;
    }
    let policy = Policy {
        limits: &context.limits,
        servers: context.queries.servers(),
        halt: context.halt,
        settings: &context.settings,
    };
    let decision = decide(&observed, &policy);
    let again = decision.again;
    show(context, &observed, decision.say.as_ref());
    match carry_out(context, &observed, decision).await {
        Err(ReconcileError::Apply(ApplyError::Refused(reason, message))) => {
            tracing::warn!(run = %key, ?reason, message, "the API server refused");
            context.remember_run(&observed.uid, |memory| memory.refused = Some((reason, message)));
            return Ok(Some(Duration::ZERO));
        }
        Err(ReconcileError::Apply(ApplyError::Leaving)) => return Ok(leave(context, &observed)),
        done => done?,
    }
    forget(context, &observed);
    Ok(again)
}

/// Shows the run as it is now to whoever scrapes.
fn show(context: &Context, observed: &Observed, say: Option<&Say>) {
    let runs = &context.metrics.runs;
    if let Some(run) = show::shown(observed, say, runs.get(&observed.uid)) {
        runs.show(&observed.uid, run);
    }
}

async fn carry_out(context: &Context, observed: &Observed, decision: Decision) -> Result<(), ReconcileError> {
    apply(context, observed, decision.before).await?;
    if let Some(say) = decision.say {
        tell(context, observed, say).await?;
    }
    apply(context, observed, decision.after).await?;
    Ok(())
}

/// The namespace takes nothing new, so nothing of the run can be stored: its workers are let go at once.
fn leave(context: &Context, observed: &Observed) -> Option<Duration> {
    tracing::info!(run = %observed.key, "the namespace is being deleted; letting the run go");
    context.remember_run(&observed.uid, |memory| memory.leaving = true);
    Some(Duration::ZERO)
}

/// Plan and result of a run take room; once its verdict is in the watch's copy and its workers are gone, nobody asks for them.
fn forget(context: &Context, observed: &Observed) {
    let stored = context.stores.run(&observed.key);
    let is_over =
        stored.is_some_and(|run| run.status.as_ref().is_some_and(|status| status.verdict.is_some()));
    if is_over && context.hub.observe(&observed.key).is_none() {
        context.remember_run(&observed.uid, |memory| *memory = RunMemory::default());
    }
}

/// Writes the status; of a run that is over, after its result.
async fn tell(context: &Context, observed: &Observed, say: Say) -> Result<(), ReconcileError> {
    let status = match say {
        Say::Over(over) => {
            let (mut status, stored) = status::over(observed, &over, &context.settings);
            match apply(context, observed, vec![Step::Store(Box::new(stored))]).await {
                Ok(()) => {}
                Err(error @ (ApplyError::NotLeading | ApplyError::Leaving | ApplyError::Changed)) => {
                    return Err(error.into());
                }
                Err(error) => {
                    if let Some(say) = ended::unstored(&over, &error.to_string()) {
                        let told = status::under_way(observed, &say, &context.settings);
                        status::write(context, observed, told).await?;
                        return Err(error.into());
                    }
                    tracing::warn!(run = %observed.key, %error, "its verdict is told without a stored result");
                    status.results.iter_mut().for_each(|results| results.full = None);
                }
            }
            // A result that was there already is the run's result.
            context.run_memory(&observed.uid).result.map_or(status, |stored| stored.status.clone())
        }
        Say::Again(stored) => stored.status.clone(),
        say => status::under_way(observed, &say, &context.settings),
    };
    status::write(context, observed, status).await?;
    Ok(())
}

/// Runs by phase, for metrics.
pub(crate) fn count_phases(runs: &[Arc<LoadTestRun>]) -> BTreeMap<&'static str, u64> {
    let mut counts =
        BTreeMap::from(["Pending", "Starting", "Running", "Collecting", "Finished"].map(|phase| (phase, 0)));
    for run in runs {
        let phase = run.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending");
        if let Some(count) = counts.get_mut(phase) {
            *count += 1;
        }
    }
    counts
}
