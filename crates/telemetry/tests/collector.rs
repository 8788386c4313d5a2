//! What we send, as a real OpenTelemetry Collector (`xtask/src/collector.rs`) gets it: over gRPC and HTTP, in clear text and by TLS with client
//! certificates, compressed, with headers; and what happens while it is away.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use plimsoll_measure::Histogram;
use plimsoll_telemetry::otlp::{Pipeline, Resource, Settings, Sources, SpanData};
use plimsoll_telemetry::{Family, Point, Value, inventory};
use tracing_subscriber::layer::SubscriberExt as _;
use xtask::collector::{self, Collector, Setup, attributes, list};

const PATIENCE: Duration = Duration::from_secs(20);

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("plimsoll-otlp-{name}-{}", std::process::id()));
    drop(std::fs::remove_dir_all(&folder));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Whether there is a Collector to test with; with CI=true there must be.
fn possible(what: &str) -> bool {
    match xtask::tools::require(&["collector"]) {
        Ok(()) => true,
        Err(why) => {
            xtask::report::skip(what, &why.to_string()).unwrap();
            false
        }
    }
}

fn settings(endpoint: &str, variables: &[(&str, String)]) -> Settings {
    let variable = |name: &str| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.clone())
    };
    let sources = Sources {
        variable: &variable,
        file: &|path| std::fs::read(path),
        endpoint: Some(("--otlp", endpoint)),
    };
    Settings::read(&sources).unwrap()
}

fn resource() -> Resource {
    Resource::of("plimsoll-test", "1", &|_| None).unwrap()
}

/// Durations of every size, zeros among them.
fn durations() -> Histogram {
    let mut durations = Histogram::new();
    let mut nanos = 1_u64;
    for step in 0..4_000_u64 {
        nanos = nanos.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step);
        durations.record(nanos >> (20 + step % 40));
    }
    durations
}

fn families(sent: u64, durations: &Histogram) -> Vec<Family> {
    let labels = vec![(inventory::REQUEST, "home".into()), (inventory::WINDOW, "main".into())];
    let since = Some(UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    let point = |value| vec![Point { labels: labels.clone(), value, since }];
    vec![
        Family { metric: &inventory::REQUESTS_SENT, points: point(Value::Count(sent)) },
        Family { metric: &inventory::REQUEST_LATENCY, points: point(Value::durations(durations.clone())) },
    ]
}

async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Sends all three signals to a receiver and looks at what came.
async fn exchange(collector: &Collector, settings: Settings) {
    let pipeline = Pipeline::new(settings, resource());
    pipeline.start().unwrap();
    let durations = durations();
    let families = families(u64::from(u32::MAX) + 7, &durations);
    pipeline.send(&[(pipeline.resource(), &families)], SystemTime::now());
    let log = tracing_subscriber::registry().with(pipeline.span_layer()).with(pipeline.log_layer());
    tracing::subscriber::with_default(log, || {
        let span = tracing::info_span!(target: "plimsoll_test", "reconcile", object = "run a/b");
        span.in_scope(|| tracing::warn!(target: "plimsoll_test", answer = 42, "something is said"));
        tracing::info_span!(target: "h2", "frame").in_scope(|| tracing::warn!(target: "h2", "of the way"));
    });
    pipeline.finish(Vec::new(), PATIENCE).await;
    assert_eq!(pipeline.lost(), Default::default());
    assert!(pipeline.is_complete());

    let sent = collector.points("plimsoll.requests.sent").unwrap();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].count(), Some(u64::from(u32::MAX) + 7));
    assert!(sent[0].cumulative);
    assert_eq!(sent[0].point["startTimeUnixNano"], "1700000000000000000");
    assert_eq!(sent[0].resource["service.name"], "plimsoll-test");
    let expected = BTreeMap::from([("request", "home"), ("window", "main")]);
    assert!(sent[0].attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).eq(expected));

    let latency = collector.points("plimsoll.request.latency").unwrap();
    assert_eq!(latency.len(), 1);
    let point = &latency[0];
    assert_eq!(point.buckets(), durations.buckets().collect::<Vec<_>>());
    assert_eq!(point.count(), Some(durations.count()));
    assert_eq!(point.point["scale"], 8);
    assert_eq!(point.point["zeroCount"].as_str(), Some(durations.zero().to_string().as_str()));
    assert_eq!(point.point["max"].as_f64(), durations.max().map(|max| max as f64 / 1e9));

    let spans = collector.received("traces").unwrap();
    let spans: Vec<_> = records(&spans, "/resourceSpans", "/scopeSpans", "/spans");
    assert_eq!(spans.len(), 1, "{spans:?}");
    assert_eq!(spans[0]["name"], "reconcile");
    assert_eq!(attributes(&spans[0])["object"], "run a/b");
    let logs = collector.received("logs").unwrap();
    let logs: Vec<_> = records(&logs, "/resourceLogs", "/scopeLogs", "/logRecords");
    assert_eq!(logs.len(), 1, "{logs:?}");
    assert_eq!(logs[0]["body"]["stringValue"], "something is said");
    assert_eq!(logs[0]["severityText"], "WARN");
    assert_eq!(attributes(&logs[0])["answer"], "42");
    assert_eq!(logs[0]["traceId"], spans[0]["traceId"], "a record belongs to the span that it was made in");
}

