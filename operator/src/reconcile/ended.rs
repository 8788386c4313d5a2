//! The end of a run: its result is stored, then its verdict told, then its workers released, then its objects let go. Pure; the judgement
//! comes from `running.rs`, or from whatever kept the run from starting.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use plimsoll_api::conditions::reasons;
use plimsoll_api::status::HISTORY;
use plimsoll_api::v1alpha1::{LoadTestRunStatus, Phase, Verdict as Told};
use plimsoll_measure::Snapshot;
use plimsoll_session::Stop;
use plimsoll_slo::{Facts, Judgement, Reason, Verdict, judge};

use super::decide::{Decision, Over, Say, is_guarded, run_policy, start_of};
use super::observe::Observed;
use super::step::Step;
use crate::events::News;

/// How long workers may come for the word that the outcome is stored; they wait ten minutes for it.
const RELEASE: Duration = Duration::from_secs(11 * 60);

/// The run could not take place.
pub(super) fn error(observed: &Observed, reason: Reason, message: String) -> Decision {
    let workers = observed.frozen.as_ref().map_or(0, |frozen| frozen.plan.workers);
    let facts = Facts { workers, error: Some((reason, message.clone())), ..Facts::default() };
    let judgement = match &observed.frozen {
        Some(frozen) => {
            judge(&frozen.slos, &frozen.validity, &frozen.plan.layout, &Snapshot::default(), &facts)
        }
        None => Judgement { verdict: Verdict::Error, reason, message, results: Vec::new() },
    };
    unstarted(observed, judgement, facts)
}

/// The run was stopped before it started.
pub(super) fn stopped_early(observed: &Observed, reason: Reason, message: &str) -> Decision {
    let workers = observed.frozen.as_ref().map_or(0, |frozen| frozen.plan.workers);
    let facts = Facts { workers, stopped: Some(reason), ..Facts::default() };
    let results = match &observed.frozen {
        Some(frozen) => {
            judge(&frozen.slos, &frozen.validity, &frozen.plan.layout, &Snapshot::default(), &facts).results
        }
        None => Vec::new(),
    };
    let message = format!("{message}; the run had not started");
    unstarted(observed, Judgement { verdict: Verdict::Inconclusive, reason, message, results }, facts)
}

fn unstarted(observed: &Observed, judgement: Judgement, facts: Facts) -> Decision {
    let text = format!("{:?}: {}", judgement.reason, judgement.message);
    let mut decision = over(observed, Over { judgement, facts, progress: None });
    if observed.progress.is_some() {
        decision.before.insert(0, Step::Stop(Stop { reason: text, at_once: true }));
    }
    decision
}

/// Stores, tells, releases, lets go. The result itself is made by `status.rs`, which has the words for it.
pub(super) fn over(observed: &Observed, over: Over) -> Decision {
    let judgement = &over.judgement;
    let note = format!("{:?} ({:?}): {}", judgement.verdict, judgement.reason, judgement.message);
    let good = judgement.verdict == Verdict::Passed;
    let news = if good { News::good("Finished", note) } else { News::bad("Finished", note) };
    let mut after = vec![Step::Ack];
    if observed.job.is_some() || observed.memory.job_made {
        after.push(Step::RetireJob { now: over.progress.is_none() || over.facts.workers_lost > 0 });
    }
    if is_guarded(observed) {
        after.push(Step::Unguard);
    }
    after.push(Step::Tell(news));
    Decision {
        before: Vec::new(),
        say: Some(Say::Over(Box::new(over))),
        after,
        again: Some(Duration::from_secs(1)),
    }
}

/// The verdict is there. What a former process may have left undone is done, and in time the run is deleted.
pub(super) fn decide(observed: &Observed) -> Decision {
    let mut before = Vec::new();
    let since = since_end(observed);
    let job_runs = observed.job.as_ref().is_some_and(|job| !job.complete && job.failed.is_none());
    let awaited = job_runs && start_of(observed).is_some() && since < RELEASE;
    match (&observed.progress, &observed.frozen) {
        (None, Some(frozen)) if awaited => {
            before.extend([Step::Open(Arc::clone(frozen)), Step::Ack]);
        }
        (Some(progress), _) if awaited && !progress.acked => before.push(Step::Ack),
        (Some(progress), _) if !awaited && !progress.links.iter().any(|link| link.connected) => {
            before.push(Step::Close);
        }
        _ => {}
    }
    if observed.job.as_ref().is_some_and(|job| !job.retired) {
        before.push(Step::RetireJob { now: start_of(observed).is_none() });
    }
    if is_guarded(observed) {
        before.push(Step::Unguard);
    }
    let mut again = observed.progress.is_some().then_some(Duration::from_secs(2));
    if let Some(kept) = kept_for(observed) {
        let left = match kept.saturating_sub(since) {
            Duration::ZERO if !is_noted(observed) => Duration::from_secs(1),
            left => left,
        };
        if left.is_zero() {
            before.push(Step::Delete);
        } else {
            again = Some(again.map_or(left, |again| again.min(left)));
        }
    }
    let generation = |of: &LoadTestRunStatus| of.observed_generation;
    let is_edited = observed.run.status.as_ref().map(generation) != observed.run.metadata.generation;
    Decision { before, say: is_edited.then_some(Say::Latched), after: Vec::new(), again }
}

/// Whether the test knows how the run ended, so that it may go: its history says so, or is full of newer ones.
fn is_noted(observed: &Observed) -> bool {
    let Some(test) = &observed.test else { return true };
    let history = test.status.as_ref().map_or(&[][..], |status| &status.history);
    match history.iter().find(|entry| entry.name == observed.key.name) {
        Some(entry) => entry.verdict.is_some(),
        None => history.len() >= HISTORY,
    }
}

/// What is said of a run that is over and whose result cannot be stored, until it can. Nothing if it never started: its result holds no
/// more than the verdict, which is told without it.
pub(super) fn unstored(over: &Over, why: &str) -> Option<Say> {
    let progress = over.progress.clone()?;
    let message = format!(
        "the verdict is known, but its result cannot be stored, and it is not told before: {why}; trying again"
    );
    let waiting = Some((reasons::COLLECTING, message));
    Some(Say::Now { phase: Phase::Collecting, waiting, start: None, progress: Box::new(progress) })
}

fn since_end(observed: &Observed) -> Duration {
    let status = observed.run.status.as_ref();
    let end = status
        .and_then(|status| status.finished_at.as_ref())
        .map_or(observed.now.wall, |time| SystemTime::from(time.0));
    observed.now.wall.duration_since(end).unwrap_or_default()
}

/// How long the run is kept: its own word over the run policy's by outcome; nothing is for ever.
fn kept_for(observed: &Observed) -> Option<Duration> {
    let passed = observed.run.status.as_ref().and_then(|status| status.verdict) == Some(Told::Passed);
    let policy = || {
        let by_outcome = run_policy(observed)?.ttl_after_finished?;
        if passed { by_outcome.passed } else { by_outcome.not_passed }
    };
    observed.run.spec.ttl_after_finished.or_else(policy).map(|kept| Duration::from_nanos(kept.nanos))
}

/// Hash of the test's spec that the run is of.
pub(super) fn spec_hash(observed: &Observed) -> String {
    let frozen = observed.frozen.as_ref().map(|frozen| frozen.spec_hash.clone());
    frozen
        .or_else(|| observed.test.as_ref().map(|test| plimsoll_api::spec_hash(&test.spec)))
        .unwrap_or_default()
}
