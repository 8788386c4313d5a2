//! What can go wrong with a WebSocket on purpose: refusals, limits, and every fault of messages.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod client;
mod socket;

use std::time::{Duration, Instant};

use client::Client;
use plimsoll_testbed::{Config, Testbed};
use serde_json::{Value, json};
use socket::{Read, Refused, Socket, runtime};

fn start(aragora: &Value) -> Testbed {
    let testbed = Testbed::start(Config::aragora()).unwrap();
    testbed.merge_fault(&json!({ "aragora": aragora })).unwrap();
    testbed
}

fn create(testbed: &Testbed) -> String {
    let body = json!({"task": "t", "agents": ["a", "b"], "rounds": 1});
    Client::connect(testbed.addr()).post("/api/debates", &body).text("debate_id")
}

/// Everything that a subscriber of a debate of eight events reads until the connection ends or the debate does; the
/// texts of events, without the answer to the subscription, and how it ended.
fn heard(sockets: &Value) -> (Vec<String>, Option<Read>) {
    let testbed = start(&json!({"debates": {"messageMs": 2, "startMs": 0}, "sockets": sockets}));
    let id = create(&testbed);
    runtime().block_on(async {
        let mut socket = Socket::open(testbed.addr(), &format!("/ws/debates/{id}")).await.unwrap();
        socket.send(&json!({"type": "subscribe"})).await;
        let mut texts = Vec::new();
        loop {
            match socket.read().await {
                Read::Text(text) if text.contains("\"subscribed\"") => {}
                Read::Text(text) => {
                    let last = text.contains("\"debate_end\"");
                    texts.push(text);
                    if last {
                        return (texts, None);
                    }
                }
                end => return (texts, Some(end)),
            }
        }
    })
}

fn seqs(texts: &[String]) -> Vec<u64> {
    texts.iter().map(|text| serde_json::from_str::<Value>(text).unwrap()["seq"].as_u64().unwrap()).collect()
}

