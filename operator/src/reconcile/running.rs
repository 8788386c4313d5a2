//! A run that has started: who is lost, must it stop, is it over? Pure. The load ends by itself; what is left then is collected, with a
//! limit, and judged once nothing more will come. A new process rebuilds all of this from the status and the reconnecting workers.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use plimsoll_api::conditions::reasons;
use plimsoll_api::v1alpha1::Phase;
use plimsoll_manifests::Frozen;
use plimsoll_session::{Final, Progress, Stop, WorkerState, WorkerView};
use plimsoll_slo::{Facts, Reason, judge, live};

use super::decide::{Decision, Over, Policy, Say, progress_of, stop_wanted, tell};
use super::ended;
use super::observe::Observed;
use super::starting::{LEAD, begin, rounded};
use super::step::Step;
use crate::events::News;
use crate::waiting::TroubleKind;

/// How long last results may take after the last moment at which work may be in flight, and how long workers may take to find back to a
/// new process.
const COLLECT: Duration = Duration::from_secs(30);
/// How often the last answers of Prometheus are looked for.
const ANSWERS: Duration = Duration::from_millis(250);
/// Slack between the API server's clock, which dates pods, and ours, which dates the start.
const CLOCK_SLACK: Duration = Duration::from_secs(5);

pub(super) fn decide(
    observed: &Observed,
    policy: &Policy<'_>,
    frozen: &Arc<Frozen>,
    at: SystemTime,
) -> Decision {
    let mut progress = progress_of(observed, frozen);
    if observed.memory.unsent_start == Some(at) && observed.now.wall + LEAD / 10 > at {
        return begin(observed, frozen, progress, rounded(observed.now.wall + LEAD * 2));
    }
    let mut before = vec![Step::Open(Arc::clone(frozen))];
    let mut news = Vec::new();
    for (index, cause) in lost(observed, frozen, &progress, at) {
        before.push(Step::Lost(index));
        progress.gather.lost(index);
        let note =
            format!("worker {index} was lost after the start: {cause}; what it delivered stays counted");
        news.push(News { about: index.to_string(), ..News::bad("WorkerLost", note) });
    }
    // Only now: a pod that took the place of a lost one must not be let in.
    before.push(Step::Start(at));
    let mut stop = ordered(&progress);
    let all_done = progress.gather.all_done();
    // What is over cannot be stopped any more.
    let wanted =
        (!all_done).then(|| stop_wanted(observed, policy).or_else(|| missed(observed, frozen, &progress)));
    if let Some((reason, message, at_once)) = wanted.flatten() {
        let harsher = at_once && progress.stop.as_ref().is_some_and(|stop| !stop.at_once);
        if stop.is_none() || harsher {
            before.push(Step::Stop(Stop { reason: format!("{reason:?}: {message}"), at_once }));
            news.push(News::bad("Stopping", format!("{reason:?}: {message}")));
        }
        stop = stop.or(Some((reason, message)));
    }
    let news: Vec<Step> = news.into_iter().filter_map(|news| tell(observed, news)).collect();
    let asks = observed.answers.as_ref().is_some_and(|answers| !answers.is_final);
    if all_done && !asks {
        let stop = stop.filter(|_| was_cut(&progress));
        let decision = over(observed, frozen, progress, stop);
        return Decision {
            before: [before, decision.before].concat(),
            after: [news, decision.after].concat(),
            ..decision
        };
    }
    let end = at + Duration::from_nanos(frozen.plan.duration);
    let loading = stop.is_none() && observed.now.wall < end && !all_done;
    let phase = if loading { Phase::Running } else { Phase::Collecting };
    let waiting =
        stop.map(|(reason, message)| (reasons::COLLECTING, format!("stopping ({reason:?}): {message}")));
    let asking =
        || (reasons::COLLECTING, "the load is over, Prometheus is asked for the last time".to_owned());
    let waiting = if all_done { Some(asking()) } else { waiting };
    Decision {
        before,
        say: Some(Say::Now { phase, waiting, start: None, progress: Box::new(progress) }),
        after: news,
        again: Some(if all_done { ANSWERS } else { Duration::from_secs(1) }),
    }
}

