//! The life of a run as a table: what is observed, and what is decided. Tests only; the transitions themselves are in `decide.rs` and its
//! siblings, and what the rows begin from in `fixtures.rs`.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::SignedDuration;
use plimsoll_api::v1alpha1::Phase;
use plimsoll_session::{FailureKind, Final, Readiness, StartFailure, Stop};
use plimsoll_slo::{Reason, Verdict};
use serde_json::json;

use super::decide::Say;
use super::fixtures::{
    accepted, assert_over, assert_phase, assert_steps, done, frozen_of, judge, judge_with, names, observed,
    pod, snapshot, started, test, workers,
};
use super::observe::Observed;
use super::queue::Turn;
use super::step::Step;
use crate::context::RunMemory;
use crate::waiting::{Trouble, TroubleKind};

#[test]
fn a_run_is_accepted_when_it_is_its_turn() {
    let decision = judge(&observed());
    assert_phase(&decision, Phase::Starting);
    assert_steps(&decision, &["Guard", "Freeze", "Open"], &["Tell(Accepted)"]);
    let mut waits = observed();
    waits.turn = Turn::Wait("waits for run a".into());
    assert_phase(&judge(&waits), Phase::Pending);
    assert_steps(&judge(&waits), &[], &[]);
    assert_phase(&judge_with(&observed(), true), Phase::Pending);
}

#[test]
fn what_is_refused_is_told_before_anything_exists() {
    let mut public = observed();
    Arc::make_mut(public.test.as_mut().unwrap()).spec.target.url = "http://example.com".into();
    let decision = judge(&public);
    assert_over(&decision, Verdict::Error, Reason::PolicyDenied, "example.com");
    assert_steps(&decision, &[], &["Ack", "Tell(Finished)"]);
    let mut refused = accepted();
    refused.memory.refused = Some((Reason::PolicyDenied, "no".into()));
    assert_over(&judge(&refused), Verdict::Error, Reason::PolicyDenied, "no");
    let mut alone = observed();
    alone.test = None;
    assert_over(&judge(&alone), Verdict::Error, Reason::InvalidReference, "there is no LoadTest web");
    let early = SignedDuration::from_secs(2);
    let made = alone.now.stamp - early;
    Arc::make_mut(&mut alone.run).metadata.creation_timestamp = Some(Time(made));
    assert_phase(&judge(&alone), Phase::Pending);
}

#[test]
fn the_start_is_agreed_when_all_are_ready_and_connected() {
    let mut seen = accepted();
    workers(&mut seen, |gather, _| drop(gather.ready(0, Readiness::default())));
    assert_phase(&judge(&seen), Phase::Starting);
    workers(&mut seen, |gather, links| {
        (0..2).for_each(|index| gather.ready(index, Readiness::default()).unwrap());
        links[1].connected = false;
    });
    assert_phase(&judge(&seen), Phase::Starting);
    workers(&mut seen, |gather, _| {
        (0..2).for_each(|index| gather.ready(index, Readiness::default()).unwrap());
    });
    let decision = judge(&seen);
    assert_phase(&decision, Phase::Running);
    // Into the status first, then to the workers.
    assert_steps(&decision, &["Open", "Promise"], &["Start", "Tell(Started)"]);
    let Some(Say::Now { start: Some(at), .. }) = decision.say else { panic!() };
    assert_eq!(at.duration_since(seen.now.wall).unwrap(), Duration::from_millis(200));
}

#[test]
fn a_start_that_no_worker_knows_is_agreed_anew() {
    let mut seen = started(1);
    workers(&mut seen, |gather, _| {
        (0..2).for_each(|index| gather.ready(index, Readiness::default()).unwrap());
    });
    let at = super::decide::start_of(&seen).unwrap();
    seen.memory.unsent_start = Some(at);
    let decision = judge(&seen);
    assert_steps(&decision, &["Open", "Promise"], &["Start", "Tell(Started)"]);
    // After a restart nobody can say whether a worker knows it.
    seen.memory.unsent_start = None;
    assert_steps(&judge(&seen), &["Open", "Start"], &[]);
}

#[test]
fn workers_that_cannot_start_end_the_run() {
    let mut seen = accepted();
    let cause = StartFailure { kind: FailureKind::TargetUnreachable, message: "refused".into() };
    workers(&mut seen, |gather, _| gather.failed(1, cause).unwrap());
    let decision = judge(&seen);
    assert_over(&decision, Verdict::Error, Reason::TargetUnreachable, "worker 1: refused");
    assert_steps(&decision, &["Stop(now)"], &["Ack", "RetireJob(true)", "Unguard", "Tell(Finished)"]);
    let mut setup = accepted();
    let cause = StartFailure { kind: FailureKind::SetupFailed, message: "setup: POST /login: 503".into() };
    workers(&mut setup, |gather, _| gather.failed(0, cause).unwrap());
    assert_over(&judge(&setup), Verdict::Error, Reason::SetupFailed, "worker 0: setup: POST /login: 503");
    let mut data = accepted();
    workers(&mut data, |gather, _| {
        for (index, hash) in [(0, "aa"), (1, "bb")] {
            let readiness = Readiness { data_hash: Some(hash.to_owned()), ..Readiness::default() };
            gather.ready(index, readiness).unwrap();
        }
    });
    assert_over(&judge(&data), Verdict::Error, Reason::DataDiffers, "worker 1: its data have the hash bb");
    let mut failed = accepted();
    failed.job.as_mut().unwrap().failed_indexes = vec![1];
    failed.pods[1].ended = true;
    failed.pods[1].trouble =
        Some(Trouble { kind: TroubleKind::Crashed, text: "no answer from the operator".into() });
    assert_over(&judge(&failed), Verdict::Error, Reason::StartTimeout, "no answer from the operator");
}

