//! What pods say of themselves beside their sessions: series and logs at a real OpenTelemetry Collector, health, and the change of what is
//! logged.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use plimsoll_measure::Histogram;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use xtask::collector::{self, Collector, Received, Setup, attributes, list};

use crate::pods::{Pod, ended, log};
use crate::rig::{Operator, directory, key, plan, target};

/// The last point of each series of a metric.
fn last(collector: &Collector, metric: &str) -> Vec<Received> {
    let points = collector.points(metric).unwrap().into_iter();
    points.map(|point| (point.attributes.clone(), point)).collect::<BTreeMap<_, _>>().into_values().collect()
}

async fn ask(address: SocketAddr, request: &str, body: &str) -> Option<String> {
    let mut stream = tokio::net::TcpStream::connect(address).await.ok()?;
    let length = body.len();
    let head = format!(
        "{request} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    Some(answer)
}

#[tokio::test]
async fn what_a_collector_gets_of_two_pods_is_what_was_merged() {
    if let Err(why) = xtask::tools::require(&["collector"]) {
        return xtask::report::skip("OTLP of pods", &why.to_string()).unwrap();
    }
    let folder = directory();
    let mut setup = Setup::on_loopback(&folder).unwrap();
    setup.show_header = Some("authorization");
    let collector = collector::start(&setup).unwrap();
    let target = target();
    let operator = Operator::open(&plan(target.addr(), 100, 2, 2)).await;
    let mut pods = [Pod::new(&operator, 0), Pod::new(&operator, 1)];
    for (index, pod) in pods.iter_mut().enumerate() {
        pod.env = vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", collector.grpc())),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc".to_owned()),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20hush".to_owned()),
            ("OTEL_METRIC_EXPORT_INTERVAL", "700".to_owned()),
            ("OTEL_RESOURCE_ATTRIBUTES", "team=load".to_owned()),
            ("PLIMSOLL_TEST_NAME", "home".to_owned()),
            ("POD_NAME", format!("home-1-{index}-x")),
            ("POD_NAMESPACE", "shop".to_owned()),
            ("NODE_NAME", "node1".to_owned()),
        ];
    }
    let children = [pods[0].start(), pods[1].start()];
    operator.start().await;
    let progress = operator.until(|progress| progress.gather.all_done()).await;
    operator.hub.ack(&key());
    for child in children {
        let output = ended(child).await;
        assert!(output.status.success(), "{}", log(&output));
        assert!(!log(&output).contains("hush"), "a header is in the log: {}", log(&output));
    }

    // Nothing of the last seconds is missing: what is read came before the pods ended.
    let merged = progress.gather.merged();
    let sent: u64 = last(&collector, "plimsoll.requests.sent").iter().filter_map(Received::count).sum();
    assert_eq!((sent, target.stats().received()), (200, 200));
    let mut latency = Histogram::new();
    merged.cells.iter().for_each(|cell| latency.merge(&cell.latency));
    let mut buckets: BTreeMap<i32, u64> = BTreeMap::new();
    for point in last(&collector, "plimsoll.request.latency") {
        assert_eq!((&point.point["scale"], point.cumulative), (&8.into(), true));
        point.buckets().into_iter().for_each(|(index, count)| *buckets.entry(index).or_default() += count);
    }
    assert!(buckets.into_iter().eq(latency.buckets()), "the recorder's own buckets");
    let points = last(&collector, "plimsoll.requests.sent");
    let resource = &points.iter().find(|point| point.attributes["worker"] == "1").unwrap().resource;
    for (name, value) in [
        ("service.name", "plimsoll-worker"),
        ("service.instance.id", "uid-1"),
        ("k8s.pod.name", "home-1-1-x"),
        ("k8s.pod.uid", "uid-1"),
        ("k8s.namespace.name", "shop"),
        ("k8s.node.name", "node1"),
        ("k8s.job.name", "home-1"),
        ("test.suite.name", "home"),
        ("team", "load"),
    ] {
        assert_eq!(resource.get(name).map(String::as_str), Some(value), "{name}");
    }
    let received = [collector.received("metrics").unwrap(), collector.received("logs").unwrap()].concat();
    assert!(received.iter().all(|line| line["header"] == "[Bearer hush]"));
    let mut said = Vec::new();
    for request in collector.received("logs").unwrap() {
        for resource in list(&request, "/request/resourceLogs") {
            let pod = attributes(&resource["resource"])["k8s.pod.name"].clone();
            let records = list(resource, "/scopeLogs").iter().flat_map(|scope| list(scope, "/logRecords"));
            said.extend(records.map(|record| format!("{pod}: {}", record["body"]["stringValue"])));
        }
    }
    for index in [0, 1] {
        let done = format!("home-1-{index}-x: \"done; the outcome of the run is stored\"");
        assert!(said.contains(&done), "{done} is not in {said:?}");
    }
    collector.stop().unwrap();
}

#[tokio::test]
async fn a_pod_says_whether_it_is_ready_serves_its_series_and_logs_more_when_asked() {
    let target = target();
    let operator = Operator::open(&plan(target.addr(), 100, 2, 1)).await;
    let [http, admin] =
        xtask::process::free_ports().unwrap().map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let mut pod = Pod::new(&operator, 0);
    pod.env = vec![
        ("PLIMSOLL_LOG", "warn".to_owned()),
        ("PLIMSOLL_LISTEN_HTTP", http.to_string()),
        ("PLIMSOLL_LISTEN_ADMIN", admin.to_string()),
    ];
    let child = pod.start();
    operator.until(|progress| progress.gather.all_ready()).await;
    assert!(ask(http, "GET /healthz", "").await.unwrap().starts_with("HTTP/1.1 200"));
    assert!(ask(http, "GET /readyz", "").await.unwrap().starts_with("HTTP/1.1 200"));
    assert!(ask(admin, "PUT /log", "info").await.unwrap().ends_with("info\n"));
    operator.start().await;
    operator.until(|progress| progress.gather.all_done()).await;
    let served = ask(http, "GET /metrics", "").await.unwrap();
    let sent = served.lines().find(|line| line.starts_with("plimsoll_requests_sent_total{")).unwrap();
    assert!(
        sent.contains("run=\"home-1\"") && sent.contains("worker=\"0\"") && sent.ends_with(" 200"),
        "{sent}"
    );
    operator.hub.ack(&key());
    let output = ended(child).await;
    assert!(log(&output).contains("the log filter was changed"), "{}", log(&output));
    assert!(log(&output).contains("done; the outcome of the run is stored"), "{}", log(&output));
    assert!(
        !log(&output).contains("connecting"),
        "that was before it was asked to say more: {}",
        log(&output)
    );
}

/// A receiver that takes connections and never answers changes neither the run nor, by more than the time to flush, its end.
#[tokio::test]
async fn a_receiver_that_is_silent_changes_nothing() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = target();
    let operator = Operator::open(&plan(target.addr(), 100, 2, 1)).await;
    let mut pod = Pod::new(&operator, 0);
    pod.env = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", silent.local_addr().unwrap()))];
    let child = pod.start();
    operator.start().await;
    let progress = operator.until(|progress| progress.gather.all_done()).await;
    assert_eq!((progress.gather.merged().total().sent, target.stats().received()), (200, 200));
    let before = Instant::now();
    operator.hub.ack(&key());
    let output = ended(child).await;
    assert!(output.status.success(), "{}", log(&output));
    assert!(before.elapsed() < Duration::from_secs(25), "{:?}", before.elapsed());
    assert!(log(&output).contains("did not take everything in time"), "{}", log(&output));
}
