//! Plans for tests and their execution.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use plimsoll_engine::{Engine, Materials, Running, prepare};
use plimsoll_measure::{Cell, Counts, ErrorClass, Layout, RATE_SECONDS, Snapshot, Window, WindowId};
use plimsoll_plan::{
    Connections, ConnectionsPer, Distribution, HttpVersion, Load, LoadGroup, PLAN_VERSION, Plan, Preflight,
    Ramp, RunId, Share, Target,
};
use plimsoll_scenario::{Action, Body, HttpStep, Scenario, Script, Step, StepAction, Wait};
use plimsoll_testbed::{Config, Route, Testbed};

pub(crate) const SECOND: u64 = 1_000_000_000;
pub(crate) const MILLI: u64 = 1_000_000;

static LOCK: RwLock<()> = RwLock::new(());

/// For a test that compares times: nothing else runs, the machine has few cores.
pub(crate) fn alone() -> RwLockWriteGuard<'static, ()> {
    LOCK.write().unwrap_or_else(PoisonError::into_inner)
}

/// For a test that counts: others that count may run.
pub(crate) fn among_others() -> RwLockReadGuard<'static, ()> {
    LOCK.read().unwrap_or_else(PoisonError::into_inner)
}

/// A server with these routes, one thread, nothing else.
pub(crate) fn server(routes: Vec<Route>) -> Testbed {
    start(Config { routes, ..quiet() })
}

pub(crate) fn start(config: Config) -> Testbed {
    Testbed::start(config).unwrap()
}

/// Everything but the routes: unknown paths answer 404.
pub(crate) fn quiet() -> Config {
    let fallback = Route { status: Some(404), ..Route::default() };
    Config { threads: 1, fallback, ..Config::default() }
}

pub(crate) fn get(path: &str) -> HttpStep {
    HttpStep {
        request: 0,
        at: format!("test {path}"),
        method: "GET".into(),
        path: path.into(),
        query: vec![],
        headers: vec![],
        body: Body::Empty,
        expect: vec![(200, 399)],
        that: None,
        timeout: 10 * SECOND,
        redirects: 10,
    }
}

pub(crate) fn http(step: HttpStep) -> Step {
    Step::new(step.at.clone(), StepAction::Http(Box::new(step)))
}

/// A step that pauses for so many milliseconds.
pub(crate) fn pause(millis: u64) -> Step {
    Step::new("test pause", StepAction::Pause(length(millis)))
}

/// Always so many milliseconds.
pub(crate) fn length(millis: u64) -> Wait {
    Wait::Uniform { min: millis * MILLI, max: millis * MILLI }
}

pub(crate) fn scenario(name: &str, action: Action) -> Scenario {
    Scenario {
        name: name.into(),
        weight: 1,
        wait: None,
        state: vec![],
        on_start: vec![],
        on_stop: vec![],
        action,
    }
}

/// Request names of a script, by their numbers.
fn names(script: &Script) -> Vec<String> {
    let text = serde_json::to_string(script).unwrap();
    let numbers = text.split("\"request\":").skip(1).map(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u16>().unwrap()
    });
    (0..=numbers.max().unwrap_or(0)).map(|number| format!("request {number}")).collect()
}

/// A plan of one scenario; tests change what they are about.
pub(crate) fn plan(address: SocketAddr, load: Load, duration: u64, steps: Vec<Step>) -> Plan {
    let per = match load {
        Load::Closed { .. } => ConnectionsPer::User,
        Load::Open { .. } => ConnectionsPer::Worker,
    };
    let script = Script { scenarios: vec![scenario("s", Action::Steps(steps))], ..Script::default() };
    let requests = names(&script);
    Plan {
        version: PLAN_VERSION,
        run: RunId::default(),
        seed: 7,
        workers: 1,
        target: Target {
            scheme: "http".into(),
            host: address.ip().to_string(),
            port: address.port(),
            base_path: String::new(),
            http: HttpVersion::Auto,
            tls: None,
            connections: Connections {
                per,
                max: None,
                max_age: None,
                max_requests: None,
                resolve_per_connection: false,
            },
            preflight: Preflight::Connect,
            headers: vec![],
        },
        vars: vec![],
        script,
        loads: vec![LoadGroup {
            load,
            start: 0,
            duration,
            graceful_ramp_down: 10 * SECOND,
            iterations: None,
            scenarios: vec![0],
        }],
        duration,
        graceful_stop: 10 * SECOND,
        layout: Layout {
            requests,
            windows: vec![Window { name: "main".into(), judged: true, spans: vec![(0, duration)] }],
            segments: vec![(duration, WindowId(0))],
            ..Layout::default()
        },
    }
}

