//! Setup, timeline and teardown: once per run, by the first worker, counted apart.

use std::sync::Arc;
use std::time::{Duration, Instant};

use plimsoll_engine::{Engine, Materials, Running, prepare};
use plimsoll_measure::Snapshot;
use plimsoll_plan::Plan;
use plimsoll_scenario::{Call, OnFailure};
use plimsoll_testbed::{Latency, Route, Testbed};

use crate::script::*;
use crate::support::*;

const HOOKS: u16 = 1;

/// Runs all workers of a plan in turn of their indexes, as a worker process would each.
fn run_all(plan: Plan) -> Snapshot {
    let plan = Arc::new(plan);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut engines: Vec<Engine> = (0..plan.workers)
            .map(|index| prepare(plan.clone().share(index).unwrap(), Materials::default(), Some(1)).unwrap())
            .collect();
        let mut captured = None;
        for engine in &mut engines {
            captured = captured.or(engine.setup().await.unwrap());
        }
        let start = Instant::now();
        let mut runs: Vec<Running> =
            engines.into_iter().map(|engine| engine.launch(start, captured.as_deref()).unwrap()).collect();
        let mut total = Snapshot::default();
        for running in &mut runs {
            running.finished().await;
            total.merge(&running.take().await);
            assert_eq!(running.fault(), None);
        }
        total
    })
}

#[test]
fn what_setup_captures_reaches_every_user_of_every_worker_and_teardown_undoes_it() {
    let _shared = among_others();
    let server = start(aragora(true));
    let mut metrics = Metrics::default();
    let mut plan = a_few(server.addr(), 6, 60, bearer("setup.token", get("/api/debates")));
    plan.workers = 2;
    plan.script.setup = vec![login(&mut metrics, 1)];
    let logout = bearer("setup.token", post("/api/auth/logout", serde_json::json!({})));
    plan.script.teardown = vec![http(named(2, logout))];
    metrics.put(&mut plan);
    let snapshot = run_all(plan);
    assert_eq!(snapshot.total().failed, 0, "{:?}", snapshot.failures);
    assert_eq!(
        (sent_in(&snapshot, 0, 0), sent_in(&snapshot, 1, HOOKS), sent_in(&snapshot, 2, HOOKS)),
        (60, 1, 1)
    );
    let stats = server.stats();
    assert_eq!((stats.aragora.logins, stats.aragora.logouts), (1, 1));
    assert_eq!(stats.received(), snapshot.total().sent);
    let asked: u64 = snapshot.series.iter().map(|second| second.asked).sum();
    assert_eq!(asked, 60, "hooks are in no series");
}

fn failing_setup(server: &Testbed, on_failure: OnFailure) -> Plan {
    let mut plan = a_few(server.addr(), 1, 3, get("/"));
    let mut metrics = Metrics::default();
    let mut step = http(named(1, get("/missing")));
    (step.on_failure, step.at) = (on_failure, "spec.setup[0]".into());
    step.captures = vec![metrics.assign("x", "body.x")];
    plan.script.setup = vec![step, http(named(2, get("/")))];
    metrics.put(&mut plan);
    plan
}

