//! The life of a run as a table: what is observed, and what is decided. Tests only; the transitions themselves are in `decide.rs` and its
//! siblings.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use plimsoll_api::v1alpha1::{LoadTest, LoadTestRun, Phase};
use plimsoll_api::{References, lower, spec_hash};
use plimsoll_manifests::{Frozen, Settings};
use plimsoll_measure::{Cell, Counts, Histogram, ObjectiveCount, RequestId, Second, Snapshot, WindowId};
use plimsoll_plan::RunId;
use plimsoll_session::{FailureKind, Final, Gather, Link, Progress, RunKey, StartFailure, Stop};
use plimsoll_slo::{Reason, Verdict};
use serde_json::{Value, json};

use super::decide::{Decision, Policy, Say, decide};
use super::observe::{Now, Observed};
use super::queue::Turn;
use super::step::Step;
use crate::context::RunMemory;
use crate::limits::Limits;
use crate::waiting::{JobView, PodView, Trouble, TroubleKind};

/// A moment that all rows share.
const NOW: i64 = 1_800_000_000;

fn test() -> LoadTest {
    serde_json::from_value(json!({
        "apiVersion": "plimsoll.dev/v1alpha1", "kind": "LoadTest",
        "metadata": {"name": "web", "namespace": "shop", "uid": "test-uid", "generation": 1},
        "spec": {
            "target": {"url": "http://web.shop.svc"},
            "profile": {"users": 4, "duration": "60s"},
            "slos": [{"name": "errors", "errorRate": {"atMost": "1%"}, "severity": "Critical"}],
            "workers": {"count": 2},
        },
    }))
    .unwrap()
}

/// A run as it was made half a minute ago.
fn observed() -> Observed {
    let stamp = Timestamp::from_second(NOW).unwrap();
    let run: LoadTestRun = serde_json::from_value(json!({
        "apiVersion": "plimsoll.dev/v1alpha1", "kind": "LoadTestRun",
        "metadata": {"name": "web-1", "namespace": "shop", "uid": "00000000-0000-4000-8000-000000000001",
            "creationTimestamp": (stamp - SignedDuration::from_secs(30)).to_string()},
        "spec": {"testRef": {"name": "web"}},
    }))
    .unwrap();
    Observed {
        now: Now {
            wall: SystemTime::from(stamp),
            stamp,
            instant: Instant::now() + Duration::from_secs(86_400),
        },
        key: RunKey { namespace: "shop".into(), name: "web-1".into() },
        uid: run.metadata.uid.clone().unwrap(),
        version: None,
        test: Some(Arc::new(test())),
        frozen: None,
        result: None,
        job: None,
        pods: Vec::new(),
        troubles: Vec::new(),
        progress: None,
        turn: Turn::Now,
        references: References::default(),
        target_inside: false,
        memory: RunMemory::default(),
        run: Arc::new(run),
    }
}

fn frozen() -> Arc<Frozen> {
    let id = RunId { namespace: "shop".into(), test: "web".into(), name: "web-1".into() };
    let resolved = lower(&test(), None, &References::default(), id, 1).unwrap();
    Arc::new(Frozen::new(&resolved, spec_hash(&test().spec)).unwrap())
}

/// Accepted ten seconds ago, with a Job and two pods.
fn accepted() -> Observed {
    let mut seen = observed();
    let made = seen.now.stamp - SignedDuration::from_secs(10);
    seen.frozen = Some(frozen());
    seen.job = Some(JobView { uid: "job-uid".into(), created: Some(made), ..JobView::default() });
    seen.pods = (0..2).map(|index| pod(index, &format!("pod-{index}"), made)).collect();
    guard(&mut seen);
    seen
}

fn pod(index: u32, uid: &str, created: Timestamp) -> PodView {
    PodView {
        index,
        name: uid.into(),
        uid: uid.into(),
        created: Some(created),
        ended: false,
        deleting: false,
        trouble: None,
    }
}

fn guard(seen: &mut Observed) {
    Arc::make_mut(&mut seen.run).metadata.finalizers = Some(vec!["plimsoll.dev/workers".into()]);
}

fn status(seen: &mut Observed, status: Value) {
    Arc::make_mut(&mut seen.run).status = Some(serde_json::from_value(status).unwrap());
}

/// What the workers say: `tell` changes it from two that are connected.
fn workers(seen: &mut Observed, tell: impl FnOnce(&mut Gather, &mut Vec<Link>)) {
    let mut gather = Gather::new(Arc::clone(&seen.frozen.as_ref().unwrap().plan));
    let mut links = vec![Link { connected: true, age: Some(Duration::ZERO) }; 2];
    for index in 0..2 {
        gather.hello(index, &format!("pod-{index}")).unwrap();
    }
    tell(&mut gather, &mut links);
    seen.progress = Some(Progress { gather, links, start: None, stop: None, acked: false });
}

