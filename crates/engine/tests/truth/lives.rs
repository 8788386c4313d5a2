//! A user's life: state, onStart, iterations, onStop; what it remembers, the rows it sees, and how it ends.

use std::collections::BTreeMap;

use plimsoll_engine::Materials;
use plimsoll_plan::{Load, Ramp};
use plimsoll_scenario::{
    Action, Data, DataFormat, Field, HttpStep, OnFailure, Pick, Step, StepAction, VarSource,
};
use plimsoll_testbed::{Latency, Route, When};

use crate::script::*;
use crate::support::*;

#[test]
fn every_user_logs_in_once_and_its_own_token_flows() {
    let _shared = among_others();
    let server = start(aragora(true));
    let mut plan = a_few(server.addr(), 7, 100, bearer("user.token", get("/api/debates")));
    let mut metrics = Metrics::default();
    let user = &mut plan.script.scenarios[0];
    user.on_start = vec![login(&mut metrics, 1)];
    user.on_stop =
        vec![http(named(2, bearer("user.token", post("/api/auth/logout", serde_json::json!({})))))];
    metrics.put(&mut plan);
    let snapshot = run(plan);
    let counts = totals(&snapshot);
    let sent = [0, 1, 2].map(|request| sent_in(&snapshot, request, 0));
    assert_eq!((sent, counts.failed), ([100, 7, 7], 0), "{:?}", snapshot.failures);
    let stats = server.stats().aragora;
    assert_eq!((stats.logins, stats.logouts, stats.unauthorized), (7, 7, 0));
    assert_eq!(server.stats().received(), 114);
}

#[test]
fn a_user_whose_start_fails_ends_and_does_nothing_at_its_end() {
    let _shared = among_others();
    let errors = plimsoll_testbed::Errors { when: When::Every(2), status: 500 };
    let server = server(vec![
        Route { errors: Some(errors), ..Route::at("/start") },
        Route::at("/"),
        Route::at("/stop"),
    ]);
    let mut plan = plan(server.addr(), users(6, SECOND / 2), SECOND / 2, vec![http(get("/"))]);
    plan.layout.requests = ["/", "/start", "/stop"].map(str::to_owned).into();
    let mut start = http(named(1, get("/start")));
    start.on_failure = OnFailure::EndUser;
    let user = &mut plan.script.scenarios[0];
    (user.on_start, user.on_stop) = (vec![start], vec![http(named(2, get("/stop")))]);
    user.wait = wait(100);
    let snapshot = run(plan);
    let sent = [0, 1, 2].map(|request| sent_in(&snapshot, request, 0));
    assert!(sent[0] >= 9 && sent[1..] == [6, 3], "{sent:?}");
    assert_eq!(server.stats().received(), totals(&snapshot).sent);
}

#[test]
fn a_retired_user_ends_in_good_order_if_its_grace_allows() {
    let _alone = alone();
    let server =
        server(vec![Route::at("/"), Route { latency: Latency::Constant(100.0), ..Route::at("/stop") }]);
    let ramps =
        vec![Ramp { duration: SECOND / 5, from: 3, to: 3 }, Ramp { duration: SECOND / 2, from: 1, to: 1 }];
    for (grace, complete) in [(SECOND, 3), (SECOND / 50, 1)] {
        let load = Load::Closed { users: ramps.clone() };
        let mut plan = plan(server.addr(), load, 7 * SECOND / 10, vec![http(get("/"))]);
        plan.layout.requests.push("stop".into());
        plan.script.scenarios[0].wait = wait(20);
        plan.script.scenarios[0].on_stop = vec![http(named(1, get("/stop")))];
        plan.loads[0].graceful_ramp_down = grace;
        let snapshot = run(plan);
        let stop = &cell(&snapshot, 1).counts;
        assert_eq!((stop.sent, stop.complete), (3, complete), "{grace}");
    }
}

