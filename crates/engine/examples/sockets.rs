//! Measures what an open WebSocket costs while nothing is said on it: memory, and CPU if the server says something now and then.
//!
//! `sockets ADDRESS [SOCKETS [SECONDS [THREADS [PATH]]]]`, for example `sockets 127.0.0.1:8080 10000 20 1 /ws`. All sockets open at
//! once and are held until the end; those of a testbed are silent but for a heartbeat every 30 s. Results are in
//! docs/adr/0002-hot-path.md.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use plimsoll_engine::{Materials, prepare};
use plimsoll_measure::{Layout, Metric, MetricId, MetricKind, Window, WindowId};
use plimsoll_plan::{
    Connections, ConnectionsPer, HttpVersion, Load, LoadGroup, PLAN_VERSION, Plan, Preflight, Ramp, RunId,
    Target,
};
use plimsoll_scenario::{
    Action, Body, HttpStep, Reading, Scenario, Script, Step, StepAction, StreamMetrics, Wait,
    WebSocketAction, WebSocketStep,
};

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

const SECOND: u64 = 1_000_000_000;

const METRICS: StreamMetrics =
    StreamMetrics { first_message: 0, message: 1, ping: 2, session: 3, sent: 4, received: 5, skewed: 6 };

struct Ask {
    address: SocketAddr,
    sockets: u64,
    seconds: u64,
    threads: usize,
    path: String,
}

fn main() -> ExitCode {
    let Some(ask) = ask() else {
        eprintln!("usage: sockets ADDRESS [SOCKETS [SECONDS [THREADS [PATH]]]]");
        return ExitCode::from(2);
    };
    match measure(&ask) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn ask() -> Option<Ask> {
    let mut words = std::env::args().skip(1);
    let address = words.next()?.parse().ok()?;
    let mut number = |default: u64| words.next().map_or(Some(default), |word| word.parse().ok());
    let (sockets, seconds) = (number(10_000)?, number(20)?);
    let threads = usize::try_from(number(1)?).ok()?;
    let path = words.next().unwrap_or_else(|| "/ws".to_owned());
    Some(Ask { address, sockets, seconds, threads, path })
}

fn measure(ask: &Ask) -> Fallible<()> {
    let plan = plan(ask);
    let layout = plan.layout.clone();
    let engine = prepare(Arc::new(plan).share(0)?, Materials::default(), Some(ask.threads))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let before = resident()?;
    let (total, held) = runtime.block_on(async {
        let mut running = engine.launch(Instant::now(), None)?;
        // Near the end all are open, and what opening them took is long over.
        tokio::time::sleep(Duration::from_secs(ask.seconds).saturating_sub(Duration::from_secs(2))).await;
        let held = resident()?;
        running.finished().await;
        Fallible::Ok((running.take().await, held))
    })?;
    let counts = total.total();
    let open = counts.complete - counts.failed;
    println!(
        "{open} sockets open, {} failed; {} messages; resident {} MB before and {} MB while they were held: {:.1} KiB a socket",
        counts.failed,
        total.metric(&layout, MetricId(METRICS.received), None).sum,
        before >> 20,
        held >> 20,
        held.saturating_sub(before) as f64 / 1024.0 / open.max(1) as f64,
    );
    for failure in &total.failures {
        println!("{} × {}", failure.count, failure.example);
    }
    Ok(())
}

/// Resident memory of this process, bytes.
fn resident() -> Fallible<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes * 1024)
}

fn plan(ask: &Ask) -> Plan {
    let duration = ask.seconds * SECOND;
    let kinds = [MetricKind::Trend; 4].into_iter().chain([MetricKind::Counter; 3]);
    let metrics = kinds.enumerate().map(|(n, kind)| Metric { name: n.to_string(), kind, request: None });
    let users = vec![Ramp { duration, from: ask.sockets, to: ask.sockets }];
    Plan {
        version: PLAN_VERSION,
        run: RunId::default(),
        seed: 1,
        workers: 1,
        target: Target {
            scheme: "http".into(),
            host: ask.address.ip().to_string(),
            port: ask.address.port(),
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
        },
        vars: vec![],
        script: script(&ask.path, duration),
        loads: vec![LoadGroup {
            load: Load::Closed { users },
            start: 0,
            duration,
            graceful_ramp_down: SECOND,
            iterations: None,
            scenarios: vec![0],
        }],
        duration,
        graceful_stop: 10 * SECOND,
        layout: Layout {
            requests: vec!["WS".into()],
            metrics: metrics.collect(),
            windows: vec![Window { name: "main".into(), judged: true, spans: vec![(0, duration)] }],
            segments: vec![(duration, WindowId(0))],
            ..Layout::default()
        },
    }
}

fn script(path: &str, duration: u64) -> Script {
    let handshake = HttpStep {
        request: 0,
        at: "sockets".into(),
        method: "GET".into(),
        path: path.into(),
        query: vec![],
        headers: vec![],
        body: Body::Empty,
        expect: vec![(101, 101)],
        that: None,
        timeout: 30 * SECOND,
        redirects: 0,
    };
    let hold = WebSocketAction::Hold {
        length: Wait::Uniform { min: duration, max: duration },
        reading: Reading::default(),
    };
    let socket = WebSocketStep { handshake, subprotocols: vec![], script: vec![hold], metrics: METRICS };
    let scenario = Scenario {
        name: "sockets".into(),
        weight: 1,
        wait: None,
        state: vec![],
        on_start: vec![],
        on_stop: vec![],
        action: Action::Steps(vec![Step::new("sockets", StepAction::WebSocket(Box::new(socket)))]),
    };
    Script { scenarios: vec![scenario], ..Script::default() }
}
