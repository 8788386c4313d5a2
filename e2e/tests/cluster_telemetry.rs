//! What a real Prometheus knows of runs that it scrapes every 15 s, and a real Collector that workers push to: the totals of the status and
//! of nginx' log to the request, the same percentiles, nothing missing of runs that last 20 s, and the same after the leader was killed in
//! the middle.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::namespace::load_test;
use e2e::server::Web;
use e2e::{Namespace, Outcome, Shared, Stage, operator, stage};
use plimsoll_api::status::StoredResult;
use plimsoll_measure::Histogram;
use serde_json::{Value, json};
use xtask::cluster::NODE_ADDRESS;
use xtask::collector::{self, Collector, Received, Setup};
use xtask::nginx::Line;
use xtask::prometheus::{Prometheus, Server};
use xtask::{chart, process};

/// From apply to the verdict, and until the last scrape after it: five times of what it should take.
const LIMIT: Duration = Duration::from_secs(150);

/// Of the run: odd, so that no percentile asked for is a whole rank (docs/metrics.md).
const REQUESTS: u64 = 401;

static PROMETHEUS: Shared<Prometheus> = Shared::new(prometheus);

/// As a cluster would have it: pods are found at the API server, and relabelled as the chart's monitors say.
fn prometheus() -> Result<Prometheus> {
    let stage = stage()?.context("no cluster")?;
    let pods = |namespaces: Value| {
        let kubeconfig = stage.cluster.internal_kubeconfig();
        json!([{"role": "pod", "kubeconfig_file": kubeconfig, "namespaces": namespaces}])
    };
    let keep = |label: &str, regex: &str| json!({"source_labels": [label], "regex": regex, "action": "keep"});
    let copy = |from: &str, to: &str| json!({"source_labels": [from], "target_label": to});
    let drop = |label: &str| json!({"source_labels": ["run"], "regex": ".+", "target_label": label, "replacement": ""});
    let pod = copy("__meta_kubernetes_pod_name", "pod");
    let config = json!({
        "global": {"scrape_interval": "15s", "scrape_timeout": "5s", "evaluation_interval": "15s"},
        "scrape_configs": [
            {
                "job_name": "plimsoll-operator", "kubernetes_sd_configs": pods(json!({"names": [chart::NAMESPACE]})),
                "scrape_native_histograms": true, "always_scrape_classic_histograms": true,
                "relabel_configs": [
                    keep("__meta_kubernetes_pod_label_app_kubernetes_io_component", "operator"),
                    keep("__meta_kubernetes_pod_container_port_name", "http"), pod,
                ],
                "metric_relabel_configs": [drop("instance"), drop("pod")],
            },
            {
                "job_name": "plimsoll-workers", "kubernetes_sd_configs": pods(json!({})),
                "scrape_native_histograms": true,
                "relabel_configs": [
                    keep("__meta_kubernetes_pod_label_plimsoll_dev_run", ".+"),
                    keep("__meta_kubernetes_pod_container_port_name", "metrics"), pod,
                ],
            },
        ],
    });
    let folder = stage.folder("prometheus");
    let listen = SocketAddr::from((NODE_ADDRESS, stage.next_port()));
    xtask::prometheus::start(&Server {
        folder: &folder,
        listen,
        config: &config,
        // Prometheus takes the zero that a counter began with from its created timestamp.
        flags: &["--enable-feature=created-timestamp-zero-ingestion"],
        inside: Some(&stage.cluster),
    })
}

static COLLECTOR: Shared<Collector> = Shared::new(|| {
    let stage = stage()?.context("no cluster")?;
    collector::start(&Setup {
        folder: &stage.folder("collector"),
        ip: NODE_ADDRESS.into(),
        ports: (stage.next_port(), stage.next_port()),
        tls: None,
        show_header: None,
        inside: Some(&stage.cluster),
    })
});

/// Held for writing while the leader changes, when nobody shows the series of any run for some seconds.
static LEADER: RwLock<()> = RwLock::new(());

/// A run that Prometheus has seen the end of.
struct Seen {
    outcome: Outcome,
    result: StoredResult,
    log: Vec<Line>,
    /// Selects its merged series.
    of: String,
    /// A new leader knows of a run what is there of it.
    namespace: Mutex<Option<Namespace<'static>>>,
}

