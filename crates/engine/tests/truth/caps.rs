//! Caps on concurrency: as many at once as allowed, no more, and the wait for a place is measured apart.

use plimsoll_measure::MetricKind;
use plimsoll_plan::Share;
use plimsoll_scenario::{Limit, Step};
use plimsoll_testbed::{Latency, Route};

use crate::script::*;
use crate::support::*;

const CAP: u64 = 5;

fn capped(metrics: &mut Metrics) -> (Step, Limit) {
    let mut step = http(get("/"));
    step.limit = Some(0);
    (
        step,
        Limit {
            name: "debates".into(),
            max: CAP,
            waiting: metrics.add("debates waiting", MetricKind::Trend),
        },
    )
}

fn slow() -> Vec<Route> {
    vec![Route { latency: Latency::Constant(20.0), ..Route::at("/") }]
}

#[test]
fn the_cap_is_reached_and_never_exceeded_over_all_cores() {
    let _shared = among_others();
    let server = server(slow());
    let mut plan = a_few(server.addr(), 40, 200, get("/"));
    let mut metrics = Metrics::default();
    let (step, limit) = capped(&mut metrics);
    plan.script.scenarios[0].action = plimsoll_scenario::Action::Steps(vec![step]);
    plan.script.limits = vec![limit];
    metrics.put(&mut plan);
    let snapshot = run(plan);
    let stats = server.stats();
    assert_eq!((totals(&snapshot).sent, stats.paths["/"].received), (200, 200));
    assert_eq!(stats.paths["/"].peak_in_flight, CAP);
    let waiting = observed(&snapshot, 0);
    assert_eq!((waiting.count, waiting.good), (200, 200));
    // Forty users, five places of 20 ms: the last of them waits for seven others.
    assert!(waiting.histogram.percentile(9900, 0).finite().unwrap() > 100 * MILLI);
    let latency = cell(&snapshot, 0).latency.percentile(5000, 0).finite().unwrap();
    assert!(latency < 100 * MILLI, "waiting is no latency: {latency}");
}

#[test]
fn workers_share_the_places() {
    let mut plan = a_few(std::net::SocketAddr::from(([127, 0, 0, 1], 9)), 40, 200, get("/"));
    plan.workers = 2;
    let mut metrics = Metrics::default();
    plan.script.limits = vec![capped(&mut metrics).1];
    let plan = std::sync::Arc::new(plan);
    let of = |index| Share::limit(&plan.clone().share(index).unwrap(), 0);
    assert_eq!((of(0), of(1)), (Some(3), Some(2)));
}

#[test]
fn an_arrival_that_waits_for_a_place_is_not_late() {
    let _shared = among_others();
    let server = server(slow());
    // Twice as many as there are places for: 500 a second at five places of 20 ms.
    let (mut step, mut metrics) = (http(get("/")), Metrics::default());
    step.limit = Some(0);
    let mut plan = plan(server.addr(), rate(500, SECOND, 1000), SECOND, vec![step]);
    plan.script.limits = vec![capped(&mut metrics).1];
    metrics.put(&mut plan);
    let snapshot = run(plan);
    let counts = totals(&snapshot);
    assert_eq!((counts.sent + counts.unsent, server.stats().received()), (500, counts.sent));
    assert_eq!(server.stats().paths["/"].peak_in_flight, CAP);
    assert!(counts.unsent > 100, "those that had no place at the end were never sent: {counts:?}");
    let late = snapshot.health.lateness.percentile(9900, 0).finite().unwrap();
    assert!(late < 50 * MILLI, "{late}");
    let waiting = observed(&snapshot, 0);
    assert_eq!((waiting.count, waiting.good), (500, counts.sent));
}

#[test]
fn a_user_that_is_dropped_gives_its_place_back() {
    let _shared = among_others();
    let server = server(vec![Route { latency: Latency::Constant(400.0), ..Route::at("/") }]);
    let ramp = |duration, users| plimsoll_plan::Ramp { duration, from: users, to: users };
    // The second of two users holds the only place when it is interrupted at 150 ms.
    let ramps = vec![ramp(SECOND / 10, 2), ramp(2 * SECOND, 1)];
    let load = plimsoll_plan::Load::Closed { users: ramps };
    let (step, mut metrics) = {
        let mut step = http(get("/"));
        step.limit = Some(0);
        (step, Metrics::default())
    };
    let mut plan = plan(server.addr(), load, 2 * SECOND, vec![step]);
    plan.loads[0].graceful_ramp_down = SECOND / 20;
    plan.script.limits = vec![Limit { max: 1, ..capped(&mut metrics).1 }];
    metrics.put(&mut plan);
    let snapshot = run_with(plan, plimsoll_engine::Materials::default(), 1);
    let counts = totals(&snapshot);
    // Whoever of the two had the place: the other one, or its successor, went on.
    assert!(counts.complete >= 3, "{counts:?}");
    assert_eq!(server.stats().paths["/"].peak_in_flight, 1);
}
