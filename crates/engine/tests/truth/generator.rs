//! The generator's own limits: told apart from those of the target by what arrivals waited for, and by how late its cores are.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use plimsoll_measure::{Held, MetricKind, Snapshot};
use plimsoll_scenario::{Action, Limit, Step, StepAction};
use plimsoll_testbed::{Latency, Route};

use crate::script::*;
use crate::support::*;

/// A step that costs a core so long and nothing else, and before it one request. The cost is measured: it is that of the build at hand.
fn costly(millis: u64) -> Vec<Step> {
    let mut busy = Step::new("busy", StepAction::Nothing);
    busy.repeat = repeat(turns(millis), 0);
    vec![http(get("/")), busy]
}

/// How often the step of [`costly`] is to be repeated.
fn turns(millis: u64) -> u32 {
    use std::sync::OnceLock;
    static EACH: OnceLock<f64> = OnceLock::new();
    // A user alone that does nothing else, several times: the least is what the machine's other work took no part of.
    let each = EACH.get_or_init(|| {
        const TURNS: u32 = 100_000;
        let once = || {
            let mut step = Step::new("busy", StepAction::Nothing);
            step.repeat = repeat(TURNS, 0);
            let address = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
            let mut plan = plan(address, users(1, 60 * SECOND), 60 * SECOND, vec![step]);
            plan.loads[0].iterations = Some(1);
            plan.layout.requests = vec!["none".into()];
            let began = Instant::now();
            during(engine(plan, 1), async |running| running.finished().await);
            began.elapsed().as_secs_f64() / f64::from(TURNS)
        };
        (0..5).map(|_| once()).fold(f64::MAX, f64::min)
    });
    (millis as f64 / 1e3 / each) as u32
}

/// On one core.
fn run_alone(plan: plimsoll_plan::Plan) -> Snapshot {
    run_with(plan, plimsoll_engine::Materials::default(), 1)
}

/// Of the time in which arrivals waited, the share that was put down to one cause.
fn share(held: Held, cause: u64) -> f64 {
    let Held { generator, target, connections, limits } = held;
    cause as f64 / (generator + target + connections + limits).max(1) as f64
}

