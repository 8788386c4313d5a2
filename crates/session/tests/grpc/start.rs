//! Barrier and agreed instant.

use std::time::{Duration, Instant, SystemTime};

use plimsoll_session::{
    Door, FailureKind, Final, GrpcDoor, Hub, Readiness, Role, SessionError, StartFailure, Stop, WorkerState,
    dial,
};

use crate::fixture::{plan_with_setup, requests};
use crate::rig::{Operator, Trust, endpoint, hash, hello, key, within, worker};

fn ahead() -> SystemTime {
    SystemTime::now() + Duration::from_secs(3)
}

fn behind() -> SystemTime {
    SystemTime::now() - Duration::from_secs(3)
}

#[tokio::test]
async fn three_workers_with_clocks_off_by_seconds_start_together() {
    let trust = Trust::new();
    let operator = Operator::start(&trust, Role::Leader);
    operator.open(3);
    let clocks: [fn() -> SystemTime; 3] = [SystemTime::now, ahead, behind];
    let mut ready = Vec::new();
    for (index, wall) in (0..).zip(clocks) {
        let two = operator.hub.observe(&key()).unwrap();
        assert!(!two.gather.all_ready(), "only {index} workers are there");
        let token = format!("shop/checkout-1/{index}/uid");
        let endpoint = plimsoll_session::Endpoint { wall, ..endpoint(&trust, operator.address, &token) };
        let mut door = dial(endpoint, hello(index, "uid")).await.unwrap();
        ready.push(tokio::spawn(async move {
            let start = door.ready(Readiness::default()).await.unwrap();
            (start, door)
        }));
    }
    operator.until(|progress| progress.gather.all_ready()).await;
    assert!(ready.iter().all(|ready| !ready.is_finished()), "nobody starts before the instant is given");
    let lead = Duration::from_millis(300);
    let (wall, instant) = (SystemTime::now() + lead, Instant::now() + lead);
    operator.hub.start(&key(), wall);
    for ready in ready {
        let (start, _door) = within(ready).await.unwrap();
        let off = start.at.max(instant) - start.at.min(instant);
        assert!(off < Duration::from_millis(50), "off by {off:?}");
        assert_eq!(start.late, 0);
    }
    let progress = operator.until(|_| true).await;
    assert!(progress.gather.workers().iter().all(|worker| worker.state == WorkerState::Running));
}

#[tokio::test]
async fn an_instant_in_the_past_means_at_once_and_says_so() {
    let trust = Trust::new();
    let operator = Operator::start(&trust, Role::Leader);
    operator.open(1);
    operator.hub.start(&key(), SystemTime::now() - Duration::from_secs(2));
    let mut door = worker(&operator, 0, "a").await.unwrap();
    let start = within(door.ready(Readiness::default())).await.unwrap();
    assert!(start.at <= Instant::now());
    assert!(start.late >= 2_000_000_000 && start.late < 20_000_000_000, "{} ns", start.late);
}

#[tokio::test]
async fn a_start_given_while_a_worker_is_away_reaches_it() {
    let trust = Trust::new();
    let mut operator = Operator::start(&trust, Role::Leader);
    operator.open(1);
    let mut door = worker(&operator, 0, "a").await.unwrap();
    let ready = tokio::spawn(async move { door.ready(Readiness::default()).await });
    operator.until(|progress| progress.gather.all_ready()).await;
    operator.kill();
    operator.hub.start(&key(), SystemTime::now());
    operator.revive();
    assert!(within(ready).await.unwrap().is_ok());
}

#[tokio::test]
async fn readiness_survives_an_operator_that_forgot() {
    let trust = Trust::new();
    let mut operator = Operator::start(&trust, Role::Leader);
    operator.open(1);
    let mut door = worker(&operator, 0, "a").await.unwrap();
    let ready = tokio::spawn(async move { door.ready(Readiness::default()).await });
    operator.until(|progress| progress.gather.all_ready()).await;
    operator.kill();
    operator.hub = Hub::new();
    operator.open(1);
    operator.revive();
    operator.until(|progress| progress.gather.all_ready()).await;
    operator.hub.start(&key(), SystemTime::now());
    assert!(within(ready).await.unwrap().is_ok());
}

#[tokio::test]
async fn a_failure_to_start_is_noted_and_a_newer_pod_makes_up_for_it() {
    let trust = Trust::new();
    let operator = Operator::start(&trust, Role::Leader);
    operator.open(1);
    let cause =
        StartFailure { kind: FailureKind::TargetUnreachable, message: "10.0.0.1:80 refused".to_owned() };
    let mut door = worker(&operator, 0, "a").await.unwrap();
    within(door.failed(cause.clone())).await;
    let progress = operator.until(|_| true).await;
    assert_eq!(progress.failure(), Some((0, &cause)));
    let mut newer = worker(&operator, 0, "b").await.unwrap();
    let refused = within(door.stop_asked()).await;
    assert!(refused.at_once, "{refused:?}");
    let ready = tokio::spawn(async move { newer.ready(Readiness::default()).await });
    operator.until(|progress| progress.gather.all_ready()).await;
    operator.hub.start(&key(), SystemTime::now());
    assert!(within(ready).await.unwrap().is_ok());
}

#[tokio::test]
async fn a_stop_before_the_start_ends_the_wait() {
    let trust = Trust::new();
    let operator = Operator::start(&trust, Role::Leader);
    operator.open(2);
    let mut door = worker(&operator, 0, "a").await.unwrap();
    let ready = tokio::spawn(async move { door.ready(Readiness::default()).await });
    operator.until(|progress| progress.gather.worker(0).unwrap().state == WorkerState::Ready).await;
    let stop = Stop { reason: "cancelled by kim".to_owned(), at_once: false };
    operator.hub.stop(&key(), stop.clone());
    assert_eq!(within(ready).await.unwrap(), Err(SessionError::Stopped(stop)));
}

