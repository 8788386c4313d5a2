//! Plans of sessions and streams, their execution, and what they measured.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use plimsoll_engine::{Materials, Running, TraceEvent, prepare};
use plimsoll_measure::{
    Counts, ErrorClass, Layout, Metric, MetricId, MetricKind, MetricTotal, Snapshot, Window, WindowId,
};
use plimsoll_plan::{
    Connections, ConnectionsPer, HttpVersion, Load, LoadGroup, PLAN_VERSION, Plan, Preflight, Ramp, RunId,
    Target,
};
use plimsoll_scenario::{
    Action, Assign, Body, Check, Condition, HttpStep, Reading, Scenario, Script, SseStep, Step, StepAction,
    StreamMetrics, Wait, WebSocketAction, WebSocketStep,
};
use serde_json::{Value, json};

pub(crate) const SECOND: u64 = 1_000_000_000;
pub(crate) const MILLI: u64 = 1_000_000;

/// Indexes into the layout of [`plan`].
pub(crate) const FIRST: u16 = 0;
pub(crate) const MESSAGE: u16 = 1;
pub(crate) const PING: u16 = 2;
pub(crate) const SESSION: u16 = 3;
pub(crate) const SENT: u16 = 4;
pub(crate) const RECEIVED: u16 = 5;
pub(crate) const SKEWED: u16 = 6;
pub(crate) const FAULT: u16 = 7;
pub(crate) const CHECK: u16 = 8;

const METRICS: StreamMetrics = StreamMetrics {
    first_message: FIRST,
    message: MESSAGE,
    ping: PING,
    session: SESSION,
    sent: SENT,
    received: RECEIVED,
    skewed: SKEWED,
};

static LOCK: RwLock<()> = RwLock::new(());

/// For a test that compares times: nothing else runs, the machine has few cores.
pub(crate) fn alone() -> RwLockWriteGuard<'static, ()> {
    LOCK.write().unwrap_or_else(PoisonError::into_inner)
}

/// For a test that counts: others that count may run.
pub(crate) fn among_others() -> RwLockReadGuard<'static, ()> {
    LOCK.read().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn get(path: &str) -> HttpStep {
    HttpStep {
        request: 0,
        at: "spec.scenarios[0].steps[0]".into(),
        method: "GET".into(),
        path: path.into(),
        query: vec![],
        headers: vec![],
        body: Body::Empty,
        expect: vec![(200, 299)],
        that: None,
        timeout: 10 * SECOND,
        redirects: 0,
    }
}

/// A session of request 0 with this script.
pub(crate) fn socket(path: &str, script: Vec<WebSocketAction>) -> WebSocketStep {
    let handshake = HttpStep { expect: vec![(101, 101)], ..get(path) };
    WebSocketStep { handshake, subprotocols: vec![], script, metrics: METRICS }
}

/// A stream of request 0.
pub(crate) fn events(path: &str) -> SseStep {
    SseStep {
        http: get(path),
        until: None,
        limit: 30 * SECOND,
        reading: Reading::default(),
        captures: vec![],
        metrics: METRICS,
    }
}

pub(crate) fn step(action: StepAction) -> Step {
    Step::new("spec.scenarios[0].steps[0]", action)
}

pub(crate) fn session(step: WebSocketStep) -> Step {
    self::step(StepAction::WebSocket(Box::new(step)))
}

pub(crate) fn stream(step: SseStep) -> Step {
    self::step(StepAction::Sse(Box::new(step)))
}

pub(crate) fn condition(expr: &str) -> Condition {
    Condition { expr: expr.into(), at: "here".into(), fault: FAULT }
}

pub(crate) fn reading(sent_at: Option<&str>, check: Option<&str>) -> Reading {
    let check =
        check.map(|expr| Check { name: "check".into(), expr: expr.into(), at: "here".into(), metric: CHECK });
    Reading { sent_at: sent_at.map(condition), checks: check.into_iter().collect() }
}

pub(crate) fn assign(name: &str, expr: &str) -> Assign {
    Assign { name: name.into(), expr: expr.into(), at: "here".into(), fault: FAULT }
}

pub(crate) fn send(message: Value) -> WebSocketAction {
    WebSocketAction::Send { message: Body::Json(message), at: "here".into() }
}

pub(crate) fn send_text(text: &str) -> WebSocketAction {
    WebSocketAction::Send { message: Body::Text(text.into()), at: "here".into() }
}

/// Reads until a message meets the condition, or one message.
pub(crate) fn receive(until: Option<&str>, within: u64) -> WebSocketAction {
    WebSocketAction::Receive {
        until: until.map(condition),
        within,
        optional: false,
        reading: Reading::default(),
        captures: vec![],
    }
}

pub(crate) fn hold(nanos: u64) -> WebSocketAction {
    WebSocketAction::Hold { length: constant(nanos), reading: Reading::default() }
}

pub(crate) fn close(code: u16) -> WebSocketAction {
    WebSocketAction::Close { code, reason: String::new(), at: "here".into() }
}

pub(crate) fn constant(nanos: u64) -> Wait {
    Wait::Uniform { min: nanos, max: nanos }
}

pub(crate) fn channel() -> WebSocketAction {
    send(json!({"type": "subscribe", "channel": "updates"}))
}

