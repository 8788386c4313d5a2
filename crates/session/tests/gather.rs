//! The state of a run, message by message.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fixture;

use std::sync::Arc;

use fixture::{plan, plan_with_setup, requests};
use plimsoll_measure::{Gauges, Snapshot};
use plimsoll_plan::Plan;
use plimsoll_session::{
    Applied, FailureKind, Final, Gather, Readiness, Refusal, SETUP_LIMIT, Setup, StartFailure, WorkerState,
};

fn gather(workers: u32) -> Gather {
    Gather::new(plan(workers))
}

fn with_iterations(iterations: Option<u64>) -> Plan {
    let mut plan = Plan::clone(&plan(2));
    plan.loads[0].iterations = iterations;
    plan
}

fn state(gather: &Gather, index: u32) -> WorkerState {
    gather.worker(index).unwrap().state.clone()
}

fn sent(gather: &Gather) -> u64 {
    gather.merged().total().sent
}

fn unreachable() -> StartFailure {
    StartFailure { kind: FailureKind::TargetUnreachable, message: "10.0.0.1:80 refused".to_owned() }
}

#[test]
fn a_run_goes_from_absent_to_done() {
    let mut gather = gather(2);
    assert_eq!(state(&gather, 0), WorkerState::Absent);
    assert_eq!(gather.hello(0, "a"), Ok(0));
    assert_eq!(gather.hello(1, "b"), Ok(0));
    assert_eq!(state(&gather, 0), WorkerState::Connected);
    gather.ready(0, Readiness::default()).unwrap();
    assert!(!gather.all_ready());
    gather.ready(1, Readiness::default()).unwrap();
    assert!(gather.all_ready() && !gather.started());
    gather.start();
    assert_eq!(state(&gather, 1), WorkerState::Running);
    assert_eq!(gather.delta(0, "a", 1, false, &requests(0, 10)), Ok(Applied::Merged));
    assert_eq!(gather.delta(1, "b", 1, false, &requests(0, 5)), Ok(Applied::Merged));
    assert_eq!(gather.done(0, 1, Final { skew: Some(900), ..Final::default() }), Ok(true));
    assert!(!gather.all_done());
    assert_eq!(gather.start_skew(), Some(0));
    gather.began(1, 1_500).unwrap();
    assert_eq!(gather.start_skew(), Some(600));
    assert_eq!(gather.done(1, 1, Final::default()), Ok(true));
    assert!(gather.all_done());
    assert_eq!(sent(&gather), 15);
    assert_eq!(gather.worker(1).unwrap().skew, Some(1_500), "the last word does not erase what was known");
}

#[test]
fn a_run_is_measured_up_to_when_its_last_workers_load_ended() {
    const SECOND: u64 = 1_000_000_000;
    let last = |load: u64| Final { load: Some(load), ..Final::default() };
    let begun = |iterations: Option<u64>| {
        let mut gather = Gather::new(Arc::new(with_iterations(iterations)));
        for (index, uid) in [(0, "a"), (1, "b")] {
            gather.hello(index, uid).unwrap();
            gather.delta(index, uid, 1, false, &requests(0, 10)).unwrap();
        }
        gather
    };
    let mut all = begun(None);
    all.done(0, 1, last(80_000_000)).unwrap();
    all.done(1, 1, last(90_000_000)).unwrap();
    assert_eq!(all.measured(false), 20 * SECOND, "as planned");
    assert_eq!(all.measured(true), 90_000_000, "stopped");
    let mut few = begun(Some(20));
    few.done(0, 1, last(80_000_000)).unwrap();
    assert_eq!(
        few.measured(false),
        SECOND,
        "the other one has not said it yet, and there are counts of one second"
    );
    few.done(1, 1, last(70_000_000)).unwrap();
    assert_eq!(few.measured(false), 80_000_000, "the iterations were done before");
    let mut long = begun(Some(20));
    long.done(0, 1, last(u64::MAX)).unwrap();
    assert_eq!(long.measured(false), 20 * SECOND);
}

