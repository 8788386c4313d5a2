//! `kill -9` of the operator while it has a run in every phase, and of the leader of two: every run ends with a true verdict,
//! and sends what it would have sent.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::namespace::load_test;
use e2e::outcome::word;
use e2e::server::{Web, count};
use e2e::{Namespace, Outcome, Shared, operator, stage};
use serde_json::{Value, json};
use xtask::nginx::Line;
use xtask::{chart, process};

/// For anything that should take some seconds, after a restart too.
const LIMIT: Duration = Duration::from_secs(120);

/// A label that the only node gets when a run may go on.
const NODE_LABEL: &str = "plimsoll-e2e-gate";

/// Seconds of the run that is in progress at the kill: as long as it takes to bring the others into their phases, and some.
const RUNNING: u32 = 22;

/// What became of the runs that the killed operator had, and what nginx saw of them.
struct Killed {
    finished: (Outcome, Outcome),
    running: Outcome,
    queued: Value,
    starting: Outcome,
    collecting: Outcome,
    log: Vec<Line>,
}

static KILLED: Shared<Killed> = Shared::new(killed);

fn open(name: &str, url: &str, seconds: u32) -> Value {
    load_test(
        name,
        &json!({
            "target": {"url": format!("{url}/{name}")},
            "profile": {"duration": format!("{seconds}s"), "arrivals": {"rate": "20/s"}},
            "slos": [{"name": "p95", "latency": {"stat": "p95", "atMost": "2s"}}],
            "validity": {"maxLateness": "1s", "maxStartSkew": "5s"},
            "workers": {"count": 2},
        }),
    )
}

fn killed() -> Result<Killed> {
    let stage = stage()?.context("no cluster")?;
    let namespace = Namespace::make(stage, "faults")?;
    let locations = "location / { return 200 'ok\\n'; } location /collecting { proxy_pass http://{testbed}/delay/12000; }";
    let web = Web::start(stage, "faults", locations)?;
    let url = web.url();

    namespace.apply(&open("finished", &url, 3))?;
    let finished = namespace.finished("finished", LIMIT)?;
    // No node has the label yet.
    let mut starting = open("starting", &url, 3);
    starting["spec"]["workers"]["template"] = json!({"spec": {"nodeSelector": {NODE_LABEL: "open"}}});
    namespace.apply(&starting)?;
    namespace.phase("starting", "Starting", LIMIT)?;
    namespace.apply(&open("running", &url, RUNNING))?;
    // One user whose only request is under way long after the end of the load.
    let mut collecting = open("collecting", &url, 2);
    collecting["spec"]["profile"] = json!({"duration": "2s", "users": 1, "gracefulStop": "30s"});
    collecting["spec"]["slos"] = json!([{"name": "errors", "errorRate": {"atMost": "0%"}}]);
    collecting["spec"]["validity"] = json!({"minSamples": 1, "maxStartSkew": "5s"});
    collecting["spec"]["workers"]["count"] = json!(1);
    namespace.apply(&collecting)?;
    namespace.phase("running", "Running", LIMIT)?;
    namespace.create(&json!({
        "apiVersion": "plimsoll.dev/v1alpha1", "kind": "LoadTestRun", "metadata": {"name": "queued"},
        "spec": {"testRef": {"name": "running"}, "overrides": {"profile": {"duration": "4s"}}},
    }))?;
    namespace.wait("loadtestrun/queued", "jsonpath={.status.phase}=Pending", LIMIT)?;
    namespace.phase("collecting", "Collecting", LIMIT)?;
    for (test, phase) in [("running", "Running"), ("starting", "Starting")] {
        namespace
            .phase(test, phase, Duration::from_secs(1))
            .with_context(|| format!("{test} went on before the kill"))?;
    }

    let replicas = operator::replicas(stage)?;
    ensure!(replicas.len() == 2, "{} replicas", replicas.len());
    replicas.iter().try_for_each(|replica| operator::kill(stage, replica))?;
    process::wait_until("two new processes in the operator's pods", LIMIT, || {
        let now = operator::replicas(stage)?;
        let is_new =
            |replica: &operator::Replica| replicas.iter().all(|old| old.container != replica.container);
        Ok(now.len() == 2 && now.iter().all(is_new))
    })
    .with_context(|| chart::story(&stage.cluster))?;
    stage.kubectl(&["label", "nodes", "--all", "--overwrite", &format!("{NODE_LABEL}=open")])?;

    let outcomes = (|| {
        let starting = namespace.finished("starting", LIMIT)?;
        let collecting = namespace.finished("collecting", LIMIT)?;
        let running = namespace.finished("running", LIMIT)?;
        namespace.wait("loadtestrun/queued", "condition=Finished", LIMIT)?;
        Ok::<_, anyhow::Error>((starting, collecting, running))
    })();
    stage.kubectl(&["label", "nodes", "--all", &format!("{NODE_LABEL}-")])?;
    let (starting, collecting, running) = outcomes?;
    Ok(Killed {
        finished: (finished, Outcome::read(&namespace, "finished")?),
        running,
        queued: namespace.json(&["get", "loadtestrun", "queued"])?,
        starting,
        collecting,
        log: web.stop()?,
    })
}

