//! What the items of a script do on well-behaved servers.

use plimsoll_engine::TraceEvent;
use plimsoll_measure::ErrorClass;
use plimsoll_plan::{HttpVersion, Tls};
use plimsoll_scenario::{Field, Reading, StepAction, VarSource, WebSocketAction, WebSocketStep};
use plimsoll_testbed::{Config, Testbed};
use serde_json::json;

use crate::peer::{self, closing, frame, text};
use crate::support::*;

fn testbed() -> Testbed {
    Testbed::start(Config { threads: 1, ..Config::default() }).unwrap()
}

#[test]
fn captured_values_flow_from_messages_into_messages_and_requests() {
    let _shared = among_others();
    let server = testbed();
    let capture = |until: &str, name: &str, expr: &str| WebSocketAction::Receive {
        until: Some(condition(until)),
        within: 5 * SECOND,
        optional: false,
        reading: reading(None, Some("has(message.n)")),
        captures: vec![assign(name, expr)],
    };
    let script = vec![
        send(json!({"n": 1})),
        send(json!({"n": 2, "path": "status/204"})),
        capture("message.n == 2", "path", "message.path"),
        send(json!({"n": 3, "again": "${user.path}"})),
        capture("message.n == 3", "again", "message.again"),
    ];
    let mut after = get("/${user.again}");
    after.request = 1;
    let steps = vec![session(socket("/ws/echo", script)), step(StepAction::Http(Box::new(after)))];
    let measured = run(plan(server.addr(), 3, Some(30), steps));
    assert_eq!(measured.sessions(), (30, 0, 0), "{:?}", measured.snapshot.failures);
    assert_eq!((measured.metric(CHECK).good, measured.metric(FAULT).count), (90, 0));
    assert_eq!((measured.metric(SENT).sum, measured.metric(RECEIVED).sum), (90, 90));
    let stats = server.stats();
    assert_eq!(stats.paths["/status/204"].received, 30);
    assert_eq!(
        (stats.ws.messages_in, stats.ws.closes[&1000]),
        (90, 30),
        "closed though the script does not say so"
    );
}

#[test]
fn messages_of_every_length_come_back_as_they_went() {
    let _shared = among_others();
    let server = testbed();
    for length in [0, 1, 125, 126, 65_535, 65_536, 200_000, 1_000_000] {
        let body = "x".repeat(length);
        let script = vec![send_text(&body), receive(Some(&format!("size(message) == {length}")), 5 * SECOND)];
        let measured = run(once(server.addr(), vec![session(socket("/ws/echo", script))]));
        assert_eq!(measured.sessions(), (1, 0, 0), "{length}: {:?}", measured.snapshot.failures);
    }
}

#[test]
fn pings_are_answered_by_the_server_and_measured() {
    let _shared = among_others();
    let server = testbed();
    let ping = || WebSocketAction::Ping { within: 5 * SECOND };
    let script = vec![ping(), send(json!(1)), ping(), ping(), receive(None, SECOND), close(1000)];
    let measured = run(plan(server.addr(), 4, Some(20), vec![session(socket("/ws/echo", script))]));
    assert_eq!(measured.sessions(), (20, 0, 0), "{:?}", measured.snapshot.failures);
    assert_eq!(server.stats().ws.pings, 60);
    let pings = measured.metric(PING);
    assert_eq!((pings.count, pings.good), (60, 60));
    assert!(pings.histogram.min().unwrap() > 1_000 && pings.histogram.max().unwrap() < SECOND);
}

