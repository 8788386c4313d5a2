//! Many sockets held open at once: what they hear is what the server's log says it sent, when it sent it.

use plimsoll_scenario::{WebSocketAction, WebSocketStep};
use plimsoll_testbed::{Aragora, Config, Sockets, Testbed};

use crate::support::*;

const USERS: u64 = 200;

/// A channel that says something every `channel_ms`, and lets what it is told lie for `read_delay_ms`.
fn server(channel_ms: f64, read_delay_ms: f64) -> Testbed {
    let sockets = Sockets { channel_ms, read_delay_ms, ..Sockets::default() };
    let aragora = Aragora { sockets, ..Aragora::default() };
    Testbed::start(Config { threads: 1, aragora, ..Config::default() }).unwrap()
}

fn listener() -> WebSocketStep {
    let stamp = reading(Some("message.timestamp"), Some("message.type != 'error'"));
    let hold = WebSocketAction::Hold { length: constant(4 * SECOND), reading: stamp };
    socket("/ws", vec![channel(), hold, close(1000)])
}

#[test]
fn two_hundred_sockets_hear_everything_when_it_is_said() {
    let _alone = alone();
    let server = server(250.0, 0.0);
    let measured = run(plan(server.addr(), USERS, Some(USERS), vec![session(listener())]));
    let stats = server.stats().ws;
    assert_eq!((stats.opened, stats.peak, stats.closes[&1000]), (USERS, USERS, USERS), "{stats:?}");
    assert_eq!(measured.sessions(), (USERS, 0, 0), "{:?}", measured.snapshot.failures);
    assert_eq!((measured.counts().complete, measured.counts().failed), (USERS, 0));
    assert_eq!(measured.metric(SENT).sum, stats.messages_in);
    // Every one of them was heard but those under way when the hold ended, which the closing handshake still counts.
    assert_eq!(measured.metric(RECEIVED).sum, stats.messages_out);
    let heard = measured.metric(MESSAGE);
    let missed = stats.messages_out - heard.count;
    assert!(heard.count >= USERS * 16 && missed <= USERS, "{} of {stats:?}", heard.count);
    assert_eq!((measured.metric(SKEWED).sum, measured.metric(FAULT).count), (0, 0));
    let checks = measured.metric(CHECK);
    assert_eq!((checks.count, checks.good), (heard.count, heard.count));
    // By the log each socket was told something every 250 ms, and the stamps of the messages are the log's times: what the server
    // said late is no latency, and what it said on time was heard at once.
    let log = server.messages("/ws");
    assert!(!log.truncated && log.entries.len() as u64 == stats.messages_in + stats.messages_out);
    // All at once every 250 ms: a message waits for those before it, on a machine of two cores that is a few milliseconds.
    let (p50, p99) = (heard.histogram.percentile(5000, 0), heard.histogram.percentile(9900, 0));
    assert!(p50.finite().unwrap() < 20 * MILLI && p99.finite().unwrap() < 150 * MILLI, "{p50:?} {p99:?}");
    let session = measured.metric(SESSION).histogram;
    assert!(session.min().unwrap() >= 4 * SECOND, "{:?}", session.min());
}

#[test]
fn the_first_message_and_the_latencies_follow_the_pacing_of_the_server() {
    let _alone = alone();
    let delay = 60.0;
    let server = server(10_000.0, delay);
    // The answer to the subscription is the first message: it comes when what asked for it has lain for 60 ms.
    let script = vec![channel(), receive(None, 5 * SECOND), close(1000)];
    let measured = run(plan(server.addr(), 5, Some(20), vec![session(socket("/ws", script))]));
    assert_eq!(measured.sessions(), (20, 0, 0), "{:?}", measured.snapshot.failures);
    let first = measured.metric(FIRST).histogram;
    assert_eq!(first.count(), 20);
    // The log has when the server read the question and when it gave the answer.
    let log = server.messages("/ws").entries;
    let gaps = log.iter().filter(|entry| entry.sent).map(|answer| {
        let asked = log.iter().find(|entry| !entry.sent && entry.stream == answer.stream).unwrap();
        (answer.at_us - asked.at_us) * 1000
    });
    let gaps: Vec<u64> = gaps.collect();
    let (least, most) = (*gaps.iter().min().unwrap(), *gaps.iter().max().unwrap());
    assert!(least >= 55 * MILLI, "{gaps:?}");
    assert!(first.min().unwrap() * 100 >= least * 98, "{:?} {gaps:?}", first.min());
    assert!(first.max().unwrap() <= most + 20 * MILLI, "{:?} {gaps:?}", first.max());
    let mean = gaps.iter().sum::<u64>() / gaps.len() as u64;
    assert!(first.mean().unwrap().abs_diff(mean) < 5 * MILLI, "{:?} {mean}", first.mean());
}
