//! Faults as a client sees them: resets, truncated bodies, stalls, ended connections; and stopping.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod client;

use std::io::ErrorKind;
use std::thread;
use std::time::{Duration, Instant};

use client::Client;
use plimsoll_testbed::{Body, Config, Fault, Latency, Route, Testbed, When};

fn start(routes: Vec<Route>) -> Testbed {
    Testbed::start(Config { routes, ..Config::default() }).unwrap()
}

#[test]
fn every_third_request_is_reset() {
    let testbed = start(vec![Route { reset: Some(When::Every(3)), ..Route::at("/x") }]);
    for _ in 0..2 {
        let mut client = Client::connect(testbed.addr());
        assert_eq!(client.get("/x").unwrap().status, 200);
        assert_eq!(client.get("/x").unwrap().status, 200);
        assert_eq!(client.get("/x").unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
    assert!(testbed.wait_until_idle(Duration::from_secs(5)));
    let path = testbed.stats().paths["/x"].clone();
    assert_eq!((path.received, path.answered[&200], path.reset), (6, 4, 2));
    assert_eq!(testbed.log("/x").entries.len(), 4);
}

#[test]
fn a_fault_resets_what_it_covers() {
    let testbed = start(Vec::new());
    let fault = Fault { path: Some("/a".into()), reset: Some(When::Every(1)), ..Fault::default() };
    testbed.set_fault(fault).unwrap();
    assert_eq!(Client::connect(testbed.addr()).get("/a").unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(Client::connect(testbed.addr()).get("/b").unwrap().status, 200);
}

#[test]
fn a_truncated_body_ends_early_and_in_order() {
    for (chunked, body) in [(false, 1000), (true, 1000), (false, 0), (false, 200_000)] {
        let body = Body::Bytes(body);
        let testbed = start(vec![Route { truncate: Some(When::Every(2)), chunked, body, ..Route::at("/x") }]);
        let mut client = Client::connect(testbed.addr());
        assert_eq!(client.get("/x").unwrap().status, 200);
        assert_eq!(client.get("/x").unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert!(testbed.wait_until_idle(Duration::from_secs(5)));
        let path = testbed.stats().paths["/x"].clone();
        assert_eq!((path.received, path.answered[&200], path.truncated), (2, 1, 1));
    }
}

#[test]
fn a_stalled_request_is_never_answered_and_abandoned_by_its_client() {
    let testbed = start(vec![Route { stall: Some(When::After(1)), ..Route::at("/x") }]);
    let mut client = Client::connect(testbed.addr());
    assert_eq!(client.get("/x").unwrap().status, 200);
    client.set_timeout(Duration::from_millis(200));
    assert_eq!(client.get("/x").unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(testbed.stats().paths["/x"].in_flight, 1);
    drop(client);
    let deadline = Instant::now() + Duration::from_secs(5);
    while testbed.stats().connections.open > 0 {
        assert!(Instant::now() < deadline, "{:?}", testbed.stats());
        thread::yield_now();
    }
    assert_eq!(testbed.stats().paths["/x"].abandoned, 1);
}

#[test]
fn a_connection_ends_after_its_number_of_requests() {
    let config = Config { keep_alive_requests: 3, ..Config::default() };
    let testbed = Testbed::start(config).unwrap();
    let mut client = Client::connect(testbed.addr());
    let said: Vec<bool> =
        (0..3).map(|_| client.get("/healthz").unwrap().header("connection") == Some("close")).collect();
    assert_eq!(said, [false, false, true]);
    assert!(client.is_ended());
}

#[test]
fn a_graceful_stop_lets_requests_in_progress_end() {
    let testbed = start(vec![Route { latency: Latency::Constant(300.0), ..Route::at("/x") }]);
    let address = testbed.addr();
    let mut idle = Client::connect(address);
    idle.get("/healthz").unwrap();
    let client = thread::spawn(move || {
        let mut client = Client::connect(address);
        let response = client.get("/x").unwrap();
        assert!(client.is_ended());
        response
    });
    while testbed.stats().paths.get("/x").is_none_or(|path| path.in_flight == 0) {
        thread::yield_now();
    }
    testbed.shutdown(Duration::from_secs(10));
    let response = client.join().unwrap();
    assert_eq!((response.status, response.header("connection")), (200, Some("close")));
    assert!(idle.is_ended());
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn dropping_stops_at_once() {
    let testbed = start(vec![Route { latency: Latency::Constant(60_000.0), ..Route::at("/x") }]);
    let mut client = Client::connect(testbed.addr());
    client.write(b"GET /x HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    while testbed.stats().paths.is_empty() {
        thread::yield_now();
    }
    let begun = Instant::now();
    drop(testbed);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(client.read(false).is_err());
}

#[test]
fn a_taken_address_and_a_wrong_field_are_told() {
    let testbed = Testbed::start(Config::default()).unwrap();
    let config = Config { listen: vec![testbed.addr()], ..Config::default() };
    let error = Testbed::start(config).unwrap_err().to_string();
    assert!(error.contains(&testbed.addr().to_string()) && error.contains("free port"), "{error}");
    let config = Config { fallback: Route { status: Some(42), ..Route::default() }, ..Config::default() };
    let error = Testbed::start(config).unwrap_err().to_string();
    assert_eq!(error, "fallback.status: 42 is not a final status; use 200 to 599");
}