static TWENTY_SECONDS: Shared<Seen> = Shared::new(|| {
    let stage = stage()?.context("no cluster")?;
    seen(stage, "metrics", |_| Ok(()))
});

/// Four in five requests are answered at once, the others after 40 ms.
fn spec(url: &str, collector: &Collector) -> Value {
    let step = |path: &str| json!([{"http": {"path": path}}]);
    json!({
        "target": {"url": url},
        "telemetry": {"otlp": {"endpoint": format!("http://{}", collector.grpc())}},
        "profile": {"duration": "20s", "arrivals": {"rate": "1203/m"}},
        "scenarios": [{"name": "visitor", "tasks": [
            {"name": "fast", "weight": 4, "steps": step("/fast")}, {"name": "slow", "steps": step("/slow")},
        ]}],
        "slos": [
            {"name": "p95", "latency": {"stat": "p95", "atMost": "2s"}},
            {"name": "under-20ms", "latency": {"stat": "p50", "atMost": "20ms"}, "severity": "Info"},
            {"name": "errors", "errorRate": {"atMost": "0%"}},
        ],
        "validity": {"maxLateness": "1s", "maxStartSkew": "5s"},
        "workers": {"count": 2},
    })
}

/// Runs it, does something meanwhile, and waits until a scrape has seen its verdict.
fn seen(stage: &'static Stage, name: &str, meanwhile: impl FnOnce(&Web) -> Result<()>) -> Result<Seen> {
    let prometheus = PROMETHEUS.get()?;
    let namespace = Namespace::make(stage, name)?;
    let locations =
        "location /fast { return 200 'ok\\n'; } location /slow { proxy_pass http://{testbed}/delay/40; }";
    let web = Web::start(stage, name, locations)?;
    namespace.apply(&load_test(name, &spec(&web.url(), COLLECTOR.get()?)))?;
    namespace.phase(name, "Running", LIMIT)?;
    meanwhile(&web)?;
    let outcome = namespace.finished(name, LIMIT)?;
    let result = outcome.result(&namespace)?;
    let of = format!(
        "run=\"{}\",test=\"{name}\",test_namespace=\"{}\",worker=\"\"",
        outcome.name(),
        namespace.name
    );
    let verdict = format!("plimsoll_run_verdict{{{of},verdict=\"Passed\"}} == 1");
    process::wait_until("a scrape after the verdict", LIMIT, || Ok(prometheus.ask(&verdict)?.len() == 1))
        .with_context(|| format!("{}; {}", outcome.message(), namespace.story()))?;
    Ok(Seen { outcome, result, log: web.stop()?, of, namespace: Mutex::new(Some(namespace)) })
}

/// Holds what Prometheus says of a run's totals against the status and nginx' log.
fn assert_totals(seen: &Seen) -> Result<()> {
    let prometheus = PROMETHEUS.get()?;
    let Seen { outcome, log, of, .. } = seen;
    let sum = |metric: &str| prometheus.number(&format!("sum({metric}{{{of}}})"));
    assert_eq!(outcome.verdict(), "Passed SLOsMet", "{}", outcome.message());
    assert_eq!((log.len() as u64, outcome.total("sent")?), (REQUESTS, REQUESTS));
    assert_eq!(sum("plimsoll_requests_sent_total")?, REQUESTS as f64);
    assert_eq!(sum("plimsoll_requests_asked_total")?, REQUESTS as f64);
    assert_eq!(sum("plimsoll_arrivals_delivered_total")?, REQUESTS as f64);
    assert_eq!(sum("plimsoll_requests_failed_total")?, 0.0);
    assert_eq!(sum("plimsoll_request_latency_seconds_count")?, REQUESTS as f64);
    assert_eq!(
        prometheus.number(&format!("histogram_count(sum(plimsoll_request_latency_seconds{{{of}}}))"))?,
        REQUESTS as f64
    );
    for status in
        prometheus.ask(&format!("sum by (http_response_status_code) (plimsoll_responses_total{{{of}}})"))?
    {
        assert_eq!(status.labels["http_response_status_code"], "200");
        assert_eq!(status.value, REQUESTS as f64);
    }
    for name in ["p95", "under-20ms", "errors"] {
        let slo = outcome.slo(name)?;
        let events = prometheus.number(&format!("plimsoll_slo_events_total{{{of},slo=\"{name}\"}}"))?;
        let good = prometheus.number(&format!("plimsoll_slo_good_total{{{of},slo=\"{name}\"}}"))?;
        assert_eq!(Some(events as u64), slo["samples"].as_u64(), "{name}");
        assert_eq!(Some((events - good) as u64), slo["bad"].as_u64(), "{name}");
        let result = slo["result"].as_str().context("a result")?;
        assert_eq!(
            prometheus.number(&format!("plimsoll_slo_result{{{of},slo=\"{name}\",result=\"{result}\"}}"))?,
            1.0
        );
    }
    Ok(())
}

