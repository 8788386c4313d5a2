//! Puts what a reconcile has seen of a run where `/metrics` finds it (`../shown.rs`). A process that has just come to lead shows counters
//! only once it knows them whole: a counter that is absent for a while goes on where it was, one that falls is taken to begin anew.

use std::sync::Arc;
use std::time::SystemTime;

use plimsoll_api::v1alpha1::Phase;
use plimsoll_measure::Snapshot;
use plimsoll_session::Progress;
use plimsoll_slo::Facts;
use plimsoll_telemetry::{Identity, Workers};

use super::decide::{Say, start_of};
use super::observe::Observed;
use super::{running, status};
use crate::shown::{ShownRun, is_recent};

/// What to show of a run; `before` is what was shown.
pub(super) fn shown(observed: &Observed, say: Option<&Say>, before: Option<ShownRun>) -> Option<ShownRun> {
    if observed.run.metadata.deletion_timestamp.is_some() {
        return before;
    }
    let run = base(observed, before);
    match say {
        _ if observed.is_finished() => finished(observed, run),
        Some(Say::Now { phase, progress, start, .. }) => {
            Some(under_way(observed, run, *phase, (progress, *start)))
        }
        Some(Say::Over(over)) => {
            // Its verdict is shown when it is told.
            let run = match &over.progress {
                Some(progress) => under_way(observed, run, Phase::Collecting, (progress, None)),
                None => run,
            };
            Some(ShownRun { facts: over.facts.clone(), ..run })
        }
        Some(Say::Queued { .. } | Say::Latched | Say::Again(_)) | None => Some(run),
    }
}

/// Whether a run has ended lately, is not shown with its result, and may have one.
pub(super) fn lacks_result(observed: &Observed, before: Option<&ShownRun>) -> bool {
    let lately = ended(observed).is_some_and(|end| is_recent(end, observed.now.wall));
    // One that has none is not asked for again.
    let unknown = before.is_none_or(|run| run.stored.is_none() && run.end.is_none());
    lately && unknown && observed.result.is_none() && !observed.memory.looked
}

/// What is always known, over what was shown.
fn base(observed: &Observed, before: Option<ShownRun>) -> ShownRun {
    let run = &observed.run;
    let made = run.metadata.creation_timestamp.as_ref().map_or(observed.now.wall, |time| time.0.into());
    let identity = Identity {
        namespace: observed.key.namespace.clone(),
        test: run.spec.test_ref.name.clone(),
        run: observed.key.name.clone(),
        worker: None,
    };
    let mut shown = before.unwrap_or_else(|| ShownRun {
        identity,
        since: made,
        frozen: None,
        stored: None,
        snapshot: None,
        facts: Facts::default(),
        phase: "Pending".to_owned(),
        verdict: None,
        start: None,
        end: None,
        workers: Workers::default(),
        gauges: None,
    });
    shown.frozen = observed.frozen.clone().or(shown.frozen);
    shown
}

fn under_way(
    observed: &Observed,
    run: ShownRun,
    phase: Phase,
    (progress, start): (&Progress, Option<SystemTime>),
) -> ShownRun {
    let Some(frozen) = run.frozen.clone() else { return run };
    let start = start.or_else(|| start_of(observed));
    let is_whole = progress.gather.is_whole(start.is_none_or(|start| was_here(observed, start)));
    let counts = status::counts(progress, phase);
    ShownRun {
        snapshot: is_whole.then(|| Arc::clone(progress.gather.merged())),
        facts: running::facts_now(observed, &frozen, progress),
        phase: phase.as_str().to_owned(),
        start,
        workers: Workers { desired: counts.desired, ready: counts.ready, lost: counts.lost },
        gauges: progress.gather.gauges().filter(|_| is_whole),
        ..run
    }
}

/// Whether this process had let the run's workers in before the load began, and so has seen all of it.
fn was_here(observed: &Observed, start: SystemTime) -> bool {
    let Some(opened) = observed.memory.opened_at else { return false };
    let ago = observed.now.instant.saturating_duration_since(opened);
    observed.now.wall.checked_sub(ago).is_some_and(|opened| opened <= start)
}

/// A run that is over, for as long as it is shown; nothing of one that is over for longer.
fn finished(observed: &Observed, run: ShownRun) -> Option<ShownRun> {
    let end = ended(observed)?;
    if !is_recent(end, observed.now.wall) {
        return None;
    }
    let status = observed.run.status.as_ref()?;
    let verdict = status.verdict.map(|verdict| format!("{verdict:?}"));
    let workers = status.workers.unwrap_or_default();
    Some(ShownRun {
        // What ended without a start measured nothing, and its result may not be stored.
        snapshot: run
            .snapshot
            .clone()
            .or_else(|| start_of(observed).is_none().then(Arc::<Snapshot>::default)),
        stored: observed.result.clone().or_else(|| run.stored.clone()),
        phase: "Finished".to_owned(),
        verdict: verdict.map(|verdict| (verdict, status.reason.clone().unwrap_or_default())),
        start: start_of(observed),
        end: Some(end),
        workers: Workers { desired: workers.desired, ready: workers.ready, lost: workers.lost },
        ..run
    })
}