/// Started so many seconds ago, both workers make load.
fn started(seconds: i64) -> Observed {
    let mut seen = accepted();
    let at = seen.now.stamp - SignedDuration::from_secs(seconds);
    let made = at - SignedDuration::from_secs(5);
    seen.pods.iter_mut().for_each(|pod| pod.created = Some(made));
    status(&mut seen, json!({"observedGeneration": 1, "phase": "Running", "startedAt": format!("{at:.6}")}));
    seen.memory.opened_at = Some(seen.now.instant - Duration::from_secs(3600));
    workers(&mut seen, |gather, _| {
        gather.start();
        for index in 0..2 {
            gather.ready(index).unwrap();
            gather.delta(index, &format!("pod-{index}"), 1, false, &snapshot(100, 0)).unwrap();
        }
    });
    seen
}

fn snapshot(sent: u64, failed: u64) -> Snapshot {
    let mut latency = Histogram::new();
    (0..sent).for_each(|_| latency.record(1_000_000));
    let counts = Counts { sent, complete: sent, failed, ..Counts::default() };
    let cell = Cell {
        request: RequestId(0),
        window: WindowId(0),
        counts,
        latency: latency.clone(),
        succeeded: latency.clone(),
        service: latency,
        dns: Histogram::new(),
        connect: Histogram::new(),
        tls: Histogram::new(),
        first_byte: Histogram::new(),
    };
    let second = Second { second: 0, asked: sent, sent, failed, complete: sent, ..Second::default() };
    let objectives = vec![ObjectiveCount { total: sent, bad: failed }];
    Snapshot { cells: vec![cell], objectives, series: vec![second], ..Snapshot::default() }
}

fn done(seen: &mut Observed, index: u32, last: Final) {
    let progress = seen.progress.as_mut().unwrap();
    assert!(progress.gather.done(index, 1, last).unwrap());
}

fn judge(seen: &Observed) -> Decision {
    judge_with(seen, false)
}

fn judge_with(seen: &Observed, halt: bool) -> Decision {
    let (limits, settings) = (Limits::default(), Settings::default());
    decide(seen, &Policy { limits: &limits, halt, settings: &settings })
}

/// The names of steps.
fn names(steps: &[Step]) -> Vec<String> {
    let name = |step: &Step| match step {
        Step::Lost(index) => format!("Lost({index})"),
        Step::RetireJob { now } => format!("RetireJob({now})"),
        Step::Tell(news) => format!("Tell({})", news.reason),
        Step::Stop(stop) => format!("Stop({})", if stop.at_once { "now" } else { "gracefully" }),
        Step::Missing(missing) => format!("Missing({missing})"),
        step => format!("{step:?}").split(['(', ' ']).next().unwrap().to_owned(),
    };
    steps.iter().map(name).collect()
}

#[track_caller]
fn assert_steps(decision: &Decision, before: &[&str], after: &[&str]) {
    assert_eq!((names(&decision.before), names(&decision.after)), (texts(before), texts(after)));
}

fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[track_caller]
fn assert_phase(decision: &Decision, wanted: Phase) {
    match &decision.say {
        Some(Say::Now { phase, .. }) => assert_eq!(*phase, wanted),
        Some(Say::Queued { .. }) => assert_eq!(wanted, Phase::Pending),
        other => panic!("{wanted:?} wanted, {other:?}"),
    }
}

#[track_caller]
fn assert_over(decision: &Decision, verdict: Verdict, reason: Reason, word: &str) {
    let Some(Say::Over(over)) = &decision.say else { panic!("{:?}", decision.say) };
    let judgement = &over.judgement;
    assert_eq!((judgement.verdict, judgement.reason), (verdict, reason), "{}", judgement.message);
    assert!(judgement.message.contains(word), "{}", judgement.message);
}

#[test]
fn a_run_is_accepted_when_it_is_its_turn() {
    let decision = judge(&observed());
    assert_phase(&decision, Phase::Starting);
    assert_steps(&decision, &["Guard", "Freeze", "Open", "MakeJob"], &["Tell(Accepted)"]);
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
    Arc::make_mut(&mut alone.run).metadata.creation_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(made));
    assert_phase(&judge(&alone), Phase::Pending);
}

