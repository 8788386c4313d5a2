//! SLOs from queries, asked of a real Prometheus that scrapes the target and the run itself; and of servers that are down or never
//! answer. Then the same runs judged again.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use plimsoll_testbed::{Config, Testbed};
use serde_json::{Value, json};
use xtask::prometheus::{PROGRAMS, Prometheus, Server};
use xtask::{process, report, tools};

mod support;

use support::{json as read, plimsoll, text};

/// Test by test a server, its target, and a port for the series of one run; scraped every second.
struct Scene {
    prometheus: Prometheus,
    testbed: Testbed,
    metrics: SocketAddr,
}

fn scene() -> Option<&'static Scene> {
    static SCENE: OnceLock<Option<Scene>> = OnceLock::new();
    let start = || match tools::require(&PROGRAMS) {
        Ok(()) => Some(Scene::start()),
        Err(why) => {
            report::skip("SLOs from queries", &format!("{why:#}")).unwrap();
            None
        }
    };
    SCENE.get_or_init(start).as_ref()
}

impl Scene {
    fn start() -> Self {
        let testbed = Testbed::start(Config::default()).unwrap();
        let [port, own] = process::free_ports().unwrap();
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let target = testbed.url().trim_end_matches('/').replace("http://", "");
        let pods =
            served("kube_pod_container_status_restarts_total{namespace=\"shop\",pod=\"checkout-0\"} 0\n");
        let job = |name: &str, target: &str, labels: Value| json!({"job_name": name, "static_configs": [{"targets": [target], "labels": labels}]});
        let jobs = [
            job("checkout", &target, json!({"namespace": "shop"})),
            job("kube-state-metrics", &pods.to_string(), json!({})),
            job("plimsoll", &at(own).to_string(), json!({})),
        ];
        let jobs = jobs.map(|mut job| {
            job["honor_labels"] = json!(true);
            job
        });
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("queries-{}", std::process::id()));
        let config =
            json!({"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": jobs});
        let server = Server { folder: &folder, listen: at(port), config: &config, flags: &[], inside: None };
        let prometheus = xtask::prometheus::start(&server).unwrap();
        let scene = Self { prometheus, testbed, metrics: at(own) };
        process::wait_until("what the target exports", Duration::from_secs(60), || {
            let rate = scene.prometheus.ask("rate(process_cpu_seconds_total{job=\"checkout\"}[1m])")?;
            Ok(!rate.is_empty() && scene.prometheus.number("sum(up)")? >= 2.0)
        })
        .unwrap();
        scene
    }

    /// Runs a manifest against the target, and the server by the name `platform`.
    fn run(&self, manifest: &str, more: &[&str]) -> Output {
        self.run_by(&self.prometheus.url(), manifest, more)
    }

    fn run_by(&self, url: &str, manifest: &str, more: &[&str]) -> Output {
        let (server, target) =
            (format!("platform={url}"), format!("{}/api/items", self.testbed.url().trim_end_matches('/')));
        let fixed = ["run", "-", "-q", "-o", "json", "--prometheus", &server, "--target", &target];
        plimsoll(&[&fixed, more].concat(), manifest)
    }
}

/// A server of one text of metrics, for the life of this process.
fn served(metrics: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\nconnection: close";
            let _ = write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{metrics}", metrics.len());
        }
    });
    address
}

