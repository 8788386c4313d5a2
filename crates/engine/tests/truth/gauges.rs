//! What a worker says that it is doing now: users, requests and connections, held against what the server has before it.

use std::time::Duration;

use plimsoll_measure::Gauges;
use plimsoll_plan::Load;
use plimsoll_testbed::{Latency, Route, Testbed};

use crate::support::*;

/// Takes what was measured once the server has so many requests, and says what the cores were doing then and after the end.
fn now_and_after(server: &Testbed, load: Load, requests: u64) -> (Gauges, Gauges) {
    let plan = plan(server.addr(), load, SECOND, vec![http(get("/slow"))]);
    let mut seen = (Gauges::default(), Gauges::default());
    during(engine(plan, 2), async |running| {
        while server.stats().received() < requests {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let _ = running.take().await;
        seen.0 = running.gauges();
        running.finished().await;
        let _ = running.take().await;
        seen.1 = running.gauges();
    });
    seen
}

#[test]
fn users_and_their_requests_are_counted_while_they_are_there() {
    let _shared = among_others();
    let server = server(vec![Route { latency: Latency::Constant(1200.0), ..Route::at("/slow") }]);
    let (now, after) = now_and_after(&server, users(5, SECOND), 5);
    assert_eq!((now.users, now.requests, now.connections), (5, 5, 5));
    assert_eq!((after.users, after.requests, after.connections), (0, 0, 0));
    assert!(now.cpu > 0 && after.cpu >= now.cpu, "{} {}", now.cpu, after.cpu);
}

#[test]
fn an_arrival_is_a_user_while_it_is_served() {
    let _shared = among_others();
    let server = server(vec![Route { latency: Latency::Constant(1200.0), ..Route::at("/slow") }]);
    // None is answered before the last of the ten is there.
    let (now, after) = now_and_after(&server, rate(10, SECOND, 100), 10);
    assert_eq!((now.users, now.requests, now.connections), (10, 10, 10));
    assert_eq!((after.users, after.requests), (0, 0));
}
