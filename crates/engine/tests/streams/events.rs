//! Streams of server-sent events over HTTP/1.1 and HTTP/2.

use std::time::Instant;

use plimsoll_measure::ErrorClass;
use plimsoll_plan::HttpVersion;
use plimsoll_scenario::{SseStep, StepAction};
use plimsoll_testbed::{Aragora, Config, Sse, Testbed};

use crate::peer;
use crate::support::*;

fn testbed(sse: Sse) -> Testbed {
    let aragora = Aragora { sse, ..Aragora::default() };
    Testbed::start(Config { threads: 1, aragora, ..Config::default() }).unwrap()
}

/// The plan over one version of HTTP.
fn over(http: HttpVersion, mut plan: plimsoll_plan::Plan) -> Measured {
    plan.target.http = http;
    run(plan)
}

const BOTH: [HttpVersion; 2] = [HttpVersion::Http1, HttpVersion::Http2];

#[test]
fn a_stream_is_read_to_its_end_and_its_connection_used_again() {
    let _shared = among_others();
    let server = testbed(Sse::default());
    for http in BOTH {
        server.reset_stats();
        let step = SseStep {
            reading: reading(None, Some("message.event != ''")),
            ..events("/sse?events=5&every=20")
        };
        let measured = over(http, plan(server.addr(), 3, Some(12), vec![stream(step)]));
        assert_eq!(measured.sessions(), (12, 0, 0), "{http:?}: {:?}", measured.snapshot.failures);
        let stats = server.stats();
        assert_eq!((measured.metric(RECEIVED).sum, stats.sse.messages_out), (60, 60), "{http:?}");
        assert_eq!(measured.metric(CHECK).good, 60);
        assert_eq!((measured.counts().complete, measured.counts().failed), (12, 0));
        assert!(stats.connections.accepted <= 3, "{http:?}: {:?}", stats.connections);
        assert_eq!(stats.sse.closes[&1000], 12, "{http:?}: {:?}", stats.sse);
        // The head is the request; the events come 20 ms apart.
        let lengths = measured.metric(SESSION).histogram;
        assert!(lengths.min().unwrap() >= 70 * MILLI, "{http:?}: {:?}", lengths.min());
        assert_eq!(measured.metric(FIRST).count, 12);
    }
}

#[test]
fn the_event_that_was_waited_for_ends_the_step_and_the_stream() {
    let _shared = among_others();
    let server = testbed(Sse::default());
    for http in BOTH {
        server.reset_stats();
        let mut step = events("/sse?events=0&every=10");
        step.until = Some(condition("int(message.id) >= 3"));
        step.captures = vec![assign("last", "message.id")];
        let mut after = get("/api/items?after=${user.last}");
        after.request = 1;
        let steps = vec![stream(step), self::step(StepAction::Http(Box::new(after)))];
        let measured = over(http, plan(server.addr(), 2, Some(6), steps));
        assert_eq!(measured.sessions(), (6, 0, 0), "{http:?}: {:?}", measured.snapshot.failures);
        assert_eq!(measured.metric(FAULT).count, 0);
        assert_eq!(server.stats().paths["/api/items"].received, 6);
        // Left before its end, which it would never have come to.
        eventually(|| server.stats().sse.closes.get(&1006) == Some(&6));
    }
}

#[test]
fn events_carry_the_time_at_which_they_were_sent() {
    let _alone = alone();
    let server = testbed(Sse::default());
    let step = SseStep {
        reading: reading(Some("message.data.timestamp"), None),
        ..events("/sse?events=20&every=10")
    };
    let measured = run(plan(server.addr(), 2, Some(4), vec![stream(step)]));
    let latency = measured.metric(MESSAGE);
    assert_eq!((latency.count, measured.metric(SKEWED).sum, measured.metric(FAULT).count), (80, 0, 0));
    let p50 = latency.histogram.percentile(5000, 0).finite().unwrap();
    assert!(p50 < 10 * MILLI, "{p50}");
    let first = measured.metric(FIRST).histogram;
    assert!(first.max().unwrap() < 200 * MILLI, "{:?}", first.max());
}

#[test]
fn a_stream_that_goes_on_past_its_limit_has_timed_out() {
    let _shared = among_others();
    let server = testbed(Sse { heartbeat_ms: 30.0, ..Sse::default() });
    for http in BOTH {
        for until in [None, Some(condition("false"))] {
            let mut step = events("/sse?events=0&every=100");
            (step.limit, step.until) = (350 * MILLI, until);
            let begun = Instant::now();
            let measured = over(http, once(server.addr(), vec![stream(step)]));
            assert!(begun.elapsed().as_secs_f64() < 5.0);
            assert_eq!(measured.sessions(), (0, 0, 1), "{http:?}");
            let (class, status, example) = measured.failure();
            assert_eq!((class, status), (ErrorClass::Timeout, Some(200)));
            assert!(example.contains("within 350ms; ") && example.contains(" events and "), "{example}");
            assert!(!example.contains("and 0 comments"), "{example}");
        }
    }
}