/// A test of a few users; `slos` is the inside of a list.
fn manifest(name: &str, duration: &str, slos: &str) -> String {
    format!(
        "apiVersion: plimsoll.dev/v1alpha1\nkind: LoadTest\nmetadata: {{name: {name}, namespace: shop}}
spec:
  target: {{url: http://localhost:1}}
  prometheus: {{server: platform}}
  profile: {{users: 2, duration: {duration}, wait: {{min: 20ms, max: 40ms}}}}
  validity: {{maxLateness: 10s}}
  slos:\n{slos}"
    )
}

fn slo(run: &Value, name: &str) -> Value {
    let slos = run["status"]["slos"].as_array().unwrap();
    slos.iter().find(|slo| slo["name"] == name).unwrap_or_else(|| panic!("{name} in {run}")).clone()
}

#[test]
fn the_targets_own_metrics_pass_and_fail_a_run_and_every_other_answer_says_what_it_is() {
    let Some(scene) = scene() else { return };
    let cpu = "max(rate(process_cpu_seconds_total{namespace=\"${run.namespace}\", job=\"checkout\"}[1m]))";
    let slos = format!(
        "  - {{name: passes, prometheus: {{query: '{cpu}', atMost: 64, unit: cores}}}}
  - {{name: fails, prometheus: {{query: '{cpu}', atMost: 0}}}}
  - {{name: range, prometheus: {{query: '{cpu}', over: {{step: 1s, aggregate: Max}}, atLeast: 0}}}}
  - {{name: window, prometheus: {{query: 'count_over_time(up{{job=\"checkout\"}}[${{run.window}}])', atLeast: 2, atMost: 4}}}}
  - {{name: times, prometheus: {{query: 'vector(${{run.end}} - ${{run.start}})', atLeast: 3, atMost: 3}}}}
  - {{name: nan, prometheus: {{query: 'vector(0) / 0', atMost: 1}}, severity: Info}}
  - {{name: empty, prometheus: {{query: nothing_has_this_name, atMost: 1}}, severity: Info}}
  - {{name: empty-met, prometheus: {{query: nothing_has_this_name, atMost: 1, onNoData: Met}}}}
  - {{name: empty-missed, prometheus: {{query: nothing_has_this_name, atMost: 1, onNoData: Missed}}, severity: Info}}
  - {{name: several, prometheus: {{query: up, atMost: 1}}, severity: Info}}
  - {{name: text, prometheus: {{query: '\"x\"', atMost: 1}}, severity: Info}}
  - {{name: nonsense, prometheus: {{query: 'sum(', atMost: 1}}, severity: Info}}\n"
    );
    let output = scene.run(&manifest("answers", "3s", &slos), &[]);
    let run = read(&output);
    assert_eq!(output.status.code(), Some(1), "{run:#}");
    for (name, result) in [
        ("passes", "Met"),
        ("fails", "Missed"),
        ("range", "Met"),
        ("window", "Met"),
        ("times", "Met"),
        ("nan", "Unknown"),
        ("empty", "Unknown"),
        ("empty-met", "Met"),
        ("empty-missed", "Missed"),
        ("several", "Unknown"),
        ("text", "Unknown"),
        ("nonsense", "Unknown"),
    ] {
        assert_eq!(slo(&run, name)["result"], result, "{:#}", slo(&run, name));
    }
    for (name, words) in [
        ("nan", "NaN"),
        ("empty", "no data"),
        ("several", "series, not one"),
        ("text", "a string"),
        ("nonsense", "400: bad_data"),
        ("empty-met", "onNoData counts as Met"),
    ] {
        let message = slo(&run, name)["message"].as_str().unwrap().to_owned();
        assert!(message.contains(words), "{message}");
    }
    let query = slo(&run, "passes")["query"].clone();
    assert_eq!(query["server"], "platform");
    assert!(query["query"].as_str().unwrap().contains("namespace=\"shop\""), "{query}");
    assert_eq!(query["series"], 1);
    assert!(query["raw"].as_str().unwrap().parse::<f64>().unwrap() >= 0.0, "{query}");
    assert!(query["at"].as_str().unwrap().ends_with('Z'), "{query}");
    assert!(slo(&run, "several")["query"]["series"].as_u64().unwrap() >= 2);
}

#[test]
fn a_server_that_is_down_or_never_answers_costs_its_slos_and_ten_seconds_at_most() {
    let Some(scene) = scene() else { return };
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let [closed] = process::free_ports().unwrap();
    let slos = "  - {name: cpu, prometheus: {query: up, atMost: 1}}
  - {name: p95, latency: {stat: p95, atMost: 5s}}\n";
    let runs = [
        (silent.local_addr().unwrap(), "did not answer within 5s"),
        (SocketAddr::from(([127, 0, 0, 1], closed)), "cannot be reached"),
    ];
    let runs = runs.map(|(address, words)| {
        std::thread::spawn(move || {
            let begun = Instant::now();
            let output = scene.run_by(&format!("http://{address}"), &manifest("away", "3s", slos), &[]);
            let (run, took) = (read(&output), begun.elapsed());
            assert_eq!(output.status.code(), Some(3), "{run:#}");
            assert_eq!(
                (slo(&run, "cpu")["result"].clone(), slo(&run, "p95")["result"].clone()),
                (json!("Unknown"), json!("Met"))
            );
            let message = slo(&run, "cpu")["message"].as_str().unwrap().to_owned();
            assert!(
                message.contains(words) && message.contains("within 10s of the end of the run"),
                "{message}"
            );
            // Users with pauses of 30 ms: nothing held them up.
            let sent = run["status"]["summary"]["total"]["sent"].as_u64().unwrap();
            assert!(sent > 60, "{sent}");
            assert!(took >= Duration::from_secs(13) && took < Duration::from_secs(30), "{took:?}");
        })
    });
    runs.into_iter().for_each(|run| run.join().unwrap());
}

#[test]
fn an_answer_stops_a_critical_run() {
    let Some(scene) = scene() else { return };
    let slos = "  - {name: cpu, severity: Critical, prometheus: {query: 'vector(2)', atMost: 1}}\n";
    let output = scene.run(&manifest("stops", "60s", slos), &[]);
    let run = read(&output);
    assert_eq!(
        (output.status.code(), run["status"]["reason"].clone()),
        (Some(1), json!("SLOAborted")),
        "{run:#}"
    );
    let message = run["status"]["message"].as_str().unwrap();
    assert!(
        message.contains("cpu: 2, allowed 1") && message.contains("stopped on an SLO after 1"),
        "{message}"
    );
}

#[test]
fn counters_read_back_from_prometheus_agree_with_our_own_and_the_run_can_be_judged_again() {
    let Some(scene) = scene() else { return };
    let kinds = [
        ("p95", "latency: {stat: p95, atMost: 5ms}"),
        ("p50", "latency: {stat: p50, atMost: 2s}"),
        ("errors", "errorRate: {atMost: 1%}"),
        ("timeouts", "timeoutRate: {atMost: 1%}"),
        ("status", "statusRate: {status: [2xx], atLeast: 99%}"),
        ("floor", "throughput: {atLeast: 1/s}"),
    ];
    let both: String = kinds
        .iter()
        .map(|(name, kind)| {
            format!("  - {{name: {name}, {kind}}}\n  - {{name: {name}-read, source: Prometheus, {kind}}}\n")
        })
        .collect();
    let result = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("own-{}.json", std::process::id()));
    let file = result.to_str().unwrap();
    let output = scene
        .run(&manifest("own", "4s", &both), &["--metrics", &scene.metrics.to_string(), "--result", file]);
    let run = read(&output);
    for (name, _) in kinds {
        let (own, read) = (slo(&run, name), slo(&run, &format!("{name}-read")));
        for field in ["result", "samples", "bad", "share", "bound"] {
            assert_eq!(own[field], read[field], "{field}: {own:#} {read:#}");
        }
        assert_ne!(read["result"], "Unknown", "{read:#}");
        assert!(read["message"].as_str().unwrap().ends_with("; from Prometheus"), "{read:#}");
    }
    let sent = run["status"]["summary"]["total"]["sent"].clone();
    assert_eq!(slo(&run, "errors-read")["samples"], sent);

    judged_again(scene, &run, file, output.status.code());
    std::fs::remove_file(result).unwrap();
}

/// The same run, judged from its stored result and from Prometheus.
fn judged_again(scene: &Scene, run: &Value, file: &str, code: Option<i32>) {
    let server = format!("platform={}", scene.prometheus.url());
    let judge =
        |more: &[&str], stdin: &str| plimsoll(&[&["judge", file, "-o", "json"], more].concat(), stdin);
    let same = judge(&["--prometheus", &server], "");
    assert_eq!(same.status.code(), code, "{}", text(&same.stderr));
    let again = read(&same);
    for field in ["verdict", "reason", "message", "slosMet", "summary"] {
        assert_eq!(again["status"][field], run["status"][field], "{field}");
    }
    // Without a server, what was answered then stands.
    let kept = read(&judge(&[], ""));
    assert_eq!(kept["status"]["message"], run["status"]["message"]);
    let folder = Path::new(file).with_extension("slos.yaml");
    let other = "spec:
  prometheus: {server: platform}
  slos:
  - {name: counted, errorRate: {atMost: 2%}}
  - {name: approximate, latency: {stat: p95, atMost: 3s}}
  - {name: cpu, prometheus: {query: 'max(rate(process_cpu_seconds_total{job=\"checkout\"}[1m]))', atMost: 64}}
  - {name: window, prometheus: {query: 'vector(${run.end} - ${run.start})', atMost: 4, atLeast: 4}}\n";
    std::fs::write(&folder, other).unwrap();
    let changed = judge(&["--slos", folder.to_str().unwrap(), "--prometheus", &server], "");
    let changed_run = read(&changed);
    assert_eq!(changed.status.code(), Some(0), "{changed_run:#}{}", text(&changed.stderr));
    let approximate = slo(&changed_run, "approximate")["message"].as_str().unwrap().to_owned();
    assert!(approximate.contains("; approximate, since this bound was not counted"), "{approximate}");
    assert!(!slo(&changed_run, "counted")["message"].as_str().unwrap().contains("approximate"));
    let unasked = judge(&["--slos", folder.to_str().unwrap()], "");
    assert_eq!(unasked.status.code(), Some(3), "{}", text(&unasked.stdout));
    let message = slo(&read(&unasked), "cpu")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("--prometheus platform=URL"), "{message}");
    std::fs::remove_file(folder).unwrap();
}

#[test]
fn the_example_works_against_a_server() {
    let Some(scene) = scene() else { return };
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/09-promql-cpu.yaml");
    let values = "spec: {validity: {minSamples: 1, maxLateness: 30s, minDelivered: 50%}}\n";
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("values-{}.yaml", std::process::id()));
    std::fs::write(&file, values).unwrap();
    let manifest = std::fs::read_to_string(example).unwrap();
    let output = scene.run(&manifest, &["--shorten", "3s", "--values", file.to_str().unwrap()]);
    std::fs::remove_file(file).unwrap();
    let run = read(&output);
    let results = ["cpu", "restarts"].map(|name| slo(&run, name)["result"].clone());
    assert_eq!(results, ["Met", "Met"], "{run:#}");
    assert_eq!(output.status.code(), Some(0), "{run:#}");
}