/// When the verdict was there.
fn ended(observed: &Observed) -> Option<SystemTime> {
    observed.run.status.as_ref()?.finished_at.as_ref().map(|time| time.0.into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use k8s_openapi::jiff::SignedDuration;
    use plimsoll_telemetry::Value;
    use plimsoll_telemetry::inventory::{REQUESTS_SENT, RUN_PHASE, RUN_VERDICT, SLO_RESULT};
    use serde_json::json;

    use super::super::fixtures::{self, done, judge, snapshot, started, workers};
    use super::*;
    use crate::shown::Shown;

    fn show(seen: &Observed, before: Option<ShownRun>) -> ShownRun {
        shown(seen, judge(seen).say.as_ref(), before).unwrap()
    }

    /// The sum of a run's counter; nothing if it is not shown.
    fn sent(run: &ShownRun) -> Option<u64> {
        let runs = Shown::default();
        runs.show("uid", run.clone());
        let families = runs.families(SystemTime::from(fixtures::observed().now.stamp));
        let family = families.into_iter().find(|family| std::ptr::eq(family.metric, &REQUESTS_SENT))?;
        let count =
            |value: &Value| if let Value::Count(count) = value { *count } else { panic!("{value:?}") };
        Some(family.points.iter().map(|point| count(&point.value)).sum())
    }

    #[test]
    fn an_accepted_run_is_shown_with_zeros() {
        let queued = show(&fixtures::observed(), None);
        assert_eq!((queued.phase.as_str(), sent(&queued)), ("Pending", None), "its names are not known yet");
        let starting = show(&fixtures::accepted(), Some(queued.clone()));
        assert_eq!((starting.phase.as_str(), sent(&starting)), ("Starting", Some(0)));
        assert_eq!(starting.since, queued.since);
    }

    #[test]
    fn after_a_change_of_leader_nothing_is_shown_before_all_workers_are_back() {
        let mut seen = started(20);
        assert_eq!(sent(&show(&seen, None)), Some(200));
        // This process has led for two seconds, and one worker has sent its sum.
        seen.memory.opened_at = Some(seen.now.instant - Duration::from_secs(2));
        workers(&mut seen, |gather, _| {
            gather.delta(0, "pod-0", 7, true, &snapshot(100, 0)).unwrap();
        });
        let half = show(&seen, None);
        assert_eq!((half.phase.as_str(), sent(&half)), ("Running", None));
        seen.progress.as_mut().unwrap().gather.delta(1, "pod-1", 7, true, &snapshot(120, 0)).unwrap();
        assert_eq!(sent(&show(&seen, Some(half))), Some(220));
    }

    #[test]
    fn before_the_first_second_is_over_there_are_zeros_and_no_gap() {
        let mut seen = started(0);
        workers(&mut seen, |gather, _| gather.start());
        assert_eq!(sent(&show(&seen, None)), Some(0));
    }

    #[test]
    fn the_last_numbers_stay_for_ten_minutes_and_the_verdict_comes_when_it_is_told() {
        let mut seen = started(70);
        let running = show(&seen, None);
        (0..2).for_each(|index| done(&mut seen, index, plimsoll_session::Final::default()));
        let over = show(&seen, Some(running));
        assert_eq!((over.phase.as_str(), over.verdict.clone(), sent(&over)), ("Collecting", None, Some(200)));
        let end = seen.now.stamp - SignedDuration::from_secs(599);
        let told = |end: k8s_openapi::jiff::Timestamp| {
            json!({"observedGeneration": 1, "phase": "Finished", "verdict": "Passed", "reason": "SLOsMet",
                "finishedAt": end.to_string()})
        };
        fixtures::status(&mut seen, told(end));
        seen.progress = None;
        let finished = show(&seen, Some(over.clone()));
        assert_eq!(finished.verdict, Some(("Passed".to_owned(), "SLOsMet".to_owned())));
        assert_eq!(sent(&finished), Some(200));
        fixtures::status(&mut seen, told(end - SignedDuration::from_secs(2)));
        assert!(shown(&seen, None, Some(over)).is_none());
    }

    #[test]
    fn after_a_restart_a_finished_run_is_shown_from_its_result() {
        let mut seen = started(70);
        let end = seen.now.stamp - SignedDuration::from_secs(60);
        let status = json!({"observedGeneration": 1, "phase": "Finished", "verdict": "Failed", "reason": "SLOMissed",
            "finishedAt": end.to_string(), "startedAt": "2027-01-15T07:58:00.000000Z"});
        fixtures::status(&mut seen, status);
        (seen.progress, seen.frozen) = (None, None);
        assert!(lacks_result(&seen, None));
        let frozen = fixtures::frozen();
        let stored = plimsoll_api::status::StoredResult {
            layout: frozen.plan.layout.clone(),
            slos: frozen.slos.to_vec(),
            snapshot: snapshot(300, 30),
            ..plimsoll_api::status::StoredResult::default()
        };
        seen.result = Some(Arc::new(stored));
        let run = show(&seen, None);
        assert!(!lacks_result(&seen, Some(&run)));
        assert_eq!(sent(&run), Some(300));
        let runs = Shown::default();
        runs.show("uid", run);
        let families = runs.families(seen.now.wall);
        for metric in [&RUN_PHASE, &RUN_VERDICT, &SLO_RESULT] {
            assert!(families.iter().any(|family| std::ptr::eq(family.metric, metric)), "{}", metric.otel);
        }
    }

    #[test]
    fn a_run_that_is_deleted_is_forgotten_unless_it_ended() {
        let runs = Shown::default();
        let seen = started(20);
        runs.show("uid", show(&seen, None));
        runs.tidy(seen.now.wall, &["uid".to_owned()].into());
        assert!(runs.get("uid").is_some());
        runs.tidy(seen.now.wall, &std::collections::BTreeSet::new());
        assert!(runs.get("uid").is_none());
    }
}
