//! Event streams as a client reads them, their pace against the server's log, and their faults.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod client;

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use client::Client;
use plimsoll_testbed::{Config, Testbed};
use serde_json::{Value, json};

/// An event as a client reads it; a comment has no name.
#[derive(Debug, Default, Clone)]
struct Event {
    id: Option<u64>,
    name: String,
    data: Value,
    at: Option<Instant>,
}

/// Reads a chunked stream line by line to its end: its events, and whether it ended in order.
fn read(address: SocketAddr, path: &str, headers: &str, most: usize) -> (Vec<Event>, bool) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n{headers}\r\n").as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    assert!(head.contains(&"content-type: text/event-stream".to_owned()), "{head:?}");
    let (mut events, mut event) = (Vec::new(), Event::default());
    let mut lines = lines.peekable();
    while events.len() < most {
        // A chunk is one event here: its size, its lines, and an empty line.
        match lines.next().as_deref() {
            Some("0") => return (events, true),
            Some(_size) => {}
            None => return (events, false),
        }
        event.at = Some(Instant::now());
        for line in lines.by_ref().take_while(|line| !line.is_empty()) {
            match line.split_once(": ").unwrap() {
                ("id", id) => event.id = id.parse().ok(),
                ("event", name) => event.name = name.to_owned(),
                ("data", data) => event.data = serde_json::from_str(data).unwrap(),
                ("", comment) => assert_eq!(comment, "heartbeat"),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(lines.next().as_deref(), Some(""), "the chunk's end");
        events.push(std::mem::take(&mut event));
    }
    (events, false)
}

fn start(fault: &Value) -> Testbed {
    let testbed = Testbed::start(Config::aragora()).unwrap();
    testbed.merge_fault(fault).unwrap();
    testbed
}

fn create(testbed: &Testbed) -> String {
    let body = json!({"task": "t", "agents": ["a", "b"], "rounds": 1});
    Client::connect(testbed.addr()).post("/api/debates", &body).text("debate_id")
}

#[test]
fn a_counting_stream_keeps_its_pace_and_is_counted() {
    let testbed = start(&json!({}));
    let (events, complete) = read(testbed.addr(), "/sse?events=5&every=20", "", 100);
    assert!(complete);
    let numbers: Vec<Option<u64>> = events.iter().map(|event| event.id).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5].map(Some));
    assert!(testbed.wait_until_idle(Duration::from_secs(5)));
    let log = testbed.messages("/sse");
    let times: Vec<u64> = log.entries.iter().map(|message| message.at_us).collect();
    let begun = testbed.log("/sse").entries[0].arrival_us;
    assert!(times.iter().enumerate().all(|(i, at)| *at >= begun + i as u64 * 20_000), "{begun} {times:?}");
    // What the client read of the time of writing is what the log says.
    let started = testbed.stats().started_at_us;
    for (event, message) in events.iter().zip(&log.entries) {
        let written: jiff::Timestamp = event.data["timestamp"].as_str().unwrap().parse().unwrap();
        assert_eq!(written.as_microsecond() as u64, started + message.at_us);
    }
    let sse = testbed.stats().sse;
    assert_eq!((sse.opened, sse.open, sse.messages_out, &sse.closes), (1, 0, 5, &[(1000, 1)].into()));
    assert_eq!(testbed.stats().endpoints["GET /sse"].answered[&200], 1);
}

#[test]
fn spectators_get_every_event_and_can_come_back() {
    let testbed = start(&json!({}));
    let id = create(&testbed);
    let path = format!("/api/debates/{id}/spectate");
    let (events, complete) = read(testbed.addr(), &path, "", 100);
    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    let expected = [
        "connected",
        "debate_start",
        "round_start",
        "agent_message",
        "agent_message",
        "critique",
        "vote",
        "consensus",
        "debate_end",
    ];
    assert_eq!((names.as_slice(), complete), (&expected[..], true));
    assert_eq!(events[1].data["seq"], json!(1));
    let (later, _) = read(testbed.addr(), &path, "Last-Event-ID: 6\r\n", 100);
    let ids: Vec<Option<u64>> = later.iter().map(|event| event.id).collect();
    assert_eq!(ids, [None, Some(7), Some(8)]);
    let mut client = Client::connect(testbed.addr());
    assert_eq!(client.get("/api/debates/none/spectate").unwrap().status, 404);
    assert!(testbed.wait_until_idle(Duration::from_secs(5)));
    assert_eq!(testbed.stats().sse.paths["/api/debates/{id}/spectate"].messages_out, 12);
}

#[test]
fn silence_is_filled_with_comments_and_the_client_may_leave() {
    let testbed =
        start(&json!({"aragora": {"debates": {"stuck": {"every": 1}}, "sse": {"heartbeatMs": 30}}}));
    let id = create(&testbed);
    let (events, _) = read(testbed.addr(), &format!("/api/debates/{id}/spectate"), "", 11);
    let comments = events.iter().filter(|event| event.name.is_empty()).count();
    assert!((3..=5).contains(&comments), "{events:?}");
    let deadline = Instant::now() + Duration::from_secs(5);
    while testbed.stats().sse.open > 0 {
        assert!(Instant::now() < deadline);
    }
    assert_eq!(testbed.stats().sse.closes, [(1006, 1)].into());
    let endpoint = || testbed.stats().endpoints["GET /api/debates/{id}/spectate"].clone();
    assert_eq!((endpoint().abandoned, endpoint().answered.len()), (1, 0));
}

#[test]
fn a_stream_can_be_dropped_after_some_events() {
    let testbed = start(&json!({"aragora": {"sse": {"dropAfter": 3}}}));
    let (events, complete) = read(testbed.addr(), "/sse?events=0&every=1", "", 100);
    assert_eq!((events.len(), complete), (3, false));
    assert!(testbed.wait_until_idle(Duration::from_secs(5)));
    assert_eq!(testbed.stats().endpoints["GET /sse"].truncated, 1);
    assert_eq!(testbed.stats().sse.closes, [(1006, 1)].into());
}

#[test]
fn a_stopping_server_ends_its_streams_in_order() {
    let testbed = start(&json!({}));
    let address = testbed.addr();
    let reading = std::thread::spawn(move || read(address, "/sse?events=0&every=5", "", 100_000));
    while testbed.stats().sse.messages_out < 3 {
        std::thread::yield_now();
    }
    testbed.shutdown(Duration::from_secs(10));
    assert!(reading.join().unwrap().1);
}
