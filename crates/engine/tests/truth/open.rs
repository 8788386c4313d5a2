//! The open model: exact numbers, no coordinated omission, nothing dropped.

use std::io::{Read, Write, copy};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use plimsoll_measure::{ErrorClass, Percentile, Snapshot};
use plimsoll_plan::{ConnectionsPer, Distribution, Load, Tls};
use plimsoll_testbed::{Config, Freeze, Latency, Route, When};

use crate::support::*;

#[test]
fn a_uniform_rate_sends_exactly_rate_times_duration() {
    let _shared = among_others();
    let server = server(vec![Route::at("/")]);
    let snapshot = run(plan(server.addr(), rate(1500, 2 * SECOND, 100), 2 * SECOND, vec![http(get("/"))]));
    let counts = totals(&snapshot);
    assert_eq!((counts.sent, counts.complete, counts.failed), (3000, 3000, 0));
    assert_eq!(server.stats().received(), 3000);
    assert_eq!((snapshot.health.due, snapshot.health.delivered), (3000, 3000));
    let asked: Vec<u64> = snapshot.series.iter().map(|second| second.asked).collect();
    assert_eq!(asked, [1500, 1500]);
}

/// 200 arrivals per second while no answer leaves for six tenths of the time: half of all wait longer than one tenth, a tenth
/// longer than five, a hundredth longer than 5.9.
fn frozen(tenth: u64, max_in_flight: u64) -> Snapshot {
    let millis = (tenth / MILLI) as f64;
    let freezes = vec![Freeze { after_ms: 2.0 * millis, for_ms: 6.0 * millis }];
    let server = start(Config { routes: vec![Route::at("/")], freezes, ..quiet() });
    let duration = 10 * tenth;
    let snapshot =
        run(plan(server.addr(), rate(200, duration, max_in_flight), duration, vec![http(get("/"))]));
    let sent = 200 * duration / SECOND;
    assert_eq!((totals(&snapshot).sent, server.stats().received()), (sent, sent));
    let latency = &cell(&snapshot, 0).latency;
    for (q, tenths) in [(5000, 1.0), (9000, 5.0), (9900, 5.9)] {
        let seen = latency.percentile(q, 0).finite().unwrap() as f64 / tenth as f64;
        assert!((seen - tenths).abs() < 0.1, "p{}: {seen} tenths, expected {tenths}", q / 100);
    }
    snapshot
}

#[test]
fn a_frozen_target_is_seen_as_its_users_see_it() {
    let _alone = alone();
    // 6 of 10 s: p50 1 s, p90 5 s, p99 5.9 s.
    let snapshot = frozen(SECOND, 2000);
    let late = snapshot.health.lateness.percentile(9000, 0).finite().unwrap();
    assert!(late < 10 * MILLI, "they were sent when they were due: {late} ns");
}

#[test]
fn a_frozen_target_is_seen_so_even_if_the_arrivals_must_queue() {
    let _alone = alone();
    let tenth = 400 * MILLI;
    let snapshot = frozen(tenth, 40);
    // The service time knows nothing of the queue, and the generator says that it was late.
    let service = cell(&snapshot, 0).service.percentile(9000, 0).finite().unwrap();
    assert!(service < tenth, "{service}");
    assert!(snapshot.health.lateness.percentile(9000, 0).finite().unwrap() > 4 * tenth);
    assert!(snapshot.health.connections <= 40);
}

#[test]
fn what_is_still_queued_at_the_end_is_unsent_and_what_hangs_is_unfinished() {
    let _shared = among_others();
    let route = Route { stall: Some(When::After(0)), ..Route::at("/") };
    let server = server(vec![route]);
    let mut plan = plan(server.addr(), rate(100, SECOND, 10), SECOND, vec![http(get("/"))]);
    plan.graceful_stop = SECOND / 2;
    let snapshot = run(plan);
    let counts = totals(&snapshot);
    assert_eq!((counts.sent, counts.unfinished, counts.unsent), (10, 10, 90));
    assert_eq!((counts.complete, of_class(&counts, ErrorClass::Timeout)), (0, 100));
    assert_eq!(snapshot.health.due, 100);
    assert_eq!(snapshot.health.delivered, 10);
    assert_eq!(cell(&snapshot, 0).latency.percentile(100, counts.incomplete), Percentile::OverMax);
}