#[test]
fn after_a_run_of_20_s_all_of_it_is_in_prometheus() -> Result<()> {
    let Some(_) = stage()? else { return Ok(()) };
    let _leader = LEADER.read().unwrap_or_else(PoisonError::into_inner);
    assert_totals(TWENTY_SECONDS.get()?)
}

/// What a run's workers said last of each series of a metric: the Collector has every message.
fn last_points(metric: &str, run: &str) -> Result<Vec<Received>> {
    let points = COLLECTOR.get()?.points(metric)?;
    let ours = points.into_iter().filter(|point| {
        let of = |name: &str| point.attributes.get(name).map_or("", String::as_str);
        of("run") == run && !of("worker").is_empty()
    });
    let last: BTreeMap<_, _> = ours.map(|point| (point.attributes.clone(), point)).collect();
    Ok(last.into_values().collect())
}

#[test]
fn the_collector_received_all_of_it_in_the_recorders_own_buckets() -> Result<()> {
    let Some(_) = stage()? else { return Ok(()) };
    let Seen { outcome, result, .. } = TWENTY_SECONDS.get()?;
    let run = outcome.name();
    let sent = || -> Result<u64> {
        Ok(last_points("plimsoll.requests.sent", run)?.iter().filter_map(Received::count).sum())
    };
    process::wait_until("the workers' last message", LIMIT, || Ok(sent()? >= REQUESTS))?;
    assert_eq!(sent()?, REQUESTS);
    let mut buckets: BTreeMap<i32, u64> = BTreeMap::new();
    for point in last_points("plimsoll.request.latency", run)? {
        assert!(point.cumulative, "{point:?}");
        assert_eq!(point.point["scale"].as_i64(), Some(8), "{point:?}");
        point.buckets().into_iter().for_each(|(index, count)| *buckets.entry(index).or_default() += count);
    }
    let mut latency = Histogram::new();
    result.snapshot.cells.iter().for_each(|cell| latency.merge(&cell.latency));
    assert_eq!(buckets.into_iter().collect::<Vec<_>>(), latency.buckets().collect::<Vec<_>>());
    Ok(())
}

#[test]
fn percentiles_are_those_of_the_run() -> Result<()> {
    let Some(_) = stage()? else { return Ok(()) };
    let _leader = LEADER.read().unwrap_or_else(PoisonError::into_inner);
    let Seen { result, of, .. } = TWENTY_SECONDS.get()?;
    let prometheus = PROMETHEUS.get()?;
    let mut latency = Histogram::new();
    result.snapshot.cells.iter().for_each(|cell| latency.merge(&cell.latency));
    assert_eq!(latency.count(), REQUESTS);
    for (q, quantile) in [(5_000, "0.5"), (9_500, "0.95"), (9_900, "0.99")] {
        let nanos = latency.percentile(q, 0).finite().context("a percentile")?;
        let ours = nanos as f64 / 1e9;
        let native = format!("histogram_quantile({quantile}, sum(plimsoll_request_latency_seconds{{{of}}}))");
        let native = prometheus.number(&native)?;
        // The bounds of a bucket of scale 8 are a factor of 2^(1/256) apart.
        assert!((native / ours).log2().abs() <= 1.0 / 256.0, "p{quantile}: {native}, ours {ours}");
        let classic = format!(
            "histogram_quantile({quantile}, sum by (run, le) (plimsoll_request_latency_seconds_bucket{{{of}}}))"
        );
        let (classic, bounds) = (prometheus.number(&classic)?, bounds(prometheus, of)?);
        let bucket = |number: f64| bounds.iter().position(|bound| number <= *bound);
        assert_eq!(bucket(classic), bucket(ours), "p{quantile}: {classic}, ours {ours}, {bounds:?}");
    }
    // The thresholds of the run's SLOs are among the bounds.
    let bounds = bounds(prometheus, of)?;
    assert!(bounds.contains(&0.02) && bounds.contains(&2.0), "{bounds:?}");
    Ok(())
}

