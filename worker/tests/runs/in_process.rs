//! The same shares through both doors.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use plimsoll_measure::{Metric, MetricKind, Window, WindowId};
use plimsoll_plan::Plan;
use plimsoll_scenario::{Action, Assign, Data, DataFormat, OnFailure, Pick, StepAction, VarSource};
use plimsoll_session::{
    Door, Endpoint, FailureKind, HelloInfo, LocalRun, SessionError, Stop, dial, local, plan_hash,
};
use plimsoll_worker::{ExecuteError, Shelf, execute, materials};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::rig::{NAME, Operator, directory, get, key, plan, target};

fn token(_: Shelf, _: &str, _: &str) -> Result<Vec<u8>, String> {
    Ok(b"secret".to_vec())
}

/// Executes the share of each door.
fn spawn<D: Door + 'static>(plan: &Arc<Plan>, doors: Vec<D>) -> JoinSet<Result<(), ExecuteError>> {
    let mut workers = JoinSet::new();
    for (index, mut door) in (0..).zip(doors) {
        let share = Arc::clone(plan).share(index).unwrap();
        let materials = materials(plan, &token).unwrap();
        let runtime = Handle::current();
        // The engine's futures stay on their thread.
        workers.spawn_blocking(move || runtime.block_on(execute(share, materials, Some(1), &mut door)));
    }
    workers
}

async fn until_done(run: &mut LocalRun) {
    while !run.observe().gather.all_done() {
        run.changed().await;
    }
}

#[tokio::test]
async fn two_workers_over_grpc_send_what_the_target_counts() {
    let target = target();
    let plan = Arc::new(plan(target.addr(), 200, 3, 2));
    let operator = Operator::open(&plan).await;
    let home = directory();
    let mut doors = Vec::new();
    for index in 0..2 {
        let token_file = home.join(format!("token-{index}"));
        std::fs::write(&token_file, format!("{index}/uid-{index}")).unwrap();
        let endpoint = Endpoint {
            address: operator.address.to_string(),
            ca_pem: operator.pki.ca_pem.clone().into(),
            server_name: NAME.to_owned(),
            token_file,
            wall: SystemTime::now,
        };
        let plan_hash = plan_hash(operator.plan_text.as_bytes());
        let hello = HelloInfo { run: key(), index, pod_uid: format!("uid-{index}"), plan_hash };
        doors.push(dial(endpoint, hello).await.unwrap());
    }
    let mut workers = spawn(&plan, doors);
    operator.start().await;
    operator.until(|progress| progress.gather.merged().total().sent > 0).await;
    assert!(target.stats().received() < 600, "the first numbers come before the end");
    let progress = operator.until(|progress| progress.gather.all_done()).await;
    assert!(workers.try_join_next().is_none(), "workers wait for the outcome to be stored");
    let merged = progress.gather.merged();
    assert_eq!((merged.total().sent, target.stats().received()), (600, 600));
    assert_eq!(merged.total().complete, 600);
    assert_eq!(merged.series.iter().map(|second| second.asked).collect::<Vec<_>>(), [200, 200, 200]);
    let skew = progress.gather.start_skew().unwrap();
    assert!(skew < 50_000_000, "start skew {skew} ns, under 10 ms are meant");
    operator.hub.ack(&key());
    while let Some(worker) = workers.join_next().await {
        worker.unwrap().unwrap();
    }
}

