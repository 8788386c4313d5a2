//! Counts that claim to be exact, held against nginx' own log on a cluster that does nothing else: what was sent, what was too
//! slow, what each worker did, what is stored; and the same manifest without a cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::namespace::load_test;
use e2e::outcome::word;
use e2e::server::{AT_ONCE, Web, count};
use e2e::{Namespace, Outcome, Shared, Stage, local, stage};
use k8s_openapi::api::core::v1::ConfigMap;
use plimsoll_api::status::StoredResult;
use serde_json::{Value, json};
use xtask::nginx::Line;

/// From apply to the verdict of a run of 20 s: five times of what it should take.
const LIMIT: Duration = Duration::from_secs(100);

/// A closed run of two workers: one path is answered at once, the other by a testbed after 300 ms.
struct TwoPaths {
    outcome: Outcome,
    log: Vec<Line>,
    plan: ConfigMap,
    result: StoredResult,
    /// Kind and name of everything of the run in mid-run, and at the end.
    during: Vec<String>,
    after: Vec<String>,
    columns: String,
    wide: String,
    events: Value,
}

static TWO_PATHS: Shared<TwoPaths> = Shared::new(two_paths);

fn two_paths() -> Result<TwoPaths> {
    let stage = stage()?.context("no cluster")?;
    let namespace = Namespace::make(stage, "counts")?;
    let web = Web::start(
        stage,
        "two-paths",
        "location /fast { return 200 'ok\\n'; } location /slow { proxy_pass http://{testbed}/delay/300; }",
    )?;
    let step = |path: &str| json!([{"http": {"path": path}}]);
    namespace.apply(&load_test(
        "two-paths",
        &json!({
            "target": {"url": web.url()},
            "profile": {"stages": [{"duration": "5s", "users": 12}, {"duration": "15s", "users": 12, "window": "steady"}]},
            "scenarios": [{"name": "visitor", "wait": {"min": "50ms", "max": "150ms"}, "tasks": [
                {"name": "fast", "weight": 3, "steps": step("/fast")},
                {"name": "slow", "steps": step("/slow")},
            ]}],
            "slos": [
                {"name": "p99", "latency": {"stat": "p99", "atMost": "5s"}},
                {"name": "errors", "errorRate": {"atMost": "0%"}},
                {"name": "under-150ms", "window": "steady", "latency": {"stat": "p95", "atMost": "150ms"}, "severity": "Warning"},
                {"name": "all-under-150ms", "latency": {"stat": "p95", "atMost": "150ms"}, "severity": "Warning"},
            ],
            "workers": {"count": 2},
        }),
    ))?;
    namespace.phase("two-paths", "Running", LIMIT)?;
    let run = namespace.run_of("two-paths")?;
    let during = objects_of(&namespace, &run)?;
    let outcome = namespace.finished("two-paths", LIMIT)?;
    let after = objects_of(&namespace, &run)?;
    Ok(TwoPaths {
        plan: outcome.plan(&namespace)?,
        result: outcome.result(&namespace)?,
        columns: namespace.kubectl(&["get", "loadtests"])?,
        wide: namespace.kubectl(&["get", "loadtests", "--output=wide"])?,
        events: namespace.json(&["get", "events"])?,
        outcome,
        log: web.stop()?,
        during,
        after,
    })
}

/// Everything that can be listed and carries the run's label, but its pods: `job/x`, `configmap/y`.
fn objects_of(namespace: &Namespace<'_>, run: &str) -> Result<Vec<String>> {
    let kinds =
        namespace.stage.kubectl(&["api-resources", "--namespaced", "--verbs=list", "--output=name"])?;
    let kinds: Vec<&str> =
        kinds.lines().filter(|kind| !["pods", "events", "events.events.k8s.io"].contains(kind)).collect();
    let selector = format!("--selector=plimsoll.dev/run={run}");
    let found = namespace.kubectl(&["get", &kinds.join(","), &selector, "--output=name"])?;
    let mut found: Vec<String> = found.lines().map(str::to_owned).collect();
    found.sort_unstable();
    Ok(found)
}

#[test]
fn sent_is_the_number_of_lines_in_nginx_log() -> Result<()> {
    let Some(_) = stage()? else { return Ok(()) };
    let run = TWO_PATHS.get()?;
    assert_eq!(run.outcome.verdict(), "Passed PassedWithWarnings", "{}", run.outcome.message());
    assert!(run.log.len() > 500, "only {} requests", run.log.len());
    assert_eq!(run.outcome.total("sent")?, run.log.len() as u64);
    assert_eq!(run.outcome.status()["summary"]["total"]["exact"], true);
    assert_eq!((run.outcome.total("notSent")?, run.outcome.total("unfinished")?), (0, 0));
    Ok(())
}