#[test]
fn what_arrives_before_a_pong_is_kept_for_whoever_reads_next() {
    let _shared = among_others();
    let (address, server) = peer::serve(|peer| {
        peer.accept_and(&[]);
        let (opcode, payload) = peer.hear().unwrap();
        assert_eq!(opcode, 9);
        // An older pong and two messages before the one that is awaited.
        let early = [frame(0x8a, b"other"), text("\"one\""), frame(0x82, b"\"two\""), frame(0x8a, &payload)];
        peer.say(&early.concat());
        peer.hear_close()
    });
    let script = vec![
        WebSocketAction::Ping { within: 5 * SECOND },
        receive(Some("message == 'one'"), SECOND),
        receive(Some("message == 'two'"), SECOND),
        close(4000),
    ];
    let measured = run(once(address, vec![session(socket("/", script))]));
    // This server does not answer the close frame.
    assert_eq!((server.join().unwrap(), measured.sessions()), (Some(4000), (0, 1, 0)));
    assert_eq!((measured.metric(RECEIVED).sum, measured.metric(PING).good), (2, 1));
    let (class, status, example) = measured.failure();
    assert_eq!((class, status), (ErrorClass::Reset, Some(101)));
    assert!(example.contains("script[3] close") && example.contains("1006"), "{example}");
}

#[test]
fn pings_of_the_server_are_answered_at_once_while_reading() {
    let _shared = among_others();
    let (address, server) = peer::serve(|peer| {
        // The first one comes with the acceptance.
        peer.accept_and(&frame(0x89, b"a"));
        let first = peer.hear();
        peer.say(&[text("1"), frame(0x89, &[7; 125]), text("2"), text("3")].concat());
        let second = peer.hear();
        peer.say(&closing(1000));
        (first, second, peer.hear())
    });
    let script = vec![
        receive(Some("message == 3"), 5 * SECOND),
        WebSocketAction::AwaitClose { within: 5 * SECOND, codes: vec![1000] },
    ];
    let measured = run(once(address, vec![session(socket("/", script))]));
    let (first, second, answer) = server.join().unwrap();
    assert_eq!((first, second), (Some((10, b"a".to_vec())), Some((10, vec![7; 125]))));
    assert_eq!(answer, Some((8, 1000_u16.to_be_bytes().to_vec())));
    assert_eq!(measured.sessions(), (1, 0, 0), "{:?}", measured.snapshot.failures);
    assert_eq!(measured.metric(RECEIVED).sum, 3);
}

#[test]
fn messages_from_the_future_are_skewed_and_left_out() {
    let _shared = among_others();
    let (address, server) = peer::serve(|peer| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        let said = |ts: &str| text(&format!("{{\"ts\": {ts}}}"));
        let messages = [
            said(&format!("{}", now + 60_000)),
            said(&format!("{}", now - 2_000)),
            said(&format!("{}.5", now / 1000 - 3)),
            said("\"yesterday\""),
            said("null"),
        ];
        peer.accept_and(&messages.concat());
        let code = peer.hear_close();
        peer.say(&closing(1000));
        code
    });
    let hold =
        WebSocketAction::Hold { length: constant(300 * MILLI), reading: reading(Some("message.ts"), None) };
    let measured = run(once(address, vec![session(socket("/", vec![hold]))]));
    assert_eq!((server.join().unwrap(), measured.sessions()), (Some(1000), (1, 0, 0)));
    let latencies = measured.metric(MESSAGE);
    assert_eq!((measured.metric(SKEWED).sum, latencies.count, measured.metric(RECEIVED).sum), (1, 2, 5));
    let (least, most) = (latencies.histogram.min().unwrap(), latencies.histogram.max().unwrap());
    assert!((1_950 * MILLI..2_400 * MILLI).contains(&least), "{least}");
    assert!((2_400 * MILLI..4_000 * MILLI).contains(&most), "{most}");
    // What is no time at all is a fault; null says that the message has none.
    assert_eq!(measured.metric(FAULT).count, 1);
}

