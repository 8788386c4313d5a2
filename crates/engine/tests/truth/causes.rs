//! Failures by cause, with an example of each; content that was not as expected; what is kept of bodies.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use plimsoll_engine::Materials;
use plimsoll_measure::{ErrorClass, Failure, Snapshot};
use plimsoll_plan::{HttpVersion, Plan, Preflight};
use plimsoll_scenario::{Action, Field, HttpStep, Var, VarSource};
use plimsoll_testbed::{Body, Route, When};

use crate::script::*;
use crate::support::*;

fn failure(snapshot: &Snapshot, class: ErrorClass) -> &Failure {
    let found = snapshot.failures.iter().find(|failure| failure.class == Some(class));
    found.unwrap_or_else(|| panic!("{class:?} is not among {:?}", snapshot.failures))
}

/// As many failures as failed requests.
fn total(snapshot: &Snapshot) -> u64 {
    let counted = snapshot.failures.iter().map(|failure| failure.count).sum();
    assert_eq!(totals(snapshot).failed, counted);
    counted
}

#[test]
fn an_unexpected_status_shows_how_its_body_begins_in_both_protocols() {
    let _shared = among_others();
    let text = format!("{{\"error\": \"{}\"}}", "busy ".repeat(100));
    for http in [HttpVersion::Http1, HttpVersion::Http2] {
        for chunked in [false, true] {
            let body = Body::Text(text.clone());
            let server =
                server(vec![Route { statuses: vec![200, 503, 401], body, chunked, ..Route::at("/") }]);
            let mut plan = a_few(server.addr(), 3, 30, get("/"));
            plan.target.http = http;
            let snapshot = run(plan);
            assert_eq!(total(&snapshot), 20);
            let busy = snapshot.failures.iter().find(|failure| failure.status == Some(503)).unwrap();
            assert_eq!(busy.count, 10);
            assert!(busy.example.starts_with("status 503: {\"error\": \"busy busy"), "{}", busy.example);
            assert!(busy.example.ends_with('…') && busy.example.len() < 230, "{}", busy.example);
        }
    }
}

#[test]
fn other_failures_say_what_happened() {
    let _shared = among_others();
    let stall = Route { stall: Some(When::Every(2)), ..Route::at("/stall") };
    let server = server(vec![stall, Route { reset: Some(When::After(0)), ..Route::at("/reset") }]);
    let mut plan = a_few(server.addr(), 1, 2, HttpStep { timeout: 150 * MILLI, ..get("/stall") });
    let Action::Steps(steps) = &mut plan.script.scenarios[0].action else { panic!() };
    steps.push(http(named(1, get("/reset"))));
    plan.layout.requests.push("reset".into());
    let snapshot = run(plan);
    assert_eq!(total(&snapshot), 3);
    assert_eq!(failure(&snapshot, ErrorClass::Timeout).example, "no complete response within 150ms");
    assert!(failure(&snapshot, ErrorClass::Reset).example.contains("reset"), "{:?}", snapshot.failures);

    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut plan = a_few(free, 1, 2, get("/"));
    plan.target.preflight = Preflight::Skip;
    let refused = run(plan);
    let refused = failure(&refused, ErrorClass::Connect);
    assert!(
        refused.example.contains(&free.to_string()) && refused.example.contains("refused"),
        "{refused:?}"
    );
}

#[test]
fn secrets_are_not_shown() {
    let _shared = among_others();
    let body = Body::Text("the password hunter2 is wrong".into());
    let server = server(vec![Route { status: Some(401), body, ..Route::at("/") }]);
    let mut plan = a_few(server.addr(), 1, 1, get("/"));
    let from = VarSource::Secret { name: "s".into(), key: "k".into() };
    plan.vars = vec![Var { name: "password".into(), from }];
    let vars = [("password".to_owned(), "hunter2".to_owned())].into();
    let snapshot = run_with(plan, Materials { vars, ..Materials::default() }, 1);
    assert_eq!(snapshot.failures[0].example, "status 401: the password *** is wrong");
}

