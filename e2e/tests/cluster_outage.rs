//! The API server is gone for 20 s in mid-run: the load goes on, and afterwards every run has a true verdict.

use std::time::Duration;

use anyhow::{Context, Result};
use e2e::namespace::load_test;
use e2e::server::{AT_ONCE, Web};
use e2e::{Namespace, Outcome, Shared, stage};
use serde_json::{Value, json};
use xtask::nginx::Line;
use xtask::process;

/// For anything that should take some seconds, with an outage of 20 s in it.
const LIMIT: Duration = Duration::from_secs(150);

/// How long the API server is away, in seconds.
const AWAY: usize = 20;

/// Requests a second of each run.
const RATE: usize = 20;

/// A run that ends while the API server is away, and one that goes on over it.
struct Outage {
    short: (Outcome, Vec<Line>),
    long: (Outcome, Vec<Line>),
}

static OUTAGE: Shared<Outage> = Shared::new(outage);

fn manifest(name: &str, url: &str, seconds: usize) -> Value {
    load_test(
        name,
        &json!({
            "target": {"url": url},
            "profile": {"duration": format!("{seconds}s"), "arrivals": {"rate": format!("{RATE}/s")}},
            "slos": [{"name": "p95", "latency": {"stat": "p95", "atMost": "2s"}}],
            "validity": {"maxLateness": "1s", "maxStartSkew": "5s"},
            "workers": {"count": 2},
        }),
    )
}

fn outage() -> Result<Outage> {
    let stage = stage()?.context("no cluster")?;
    let namespace = Namespace::make(stage, "outage")?;
    let (short, long) = (Web::start(stage, "short", AT_ONCE)?, Web::start(stage, "long", AT_ONCE)?);
    namespace.apply(&manifest("short", &short.url(), 15))?;
    namespace.apply(&manifest("long", &long.url(), 40))?;
    let seen = |web: &Web| Ok::<_, anyhow::Error>(web.nginx.access_log()?.len());
    process::wait_until("three seconds of both", LIMIT, || {
        Ok(seen(&short)? >= 3 * RATE && seen(&long)? >= 3 * RATE)
    })
    .with_context(|| namespace.story())?;

    let gone = stage.cluster.stop_api()?;
    let asked = stage.kubectl(&["get", "--raw=/readyz", "--request-timeout=5s"]);
    anyhow::ensure!(asked.is_err(), "the API server still answers");
    let then = seen(&long)?;
    // The traffic is the clock: it has to go on.
    process::wait_until("20 s of traffic without an API server", LIMIT, || {
        Ok(seen(&long)? >= then + AWAY * RATE)
    })?;
    let ended = seen(&short)?;
    gone.back()?;
    anyhow::ensure!(ended == 15 * RATE, "the short run had sent {ended} when the API server came back");

    let short = (namespace.finished("short", LIMIT)?, short.stop()?);
    let long = (namespace.finished("long", LIMIT)?, long.stop()?);
    Ok(Outage { short, long })
}

#[test]
fn a_run_that_ends_while_the_api_server_is_away_has_its_verdict_afterwards() -> Result<()> {
    let Some(_) = stage()? else { return Ok(()) };
    let (outcome, log) = &OUTAGE.get()?.short;
    assert_eq!(outcome.verdict(), "Passed SLOsMet", "{}", outcome.message());
    assert_eq!((outcome.total("sent")?, log.len()), (15 * RATE as u64, 15 * RATE));
    assert_eq!(outcome.status()["workers"], json!({"desired": 2, "ready": 2, "lost": 0}));
    Ok(())
}

#[test]
fn a_run_that_goes_on_while_the_api_server_is_away_loses_nothing() -> Result<()> {
    let Some(_) = stage()? else { return Ok(()) };
    let (outcome, log) = &OUTAGE.get()?.long;
    assert_eq!(outcome.verdict(), "Passed SLOsMet", "{}", outcome.message());
    assert_eq!((outcome.total("sent")?, log.len()), (40 * RATE as u64, 40 * RATE));
    assert_eq!(outcome.status()["workers"], json!({"desired": 2, "ready": 2, "lost": 0}));
    Ok(())
}