#[test]
fn events_are_skipped_doubled_and_reordered() {
    assert_eq!(seqs(&heard(&json!({})).0), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(seqs(&heard(&json!({"skip": {"every": 3}})).0), [1, 2, 4, 5, 7, 8]);
    assert_eq!(seqs(&heard(&json!({"duplicate": {"first": 2}})).0), [1, 1, 2, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(seqs(&heard(&json!({"reorder": {"every": 4}})).0), [1, 2, 3, 5, 4, 6, 7, 8]);
}

#[test]
fn events_can_be_no_json() {
    let (texts, _) = heard(&json!({"badJson": {"every": 3}, "skip": {"every": 6}}));
    let bad: Vec<bool> = texts.iter().map(|text| serde_json::from_str::<Value>(text).is_err()).collect();
    assert_eq!(bad, [false, false, true, false, false, false, false], "the sixth is skipped: {texts:?}");
}

#[test]
fn sockets_end_after_some_messages_with_or_without_a_close_frame() {
    let (texts, end) = heard(&json!({"dropAfter": 4}));
    assert_eq!(
        (seqs(&texts), end),
        (vec![1, 2, 3], Some(Read::Gone)),
        "the answer to the subscription counts"
    );
    let (texts, end) = heard(&json!({"dropAfter": 2, "dropCode": 4500}));
    assert_eq!((texts.len(), end), (1, Some(Read::Closed(4500))));
}

#[test]
fn handshakes_are_refused_delayed_and_rejected_as_set() {
    let testbed =
        start(&json!({"sockets": {"refuse": {"every": 2}, "refuseStatus": 500, "handshakeMs": 60}}));
    runtime().block_on(async {
        let begun = Instant::now();
        let mut socket = Socket::open(testbed.addr(), "/ws").await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(60), "{:?}", begun.elapsed());
        assert_eq!(Socket::open(testbed.addr(), "/ws").await.err(), Some(Refused(500)));
        socket.stream.close(None).await.unwrap();
        testbed
            .merge_fault(&json!({"aragora": {"sockets": {"refuse": null, "origins": ["https://a.example"]}}}))
            .unwrap();
        for (origin, end) in [("https://b.example", Some(4003)), ("https://a.example", None)] {
            let mut socket = Socket::open_with(testbed.addr(), "/ws", &[("origin", origin)]).await.unwrap();
            match end {
                Some(code) => assert_eq!(socket.read().await, Read::Closed(code)),
                None => {
                    socket.send(&json!({"type": "ping"})).await;
                    assert_eq!(socket.json().await["type"], json!("pong"));
                }
            }
        }
    });
    assert_eq!((testbed.stats().ws.opened, testbed.stats().ws.refused), (3, 1));
}

#[test]
fn with_auth_a_socket_wants_a_token_in_its_header_or_its_query() {
    let testbed = start(&json!({"auth": {"required": true}}));
    let body = json!({"email": "a@load.test", "password": "p"});
    let token = Client::connect(testbed.addr()).post("/api/auth/login", &body).text("access_token");
    runtime().block_on(async {
        for path in ["/ws", "/ws?token=nonsense"] {
            let mut socket = Socket::open(testbed.addr(), path).await.unwrap();
            assert_eq!(socket.read().await, Read::Closed(4001), "{path}");
        }
        let bearer = format!("Bearer {token}");
        for (path, headers) in
            [(format!("/ws?token={token}"), vec![]), ("/ws".into(), vec![("authorization", &*bearer)])]
        {
            let mut socket = Socket::open_with(testbed.addr(), &path, &headers).await.unwrap();
            socket.send(&json!({"type": "ping"})).await;
            assert_eq!(socket.json().await["type"], json!("pong"));
        }
    });
    assert_eq!(testbed.stats().aragora.unauthorized, 2);
}

#[test]
fn connections_and_messages_are_limited_by_address_and_socket() {
    let testbed = start(&json!({"sockets": {"connectionsPerIp": 2, "messagesPerSecond": 0.001, "burst": 3}}));
    runtime().block_on(async {
        let mut first = Socket::open(testbed.addr(), "/ws").await.unwrap();
        let _second = Socket::open(testbed.addr(), "/ws/stream").await.unwrap();
        let mut third = Socket::open(testbed.addr(), "/ws").await.unwrap();
        assert_eq!(third.read().await, Read::Closed(4029));
        let mut types = Vec::new();
        for _ in 0..5 {
            first.send(&json!({"type": "ping"})).await;
            let answer = first.json().await;
            types.push((answer["type"].clone(), answer["code"].clone()));
        }
        let (pong, error) = ((json!("pong"), Value::Null), (json!("error"), json!(429)));
        assert_eq!(types, [pong.clone(), pong.clone(), pong, error.clone(), error]);
        testbed
            .merge_fault(&json!({"aragora": {"sockets": {"connectionsPerIp": 0, "connectsPerMinute": 1}}}))
            .unwrap();
        let mut fourth = Socket::open(testbed.addr(), "/ws").await.unwrap();
        fourth.send(&json!({"type": "ping"})).await;
        assert_eq!(fourth.json().await["type"], json!("pong"));
        let mut fifth = Socket::open(testbed.addr(), "/ws").await.unwrap();
        assert_eq!(fifth.read().await, Read::Closed(4029));
    });
}

#[test]
fn a_slow_server_lets_messages_lie_and_a_freeze_holds_events_back() {
    let testbed = start(&json!({"sockets": {"readDelayMs": 80, "channelMs": 20}}));
    runtime().block_on(async {
        let mut socket = Socket::open(testbed.addr(), "/ws").await.unwrap();
        let begun = Instant::now();
        socket.send(&json!({"type": "ping"})).await;
        socket.json().await;
        assert!(begun.elapsed() >= Duration::from_millis(80), "{:?}", begun.elapsed());
        socket.send(&json!({"type": "subscribe", "channel": "debates"})).await;
        socket.until("debate_update").await;
        testbed.freeze(Duration::from_millis(300));
        let frozen = Instant::now();
        // One more may have been on its way.
        let mut longest = Duration::ZERO;
        for _ in 0..3 {
            let waited = Instant::now();
            socket.json().await;
            longest = longest.max(waited.elapsed());
        }
        assert!(longest > Duration::from_millis(200), "{longest:?} of {:?}", frozen.elapsed());
    });
}

#[test]
fn rules_and_limits_reach_handshakes_too() {
    let testbed = start(&json!({}));
    testbed.merge_fault(&json!({"rules": [{"path": "/ws", "errorRate": 0.5}]})).unwrap();
    runtime().block_on(async {
        assert!(Socket::open(testbed.addr(), "/ws").await.is_ok());
        assert_eq!(Socket::open(testbed.addr(), "/ws").await.err(), Some(Refused(503)));
        testbed.merge_fault(&json!({"rules": null, "limits": [{"path": "/ws", "burst": 1}]})).unwrap();
        assert!(Socket::open(testbed.addr(), "/ws").await.is_ok());
        assert_eq!(Socket::open(testbed.addr(), "/ws").await.err(), Some(Refused(429)));
    });
}
