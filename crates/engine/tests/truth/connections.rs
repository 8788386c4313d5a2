//! The connection policy: own or pooled, limits, age, and connections that the server closes.

use std::time::Duration;

use plimsoll_plan::ConnectionsPer;
use plimsoll_testbed::{Config, Latency, Route};

use crate::support::*;

#[test]
fn every_user_keeps_one_connection() {
    let _shared = among_others();
    // Slow enough that no user does the work of the others before they have begun.
    let server = server(vec![Route { latency: Latency::Constant(5.0), ..Route::at("/") }]);
    let snapshot = run(a_few(server.addr(), 8, 200, get("/")));
    assert_eq!((totals(&snapshot).failed, snapshot.health.connections), (0, 8));
    assert_eq!(server.stats().connections.accepted, 8);
}

#[test]
fn a_pool_opens_no_more_than_its_limit_and_nobody_starves() {
    let _shared = among_others();
    let server = server(vec![Route { latency: Latency::Constant(5.0), ..Route::at("/") }]);
    for per in [ConnectionsPer::Worker, ConnectionsPer::User] {
        server.reset_stats();
        let mut plan = a_few(server.addr(), 12, 120, get("/"));
        plan.target.connections.per = per;
        plan.target.connections.max = Some(4);
        let counts = totals(&run(plan));
        assert_eq!((counts.complete, counts.failed), (120, 0), "{per:?}");
        let stats = server.stats();
        assert!(stats.connections.peak <= 4, "{per:?}: {:?}", stats.connections);
        assert_eq!(stats.received(), 120);
    }
}

#[test]
fn connections_wear_out_by_requests_and_by_age() {
    let _shared = among_others();
    let server = server(vec![Route::at("/")]);
    let mut plan = a_few(server.addr(), 1, 40, get("/"));
    plan.target.connections.max_requests = Some(5);
    let snapshot = run(plan);
    assert_eq!((totals(&snapshot).failed, snapshot.health.connections), (0, 8));

    let mut plan = plan_of_waits(&server);
    plan.target.connections.max_age = Some(100 * MILLI);
    let snapshot = run(plan);
    assert_eq!(totals(&snapshot).failed, 0);
    assert!((4..=6).contains(&snapshot.health.connections), "{}", snapshot.health.connections);
}

/// One user, ten requests, 50 ms apart.
fn plan_of_waits(server: &plimsoll_testbed::Testbed) -> plimsoll_plan::Plan {
    let mut plan = a_few(server.addr(), 1, 10, get("/"));
    plan.script.scenarios[0].wait = wait(50);
    plan
}

#[test]
fn a_connection_that_the_server_closed_while_idle_is_replaced_without_a_failure() {
    let _shared = among_others();
    let server = start(Config { routes: vec![Route::at("/")], keep_alive_requests: 3, ..quiet() });
    let snapshot = run(plan_of_waits(&server));
    let counts = totals(&snapshot);
    assert_eq!((counts.sent, counts.failed, snapshot.health.connections), (10, 0, 4));
    assert_eq!(server.stats().received(), 10);
}

#[test]
fn an_idle_connection_found_closed_costs_a_new_one_and_no_request() {
    let _shared = among_others();
    let server = server(vec![Route::at("/")]);
    let address = server.addr();
    let mut plan = a_few(address, 1, 2, get("/"));
    plan.script.scenarios[0].wait = wait(400);
    let mut server = Some(server);
    let mut second = None;
    let snapshot = during(engine(plan, 1), async |running| {
        while server.as_ref().is_some_and(|server| server.stats().received() < 1) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // The user waits; its connection is closed meanwhile, and another server takes the address.
        drop(server.take());
        second = Some(start(Config { routes: vec![Route::at("/")], listen: vec![address], ..quiet() }));
        running.finished().await;
    });
    let counts = totals(&snapshot);
    assert_eq!((counts.sent, counts.complete, snapshot.health.connections), (2, 2, 2));
    assert_eq!(second.unwrap().stats().received(), 1);
}
