//! A run that is accepted and has not started: are its workers ready, will they ever be, and when do they start? Pure. Before the start
//! workers are replaced freely; the agreed instant is in the status before any worker knows it. From then on: `running.rs`.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use k8s_openapi::jiff::Timestamp;
use plimsoll_api::v1alpha1::Phase;
use plimsoll_manifests::Frozen;
use plimsoll_session::{FailureKind, Progress, StartFailure, WorkerState};
use plimsoll_slo::{Reason, text};

use super::decide::{Decision, Policy, Say, is_guarded, progress_of, stop_wanted, tell};
use super::ended;
use super::observe::Observed;
use super::step::Step;
use crate::events::News;
use crate::waiting::{PodView, Trouble, TroubleKind, Waiting, waiting};

/// From the decision to the start: the status is written and every worker told in this time.
pub(super) const LEAD: Duration = Duration::from_millis(200);
/// How long a Secret or ConfigMap may be missing: it may come with the same `kubectl apply`, or from another operator.
const MISSING_PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn decide(observed: &Observed, policy: &Policy<'_>, frozen: &Arc<Frozen>) -> Decision {
    let progress = progress_of(observed, frozen);
    if let Some((reason, message, _)) = stop_wanted(observed, policy) {
        return ended::stopped_early(observed, reason, &message);
    }
    if let Some((index, cause)) = progress.failure() {
        let (reason, message) = failure(index, cause);
        return ended::error(observed, reason, message);
    }
    if is_ready(&progress) {
        let at = rounded(observed.now.wall + LEAD);
        return begin(observed, frozen, progress, at);
    }
    let workers = frozen.plan.workers;
    let ready = progress.gather.workers().iter().filter(|worker| worker.state == WorkerState::Ready).count();
    let left = frozen.start_timeout().saturating_sub(waited(observed));
    let troubles = troubles(observed, &progress);
    let told = match &observed.memory.job_error {
        Some(error) if observed.job.is_none() => Waiting {
            kind: TroubleKind::Refused,
            message: format!("{error} ({} left)", crate::waiting::span(left)),
        },
        _ => waiting(&troubles, workers, u32::try_from(ready).unwrap_or(workers), left),
    };
    if let Some((reason, message)) = hopeless(observed, frozen, &told, left) {
        return ended::error(observed, reason, message);
    }
    let mut before = Vec::new();
    if !is_guarded(observed) {
        before.push(Step::Guard);
    }
    before.push(Step::Open(Arc::clone(frozen)));
    before.push(Step::Missing(told.kind == TroubleKind::MissingReference));
    let awaited = observed.memory.job_made && !observed.memory.job_seen;
    let absent = observed.job.is_none() && !observed.job_taken && !awaited;
    let job = absent.then(|| Step::MakeJob(Arc::clone(frozen)));
    let news =
        (told.kind != TroubleKind::Starting).then(|| News::bad(told.kind.reason(), told.message.clone()));
    let news = news.and_then(|news| tell(observed, news));
    Decision {
        before,
        after: news.into_iter().chain(job).collect(),
        say: Some(Say::Now {
            phase: Phase::Starting,
            waiting: (told.kind != TroubleKind::Starting).then(|| (told.kind.reason(), told.message)),
            start: None,
            progress: Box::new(progress),
        }),
        again: Some(Duration::from_secs(1).min(left)),
    }
}

/// Every worker is ready and there.
fn is_ready(progress: &Progress) -> bool {
    progress.gather.all_ready() && progress.links.iter().all(|link| link.connected)
}

/// Whole microseconds, as the status holds it: after a restart it must be the same instant.
pub(super) fn rounded(at: SystemTime) -> SystemTime {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(since.as_micros()).unwrap_or(0))
}