#[test]
fn the_counter_of_an_slo_is_the_number_of_lines_over_its_bound() -> Result<()> {
    let Some(_) = stage()? else { return Ok(()) };
    let run = TWO_PATHS.get()?;
    let start = run.outcome.status()["startedAt"].as_str().context("startedAt")?;
    let start: k8s_openapi::jiff::Timestamp = start.parse()?;
    let slow = count(&run.log, |line| line.took_ms > 150);
    assert_eq!(
        slow,
        count(&run.log, |line| line.path == "/slow"),
        "by nginx' own log the slow ones are those of /slow"
    );
    assert!(slow > 50, "only {slow} slow requests");
    let all = run.outcome.slo("all-under-150ms")?;
    assert_eq!(
        (all["samples"].as_u64(), all["bad"].as_u64()),
        (Some(run.log.len() as u64), Some(slow)),
        "{all:#}"
    );
    assert_eq!(all["result"], "Missed");

    // A request belongs to the window in which it began; the log has its end, and how long it took.
    let begun = |line: &Line| line.at_ms as i64 - line.took_ms as i64 - start.as_millisecond();
    let steady = |line: &Line| begun(line) >= 5_000;
    // Beside the border the client's clock may put it on the other side.
    let unsure = count(&run.log, |line| (begun(line) - 5_000).abs() <= 20);
    let (lines, slow) = (count(&run.log, steady), count(&run.log, |line| steady(line) && line.took_ms > 150));
    let window = run.outcome.slo("under-150ms")?;
    let (samples, bad) =
        (window["samples"].as_u64().context("samples")?, window["bad"].as_u64().context("bad")?);
    assert!(samples.abs_diff(lines) <= unsure, "{samples} samples, {lines} lines, {unsure} of them unsure");
    assert!(bad.abs_diff(slow) <= unsure, "{bad} bad, {slow} slow lines, {unsure} unsure");
    Ok(())
}

#[test]
fn both_workers_did_their_part() -> Result<()> {
    let Some(_) = stage()? else { return Ok(()) };
    let run = TWO_PATHS.get()?;
    let mut by_worker: BTreeMap<&str, usize> = BTreeMap::new();
    for line in &run.log {
        *by_worker.entry(&line.client).or_default() += 1;
    }
    assert_eq!(by_worker.len(), 2, "{by_worker:?}");
    for (worker, lines) in &by_worker {
        let share = *lines as f64 / run.log.len() as f64;
        assert!((0.4..0.6).contains(&share), "{worker} sent {share} of the requests");
    }
    let workers = &run.outcome.status()["workers"];
    assert_eq!(*workers, json!({"desired": 2, "ready": 2, "lost": 0}));
    assert!(!word(&run.outcome.status()["startSkew"]).is_empty(), "{:#}", run.outcome.status());
    Ok(())
}

#[test]
fn a_run_is_one_job_and_two_config_maps_beside_its_pods() -> Result<()> {
    let Some(_) = stage()? else { return Ok(()) };
    let run = TWO_PATHS.get()?;
    let name = run.outcome.name();
    assert_eq!(run.during, [format!("configmap/{name}-plan"), format!("job.batch/{name}")]);
    let all =
        [format!("configmap/{name}-plan"), format!("configmap/{name}-result"), format!("job.batch/{name}")];
    assert_eq!(run.after, all);
    Ok(())
}

#[test]
fn plan_and_result_can_be_read() -> Result<()> {
    let Some(_) = stage()? else { return Ok(()) };
    let run = TWO_PATHS.get()?;
    let parts = run.plan.data.as_ref().context("the plan's data")?;
    let plan: Value = serde_json::from_str(&parts["plan.json"])?;
    assert_eq!(plan["workers"], 2);
    assert_eq!(
        (run.plan.immutable, parts["ca.crt"].starts_with("-----BEGIN CERTIFICATE-----")),
        (Some(true), true)
    );

    let layout = &run.result.layout;
    assert_eq!(layout.requests, ["GET /fast", "GET /slow"]);
    let windows: Vec<&str> = layout.windows.iter().map(|window| window.name.as_str()).collect();
    assert!(["main", "steady"].iter().all(|window| windows.contains(window)), "{windows:?}");
    let cells = &run.result.snapshot.cells;
    let seen: std::collections::BTreeSet<_> =
        cells.iter().map(|cell| (cell.request.0, cell.window.0)).collect();
    assert_eq!(seen.len(), 4, "two requests in two windows: {seen:?}");
    let sent = |path: &str| -> u64 {
        let named = |cell: &&plimsoll_measure::Cell| layout.requests[cell.request.0 as usize] == path;
        cells.iter().filter(named).map(|cell| cell.counts.sent).sum()
    };
    assert_eq!(sent("GET /fast"), count(&run.log, |line| line.path == "/fast"));
    assert_eq!(sent("GET /slow"), count(&run.log, |line| line.path == "/slow"));
    let series: u64 = run.result.snapshot.series.iter().map(|second| second.sent).sum();
    assert_eq!(series, run.log.len() as u64);
    Ok(())
}