/// The spans or records of requests.
fn records(
    requests: &[serde_json::Value],
    resources: &str,
    scopes: &str,
    records: &str,
) -> Vec<serde_json::Value> {
    let inner = |request: &serde_json::Value| request.get("request").unwrap_or(request).clone();
    let resources = requests.iter().map(inner).flat_map(|request| list(&request, resources).to_vec());
    let scopes = resources.flat_map(|resource| list(&resource, scopes).to_vec());
    scopes.flat_map(|scope| list(&scope, records).to_vec()).collect()
}

#[tokio::test]
async fn everything_arrives_over_grpc_and_http() {
    if !possible("OTLP in clear text") {
        return;
    }
    for (protocol, gzip) in
        [("grpc", "none"), ("http/protobuf", "none"), ("grpc", "gzip"), ("http/protobuf", "gzip")]
    {
        let folder = folder(&format!("plain-{}-{gzip}", &protocol[..4]));
        let collector = collector::start(&Setup::on_loopback(&folder).unwrap()).unwrap();
        let address = if protocol == "grpc" { collector.grpc() } else { collector.http() };
        let variables = [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", gzip.to_owned()),
        ];
        exchange(&collector, settings(&format!("http://{address}"), &variables)).await;
        collector.stop().unwrap();
        std::fs::remove_dir_all(folder).unwrap();
    }
}

#[tokio::test]
async fn tls_client_certificates_and_headers() {
    if !possible("OTLP by TLS") {
        return;
    }
    for protocol in ["grpc", "http/protobuf"] {
        let folder = folder(&format!("tls-{}", &protocol[..4]));
        let pki = xtask::pki::Pki::make(&folder.join("pki"), &["127.0.0.1"]).unwrap();
        let files =
            ["ca.crt", "apiserver.crt", "apiserver.key", "admin.crt", "admin.key"].map(|name| pki.file(name));
        let [ca, certificate, key, client, client_key] = files.each_ref().map(PathBuf::as_path);
        let mut setup = Setup::on_loopback(&folder).unwrap();
        setup.tls = Some((certificate, key, Some(ca)));
        setup.show_header = Some("x-tenant");
        let collector = collector::start(&setup).unwrap();
        let address = if protocol == "grpc" { collector.grpc() } else { collector.http() };
        let file = |path: &Path| path.display().to_string();
        let variables = [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip".to_owned()),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=load%20team".to_owned()),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", file(ca)),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", file(client)),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", file(client_key)),
        ];
        let endpoint = format!("https://{address}");
        exchange(&collector, settings(&endpoint, &variables)).await;
        for signal in ["metrics", "traces", "logs"] {
            let received = collector.received(signal).unwrap();
            assert!(
                !received.is_empty() && received.iter().all(|line| line["header"] == "[load team]"),
                "{signal}"
            );
        }
        // Without our certificate nothing gets in, and it is counted.
        let refused = Pipeline::new(settings(&endpoint, &variables[..4]), resource());
        refused.start().unwrap();
        refused.send(&[(refused.resource(), &families(1, &Histogram::new()))], SystemTime::now());
        assert!(!refused.is_complete());
        refused.finish(Vec::new(), Duration::from_secs(1)).await;
        assert!(!refused.is_complete());
        assert_eq!(collector.received("metrics").unwrap().len(), 1);
        collector.stop().unwrap();
        std::fs::remove_dir_all(folder).unwrap();
    }
}