#[test]
fn a_setup_that_fails_says_where_and_why_and_one_that_may_goes_on() {
    let _shared = among_others();
    let server = server(vec![Route::at("/")]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut strict = engine(failing_setup(&server, OnFailure::EndUser), 1);
    let error = runtime.block_on(strict.setup()).unwrap_err().to_string();
    assert!(error.contains("spec.setup[0]") && error.contains("status 404"), "{error}");
    assert_eq!(strict.take().total().sent, 1);
    let mut lenient = engine(failing_setup(&server, OnFailure::Continue), 1);
    assert_eq!(runtime.block_on(lenient.setup()).unwrap().as_deref(), Some("{}"));
    assert_eq!(lenient.take().total().sent, 2);
}

#[test]
fn a_setup_that_is_given_up_ends() {
    let _shared = among_others();
    let server = server(vec![Route { latency: Latency::Constant(300.0), ..Route::at("/") }]);
    let mut plan = a_few(server.addr(), 1, 1, get("/"));
    let mut step = http(get("/"));
    step.repeat = repeat(10, 0);
    plan.script.setup = vec![step];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut engine = engine(plan, 1);
    runtime.block_on(async {
        assert!(tokio::time::timeout(Duration::from_millis(100), engine.setup()).await.is_err());
    });
    assert!(server.wait_until_idle(Duration::from_secs(5)));
    // Ten of them would still be under way.
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!((server.stats().received(), server.stats().connections.open), (1, 0));
}

#[test]
fn calls_are_made_at_their_times_beside_the_load() {
    let _alone = alone();
    let server = server(vec![Route::at("/"), Route::at("/call")]);
    let mut plan = plan(server.addr(), users(1, SECOND), SECOND, vec![http(get("/"))]);
    plan.script.scenarios[0].wait = wait(10);
    let call = |at: u64| Call { at: at * MILLI, step: http(named(1, get("/call"))) };
    plan.script.timeline = vec![call(200), call(450), call(5000)];
    Metrics::default().put(&mut plan);
    let snapshot = run_all(plan);
    assert_eq!(sent_in(&snapshot, 1, HOOKS), 2, "the third would come after the end");
    let first = server.log("/").entries[0].arrival_us;
    let calls: Vec<u64> =
        server.log("/call").entries.iter().map(|entry| (entry.arrival_us - first) / 1000).collect();
    assert!((198..230).contains(&calls[0]) && (448..480).contains(&calls[1]), "{calls:?}");
}

#[test]
fn a_call_that_pauses_does_not_hold_up_the_end() {
    let _shared = among_others();
    let server = server(vec![Route::at("/")]);
    let mut plan = plan(server.addr(), users(1, SECOND / 5), SECOND / 5, vec![http(get("/"))]);
    plan.script.scenarios[0].wait = wait(20);
    plan.script.timeline = vec![Call { at: 0, step: pause(60_000) }];
    plan.script.teardown = vec![http(named(1, get("/")))];
    Metrics::default().put(&mut plan);
    let begun = Instant::now();
    assert_eq!(sent_in(&run_all(plan), 1, HOOKS), 1);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn teardown_comes_after_a_stop_and_not_after_a_kill() {
    let _shared = among_others();
    let server =
        server(vec![Route { latency: Latency::Constant(200.0), ..Route::at("/slow") }, Route::at("/down")]);
    for (kill, torn_down) in [(false, 1), (true, 0)] {
        server.reset_stats();
        let mut plan = plan(server.addr(), users(2, 60 * SECOND), 60 * SECOND, vec![http(get("/slow"))]);
        plan.script.teardown = vec![http(named(1, get("/down")))];
        Metrics::default().put(&mut plan);
        let snapshot = during(engine(plan, 1), async |running| {
            while server.stats().received() < 2 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            if kill {
                running.kill();
            } else {
                running.stop();
            }
            running.finished().await;
            assert!(running.loaded().is_some());
        });
        assert_eq!(sent_in(&snapshot, 1, HOOKS), torn_down);
        let log = server.log("/down").entries;
        if let Some(down) = log.first() {
            let last =
                server.log("/slow").entries.iter().map(|e| e.arrival_us + u64::from(e.duration_us)).max();
            assert!(down.arrival_us >= last.unwrap(), "the load is over by then");
        }
    }
}

#[test]
fn a_run_that_does_not_start_is_torn_down() {
    let _shared = among_others();
    let server = server(vec![Route::at("/"), Route::at("/up"), Route::at("/down")]);
    let mut plan = a_few(server.addr(), 1, 3, get("/"));
    plan.script.setup = vec![http(named(1, get("/up")))];
    plan.script.timeline = vec![Call { at: 0, step: http(get("/")) }];
    plan.script.teardown = vec![http(named(2, get("/down")))];
    Metrics::default().put(&mut plan);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut engine = engine(plan, 1);
        let captured = engine.setup().await.unwrap();
        engine.give_up(captured.as_deref()).unwrap().finished().await;
    });
    let paths = server.stats().paths;
    assert_eq!((paths["/up"].received, paths["/down"].received, server.stats().received()), (1, 1, 2));
}
