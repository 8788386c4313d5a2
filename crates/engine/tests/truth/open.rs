//! The open model: exact numbers, no coordinated omission, nothing dropped.

use plimsoll_measure::ErrorClass;
use plimsoll_plan::{Distribution, Load};
use plimsoll_scenario::{Step, Wait};
use plimsoll_testbed::{Config, Freeze, Latency, Route, When};

use crate::support::*;

#[test]
fn a_uniform_rate_sends_exactly_rate_times_duration() {
    let _serial = serial();
    let server = server(vec![Route::at("/")]);
    let snapshot = run(plan(server.addr(), rate(1500, 2 * SECOND, 100), 2 * SECOND, vec![http(get("/"))]));
    let counts = totals(&snapshot);
    assert_eq!((counts.sent, counts.complete, counts.failed), (3000, 3000, 0));
    assert_eq!(server.stats().received(), 3000);
    assert_eq!((snapshot.health.due, snapshot.health.delivered), (3000, 3000));
    let asked: Vec<u64> = snapshot.series.iter().map(|second| second.asked).collect();
    assert_eq!(asked, [1500, 1500]);
}

/// 200 arrivals per second for 10 s, while no answer leaves from 2 s to 8 s.
fn frozen(max_in_flight: u64) -> plimsoll_measure::Snapshot {
    let freezes = vec![Freeze { after_ms: 2000.0, for_ms: 6000.0 }];
    let server = start(Config { routes: vec![Route::at("/")], freezes, ..quiet() });
    let snapshot =
        run(plan(server.addr(), rate(200, 10 * SECOND, max_in_flight), 10 * SECOND, vec![http(get("/"))]));
    assert_eq!((totals(&snapshot).sent, server.stats().received()), (2000, 2000));
    let latency = &cell(&snapshot, 0).latency;
    for (q, expected) in [(5000, 1.0), (9000, 5.0), (9900, 5.9)] {
        let seconds = latency.percentile(q, 0).finite().unwrap() as f64 / 1e9;
        assert!((seconds - expected).abs() < 0.1, "p{}: {seconds} s, expected {expected} s", q / 100);
    }
    snapshot
}

#[test]
fn a_frozen_target_is_seen_as_its_users_see_it() {
    let _serial = serial();
    let snapshot = frozen(2000);
    let late = snapshot.health.lateness.percentile(9900, 0).finite().unwrap();
    assert!(late < 10 * MILLI, "all were sent when they were due: {late} ns");
}

#[test]
fn a_frozen_target_is_seen_so_even_if_the_arrivals_must_queue() {
    let _serial = serial();
    let snapshot = frozen(40);
    // The service time knows nothing of the queue, and the generator says that it was late.
    let service = cell(&snapshot, 0).service.percentile(9000, 0).finite().unwrap();
    assert!(service < SECOND, "{service}");
    assert!(snapshot.health.lateness.percentile(9000, 0).finite().unwrap() > 4 * SECOND);
    assert!(snapshot.health.connections <= 40);
}

#[test]
fn what_is_still_queued_at_the_end_is_unsent_and_what_hangs_is_unfinished() {
    let _serial = serial();
    let route = Route { stall: Some(When::After(0)), ..Route::at("/") };
    let server = server(vec![route]);
    let mut plan = plan(server.addr(), rate(100, SECOND, 10), SECOND, vec![http(get("/"))]);
    plan.graceful_stop = SECOND / 2;
    let snapshot = run(plan);
    let counts = totals(&snapshot);
    assert_eq!((counts.sent, counts.unfinished, counts.unsent), (10, 10, 90));
    assert_eq!((counts.complete, of_class(&counts, ErrorClass::Timeout)), (0, 100));
    assert_eq!(snapshot.health.due, 100);
    assert_eq!(snapshot.health.delivered, 10);
    assert_eq!(
        cell(&snapshot, 0).latency.percentile(100, counts.incomplete),
        plimsoll_measure::Percentile::OverMax
    );
}

#[test]
fn a_poisson_rate_sends_what_its_plan_says() {
    let _serial = serial();
    let server = server(vec![Route::at("/")]);
    let mut plan = plan(server.addr(), rate(500, 2 * SECOND, 100), 2 * SECOND, vec![http(get("/"))]);
    if let Load::Open { distribution, .. } = &mut plan.load {
        *distribution = Distribution::Poisson;
    }
    let due: usize = whole(plan.clone()).lanes(2).iter().map(|lane| lane.arrivals().count()).sum();
    let counts = totals(&run(plan));
    assert_eq!((counts.sent, server.stats().received()), (due as u64, due as u64));
}

#[test]
fn arrivals_run_all_their_steps_and_iterations_limit_them() {
    let _serial = serial();
    let server = server(vec![Route::at("/a"), Route { latency: Latency::Constant(5.0), ..Route::at("/b") }]);
    let mut second = get("/b");
    second.request = 1;
    let pause = Step::Pause(Wait { min: 10 * MILLI, max: 10 * MILLI });
    let steps = vec![http(get("/a")), pause, http(second)];
    let mut plan = plan(server.addr(), rate(100, 2 * SECOND, 100), 2 * SECOND, steps);
    plan.iterations = Some(60);
    let snapshot = run(plan);
    assert_eq!((cell(&snapshot, 0).counts.sent, cell(&snapshot, 1).counts.sent), (60, 60));
    assert_eq!(snapshot.health.iterations, 60);
    assert!(snapshot.health.wall < 2 * SECOND, "the run ends with its iterations");
    assert_eq!(server.stats().received(), 120);
}

#[test]
fn an_own_connection_serves_one_arrival() {
    let _serial = serial();
    let server = server(vec![Route::at("/")]);
    let mut plan = plan(server.addr(), rate(50, SECOND, 100), SECOND, vec![http(get("/")), http(get("/"))]);
    plan.target.connections.per = plimsoll_plan::ConnectionsPer::User;
    let snapshot = run(plan);
    assert_eq!((totals(&snapshot).sent, snapshot.health.connections), (100, 50));
    assert_eq!(server.stats().connections.accepted, 50);
}