#[test]
fn a_poisson_rate_sends_what_its_plan_says() {
    let _shared = among_others();
    let server = server(vec![Route::at("/")]);
    let mut plan = plan(server.addr(), rate(500, 2 * SECOND, 100), 2 * SECOND, vec![http(get("/"))]);
    if let Load::Open { distribution, .. } = &mut plan.loads[0].load {
        *distribution = Distribution::Poisson;
    }
    let due: usize = whole(plan.clone())
        .lanes(2)
        .iter()
        .map(|lane| lane.groups().map(|group| group.arrivals().count()).sum::<usize>())
        .sum();
    let counts = totals(&run(plan));
    assert_eq!((counts.sent, server.stats().received()), (due as u64, due as u64));
}

#[test]
fn arrivals_run_all_their_steps_and_iterations_limit_them() {
    let _shared = among_others();
    let server = server(vec![Route::at("/a"), Route { latency: Latency::Constant(5.0), ..Route::at("/b") }]);
    let mut second = get("/b");
    second.request = 1;
    let pause = pause(10);
    let steps = vec![http(get("/a")), pause, http(second)];
    let mut plan = plan(server.addr(), rate(100, 2 * SECOND, 100), 2 * SECOND, steps);
    plan.loads[0].iterations = Some(60);
    let snapshot = run(plan);
    assert_eq!((cell(&snapshot, 0).counts.sent, cell(&snapshot, 1).counts.sent), (60, 60));
    assert_eq!(snapshot.health.iterations, 60);
    assert!(snapshot.health.wall < 2 * SECOND, "the run ends with its iterations");
    assert_eq!(server.stats().received(), 120);
}

#[test]
fn an_own_connection_serves_one_arrival() {
    let _shared = among_others();
    let server = server(vec![Route::at("/")]);
    let mut plan = plan(server.addr(), rate(50, SECOND, 100), SECOND, vec![http(get("/")), http(get("/"))]);
    plan.target.connections.per = ConnectionsPer::User;
    let snapshot = run(plan);
    assert_eq!((totals(&snapshot).sent, snapshot.health.connections), (100, 50));
    assert_eq!(server.stats().connections.accepted, 50);
}

/// A relay that keeps the first bytes of each connection back for so long, as a handshake does that is slow.
fn slow_to_open(target: SocketAddr, hold: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let relay = move |mut client: TcpStream| -> std::io::Result<()> {
        let mut server = TcpStream::connect(target)?;
        let mut first = [0; 4096];
        let length = client.read(&mut first)?;
        thread::sleep(hold);
        server.write_all(&first[..length])?;
        let (mut from, mut to) = (server.try_clone()?, client.try_clone()?);
        thread::spawn(move || copy(&mut from, &mut to).and_then(|_| to.shutdown(Shutdown::Write)));
        copy(&mut client, &mut server)?;
        server.shutdown(Shutdown::Write)
    };
    thread::spawn(move || {
        listener.incoming().flatten().for_each(|client| drop(thread::spawn(move || relay(client))));
    });
    address
}

#[test]
fn opening_a_connection_is_latency_and_not_the_generators_lateness() {
    let _alone = alone();
    let config = Config { routes: vec![Route::at("/")], ..quiet() };
    let server = start(Config { listen_tls: vec![SocketAddr::from(([127, 0, 0, 1], 0))], ..config });
    let relay = slow_to_open(server.tls_addr().unwrap(), Duration::from_millis(60));
    let mut plan = plan(relay, rate(40, SECOND, 100), SECOND, vec![http(get("/"))]);
    plan.target.connections.per = ConnectionsPer::User;
    plan.target.scheme = "https".into();
    plan.target.tls = Some(Tls { insecure_skip_verify: true, ..Tls::default() });
    let snapshot = run(plan);
    assert_eq!((totals(&snapshot).complete, snapshot.health.connections), (40, 40));
    let median = |histogram: &plimsoll_measure::Histogram| histogram.percentile(5000, 0).finite().unwrap();
    let cell = cell(&snapshot, 0);
    let (tls, latency) = (median(&cell.tls), median(&cell.latency));
    assert!(tls > 59 * MILLI && latency > tls, "{tls} {latency}");
    let late = median(&snapshot.health.lateness);
    assert!(late < 10 * MILLI, "the requests were begun in time: {late} ns");
}