const SETUP: &str = r#"{"token":"t-1"}"#;

fn captured() -> Readiness {
    Readiness { setup: Some(SETUP.to_owned()), data_hash: Some("aa".to_owned()) }
}

fn same_data() -> Readiness {
    Readiness { data_hash: Some("aa".to_owned()), ..Readiness::default() }
}

fn open_with_setup(operator: &Operator) {
    operator.hub.open(&key(), &plan_with_setup(2), &hash());
}

type Started = tokio::task::JoinHandle<(Result<plimsoll_session::Start, SessionError>, GrpcDoor)>;

fn ready(mut door: GrpcDoor, readiness: Readiness) -> Started {
    tokio::spawn(async move { (door.ready(readiness).await, door) })
}

/// Two workers that are ready; the first one executed the setup.
async fn two_ready(operator: &Operator) -> (Started, Started) {
    let maker = ready(worker(operator, 0, "a").await.unwrap(), captured());
    let other = ready(worker(operator, 1, "b").await.unwrap(), same_data());
    operator.until(|progress| progress.gather.all_ready()).await;
    (maker, other)
}

/// The process ends, and one begins that knows nothing but that the run was started.
fn take_over(operator: &mut Operator, before: impl Fn(&Hub)) {
    operator.kill();
    operator.hub = Hub::new();
    open_with_setup(operator);
    before(&operator.hub);
    operator.hub.start(&key(), SystemTime::now());
    operator.revive();
}

#[tokio::test]
async fn what_setup_captured_comes_with_the_start() {
    let trust = Trust::new();
    let operator = Operator::start(&trust, Role::Leader);
    open_with_setup(&operator);
    let (maker, other) = two_ready(&operator).await;
    operator.hub.start(&key(), SystemTime::now());
    for started in [maker, other] {
        let (start, _door) = within(started).await.unwrap();
        assert_eq!(start.unwrap().setup.as_deref(), Some(SETUP));
    }
}

#[tokio::test]
async fn a_start_waits_for_captures_that_a_new_leader_does_not_know_yet() {
    let trust = Trust::new();
    let mut operator = Operator::start(&trust, Role::Leader);
    open_with_setup(&operator);
    let (maker, other) = two_ready(&operator).await;
    // Worker 0 is cut off when another replica takes over, which reads that the run was started.
    maker.abort();
    take_over(&mut operator, |_| ());
    operator.until(|progress| progress.gather.worker(1).unwrap().state == WorkerState::Running).await;
    let back = ready(worker(&operator, 0, "a").await.unwrap(), captured());
    for started in [other, back] {
        let (start, _door) = within(started).await.unwrap();
        assert_eq!(start.unwrap().setup.as_deref(), Some(SETUP));
    }
}

#[tokio::test]
async fn who_has_not_started_when_the_captures_are_lost_is_sent_away() {
    let trust = Trust::new();
    let mut operator = Operator::start(&trust, Role::Leader);
    open_with_setup(&operator);
    let (maker, other) = two_ready(&operator).await;
    maker.abort();
    take_over(&mut operator, |_| ());
    operator.until(|progress| progress.gather.worker(1).unwrap().state == WorkerState::Running).await;
    operator.hub.lost(&key(), 0);
    let (start, _door) = within(other).await.unwrap();
    let Err(SessionError::Refused(reason)) = start else { panic!("{start:?}") };
    assert!(reason.contains("worker 0, which executed the setup, was lost"), "{reason}");
}

#[tokio::test]
async fn who_has_started_goes_on_without_worker_0() {
    let trust = Trust::new();
    let mut operator = Operator::start(&trust, Role::Leader);
    open_with_setup(&operator);
    let (maker, other) = two_ready(&operator).await;
    operator.hub.start(&key(), SystemTime::now());
    let (start, mut door) = within(other).await.unwrap();
    start.unwrap();
    within(maker).await.unwrap().0.unwrap();
    take_over(&mut operator, |hub| hub.lost(&key(), 0));
    operator.until(|progress| progress.gather.worker(1).unwrap().state == WorkerState::Running).await;
    door.push(requests(0, 10));
    let finished = tokio::spawn(async move { door.finish(Final::default()).await });
    operator.until(|progress| progress.gather.all_done()).await;
    assert_eq!(operator.until(|_| true).await.gather.merged().total().sent, 10);
    operator.hub.ack(&key());
    within(finished).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_failed_setup_is_told_as_such() {
    let trust = Trust::new();
    let operator = Operator::start(&trust, Role::Leader);
    open_with_setup(&operator);
    let cause =
        StartFailure { kind: FailureKind::SetupFailed, message: "setup: POST /login: 503".to_owned() };
    let mut door = worker(&operator, 0, "a").await.unwrap();
    within(door.failed(cause.clone())).await;
    assert_eq!(operator.until(|_| true).await.failure(), Some((0, &cause)));
}

#[tokio::test]
async fn data_that_differ_are_noticed_before_the_start() {
    let trust = Trust::new();
    let operator = Operator::start(&trust, Role::Leader);
    operator.open(2);
    let _first = ready(worker(&operator, 0, "a").await.unwrap(), same_data());
    operator.until(|progress| progress.gather.worker(0).unwrap().state == WorkerState::Ready).await;
    let other = Readiness { data_hash: Some("bb".to_owned()), ..Readiness::default() };
    let _second = ready(worker(&operator, 1, "b").await.unwrap(), other);
    let progress = operator.until(|progress| progress.failure().is_some()).await;
    let (index, cause) = progress.failure().unwrap();
    assert_eq!((index, cause.kind), (1, FailureKind::DataDiffers));
}