/// Workers to give up, and why: their pod is gone and so is their session, or their time is up.
fn lost(observed: &Observed, frozen: &Frozen, progress: &Progress, at: SystemTime) -> Vec<(u32, String)> {
    let late = is_late(observed, frozen, at);
    let judge = |(worker, link): (&WorkerView, &plimsoll_session::Link)| {
        if matches!(worker.state, WorkerState::Done | WorkerState::Lost) {
            return None;
        }
        let cause = match (link.connected, remains(observed, worker, at)) {
            _ if let WorkerState::Failed(cause) = &worker.state => cause.message.clone(),
            (false, Err(cause)) => cause,
            _ if late => format!("no last result within {}s of the end", COLLECT.as_secs()),
            _ => return None,
        };
        Some((worker.index, cause))
    };
    progress.gather.workers().iter().zip(&progress.links).filter_map(judge).collect()
}

/// Whether the pod that this worker ran in is still there; why not.
fn remains(observed: &Observed, worker: &WorkerView, at: SystemTime) -> Result<(), String> {
    let started = k8s_openapi::jiff::Timestamp::try_from(at + CLOCK_SLACK).unwrap_or_default();
    let own = |pod: &&crate::waiting::PodView| {
        let by_name = worker.uid.as_ref().is_none_or(|uid| *uid == pod.uid);
        pod.index == worker.index && by_name && pod.created.is_none_or(|made| made <= started)
    };
    match observed.pods.iter().find(own) {
        Some(pod) if !pod.ended => Ok(()),
        Some(pod) => Err(match &pod.trouble {
            Some(trouble) if trouble.kind == TroubleKind::Crashed => trouble.text.clone(),
            _ => format!("pod {} ended", pod.name),
        }),
        None => Err("its pod is gone".to_owned()),
    }
}

/// Whether the last moment for last results is over. After a restart the workers first get time to find back.
fn is_late(observed: &Observed, frozen: &Frozen, at: SystemTime) -> bool {
    let opened = observed
        .memory
        .opened_at
        .map_or(Duration::ZERO, |opened| observed.now.instant.duration_since(opened));
    let graceful =
        Duration::from_nanos(frozen.plan.graceful_stop.saturating_add(frozen.plan.teardown_time()));
    let since_stop = observed.memory.stopped_at.map(|stopped| observed.now.instant.duration_since(stopped));
    let planned = observed.now.wall >= at + Duration::from_nanos(frozen.latest_end()) + COLLECT;
    opened >= COLLECT && (planned || since_stop.is_some_and(|since| since >= graceful + COLLECT))
}

/// The stop that was ordered, by this process or, as the workers' last words tell, by a former one.
fn ordered(progress: &Progress) -> Option<(Reason, String)> {
    let said = progress.gather.workers().iter().filter_map(|worker| worker.last.as_ref()?.stopped.as_ref());
    progress.stop.iter().chain(said).find_map(|stop| read_stop(&stop.reason))
}

/// Whether an ordered stop took load away: a worker says so, or none is left to say otherwise. One that came when the load was over
/// already leaves a run that was measured in full.
fn was_cut(progress: &Progress) -> bool {
    let mut said = progress.gather.workers().iter().filter_map(|worker| worker.last.as_ref()).peekable();
    let stopped = |last: &Final| last.stopped.as_ref().is_some_and(|stop| read_stop(&stop.reason).is_some());
    said.peek().is_none() || said.any(stopped)
}

/// Reads `Cancelled: spec.cancel was set`; nothing if it is not an order of the operator.
fn read_stop(text: &str) -> Option<(Reason, String)> {
    let (word, message) = text.split_once(": ")?;
    let known = [Reason::SLOAborted, Reason::Cancelled, Reason::Superseded, Reason::DeadlineExceeded];
    let reason = known.into_iter().find(|reason| format!("{reason:?}") == word)?;
    Some((reason, message.to_owned()))
}

