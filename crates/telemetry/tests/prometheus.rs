//! What a real Prometheus makes of our expositions: every format scraped, histograms native and classic, exemplars, restarts; and
//! `promtool`'s opinion of them.

#![allow(clippy::unwrap_used, reason = "tests may")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use plimsoll_measure::{
    Bad, Cell, Counts, Gauges, Histogram, Layout, Objective, ObjectiveCount, Population, RequestId, Snapshot,
    Window, WindowId,
};
use plimsoll_slo::Facts;
use plimsoll_telemetry::inventory::REQUEST_LATENCY;
use plimsoll_telemetry::otlp::{Pipeline, Resource, Settings, Sources};
use plimsoll_telemetry::prometheus::{Format, Served, exposition, serve, write};
use plimsoll_telemetry::{Exemplar, Family, Identity, Load, RunSeries, Value, Workers, run_series};
use serde_json::{Value as Json, json};
use xtask::prometheus::{PROGRAMS, Prometheus, Server};
use xtask::{process, report, tools};

const LIMIT: Duration = Duration::from_secs(60);

/// Names that need care in every format.
const REQUESTS: [&str; 2] = ["GET /\"quoted\"\\{id}", "POST /orders\n"];

fn layout() -> Layout {
    Layout {
        requests: REQUESTS.map(str::to_owned).to_vec(),
        windows: vec![Window { name: "main".into(), judged: true, spans: vec![(0, 10_000_000_000)] }],
        segments: vec![(10_000_000_000, WindowId(0))],
        objectives: vec![Objective {
            population: Population::Requests,
            request: None,
            window: None,
            bad: Bad::Slower { nanos: 333_000_000, succeeded_only: false },
        }],
        ..Layout::default()
    }
}

/// A law with a long tail: the n-th of 2000 requests takes 1.005^n × 100 µs; `incomplete` more have no end.
fn snapshot(incomplete: u64) -> Snapshot {
    let mut latency = Histogram::new();
    (0..2000).for_each(|n| latency.record((1.005_f64.powi(n) * 100_000.0) as u64));
    let counts = Counts {
        sent: 2000 + incomplete,
        complete: 2000,
        incomplete,
        unfinished: incomplete,
        statuses: [(200, 2000)].into(),
        ..Counts::default()
    };
    let cell = |request: u16| Cell {
        request: RequestId(request),
        window: WindowId(0),
        counts: counts.clone(),
        latency: latency.clone(),
        succeeded: Histogram::new(),
        service: latency.clone(),
        dns: Histogram::new(),
        connect: Histogram::new(),
        tls: Histogram::new(),
        first_byte: Histogram::new(),
    };
    Snapshot {
        cells: vec![cell(0), cell(1)],
        objectives: vec![ObjectiveCount { total: 4000, bad: 2 }],
        ..Snapshot::default()
    }
}

fn families(run: &str, snapshot: Option<&Snapshot>) -> Vec<Family> {
    let identity =
        Identity { namespace: "shop".into(), test: "checkout".into(), run: run.into(), worker: None };
    let (layout, facts) = (layout(), Facts::default());
    let gauges = Gauges { users: 3, requests: 2, connections: 3, cpu: 1_500_000_000 };
    run_series(&RunSeries {
        identity: &identity,
        since: SystemTime::now() - Duration::from_secs(30),
        layout: &layout,
        snapshot,
        shed: false,
        slos: &[],
        results: &[],
        facts: &facts,
        phase: "Running",
        verdict: None,
        start: Some(SystemTime::now()),
        end: None,
        workers: Some(Workers { desired: 1, ready: 1, lost: 0 }),
        load: Load { users: Some(3), rate: None, gauges: Some(gauges) },
    })
}

/// Adds an exemplar to every latency.
fn with_exemplars(mut families: Vec<Family>) -> Vec<Family> {
    for family in families.iter_mut().filter(|family| std::ptr::eq(family.metric, &REQUEST_LATENCY)) {
        for point in &mut family.points {
            let Value::Histogram { exemplars, .. } = &mut point.value else { panic!() };
            *exemplars = vec![Exemplar {
                trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".into(),
                span_id: "00f067aa0ba902b7".into(),
                nanos: 400_000_000,
                at: SystemTime::now(),
            }];
        }
    }
    families
}

fn missing() -> bool {
    match tools::require(&PROGRAMS) {
        Ok(()) => false,
        Err(why) => {
            report::skip("what Prometheus makes of our metrics", &format!("{why:#}")).unwrap();
            true
        }
    }
}

/// Serves what the slot holds, on a thread of its own, for the life of this process.
fn served(slot: Arc<Mutex<Vec<Family>>>) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let families: Served = Arc::new(move || slot.lock().unwrap().clone());
            serve(listener, families, Arc::new(AtomicBool::new(true))).await.unwrap();
        });
    });
    address
}

