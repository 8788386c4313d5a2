//! Latencies against the server's own log, and the sum of several workers against one recorder.

use std::sync::Arc;

use plimsoll_engine::{Materials, prepare};
use plimsoll_measure::{Snapshot, Split};
use plimsoll_testbed::{Latency, Log, Route};

use crate::support::*;

/// 1 % + 0.3 ms, as the project promises.
fn agree(measured: u64, truth: u64) -> bool {
    measured.abs_diff(truth) <= truth / 100 + 300_000
}

fn compare(snapshot: &Snapshot, log: &Log) {
    let latency = &cell(snapshot, 0).latency;
    assert_eq!(latency.count(), log.entries.len() as u64);
    for (q, of) in [(5000, 0.5), (9500, 0.95), (9900, 0.99)] {
        let measured = latency.percentile(q, 0).finite().unwrap();
        let truth = log.percentile(of).unwrap().as_nanos() as u64;
        assert!(agree(measured, truth), "p{}: measured {measured} ns, the server says {truth} ns", q / 100);
    }
}

fn law() -> Route {
    Route { latency: Latency::spread([(20.0, 94), (200.0, 6)]), ..Route::at("/law") }
}

#[test]
fn closed_percentiles_are_those_of_the_servers_log() {
    let _serial = serial();
    let server = server(vec![law()]);
    let snapshot = run(a_few(server.addr(), 20, 2000, get("/law")));
    compare(&snapshot, &server.log("/law"));
    let counts = totals(&snapshot);
    assert_eq!((counts.sent, counts.failed, snapshot.health.iterations), (2000, 0, 2000));
    assert_eq!(server.stats().received(), 2000);
}

#[test]
fn open_percentiles_are_those_of_the_servers_log() {
    let _serial = serial();
    let server = server(vec![law()]);
    let snapshot = run(plan(server.addr(), rate(400, 5 * SECOND, 1000), 5 * SECOND, vec![http(get("/law"))]));
    compare(&snapshot, &server.log("/law"));
    assert_eq!((totals(&snapshot).sent, server.stats().received()), (2000, 2000));
    let late = snapshot.health.lateness.percentile(9900, 0).finite().unwrap();
    assert!(late < 5 * MILLI, "an idle generator must not be late: p99 {late} ns");
}

#[test]
fn the_split_shows_where_the_time_went() {
    let _serial = serial();
    let route = Route { latency: Latency::Constant(30.0), ..Route::at("/") };
    let server = server(vec![route]);
    let mut plan = a_few(server.addr(), 1, 4, get("/"));
    plan.target.connections.max_requests = Some(2);
    let snapshot = run(plan);
    let cell = cell(&snapshot, 0);
    assert_eq!((cell.connect.count(), cell.dns.count(), cell.tls.count()), (2, 0, 0));
    assert_eq!((cell.first_byte.count(), snapshot.health.connections), (4, 2));
    assert!(cell.first_byte.min().unwrap() >= 29 * MILLI, "{:?}", cell.first_byte.min());
    assert!(cell.service.min() <= cell.latency.min());
    assert_eq!(Split::default().dns, 0);
}

#[test]
fn merged_shares_equal_the_recorder_that_saw_everything() {
    let _serial = serial();
    let server = server(vec![law()]);
    let mut plan = plan(server.addr(), rate(200, 4 * SECOND, 400), 4 * SECOND, vec![http(get("/law"))]);
    plan.workers = 4;
    let plan = Arc::new(plan);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let parts: Vec<Snapshot> = runtime.block_on(async {
        let start = std::time::Instant::now();
        let engines = (0..4).map(|i| prepare(plan.clone().share(i).unwrap(), Materials::default(), Some(1)));
        let mut running: Vec<_> = engines.map(|engine| engine.unwrap().launch(start)).collect();
        let mut parts = Vec::new();
        for worker in &mut running {
            worker.finished().await;
            parts.push(worker.take().await);
            assert!(worker.first_sent().unwrap() < 100 * MILLI);
        }
        parts
    });
    assert!(parts.iter().all(|part| totals(part).sent == 200), "every worker has its quarter");
    let mut merged = Snapshot::default();
    parts.iter().for_each(|part| merged.merge(part));
    compare(&merged, &server.log("/law"));
    assert_eq!((totals(&merged).sent, server.stats().received()), (800, 800));
    assert!(merged.health.wall >= 4 * 4 * SECOND, "wall time is that of all workers");
}
