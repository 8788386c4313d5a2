//! Every query of every dashboard and rule, asked of a real Prometheus that collects from a real operator while two runs of a test go by;
//! and the numbers of the dashboards against those of the status. With PLIMSOLL_PICTURES=FOLDER it leaves pictures of them there.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod plane;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use plane::{PATIENCE, Space, Stage, able, block_on, until};
use plimsoll_api::v1alpha1::{LoadTestRunStatus, Verdict};
use plimsoll_testbed::{Config, Errors, Latency, Route, Testbed, When};
use serde_json::{Value, json};
use xtask::dashboards::ask::{self, Span};
use xtask::dashboards::picture;
use xtask::dashboards::queries::{self, Query};
use xtask::prometheus::{self, Prometheus, Server};

/// Panels that are empty here, and why: everything else has to show something.
const EMPTY: [&str; 12] = [
    // No kubelet that is scraped.
    "plimsoll-operator, CPU, A",
    "plimsoll-operator, Memory, A",
    "plimsoll-run, The target: CPU, A",
    // No worker that is scraped.
    "plimsoll-run, Me: throttled, B",
    "plimsoll-run, Me: CPU, B",
    "plimsoll-run, Me: own queue (p99), B",
    // The target is an address, and speaks no TLS.
    "plimsoll-run, Where the time goes (p95 of each part), A",
    "plimsoll-run, Where the time goes (p95 of each part), C",
    // Scenarios without counters and trends.
    "plimsoll-run, Checks, rates, counters, trends, C",
    "plimsoll-run, Checks, rates, counters, trends, D",
    "plimsoll-run, Checks, rates, counters, trends, E",
    // SLOs in units of their own are those of queries and counts.
    "plimsoll-slos, Others, A",
];

/// May be either: a reconcile may fail or not, and runs may be over when it is asked.
const EITHER: [&str; 3] = [
    "plimsoll-operator, Failed reconciles by step",
    "plimsoll-fleet, Runs in progress",
    "plimsoll-slos, Others",
];

fn target(errors: Option<Errors>) -> Testbed {
    let routes = vec![Route { latency: Latency::Constant(15.0), errors, ..Route::under("/") }];
    Testbed::start(Config { routes, ..Config::default() }).unwrap()
}

/// Both models of load, two requests, a check, SLOs of three units.
fn spec(url: &str) -> Value {
    let step = |name: &str| json!({"name": name, "http": {"path": format!("/{name}")}, "check": {"is fine": "status == 200"}});
    json!({
        "target": {"url": url},
        "profile": {"users": 4, "duration": "12s", "warmup": "2s", "gracefulStop": "2s"},
        "scenarios": [
            {"name": "shop", "wait": {"min": "20ms", "max": "20ms"}, "steps": [step("home"), step("cart")]},
            {"name": "api", "profile": {"arrivals": {"rate": "40/s"}, "duration": "12s"}, "steps": [step("search")]},
        ],
        "slos": [
            {"name": "p95", "latency": {"stat": "p95", "atMost": "400ms"}},
            {"name": "errors", "errorRate": {"atMost": "1%"}},
            {"name": "rate", "throughput": {"atLeast": "5/s"}, "severity": "Warning"},
        ],
        "validity": {"maxStartSkew": "5s", "maxLateness": "2s", "minDelivered": "50%"},
        "workers": {"count": 2, "threads": 1},
    })
}