fn prometheus(name: &str, jobs: &[Json]) -> Prometheus {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let [port] = process::free_ports().unwrap();
    let config = json!({"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": jobs});
    let listen = SocketAddr::from(([127, 0, 0, 1], port));
    xtask::prometheus::start(&Server { folder: &folder, listen, config: &config, flags: &[], inside: None })
        .unwrap()
}

fn job(name: &str, address: SocketAddr, protocol: &str) -> Json {
    json!({
        "job_name": name, "scrape_protocols": [protocol], "static_configs": [{"targets": [address.to_string()]}],
        "scrape_native_histograms": true, "always_scrape_classic_histograms": true,
    })
}

fn wait(server: &Prometheus, expression: &str, wanted: f64) {
    let mut last = String::new();
    let found = process::wait_until(expression, LIMIT, || {
        let answer = server.ask(expression)?;
        last = format!("{answer:?}");
        Ok(matches!(&answer[..], [sample] if sample.value == wanted))
    });
    found.unwrap_or_else(|error| panic!("{error:#}: {last}"));
}

/// Percentiles of the snapshot by nearest rank, in seconds.
fn percentile(snapshot: &Snapshot, q: u32) -> f64 {
    let mut all = Histogram::new();
    snapshot.cells.iter().for_each(|cell| all.merge(&cell.latency));
    all.percentile(q, snapshot.total().incomplete).finite().map_or(f64::INFINITY, |nanos| nanos as f64 / 1e9)
}

#[test]
fn every_format_says_the_same_to_prometheus() {
    if missing() {
        return;
    }
    let sums = snapshot(0);
    let address = served(Arc::new(Mutex::new(with_exemplars(families("a", Some(&sums))))));
    let formats =
        [("proto", "PrometheusProto"), ("open", "OpenMetricsText1.0.0"), ("text", "PrometheusText0.0.4")];
    let jobs = formats.map(|(name, protocol)| job(name, address, protocol));
    let server = prometheus("formats", &jobs);
    for (name, _) in formats {
        let of = |metric: &str| {
            format!("sum({metric}{{job=\"{name}\",run=\"a\",test=\"checkout\",test_namespace=\"shop\"}})")
        };
        wait(&server, &of("plimsoll_requests_sent_total"), 4000.0);
        wait(&server, &of("plimsoll_responses_total"), 4000.0);
        wait(&server, &of("plimsoll_users_active"), 3.0);
        wait(&server, &of("plimsoll_generator_cpu_time_seconds_total"), 1.5);
        wait(&server, &of("plimsoll_request_latency_seconds_count"), 4000.0);
        for request in REQUESTS {
            let quoted = serde_json::to_string(request).unwrap();
            wait(
                &server,
                &format!("count(plimsoll_requests_sent_total{{job=\"{name}\",request={quoted}}})"),
                1.0,
            );
        }
        // The threshold is a bucket, and in it are those that are at most so slow.
        let within = (0..2000).filter(|n| (1.005_f64.powi(*n) * 100_000.0) as u64 <= 333_000_000).count() * 2;
        wait(
            &server,
            &format!("sum(plimsoll_request_latency_seconds_bucket{{job=\"{name}\",le=\"0.333\"}})"),
            within as f64,
        );
    }
    // Native histograms come by protobuf alone.
    wait(&server, "count(histogram_count(plimsoll_request_latency_seconds) > 0)", 2.0);
    wait(&server, "histogram_count(sum(plimsoll_request_latency_seconds))", 4000.0);
    let exemplars = || {
        server.api("/api/v1/query_exemplars?query=plimsoll_request_latency_seconds&start=0&end=99999999999")
    };
    process::wait_until("exemplars", LIMIT, || {
        Ok(exemplars()?.to_string().contains("4bf92f3577b34da6a3ce929d0e0e4736"))
    })
    .unwrap();
}

#[test]
fn percentiles_are_ours_and_what_has_no_end_is_over_every_bound() {
    if missing() {
        return;
    }
    // 4122 in all: no percentile asked for is a whole rank, where Prometheus answers with the next bucket's lower bound.
    let sums = snapshot(61);
    let address = served(Arc::new(Mutex::new(families("a", Some(&sums)))));
    let server = prometheus("percentiles", &[job("proto", address, "PrometheusProto")]);
    wait(&server, "histogram_count(sum(plimsoll_request_latency_seconds))", 4122.0);
    for (q, text) in [(5_000, "0.5"), (9_000, "0.9"), (9_500, "0.95"), (9_700, "0.97")] {
        let asked = server
            .number(&format!("histogram_quantile({text}, sum(plimsoll_request_latency_seconds))"))
            .unwrap();
        let ours = percentile(&sums, q);
        // Both are in one bucket, whose bounds are 0.27 % apart.
        assert!((asked / ours - 1.0).abs() < 0.0028, "p{text}: {asked}, ours {ours}");
        let classic =
            format!("histogram_quantile({text}, sum by (le, run) (plimsoll_request_latency_seconds_bucket))");
        let classic = server.number(&classic).unwrap();
        let bounds = [
            0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.333, 0.5, 0.75,
            1.0, 2.5,
        ];
        let bucket = |number: f64| bounds.iter().position(|bound| number <= *bound);
        assert_eq!(bucket(classic), bucket(ours), "p{text}: {classic}, ours {ours}");
    }
    // 122 of 4122 have no end: so has the 99th percentile, here and there.
    assert_eq!(percentile(&sums, 9_900), f64::INFINITY);
    assert_eq!(
        server.number("histogram_quantile(0.99, sum(plimsoll_request_latency_seconds))").unwrap(),
        f64::INFINITY
    );
    // The service time is of complete ones.
    assert_eq!(server.number("histogram_count(sum(http_client_request_duration_seconds))").unwrap(), 4000.0);
}