#[test]
fn an_early_end_has_failed_unless_the_end_was_waited_for() {
    let _shared = among_others();
    let server = testbed(Sse::default());
    let mut step = events("/sse?events=3&every=5");
    step.until = Some(condition("int(message.id) >= 100"));
    for http in BOTH {
        let measured = over(http, once(server.addr(), vec![stream(step.clone())]));
        assert_eq!(measured.sessions(), (0, 1, 0), "{http:?}");
        assert!(measured.failure().2.contains("ended before an event met `until`; 3 events"), "{http:?}");
    }
    // Cut off in the middle, it has no end at all.
    let server = testbed(Sse { drop_after: Some(2), ..Sse::default() });
    for http in BOTH {
        let measured = over(http, once(server.addr(), vec![stream(events("/sse?events=5&every=5"))]));
        assert_eq!(measured.sessions(), (0, 1, 0), "{http:?}");
        assert!(measured.failure().2.contains("2 events"), "{http:?}: {:?}", measured.failure());
        assert_eq!(measured.counts().failed, 0, "the head was good");
    }
}

#[test]
fn what_is_no_event_stream_is_a_failed_request() {
    let _shared = among_others();
    let server = testbed(Sse::default());
    for http in BOTH {
        let measured = over(http, once(server.addr(), vec![stream(events("/api/items"))]));
        let (class, status, example) = measured.failure();
        assert_eq!((class, status, measured.sessions()), (ErrorClass::Body, Some(200), (0, 0, 0)));
        assert!(example.contains("application/json, not text/event-stream; status 200: "), "{example}");
        let measured = over(http, once(server.addr(), vec![stream(events("/status/404"))]));
        assert_eq!((measured.failure().0, measured.failure().1), (ErrorClass::Status, Some(404)));
        let mut step = events("/status/404");
        step.http.expect = vec![(404, 404)];
        let measured = over(http, once(server.addr(), vec![stream(step)]));
        assert_eq!((measured.counts().complete, measured.counts().failed), (1, 0));
        let mut step = events("/redirect/1");
        step.http.expect = vec![(200, 399)];
        let measured = over(http, once(server.addr(), vec![stream(step)]));
        assert_eq!((measured.failure().0, measured.failure().1), (ErrorClass::Status, Some(302)));
    }
}

#[test]
fn the_end_of_the_load_ends_a_watch_and_lets_a_wait_finish() {
    let _shared = among_others();
    let server = testbed(Sse::default());
    let watch = plan(server.addr(), 5, None, vec![stream(events("/sse?events=0&every=20"))]);
    let measured = run(lasting(watch, 500 * MILLI, 10 * SECOND));
    assert_eq!((measured.sessions(), measured.counts().complete), ((0, 0, 0), 5));
    let mut step = events("/sse?events=0&every=50");
    step.until = Some(condition("int(message.id) >= 15"));
    let wait = plan(server.addr(), 5, None, vec![stream(step)]);
    let measured = run(lasting(wait, 300 * MILLI, 10 * SECOND));
    assert_eq!(measured.sessions(), (5, 0, 0), "{:?}", measured.snapshot.failures);
}

#[test]
fn a_body_that_ends_with_its_connection_is_a_stream_that_ended() {
    let _shared = among_others();
    let (address, server) = peer::serve(|peer| {
        assert_eq!(peer.header("accept"), Some("text/event-stream"));
        // The first event comes with the head, the second in pieces.
        peer.say(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\ndata: {\"n\": 1}\n\n",
        );
        for piece in [&b"da"[..], b"ta: {\"n\"", b": 2}\r", b"\n\r", b"\n: beat\n\ndata: {\"n\": 9}"] {
            peer.say(piece);
            std::thread::yield_now();
        }
        let _ = peer.stream.shutdown(std::net::Shutdown::Both);
    });
    let step = SseStep { reading: reading(None, Some("message.data.n < 3")), ..events("/") };
    let measured = run(once(address, vec![stream(step)]));
    server.join().unwrap();
    assert_eq!(measured.sessions(), (1, 0, 0), "{:?}", measured.snapshot.failures);
    // What has no empty line behind it is no event.
    assert_eq!((measured.metric(RECEIVED).sum, measured.metric(CHECK).good), (2, 2));
}