#[test]
fn a_pod_is_replaced_before_the_start_and_never_after() {
    let mut gather = gather(1);
    gather.hello(0, "first").unwrap();
    gather.failed(0, unreachable()).unwrap();
    assert_eq!(state(&gather, 0), WorkerState::Failed(unreachable()));
    gather.hello(0, "second").unwrap();
    assert_eq!(state(&gather, 0), WorkerState::Connected);
    assert_eq!(gather.hello(0, "first"), Err(Refusal::Replaced { index: 0, holder: "second".to_owned() }));
    gather.ready(0, Readiness::default()).unwrap();
    gather.start();
    assert_eq!(gather.hello(0, "third"), Err(Refusal::Taken { index: 0, holder: "second".to_owned() }));
    assert_eq!(gather.hello(0, "second"), Ok(0), "the same pod may connect again");
    assert_eq!(state(&gather, 0), WorkerState::Running);
    let other = gather.delta(0, "third", 1, false, &requests(0, 1));
    assert_eq!(other, Err(Refusal::Taken { index: 0, holder: "second".to_owned() }));
    assert_eq!(gather.hello(7, "x"), Err(Refusal::IndexOutOfRange { index: 7, workers: 1 }));
}

#[test]
fn traffic_seen_is_a_start_seen() {
    let mut gather = gather(1);
    gather.hello(0, "a").unwrap();
    gather.delta(0, "a", 1, false, &requests(0, 1)).unwrap();
    assert!(gather.started());
    assert!(gather.hello(0, "b").is_err());
}

#[test]
fn each_number_counts_once() {
    // Number and whether it is cumulative; then what became of each, the requests counted, and the last number.
    type Row<'a> = (&'a [(u64, bool)], &'a [Applied], u64, u64);
    let one = requests(0, 1);
    let table: [Row<'_>; 6] = [
        (&[(1, false), (2, false)], &[Applied::Merged, Applied::Merged], 2, 2),
        (
            &[(1, false), (1, false), (2, false)],
            &[Applied::Merged, Applied::Duplicate, Applied::Merged],
            2,
            2,
        ),
        (&[(2, false), (3, false)], &[Applied::Gap, Applied::Duplicate], 0, 0),
        (&[(2, false), (3, true), (4, false)], &[Applied::Gap, Applied::Merged, Applied::Merged], 2, 4),
        (
            &[(9, true), (10, false), (9, true)],
            &[Applied::Merged, Applied::Merged, Applied::Duplicate],
            2,
            10,
        ),
        (&[(1, false), (3, false), (4, true)], &[Applied::Merged, Applied::Gap, Applied::Restarted], 1, 4),
    ];
    for (messages, want, counted, last) in table {
        let mut gather = gather(1);
        gather.hello(0, "a").unwrap();
        let apply = |(seq, cumulative): &(u64, bool)| gather.delta(0, "a", *seq, *cumulative, &one).unwrap();
        let got: Vec<Applied> = messages.iter().map(apply).collect();
        assert_eq!(got, want, "{messages:?}");
        assert_eq!((sent(&gather), gather.worker(0).unwrap().last_seq), (counted, last), "{messages:?}");
    }
}

#[test]
fn a_replaced_sum_makes_everybody_begin_anew() {
    let mut gather = gather(2);
    for (index, uid) in [(0, "a"), (1, "b")] {
        gather.hello(index, uid).unwrap();
        gather.delta(index, uid, 1, false, &requests(0, 10)).unwrap();
    }
    gather.done(1, 1, Final::default()).unwrap();
    assert_eq!(gather.delta(0, "a", 5, true, &requests(0, 50)), Ok(Applied::Restarted));
    assert_eq!(sent(&gather), 50);
    assert_eq!((gather.worker(1).unwrap().last_seq, state(&gather, 1)), (0, WorkerState::Running));
    let early = gather.delta(1, "b", 2, false, &requests(0, 1));
    assert_eq!(early, Ok(Applied::Duplicate), "its sum is already asked for");
    assert_eq!(gather.delta(1, "b", 3, true, &requests(0, 11)), Ok(Applied::Merged));
    assert_eq!(sent(&gather), 61);
}

#[test]
fn a_sum_is_whole_unless_somebody_has_yet_to_send_his_again() {
    let mut gather = gather(2);
    assert!(gather.is_whole(true), "nothing was handed in, and nothing is missing");
    assert!(!gather.is_whole(false), "who comes in the middle of a run does not know what there was");
    for (index, uid) in [(0, "a"), (1, "b")] {
        gather.hello(index, uid).unwrap();
    }
    gather.delta(0, "a", 1, true, &requests(0, 10)).unwrap();
    assert!(gather.is_whole(true) && !gather.is_whole(false));
    gather.delta(1, "b", 1, true, &requests(0, 10)).unwrap();
    assert!(gather.is_whole(false));
    assert_eq!(gather.delta(0, "a", 5, true, &requests(0, 50)), Ok(Applied::Restarted));
    assert!(!gather.is_whole(true), "the sum fell to what one worker sent");
    gather.lost(1);
    assert!(gather.is_whole(true), "nothing more will come of a lost worker");
}