#[tokio::test]
async fn two_workers_in_memory_send_what_the_target_counts() {
    let target = target();
    let plan = Arc::new(plan(target.addr(), 200, 2, 2));
    let (doors, mut run) = local(&plan);
    let mut workers = spawn(&plan, doors);
    until_done(&mut run).await;
    let progress = run.observe();
    assert_eq!((progress.gather.merged().total().sent, target.stats().received()), (400, 400));
    assert!(progress.start.is_some() && progress.gather.workers().iter().all(|worker| worker.skew.is_some()));
    run.ack();
    while let Some(worker) = workers.join_next().await {
        worker.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_stop_ends_the_load_early_and_keeps_what_was_measured() {
    let target = target();
    let plan = Arc::new(plan(target.addr(), 200, 60, 1));
    let (doors, mut run) = local(&plan);
    let mut workers = spawn(&plan, doors);
    while run.observe().gather.merged().total().sent == 0 {
        run.changed().await;
    }
    let begun = Instant::now();
    run.stop(Stop { reason: "Ctrl-C".to_owned(), at_once: false });
    until_done(&mut run).await;
    let elapsed = begun.elapsed();
    assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");
    let progress = run.observe();
    let last = progress.gather.worker(0).unwrap().last.clone().unwrap();
    assert_eq!(last.stopped.unwrap().reason, "Ctrl-C");
    let before = progress.start.unwrap().elapsed().unwrap().as_nanos() as u64;
    assert!((1..before).contains(&last.load.unwrap()), "{:?} of {before} ns", last.load);
    assert_eq!(progress.gather.measured(true), last.load.unwrap());
    assert_eq!(progress.gather.merged().total().sent, target.stats().received());
    drop(run);
    workers.join_next().await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn iterations_that_are_done_end_the_load_to_the_nanosecond() {
    let target = target();
    // The last of 21 arrivals is due after 100 ms.
    let mut plan = plan(target.addr(), 200, 60, 1);
    plan.loads[0].iterations = Some(21);
    let plan = Arc::new(plan);
    let (doors, mut run) = local(&plan);
    let mut workers = spawn(&plan, doors);
    until_done(&mut run).await;
    let progress = run.observe();
    let before = progress.start.unwrap().elapsed().unwrap().as_nanos() as u64;
    let load = progress.gather.worker(0).unwrap().last.as_ref().unwrap().load.unwrap();
    assert!((100_000_000..before).contains(&load), "{load} of {before} ns");
    assert_eq!(progress.gather.measured(false), load);
    drop(run);
    workers.join_next().await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_stop_before_the_start_makes_no_load() {
    let target = target();
    let plan = Arc::new(plan(target.addr(), 200, 60, 2));
    let (mut doors, run) = local(&plan);
    let second = doors.pop().unwrap();
    let mut workers = spawn(&plan, doors);
    run.stop(Stop { reason: "Ctrl-C".to_owned(), at_once: false });
    let ended = workers.join_next().await.unwrap().unwrap();
    assert!(matches!(ended, Err(ExecuteError::NotStarted(SessionError::Stopped(_)))), "{ended:?}");
    assert_eq!(target.stats().received(), 0);
    drop(second);
}

/// With a window for hooks, and names for their requests.
fn with_hooks(mut plan: Plan) -> Plan {
    plan.layout.requests.extend(["up", "down"].map(str::to_owned));
    plan.layout.metrics.push(Metric { name: "capture key".into(), kind: MetricKind::Fault, request: None });
    plan.layout.windows.push(Window { name: "hooks".into(), judged: false, spans: vec![] });
    plan.layout.hooks = Some(WindowId(1));
    let mut up = get(1, "/status/200", "up");
    let key =
        Assign { name: "key".into(), expr: "string(status)".into(), at: "spec.setup[0]".into(), fault: 0 };
    (up.captures, up.on_failure) = (vec![key], OnFailure::EndUser);
    plan.script.setup = vec![up];
    plan.script.teardown = vec![get(2, "/status/204", "${setup.key}")];
    let Action::Steps(steps) = &mut plan.script.scenarios[0].action else { panic!() };
    // A value that no worker has of its own.
    *steps = vec![get(0, "/delay/${int(setup.key) - 199}", "x")];
    plan
}

#[tokio::test]
async fn what_the_first_worker_sets_up_reaches_all_and_is_torn_down_once() {
    let target = target();
    let plan = Arc::new(with_hooks(plan(target.addr(), 100, 1, 2)));
    let (doors, mut run) = local(&plan);
    let mut workers = spawn(&plan, doors);
    until_done(&mut run).await;
    let total = run.observe().gather.merged().total();
    let paths = target.stats().paths;
    let received = ["/delay/1", "/status/200", "/status/204"].map(|path| paths[path].received);
    assert_eq!((received, total.sent, total.failed), ([100, 1, 1], 102, 0));
    let load = run.observe().gather.worker(0).unwrap().last.as_ref().unwrap().load.unwrap();
    assert!(load <= plan.duration, "teardown is no load");
    run.ack();
    while let Some(worker) = workers.join_next().await {
        worker.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_setup_that_fails_is_reported_and_makes_no_load() {
    let target = target();
    let mut plan = with_hooks(plan(target.addr(), 100, 1, 1));
    let StepAction::Http(up) = &mut plan.script.setup[0].action else { panic!() };
    up.path = "/status/401".into();
    let plan = Arc::new(plan);
    let (doors, run) = local(&plan);
    let ended = spawn(&plan, doors).join_next().await.unwrap().unwrap();
    assert!(matches!(ended, Err(ExecuteError::Setup(_))), "{ended:?}");
    let progress = run.observe();
    let (index, cause) = progress.failure().unwrap();
    assert_eq!((index, cause.kind), (0, FailureKind::SetupFailed));
    assert!(cause.message.contains("up: status 401"), "{}", cause.message);
    assert_eq!(target.stats().received(), 1);
}

#[tokio::test]
async fn tables_come_from_their_config_map() {
    let target = target();
    let mut plan = plan(target.addr(), 100, 1, 1);
    let from = VarSource::ConfigMap { name: "data".into(), key: "rows.csv".into() };
    let format = DataFormat::Csv;
    plan.script.data = vec![Data { name: "rows".into(), from, format, pick: Pick::Sequential, once: false }];
    let Action::Steps(steps) = &mut plan.script.scenarios[0].action else { panic!() };
    *steps = vec![get(0, "/status/${data.rows.status}", "x")];
    let read = |shelf: Shelf, name: &str, key: &str| match (shelf, name, key) {
        (Shelf::ConfigMap, "data", "rows.csv") => Ok(b"status\n200\n204\n".to_vec()),
        other => token(other.0, other.1, other.2),
    };
    let materials = materials(&plan, &read).unwrap();
    let plan = Arc::new(plan);
    let (mut doors, mut run) = local(&plan);
    let (mut door, runtime) = (doors.pop().unwrap(), Handle::current());
    let share = Arc::clone(&plan).share(0).unwrap();
    let worker =
        tokio::task::spawn_blocking(move || runtime.block_on(execute(share, materials, Some(1), &mut door)));
    until_done(&mut run).await;
    let paths = target.stats().paths;
    assert_eq!(["/status/200", "/status/204"].map(|path| paths[path].received), [50, 50]);
    run.ack();
    worker.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_dead_target_is_reported_within_two_seconds() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let plan = Arc::new(plan(port, 10, 60, 1));
    let (doors, run) = local(&plan);
    let begun = Instant::now();
    let ended = spawn(&plan, doors).join_next().await.unwrap().unwrap();
    assert!(matches!(ended, Err(ExecuteError::Unreachable(_))), "{ended:?}");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let progress = run.observe();
    let (index, cause) = progress.failure().unwrap();
    assert_eq!((index, cause.kind), (0, FailureKind::TargetUnreachable));
    assert!(cause.message.contains(&port.to_string()), "{}", cause.message);
}

#[test]
fn a_missing_value_is_named_and_no_value_ever_is() {
    let plan = plan(([127, 0, 0, 1], 80).into(), 1, 1, 1);
    let missing = |_: Shelf, _: &str, _: &str| Err("no such file".to_owned());
    let error = materials(&plan, &missing).err().unwrap().to_string();
    assert_eq!(error, "vars.token needs key token of Secret shop: no such file");
    let binary = |_: Shelf, _: &str, _: &str| Ok(vec![0xff, 0xfe]);
    let error = materials(&plan, &binary).err().unwrap().to_string();
    assert!(error.contains("not UTF-8"), "{error}");
    let shown = format!("{:?}", materials(&plan, &token).unwrap());
    assert!(!shown.contains("secret"), "{shown}");
}
