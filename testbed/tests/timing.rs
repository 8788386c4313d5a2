//! The latency laws against the server's own log and against the client's clock. Bounds that hold on an idle
//! machine are tested with five times as much.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod client;

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use client::Client;
use plimsoll_testbed::{Body, Config, Fault, Freeze, Latency, Route, Slow, Testbed};

/// Timing tests run one after the other.
static ALONE: Mutex<()> = Mutex::new(());

fn start(routes: Vec<Route>) -> Testbed {
    Testbed::start(Config { routes, ..Config::default() }).unwrap()
}

/// Five times 0.3 ms.
const LATE: Duration = Duration::from_micros(1500);

/// How late something was by its law; nothing may ever be early.
fn lateness(measured: Duration, law: Duration) -> Duration {
    assert!(measured >= law, "{measured:?} for a law of {law:?}");
    measured - law
}

/// Runs a measurement until one is within the bound, at most five times: other processes make a measurement late
/// now and then, a wrong timer makes all of them late.
fn assert_prompt(measure: impl FnMut() -> Duration) {
    let all: Vec<Duration> = std::iter::repeat_with(measure)
        .take(5)
        .scan(false, |done, late| {
            let before = std::mem::replace(done, *done || late < LATE);
            (!before).then_some(late)
        })
        .collect();
    assert!(all.iter().any(|late| *late < LATE), "late by {all:?}");
}

#[test]
fn the_log_of_a_94_to_6_law_has_its_percentiles() {
    let _alone = ALONE.lock();
    let latency = Latency::spread([(20.0, 94), (200.0, 6)]);
    let testbed = start(vec![Route { latency, ..Route::at("/price") }]);
    assert_prompt(|| {
        testbed.reset_stats();
        let address = testbed.addr();
        let twenty = move || {
            let mut client = Client::connect(address);
            (0..20).for_each(|_| assert_eq!(client.get("/price").unwrap().status, 200));
        };
        let clients: Vec<_> = (0..10).map(|_| thread::spawn(twenty)).collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
        assert!(testbed.wait_until_idle(Duration::from_secs(5)));
        let log = testbed.log("/price");
        assert_eq!(log.entries.len(), 200);
        assert_eq!(log.entries.iter().filter(|entry| entry.duration_us >= 200_000).count(), 12);
        let late = [(0.5, 20), (0.9, 20), (0.95, 200), (0.99, 200)]
            .map(|(q, ms)| lateness(log.percentile(q).unwrap(), Duration::from_millis(ms)));
        late.into_iter().max().unwrap()
    });
}

#[test]
fn delays_are_kept_to_fractions_of_a_millisecond_on_both_sides() {
    let _alone = ALONE.lock();
    let laws = [2300, 700, 5000];
    let testbed = start(vec![Route { latency: Latency::Sequence(vec![2.3, 0.7, 5.0]), ..Route::at("/x") }]);
    let mut client = Client::connect(testbed.addr());
    assert_prompt(|| {
        testbed.reset_stats();
        let one = |i: usize| {
            let sent = Instant::now();
            client.get("/x").unwrap();
            lateness(sent.elapsed(), Duration::from_micros(laws[i % 3]))
        };
        let mut late: Vec<Duration> = (0..150).map(one).collect();
        late.sort_unstable();
        late[142]
    });
    assert!(testbed.wait_until_idle(Duration::from_secs(5)));
    let log = testbed.log("/x");
    let in_order =
        log.entries.iter().zip(laws.iter().cycle()).all(|(entry, law)| u64::from(entry.duration_us) >= *law);
    assert!(in_order && log.entries.len() == 150, "{:?}", &log.entries[..6]);
    assert!(log.entries.is_sorted_by_key(|entry| entry.arrival_us));
}

#[test]
fn a_freeze_holds_all_answers_back_and_then_lets_all_go() {
    let _alone = ALONE.lock();
    let testbed = start(vec![Route { latency: Latency::Constant(5.0), ..Route::at("/x") }]);
    let mut clients: Vec<Client> = (0..4).map(|_| Client::connect(testbed.addr())).collect();
    for client in &mut clients {
        client.get("/x").unwrap();
    }
    assert_prompt(|| {
        let begun = Instant::now();
        testbed.freeze(Duration::from_millis(300));
        for client in &mut clients {
            client.write(b"GET /x HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        }
        let answered = |client: &mut Client| {
            assert_eq!(client.read(false).unwrap().status, 200);
            lateness(begun.elapsed(), Duration::from_millis(300))
        };
        clients.iter_mut().map(answered).max().unwrap()
    });
}

#[test]
fn a_configured_freeze_counts_from_the_first_request() {
    let _alone = ALONE.lock();
    let freezes = vec![Freeze { after_ms: 100.0, for_ms: 200.0 }];
    let routes = vec![Route { latency: Latency::Constant(1.0), ..Route::at("/x") }];
    let testbed = Testbed::start(Config { routes, freezes, ..Config::default() }).unwrap();
    let mut client = Client::connect(testbed.addr());
    assert_prompt(|| {
        testbed.reset_stats();
        let first = Instant::now();
        while first.elapsed() < Duration::from_millis(350) {
            client.get("/x").unwrap();
        }
        assert!(testbed.wait_until_idle(Duration::from_secs(5)));
        let log = testbed.log("/x");
        let held: Vec<_> = log.entries.iter().filter(|entry| entry.duration_us > 100_000).collect();
        let [one] = held.as_slice() else { panic!("{held:?}") };
        let end = one.arrival_us + u64::from(one.duration_us) - log.entries[0].arrival_us;
        // Arrivals are whole microseconds.
        lateness(Duration::from_micros(end + 1), Duration::from_millis(300))
    });
}

#[test]
fn clearing_a_fault_ends_its_freeze_and_its_stall() {
    let _alone = ALONE.lock();
    let testbed = start(vec![Route::at("/x")]);
    for fault in [
        Fault { freeze_ms: Some(60_000.0), ..Fault::default() },
        Fault { stall: true, path: Some("/x".into()), ..Fault::default() },
    ] {
        testbed.set_fault(fault).unwrap();
        let address = testbed.addr();
        let client =
            thread::spawn(move || Client::connect(address).get("/x").map(|response| response.status));
        while testbed.stats().paths.get("/x").is_none_or(|path| path.in_flight == 0) {
            thread::yield_now();
        }
        assert!(!client.is_finished());
        testbed.clear_fault();
        assert_eq!(client.join().unwrap().unwrap(), 200);
    }
}

#[test]
fn a_slow_body_takes_its_time_and_ends_in_the_log() {
    let _alone = ALONE.lock();
    let slow = Some(Slow { pieces: 5, every_ms: 20.0 });
    for chunked in [false, true] {
        let body = Body::Bytes(1000);
        let testbed = start(vec![Route { slow, chunked, body, ..Route::at("/x") }]);
        assert_prompt(|| {
            testbed.reset_stats();
            let response = Client::connect(testbed.addr()).get("/x").unwrap();
            assert_eq!(response.body.len(), 1000);
            assert!(testbed.wait_until_idle(Duration::from_secs(5)));
            lateness(testbed.log("/x").percentile(0.5).unwrap(), Duration::from_millis(80))
        });
    }
}