#[test]
fn gauges_are_the_last_ones_of_those_that_still_work() {
    let mut gather = gather(2);
    let now = |users, cpu| Gauges { users, requests: users, connections: users, cpu };
    gather.gauges_of(0, now(3, 10)).unwrap();
    assert_eq!(gather.gauges(), None, "half of them is not what the run does");
    gather.gauges_of(1, now(4, 20)).unwrap();
    gather.gauges_of(0, now(5, 30)).unwrap();
    assert_eq!(gather.gauges(), Some(now(9, 50)));
    gather.lost(1);
    assert_eq!(gather.gauges(), Some(now(5, 50)));
    gather.done(0, 0, Final::default()).unwrap();
    assert_eq!(gather.gauges(), Some(now(0, 50)));
}

#[test]
fn the_last_word_needs_all_deltas() {
    let mut gather = gather(1);
    gather.hello(0, "a").unwrap();
    gather.delta(0, "a", 1, false, &requests(0, 1)).unwrap();
    assert_eq!(gather.done(0, 2, Final::default()), Ok(false));
    assert!(!gather.all_done());
    gather.delta(0, "a", 3, true, &requests(0, 2)).unwrap();
    assert_eq!(gather.done(0, 3, Final::default()), Ok(true));
    assert_eq!(sent(&gather), 2);
}

#[test]
fn a_lost_worker_keeps_its_counts_and_stays_out() {
    let mut gather = gather(2);
    for (index, uid) in [(0, "a"), (1, "b")] {
        gather.hello(index, uid).unwrap();
        gather.delta(index, uid, 1, false, &requests(0, 10)).unwrap();
    }
    gather.lost(0);
    assert_eq!(state(&gather, 0), WorkerState::Lost);
    assert_eq!(gather.hello(0, "a"), Err(Refusal::Lost { index: 0 }));
    assert_eq!(gather.delta(0, "a", 2, false, &requests(0, 1)), Err(Refusal::Lost { index: 0 }));
    gather.done(1, 1, Final::default()).unwrap();
    gather.lost(1);
    assert_eq!(state(&gather, 1), WorkerState::Done, "who is done cannot be lost");
    assert!(gather.all_done());
    assert_eq!(sent(&gather), 20);
}

#[test]
fn a_shared_sum_is_not_changed_under_its_reader() {
    let mut gather = gather(1);
    gather.hello(0, "a").unwrap();
    gather.delta(0, "a", 1, false, &requests(0, 1)).unwrap();
    let seen = Arc::clone(gather.merged());
    gather.delta(0, "a", 2, false, &requests(1, 1)).unwrap();
    assert_eq!((seen.total().sent, sent(&gather)), (1, 2));
    assert_ne!(*seen, Snapshot::default());
}

#[test]
fn a_worker_covers_the_time_of_the_deltas_that_came() {
    let mut gather = gather(1);
    gather.hello(0, "a").unwrap();
    let second = |wall: u64| {
        let mut delta = requests(0, 1);
        delta.health.wall = wall;
        delta
    };
    gather.delta(0, "a", 1, false, &second(1_000)).unwrap();
    gather.delta(0, "a", 3, false, &second(1_000)).unwrap();
    assert_eq!(gather.worker(0).unwrap().covered, 1_000, "the third is of no use without the second");
    gather.delta(0, "a", 4, true, &second(4_000)).unwrap();
    assert_eq!(gather.worker(0).unwrap().covered, 4_000);
}

fn captured(setup: &str) -> Readiness {
    Readiness { setup: Some(setup.to_owned()), data_hash: None }
}

fn holds(data: &str) -> Readiness {
    Readiness { setup: None, data_hash: Some(data.to_owned()) }
}

fn known(setup: &str) -> Setup {
    Setup::Known(Some(Arc::from(setup)))
}

