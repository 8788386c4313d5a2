//! What `plimsoll run` exports: a real OpenTelemetry Collector gets what the result says, to the request and bucket by bucket.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use plimsoll_api::status::StoredResult;
use plimsoll_measure::Histogram;
use xtask::collector::{self, Received, Setup};

mod support;

use support::{TEST, plimsoll, text};

#[test]
fn a_collector_gets_what_the_result_says() {
    if let Err(why) = xtask::tools::require(&["collector"]) {
        return xtask::report::skip("OTLP of plimsoll run", &why.to_string()).unwrap();
    }
    let folder = std::env::temp_dir().join(format!("plimsoll-export-{}", std::process::id()));
    let collector = collector::start(&Setup::on_loopback(&folder).unwrap()).unwrap();
    let (result, url) = (folder.join("result.json"), format!("http://{}", collector.http()));
    let output =
        plimsoll(&["run", "-", "--testbed", "--otlp", &url, "--result", result.to_str().unwrap()], TEST);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains(&format!("sending metrics to {url}/v1/metrics")));
    let stored: StoredResult = serde_json::from_slice(&std::fs::read(&result).unwrap()).unwrap();
    let snapshot = &stored.snapshot;

    let last = |metric: &str| -> Vec<Received> {
        let points = collector.points(metric).unwrap().into_iter();
        points
            .map(|point| (point.attributes.clone(), point))
            .collect::<BTreeMap<_, _>>()
            .into_values()
            .collect()
    };
    let sent: u64 = last("plimsoll.requests.sent").iter().filter_map(Received::count).sum();
    assert_eq!(sent, snapshot.total().sent);
    let mut latency = Histogram::new();
    snapshot.cells.iter().for_each(|cell| latency.merge(&cell.latency));
    let mut buckets: BTreeMap<i32, u64> = BTreeMap::new();
    for point in last("plimsoll.request.latency") {
        assert_eq!(point.resource["service.name"], "plimsoll");
        assert!(!point.resource.contains_key("service.instance.id"), "a run's series are no process'");
        point.buckets().into_iter().for_each(|(index, count)| *buckets.entry(index).or_default() += count);
    }
    assert!(buckets.into_iter().eq(latency.buckets()));
    let verdict =
        last("plimsoll.run.verdict").into_iter().find(|point| point.point["asDouble"] == 1.0).unwrap();
    assert_eq!((&*verdict.attributes["verdict"], &*verdict.attributes["reason"]), ("Passed", "SLOsMet"));
    collector.stop().unwrap();
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_receiver_that_is_not_there_is_named_and_changes_nothing() {
    let [port] = xtask::process::free_ports().unwrap();
    let url = format!("http://127.0.0.1:{port}");
    let begun = Instant::now();
    let output = plimsoll(&["run", "-", "--testbed", "--otlp", &url], TEST);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let said = text(&output.stderr);
    assert!(said.contains(&format!("{url}/v1/metrics did not get the last metrics")), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[test]
fn settings_that_cannot_be_used_are_refused_before_the_run() {
    for (args, wanted) in [
        (&["--otlp", "ftp://x"][..], "--otlp: is no URL"),
        (&["--metrics", "203.0.113.1:1"][..], "--metrics 203.0.113.1:1: cannot listen"),
    ] {
        let output = plimsoll(&[&["run", "-", "--testbed"], args].concat(), TEST);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains(wanted), "{}", text(&output.stderr));
    }
}

#[test]
fn series_are_served_while_the_run_takes() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_plimsoll"))
        .args(["run", "-", "--testbed", "--metrics", "127.0.0.1:0", "-o", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(TEST.as_bytes()).unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let line = said.find(|line| line.starts_with("metrics on http://")).unwrap();
    std::thread::spawn(move || said.count());
    let address = line.trim_start_matches("metrics on http://").trim_end_matches("/metrics").to_owned();
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let mut stream = TcpStream::connect(&address).unwrap();
        let request = format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let sent = reply.lines().find(|line| line.starts_with("plimsoll_requests_sent_total{"));
        if sent.is_some_and(|line| line.contains("test=\"shop\"") && !line.ends_with(" 0")) {
            break;
        }
        assert!(Instant::now() < deadline, "{reply}");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(child.wait_with_output().unwrap().status.success());
}