/// An SLO that is missed on the counts so far and stops the run. Only while every worker's counts are there, and over the time that the
/// slowest worker's counts cover by its own clock: ours says nothing of what is still on its way.
fn missed(observed: &Observed, frozen: &Frozen, progress: &Progress) -> Option<(Reason, String, bool)> {
    let counted = |worker: &WorkerView| worker.last_seq > 0 || worker.state == WorkerState::Lost;
    if progress.stop.is_some() || !progress.gather.workers().iter().all(counted) {
        return None;
    }
    let running = progress.gather.workers().iter().filter(|worker| worker.state == WorkerState::Running);
    let covered = running.map(|worker| worker.covered).min()?.min(frozen.plan.duration);
    let facts = answered(facts(frozen, progress, None), observed);
    let layout = &frozen.plan.layout;
    let (_, message) =
        live(&frozen.slos, &frozen.validity, layout, progress.gather.merged(), &facts, covered)?;
    Some((Reason::SLOAborted, message, false))
}

/// Nothing more will come: the judgement.
fn over(
    observed: &Observed,
    frozen: &Arc<Frozen>,
    progress: Progress,
    stop: Option<(Reason, String)>,
) -> Decision {
    let facts = facts(frozen, &progress, stop.as_ref().map(|(reason, _)| *reason));
    let facts = answered(facts, observed);
    let mut judgement =
        judge(&frozen.slos, &frozen.validity, &frozen.plan.layout, progress.gather.merged(), &facts);
    if let Some((reason, message)) =
        stop.filter(|(reason, _)| *reason == judgement.reason && *reason != Reason::SLOAborted)
    {
        judgement.message = format!("{}; {reason:?}: {message}", judgement.message);
    }
    ended::over(observed, Over { judgement, facts, progress: Some(progress) })
}

/// What the judgement rests on beside the counts.
fn facts(frozen: &Frozen, progress: &Progress, stopped: Option<Reason>) -> Facts {
    let workers = progress.gather.workers();
    let lost = workers.iter().filter(|worker| is_lost(worker)).count();
    Facts {
        open_model: frozen.plan.has_arrivals(),
        peak_rate: frozen.plan.peak_rate(),
        workers: frozen.plan.workers,
        workers_lost: u32::try_from(lost).unwrap_or(u32::MAX),
        start_skew: progress.gather.start_skew(),
        measured: progress.gather.measured(stopped.is_some() || workers.iter().all(is_lost)),
        stopped,
        ..Facts::default()
    }
}

/// How many nanoseconds of the run were measured, once everything is.
pub(super) fn measured(frozen: &Frozen, progress: &Progress) -> Option<u64> {
    let stop = ordered(progress).filter(|_| was_cut(progress)).map(|(reason, _)| reason);
    progress.gather.all_done().then(|| facts(frozen, progress, stop).measured)
}

/// The facts with what Prometheus said.
fn answered(facts: Facts, observed: &Observed) -> Facts {
    let Some(answers) = observed.answers.clone() else { return facts };
    Facts { queries: answers.queries, asked: answers.asked, ..facts }
}

/// Lost, or ended early without an order: a signal to its pod, or a fault of its own. Its share of the load is missing either way.
fn is_lost(worker: &WorkerView) -> bool {
    let early = worker.last.as_ref().is_some_and(|last| {
        last.fault.is_some() || last.stopped.as_ref().is_some_and(|stop| read_stop(&stop.reason).is_none())
    });
    worker.state == WorkerState::Lost || early
}

/// What is known so far, as for the judge; `measured` is how much of the run is over.
pub(super) fn facts_now(observed: &Observed, frozen: &Frozen, progress: &Progress) -> Facts {
    let over = super::decide::start_of(observed).and_then(|at| observed.now.wall.duration_since(at).ok());
    let measured = nanos(over.unwrap_or_default()).min(frozen.plan.duration);
    answered(Facts { measured, ..facts(frozen, progress, None) }, observed)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