#[tokio::test]
async fn a_receiver_that_is_away_delays_nothing_and_gets_the_newest_when_it_is_back() {
    if !possible("OTLP to a receiver that is away") {
        return;
    }
    for grpc in [true, false] {
        let folder = folder(&format!("away-{grpc}"));
        let setup = Setup::on_loopback(&folder).unwrap();
        let port = if grpc { setup.ports.0 } else { setup.ports.1 };
        let protocol = if grpc { "grpc" } else { "http/protobuf" };
        let variables = [("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned())];
        let pipeline = Pipeline::new(settings(&format!("http://127.0.0.1:{port}"), &variables), resource());
        pipeline.start().unwrap();
        let before = Instant::now();
        for sent in 0..200 {
            pipeline.send(&[(pipeline.resource(), &families(sent, &Histogram::new()))], SystemTime::now());
        }
        (0..10_000).for_each(|_| pipeline.span(span()));
        assert!(before.elapsed() < Duration::from_secs(2), "handing over took {:?}", before.elapsed());
        // The queue holds 2048; all others were refused at once.
        assert!(pipeline.lost().spans >= 10_000 - 2048, "{:?}", pipeline.lost());
        // Two more while it is away: one is under way, the last one waits.
        for sent in [1000, 1001] {
            pipeline.send(&[(pipeline.resource(), &families(sent, &Histogram::new()))], SystemTime::now());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let collector = collector::start(&setup).unwrap();
        let newest = until("the newest message", || {
            collector.points("plimsoll.requests.sent").unwrap().last().and_then(collector::Received::count)
        });
        assert_eq!(newest.await, 1001);
        pipeline.finish(Vec::new(), PATIENCE).await;
        let spans = collector.received("traces").unwrap();
        let arrived = records(&spans, "/resourceSpans", "/scopeSpans", "/spans").len() as u64;
        assert_eq!(arrived + pipeline.lost().spans, 10_000, "each span has arrived or is counted as lost");
        collector.stop().unwrap();
        std::fs::remove_dir_all(folder).unwrap();
    }
}

/// A receiver that is there for nobody: the end is not waited for longer than was said.
#[tokio::test]
async fn the_end_is_not_delayed() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for protocol in ["grpc", "http/protobuf"] {
        let variables = [("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned())];
        let endpoint = format!("http://{}", silent.local_addr().unwrap());
        let pipeline = Pipeline::new(settings(&endpoint, &variables), resource());
        pipeline.start().unwrap();
        pipeline.send(&[(pipeline.resource(), &families(1, &Histogram::new()))], SystemTime::now());
        pipeline.span(span());
        let before = Instant::now();
        pipeline.finish(Vec::new(), Duration::from_millis(300)).await;
        assert!(before.elapsed() < Duration::from_secs(2), "{:?}", before.elapsed());
        assert!(!pipeline.is_complete());
        assert_eq!(pipeline.lost().spans, 1, "what is under way at the end is lost, and counted");
    }
}

/// A span that the log's layer did not make: that of a sampled request.
fn span() -> SpanData {
    use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
    SpanData {
        span_context: SpanContext::new(
            TraceId::from(7_u128),
            SpanId::from(9_u64),
            TraceFlags::SAMPLED,
            false,
            TraceState::default(),
        ),
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Client,
        name: "GET".into(),
        start_time: UNIX_EPOCH + Duration::from_secs(1),
        end_time: UNIX_EPOCH + Duration::from_secs(2),
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: Default::default(),
        links: Default::default(),
        status: Status::Unset,
        instrumentation_scope: Default::default(),
    }
}