#[test]
fn a_core_without_time_left_holds_its_arrivals_up_itself() {
    let _alone = alone();
    let server = server(vec![Route::at("/")]);
    // 3 ms each, a thousand a second: three times as many as a core can do, if it has nothing else.
    let mut plan = plan(server.addr(), rate(1000, 2 * SECOND, 10_000), 2 * SECOND, costly(3));
    plan.graceful_stop = 20 * SECOND;
    let began = Instant::now();
    let snapshot = run_alone(plan);
    let counts = totals(&snapshot);
    assert_eq!(
        (snapshot.health.due, counts.sent + counts.unsent),
        (2000, 2000),
        "nothing is dropped silently"
    );
    assert_eq!(server.stats().received(), counts.sent);
    let late = snapshot.health.lateness.percentile(9900, 0).finite().unwrap();
    let lag = snapshot.health.lag.percentile(9900, 0).finite().unwrap();
    assert!(late > 100 * MILLI && lag > 100 * MILLI, "{late} {lag}");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

#[test]
fn a_core_that_is_full_and_has_no_time_left_is_not_put_down_to_the_target() {
    let _alone = alone();
    let server = server(vec![Route::at("/")]);
    let plan = plan(server.addr(), rate(1000, 2 * SECOND, 20), 2 * SECOND, costly(3));
    let snapshot = run_alone(plan);
    let health = &snapshot.health;
    assert!(health.delivered < 1500 && health.due == 2000, "{} of {}", health.delivered, health.due);
    assert!(share(health.held, health.held.generator) > 0.8, "{:?}", health.held);
    // What it carried in that time is what it can: a third of what was asked for, or less where the machine has other work.
    let carried = health.carried as f64 / (health.held.generator as f64 / SECOND as f64);
    assert!((50.0..600.0).contains(&carried), "{carried}");
    assert_eq!(health.cores, health.wall, "one core");
}

#[test]
fn a_slow_target_holds_arrivals_up_whatever_the_generator_does() {
    let _alone = alone();
    let server = server(vec![Route { latency: Latency::Constant(100.0), ..Route::at("/") }]);
    // Ten at once of a tenth of a second: half of what is asked for.
    let snapshot =
        run_alone(plan(server.addr(), rate(200, 2 * SECOND, 10), 2 * SECOND, vec![http(get("/"))]));
    let health = &snapshot.health;
    assert!(health.delivered < 300, "{}", health.delivered);
    assert!(share(health.held, health.held.target) > 0.9, "{:?}", health.held);
    assert_eq!(health.carried * 10 / health.due, 0, "{}", health.carried);
}

#[test]
fn connections_that_are_all_in_use_hold_up_what_was_begun() {
    let _alone = alone();
    let server = server(vec![Route { latency: Latency::Constant(100.0), ..Route::at("/") }]);
    let mut plan = plan(server.addr(), rate(200, 2 * SECOND, 10_000), 2 * SECOND, vec![http(get("/"))]);
    plan.target.connections.max = Some(10);
    let snapshot = run_alone(plan);
    let health = &snapshot.health;
    assert!(share(health.held, health.held.connections) > 0.9, "{:?}", health.held);
    let late = health.lateness.percentile(9000, 0).finite().unwrap();
    assert!(late > 500 * MILLI, "they are late, and it is not the generator: {late}");
}

#[test]
fn places_in_capped_steps_hold_up_those_behind() {
    let _alone = alone();
    let server = server(vec![Route { latency: Latency::Constant(100.0), ..Route::at("/") }]);
    let (mut step, mut metrics) = (http(get("/")), Metrics::default());
    step.limit = Some(0);
    let mut plan = plan(server.addr(), rate(200, 2 * SECOND, 50), 2 * SECOND, vec![step]);
    let waiting = metrics.add("waiting", MetricKind::Trend);
    plan.script.limits = vec![Limit { name: "cap".into(), max: 5, waiting }];
    metrics.put(&mut plan);
    let snapshot = run_alone(plan);
    let health = &snapshot.health;
    assert!(health.delivered < 300, "{}", health.delivered);
    assert!(share(health.held, health.held.limits) > 0.9, "{:?}", health.held);
}

#[test]
fn a_healthy_run_is_held_up_by_nothing() {
    let _alone = alone();
    let server = server(vec![Route { latency: Latency::Constant(20.0), ..Route::at("/") }]);
    let snapshot =
        run_alone(plan(server.addr(), rate(100, 2 * SECOND, 100), 2 * SECOND, vec![http(get("/"))]));
    let health = &snapshot.health;
    assert_eq!((health.due, health.delivered), (200, 200));
    assert!(health.held.target + health.held.connections + health.held.limits == 0, "{:?}", health.held);
    let looks = health.lag.count();
    assert!((190..=205).contains(&looks), "a hundred looks a second: {looks}");
}

#[test]
fn what_was_never_begun_is_counted_at_the_end_and_only_what_is_in_flight_gets_time() {
    let _alone = alone();
    let server = server(vec![Route { latency: Latency::Constant(300.0), ..Route::at("/") }]);
    let mut plan = plan(server.addr(), rate(100_000, SECOND, 20), SECOND, vec![http(get("/"))]);
    plan.graceful_stop = 30 * SECOND;
    let began = Instant::now();
    let snapshot = run_alone(plan);
    let counts = totals(&snapshot);
    assert_eq!((counts.sent + counts.unsent, counts.unfinished), (100_000, 0));
    assert!(counts.unsent > 99_000, "{}", counts.unsent);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    // Those in flight at the end were answered while the others were counted.
    let latest = cell(&snapshot, 0).service.max().unwrap();
    assert!(latest < 600 * MILLI, "{latest}");
}

#[test]
fn a_saturated_closed_loop_of_fifty_users_is_not_late_and_one_of_costly_users_is() {
    let _alone = alone();
    let server = server(vec![Route::at("/")]);
    let lag = |steps| {
        let snapshot = run_alone(plan(server.addr(), users(50, 2 * SECOND), 2 * SECOND, steps));
        assert_eq!(snapshot.health.held, Held::default(), "users have no schedule");
        snapshot.health.lag.percentile(9900, 0).finite().unwrap()
    };
    let healthy = lag(vec![http(get("/"))]);
    assert!(healthy < 10 * MILLI, "{healthy}");
    // Fifty users of 2 ms each: whatever is ready waits for up to fifty others.
    let queued = lag(costly(2));
    assert!(queued > 20 * MILLI, "{queued}");
}

#[test]
fn arrivals_without_a_row_of_data_are_counted_apart() {
    let _shared = among_others();
    let server = server(vec![]);
    let mut plan = plan(server.addr(), rate(100, SECOND, 50), SECOND, vec![]);
    plan.script.data = vec![plimsoll_scenario::Data {
        name: "rows".into(),
        from: plimsoll_scenario::VarSource::ConfigMap { name: "c".into(), key: "rows.csv".into() },
        format: plimsoll_scenario::DataFormat::Csv,
        pick: plimsoll_scenario::Pick::Sequential,
        once: true,
    }];
    let mut step = get("/${data.rows.id}");
    step.expect = vec![(404, 404)];
    plan.script.scenarios[0].action = Action::Steps(vec![http(step)]);
    let data = BTreeMap::from([("rows".to_owned(), b"id\n1\n2\n3\n".to_vec())]);
    let snapshot = run_with(plan, plimsoll_engine::Materials { data, ..Default::default() }, 1);
    let health = &snapshot.health;
    assert_eq!((health.due, health.delivered, health.no_data), (100, 3, 97));
}