/// A plan of so many users that together make so many iterations of these steps, if that is limited, within a minute.
pub(crate) fn plan(address: SocketAddr, users: u64, iterations: Option<u64>, steps: Vec<Step>) -> Plan {
    let duration = 60 * SECOND;
    let kinds = [MetricKind::Trend; 4].into_iter().chain([MetricKind::Counter; 3]);
    let kinds = kinds.chain([MetricKind::Fault, MetricKind::Check]);
    let metrics = kinds.enumerate().map(|(n, kind)| Metric { name: format!("m{n}"), kind, request: None });
    let load = Load::Closed { users: vec![Ramp { duration, from: users, to: users }] };
    let scenario = Scenario {
        name: "s".into(),
        weight: 1,
        wait: None,
        state: vec![],
        on_start: vec![],
        on_stop: vec![],
        action: Action::Steps(steps),
    };
    Plan {
        version: PLAN_VERSION,
        run: RunId::default(),
        seed: 7,
        workers: 1,
        target: target(address),
        vars: vec![],
        script: Script { scenarios: vec![scenario], ..Script::default() },
        loads: vec![LoadGroup {
            load,
            start: 0,
            duration,
            graceful_ramp_down: 10 * SECOND,
            iterations,
            scenarios: vec![0],
        }],
        duration,
        graceful_stop: 10 * SECOND,
        layout: Layout {
            requests: vec!["zero".into(), "one".into()],
            metrics: metrics.collect(),
            windows: vec![Window { name: "main".into(), judged: true, spans: vec![(0, duration)] }],
            segments: vec![(duration, WindowId(0))],
            ..Layout::default()
        },
    }
}

fn target(address: SocketAddr) -> Target {
    Target {
        scheme: "http".into(),
        host: address.ip().to_string(),
        port: address.port(),
        base_path: String::new(),
        http: HttpVersion::Auto,
        tls: None,
        connections: Connections {
            per: ConnectionsPer::User,
            max: None,
            max_age: None,
            max_requests: None,
            resolve_per_connection: false,
        },
        preflight: Preflight::Skip,
        headers: vec![],
    }
}

/// One iteration of one user.
pub(crate) fn once(address: SocketAddr, steps: Vec<Step>) -> Plan {
    plan(address, 1, Some(1), steps)
}

/// Ends the load of a plan earlier.
pub(crate) fn lasting(mut plan: Plan, duration: u64, graceful_stop: u64) -> Plan {
    plan.duration = duration;
    plan.graceful_stop = graceful_stop;
    plan.loads[0].duration = duration;
    plan
}

/// What a run measured.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) snapshot: Snapshot,
    layout: Layout,
}

impl Measured {
    pub(crate) fn metric(&self, metric: u16) -> MetricTotal {
        self.snapshot.metric(&self.layout, MetricId(metric), None)
    }

    /// Of sessions: done, failed, timed out.
    pub(crate) fn sessions(&self) -> (u64, u64, u64) {
        let total = self.metric(SESSION);
        (total.good, total.count - total.good - total.timed_out, total.timed_out)
    }

    pub(crate) fn counts(&self) -> Counts {
        self.snapshot.total()
    }

    /// Class, status and example of the only failure.
    pub(crate) fn failure(&self) -> (ErrorClass, Option<u16>, &str) {
        let [failure] = self.snapshot.failures.as_slice() else {
            panic!("not one failure: {:?}", self.snapshot.failures);
        };
        (failure.class.unwrap(), failure.status, &failure.example)
    }
}

/// Runs a plan on two cores to its end.
pub(crate) fn run(plan: Plan) -> Measured {
    during(plan, async |running| running.finished().await)
}

/// Runs a plan on one core and returns what was traced.
pub(crate) fn traced(plan: Plan) -> Vec<TraceEvent> {
    let share = Arc::new(plan).share(0).unwrap();
    let (sink, mut events) = tokio::sync::mpsc::unbounded_channel();
    let engine = prepare(share, Materials::default(), Some(1)).unwrap().trace(sink);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut running = engine.launch(Instant::now(), None).unwrap();
        tokio::time::timeout(Duration::from_secs(60), running.finished()).await.expect("the load must end");
        let mut all = Vec::new();
        while let Ok(event) = events.try_recv() {
            all.push(event);
        }
        all
    })
}

/// Launches, does something meanwhile, and returns everything that was measured.
pub(crate) fn during(plan: Plan, meanwhile: impl AsyncFnOnce(&mut Running)) -> Measured {
    let layout = plan.layout.clone();
    let share = Arc::new(plan).share(0).unwrap();
    let engine = prepare(share, Materials::default(), Some(2)).unwrap_or_else(|error| panic!("{error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let snapshot = runtime.block_on(async {
        let mut running = engine.launch(Instant::now(), None).unwrap();
        meanwhile(&mut running).await;
        tokio::time::timeout(Duration::from_secs(60), running.finished()).await.expect("the load must end");
        assert_eq!(running.fault(), None);
        running.take().await
    });
    Measured { snapshot, layout }
}

/// Waits until something holds that the other side does in its own time.
pub(crate) fn eventually(holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(10), "it does not come about");
        std::thread::sleep(Duration::from_millis(2));
    }
}