#[test]
fn get_shows_the_columns() -> Result<()> {
    let Some(_) = stage()? else { return Ok(()) };
    let run = TWO_PATHS.get()?;
    let words = |text: &str, line: usize| -> Vec<String> {
        text.lines().nth(line).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(
        words(&run.columns, 0),
        ["NAME", "PHASE", "VERDICT", "SLOS", "PROGRESS", "RATE", "P95", "ERRORS", "AGE"]
    );
    let line = words(&run.columns, 1);
    assert_eq!(line[..5], ["two-paths", "Finished", "Passed", "2/4", "100%"], "{line:?}");
    assert!(line[5].ends_with("/s") && line[6].ends_with('s') && line[7] == "0%", "{line:?}");
    assert_eq!(words(&run.wide, 0)[9..], ["REASON", "RUN"]);
    assert_eq!(words(&run.wide, 1)[9..], ["PassedWithWarnings", run.outcome.name()]);
    Ok(())
}

#[test]
fn events_tell_the_story() -> Result<()> {
    let Some(_) = stage()? else { return Ok(()) };
    let run = TWO_PATHS.get()?;
    let events = run.events["items"].as_array().context("events")?;
    let told = |kind: &str, name: &str| -> Vec<&str> {
        let about = |event: &&Value| {
            event["involvedObject"]["kind"] == kind && event["involvedObject"]["name"] == name
        };
        events.iter().filter(about).map(|event| word(&event["reason"])).collect()
    };
    let told = told("LoadTestRun", run.outcome.name());
    for reason in ["Accepted", "Started", "Finished"] {
        assert_eq!(told.iter().filter(|found| **found == reason).count(), 1, "{told:?}");
    }
    Ok(())
}

/// An open run of 50 requests a second for 20 s, in the cluster by two workers and without it, at the same time.
struct Open {
    cluster: Outcome,
    cluster_log: Vec<Line>,
    local: local::Local,
    local_log: Vec<Line>,
}

static OPEN: Shared<Open> = Shared::new(open);

fn open() -> Result<Open> {
    // Not beside the other run, whose bounds are tight.
    TWO_PATHS.get()?;
    let stage: &'static Stage = stage()?.context("no cluster")?;
    let manifest = |url: &str| {
        load_test(
            "open",
            &json!({
                "target": {"url": url},
                "profile": {"duration": "20s", "warmup": "2s", "arrivals": {"rate": "50/s", "distribution": "Uniform"}},
                "slos": [
                    {"name": "p95", "latency": {"stat": "p95", "atMost": "1s"}},
                    {"name": "errors", "errorRate": {"atMost": "0%"}},
                ],
                "validity": {"maxLateness": "200ms", "maxStartSkew": "1s"},
                "workers": {"count": 2},
            }),
        )
    };
    let beside = std::thread::spawn(move || -> Result<_> {
        let web = Web::start(stage, "open-local", AT_ONCE)?;
        let local = local::run(stage, &[&manifest(&web.url())], &[])?;
        Ok((local, web.stop()?))
    });
    let namespace = Namespace::make(stage, "open")?;
    let web = Web::start(stage, "open", AT_ONCE)?;
    namespace.apply(&manifest(&web.url()))?;
    let cluster = namespace.finished("open", LIMIT)?;
    let (local, local_log) = beside.join().map_err(|_| anyhow::anyhow!("the local run panicked"))??;
    Ok(Open { cluster, cluster_log: web.stop()?, local, local_log })
}

#[test]
fn an_open_uniform_profile_sends_exactly_rate_times_duration() -> Result<()> {
    let Some(_) = stage()? else { return Ok(()) };
    let run = OPEN.get()?;
    assert_eq!(run.cluster_log.len(), 50 * 20, "in the cluster");
    assert_eq!(run.cluster.total("sent")?, 50 * 20, "in the cluster");
    assert_eq!(run.local_log.len(), 50 * 20, "without it");
    assert_eq!(run.local.outcome.total("sent")?, 50 * 20, "without it");
    Ok(())
}

#[test]
fn the_same_manifest_has_the_same_verdict_without_a_cluster() -> Result<()> {
    let Some(_) = stage()? else { return Ok(()) };
    let run = OPEN.get()?;
    assert_eq!(run.cluster.verdict(), "Passed SLOsMet", "{}", run.cluster.message());
    assert_eq!(run.local.outcome.verdict(), run.cluster.verdict(), "{}", run.local.outcome.message());
    assert_eq!(run.local.code, 0);
    for name in ["p95", "errors"] {
        let (here, there) = (run.local.outcome.slo(name)?, run.cluster.slo(name)?);
        for field in ["result", "bound", "samples", "severity"] {
            assert_eq!(here[field], there[field], "{name}.{field}");
        }
    }
    for kind in ["Passed", "Finished", "Ready"] {
        let conditions =
            [&run.local.outcome.run, &run.cluster.run].map(|object| Outcome::condition(object, kind));
        assert_eq!(conditions[0], conditions[1], "{kind}");
    }
    Ok(())
}