#[test]
fn state_is_the_users_own_and_goes_on_over_iterations() {
    let _shared = among_others();
    let server = server(vec![Route::at("/")]);
    let step = HttpStep { path: "/${user.n}/${run.user}".into(), ..get("/") };
    let expect = vec![(404, 404)];
    let mut plan = a_few(server.addr(), 3, 30, HttpStep { expect, ..step });
    let mut metrics = Metrics::default();
    plan.script.scenarios[0].state = vec![metrics.assign("n", "run.user * 100")];
    let Action::Steps(steps) = &mut plan.script.scenarios[0].action else { panic!() };
    steps[0].sets = vec![metrics.assign("n", "user.n + 1")];
    plan.script.scenarios[0].wait = wait(5);
    metrics.put(&mut plan);
    let snapshot = run(plan);
    assert_eq!(totals(&snapshot).sent, 30);
    let paths = server.stats().paths;
    // Every user asked for each of its numbers once, from its first on.
    for user in 0..3_u64 {
        let mine: Vec<u64> = paths
            .iter()
            .filter_map(|(path, stats)| {
                let (number, whose) = path.trim_start_matches('/').split_once('/')?;
                assert_eq!(stats.received, 1, "{path}");
                (whose == user.to_string()).then(|| number.parse::<u64>().unwrap())
            })
            .collect();
        let mut sorted = mine.clone();
        sorted.sort_unstable();
        let expected: Vec<u64> = (user * 100..user * 100 + mine.len() as u64).collect();
        assert_eq!(sorted, expected);
    }
}

#[test]
fn every_arrival_begins_afresh() {
    let _shared = among_others();
    let server = start(aragora(false));
    let mut metrics = Metrics::default();
    let mut create = http(post("/api/debate", serde_json::json!({"task": "t", "agents": ["echo", "echo"]})));
    create.when = Some(metrics.condition("when", "!has(user.id)"));
    create.captures = vec![metrics.assign("id", "body.debate_id")];
    let read = http(named(1, get("/api/debates/${user.id}")));
    let mut plan = plan(server.addr(), rate(100, SECOND, 50), SECOND, vec![create, read]);
    plan.script.scenarios[0].state = vec![];
    metrics.put(&mut plan);
    let snapshot = run(plan);
    let counts = totals(&snapshot);
    assert_eq!((counts.sent, counts.failed), (200, 0), "{:?}", snapshot.failures);
    assert_eq!(server.stats().aragora.debates_created, 100);
    assert_eq!((snapshot.health.due, snapshot.health.delivered), (100, 100));
}

#[test]
fn arrivals_whose_steps_are_left_out_were_served() {
    let _shared = among_others();
    let server = server(vec![Route::at("/")]);
    let mut metrics = Metrics::default();
    let mut step = http(get("/"));
    step.when = Some(metrics.condition("when", "run.user % 2 == 0"));
    let mut plan = plan(server.addr(), rate(100, SECOND, 50), SECOND, vec![step]);
    metrics.put(&mut plan);
    let snapshot = run(plan);
    assert_eq!((snapshot.total().sent, server.stats().received()), (50, 50));
    assert_eq!((snapshot.health.due, snapshot.health.delivered), (100, 100));
}

#[test]
fn arrivals_whose_first_request_is_due_after_the_end_have_not_failed() {
    let _shared = among_others();
    let server = server(vec![Route::at("/")]);
    let pause = Step::new("here", StepAction::Pause(wait(400).unwrap()));
    let plan = plan(server.addr(), rate(100, SECOND, 50), SECOND, vec![pause, http(get("/"))]);
    let snapshot = run(plan);
    let counts = snapshot.total();
    assert_eq!(
        (counts.sent, counts.failed, server.stats().received()),
        (60, 0, 60),
        "{:?}",
        snapshot.failures
    );
    assert_eq!((snapshot.health.due, snapshot.health.delivered), (100, 100));
}