#[test]
fn what_setup_captured_is_known_from_worker_0() {
    assert_eq!(gather(2).setup(), Setup::Known(None), "there is no setup");
    let mut gather = Gather::new(plan_with_setup(2));
    assert_eq!(gather.setup(), Setup::Awaited);
    gather.hello(0, "a").unwrap();
    gather.hello(1, "b").unwrap();
    gather.ready(1, captured(r#"{"token":"of nobody"}"#)).unwrap();
    assert_eq!(gather.setup(), Setup::Awaited, "only worker 0 executes it");
    gather.ready(0, captured(r#"{"token":"t"}"#)).unwrap();
    assert_eq!(gather.setup(), known(r#"{"token":"t"}"#));
    gather.hello(0, "newer").unwrap();
    assert_eq!(gather.setup(), Setup::Awaited, "its successor executes it anew");
    gather.ready(0, Readiness::default()).unwrap();
    assert_eq!(gather.setup(), Setup::Known(None), "it captures nothing");
    gather.start();
    gather.lost(0);
    assert_eq!(gather.setup(), Setup::Known(None), "what is known stays known");
}

#[test]
fn after_a_change_of_leader_captures_come_with_the_repeated_ready() {
    let mut gather = Gather::new(plan_with_setup(2));
    gather.start();
    gather.hello(0, "a").unwrap();
    gather.delta(0, "a", 1, true, &requests(0, 5)).unwrap();
    assert_eq!(gather.setup(), Setup::Awaited);
    gather.ready(0, captured("{}")).unwrap();
    assert_eq!((gather.setup(), state(&gather, 0)), (known("{}"), WorkerState::Running));
    let mut gone = Gather::new(plan_with_setup(2));
    gone.start();
    gone.lost(0);
    assert_eq!(gone.setup(), Setup::Gone);
}

#[test]
fn captures_that_cannot_be_handed_on_end_the_run() {
    let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(SETUP_LIMIT));
    for (setup, want) in [
        (large.as_str(), "at most 262144 are handed to all workers"),
        ("[1]", "no JSON object"),
        ("{\"a\":", "no JSON object"),
    ] {
        let mut gather = Gather::new(plan_with_setup(1));
        gather.hello(0, "a").unwrap();
        gather.ready(0, captured(setup)).unwrap();
        let WorkerState::Failed(cause) = state(&gather, 0) else { panic!("{setup:.20}") };
        assert_eq!(cause.kind, FailureKind::SetupFailed);
        assert!(cause.message.contains(want), "{}", cause.message);
        assert!(!gather.all_ready());
    }
    let fits = format!(r#"{{"t":"{}"}}"#, "x".repeat(SETUP_LIMIT - 8));
    assert_eq!(fits.len(), SETUP_LIMIT);
    let mut gather = Gather::new(plan_with_setup(1));
    gather.hello(0, "a").unwrap();
    gather.ready(0, captured(&fits)).unwrap();
    assert!(gather.all_ready());
}

#[test]
fn workers_must_hold_the_same_data() {
    let mut gather = gather(3);
    [(0, "a"), (1, "b"), (2, "c")].into_iter().for_each(|(index, uid)| drop(gather.hello(index, uid)));
    gather.ready(1, holds("aa")).unwrap();
    gather.ready(2, Readiness::default()).unwrap();
    gather.ready(1, holds("aa")).unwrap();
    assert_eq!(state(&gather, 1), WorkerState::Ready, "it may say it again");
    gather.ready(0, holds("bb")).unwrap();
    let WorkerState::Failed(cause) = state(&gather, 0) else { panic!() };
    assert_eq!(cause.kind, FailureKind::DataDiffers);
    assert!(
        cause.message.starts_with("its data have the hash bb, those of worker 1 aa: "),
        "{}",
        cause.message
    );
    // Its ConfigMap is what it was again, and a new pod reads it.
    gather.hello(0, "newer").unwrap();
    gather.ready(0, holds("aa")).unwrap();
    assert!(gather.all_ready());
    gather.start();
    gather.ready(1, holds("cc")).unwrap();
    assert_eq!(state(&gather, 1), WorkerState::Running, "what runs is not taken back");
}

#[test]
fn a_run_whose_data_are_used_up_is_measured_until_then() {
    let mut plan = Plan::clone(&plan(1));
    plan.script.data = vec![plimsoll_scenario::Data {
        name: "users".to_owned(),
        from: plimsoll_scenario::VarSource::Value("name\nkim\n".to_owned()),
        format: plimsoll_scenario::DataFormat::Csv,
        pick: plimsoll_scenario::Pick::Sequential,
        once: true,
    }];
    let mut gather = Gather::new(Arc::new(plan));
    gather.hello(0, "a").unwrap();
    gather.delta(0, "a", 1, false, &requests(0, 10)).unwrap();
    gather.done(0, 1, Final { load: Some(80_000_000), ..Final::default() }).unwrap();
    assert_eq!(gather.measured(false), 80_000_000);
}
