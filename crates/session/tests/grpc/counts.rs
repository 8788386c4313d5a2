//! Nothing is lost and nothing counts twice, whatever breaks.

use std::time::{Duration, SystemTime};

use plimsoll_measure::{Snapshot, WindowId};
use plimsoll_session::{Door, Final, GrpcDoor, Hub, LastWords, Readiness, Role, WorkerState};

use crate::fixture::{layout, requests};
use crate::proxy::Proxy;
use crate::rig::{Operator, Trust, endpoint, file, hello, key, within, worker};

async fn running(operator: &Operator, workers: u32) -> Vec<GrpcDoor> {
    let mut doors = Vec::new();
    for index in 0..workers {
        let mut door = worker(operator, index, "uid").await.unwrap();
        operator.hub.start(&key(), SystemTime::now());
        within(door.ready(Readiness::default())).await.unwrap();
        doors.push(door);
    }
    doors
}

/// Pushes a second's delta through every door and into the sum that is to come out.
fn push(doors: &mut [GrpcDoor], sum: &mut Snapshot, second: u64) {
    for (door, n) in doors.iter_mut().zip(1..) {
        let delta = requests(second, 10 * n);
        sum.merge(&delta);
        door.push(delta);
    }
}

/// Ends all workers and compares what arrived with what was measured.
async fn settle(operator: &Operator, doors: Vec<GrpcDoor>, sum: &Snapshot) {
    let finish = |mut door: GrpcDoor| tokio::spawn(async move { door.finish(Final::default()).await });
    let finished: Vec<_> = doors.into_iter().map(finish).collect();
    let progress = operator.until(|progress| progress.gather.all_done()).await;
    assert!(
        finished.iter().all(|finished| !finished.is_finished()),
        "nobody leaves before the outcome is stored"
    );
    assert_eq!(**progress.gather.merged(), *sum);
    operator.hub.ack(&key());
    for finished in finished {
        within(finished).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn deltas_of_two_workers_add_up() {
    let trust = Trust::new();
    let operator = Operator::start(&trust, Role::Leader);
    operator.open(2);
    let mut doors = running(&operator, 2).await;
    let mut sum = Snapshot::default();
    doors[0].began(1_000);
    doors[1].began(5_000);
    for second in 0..30 {
        push(&mut doors, &mut sum, second);
    }
    let progress = operator.until(|progress| progress.gather.start_skew() == Some(4_000)).await;
    assert!(progress.links.iter().all(|link| link.connected));
    settle(&operator, doors, &sum).await;
}

#[tokio::test]
async fn an_operator_that_dies_in_mid_run_and_comes_back_misses_nothing() {
    let trust = Trust::new();
    let mut operator = Operator::start(&trust, Role::Leader);
    operator.open(2);
    let mut doors = running(&operator, 2).await;
    let mut sum = Snapshot::default();
    for round in 0..4 {
        for second in 0..15 {
            push(&mut doors, &mut sum, round * 15 + second);
            tokio::task::yield_now().await;
        }
        operator.kill();
        for second in 0..15 {
            push(&mut doors, &mut sum, 100 + round * 15 + second);
        }
        // Odd rounds: it forgot everything, and the workers bring their sums.
        if round % 2 == 1 {
            operator.hub = Hub::new();
            operator.open(2);
            operator.hub.start(&key(), SystemTime::now());
        }
        operator.revive();
        let wanted = sum.total().sent;
        operator.until(|progress| progress.gather.merged().total().sent == wanted).await;
    }
    settle(&operator, doors, &sum).await;
}

#[tokio::test]
async fn workers_that_are_done_bring_everything_to_an_operator_that_forgot() {
    let trust = Trust::new();
    let mut operator = Operator::start(&trust, Role::Leader);
    operator.open(1);
    let mut doors = running(&operator, 1).await;
    let mut sum = Snapshot::default();
    push(&mut doors, &mut sum, 0);
    let mut door = doors.remove(0);
    let finished =
        tokio::spawn(async move { door.finish(Final { skew: Some(7), ..Final::default() }).await });
    operator.until(|progress| progress.gather.all_done()).await;
    operator.kill();
    operator.hub = Hub::new();
    operator.open(1);
    operator.revive();
    let progress = operator.until(|progress| progress.gather.all_done()).await;
    assert_eq!(**progress.gather.merged(), sum);
    assert_eq!(progress.gather.start_skew(), Some(0));
    operator.hub.ack(&key());
    within(finished).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_new_leader_gets_everything_and_the_old_one_forgets() {
    let trust = Trust::new();
    let old = Operator::start(&trust, Role::Leader);
    let new = Operator::start(&trust, Role::Follower { leader: Some(old.address.to_string()) });
    old.open(2);
    let mut doors = running(&old, 1).await;
    // The second worker asks the follower and is sent on.
    let mut second = worker(&new, 1, "uid").await.unwrap();
    within(second.ready(Readiness::default())).await.unwrap();
    doors.push(second);
    let mut sum = Snapshot::default();
    push(&mut doors, &mut sum, 0);
    old.until(|progress| progress.gather.merged().total().sent == 30).await;
    new.role.send_replace(Role::Leader);
    new.open(2);
    new.hub.start(&key(), SystemTime::now());
    old.role.send_replace(Role::Follower { leader: Some(new.address.to_string()) });
    push(&mut doors, &mut sum, 1);
    new.until(|progress| progress.gather.merged().total().sent == 60).await;
    assert!(old.hub.observe(&key()).is_none());
    settle(&new, doors, &sum).await;
}

#[tokio::test]
async fn a_snapshot_over_the_limit_travels_in_parts() {
    let trust = Trust::new();
    let operator = Operator::start(&trust, Role::Leader);
    // Many windows make many cells: about 5 MiB.
    let mut wide = layout();
    wide.windows = vec![wide.windows[0].clone(); 2_500];
    let plan = plimsoll_plan::Plan { layout: wide, ..(*crate::fixture::plan(1)).clone() };
    operator.hub.open(&key(), &plan.into(), &crate::rig::hash());
    let mut doors = running(&operator, 1).await;
    let one = requests(0, 400);
    let cell = |window| plimsoll_measure::Cell { window: WindowId(window), ..one.cells[0].clone() };
    let large = Snapshot { cells: (0..2_500).map(cell).collect(), ..one.clone() };
    doors[0].push(large.clone());
    let progress = operator.until(|progress| progress.gather.merged().cells.len() == 2_500).await;
    assert!(progress.gather.worker(0).unwrap().last_seq >= 2, "it was cut");
    settle(&operator, doors, &large).await;
}

#[tokio::test]
async fn a_connection_that_died_silently_is_noticed_on_both_sides() {
    let trust = Trust::new();
    let operator = Operator::start(&trust, Role::Leader);
    operator.open(1);
    let proxy = Proxy::start(operator.address).await;
    let token = "shop/checkout-1/0/uid";
    let mut door =
        plimsoll_session::dial(endpoint(&trust, proxy.address, token), hello(0, "uid")).await.unwrap();
    operator.hub.start(&key(), SystemTime::now());
    within(door.ready(Readiness::default())).await.unwrap();
    let mut doors = vec![door];
    let mut sum = Snapshot::default();
    push(&mut doors, &mut sum, 0);
    operator.until(|progress| progress.gather.merged().total().sent == 10).await;
    let frozen = std::time::Instant::now();
    proxy.freeze();
    push(&mut doors, &mut sum, 1);
    operator.until(|progress| progress.gather.merged().total().sent == 20).await;
    assert!(frozen.elapsed() < Duration::from_secs(25), "took {:?}, 5 s are meant", frozen.elapsed());
    settle(&operator, doors, &sum).await;
}

#[tokio::test]
async fn last_words_are_there_until_the_outcome_is_stored() {
    let trust = Trust::new();
    let operator = Operator::start(&trust, Role::Leader);
    operator.open(1);
    let mut door = running(&operator, 1).await.remove(0);
    let log = file("");
    door.leave_last_words(log.clone(), layout().into());
    door.push(requests(0, 100));
    let finished =
        tokio::spawn(async move { door.finish(Final { skew: Some(3), ..Final::default() }).await });
    operator.until(|progress| progress.gather.all_done()).await;
    let words = LastWords::parse(&std::fs::read_to_string(&log).unwrap()).unwrap();
    assert_eq!((words.run.as_str(), words.index, words.skew), ("shop/checkout-1", 0, Some(3)));
    assert_eq!(words.total.unwrap().sent, 100);
    assert_eq!(words.judged.unwrap().failed, 10);
    assert_eq!(words.objectives, [(100, 50), (100, 10)]);
    operator.hub.ack(&key());
    within(finished).await.unwrap().unwrap();
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "");
}

#[tokio::test]
async fn a_worker_that_comes_after_the_ack_is_released() {
    let trust = Trust::new();
    let mut operator = Operator::start(&trust, Role::Leader);
    operator.open(1);
    let mut door = running(&operator, 1).await.remove(0);
    let finished = tokio::spawn(async move { door.finish(Final::default()).await });
    operator.until(|progress| progress.gather.worker(0).unwrap().state == WorkerState::Done).await;
    operator.kill();
    operator.hub.ack(&key());
    operator.revive();
    within(finished).await.unwrap().unwrap();
}
