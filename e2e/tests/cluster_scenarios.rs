//! The scenario language on a cluster: data from a ConfigMap, setup, timeline, windows, teardown, caps and WebSockets over two pods, held
//! against nginx' log; and the same manifest without a cluster. The manifest is `src/language.rs`.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use e2e::namespace::load_test;
use e2e::outcome::word;
use e2e::server::{Web, count};
use e2e::{Namespace, Outcome, Shared, language, local, stage};
use plimsoll_api::status::StoredResult;
use serde_json::{Value, json};
use xtask::nginx::Line;

/// From apply to the verdict of a run of 15 s: five times of what it should take.
const LIMIT: Duration = Duration::from_secs(75);

/// A testbed behind nginx, WebSockets too.
const TESTBED: &str = "location / { proxy_pass http://{testbed}; proxy_http_version 1.1; }
    location /ws { proxy_pass http://{testbed}; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }";

/// The run in the cluster and the one without it, at the same time, each with a server of its own.
struct Both {
    cluster: Outcome,
    result: StoredResult,
    log: Vec<Line>,
    local: local::Local,
    local_log: Vec<Line>,
}

static BOTH: Shared<Both> = Shared::new(both);

fn both() -> Result<Both> {
    let stage = stage()?.context("no cluster")?;
    let beside = std::thread::spawn(move || -> Result<_> {
        let web = Web::start(stage, "language-local", TESTBED)?;
        let local = local::run(stage, &[&language::rows(), &language::test(&web.url())], &[])?;
        Ok((local, web.stop()?))
    });
    let namespace = Namespace::make(stage, "language")?;
    let web = Web::start(stage, "language", TESTBED)?;
    namespace.apply(&language::rows())?;
    namespace.apply(&language::test(&web.url()))?;
    let cluster = namespace.finished("language", LIMIT)?;
    let (local, local_log) = beside.join().map_err(|_| anyhow!("the local run panicked"))??;
    let result = cluster.result(&namespace)?;
    Ok(Both { cluster, result, log: web.stop()?, local, local_log })
}

#[test]
fn every_request_of_the_language_is_a_line_of_nginx_log() -> Result<()> {
    let Some(_) = stage()? else { return Ok(()) };
    let run = BOTH.get()?;
    assert_eq!(run.cluster.verdict(), "Passed SLOsMet", "{}", run.cluster.message());
    for (outcome, log) in [(&run.cluster, &run.log), (&run.local.outcome, &run.local_log)] {
        assert_eq!(outcome.total("sent")?, log.len() as u64);
        assert_eq!(outcome.status()["summary"]["total"]["exact"], true);
    }
    let layout = &run.result.layout;
    let sent = |name: &str| -> u64 {
        let cells = run.result.snapshot.cells.iter();
        cells
            .filter(|cell| layout.requests[usize::from(cell.request.0)] == name)
            .map(|cell| cell.counts.sent)
            .sum()
    };
    for (name, begin) in [
        ("node", "/api/knowledge/nodes/"),
        ("row", "/rows/"),
        ("events", "/ws/debates/"),
        ("slow", "/delay/150"),
    ] {
        assert_eq!(sent(name), count(&run.log, |line| line.path.starts_with(begin)), "{name}");
    }
    Ok(())
}

#[test]
fn every_row_of_the_config_map_is_used_once_by_one_of_the_workers() -> Result<()> {
    let Some(_) = stage()? else { return Ok(()) };
    let run = BOTH.get()?;
    for (log, workers) in [(&run.log, 2), (&run.local_log, 1)] {
        let rows: Vec<&Line> = log.iter().filter(|line| line.path.starts_with("/rows/")).collect();
        let paths: BTreeSet<&str> = rows.iter().map(|line| line.path.as_str()).collect();
        assert_eq!((rows.len(), paths.len()), (language::ROWS, language::ROWS));
        let clients: BTreeSet<&str> = rows.iter().map(|line| line.client.as_str()).collect();
        assert_eq!(clients.len(), workers, "{clients:?}");
    }
    Ok(())
}

#[test]
fn setup_timeline_and_teardown_are_one_workers_and_its_captures_everybodys() -> Result<()> {
    let Some(_) = stage()? else { return Ok(()) };
    let run = BOTH.get()?;
    let lines = |request: &str| -> Vec<&Line> {
        run.log.iter().filter(|line| line.request.starts_with(request)).collect()
    };
    let hooks =
        ["POST /__fault ", "DELETE /__fault ", "POST /api/auth/login ", "GET /api/debates "].map(lines);
    assert_eq!(hooks.each_ref().map(Vec::len), [3, 1, 1, 2]);
    let by: BTreeSet<&str> = hooks.iter().flatten().map(|line| line.client.as_str()).collect();
    assert_eq!(by.len(), 1, "{by:?}");
    // A token is wanted from the first step of the setup on, and only the stranger has none.
    assert_eq!(count(&run.log, |line| line.status == 401), 1);
    for path in ["/api/knowledge/nodes/", "/ws/debates/"] {
        let with_token = run.log.iter().filter(|line| line.path.starts_with(path));
        let by: BTreeSet<&str> = with_token.map(|line| line.client.as_str()).collect();
        assert_eq!(by.len(), 2, "{path} by {by:?}");
    }
    Ok(())
}

#[test]
fn a_cap_holds_over_both_workers() -> Result<()> {
    let Some(_) = stage()? else { return Ok(()) };
    let run = BOTH.get()?;
    let slow = run.log.iter().filter(|line| line.path == "/delay/150");
    let arrived = slow.map(|line| line.at_ms - line.took_ms).collect();
    assert_eq!(language::peak(arrived), language::PLACES);
    Ok(())
}

#[test]
fn windows_metrics_and_the_time_to_recovery_are_in_the_status() -> Result<()> {
    let Some(_) = stage()? else { return Ok(()) };
    let run = BOTH.get()?;
    assert_eq!((run.local.outcome.verdict(), run.local.code), (run.cluster.verdict(), 0));
    let names = |outcome: &Outcome| -> Vec<Value> {
        let slos = outcome.status()["slos"].as_array().cloned().unwrap_or_default();
        slos.into_iter()
            .map(|slo| json!([slo["name"], slo["result"], slo["bound"], slo["severity"]]))
            .collect()
    };
    assert_eq!(names(&run.cluster), names(&run.local.outcome));
    assert_eq!(names(&run.cluster).len(), 8);
    for outcome in [&run.cluster, &run.local.outcome] {
        let took = word(&outcome.slo("recovers")?["value"]);
        assert!(["2s", "3s"].contains(&took), "{took}: {:#}", outcome.slo("recovers")?);
        assert_eq!(outcome.slo("rows")?["value"], language::ROWS.to_string());
    }
    // What was disturbed is told by nginx too: within the window and the two seconds of the next one.
    let start: k8s_openapi::jiff::Timestamp = word(&run.cluster.status()["startedAt"]).parse()?;
    let failed = run
        .log
        .iter()
        .filter(|line| line.status == 503)
        .map(|line| line.at_ms as i64 - start.as_millisecond());
    let (first, last) = failed.fold((i64::MAX, 0), |(first, last), at| (first.min(at), last.max(at)));
    assert!((4_900..6_000).contains(&first) && (10_000..11_500).contains(&last), "{first} to {last} ms");
    Ok(())
}

#[test]
fn a_failing_setup_is_an_error_at_once() -> Result<()> {
    let Some(stage) = stage()? else { return Ok(()) };
    let namespace = Namespace::make(stage, "setup")?;
    let web = Web::start(stage, "setup", "location / { return 503; }")?;
    let test = load_test(
        "setup",
        &json!({
            "target": {"url": web.url()},
            "profile": {"duration": "60s", "arrivals": {"rate": "20/s"}},
            "setup": [{"name": "log in", "http": {"method": "POST", "path": "/login"}}],
            "slos": [{"name": "p95", "latency": {"stat": "p95", "atMost": "3s"}}],
            "workers": {"count": 2},
        }),
    );
    namespace.apply(&test)?;
    let outcome = namespace.finished("setup", LIMIT)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    assert_eq!(outcome.verdict(), "Error SetupFailed", "{}", outcome.message());
    // From the answer on: when pods come is the cluster's affair.
    let answered = web.nginx.access_log()?.first().context("setup sent nothing")?.at_ms;
    let took = now.saturating_sub(Duration::from_millis(answered));
    assert!(took < Duration::from_secs(10), "it took {took:?}");
    assert_eq!(outcome.status()["startedAt"], Value::Null);
    for part in ["log in", "503"] {
        assert!(outcome.message().contains(part), "{part}: {}", outcome.message());
    }
    let local = local::run(stage, &[&test], &[])?;
    assert_eq!((local.outcome.verdict(), local.code), (outcome.verdict(), 4), "{}", local.outcome.message());
    let log = web.stop()?;
    assert_eq!(
        count(&log, |line| line.request.starts_with("POST /login ")),
        log.len() as u64,
        "nothing else is sent"
    );
    assert_eq!(log.len(), 2, "once here and once there");
    Ok(())
}
