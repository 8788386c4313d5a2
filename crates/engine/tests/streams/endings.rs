//! How sessions end: closed by either side, timed out, cut short by the end of the load.

use std::time::Instant;

use plimsoll_measure::ErrorClass;
use plimsoll_plan::Ramp;
use plimsoll_scenario::{Body, WebSocketAction};
use plimsoll_testbed::{Config, Testbed};
use serde_json::json;

use crate::peer::{self, closing, text};
use crate::support::*;

fn testbed() -> Testbed {
    Testbed::start(Config { threads: 1, ..Config::default() }).unwrap()
}

fn await_close(codes: Vec<u16>) -> WebSocketAction {
    WebSocketAction::AwaitClose { within: 5 * SECOND, codes }
}

#[test]
fn the_servers_close_code_is_as_wanted_or_in_the_failures_example() {
    let _shared = among_others();
    let server = testbed();
    let drop = json!({"aragora": {"sockets": {"dropAfter": 1, "dropCode": 4029}}});
    server.merge_fault(&drop).unwrap();
    let ending = |last: WebSocketAction| {
        run(plan(server.addr(), 2, Some(4), vec![session(socket("/ws", vec![channel(), last]))]))
    };
    for wanted in [vec![1000, 4029], vec![]] {
        assert_eq!(ending(await_close(wanted)).sessions(), (4, 0, 0));
    }
    let measured = ending(await_close(vec![1000]));
    assert_eq!(measured.sessions(), (0, 4, 0));
    let (class, status, example) = measured.failure();
    assert_eq!((class, status), (ErrorClass::Reset, Some(101)));
    assert!(example.contains("4029") && example.contains("dropped by the testbed"), "{example}");
    assert!(example.contains("script[1] awaitClose") && example.contains("[1000]"), "{example}");
    // Whoever holds does not expect the end.
    let measured = ending(hold(5 * SECOND));
    assert_eq!(measured.sessions(), (0, 4, 0));
    assert!(measured.failure().2.contains("script[1] hold: the server closed with code 4029"));
    assert_eq!((measured.counts().complete, measured.counts().failed), (4, 0), "the handshakes were good");
    assert_eq!(server.stats().ws.closes[&4029], 16);
}

#[test]
fn an_end_without_a_close_frame_is_told_as_1006() {
    let _shared = among_others();
    let server = testbed();
    let drop = json!({"aragora": {"sockets": {"dropAfter": 1, "dropCode": null}}});
    server.merge_fault(&drop).unwrap();
    let ending = |last| run(once(server.addr(), vec![session(socket("/ws", vec![channel(), last]))]));
    let measured = ending(hold(5 * SECOND));
    assert_eq!(measured.sessions(), (0, 1, 0));
    let (class, _, example) = measured.failure();
    assert_eq!(class, ErrorClass::Reset);
    assert!(example.contains("no close frame (1006)"), "{example}");
    assert_eq!(ending(await_close(vec![])).sessions(), (0, 1, 0), "any code is still a code");
    assert_eq!(ending(await_close(vec![1006])).sessions(), (1, 0, 0));
}

#[test]
fn what_does_not_come_in_time_has_timed_out_and_the_socket_is_closed_in_good_order() {
    let _shared = among_others();
    let server = testbed();
    let within = 80 * MILLI;
    for (item, told) in [
        (receive(Some("message.type == 'never'"), within), "no message that meets `until` within 80ms"),
        (await_close_within(within), "the server did not close within 80ms"),
    ] {
        server.reset_stats();
        let measured = run(once(server.addr(), vec![session(socket("/ws", vec![channel(), item]))]));
        assert_eq!(measured.sessions(), (0, 0, 1), "{told}");
        let (class, status, example) = measured.failure();
        assert_eq!((class, status), (ErrorClass::Timeout, Some(101)));
        assert!(example.contains(told), "{example}");
        eventually(|| server.stats().ws.closes.get(&1000) == Some(&1));
    }
}

fn await_close_within(within: u64) -> WebSocketAction {
    WebSocketAction::AwaitClose { within, codes: vec![] }
}

#[test]
fn a_pong_or_an_answer_to_close_that_does_not_come_times_out() {
    let _shared = among_others();
    let (address, server) = peer::serve(|peer| {
        peer.accept_and(&[]);
        let ping = peer.hear().unwrap().0;
        (ping, peer.hear_close())
    });
    let script = vec![WebSocketAction::Ping { within: 60 * MILLI }, close(1000)];
    let measured = run(once(address, vec![session(socket("/", script))]));
    assert_eq!((server.join().unwrap(), measured.sessions()), ((9, Some(1000)), (0, 0, 1)));
    assert_eq!((measured.metric(PING).count, measured.metric(PING).timed_out), (1, 1));
    assert!(measured.failure().2.contains("script[0] ping: no pong within 60ms"));

    let (address, server) = peer::serve(|peer| {
        peer.accept_and(&[]);
        let code = peer.hear_close();
        // Keeps talking and does not close.
        while peer.hear().is_some() {}
        code
    });
    let measured = run(once(address, vec![session(socket("/", vec![close(3999)]))]));
    assert_eq!((server.join().unwrap(), measured.sessions()), (Some(3999), (0, 0, 1)));
    assert!(measured.failure().2.contains("did not answer the close frame within 5s"));
}

