//! The knobs of a fault one by one: drops, hangs, partitions, laws by path, drift, readiness, leaks, merging.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod client;

use std::io::ErrorKind;
use std::thread;
use std::time::{Duration, Instant};

use client::Client;
use plimsoll_testbed::{Aragora, Config, Fault, Latency, Rule, Testbed, When};
use serde_json::{Value, json};

fn start(fault: &Value) -> Testbed {
    let aragora = Aragora { latency: Latency::Constant(0.0), ..Aragora::default() };
    let testbed = Testbed::start(Config { aragora, ..Config::aragora() }).unwrap();
    testbed.merge_fault(fault).unwrap();
    testbed
}

fn idle(testbed: &Testbed) {
    assert!(testbed.wait_until_idle(Duration::from_secs(5)));
}

#[test]
fn dropped_requests_end_their_connection_without_an_answer() {
    let testbed = start(&json!({"drop": {"every": 2}, "path": "/api/health"}));
    let address = testbed.addr();
    for _ in 0..3 {
        let mut client = Client::connect(address);
        assert_eq!(client.get("/api/health").unwrap().status, 200);
        assert_eq!(client.get("/api/health").unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
    idle(&testbed);
    let endpoint = testbed.stats().endpoints["GET /api/health"].clone();
    assert_eq!((endpoint.received, endpoint.answered[&200], endpoint.dropped), (6, 3, 3));
}

#[test]
fn rules_have_their_own_paths_methods_and_sequences() {
    let testbed = start(&json!({"rules": [
        {"path": "/api/debates/{id}", "exact": true, "errorRate": 1, "status": 500},
        {"path": "/api/debates", "method": "POST", "errorRate": 0.5, "status": 502},
    ]}));
    let mut client = Client::connect(testbed.addr());
    let body = json!({"task": "t", "agents": ["a", "b"], "rounds": 1});
    let created: Vec<u16> = (0..4).map(|_| client.post("/api/debates", &body).status).collect();
    assert_eq!(created, [201, 502, 201, 502]);
    assert_eq!(testbed.stats().aragora.debates_created, 2, "an injected error has no effect");
    assert_eq!(client.get("/api/debates").unwrap().status, 200);
    assert_eq!(client.get("/api/debates/x").unwrap().status, 500);
    assert_eq!(client.get("/api/debates/x/messages").unwrap().status, 404);
}

#[test]
fn a_hundred_requests_at_thirty_percent_have_thirty_errors() {
    let testbed = start(&json!({"errorRate": 0.3}));
    let address = testbed.addr();
    let ask = move || -> usize {
        let mut client = Client::connect(address);
        (0..25).filter(|_| client.get("/api/agents").unwrap().status == 503).count()
    };
    let asking: Vec<_> = (0..4).map(|_| thread::spawn(ask)).collect();
    assert_eq!(asking.into_iter().map(|client| client.join().unwrap()).sum::<usize>(), 30);
}

#[test]
fn laws_replace_the_latency_of_their_path_and_drift_grows() {
    let testbed =
        start(&json!({"rules": [{"path": "/api/agents", "latency": [30, 60]}], "driftMsPerMinute": 6_000}));
    let mut client = Client::connect(testbed.addr());
    for _ in 0..4 {
        client.get("/api/agents").unwrap();
        client.get("/api/consensus").unwrap();
    }
    idle(&testbed);
    let us = |path: &str| -> Vec<u32> {
        testbed.log(path).entries.iter().map(|entry| entry.duration_us).collect()
    };
    let agents = us("/api/agents");
    assert!(agents.iter().zip([30_000, 60_000, 30_000, 60_000]).all(|(us, law)| *us >= law), "{agents:?}");
    // The drift is a millisecond more with every ten, and each round takes 45 of them on average.
    let drift = us("/api/consensus");
    assert!(drift.is_sorted() && drift[3] > drift[0] + 10_000, "{drift:?}");
}

#[test]
fn what_is_cut_off_answers_when_it_is_healed() {
    let testbed = start(&json!({"partition": ["/api/knowledge"]}));
    let address = testbed.addr();
    let asking = thread::spawn(move || {
        let begun = Instant::now();
        let status = Client::connect(address).get("/api/knowledge/search?q=x").unwrap().status;
        (status, begun.elapsed())
    });
    let in_flight =
        || testbed.stats().endpoints.get("GET /api/knowledge/search").map_or(0, |path| path.in_flight);
    while in_flight() == 0 {
        thread::yield_now();
    }
    assert_eq!(Client::connect(address).get("/api/agents").unwrap().status, 200);
    thread::sleep(Duration::from_millis(50));
    assert!(!asking.is_finished());
    testbed.merge_fault(&json!({"partition": null})).unwrap();
    let (status, took) = asking.join().unwrap();
    assert!(status == 200 && took > Duration::from_millis(50), "{status} {took:?}");
}

#[test]
fn a_share_of_requests_hangs_until_the_fault_ends() {
    let testbed = start(&json!({"hang": {"every": 3}}));
    let mut client = Client::connect(testbed.addr());
    for _ in 0..2 {
        assert_eq!(client.get("/api/agents").unwrap().status, 200);
    }
    client.set_timeout(Duration::from_millis(100));
    assert_eq!(client.get("/api/agents").unwrap_err().kind(), ErrorKind::WouldBlock);
    testbed.clear_fault();
    client.set_timeout(Duration::from_secs(5));
    assert_eq!(client.read(false).unwrap().status, 200);
}

#[test]
fn readiness_can_be_taken_away() {
    let testbed = start(&json!({"ready": false}));
    let mut client = Client::connect(testbed.addr());
    let mut status = |path: &str| client.get(path).unwrap().status;
    assert_eq!(["/readyz", "/health/ready", "/livez", "/api/agents"].map(&mut status), [503, 503, 200, 200]);
    testbed.clear_fault();
    assert_eq!(["/readyz", "/health/ready"].map(&mut status), [200, 200]);
}

#[test]
fn a_leak_is_seen_in_the_resident_memory_and_ends_with_the_fault() {
    let testbed = start(&json!({"leakBytes": 4 << 20, "path": "/api/agents"}));
    let mut client = Client::connect(testbed.addr());
    let resident = |client: &mut Client| -> f64 {
        let text = String::from_utf8(client.get("/metrics").unwrap().body).unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
        value.unwrap().parse().unwrap()
    };
    let before = resident(&mut client);
    for _ in 0..20 {
        client.get("/api/agents").unwrap();
        client.get("/api/consensus").unwrap();
    }
    let grown = resident(&mut client) - before;
    assert!((70e6..100e6).contains(&grown), "80 MB leaked, {grown} seen");
    testbed.clear_fault();
    let left = resident(&mut client) - before;
    assert!(left < 40e6, "{left} left");
}

#[test]
fn over_http_faults_merge_are_replaced_and_end() {
    let testbed = start(&json!({}));
    let mut client = Client::connect(testbed.addr());
    let mut fault = |method: &str, body: Value| client.call(method, "/__fault", None, &body);
    fault("POST", json!({"errorRate": 0.5, "aragora": {"auth": {"required": true}}}));
    let merged = fault("POST", json!({"latencyMs": 3, "errorRate": null, "aragora": {"deepMs": 1}})).json();
    assert_eq!((&merged["errorRate"], &merged["latencyMs"]), (&json!(0.0), &json!(3.0)));
    assert_eq!(merged["aragora"], json!({"auth": {"required": true}, "deepMs": 1}));
    let replaced = fault("PUT", json!({"status": 500})).json();
    assert_eq!((&replaced["latencyMs"], replaced.get("aragora")), (&json!(0.0), None));
    for (body, told) in [
        (json!({"rules": [{"errorRate": 2}]}), "rules[0].errorRate"),
        (json!({"aragora": {"sockets": {"skip": {"each": 1}}}}), "each"),
        (json!({"partition": ["api"]}), "partition"),
        (json!({"errrorRate": 1}), "errrorRate"),
        (json!([]), "an object"),
    ] {
        let wrong = fault("POST", body);
        assert!(wrong.status == 400 && wrong.text("error").contains(told), "{}", wrong.json());
    }
    assert_eq!(fault("DELETE", Value::Null).json(), json!({}));
    assert_eq!(client.call("DELETE", "/__state", None, &Value::Null).json(), json!({"forgotten": true}));
    let rules = vec![Rule { drop: Some(When::First(1)), ..Rule::default() }];
    testbed.set_fault(Fault { rules, ..Fault::default() }).unwrap();
    assert_eq!(client.get("/api/agents").unwrap_err().kind(), ErrorKind::UnexpectedEof);
}
