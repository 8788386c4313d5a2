//! Queries of dashboards and rules (`xtask/src/dashboards`) against the inventory: every metric and label there is one that we export,
//! nothing adds up percentiles or runs, nothing counts workers twice. Prometheus itself parses them.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use plimsoll_telemetry::inventory::{self, Place};
use serde_json::json;
use xtask::dashboards::check::{self, Kind, Metric};
use xtask::dashboards::queries::{self, any_values, fill};
use xtask::prometheus::{self, Prometheus, Server};

/// Labels that Prometheus gives the series of the operator: who said it.
const OF_TARGETS: [&str; 4] = ["instance", "job", "namespace", "pod"];

/// A Prometheus that has loaded our rules and collects nothing.
fn prometheus(name: &str) -> Option<(Prometheus, PathBuf)> {
    if let Err(why) = xtask::tools::require(&prometheus::PROGRAMS) {
        xtask::report::skip("queries of dashboards and rules", &why.to_string()).unwrap();
        return None;
    }
    let folder = std::env::temp_dir().join(format!("plimsoll-{name}-{}", std::process::id()));
    let [port] = xtask::process::free_ports().unwrap();
    let config = json!({"rule_files": [xtask::paths::root().join("dashboards/rules/*.yaml")]});
    let listen = ([127, 0, 0, 1], port).into();
    let server = Server { folder: &folder, listen, config: &config, flags: &[], inside: None };
    Some((prometheus::start(&server).unwrap(), folder))
}

/// What is known of a name in a query.
fn known(name: &str, recorded: &BTreeMap<String, BTreeSet<String>>) -> Option<Metric> {
    if let Some(labels) = recorded.get(name) {
        return Some(Metric { labels: labels.clone(), kind: Kind::Gauge, of_runs: true, of_workers: false });
    }
    let Some(metric) = inventory::by_prometheus_name(name) else { return check::foreign(name) };
    let all = inventory::all()
        .flat_map(|metric| metric.labels)
        .chain(inventory::RUN_LABELS)
        .chain([&inventory::WORKER]);
    let mut labels: BTreeSet<String> = all
        .map(|label| label.prometheus)
        .filter(|label| metric.has_label(label))
        .map(str::to_owned)
        .collect();
    let of_runs = !metric.places.contains(&Place::Operator);
    if !of_runs {
        labels.extend(OF_TARGETS.map(str::to_owned));
    }
    let kind = match metric.kind {
        inventory::Kind::Counter => Kind::Counter,
        inventory::Kind::Gauge | inventory::Kind::UpDownCounter => Kind::Gauge,
        inventory::Kind::Histogram => Kind::Histogram,
    };
    if kind == Kind::Histogram && name.ends_with("_bucket") {
        labels.insert("le".to_owned());
    }
    let of_workers = metric.places.contains(&Place::Worker) && metric.places.contains(&Place::Run);
    Some(Metric { labels, kind, of_runs, of_workers })
}

/// What the recording rules make; their grouping is what they are called after.
fn recorded(rules: &[queries::Query]) -> BTreeMap<String, BTreeSet<String>> {
    let names = rules.iter().filter_map(|rule| rule.place.rsplit_once(", ")).map(|(_, name)| name);
    let run = ["test_namespace", "test", "run"];
    let labels = |name: &str| {
        run.into_iter().chain(name.starts_with("slo:").then_some("slo")).map(str::to_owned).collect()
    };
    names.filter(|name| name.contains(':')).map(|name| (name.to_owned(), labels(name))).collect()
}

#[test]
fn every_query_names_what_we_export_and_adds_up_what_may_be_added() {
    let Some((prometheus, folder)) = prometheus("queries") else { return };
    let (rules, alerts) = queries::of_rules(&|path| prometheus.api(path)).unwrap();
    let recorded = recorded(&rules);
    assert!(alerts.len() > 10 && recorded.len() > 5, "the rules were not loaded");
    let all = queries::of_dashboards().unwrap();
    assert!(all.len() > 150, "{} queries", all.len());
    let mut found = Vec::new();
    for query in all.iter().chain(&rules) {
        let filled = fill(&query.text, &any_values()).unwrap();
        let problems =
            check::query(&|path| prometheus.api(path), &filled, &|name| known(name, &recorded)).unwrap();
        found.extend(
            problems.into_iter().map(|problem| format!("{}: {problem}\n    {}", query.place, query.text)),
        );
    }
    assert!(found.is_empty(), "\n  {}\n", found.join("\n  "));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_is_wrong_is_found() {
    let Some((prometheus, folder)) = prometheus("wrong-queries") else { return };
    let cases = [
        ("plimsoll_requests_sent", "nobody exports"),
        ("sum by (run) (rate(plimsoll_requests_sent_total[1m]))", "counted twice"),
        (r#"plimsoll_slo_result{worker=""}"#, "has no label `worker`"),
        (r#"plimsoll_requests_sent_total{worker="", url="x"}"#, "has no label `url`"),
        (r#"sum by (error_type) (plimsoll_requests_sent_total{worker=""})"#, "cannot group by `error_type`"),
        (
            r#"histogram_quantile(0.9, sum by (le) (rate(plimsoll_request_latency_seconds_bucket{worker=""}[1m])))"#,
            "over runs",
        ),
        (r#"sum by (le, test) (rate(plimsoll_request_latency_seconds_bucket{worker=""}[1m]))"#, "over runs"),
        (
            r#"histogram_quantile(0.9, sum without (worker) (rate(plimsoll_request_latency_seconds{worker=""}[1m])))"#,
            "over runs",
        ),
        (
            r#"avg(histogram_quantile(0.9, rate(plimsoll_request_latency_seconds{worker=""}[1m])))"#,
            "is no percentile",
        ),
        (
            r#"avg_over_time(histogram_quantile(0.9, rate(plimsoll_request_latency_seconds{worker=""}[1m]))[5m:1m])"#,
            "is no percentile",
        ),
        (r#"histogram_quantile(0.9, rate(plimsoll_requests_sent_total{worker=""}[1m]))"#, "no histogram"),
        (r#"rate(plimsoll_users_active{worker=""}[1m])"#, "of the gauge"),
        ("plimsoll_slo_good_total / on (window) plimsoll_slo_events_total", "cannot match `window`"),
    ];
    for (query, problem) in cases {
        let found =
            check::query(&|path| prometheus.api(path), query, &|name| known(name, &BTreeMap::new())).unwrap();
        assert!(found.iter().any(|found| found.contains(problem)), "{query}: {found:?}");
    }
    assert!(check::query(&|path| prometheus.api(path), "sum by (", &|_| None).is_err());
    std::fs::remove_dir_all(folder).unwrap();
}