#[test]
fn messages_may_still_come_after_our_close_and_the_reason_is_rendered() {
    let _shared = among_others();
    let (address, server) = peer::serve(|peer| {
        peer.accept_and(&text("1"));
        let heard = peer.hear().unwrap();
        peer.say(&[text("2"), text("3"), closing(4321)].concat());
        (heard, peer.hear())
    });
    let close = WebSocketAction::Close { code: 4000, reason: "user ${run.user}".into(), at: "here".into() };
    let measured = run(once(address, vec![session(socket("/", vec![receive(None, SECOND), close]))]));
    let (heard, nothing) = server.join().unwrap();
    assert_eq!(heard, (8, [&4000_u16.to_be_bytes()[..], b"user 0"].concat()));
    assert_eq!(nothing, None, "a close frame is not said twice");
    assert_eq!((measured.sessions(), measured.metric(RECEIVED).sum), ((1, 0, 0), 3));
}

#[test]
fn the_end_of_the_load_ends_holds_and_pauses_in_good_order_and_counts_no_session() {
    let _shared = among_others();
    let server = testbed();
    for item in [hold(40 * SECOND), WebSocketAction::Pause(constant(40 * SECOND))] {
        server.reset_stats();
        let begun = Instant::now();
        let plan = plan(server.addr(), 20, None, vec![session(socket("/ws", vec![channel(), item]))]);
        let measured = run(lasting(plan, SECOND, 20 * SECOND));
        assert!(begun.elapsed().as_secs_f64() < 10.0, "{:?}", begun.elapsed());
        assert_eq!(measured.sessions(), (0, 0, 0));
        assert_eq!((measured.counts().complete, measured.counts().failed), (20, 0));
        assert!(measured.snapshot.failures.is_empty(), "{:?}", measured.snapshot.failures);
        eventually(|| server.stats().ws.closes.get(&1000) == Some(&20));
    }
}

#[test]
fn what_is_awaited_gets_the_time_to_finish_and_then_goes_away() {
    let _shared = among_others();
    let server = testbed();
    let patch = json!({"aragora": {"sockets": {"channelMs": 700}}});
    server.merge_fault(&patch).unwrap();
    let waiting = |until: &str| {
        let script = vec![channel(), receive(Some(until), 40 * SECOND), close(1000)];
        lasting(plan(server.addr(), 4, None, vec![session(socket("/ws", script))]), 300 * MILLI, 2 * SECOND)
    };
    let measured = run(waiting("message.type == 'debate_update'"));
    assert_eq!(measured.sessions(), (4, 0, 0), "{:?}", measured.snapshot.failures);
    server.reset_stats();
    // What did not come in all that time is not left out of the sum.
    let measured = run(waiting("message.type == 'never'"));
    assert_eq!(measured.sessions(), (0, 0, 4));
    let (class, status, example) = measured.failure();
    assert_eq!((class, status), (ErrorClass::Timeout, Some(101)));
    assert!(example.contains("still waiting when the time to finish was over"), "{example}");
    eventually(|| server.stats().ws.closes.get(&1001) == Some(&4));
}

#[test]
fn a_user_that_retires_leaves_its_hold() {
    let _shared = among_others();
    let server = testbed();
    let mut plan = plan(server.addr(), 6, None, vec![session(socket("/ws", vec![hold(40 * SECOND)]))]);
    plan = lasting(plan, 2 * SECOND, 5 * SECOND);
    let users = vec![Ramp { duration: SECOND, from: 6, to: 6 }, Ramp { duration: SECOND, from: 2, to: 2 }];
    plan.loads[0].load = plimsoll_plan::Load::Closed { users };
    let measured = run(plan);
    assert_eq!((measured.sessions(), measured.counts().failed), ((0, 0, 0), 0));
    eventually(|| server.stats().ws.closes.get(&1000) == Some(&6));
}

#[test]
fn a_message_that_cannot_be_made_fails_the_session() {
    let _shared = among_others();
    let server = testbed();
    let message = Body::Text("${user.absent}".into());
    let script = vec![
        WebSocketAction::Send { message, at: "here".into() },
        // Declares the variable, which is then not there.
        WebSocketAction::Receive {
            until: None,
            within: SECOND,
            optional: true,
            reading: plimsoll_scenario::Reading::default(),
            captures: vec![assign("absent", "message")],
        },
    ];
    let measured = run(once(server.addr(), vec![session(socket("/ws/echo", script))]));
    assert_eq!((measured.sessions(), measured.metric(SENT).sum), ((0, 1, 0), 0));
    let (class, status, example) = measured.failure();
    assert_eq!((class, status), (ErrorClass::Protocol, Some(101)));
    assert!(example.contains("script[0] send: the message could not be made"), "{example}");
}

#[test]
fn a_run_that_is_stopped_ends_what_stays_open_in_good_order() {
    let _shared = among_others();
    let server = testbed();
    let open = |steps| {
        server.reset_stats();
        let begun = Instant::now();
        let measured = during(plan(server.addr(), 10, None, steps), async |running| {
            while server.stats().ws.open + server.stats().sse.open < 10 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            running.stop();
        });
        // The grace would be 10 s.
        assert!(begun.elapsed().as_secs_f64() < 5.0, "{:?}", begun.elapsed());
        assert_eq!((measured.sessions(), measured.counts().failed), ((0, 0, 0), 0));
        assert!(measured.snapshot.failures.is_empty(), "{:?}", measured.snapshot.failures);
    };
    for item in [hold(40 * SECOND), WebSocketAction::Pause(constant(40 * SECOND))] {
        open(vec![session(socket("/ws", vec![item]))]);
        eventually(|| server.stats().ws.closes.get(&1000) == Some(&10));
    }
    open(vec![stream(events("/sse?events=0&every=10000"))]);
    eventually(|| server.stats().sse.open == 0);
}
