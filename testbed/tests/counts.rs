//! Exact counts, the log's order and the control endpoints.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod client;

use std::thread;
use std::time::Duration;

use client::Client;
use plimsoll_testbed::{Config, Errors, Latency, Route, Testbed, When};
use serde_json::json;

#[test]
fn counts_are_exact_under_four_clients() {
    let routes = vec![
        Route {
            latency: Latency::Constant(0.2),
            errors: Some(Errors { when: When::Every(10), status: 503 }),
            ..Route::at("/a")
        },
        Route { statuses: vec![200, 201, 404], ..Route::under("/b/") },
    ];
    let testbed = Testbed::start(Config { routes, ..Config::default() }).unwrap();
    let address = testbed.addr();
    let clients: Vec<_> = (0..4)
        .map(|i| {
            thread::spawn(move || {
                let mut client = Client::connect(address);
                for n in 0..500 {
                    client.get("/a?n=1").unwrap();
                    client.request("POST", &format!("/b/{i}"), &vec![b'x'; n]).unwrap();
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    assert!(testbed.wait_until_idle(Duration::from_secs(5)));

    let stats = testbed.stats();
    let a = &stats.paths["/a"];
    assert_eq!((a.received, a.answered[&200], a.answered[&503]), (2000, 1800, 200));
    assert!((1..=4).contains(&a.peak_in_flight), "{a:?}");
    assert_eq!((a.in_flight, a.abandoned), (0, 0));
    let under_b: Vec<_> = stats.paths.iter().filter(|(path, _)| path.starts_with("/b/")).collect();
    assert_eq!(under_b.len(), 4);
    let by_status =
        |status| under_b.iter().map(|(_, path)| path.answered.get(&status).unwrap_or(&0)).sum::<u64>();
    assert_eq!([200, 201, 404].map(by_status), [667, 667, 666]);
    let head = "POST /b/0 HTTP/1.1\r\nhost: testbed\r\ncontent-length: \r\n\r\n".len() as u64;
    let digits: u64 = (0..500u64).map(|n| n.to_string().len() as u64).sum();
    assert_eq!(stats.paths["/b/0"].bytes_in, 500 * head + digits + (0..500).sum::<u64>());
    assert_eq!((stats.received(), stats.connections.accepted), (4000, 4));
    assert_eq!(testbed.log_under("/").entries.len(), 4000);
}

#[test]
fn the_control_endpoints_show_reset_and_are_not_counted() {
    let testbed = Testbed::start(Config::default()).unwrap();
    let mut client = Client::connect(testbed.addr());
    for _ in 0..3 {
        client.get("/api/items").unwrap();
    }
    client.get("/other").unwrap();
    let stats = client.get("/__stats?prefix=/api").unwrap().json();
    assert_eq!(stats["paths"]["/api/items"]["answered"], json!({"200": 3}));
    assert_eq!(stats["paths"].as_object().unwrap().len(), 1);
    assert_eq!(stats["connections"], json!({"accepted": 1, "open": 1, "peak": 1, "resumed": 0}));

    let log = client.get("/__log?path=%2Fapi%2Fitems").unwrap().json();
    assert_eq!((&log["count"], &log["truncated"]), (&json!(3), &json!(false)));
    assert_eq!(log["entries"].as_array().unwrap().len(), 3);
    assert!(log["percentilesUs"]["p50"].as_u64().unwrap() >= 3000);
    let short = client.get("/__log?prefix=/&entries=false").unwrap().json();
    assert_eq!((&short["count"], short.get("entries")), (&json!(4), None));

    assert_eq!(client.request("DELETE", "/__stats", b"").unwrap().status, 200);
    assert_eq!(client.get("/__stats").unwrap().json()["paths"], json!({}));
    client.get("/api/items").unwrap();
    assert_eq!(testbed.stats().received(), 1);
    assert_eq!(client.get("/__nothing").unwrap().status, 404);
    assert_eq!(client.request("POST", "/__log", b"").unwrap().status, 405);
}

#[test]
fn a_reset_of_the_counts_begins_every_sequence_anew() {
    let routes = vec![Route { statuses: vec![200, 201, 202], ..Route::at("/x") }];
    let testbed = Testbed::start(Config { routes, ..Config::default() }).unwrap();
    let mut client = Client::connect(testbed.addr());
    let mut two = || [client.get("/x").unwrap().status, client.get("/x").unwrap().status];
    assert_eq!(two(), [200, 201]);
    testbed.reset_stats();
    assert_eq!(two(), [200, 201]);
}

#[test]
fn faults_are_set_and_cleared_over_http() {
    let testbed = Testbed::start(Config::default()).unwrap();
    let mut client = Client::connect(testbed.addr());
    let set = client.request("POST", "/__fault", br#"{"errorRate": 0.5, "status": 500}"#).unwrap();
    assert_eq!((set.status, &set.json()["errorRate"]), (200, &json!(0.5)));
    let statuses: Vec<u16> = (0..4).map(|_| client.get("/healthz").unwrap().status).collect();
    assert_eq!(statuses, [200, 500, 200, 500]);
    let wrong = client.request("POST", "/__fault", br#"{"errorrate": 1}"#).unwrap();
    assert_eq!(wrong.status, 400);
    assert!(wrong.json()["error"].as_str().unwrap().contains("errorrate"));
    let wrong = client.request("POST", "/__fault", br#"{"errorRate": 3}"#).unwrap().json();
    assert!(wrong["error"].as_str().unwrap().starts_with("errorRate: 3 is not a share"), "{wrong}");
    assert_eq!(client.get("/__fault").unwrap().json()["status"], json!(500));
    assert_eq!(client.request("DELETE", "/__fault", b"").unwrap().json(), json!({}));
    assert_eq!(client.get("/healthz").unwrap().status, 200);
}