#[test]
fn waiting_ends_with_its_reason() {
    let mut seen = accepted();
    seen.pods[0].trouble = Some(Trouble { kind: TroubleKind::Unschedulable, text: "0/3 nodes".into() });
    let decision = judge(&seen);
    assert_steps(&decision, &["Open", "Missing(false)"], &["Tell(Unschedulable)"]);
    let long_ago = seen.now.stamp - SignedDuration::from_secs(601);
    seen.job.as_mut().unwrap().created = Some(long_ago);
    assert_over(
        &judge(&seen),
        Verdict::Error,
        Reason::StartTimeout,
        "1 of 2 workers unschedulable: 0/3 nodes",
    );
    let mut missing = accepted();
    missing.troubles =
        vec![Trouble { kind: TroubleKind::MissingReference, text: "secret \"s\" not found".into() }];
    assert_steps(&judge(&missing), &["Open", "Missing(true)"], &["Tell(MissingReference)"]);
    missing.memory.missing_since = Some(missing.now.instant - Duration::from_secs(60));
    assert_over(&judge(&missing), Verdict::Error, Reason::InvalidReference, "secret \"s\" not found");
}

#[test]
fn the_job_is_made_again_only_if_it_is_gone() {
    let mut seen = accepted();
    seen.job = None;
    seen.memory.job_made = true;
    assert_steps(&judge(&seen), &["Open", "Missing(false)"], &[]);
    seen.memory.job_seen = true;
    assert_steps(&judge(&seen), &["Open", "Missing(false)"], &["MakeJob"]);
    let mut fresh = accepted();
    fresh.job = None;
    assert_steps(&judge(&fresh), &["Open", "Missing(false)"], &["MakeJob"]);
}

#[test]
fn a_job_that_cannot_be_made_has_a_reason_and_a_deadline() {
    let mut seen = accepted();
    seen.job = None;
    seen.pods.clear();
    seen.memory.job_error = Some("the Job of the workers: webhook is down".into());
    seen.memory.frozen_at = Some(seen.now.stamp - SignedDuration::from_secs(10));
    let decision = judge(&seen);
    let Some(Say::Now { waiting: Some((reason, message)), .. }) = &decision.say else { panic!() };
    assert_eq!(*reason, "PodsRefused");
    assert_eq!(message, "the Job of the workers: webhook is down (9m50s left)");
    assert_steps(&decision, &["Open", "Missing(false)"], &["Tell(PodsRefused)", "MakeJob"]);
    seen.memory.frozen_at = Some(seen.now.stamp - SignedDuration::from_secs(601));
    assert_over(&judge(&seen), Verdict::Error, Reason::StartTimeout, "webhook is down");
}

#[test]
fn a_worker_is_lost_when_pod_and_session_are_gone() {
    let gone = |seen: &mut Observed, connected: bool| {
        seen.progress.as_mut().unwrap().links[1].connected = connected;
        seen.pods.remove(1);
    };
    let mut seen = started(20);
    gone(&mut seen, true);
    assert_steps(&judge(&seen), &["Open", "Start"], &[]);
    let mut seen = started(20);
    gone(&mut seen, false);
    assert_steps(&judge(&seen), &["Open", "Lost(1)", "Start"], &["Tell(WorkerLost)"]);
    // A pod that the Job controller put in its place is another one.
    let late = seen.now.stamp - SignedDuration::from_secs(2);
    seen.pods.push(pod(1, "pod-1b", late));
    assert_steps(&judge(&seen), &["Open", "Lost(1)", "Start"], &["Tell(WorkerLost)"]);
    // Disconnected, but its pod is there: it comes back.
    let mut seen = started(20);
    seen.progress.as_mut().unwrap().links[1].connected = false;
    assert_steps(&judge(&seen), &["Open", "Start"], &[]);
}

#[test]
fn after_a_restart_a_replacement_is_not_taken_for_the_worker() {
    let mut seen = started(20);
    seen.progress = None;
    seen.memory = RunMemory::default();
    assert_steps(&judge(&seen), &["Open", "Start"], &[]);
    seen.pods[1] = pod(1, "pod-1b", seen.now.stamp - SignedDuration::from_secs(2));
    assert_steps(&judge(&seen), &["Open", "Lost(1)", "Start"], &["Tell(WorkerLost)"]);
}

