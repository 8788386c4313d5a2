//! Observed runs to begin from, and what to compare a decision with. Tests only: the rows are in `table.rs`.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use plimsoll_api::v1alpha1::{LoadTest, LoadTestRun, Phase};
use plimsoll_api::{References, lower, spec_hash};
use plimsoll_manifests::{Frozen, Settings};
use plimsoll_measure::{Cell, Counts, Histogram, ObjectiveCount, RequestId, Second, Snapshot, WindowId};
use plimsoll_plan::RunId;
use plimsoll_session::{Final, Gather, Link, Progress, Readiness, RunKey};
use plimsoll_slo::{Reason, Verdict};
use plimsoll_telemetry::query::Servers;
use serde_json::{Value, json};

use super::decide::{Decision, Policy, Say, decide};
use super::observe::{Now, Observed};
use super::queue::Turn;
use super::step::Step;
use crate::context::RunMemory;
use crate::limits::Limits;
use crate::waiting::{JobView, PodView};

/// A moment that all rows share.
const NOW: i64 = 1_800_000_000;

pub(super) fn test() -> LoadTest {
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
pub(super) fn observed() -> Observed {
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
        job_taken: false,
        pods: Vec::new(),
        troubles: Vec::new(),
        progress: None,
        answers: None,
        turn: Turn::Now,
        references: References::default(),
        target_inside: false,
        memory: RunMemory::default(),
        run: Arc::new(run),
    }
}

pub(super) fn frozen() -> Arc<Frozen> {
    frozen_of(&test())
}

pub(super) fn frozen_of(test: &LoadTest) -> Arc<Frozen> {
    let id = RunId { namespace: "shop".into(), test: "web".into(), name: "web-1".into() };
    let resolved = lower(test, None, &References::default(), id, 1).unwrap();
    Arc::new(Frozen::new(&resolved, spec_hash(&test.spec)).unwrap())
}

/// Accepted ten seconds ago, with a Job and two pods.
pub(super) fn accepted() -> Observed {
    let mut seen = observed();
    let made = seen.now.stamp - SignedDuration::from_secs(10);
    seen.frozen = Some(frozen());
    seen.job = Some(JobView { uid: "job-uid".into(), created: Some(made), ..JobView::default() });
    seen.pods = (0..2).map(|index| pod(index, &format!("pod-{index}"), made)).collect();
    guard(&mut seen);
    seen
}

pub(super) fn pod(index: u32, uid: &str, created: Timestamp) -> PodView {
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

pub(super) fn guard(seen: &mut Observed) {
    Arc::make_mut(&mut seen.run).metadata.finalizers = Some(vec!["plimsoll.dev/workers".into()]);
}

pub(super) fn status(seen: &mut Observed, status: Value) {
    Arc::make_mut(&mut seen.run).status = Some(serde_json::from_value(status).unwrap());
}

/// What the workers say: `tell` changes it from two that are connected.
pub(super) fn workers(seen: &mut Observed, tell: impl FnOnce(&mut Gather, &mut Vec<Link>)) {
    let mut gather = Gather::new(Arc::clone(&seen.frozen.as_ref().unwrap().plan));
    let mut links = vec![Link { connected: true }; 2];
    for index in 0..2 {
        gather.hello(index, &format!("pod-{index}")).unwrap();
    }
    tell(&mut gather, &mut links);
    seen.progress = Some(Progress { gather, links, start: None, stop: None, acked: false });
}

/// Started so many seconds ago, both workers make load.
pub(super) fn started(seconds: i64) -> Observed {
    let mut seen = accepted();
    let at = seen.now.stamp - SignedDuration::from_secs(seconds);
    let made = at - SignedDuration::from_secs(5);
    seen.pods.iter_mut().for_each(|pod| pod.created = Some(made));
    status(&mut seen, json!({"observedGeneration": 1, "phase": "Running", "startedAt": format!("{at:.6}")}));
    seen.memory.opened_at = Some(seen.now.instant - Duration::from_secs(3600));
    workers(&mut seen, |gather, _| {
        gather.start();
        for index in 0..2 {
            gather.ready(index, Readiness::default()).unwrap();
            let mut first = snapshot(100, 0);
            first.health.wall = u64::try_from(seconds).unwrap() * 1_000_000_000;
            gather.delta(index, &format!("pod-{index}"), 1, false, &first).unwrap();
        }
    });
    seen
}

pub(super) fn snapshot(sent: u64, failed: u64) -> Snapshot {
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

pub(super) fn done(seen: &mut Observed, index: u32, last: Final) {
    let progress = seen.progress.as_mut().unwrap();
    assert!(progress.gather.done(index, 1, last).unwrap());
}

pub(super) fn judge(seen: &Observed) -> Decision {
    judge_with(seen, false)
}

pub(super) fn judge_with(seen: &Observed, halt: bool) -> Decision {
    let (limits, settings) = (Limits::default(), Settings::default());
    let servers = Servers::default();
    decide(seen, &Policy { limits: &limits, servers: &servers, halt, settings: &settings })
}

/// The names of steps.
pub(super) fn names(steps: &[Step]) -> Vec<String> {
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
pub(super) fn assert_steps(decision: &Decision, before: &[&str], after: &[&str]) {
    assert_eq!((names(&decision.before), names(&decision.after)), (texts(before), texts(after)));
}

pub(super) fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[track_caller]
pub(super) fn assert_phase(decision: &Decision, wanted: Phase) {
    match &decision.say {
        Some(Say::Now { phase, .. }) => assert_eq!(*phase, wanted),
        Some(Say::Queued { .. }) => assert_eq!(wanted, Phase::Pending),
        other => panic!("{wanted:?} wanted, {other:?}"),
    }
}

#[track_caller]
pub(super) fn assert_over(decision: &Decision, verdict: Verdict, reason: Reason, word: &str) {
    let Some(Say::Over(over)) = &decision.say else { panic!("{:?}", decision.say) };
    let judgement = &over.judgement;
    assert_eq!((judgement.verdict, judgement.reason), (verdict, reason), "{}", judgement.message);
    assert!(judgement.message.contains(word), "{}", judgement.message);
}