/// Upper bounds of a run's classic buckets, ascending.
fn bounds(prometheus: &Prometheus, of: &str) -> Result<Vec<f64>> {
    let series = prometheus.ask(&format!("sum by (le) (plimsoll_request_latency_seconds_bucket{{{of}}})"))?;
    let bound = |le: &Value| le.as_str().and_then(|le| le.parse().ok()).context("le");
    let mut bounds: Vec<f64> = series.iter().map(|one| bound(&one.labels["le"])).collect::<Result<_>>()?;
    bounds.sort_by(f64::total_cmp);
    Ok(bounds)
}

#[test]
fn the_run_is_one_set_of_series_beside_those_of_its_workers() -> Result<()> {
    let Some(_) = stage()? else { return Ok(()) };
    let _leader = LEADER.read().unwrap_or_else(PoisonError::into_inner);
    let Seen { of, outcome, .. } = TWENTY_SECONDS.get()?;
    let prometheus = PROMETHEUS.get()?;
    let merged = prometheus.ask(&format!("last_over_time(plimsoll_iterations_total{{{of}}}[10m])"))?;
    assert_eq!(merged.len(), 1, "{merged:?}");
    assert!(
        merged[0].labels.get("instance").is_none() && merged[0].labels.get("pod").is_none(),
        "{merged:?}"
    );
    // What was counted before the first scrape is an increase, too.
    assert_eq!(
        prometheus.number(&format!("min_over_time(plimsoll_requests_asked_total{{{of}}}[10m])"))?,
        0.0
    );
    let run = outcome.name();
    let workers = prometheus
        .ask(&format!("last_over_time(plimsoll_iterations_total{{run=\"{run}\",worker!=\"\"}}[10m])"))?;
    assert_eq!(workers.len(), 2, "each worker was scraped while it was there: {workers:?}");
    assert!(workers.iter().map(|worker| worker.value).sum::<f64>() <= REQUESTS as f64, "{workers:?}");
    Ok(())
}

#[test]
fn when_the_leader_dies_in_the_middle_no_request_is_missing_or_counted_twice() -> Result<()> {
    let Some(stage) = stage()? else { return Ok(()) };
    // One after the other: this one ends the operator that all runs have in common.
    let _leader = LEADER.write().unwrap_or_else(PoisonError::into_inner);
    let ended = TWENTY_SECONDS.get()?;
    process::wait_until("both replicas", LIMIT, || {
        Ok(operator::replicas(stage)?.len() == 2 && operator::leader(stage).is_ok())
    })?;
    let before = operator::leader(stage)?;
    let seen = seen(stage, "failover", |web| {
        process::wait_until("five seconds of traffic", LIMIT, || Ok(web.nginx.access_log()?.len() >= 100))?;
        operator::kill(stage, &before)?;
        // So that it does not come back under its name, and with its Lease.
        let pod =
            ["delete", "pod", &before.name, "--namespace", chart::NAMESPACE, "--force", "--grace-period=0"];
        stage.kubectl(&pod).map(drop)
    })?;
    assert_ne!(operator::leader(stage)?.name, before.name);
    assert_totals(&seen)?;
    // What had ended before is shown by the new leader, too.
    assert_totals(ended)?;
    let prometheus = PROMETHEUS.get()?;
    let of = &seen.of;
    let series = prometheus.ask(&format!("last_over_time(plimsoll_iterations_total{{{of}}}[10m])"))?;
    assert_eq!(series.len(), 1, "both leaders wrote to one set of series: {series:?}");
    for of in [of, &ended.of] {
        for metric in ["plimsoll_requests_sent_total", "plimsoll_request_latency_seconds"] {
            let resets = prometheus.number(&format!("sum(resets({metric}{{{of}}}[10m]))"))?;
            assert_eq!(resets, 0.0, "{metric} fell");
        }
    }
    drop(ended.namespace.lock().unwrap_or_else(PoisonError::into_inner).take());
    Ok(())
}