#[test]
fn the_start_is_agreed_when_all_are_ready_and_connected() {
    let mut seen = accepted();
    workers(&mut seen, |gather, _| drop(gather.ready(0)));
    assert_phase(&judge(&seen), Phase::Starting);
    workers(&mut seen, |gather, links| {
        (0..2).for_each(|index| gather.ready(index).unwrap());
        links[1].connected = false;
    });
    assert_phase(&judge(&seen), Phase::Starting);
    workers(&mut seen, |gather, _| (0..2).for_each(|index| gather.ready(index).unwrap()));
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
    workers(&mut seen, |gather, _| (0..2).for_each(|index| gather.ready(index).unwrap()));
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
    assert_steps(&judge(&seen), &["Open", "MakeJob", "Missing(false)"], &[]);
    let mut fresh = accepted();
    fresh.job = None;
    assert_steps(&judge(&fresh), &["Open", "MakeJob", "Missing(false)"], &[]);
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
fn the_end_is_judged_stored_told_and_only_then_released() {
    let mut seen = started(60);
    done(&mut seen, 0, Final::default());
    assert_phase(&judge(&seen), Phase::Collecting);
    done(&mut seen, 1, Final::default());
    let decision = judge(&seen);
    assert_over(&decision, Verdict::Passed, Reason::SLOsMet, "1 of 1 SLO met");
    assert_steps(&decision, &["Open", "Start"], &["Ack", "RetireJob(false)", "Unguard", "Tell(Finished)"]);
}

#[test]
fn a_worker_that_was_ended_by_a_signal_is_missing_load() {
    let mut seen = started(60);
    done(&mut seen, 0, Final::default());
    let stopped = Some(Stop { reason: "worker 1 received SIGTERM".into(), at_once: false });
    done(&mut seen, 1, Final { stopped, ..Final::default() });
    assert_over(&judge(&seen), Verdict::Inconclusive, Reason::WorkerLost, "1 of 2 workers lost");
}

#[test]
fn what_stays_away_is_given_up_in_the_end() {
    let mut seen = started(60 + 30 + 29);
    assert_phase(&judge(&seen), Phase::Collecting);
    seen = started(60 + 30 + 31);
    let decision = judge(&seen);
    assert_over(&decision, Verdict::Inconclusive, Reason::WorkerLost, "2 of 2 workers lost");
    // A process that has just come waits first.
    seen.memory.opened_at = Some(seen.now.instant);
    assert_phase(&judge(&seen), Phase::Collecting);
}

#[test]
fn stops_by_their_reasons() {
    let mut cancelled = started(20);
    Arc::make_mut(&mut cancelled.run).spec.cancel = Some(true);
    assert_steps(&judge(&cancelled), &["Open", "Start", "Stop(gracefully)"], &["Tell(Stopping)"]);
    let mut orphan = started(20);
    orphan.test = None;
    assert_steps(&judge(&orphan), &["Open", "Start", "Stop(now)"], &["Tell(Stopping)"]);
    assert_steps(&judge_with(&started(20), true), &["Open", "Start", "Stop(now)"], &["Tell(Stopping)"]);
    let mut early = accepted();
    Arc::make_mut(&mut early.run).spec.cancel = Some(true);
    assert_over(&judge(&early), Verdict::Inconclusive, Reason::Cancelled, "had not started");
    let mut late = started(20);
    let policy = json!({"deadline": "25s"});
    Arc::make_mut(late.test.as_mut().unwrap()).spec.run_policy =
        Some(serde_json::from_value(policy).unwrap());
    assert_steps(&judge(&late), &["Open", "Start", "Stop(gracefully)"], &["Tell(Stopping)"]);
}

#[test]
fn a_deleted_run_is_let_go_at_once() {
    let mut seen = started(20);
    let now = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(seen.now.stamp);
    Arc::make_mut(&mut seen.run).metadata.deletion_timestamp = Some(now);
    assert_steps(&judge(&seen), &["Close", "Unguard"], &[]);
}

#[test]
fn the_verdict_latches_and_what_is_left_is_done() {
    let mut seen = started(90);
    let finished = (seen.now.stamp - SignedDuration::from_secs(10)).to_string();
    let over = |seen: &mut Observed| {
        let start = (seen.now.stamp - SignedDuration::from_secs(90)).to_string();
        status(
            seen,
            json!({"observedGeneration": 1, "phase": "Finished", "verdict": "Failed", "startedAt": start, "finishedAt": finished}),
        );
    };
    over(&mut seen);
    assert_steps(&judge(&seen), &["Ack", "RetireJob(false)", "Unguard"], &[]);
    seen.job.as_mut().unwrap().retired = true;
    Arc::make_mut(&mut seen.run).metadata.finalizers = None;
    seen.progress.as_mut().unwrap().acked = true;
    assert_steps(&judge(&seen), &[], &[]);
    seen.job.as_mut().unwrap().complete = true;
    seen.progress.as_mut().unwrap().links.iter_mut().for_each(|link| link.connected = false);
    assert_steps(&judge(&seen), &["Close"], &[]);
    seen.progress = None;
    assert_steps(&judge(&seen), &[], &[]);
    Arc::make_mut(&mut seen.run).spec.ttl_after_finished = Some("10s".parse().unwrap());
    assert_steps(&judge(&seen), &["Delete"], &[]);
}

#[test]
fn a_stored_result_is_the_end_even_without_a_status() {
    let mut seen = observed();
    seen.result = Some(Arc::default());
    assert!(matches!(judge(&seen).say, Some(Say::Again(_))));
}
