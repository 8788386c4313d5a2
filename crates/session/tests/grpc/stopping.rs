//! Stops, losses and ends.

use std::time::SystemTime;

use plimsoll_session::{Door, Final, Readiness, Role, SessionError, Stop, WorkerState};

use crate::fixture::requests;
use crate::rig::{Operator, Trust, key, within, worker};

fn stop(reason: &str, at_once: bool) -> Stop {
    Stop { reason: reason.to_owned(), at_once }
}

#[tokio::test]
async fn a_graceful_stop_can_become_one_at_once_and_never_the_reverse() {
    let trust = Trust::new();
    let operator = Operator::start(&trust, Role::Leader);
    operator.open(1);
    operator.hub.start(&key(), SystemTime::now());
    let mut door = worker(&operator, 0, "a").await.unwrap();
    within(door.ready(Readiness::default())).await.unwrap();
    operator.hub.stop(&key(), stop("an SLO is missed", false));
    assert_eq!(within(door.stop_asked()).await, stop("an SLO is missed", false));
    operator.hub.stop(&key(), stop("cancelled", true));
    assert_eq!(within(door.stop_asked()).await, stop("cancelled", true));
    operator.hub.stop(&key(), stop("later", false));
    assert_eq!(operator.hub.observe(&key()).unwrap().stop, Some(stop("cancelled", true)));
}

#[tokio::test]
async fn a_stop_of_the_worker_itself_is_reported() {
    let trust = Trust::new();
    let operator = Operator::start(&trust, Role::Leader);
    operator.open(1);
    operator.hub.start(&key(), SystemTime::now());
    let mut door = worker(&operator, 0, "a").await.unwrap();
    within(door.ready(Readiness::default())).await.unwrap();
    door.stopper().stop(stop("worker 0 received SIGTERM", false));
    let stopped = within(door.stop_asked()).await;
    let fault = Some("core 1".to_owned());
    let last = Final { stopped: Some(stopped), threads: 2, skew: None, fault, load: Some(80_000_000) };
    let said = last.clone();
    let _finishing = tokio::spawn(async move { door.finish(said).await });
    let progress = operator.until(|progress| progress.gather.all_done()).await;
    assert_eq!(progress.gather.worker(0).unwrap().last, Some(last));
}

#[tokio::test]
async fn a_worker_given_up_as_lost_stops_at_once_and_keeps_its_counts() {
    let trust = Trust::new();
    let operator = Operator::start(&trust, Role::Leader);
    operator.open(1);
    operator.hub.start(&key(), SystemTime::now());
    let mut door = worker(&operator, 0, "a").await.unwrap();
    within(door.ready(Readiness::default())).await.unwrap();
    door.push(requests(0, 10));
    operator.until(|progress| progress.gather.merged().total().sent == 10).await;
    operator.hub.lost(&key(), 0);
    assert!(within(door.stop_asked()).await.at_once);
    let finished = within(door.finish(Final::default())).await;
    assert!(
        matches!(&finished, Err(SessionError::Refused(reason)) if reason.contains("lost")),
        "{finished:?}"
    );
    let progress = operator.until(|_| true).await;
    assert_eq!(progress.gather.worker(0).unwrap().state, WorkerState::Lost);
    assert_eq!(progress.gather.merged().total().sent, 10);
}

#[tokio::test]
async fn closing_a_run_stops_its_workers_at_once() {
    let trust = Trust::new();
    let operator = Operator::start(&trust, Role::Leader);
    operator.open(1);
    operator.hub.start(&key(), SystemTime::now());
    let mut door = worker(&operator, 0, "a").await.unwrap();
    within(door.ready(Readiness::default())).await.unwrap();
    operator.hub.close(&key());
    let stopped = within(door.stop_asked()).await;
    assert!(stopped.at_once && stopped.reason.contains("the run is gone"), "{stopped:?}");
    assert!(operator.hub.observe(&key()).is_none());
}

#[tokio::test]
async fn changes_wake_the_reconciler() {
    let trust = Trust::new();
    let operator = Operator::start(&trust, Role::Leader);
    operator.open(1);
    let mut changes = operator.hub.changes();
    let mut door = worker(&operator, 0, "a").await.unwrap();
    assert_eq!(within(changes.recv()).await, Ok(key()));
    operator.hub.start(&key(), SystemTime::now());
    within(door.ready(Readiness::default())).await.unwrap();
    assert_eq!(within(changes.recv()).await, Ok(key()));
    assert!(changes.try_recv().is_err());
    for second in 0..20 {
        door.push(requests(second, 1));
        let wanted = second + 1;
        operator.until(|progress| progress.gather.merged().total().sent == wanted).await;
    }
    let mut announced = 0;
    while changes.try_recv().is_ok() {
        announced += 1;
    }
    assert!((1..20).contains(&announced), "{announced} announcements of 20 deltas in a moment");
}

#[tokio::test]
async fn an_ack_reaches_the_worker_before_the_run_closes() {
    let trust = Trust::new();
    let operator = Operator::start(&trust, Role::Leader);
    operator.open(1);
    operator.hub.start(&key(), SystemTime::now());
    let mut door = worker(&operator, 0, "a").await.unwrap();
    within(door.ready(Readiness::default())).await.unwrap();
    let finished = tokio::spawn(async move { door.finish(Final::default()).await });
    operator.until(|progress| progress.gather.all_done()).await;
    operator.hub.ack(&key());
    operator.hub.close(&key());
    assert_eq!(within(finished).await.unwrap(), Ok(()));
}