#[test]
fn subprotocols_and_headers_are_offered_and_the_choice_must_be_among_them() {
    let _shared = among_others();
    for (chosen, good) in [("b", true), ("c", false)] {
        let (address, server) = peer::serve(move |peer| {
            let head = String::from_utf8(peer.acceptance()).unwrap();
            let head = head.replace("\r\n\r\n", &format!("\r\nSec-WebSocket-Protocol: {chosen}\r\n\r\n"));
            peer.say(head.as_bytes());
            peer.hear_close();
            peer.say(&closing(1000));
            let offered = peer.header("sec-websocket-protocol").map(str::to_owned);
            (
                offered,
                peer.header("x-token").map(str::to_owned),
                peer.header("sec-websocket-extensions").is_none(),
            )
        });
        let mut offering = socket("/", vec![]);
        offering.subprotocols = vec!["a".into(), "b".into()];
        offering.handshake.headers = vec![Field { name: "x-token".into(), value: "t-${1 + 1}".into() }];
        let measured = run(once(address, vec![session(offering)]));
        assert_eq!(server.join().unwrap(), (Some("a, b".into()), Some("t-2".into()), true));
        assert_eq!(measured.sessions(), (u64::from(good), 0, 0));
        if !good {
            let (class, status, example) = measured.failure();
            assert_eq!((class, status), (ErrorClass::Protocol, None));
            assert!(example.contains("subprotocol c"), "{example}");
        }
    }
}

#[test]
fn over_tls_http1_is_agreed_on_though_other_requests_speak_http2() {
    let _shared = among_others();
    let mut config = Config { threads: 1, ..Config::default() };
    config.listen_tls = vec![std::net::SocketAddr::from(([127, 0, 0, 1], 0))];
    let server = Testbed::start(config).unwrap();
    for http in [HttpVersion::Auto, HttpVersion::Http2] {
        server.reset_stats();
        let script = vec![send(json!({"n": 1})), receive(Some("message.n == 1"), 5 * SECOND), close(1000)];
        let mut other = get("/api/items");
        other.request = 1;
        let steps = vec![step(StepAction::Http(Box::new(other))), session(socket("/ws/echo", script))];
        let mut plan = plan(server.tls_addr().unwrap(), 2, Some(6), steps);
        plan.target.scheme = "https".into();
        plan.target.http = http;
        let ca = Some(VarSource::Value(server.ca_pem().unwrap().into()));
        plan.target.tls = Some(Tls { ca, ..Tls::default() });
        let measured = run(plan);
        assert_eq!(measured.sessions(), (6, 0, 0), "{http:?}: {:?}", measured.snapshot.failures);
        assert_eq!((server.stats().ws.opened, server.stats().paths["/api/items"].received), (6, 6));
        // Two users with a connection each, and one for every session.
        assert_eq!(measured.snapshot.health.connections, 8, "{http:?}");
    }
}

#[test]
fn a_sessions_connection_is_its_own_and_never_used_again() {
    let _shared = among_others();
    let server = testbed();
    let mut other = get("/api/items");
    other.request = 1;
    let steps = vec![
        step(StepAction::Http(Box::new(other))),
        session(socket("/ws/echo", vec![send(json!(1)), receive(None, SECOND), close(1000)])),
    ];
    for max in [None, Some(4)] {
        server.reset_stats();
        let mut limited = plan(server.addr(), 4, Some(40), steps.clone());
        limited.target.connections.max = max;
        let measured = run(limited);
        assert_eq!(measured.sessions(), (40, 0, 0), "{:?}", measured.snapshot.failures);
        let connections = server.stats().connections;
        assert_eq!(connections.accepted, measured.snapshot.health.connections);
        match max {
            None => assert_eq!(connections.accepted, 44, "{connections:?}"),
            // A user's own connection makes room for its session.
            Some(max) => assert!(connections.peak <= max, "{connections:?}"),
        }
    }
}