fn with_that(server: SocketAddr, that: &str) -> Plan {
    let step = HttpStep { that: Some(that.into()), ..get("/") };
    let mut plan = a_few(server, 2, 20, step);
    let mut metrics = Metrics::default();
    let Action::Steps(steps) = &mut plan.script.scenarios[0].action else { panic!() };
    steps[0].checks = vec![metrics.check("class", "error == 'Body'")];
    metrics.put(&mut plan);
    plan
}

#[test]
fn content_that_is_not_as_expected_fails_its_request() {
    let _shared = among_others();
    let body = Body::Json(serde_json::json!({"ok": true, "items": [1, 2, 3]}));
    for chunked in [false, true] {
        let server = server(vec![Route { body: body.clone(), chunked, ..Route::at("/") }]);
        for http in [HttpVersion::Http1, HttpVersion::Http2] {
            let mut good = with_that(server.addr(), "body.ok && size(body.items) == 3");
            good.target.http = http;
            let snapshot = run(good);
            assert_eq!(
                (totals(&snapshot).failed, observed(&snapshot, 0).good),
                (0, 0),
                "{:?}",
                snapshot.failures
            );
            for wrong in ["size(body.items) > 3", "body.missing == 1"] {
                let mut bad = with_that(server.addr(), wrong);
                bad.target.http = http;
                let snapshot = run(bad);
                let counts = totals(&snapshot);
                assert_eq!(
                    (of_class(&counts, ErrorClass::Body), counts.complete, total(&snapshot)),
                    (20, 20, 20)
                );
                assert_eq!(observed(&snapshot, 0).good, 20, "expressions see the class");
                let example = &failure(&snapshot, ErrorClass::Body).example;
                assert!(example.contains("status 200") && example.contains("that"), "{example}");
            }
        }
    }
}

/// A server that sends 17 000 000 bytes to so many clients, one after the other.
fn long_winded(clients: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(clients) {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n");
            let _ = stream.write_all(&vec![b'x'; 17_000_000]);
        }
    });
    address
}

#[test]
fn a_body_that_is_too_long_to_be_looked_at_fails_and_one_that_nobody_looks_at_does_not() {
    let _shared = among_others();
    let mut plan = a_few(long_winded(4), 1, 2, get("/"));
    plan.target.preflight = Preflight::Skip;
    assert_eq!(totals(&run(plan.clone())).failed, 0);
    let Action::Steps(steps) = &mut plan.script.scenarios[0].action else { panic!() };
    let mut metrics = Metrics::default();
    steps[0].checks = vec![metrics.check("long", "size(text) > 0")];
    metrics.put(&mut plan);
    let snapshot = run(plan);
    assert_eq!((totals(&snapshot).incomplete, observed(&snapshot, 0).count), (2, 0));
    assert!(failure(&snapshot, ErrorClass::Body).example.contains("16 MiB"));
}

#[test]
fn an_upgrade_is_a_response_where_it_was_asked_for() {
    let _shared = among_others();
    let server = start(aragora(false));
    let header = |name: &str, value: &str| Field { name: name.into(), value: value.into() };
    let headers = vec![
        header("connection", "Upgrade"),
        header("upgrade", "websocket"),
        header("sec-websocket-version", "13"),
        header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="),
    ];
    let step = HttpStep { headers, expect: vec![(101, 101)], ..get("/ws/echo") };
    let mut plan = a_few(server.addr(), 2, 10, step);
    let Action::Steps(steps) = &mut plan.script.scenarios[0].action else { panic!() };
    let mut metrics = Metrics::default();
    steps[0].checks = vec![metrics.check("upgraded", "status == 101 && headers.upgrade == 'websocket'")];
    metrics.put(&mut plan);
    let snapshot = run(plan);
    let counts = totals(&snapshot);
    assert_eq!((counts.sent, counts.failed, counts.statuses[&101]), (10, 0, 10), "{:?}", snapshot.failures);
    assert_eq!((observed(&snapshot, 0).good, snapshot.health.connections), (10, 10));
    assert_eq!(server.stats().ws.opened, 10);
}