fn collect(stage: &Stage, operator: SocketAddr) -> Prometheus {
    let [port] = xtask::process::free_ports().unwrap();
    let config = json!({
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s", "scrape_native_histograms": true},
        "rule_files": [xtask::paths::root().join("dashboards/rules/*.yaml")],
        "scrape_configs": [{"job_name": "plimsoll", "static_configs": [{"targets": [operator.to_string()]}]}],
    });
    let folder = stage.folder.join("prometheus");
    let listen = SocketAddr::from(([127, 0, 0, 1], port));
    prometheus::start(&Server { folder: &folder, listen, config: &config, flags: &[], inside: None }).unwrap()
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Name and status of the run that applying this spec asks for.
async fn play(space: &Space, spec: Value, before: Option<&str>) -> (String, LoadTestRunStatus) {
    space.apply("web", spec).await;
    let name = until("a new run", PATIENCE, async || {
        let name = space.newest_name("web").await?;
        (Some(name.as_str()) != before).then_some(name)
    })
    .await;
    (name, space.finished("web").await)
}

/// Asks every query; the places of those without an answer.
fn empty(
    api: ask::Api<'_>,
    all: &[Query],
    values: &BTreeMap<String, String>,
    span: Span,
) -> BTreeSet<String> {
    let shown = |query: &&Query| {
        let series = ask::ask(api, query, values, span).unwrap();
        series.iter().all(|series| series.points.is_empty())
    };
    all.iter().filter(shown).map(|query| query.place.clone()).collect()
}

/// The one number that a panel shows.
fn number(
    api: ask::Api<'_>,
    all: &[Query],
    place: &str,
    values: &BTreeMap<String, String>,
    span: Span,
) -> f64 {
    let query = all.iter().find(|query| query.place == place).unwrap_or_else(|| panic!("{place}"));
    let series = ask::ask(api, query, values, span).unwrap();
    assert_eq!(series.len(), 1, "{place}: {series:?}");
    series[0].points.last().unwrap().1
}

/// Milliseconds of a text such as `15.2ms`.
fn millis(text: &str) -> f64 {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap();
    let number: f64 = text[..split].parse().unwrap();
    match &text[split..] {
        "us" => number / 1e3,
        "ms" => number,
        "s" => number * 1e3,
        unit => panic!("{unit}"),
    }
}

/// What is chosen above the dashboards.
fn chosen(first: &str, second: &str, shift: f64, range: &str) -> BTreeMap<String, String> {
    let mut values = queries::any_values();
    let shift = shift.to_string();
    for (name, value) in [
        ("namespace", "shop"),
        ("test", "web"),
        ("run", second),
        ("baseline", first),
        ("shift", &shift),
        ("__rate_interval", "4s"),
        ("__interval", "2s"),
        ("__range", range),
        ("past", range),
    ] {
        values.insert(name.to_owned(), value.to_owned());
    }
    values
}

/// The failed run by its dashboard and by its status.
fn assert_same_numbers(
    api: ask::Api<'_>,
    all: &[Query],
    (values, span): (&BTreeMap<String, String>, Span),
    failed: &LoadTestRunStatus,
) {
    let summary = failed.summary.as_ref().unwrap();
    let tile = |title: &str| number(api, all, &format!("plimsoll-run, {title}, A"), values, span);
    assert_eq!(tile("Requests") as u64, summary.requests);
    let p95 = millis(summary.p95.as_ref().unwrap());
    assert!((tile("p95") * 1e3 - p95).abs() <= p95 * 0.003, "{} {p95}", tile("p95"));
    assert_eq!(tile("Is it me or the target?"), 1.0, "the target is at fault");
    assert_eq!(tile("Phase"), 5.0);
}

#[test]
fn every_query_has_data_and_the_numbers_are_those_of_the_status() {
    if !able("queries of dashboards with data of real runs") {
        return;
    }
    if let Err(why) = xtask::tools::require(&prometheus::PROGRAMS) {
        xtask::report::skip("queries of dashboards with data of real runs", &why.to_string()).unwrap();
        return;
    }
    let stage = Stage::new("dashboards");
    let operator = stage.operator("only", &["--grafana-url", "https://grafana.example/"]);
    let prometheus = collect(&stage, operator.http);
    let api = |path: &str| prometheus.api(path);
    let begun = now();
    let (good, bad) = (target(None), target(Some(Errors { when: When::Every(5), status: 503 })));
    let ((first, passed), (second, failed)) = block_on(async {
        let space = stage.namespace("shop").await;
        let first = play(&space, spec(&good.url()), None).await;
        let second = play(&space, spec(&bad.url()), Some(&first.0)).await;
        (first, second)
    });
    let told = |status: &LoadTestRunStatus| status.message.clone().unwrap_or_default();
    assert_eq!(passed.verdict, Some(Verdict::Passed), "{}", told(&passed));
    assert_eq!(failed.verdict, Some(Verdict::Failed), "{}", told(&failed));
    let dashboard = failed.results.as_ref().unwrap().dashboard.clone().unwrap();
    let address = format!(
        "https://grafana.example/d/plimsoll-run/?var-namespace=shop&var-test=web&var-run={second}&from="
    );
    assert!(dashboard.starts_with(&address), "{dashboard}");

    // The last scrape, and the rules after it.
    let told = format!(
        "count(plimsoll_run_end_timestamp_seconds{{run=~\"{first}|{second}\"}} > 0) == 2 and on () \
         count(ALERTS{{alertname=\"PlimsollTestFailed\", alertstate=\"firing\"}}) == 1"
    );
    xtask::process::wait_until("the end in Prometheus, and its alert", PATIENCE, || {
        Ok(!prometheus.ask(&told)?.is_empty())
    })
    .unwrap();
    let shift = prometheus.number(&format!(
        "round(max(plimsoll_run_start_timestamp_seconds{{run=\"{second}\"}}) - max(plimsoll_run_start_timestamp_seconds{{run=\"{first}\"}}))"
    ));
    // A step more, so that the last point is not before the last scrape.
    let span = Span { from: begun, to: now() + 1.0, step: 1.0 };
    let range = format!("{:.0}s", (span.to - span.from).ceil());
    let values = chosen(&first, &second, shift.unwrap(), &range);

    let all = queries::of_dashboards().unwrap();
    let without = empty(&api, &all, &values, span);
    let unsaid: Vec<&Query> =
        all.iter().filter(|query| without.contains(&query.place) && !query.may_be_empty).collect();
    assert!(unsaid.is_empty(), "empty, and nothing says why: {unsaid:#?}");
    let either = |place: &str| EITHER.iter().any(|panel| place.starts_with(panel));
    let surprising: Vec<&String> =
        without.iter().filter(|place| !EMPTY.contains(&place.as_str()) && !either(place)).collect();
    assert!(surprising.is_empty(), "empty although there is something to show: {surprising:#?}");
    let shown: Vec<&&str> =
        EMPTY.iter().filter(|place| !without.contains(**place) && !either(place)).collect();
    assert!(shown.is_empty(), "no longer empty: {shown:?}");

    // Rules: what is recorded has data, and the failed run is told.
    let (rules, _) = queries::of_rules(&api).unwrap();
    let recorded = rules.iter().filter(|rule| rule.place.contains(':'));
    for rule in recorded {
        let name = rule.place.rsplit_once(", ").unwrap().1;
        let seen = prometheus.ask(&format!("last_over_time({name}[{range}])")).unwrap();
        assert!(!seen.is_empty(), "{name} was never recorded");
    }
    let firing = prometheus.ask("ALERTS{alertstate=\"firing\"}").unwrap();
    let firing: BTreeSet<&str> =
        firing.iter().filter_map(|alert| alert.labels["alertname"].as_str()).collect();
    assert!(!firing.iter().any(|alert| alert.starts_with("PlimsollOperator")), "{firing:?}");

    assert_same_numbers(&api, &all, (&values, span), &failed);
    if let Some(folder) = std::env::var_os("PLIMSOLL_PICTURES") {
        picture::draw_all(&api, &values, span, folder.as_ref()).unwrap();
    }
}