#[test]
fn a_refused_handshake_is_a_failed_request_unless_it_is_expected() {
    let _shared = among_others();
    let server = testbed();
    let refuse = json!({"aragora": {"sockets": {"refuse": {"every": 1}, "refuseStatus": 503}}});
    server.merge_fault(&refuse).unwrap();
    let asking = |expect: Vec<(u16, u16)>| {
        let mut step: WebSocketStep = socket("/ws", vec![channel()]);
        step.handshake.expect = expect;
        run(plan(server.addr(), 2, Some(10), vec![session(step)]))
    };
    let measured = asking(vec![(101, 101)]);
    assert_eq!((measured.counts().complete, measured.counts().failed), (10, 10));
    assert_eq!((measured.counts().statuses[&503], measured.sessions()), (10, (0, 0, 0)));
    let (class, status, example) = measured.failure();
    assert_eq!((class, status), (ErrorClass::Status, Some(503)));
    assert!(example.starts_with("status 503: "), "{example}");
    let measured = asking(vec![(101, 101), (503, 503)]);
    assert_eq!((measured.counts().complete, measured.counts().failed), (10, 0));
    assert_eq!((measured.metric(SENT).sum, server.stats().ws.opened), (0, 0));
}

#[test]
fn a_handshake_that_should_be_refused_and_is_not_has_failed() {
    let _shared = among_others();
    let server = testbed();
    let mut step = socket("/ws/echo", vec![send(json!(1))]);
    step.handshake.expect = vec![(401, 401)];
    let measured = run(once(server.addr(), vec![session(step)]));
    let (class, status, _) = measured.failure();
    assert_eq!((class, status, measured.sessions()), (ErrorClass::Status, Some(101), (0, 0, 0)));
    assert_eq!(measured.metric(SENT).sum, 0);
    eventually(|| server.stats().ws.closes.get(&1001) == Some(&1));
}

#[test]
fn a_pause_lets_messages_wait_and_an_optional_receive_may_go_without() {
    let _shared = among_others();
    let server = testbed();
    let script = vec![
        send(json!({"n": 1})),
        WebSocketAction::Pause(constant(100 * MILLI)),
        receive(Some("message.n == 1"), SECOND),
        WebSocketAction::Receive {
            until: None,
            within: 100 * MILLI,
            optional: true,
            reading: Reading::default(),
            captures: vec![],
        },
        close(1000),
    ];
    let measured = run(once(server.addr(), vec![session(socket("/ws/echo", script))]));
    assert_eq!(measured.sessions(), (1, 0, 0), "{:?}", measured.snapshot.failures);
    let length = measured.metric(SESSION).histogram.min().unwrap();
    assert!((200 * MILLI..2 * SECOND).contains(&length), "{length}");
}

#[test]
fn whoever_traces_sees_messages_and_how_the_session_ended() {
    let _shared = among_others();
    let server = testbed();
    let ping = WebSocketAction::Ping { within: SECOND };
    let script = vec![send(json!({"n": 1})), receive(None, SECOND), ping, close(1000)];
    let events = traced(once(server.addr(), vec![session(socket("/ws/echo", script))]));
    let message = |sent| TraceEvent::Message { sent, text: "{\"n\":1}".into() };
    let place = |wanted: &TraceEvent| events.iter().position(|event| event == wanted).unwrap();
    assert!(place(&message(true)) < place(&message(false)));
    let measured = |metric: u16| {
        let name = format!("m{metric}");
        events.iter().any(|event| matches!(event, TraceEvent::Measured { name: n, .. } if *n == name))
    };
    assert!(measured(FIRST) && measured(PING), "{events:?}");
    let asked = events.iter().any(|event| {
        matches!(event, TraceEvent::Request { text } if text.contains("sec-websocket-version: 13\r\n"))
    });
    let answered = events.iter().any(|event| matches!(event, TraceEvent::Response { status: 101, .. }));
    assert!(asked && answered, "{events:?}");
    let ended =
        |event: &&TraceEvent| matches!(event, TraceEvent::Ended { how: "Done", name, .. } if name == "m3");
    assert_eq!(events.iter().filter(ended).count(), 1, "{events:?}");
}
