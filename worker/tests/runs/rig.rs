//! A target, a plan for it, and an operator that gathers.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use plimsoll_measure::{Bad, Layout, Objective, Population, RATE_SECONDS, Window, WindowId};
use plimsoll_plan::{
    Connections, ConnectionsPer, Distribution, HttpVersion, Load, LoadGroup, PLAN_VERSION, Plan, Preflight,
    Ramp, RunId, Target,
};
use plimsoll_scenario::{Action, Body, Field, HttpStep, Scenario, Script, Step, StepAction, Var, VarSource};
use plimsoll_session::{
    AuthError, Authenticator, Hub, PodIdentity, Progress, Role, RunKey, ServerIdentity, plan_hash, serve,
};
use plimsoll_testbed::{Config, Pki, Testbed};
use tokio::net::TcpListener;
use tokio::sync::watch;

pub(crate) const NAME: &str = "operator.test";
const SECOND: u64 = 1_000_000_000;
/// Far beyond what any condition takes.
const DEADLINE: Duration = Duration::from_secs(40);

pub(crate) fn target() -> Testbed {
    Testbed::start(Config::default()).unwrap()
}

/// An open plan: `rate` requests per second for some seconds, over some workers.
pub(crate) fn plan(target: SocketAddr, rate: u64, seconds: u64, workers: u32) -> Plan {
    let duration = seconds * SECOND;
    let layout = Layout {
        requests: vec!["home".to_owned()],
        windows: vec![Window { name: "main".to_owned(), judged: true, spans: vec![(0, duration)] }],
        segments: vec![(u64::MAX, WindowId(0))],
        objectives: vec![Objective {
            population: Population::Requests,
            request: None,
            window: None,
            bad: Bad::Slower { nanos: SECOND, succeeded_only: false },
        }],
        ..Layout::default()
    };
    let token = VarSource::Secret { name: "shop".to_owned(), key: "token".to_owned() };
    Plan {
        version: PLAN_VERSION,
        run: RunId { namespace: "shop".to_owned(), test: "home".to_owned(), name: "home-1".to_owned() },
        seed: 7,
        workers,
        target: Target {
            scheme: "http".to_owned(),
            host: target.ip().to_string(),
            port: target.port(),
            base_path: String::new(),
            http: HttpVersion::Auto,
            tls: None,
            connections: Connections {
                per: ConnectionsPer::Worker,
                max: None,
                max_age: None,
                max_requests: None,
                resolve_per_connection: false,
            },
            preflight: Preflight::Connect,
            headers: Vec::new(),
        },
        vars: vec![Var { name: "token".to_owned(), from: token }],
        script: Script { scenarios: vec![scenario()], ..Script::default() },
        loads: vec![LoadGroup {
            load: Load::Open {
                rate: vec![Ramp { duration, from: rate * RATE_SECONDS, to: rate * RATE_SECONDS }],
                distribution: Distribution::Uniform,
                max_in_flight: 1_000,
            },
            start: 0,
            duration,
            graceful_ramp_down: 0,
            iterations: None,
            scenarios: vec![0],
        }],
        duration,
        graceful_stop: 5 * SECOND,
        layout,
    }
}

fn scenario() -> Scenario {
    Scenario {
        name: "home".to_owned(),
        weight: 1,
        wait: None,
        state: Vec::new(),
        on_start: Vec::new(),
        on_stop: Vec::new(),
        action: Action::Steps(vec![get(0, "/delay/5", "${vars.token}")]),
    }
}

/// A step that asks for a path, with a value in the header `x-token`.
pub(crate) fn get(request: u16, path: &str, token: &str) -> Step {
    let at = "spec.scenarios[0].steps[0]".to_owned();
    let step = HttpStep {
        request,
        at: at.clone(),
        method: "GET".to_owned(),
        path: path.to_owned(),
        query: Vec::new(),
        headers: vec![Field { name: "x-token".to_owned(), value: token.to_owned() }],
        body: Body::Empty,
        expect: vec![(200, 399)],
        that: None,
        timeout: 5 * SECOND,
        redirects: 0,
    };
    Step::new(at, StepAction::Http(Box::new(step)))
}

/// Tokens name their pod: `index/uid`.
struct Table;

impl Authenticator for Table {
    async fn authenticate(&self, token: &str) -> Result<PodIdentity, AuthError> {
        let (index, uid) = token.split_once('/').ok_or(AuthError::Refused("no such token".to_owned()))?;
        let index = index.parse().map_err(|_| AuthError::Refused("no such token".to_owned()))?;
        let RunKey { namespace, name: run } = key();
        Ok(PodIdentity { namespace, pod: format!("home-1-{index}"), uid: uid.to_owned(), run, index })
    }
}

/// The operator's side of a run.
pub(crate) struct Operator {
    pub(crate) hub: Hub,
    pub(crate) address: SocketAddr,
    pub(crate) pki: Pki,
    pub(crate) plan_text: String,
    _role: watch::Sender<Role>,
}

impl Operator {
    pub(crate) async fn open(plan: &Plan) -> Self {
        let pki = Pki::generate(&[NAME.to_owned()]).unwrap();
        let identity = ServerIdentity {
            cert_pem: pki.server_pem.clone().into(),
            key_pem: pki.server_key_pem.clone().into(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (role, follow) = watch::channel(Role::Leader);
        let hub = Hub::new();
        let plan_text = serde_json::to_string(plan).unwrap();
        hub.open(&key(), &Arc::new(plan.clone()), &plan_hash(plan_text.as_bytes()));
        tokio::spawn(serve(hub.clone(), Table, listener, identity, follow));
        Self { hub, address, pki, plan_text, _role: role }
    }

    /// Gives the start as soon as all workers are ready.
    pub(crate) async fn start(&self) {
        self.until(|progress| progress.gather.all_ready()).await;
        self.hub.start(&key(), SystemTime::now() + Duration::from_millis(100));
    }

    /// Waits until the run is as wanted.
    pub(crate) async fn until(&self, wanted: impl Fn(&Progress) -> bool) -> Progress {
        let begun = Instant::now();
        loop {
            let progress = self.hub.observe(&key()).unwrap();
            if wanted(&progress) {
                return progress;
            }
            assert!(begun.elapsed() < DEADLINE, "not reached: {:#?}", progress.gather.workers());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

pub(crate) fn key() -> RunKey {
    RunKey { namespace: "shop".to_owned(), name: "home-1".to_owned() }
}

/// A new directory of this test run.
pub(crate) fn directory() -> PathBuf {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let name = format!("runs-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&path).unwrap();
    path
}
