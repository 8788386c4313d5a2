//! Workers that are lost in mid-run, and a test that is deleted in mid-run: what nginx saw, and what the run says about it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use e2e::namespace::load_test;
use e2e::outcome::word;
use e2e::server::{AT_ONCE, Web};
use e2e::{Namespace, Outcome, Shared, Stage, kstatus, stage};
use serde_json::{Value, json};
use xtask::nginx::Line;
use xtask::process;

/// From apply to the verdict of a run of 15 s: five times of what it should take.
const LIMIT: Duration = Duration::from_secs(75);

/// Requests a second, of both workers together.
const RATE: u64 = 60;

/// An open run of two workers, with this policy about lost ones.
fn manifest(name: &str, url: &str, on_worker_loss: &str) -> Value {
    load_test(
        name,
        &json!({
            "target": {"url": url},
            "profile": {"duration": "15s", "arrivals": {"rate": format!("{RATE}/s")}},
            "slos": [{"name": "p95", "latency": {"stat": "p95", "atMost": "1s"}}],
            "validity": {"maxLateness": "500ms", "maxStartSkew": "2s", "onWorkerLoss": on_worker_loss},
            "workers": {"count": 2},
        }),
    )
}

/// A run of which a worker was lost, and the log of the server.
struct Loss {
    outcome: Outcome,
    log: Vec<Line>,
    kstatus: String,
}

/// Starts a run and waits until nginx has seen five seconds of it.
fn under_way<'a>(stage: &'a Stage, name: &str, policy: &str) -> Result<(Namespace<'a>, Web)> {
    let namespace = Namespace::make(stage, name)?;
    let web = Web::start(stage, name, AT_ONCE)?;
    namespace.apply(&manifest(name, &web.url(), policy))?;
    namespace.phase(name, "Running", LIMIT)?;
    process::wait_until("five seconds of traffic", LIMIT, || {
        Ok(web.nginx.access_log()?.len() as u64 >= 5 * RATE)
    })
    .with_context(|| namespace.story())?;
    Ok((namespace, web))
}

/// What is left of a run that lost a worker.
fn lose(name: &str, policy: &str, how: fn(&Namespace<'_>, &Value) -> Result<()>) -> Result<Loss> {
    let stage = stage()?.context("no cluster")?;
    let (namespace, web) = under_way(stage, name, policy)?;
    let pods = namespace.pods(name)?;
    ensure!(pods.len() == 2, "{} pods", pods.len());
    how(&namespace, &pods[0])?;
    let outcome = namespace.finished(name, LIMIT)?;
    let kstatus = kstatus::of(&outcome.test)?;
    Ok(Loss { outcome, log: web.stop()?, kstatus })
}

fn kill(namespace: &Namespace<'_>, pod: &Value) -> Result<()> {
    namespace.stage.cluster.kill_container(word(&pod["status"]["containerStatuses"][0]["containerID"]))
}

fn delete(namespace: &Namespace<'_>, pod: &Value) -> Result<()> {
    namespace.kubectl(&["delete", "pod", word(&pod["metadata"]["name"]), "--wait=false"]).map(drop)
}

static KILLED: Shared<Loss> = Shared::new(|| lose("killed", "Inconclusive", kill));

#[test]
fn of_a_killed_worker_at_most_two_seconds_are_missing_and_the_status_says_so() -> Result<()> {
    let Some(_) = stage()? else { return Ok(()) };
    let loss = KILLED.get()?;
    let status = loss.outcome.status();
    assert_eq!(status["workers"]["lost"], 1, "{status:#}");
    let total = &status["summary"]["total"];
    let (sent, seen) = (loss.outcome.total("sent")?, loss.log.len() as u64);
    assert!(seen >= sent && seen - sent <= RATE / 2 * 2, "nginx saw {seen}, sent is {sent}");
    assert_eq!(total["exact"], false, "{total:#}");
    assert!(total["sentAtLeast"].as_u64().is_some_and(|least| least <= seen), "{total:#}");
    assert!(total["sentAtMost"].as_u64().is_none_or(|most| most >= seen), "{total:#}");
    // The other worker went on to the end: 5 s of both and 10 s of one.
    assert!(seen > RATE * 9, "only {seen}");
    Ok(())
}

#[test]
fn a_killed_worker_makes_the_run_inconclusive() -> Result<()> {
    let Some(_) = stage()? else { return Ok(()) };
    let loss = KILLED.get()?;
    assert_eq!(loss.outcome.verdict(), "Inconclusive WorkerLost");
    assert!(loss.outcome.message().contains("1 of 2 workers lost"), "{}", loss.outcome.message());
    assert!(loss.outcome.message().contains("lower bound"), "{}", loss.outcome.message());
    assert_eq!(Outcome::condition(&loss.outcome.test, "Passed").as_deref(), Some("Unknown WorkerLost"));
    assert_eq!(loss.kstatus, "Failed");
    Ok(())
}

#[test]
fn ii_a_deleted_worker_pod_is_not_passed_over() -> Result<()> {
    let Some(_) = stage()? else { return Ok(()) };
    let loss = lose("deleted", "Inconclusive", delete)?;
    assert_eq!(loss.outcome.verdict(), "Inconclusive WorkerLost");
    assert!(loss.outcome.message().contains("1 of 2 workers"), "{}", loss.outcome.message());
    assert_eq!(loss.outcome.status()["workers"]["lost"], 1);
    // It was asked to end, so it handed in all that it had.
    assert_eq!(loss.outcome.total("sent")?, loss.log.len() as u64);
    Ok(())
}

#[test]
fn a_loss_fails_the_run_where_the_spec_says_so() -> Result<()> {
    let Some(_) = stage()? else { return Ok(()) };
    let loss = lose("fails", "Fail", kill)?;
    assert_eq!(loss.outcome.verdict(), "Failed WorkerLost", "{}", loss.outcome.message());
    assert_eq!(loss.kstatus, "Failed");
    Ok(())
}

#[test]
fn what_was_measured_is_judged_where_the_spec_says_so() -> Result<()> {
    let Some(_) = stage()? else { return Ok(()) };
    let loss = lose("goes-on", "Continue", kill)?;
    assert!(
        loss.outcome.verdict().starts_with("Passed "),
        "{}: {}",
        loss.outcome.verdict(),
        loss.outcome.message()
    );
    assert!(loss.outcome.message().contains("1 of 2 workers lost"), "{}", loss.outcome.message());
    assert_eq!(loss.kstatus, "Current");
    Ok(())
}

#[test]
fn deleting_the_test_stops_the_traffic_within_two_seconds() -> Result<()> {
    let Some(stage) = stage()? else { return Ok(()) };
    let (namespace, web) = under_way(stage, "gone", "Inconclusive")?;
    let deleted = now_ms()?;
    namespace.kubectl(&["delete", "loadtest", "gone", "--wait=false"])?;
    process::wait_until("the end of run and Job", LIMIT, || {
        Ok(namespace.kubectl(&["get", "loadtestruns,jobs", "--output=name"])?.is_empty())
    })
    .with_context(|| namespace.story())?;
    let log = web.stop()?;
    let last = log.iter().map(|line| line.at_ms).max().context("no request")?;
    assert!(
        last <= deleted + 2_000,
        "the last request came {} ms after the test was deleted",
        last - deleted
    );
    assert!((log.len() as u64) < RATE * 14, "the run went on to its end");
    Ok(())
}

fn now_ms() -> Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}
