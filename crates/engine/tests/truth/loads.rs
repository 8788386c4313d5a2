//! Several loads in one run: each with scenarios, time, model and iterations of its own.

use plimsoll_plan::{LoadGroup, Plan};
use plimsoll_scenario::Action;
use plimsoll_testbed::Route;

use crate::script::*;
use crate::support::*;

/// Adds a load of a scenario that asks for a path under a number.
fn add(plan: &mut Plan, request: u16, path: &str, load: LoadGroup) {
    let index = plan.script.scenarios.len();
    plan.script.scenarios.push(scenario(path, Action::Steps(vec![http(named(request, get(path)))])));
    plan.script.scenarios[index].wait = wait(20);
    plan.layout.requests.push(path.into());
    plan.duration = plan.duration.max(load.start + load.duration);
    plan.loads.push(LoadGroup { scenarios: vec![index], ..load });
}

#[test]
fn loads_begin_and_end_at_their_times_side_by_side() {
    let _alone = alone();
    let server = server(vec![Route::at("/users"), Route::at("/later"), Route::at("/rate")]);
    let mut plan = plan(server.addr(), users(2, SECOND), SECOND, vec![http(get("/users"))]);
    plan.script.scenarios[0].wait = wait(20);
    let group = plan.loads[0].clone();
    let later =
        LoadGroup { load: users(3, SECOND / 2), start: SECOND / 2, duration: SECOND, ..group.clone() };
    add(&mut plan, 1, "/later", later);
    let rate =
        LoadGroup { load: rate(200, SECOND / 2, 50), start: SECOND / 4, duration: SECOND / 2, ..group };
    add(&mut plan, 2, "/rate", rate);
    let snapshot = run(plan);
    let log = |path: &str| server.log(path).entries;
    let begun = log("/users")[0].arrival_us;
    let millis = |path: &str| -> (u64, u64) {
        let log = log(path);
        let at = |entry: &plimsoll_testbed::Entry| (entry.arrival_us - begun) / 1000;
        (at(log.first().unwrap()), at(log.last().unwrap()))
    };
    let (first, last) = millis("/later");
    assert!((490..540).contains(&first) && (1400..1520).contains(&last), "{first} {last}");
    let (first, last) = millis("/rate");
    assert!((245..290).contains(&first) && (700..780).contains(&last), "{first} {last}");
    assert!(millis("/users").1 < 1020);
    assert_eq!((sent_in(&snapshot, 2, 0), log("/rate").len()), (100, 100));
    assert_eq!((snapshot.health.due, snapshot.health.delivered), (100, 100));
    for (request, path) in [(0, "/users"), (1, "/later")] {
        assert_eq!(sent_in(&snapshot, request, 0), log(path).len() as u64);
    }
}

#[test]
fn iterations_are_those_of_their_load() {
    let _shared = among_others();
    let server = server(vec![Route::at("/a"), Route::at("/b"), Route::at("/c")]);
    let mut plan = a_few(server.addr(), 3, 40, get("/a"));
    let group = plan.loads[0].clone();
    add(&mut plan, 1, "/b", LoadGroup { iterations: Some(25), ..group.clone() });
    let rate = rate(500, 60 * SECOND, 50);
    add(&mut plan, 2, "/c", LoadGroup { load: rate, iterations: Some(30), ..group });
    let snapshot = run(plan);
    assert_eq!([0, 1, 2].map(|request| sent_in(&snapshot, request, 0)), [40, 25, 30]);
    assert_eq!(server.stats().received(), 95);
    assert!(snapshot.health.wall < 20 * SECOND, "the run ends with its loads");
}
