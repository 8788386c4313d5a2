//! The closed model: users, waits, ramps, iterations, and the ways in which a run ends.

use std::time::{Duration, Instant};

use plimsoll_measure::ErrorClass;
use plimsoll_plan::{Load, Ramp};
use plimsoll_scenario::{Action, Task};
use plimsoll_testbed::{Latency, Route, When};

use crate::support::*;

#[test]
fn users_pause_between_iterations_and_the_wait_is_on_time() {
    let _alone = alone();
    let server = server(vec![Route::at("/")]);
    let mut plan = plan(server.addr(), users(4, SECOND), SECOND, vec![http(get("/"))]);
    plan.script.scenarios[0].wait = wait(100);
    let snapshot = run(plan);
    let sent = totals(&snapshot).sent;
    // Ten rounds of 100 ms at most; a busy machine loses some of each.
    assert!((24..=40).contains(&sent), "{sent}");
    assert_eq!((server.stats().received(), snapshot.health.connections), (sent, 4));
    let waits = &snapshot.health.waits;
    // Five times the lateness that a run is allowed.
    assert!(waits.count() >= 20 && waits.percentile(9900, 0).finite().unwrap() < 50 * MILLI);
}

#[test]
fn tasks_are_drawn_by_weight() {
    let _shared = among_others();
    let server = server(vec![Route::at("/a"), Route::at("/b")]);
    let mut plan = a_few(server.addr(), 5, 4000, get("/a"));
    let task = |name: &str, weight, request| {
        let step = plimsoll_scenario::HttpStep { request, ..get(&format!("/{name}")) };
        Task { name: name.into(), weight, when: None, steps: vec![http(step)] }
    };
    plan.layout.requests.push("b".into());
    plan.script.scenarios[0].action = Action::Tasks(vec![task("a", 3, 0), task("b", 1, 1)]);
    let snapshot = run(plan);
    let (a, b) = (cell(&snapshot, 0).counts.sent, cell(&snapshot, 1).counts.sent);
    // Binomial(4000, 1/4) has a standard deviation of 27; five of them.
    assert!(a + b == 4000 && b.abs_diff(1000) < 140, "{a} {b}");
    assert_eq!((server.stats().paths["/a"].received, server.stats().paths["/b"].received), (a, b));
}

#[test]
fn a_retired_user_finishes_its_iteration_and_is_interrupted_only_when_its_grace_is_over() {
    let _alone = alone();
    let slow = Route { latency: Latency::Constant(300.0), ..Route::at("/slow") };
    let server = server(vec![slow]);
    // Two users; at 100 ms one retires in the middle of its first request.
    let ramps =
        vec![Ramp { duration: SECOND / 10, from: 2, to: 2 }, Ramp { duration: SECOND, from: 1, to: 1 }];
    let mut patient =
        plan(server.addr(), Load::Closed { users: ramps }, 11 * SECOND / 10, vec![http(get("/slow"))]);
    patient.loads[0].graceful_ramp_down = SECOND;
    let mut hasty = patient.clone();
    hasty.loads[0].graceful_ramp_down = SECOND / 20;
    let counts = totals(&run(patient));
    // One from the retired user, and one every 300 ms from the other: at 0, 300, 600, 900 ms.
    assert_eq!((counts.sent, counts.unfinished, counts.complete), (5, 0, 5));
    let counts = totals(&run(hasty));
    assert_eq!((counts.sent, counts.unfinished, counts.complete), (5, 1, 4));
}

#[test]
fn at_the_end_nothing_begins_and_what_is_in_flight_may_finish() {
    let _shared = among_others();
    let slow = Route { latency: Latency::Constant(400.0), ..Route::at("/slow") };
    let server = server(vec![slow]);
    let steps = vec![http(get("/slow")), http(get("/slow"))];
    let snapshot = run(plan(server.addr(), users(3, SECOND / 10), SECOND / 10, steps));
    let counts = totals(&snapshot);
    assert_eq!((counts.sent, counts.complete, counts.unfinished), (3, 3, 0));
    assert!(snapshot.health.wall < SECOND, "the run ends when they are done");
}

#[test]
fn stop_lets_requests_finish_and_kill_does_not() {
    let _shared = among_others();
    let slow = Route { latency: Latency::Constant(400.0), ..Route::at("/slow") };
    let server = server(vec![slow]);
    let endless = || {
        let mut plan = plan(server.addr(), users(6, 60 * SECOND), 60 * SECOND, vec![http(get("/slow"))]);
        plan.script.scenarios[0].wait = wait(50_000);
        plan
    };
    for (kill, complete) in [(false, 6), (true, 0)] {
        server.reset_stats();
        let begun = Instant::now();
        let snapshot = during(engine(endless(), 2), async |running| {
            while server.stats().received() < 6 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            if kill {
                running.kill();
            } else {
                running.stop();
            }
            running.finished().await;
        });
        let counts = totals(&snapshot);
        assert_eq!((counts.sent, counts.complete, counts.unfinished), (6, complete, 6 - complete));
        assert!(begun.elapsed() < Duration::from_secs(5), "users that wait do not hold up the end");
    }
}

#[test]
fn graceful_stop_is_not_exceeded() {
    let _shared = among_others();
    let server = server(vec![Route { stall: Some(When::After(0)), ..Route::at("/") }]);
    let mut plan = plan(server.addr(), users(2, SECOND / 10), SECOND / 10, vec![http(get("/"))]);
    plan.graceful_stop = SECOND / 5;
    let snapshot = run(plan);
    let counts = totals(&snapshot);
    assert_eq!((counts.sent, counts.unfinished, of_class(&counts, ErrorClass::Timeout)), (2, 2, 2));
    assert!((SECOND * 3 / 10..SECOND).contains(&snapshot.health.wall), "{}", snapshot.health.wall);
}

#[test]
fn iterations_are_shared_by_all_cores_and_end_the_run() {
    let _shared = among_others();
    let server = server(vec![Route::at("/")]);
    // One user, so one core; the budget of both must be worked off.
    assert_eq!(totals(&run(a_few(server.addr(), 1, 9, get("/")))).sent, 9);
    let mut plan = a_few(server.addr(), 7, 50, get("/"));
    plan.script.scenarios[0].wait = wait(20);
    assert_eq!(totals(&run(plan)).sent, 50);
    assert_eq!(server.stats().received(), 59);
}

#[test]
fn pauses_between_steps_end_with_the_run() {
    let _shared = among_others();
    let server = server(vec![Route::at("/")]);
    let pause = pause(100_000);
    let steps = vec![http(get("/")), pause, http(get("/"))];
    let snapshot = run(plan(server.addr(), users(5, SECOND / 5), SECOND / 5, steps));
    assert_eq!(totals(&snapshot).sent, 5);
    assert!(snapshot.health.wall < SECOND);
}

#[test]
fn a_start_in_the_future_is_kept_and_its_skew_is_small() {
    let _alone = alone();
    let server = server(vec![Route::at("/")]);
    let engine = engine(a_few(server.addr(), 1, 1, get("/")), 1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let start = Instant::now() + Duration::from_millis(200);
        let mut running = engine.launch(start, None).unwrap();
        running.finished().await;
        assert!(Instant::now() >= start);
        assert!(running.first_sent().unwrap() < 10 * MILLI, "{:?}", running.first_sent());
    });
}