#[test]
fn a_run_that_is_left_out_for_a_while_is_no_counter_that_began_anew() {
    if missing() {
        return;
    }
    let slot = Arc::new(Mutex::new(families("a", Some(&Snapshot::default()))));
    let address = served(Arc::clone(&slot));
    let server = prometheus("gap", &[job("proto", address, "PrometheusProto")]);
    let show = |snapshot: Option<&Snapshot>| *slot.lock().unwrap() = families("a", snapshot);
    wait(&server, "sum(plimsoll_requests_sent_total)", 0.0);
    let mut sums = snapshot(0);
    show(Some(&sums));
    wait(&server, "sum(plimsoll_requests_sent_total)", 4000.0);
    // The leader changes: for a while nobody knows.
    show(None);
    wait(&server, "count(plimsoll_run_phase) - (count(plimsoll_requests_sent_total) or vector(0))", 5.0);
    sums.merge(&snapshot(0));
    show(Some(&sums));
    wait(&server, "sum(plimsoll_requests_sent_total)", 8000.0);
    assert_eq!(server.number("sum(resets(plimsoll_requests_sent_total[5m]))").unwrap(), 0.0);
    assert_eq!(server.number("sum(resets(plimsoll_request_latency_seconds[5m]))").unwrap(), 0.0);
}

/// For clusters that cannot be scraped: Prometheus' own receiver of OTLP makes the same series of what is pushed.
#[test]
fn what_is_pushed_by_otlp_has_the_names_labels_and_buckets_of_a_scrape() {
    if missing() {
        return;
    }
    let sums = snapshot(0);
    let server = prometheus("pushed", &[]);
    let endpoint = format!("{}/api/v1/otlp", server.url());
    let sources = Sources {
        variable: &|_| None,
        file: &|path| std::fs::read(path),
        endpoint: Some(("--otlp", &endpoint)),
    };
    let resource = Resource::of("plimsoll-test", "1", &|_| None).unwrap();
    let pipeline = Pipeline::new(Settings::read(&sources).unwrap(), resource);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        pipeline.start().unwrap();
        let families = families("a", Some(&sums));
        pipeline.send(&[(pipeline.resource(), &families)], SystemTime::now());
        pipeline.finish(Vec::new(), LIMIT).await;
    });
    assert!(pipeline.is_complete(), "{:?}", pipeline.lost());
    wait(&server, "sum(plimsoll_requests_sent_total{run=\"a\",test=\"checkout\",window=\"main\"})", 4000.0);
    wait(&server, "sum(plimsoll_responses_total{http_response_status_code=\"200\"})", 4000.0);
    wait(&server, "sum(plimsoll_generator_cpu_time_seconds_total)", 1.5);
    wait(&server, "histogram_count(sum(plimsoll_request_latency_seconds))", 4000.0);
    let asked = server.number("histogram_quantile(0.95123, sum(plimsoll_request_latency_seconds))").unwrap();
    let mut all = Histogram::new();
    sums.cells.iter().for_each(|cell| all.merge(&cell.latency));
    // ⌈0.95123 · 4000⌉
    let ours = all.at_rank(3_805).unwrap() as f64 / 1e9;
    assert!((asked / ours).log2().abs() <= 1.0 / 256.0, "{asked}, ours {ours}");
}

#[test]
fn promtool_finds_nothing_to_say_of_the_text() {
    if missing() {
        return;
    }
    let text = write(&families("a", Some(&snapshot(1))), Format::Text);
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("exposition-{}.txt", std::process::id()));
    std::fs::write(&file, &text).unwrap();
    let promtool = tools::find("promtool").unwrap();
    let script = format!("{} check metrics < {} 2>&1", promtool.display(), file.display());
    let said = process::output(std::process::Command::new("sh").args(["-c", &script]));
    std::fs::remove_file(&file).unwrap();
    assert_eq!(said.unwrap(), "");
}

#[test]
fn a_browser_gets_text() {
    let (kind, body) = exposition(&families("a", None), Some("text/html,*/*;q=0.8"));
    assert!(kind.starts_with("text/plain"));
    assert!(String::from_utf8(body).unwrap().contains("# TYPE plimsoll_run_phase gauge\n"));
}