pub(crate) fn users(count: u64, duration: u64) -> Load {
    Load::Closed { users: vec![Ramp { duration, from: count, to: count }] }
}

/// Arrivals per second.
pub(crate) fn rate(per_second: u64, duration: u64, max_in_flight: u64) -> Load {
    let rate = vec![Ramp { duration, from: per_second * RATE_SECONDS, to: per_second * RATE_SECONDS }];
    Load::Open { rate, distribution: Distribution::Uniform, max_in_flight }
}

/// A closed model of `count` users that together make `iterations` requests of one step.
pub(crate) fn a_few(address: SocketAddr, count: u64, iterations: u64, step: HttpStep) -> Plan {
    let mut plan = plan(address, users(count, 60 * SECOND), 60 * SECOND, vec![http(step)]);
    plan.loads[0].iterations = Some(iterations);
    plan
}

pub(crate) fn wait(millis: u64) -> Option<Wait> {
    Some(length(millis))
}

pub(crate) fn whole(plan: Plan) -> Share {
    Arc::new(plan).share(0).unwrap()
}

pub(crate) fn engine(plan: Plan, threads: usize) -> Engine {
    prepare(whole(plan), Materials::default(), Some(threads)).unwrap()
}

/// Runs a plan on two cores to its end.
pub(crate) fn run(plan: Plan) -> Snapshot {
    run_with(plan, Materials::default(), 2)
}

pub(crate) fn run_with(plan: Plan, materials: Materials, threads: usize) -> Snapshot {
    let engine = prepare(whole(plan), materials, Some(threads)).unwrap();
    during(engine, async |running| running.finished().await)
}

/// Launches, does something meanwhile, and returns everything that was measured; deltas are taken as a worker would.
pub(crate) fn during(engine: Engine, meanwhile: impl AsyncFnOnce(&mut Running)) -> Snapshot {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut running = engine.launch(Instant::now(), None).unwrap();
        let mut total = running.take().await;
        meanwhile(&mut running).await;
        total.merge(&running.take().await);
        tokio::time::timeout(Duration::from_secs(60), running.finished()).await.expect("the load must end");
        total.merge(&running.take().await);
        assert_eq!(running.fault(), None);
        assert!(running.take().await.cells.is_empty(), "nothing may be measured after the end");
        total
    })
}

/// The cell of a request in the only window.
pub(crate) fn cell(snapshot: &Snapshot, request: u16) -> &Cell {
    snapshot.cells.iter().find(|cell| cell.request.0 == request).expect("nothing was measured")
}

/// Counts over all requests, after a check that they agree with each other.
pub(crate) fn totals(snapshot: &Snapshot) -> Counts {
    let total = snapshot.total();
    assert_eq!(total.sent + total.not_sent, total.complete + total.incomplete, "{total:?}");
    assert_eq!(total.classes.values().sum::<u64>(), total.failed, "{total:?}");
    assert_eq!(total.statuses.values().sum::<u64>(), total.complete, "{total:?}");
    let asked: u64 = snapshot.series.iter().map(|second| second.asked).sum();
    assert_eq!(asked, total.complete + total.incomplete, "every request is asked for once");
    total
}

pub(crate) fn of_class(counts: &Counts, class: ErrorClass) -> u64 {
    counts.classes.get(&class).copied().unwrap_or(0)
}
