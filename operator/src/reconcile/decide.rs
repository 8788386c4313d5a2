//! What to do about a run, from what was observed and nothing else. Pure. One file per stretch of a run's life: `accept.rs`
//! (Pending), `starting.rs` (Starting), `running.rs` (Running, Collecting), `ended.rs` (Finished).
//!
//! The phase is computed here each time, from the plan's ConfigMap, the agreed start in the status and what the workers say; only the
//! verdict latches. What must be stored before anybody is told stands in `before`, the rest in `after` the status is written.

use std::sync::Arc;
use std::time::Duration;

use plimsoll_api::status::StoredResult;
use plimsoll_api::v1alpha1::{LoadTestSpec, OnEdit, Phase, RunPolicy};
use plimsoll_manifests::{Frozen, Settings};
use plimsoll_session::{Gather, Link, Progress};
use plimsoll_slo::{Facts, Judgement, Reason};
use plimsoll_telemetry::query::Servers;

use super::apply::FINALIZER;
use super::observe::Observed;
use super::step::Step;
use super::{accept, ended, running, starting};
use crate::events::News;
use crate::limits::Limits;

/// What the operator's own settings say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy<'a> {
    /// How much a run may be.
    pub(crate) limits: &'a Limits,
    /// Whom it may ask for metrics.
    pub(crate) servers: &'a Servers,
    /// Nothing may run.
    pub(crate) halt: bool,
    /// What all runs have in common.
    pub(crate) settings: &'a Settings,
}

/// What to do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Decision {
    /// Before the status is written.
    pub(crate) before: Vec<Step>,
    /// What the status is to say; nothing to leave it as it is.
    pub(crate) say: Option<Say>,
    /// Once the status is written.
    pub(crate) after: Vec<Step>,
    /// When to look again if nothing happens.
    pub(crate) again: Option<Duration>,
}

/// What the status is to say; `status.rs` finds the words.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    /// The run is under way.
    Now {
        /// How far it is.
        phase: Phase,
        /// Why it does not go on, in one word and in a sentence, if that is better known than by the phase.
        waiting: Option<(&'static str, String)>,
        /// The agreed start, from this write on.
        start: Option<std::time::SystemTime>,
        /// What the workers say.
        progress: Box<Progress>,
    },
    /// The run is queued; nothing of it exists.
    Queued {
        /// Why.
        message: String,
    },
    /// It is over.
    Over(Box<Over>),
    /// It is over and stays what it was; only its spec was edited.
    Latched,
    /// It was over before this process knew of it: its stored status.
    Again(Arc<StoredResult>),
}

/// The end of a run.
#[derive(Clone, Debug)]
pub(crate) struct Over {
    /// The judgement.
    pub(crate) judgement: Judgement,
    /// What it rests on.
    pub(crate) facts: Facts,
    /// What the workers said; nothing if there never were any.
    pub(crate) progress: Option<Progress>,
}

/// Decides.
pub(crate) fn decide(observed: &Observed, policy: &Policy<'_>) -> Decision {
    if observed.run.metadata.deletion_timestamp.is_some() || observed.memory.leaving {
        return leave(observed);
    }
    if observed.is_finished() {
        return ended::decide(observed);
    }
    if let Some(result) = &observed.result {
        return Decision {
            say: Some(Say::Again(Arc::clone(result))),
            again: Some(Duration::ZERO),
            ..Decision::default()
        };
    }
    if let Some((reason, message)) = &observed.memory.refused {
        return ended::error(observed, *reason, message.clone());
    }
    match (&observed.frozen, start_of(observed)) {
        (None, _) => accept::decide(observed, policy),
        (Some(frozen), None) => starting::decide(observed, policy, frozen),
        (Some(frozen), Some(at)) => running::decide(observed, policy, frozen, at),
    }
}

/// The run, or its namespace, is being deleted: its sessions end at once, and nothing is left that anybody waits for.
fn leave(observed: &Observed) -> Decision {
    let mut before = vec![Step::Close];
    if is_guarded(observed) {
        before.push(Step::Unguard);
    }
    Decision { before, ..Decision::default() }
}

/// Whether our finalizer is on the run.
pub(crate) fn is_guarded(observed: &Observed) -> bool {
    observed.run.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER)
}

/// The agreed start in the status.
pub(crate) fn start_of(observed: &Observed) -> Option<std::time::SystemTime> {
    let status = observed.run.status.as_ref()?;
    status.started_at.as_ref().map(|time| time.0.into())
}

/// The run policy that holds for this run: of the test as it is now, so that it can be mended in mid-run; else as accepted.
pub(crate) fn run_policy(observed: &Observed) -> Option<&RunPolicy> {
    let now = observed.test.as_ref().and_then(|test| test.spec.run_policy.as_ref());
    now.or_else(|| observed.frozen.as_ref().and_then(|frozen| frozen.spec.run_policy.as_ref()))
}

/// Why the run is to be stopped, but for its SLOs: the reason, a sentence, and whether at once.
pub(crate) fn stop_wanted(observed: &Observed, policy: &Policy<'_>) -> Option<(Reason, String, bool)> {
    if observed.run.spec.cancel == Some(true) {
        return Some((Reason::Cancelled, "spec.cancel was set".to_owned(), false));
    }
    if policy.halt {
        let message =
            "the operator is halted (halt: true in its chart): nothing runs until that is taken back";
        return Some((Reason::Cancelled, message.to_owned(), true));
    }
    let Some(test) = &observed.test else {
        let name = &observed.run.spec.test_ref.name;
        return Some((Reason::Cancelled, format!("LoadTest {name} was deleted"), true));
    };
    if is_replaced(observed, &test.spec) {
        return Some((
            Reason::Superseded,
            "the test's spec was edited, and runPolicy.onEdit is Replace".to_owned(),
            false,
        ));
    }
    let deadline = Duration::from_nanos(run_policy(observed)?.deadline?.nanos);
    let due = observed.run.metadata.creation_timestamp.as_ref()?.0;
    let age = Duration::try_from(observed.now.stamp.duration_since(due)).unwrap_or_default();
    let late = || format!("runPolicy.deadline of {} is over", crate::waiting::span(deadline));
    (age >= deadline).then(|| (Reason::DeadlineExceeded, late(), false))
}

/// Whether a newer spec takes the place of the one that this run was made for.
fn is_replaced(observed: &Observed, spec: &LoadTestSpec) -> bool {
    let replace = spec.run_policy.as_ref().is_some_and(|policy| policy.on_edit == Some(OnEdit::Replace));
    let made_for = observed
        .run
        .metadata
        .annotations
        .as_ref()
        .and_then(|all| all.get(plimsoll_manifests::SPEC_HASH_ANNOTATION));
    replace && made_for.is_some_and(|hash| *hash != plimsoll_api::spec_hash(spec))
}

/// What the workers said, or nothing yet.
pub(crate) fn progress_of(observed: &Observed, frozen: &Frozen) -> Progress {
    observed.progress.clone().unwrap_or_else(|| Progress {
        gather: Gather::new(Arc::clone(&frozen.plan)),
        links: vec![Link::default(); usize::try_from(frozen.plan.workers).unwrap_or(0)],
        start: None,
        stop: None,
        acked: false,
    })
}

/// An event, unless it was told already.
pub(crate) fn tell(observed: &Observed, news: News) -> Option<Step> {
    (!observed.memory.told.contains(&news.key())).then_some(Step::Tell(news))
}