/// The start is agreed: into the status first, then to the workers.
pub(super) fn begin(
    observed: &Observed,
    frozen: &Arc<Frozen>,
    progress: Progress,
    at: SystemTime,
) -> Decision {
    let workers = text::counted(frozen.plan.workers.into(), "worker");
    let say =
        Say::Now { phase: Phase::Running, waiting: None, start: Some(at), progress: Box::new(progress) };
    let news = News::good("Started", format!("{workers} started together"));
    Decision {
        before: vec![Step::Open(Arc::clone(frozen)), Step::Promise(at)],
        say: Some(say),
        after: [Some(Step::Start(at)), tell(observed, news)].into_iter().flatten().collect(),
        again: Some(Duration::ZERO),
    }
}

/// A worker said that it cannot start.
fn failure(index: u32, cause: &StartFailure) -> (Reason, String) {
    let reason = match cause.kind {
        FailureKind::TargetUnreachable => Reason::TargetUnreachable,
        FailureKind::DataDiffers => Reason::DataDiffers,
        FailureKind::InvalidPlan => Reason::InvalidReference,
        FailureKind::SetupFailed => Reason::SetupFailed,
    };
    (reason, format!("worker {index}: {}", cause.message))
}

/// Since when the workers have been asked for: the run was accepted, whether or not there is a Job already.
pub(super) fn asked_at(observed: &Observed) -> Timestamp {
    let job = || observed.job.as_ref().and_then(|job| job.created);
    observed.memory.frozen_at.or_else(job).unwrap_or(observed.now.stamp)
}

fn waited(observed: &Observed) -> Duration {
    Duration::try_from(observed.now.stamp.duration_since(asked_at(observed))).unwrap_or_default()
}

/// What keeps the workers that are not ready: of each index its newest pod, then what events say.
fn troubles(observed: &Observed, progress: &Progress) -> Vec<Trouble> {
    let missing = |index: &u32| {
        let at = usize::try_from(*index).unwrap_or(usize::MAX);
        !progress.links.get(at).is_some_and(|link| link.connected)
    };
    let newest = |index: u32| {
        let pods = observed.pods.iter().filter(move |pod| pod.index == index);
        pods.max_by_key(|pod| (pod.created, !pod.ended))
    };
    let indexes = (0..u32::try_from(progress.links.len()).unwrap_or(0)).filter(missing);
    let told = indexes.filter_map(newest).filter_map(|pod: &PodView| pod.trouble.clone());
    told.chain(observed.troubles.iter().cloned()).collect()
}

/// Whether waiting on is in vain.
fn hopeless(
    observed: &Observed,
    frozen: &Frozen,
    told: &Waiting,
    left: Duration,
) -> Option<(Reason, String)> {
    let is_missing = told.kind == TroubleKind::MissingReference;
    let without_clock = told.message.rsplit_once(" (").map_or(told.message.as_str(), |(text, _)| text);
    if left.is_zero() {
        let reason = if is_missing { Reason::InvalidReference } else { Reason::StartTimeout };
        let limit = crate::waiting::span(frozen.start_timeout());
        return Some((
            reason,
            format!("not started within {limit} (runPolicy.startTimeout): {without_clock}"),
        ));
    }
    let missing_for = observed
        .memory
        .missing_since
        .map_or(Duration::ZERO, |since| observed.now.instant.duration_since(since));
    if is_missing && missing_for >= MISSING_PATIENCE {
        let patience = crate::waiting::span(MISSING_PATIENCE);
        return Some((
            Reason::InvalidReference,
            format!("{without_clock}; it did not come within {patience}"),
        ));
    }
    if told.kind == TroubleKind::Image && told.message.contains("InvalidImageName") {
        return Some((Reason::InvalidReference, without_clock.to_owned()));
    }
    let job = observed.job.as_ref()?;
    if let Some(index) = job.failed_indexes.first() {
        return Some((
            Reason::StartTimeout,
            format!("worker {index} was tried again in vain: {without_clock}"),
        ));
    }
    if job.complete {
        let message = format!("every worker ended before the start, and none is replaced: {without_clock}");
        return Some((Reason::StartTimeout, message));
    }
    let (reason, message) = job.failed.as_ref()?;
    Some((
        Reason::StartTimeout,
        format!("the Job of the workers failed ({reason}): {message}; {without_clock}"),
    ))
}
