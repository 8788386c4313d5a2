//! What becomes of runs when operators are killed and leaders change: every run ends with a true verdict, and
//! what it sent equals what the target received. One after the other: each test has the control plane to itself.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod plane;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;
use plane::operator::Operator;
use plane::{HOME, PATIENCE, Space, Stage, able, block_on, spec, target, until};
use plimsoll_api::v1alpha1::Verdict;
use plimsoll_testbed::Testbed;
use serde_json::json;

/// Runs the test with the control plane to itself.
fn alone(namespace: &str, test: impl AsyncFnOnce(&Stage, Space)) {
    static STAGE: OnceLock<Option<Arc<Stage>>> = OnceLock::new();
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let started = STAGE.get_or_init(|| able("restarts of the operator").then(|| Stage::new("restarts")));
    let Some(stage) = started.as_ref() else { return };
    block_on(async {
        // The lease of the test before may not have been given back.
        let leases: Api<Lease> = Api::namespaced(stage.client.clone(), HOME);
        let _ = leases.delete("plimsoll-operator", &kube::api::DeleteParams::default()).await;
        let space = stage.namespace(namespace).await;
        test(stage, space).await;
    });
}

#[test]
fn killed_while_workers_get_ready() {
    alone("starting", async |stage, space| {
        let mut operator = stage.operator("a", &[]);
        let target = target();
        space.apply("web", spec(&target.url(), 4, 4, 3)).await;
        space.phase("web", "Starting").await;
        operator.kill();
        tokio::time::sleep(Duration::from_millis(500)).await;
        operator.resume();
        space.assert_true(&target).await;
    });
}

#[test]
fn killed_while_the_load_runs() {
    alone("running", async |stage, space| {
        let mut operator = stage.operator("a", &[]);
        let target = target();
        space.apply("web", spec(&target.url(), 4, 8, 2)).await;
        until("traffic", PATIENCE, async || (target.stats().received() > 200).then_some(())).await;
        operator.kill();
        let before = target.stats().received();
        until("traffic without an operator", PATIENCE, async || {
            (target.stats().received() > before + 100).then_some(())
        })
        .await;
        operator.resume();
        space.assert_true(&target).await;
    });
}

#[test]
fn killed_in_mid_run_and_back_after_the_load_is_over() {
    alone("collecting", async |stage, space| {
        let mut operator = stage.operator("a", &[]);
        let target = target();
        space.apply("web", spec(&target.url(), 4, 4, 2)).await;
        until("traffic", PATIENCE, async || (target.stats().received() > 50).then_some(())).await;
        operator.kill();
        let mut last = 0;
        until("the end of the load", PATIENCE, async || {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now = target.stats().received();
            (std::mem::replace(&mut last, now) == now).then_some(())
        })
        .await;
        operator.resume();
        space.assert_true(&target).await;
    });
}

#[test]
fn killed_again_and_again() {
    alone("again", async |stage, space| {
        let mut operator = stage.operator("a", &[]);
        let target = target();
        space.apply("web", spec(&target.url(), 4, 6, 2)).await;
        // Every 400 ms of the run's life, whatever it does then: accepting, starting, running, storing, releasing.
        let judged = async || space.test("web").await?.status?.verdict;
        while judged().await.is_none() {
            tokio::time::sleep(Duration::from_millis(400)).await;
            operator.kill();
            operator.resume();
            tokio::time::sleep(Duration::from_millis(900)).await;
        }
        space.assert_true(&target).await;
    });
}

#[test]
fn an_abort_survives_a_restart() {
    alone("aborted", async |stage, space| {
        let mut operator = stage.operator("a", &[]);
        let routes = vec![plimsoll_testbed::Route {
            latency: plimsoll_testbed::Latency::Constant(900.0),
            ..plimsoll_testbed::Route::under("/")
        }];
        let target =
            Testbed::start(plimsoll_testbed::Config { routes, ..plimsoll_testbed::Config::default() })
                .unwrap();
        let mut spec = spec(&target.url(), 2, 60, 1);
        spec["slos"] =
            json!([{"name": "p50", "latency": {"stat": "p50", "atMost": "10ms"}, "severity": "Critical"}]);
        space.apply("web", spec).await;
        space.phase("web", "Collecting").await;
        operator.kill();
        operator.resume();
        let status = space.finished("web").await;
        assert_eq!(status.reason.as_deref(), Some("SLOAborted"), "{status:#?}");
        assert_eq!(status.verdict, Some(Verdict::Failed));
    });
}

/// Two operators behind one address of the Service, the first of them leading.
async fn pair(stage: &Stage) -> (Operator, Operator) {
    // The Service does not exist yet when the operators are told its address.
    let [port] = xtask::process::free_ports().unwrap();
    let service = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let first = stage.operator("first", &["--advertise", &service.to_string()]);
    until("a leader", PATIENCE, async || leader(stage).await.filter(|name| name == "first")).await;
    let second = stage.operator("second", &["--advertise", &service.to_string()]);
    plane::balancer::balance(service, vec![first.sessions, second.sessions]).await;
    (first, second)
}

#[test]
fn the_leader_of_two_is_killed_and_the_other_takes_over() {
    alone("leaders", async |stage, space| {
        let (mut first, _second) = pair(stage).await;
        let target = target();
        space.apply("web", spec(&target.url(), 4, 20, 2)).await;
        until("traffic", PATIENCE, async || (target.stats().received() > 200).then_some(())).await;
        let killed = std::time::Instant::now();
        first.kill();
        until("the other leader", PATIENCE, async || leader(stage).await.filter(|name| name == "second"))
            .await;
        assert!(killed.elapsed() < Duration::from_secs(12), "{:?}", killed.elapsed());
        space.assert_true(&target).await;
    });
}

#[test]
fn a_leader_that_ends_gives_its_lease_back() {
    alone("handover", async |stage, space| {
        let (mut first, _second) = pair(stage).await;
        let target = target();
        space.apply("web", spec(&target.url(), 4, 8, 2)).await;
        until("traffic", PATIENCE, async || (target.stats().received() > 200).then_some(())).await;
        first.stop();
        let stopped = std::time::Instant::now();
        until("the other leader", PATIENCE, async || leader(stage).await.filter(|name| name == "second"))
            .await;
        assert!(stopped.elapsed() < Duration::from_secs(6), "{:?}", stopped.elapsed());
        space.assert_true(&target).await;
    });
}

#[test]
fn uninstalling_stops_what_runs_and_leaves_no_finalizer() {
    alone("uninstalled", async |stage, space| {
        let operator = stage.operator("a", &[]);
        let target = target();
        space.apply("web", spec(&target.url(), 2, 120, 1)).await;
        until("traffic", PATIENCE, async || (target.stats().received() > 50).then_some(())).await;
        let mut uninstall = std::process::Command::new(&stage.programs["plimsoll-operator"]);
        uninstall.env("KUBECONFIG", &stage.kubeconfig).arg("--uninstall");
        let ended = tokio::task::spawn_blocking(move || xtask::process::run(&mut uninstall));
        ended.await.unwrap().unwrap();
        let run = space.newest("web").await;
        assert!(run.metadata.finalizers.unwrap_or_default().is_empty());
        assert_eq!(run.status.unwrap().reason.as_deref(), Some("Cancelled"));
        drop(operator);
    });
}

/// Who holds the lease.
async fn leader(stage: &Stage) -> Option<String> {
    let leases: Api<Lease> = Api::namespaced(stage.client.clone(), HOME);
    leases.get_opt("plimsoll-operator").await.ok()??.spec?.holder_identity
}
