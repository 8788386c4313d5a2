//! Every way in which a request can fail, in its class; `sent` is what the server received.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use plimsoll_engine::{Materials, prepare};
use plimsoll_measure::{Counts, ErrorClass};
use plimsoll_plan::{ConnectionsPer, Load, Preflight};
use plimsoll_scenario::HttpStep;
use plimsoll_testbed::{Body, Errors, Route, When};

use crate::support::*;

/// A hundred requests of five users, `bad` of them failed with this class.
fn expect_class(route: Route, step: HttpStep, class: ErrorClass, bad: u64) -> Counts {
    let server = server(vec![route]);
    let counts = totals(&run(a_few(server.addr(), 5, 100, step)));
    assert_eq!((counts.sent, counts.not_sent), (100, 0));
    assert_eq!((of_class(&counts, class), counts.failed), (bad, bad), "{counts:?}");
    assert_eq!(server.stats().received(), 100);
    counts
}

#[test]
fn unexpected_statuses_are_complete_but_failed() {
    let _shared = among_others();
    let errors = Some(Errors { when: When::Every(4), status: 503 });
    let counts = expect_class(Route { errors, ..Route::at("/") }, get("/"), ErrorClass::Status, 25);
    assert_eq!((counts.complete, counts.statuses[&200], counts.statuses[&503]), (100, 75, 25));
}

#[test]
fn expected_statuses_are_the_steps() {
    let _shared = among_others();
    let route = Route { status: Some(404), ..Route::at("/") };
    expect_class(route, HttpStep { expect: vec![(404, 404)], ..get("/") }, ErrorClass::Status, 0);
}

#[test]
fn stalls_are_timeouts() {
    let _shared = among_others();
    let route = Route { stall: Some(When::Every(10)), ..Route::at("/") };
    let step = HttpStep { timeout: 200 * MILLI, ..get("/") };
    let counts = expect_class(route, step, ErrorClass::Timeout, 10);
    assert_eq!((counts.complete, counts.incomplete, counts.unfinished), (90, 10, 0));
}

#[test]
fn resets_are_resets() {
    let _shared = among_others();
    let route = Route { reset: Some(When::Every(5)), ..Route::at("/") };
    let counts = expect_class(route, get("/"), ErrorClass::Reset, 20);
    assert_eq!((counts.complete, counts.incomplete), (80, 20));
}

#[test]
fn truncated_bodies_are_bodies_that_fail() {
    let _shared = among_others();
    for chunked in [false, true] {
        let truncate = Some(When::Every(2));
        let route = Route { truncate, chunked, body: Body::Bytes(20_000), ..Route::at("/") };
        let counts = expect_class(route, get("/"), ErrorClass::Body, 50);
        assert_eq!(counts.complete, 50);
    }
}

#[test]
fn a_port_without_a_server_is_not_sent() {
    let _shared = among_others();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut plan = a_few(free, 2, 10, get("/"));
    plan.target.preflight = Preflight::Skip;
    let snapshot = run(plan);
    let counts = totals(&snapshot);
    assert_eq!((counts.sent, counts.not_sent, of_class(&counts, ErrorClass::Connect)), (0, 10, 10));
    assert_eq!((snapshot.health.no_ports, snapshot.health.connections), (0, 0));
}

#[test]
fn a_name_that_does_not_resolve_is_not_sent() {
    let _shared = among_others();
    let mut plan = a_few(SocketAddr::from(([127, 0, 0, 1], 9)), 1, 2, get("/"));
    // A label of 70 characters is no name; nothing is asked of any server.
    plan.target.host = format!("{}.invalid", "x".repeat(70));
    let counts = totals(&run(plan));
    assert_eq!((counts.not_sent, of_class(&counts, ErrorClass::Dns)), (2, 2));
}

/// A server of one connection at a time that answers whatever it gets with these bytes and closes.
fn rude(answer: &'static [u8], connections: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().take(connections) {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(answer);
        }
    });
    address
}

#[test]
fn what_is_not_http_is_a_breach_of_protocol() {
    let _shared = among_others();
    let mut plan = a_few(rude(b"220 mail.test ESMTP\r\n", 3), 1, 3, get("/"));
    plan.target.preflight = Preflight::Skip;
    let counts = totals(&run(plan));
    assert_eq!((counts.sent, of_class(&counts, ErrorClass::Protocol)), (3, 3));
}

#[test]
fn a_connection_closed_without_a_word_is_a_reset_and_a_body_until_close_is_complete() {
    let _shared = among_others();
    let mut plan = a_few(rude(b"", 3), 1, 3, get("/"));
    plan.target.preflight = Preflight::Skip;
    let counts = totals(&run(plan.clone()));
    assert_eq!((counts.sent, of_class(&counts, ErrorClass::Reset)), (3, 3));
    plan.target.port = rude(b"HTTP/1.0 200 OK\r\n\r\nall there is", 3).port();
    let counts = totals(&run(plan));
    assert_eq!((counts.sent, counts.complete, counts.failed), (3, 3, 0));
}

#[test]
fn what_still_connects_at_the_end_was_tried_and_failed_to_connect() {
    let _shared = among_others();
    // Takes connections and never answers a handshake.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for (per, load) in [
        (ConnectionsPer::User, rate(100, SECOND / 2, 1000)),
        (ConnectionsPer::Worker, rate(100, SECOND / 2, 1000)),
        (ConnectionsPer::User, users(50, SECOND / 2)),
    ] {
        let users_only = matches!(load, Load::Closed { .. });
        let mut plan = plan(silent.local_addr().unwrap(), load, SECOND / 2, vec![http(get("/"))]);
        plan.target.scheme = "https".into();
        plan.target.preflight = Preflight::Skip;
        plan.target.connections.per = per;
        plan.graceful_stop = SECOND / 2;
        let snapshot = run(plan);
        let counts = totals(&snapshot);
        assert_eq!((counts.not_sent, counts.unsent, counts.sent), (50, 0, 0), "{per:?}");
        assert_eq!(of_class(&counts, ErrorClass::Connect), 50, "{per:?}");
        // Users have no schedule to be behind of.
        let due = if users_only { 0 } else { 50 };
        assert_eq!((snapshot.health.due, snapshot.health.delivered), (due, due), "{per:?}");
    }
}

#[test]
fn preflight_names_what_is_wrong_within_two_seconds() {
    let _shared = among_others();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let plan = a_few(free, 1, 1, get("/"));
    let refused = runtime.block_on(engine(plan, 1).preflight()).unwrap_err().to_string();
    assert!(refused.contains(&free.to_string()) && refused.contains("refused"), "{refused}");

    // A listener that accepts and says nothing: TLS gets no answer.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut plan = a_few(silent.local_addr().unwrap(), 1, 1, get("/"));
    plan.target.scheme = "https".into();
    let begun = Instant::now();
    let engine = prepare(whole(plan.clone()), Materials::default(), Some(1)).unwrap();
    let mute = runtime.block_on(engine.preflight()).unwrap_err().to_string();
    assert!(mute.contains("2 s"), "{mute}");
    assert!((Duration::from_secs(2)..Duration::from_secs(10)).contains(&begun.elapsed()));
    plan.target.preflight = Preflight::Skip;
    let engine = prepare(whole(plan), Materials::default(), Some(1)).unwrap();
    runtime.block_on(engine.preflight()).unwrap();
}