#[test]
fn a_missed_critical_slo_stops_and_fails() {
    let mut seen = started(20);
    let progress = seen.progress.as_mut().unwrap();
    progress.gather.delta(0, "pod-0", 2, false, &snapshot(100, 50)).unwrap();
    let decision = judge(&seen);
    assert_phase(&decision, Phase::Collecting);
    assert_steps(&decision, &["Open", "Start", "Stop(gracefully)"], &["Tell(Stopping)"]);
    // A former process ordered it: the workers' last words tell.
    let Some(Step::Stop(stop)) = decision.before.iter().find(|step| matches!(step, Step::Stop(_))).cloned()
    else {
        panic!()
    };
    let last = Final { stopped: Some(stop), ..Final::default() };
    let progress = seen.progress.as_mut().unwrap();
    assert!(progress.gather.done(0, 2, last.clone()).unwrap());
    done(&mut seen, 1, last);
    assert_over(&judge(&seen), Verdict::Failed, Reason::SLOAborted, "errors");
}

#[test]
fn a_backlog_on_its_way_is_no_missed_throughput() {
    let mut seen = started(20);
    let slos = json!([{"name": "rate", "throughput": {"atLeast": "50/s"}, "severity": "Critical"}]);
    let mut test = test();
    test.spec.slos = serde_json::from_value(slos).unwrap();
    seen.frozen = Some(frozen_of(&test));
    let workers_with = |seen: &mut Observed, covered: [u64; 2]| {
        workers(seen, |gather, _| {
            gather.start();
            for (index, seconds) in (0..).zip(covered) {
                gather.ready(index, Readiness::default()).unwrap();
                let mut counted = snapshot(30 * seconds, 0);
                counted.health.wall = seconds * 1_000_000_000;
                gather.delta(index, &format!("pod-{index}"), 1, false, &counted).unwrap();
            }
        });
    };
    // Both make 30/s; the second was cut off and its last ten seconds are on their way.
    workers_with(&mut seen, [20, 10]);
    assert_steps(&judge(&seen), &["Open", "Start"], &[]);
    // Nobody has begun so far: our clock is ahead, or the start reached the workers late.
    workers_with(&mut seen, [1, 1]);
    assert_steps(&judge(&seen), &["Open", "Start"], &[]);
}

#[test]
fn a_stop_after_the_load_leaves_a_run_that_was_measured_in_full() {
    let mut late = started(60);
    (0..2).for_each(|index| done(&mut late, index, Final::default()));
    Arc::make_mut(&mut late.run).spec.cancel = Some(true);
    let decision = judge(&late);
    assert_over(&decision, Verdict::Passed, Reason::SLOsMet, "1 of 1 SLO met");
    assert_steps(&decision, &["Open", "Start"], &["Ack", "RetireJob(false)", "Unguard", "Tell(Finished)"]);
    let order = Stop { reason: "Cancelled: spec.cancel was set".into(), at_once: false };
    late.progress.as_mut().unwrap().stop = Some(order.clone());
    assert_over(&judge(&late), Verdict::Passed, Reason::SLOsMet, "1 of 1 SLO met");
    // One of them was still at it.
    let mut cut = started(60);
    cut.progress.as_mut().unwrap().stop = Some(order.clone());
    done(&mut cut, 0, Final::default());
    done(&mut cut, 1, Final { stopped: Some(order), ..Final::default() });
    assert_over(&judge(&cut), Verdict::Inconclusive, Reason::Cancelled, "spec.cancel");
}

#[test]
fn iterations_that_are_done_are_measured_to_the_nanosecond() {
    let mut seen = started(60);
    let mut test = test();
    test.spec.profile.shape.iterations = Some(200);
    seen.frozen = Some(frozen_of(&test));
    workers(&mut seen, |gather, _| {
        (0..2).for_each(|index| {
            gather.ready(index, Readiness::default()).unwrap();
            gather.delta(index, &format!("pod-{index}"), 1, false, &snapshot(100, 0)).unwrap();
        });
    });
    for (index, load) in [(0, 80_000_000), (1, 70_000_000)] {
        done(&mut seen, index, Final { load: Some(load), ..Final::default() });
    }
    let Some(Say::Over(over)) = judge(&seen).say else { panic!() };
    assert_eq!(over.facts.measured, 80_000_000);
}

#[test]
fn workers_that_ended_before_the_start_are_not_waited_for() {
    let mut seen = accepted();
    seen.job.as_mut().unwrap().complete = true;
    assert_over(&judge(&seen), Verdict::Error, Reason::StartTimeout, "every worker ended before the start");
}

#[test]
fn a_job_of_a_former_run_of_the_name_is_waited_for() {
    let mut seen = accepted();
    seen.job = None;
    let makes = |seen: &Observed| names(&judge(seen).after).contains(&"MakeJob".to_owned());
    assert!(makes(&seen));
    seen.job_taken = true;
    assert!(!makes(&seen));
    assert_phase(&judge(&seen), Phase::Starting);
}