#[test]
fn arrivals_without_data_are_not_delivered() {
    let _shared = among_others();
    let server = server(vec![]);
    let mut plan = plan(server.addr(), rate(100, SECOND, 50), SECOND, vec![http(get("/"))]);
    let materials = rows(&mut plan, table(Pick::Sequential, true), 30);
    let snapshot = run_with(plan, materials, 1);
    assert_eq!((snapshot.total().sent, server.stats().received()), (30, 30));
    assert_eq!((snapshot.health.due, snapshot.health.delivered), (100, 30));
}

fn table(pick: Pick, once: bool) -> Data {
    let from = VarSource::ConfigMap { name: "c".into(), key: "rows.csv".into() };
    Data { name: "rows".into(), from, format: DataFormat::Csv, pick, once }
}

/// Asks for `/ROW` of a table of so many rows.
fn rows(plan: &mut plimsoll_plan::Plan, data: Data, count: usize) -> Materials {
    plan.script.data = vec![data];
    let step = HttpStep { path: "/${data.rows.id}".into(), expect: vec![(404, 404)], ..get("/") };
    plan.script.scenarios[0].action = Action::Steps(vec![http(step)]);
    let text = (0..count).fold("id\n".to_owned(), |text, row| text + &row.to_string() + "\n");
    Materials { data: BTreeMap::from([("rows".to_owned(), text.into_bytes())]), ..Materials::default() }
}

#[test]
fn rows_in_order_are_each_used_once_over_all_users_and_cores() {
    let _shared = among_others();
    let server = server(vec![]);
    let mut plan = plan(server.addr(), users(4, 20 * SECOND), 20 * SECOND, vec![http(get("/"))]);
    plan.script.scenarios[0].wait = wait(1);
    let materials = rows(&mut plan, table(Pick::Sequential, true), 101);
    let snapshot = run_with(plan, materials, 2);
    assert_eq!(totals(&snapshot).sent, 101);
    let paths = server.stats().paths;
    assert!((0..101).all(|row| paths[&format!("/{row}")].received == 1));
    assert!(snapshot.health.wall < 10 * SECOND, "the users end with the rows");
}

#[test]
fn rows_begin_anew_or_belong_to_a_user() {
    let _shared = among_others();
    let server = server(vec![]);
    let mut plan = a_few(server.addr(), 1, 30, get("/"));
    let materials = rows(&mut plan, table(Pick::Sequential, false), 10);
    run_with(plan, materials, 1);
    assert!((0..10).all(|row| server.stats().paths[&format!("/{row}")].received == 3));
    server.reset_stats();
    let mut plan = a_few(server.addr(), 4, 40, get("/"));
    plan.script.scenarios[0].wait = wait(1);
    let materials = rows(&mut plan, table(Pick::PerUser, false), 4);
    run_with(plan, materials, 2);
    assert_eq!(server.stats().paths.len(), 4);
}

#[test]
fn a_request_that_cannot_be_made_is_not_sent_and_says_why() {
    let _shared = among_others();
    let server = server(vec![Route::at("/")]);
    let mut plan = a_few(server.addr(), 1, 5, get("/"));
    let mut metrics = Metrics::default();
    let mut never = Step::new("test never", StepAction::Nothing);
    never.chance = Some(0);
    never.captures = vec![metrics.assign("token", "'x'")];
    let headers = vec![Field { name: "authorization".into(), value: "Bearer ${user.token}".into() }];
    let step = http(HttpStep { headers, ..get("/") });
    plan.script.scenarios[0].action = Action::Steps(vec![never, step]);
    metrics.put(&mut plan);
    let snapshot = run(plan);
    let counts = totals(&snapshot);
    assert_eq!((counts.sent, counts.not_sent, server.stats().received()), (0, 5, 0));
    assert_eq!(of_class(&counts, plimsoll_measure::ErrorClass::Protocol), 5);
    let [failure] = snapshot.failures.as_slice() else { panic!("{:?}", snapshot.failures) };
    assert!(failure.count == 5 && failure.example.contains("token"), "{failure:?}");
    assert_eq!(snapshot.health.connections, 1, "the connection is kept");
}