fn sent(run: &Value) -> u64 {
    run["status"]["summary"]["total"]["sent"].as_u64().unwrap_or_default()
}

fn lines(log: &[Line], path: &str) -> u64 {
    count(log, |line| line.path == path)
}

#[test]
fn killed_with_a_run_in_progress_all_of_it_is_counted() -> Result<()> {
    let Some(_) = stage()? else { return Ok(()) };
    let killed = KILLED.get()?;
    assert_eq!(killed.running.verdict(), "Passed SLOsMet", "{}", killed.running.message());
    assert_eq!(killed.running.total("sent")?, u64::from(RUNNING) * 20);
    assert_eq!(killed.running.status()["summary"]["total"]["exact"], true);
    assert_eq!(lines(&killed.log, "/running"), sent(&killed.running.run) + sent(&killed.queued));
    assert_eq!(killed.running.status()["workers"], json!({"desired": 2, "ready": 2, "lost": 0}));
    Ok(())
}

#[test]
fn killed_with_a_run_in_the_queue_it_has_its_turn() -> Result<()> {
    let Some(_) = stage()? else { return Ok(()) };
    let run = &KILLED.get()?.queued;
    assert_eq!((word(&run["status"]["verdict"]), sent(run)), ("Passed", 4 * 20), "{:#}", run["status"]);
    Ok(())
}

#[test]
fn iii_killed_while_workers_are_made_the_run_starts_afterwards() -> Result<()> {
    let Some(_) = stage()? else { return Ok(()) };
    let killed = KILLED.get()?;
    assert_eq!(killed.starting.verdict(), "Passed SLOsMet", "{}", killed.starting.message());
    assert_eq!(killed.starting.total("sent")?, 3 * 20);
    assert_eq!(lines(&killed.log, "/starting"), 3 * 20);
    Ok(())
}

#[test]
fn iii_killed_while_results_come_in_none_is_missing() -> Result<()> {
    let Some(_) = stage()? else { return Ok(()) };
    let killed = KILLED.get()?;
    assert_eq!(killed.collecting.verdict(), "Passed SLOsMet", "{}", killed.collecting.message());
    assert_eq!((killed.collecting.total("sent")?, lines(&killed.log, "/collecting")), (1, 1));
    Ok(())
}

#[test]
fn killed_after_the_end_the_verdict_stays_and_nothing_runs_again() -> Result<()> {
    let Some(_) = stage()? else { return Ok(()) };
    let killed = KILLED.get()?;
    let (before, after) = &killed.finished;
    assert_eq!(before.status(), after.status());
    assert_eq!(lines(&killed.log, "/finished"), 3 * 20);
    Ok(())
}

#[test]
fn when_the_leader_of_two_dies_the_other_goes_on_with_the_run() -> Result<()> {
    let Some(stage) = stage()? else { return Ok(()) };
    // One after the other: both end the operator that all runs have in common.
    KILLED.get()?;
    process::wait_until("both replicas", LIMIT, || {
        Ok(operator::replicas(stage)?.len() == 2 && operator::leader(stage).is_ok())
    })
    .with_context(|| chart::story(&stage.cluster))?;
    let namespace = Namespace::make(stage, "leader")?;
    let web = Web::start(stage, "leader", "location / { return 200 'ok\\n'; }")?;
    namespace.apply(&open("led", &web.url(), 15))?;
    namespace.phase("led", "Running", LIMIT)?;
    process::wait_until("three seconds of traffic", LIMIT, || Ok(web.nginx.access_log()?.len() >= 3 * 20))?;

    let leader = operator::leader(stage)?;
    operator::kill(stage, &leader)?;
    // So that it does not come back under its name, and with its Lease.
    stage.kubectl(&[
        "delete",
        "pod",
        &leader.name,
        "--namespace",
        chart::NAMESPACE,
        "--force",
        "--grace-period=0",
    ])?;

    let outcome = namespace.finished("led", LIMIT)?;
    assert_ne!(operator::leader(stage)?.name, leader.name);
    assert_eq!(outcome.verdict(), "Passed SLOsMet", "{}", outcome.message());
    assert_eq!((outcome.total("sent")?, web.stop()?.len() as u64), (15 * 20, 15 * 20));
    Ok(())
}
