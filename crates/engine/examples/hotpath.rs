//! Measures what one request costs: one static request on kept-alive connections, in the closed model without waits or, given
//! a rate, in the open model.
//!
//! `hotpath ADDRESS [CONNECTIONS [SECONDS [THREADS [RATE]]]]`, for example `hotpath 127.0.0.1:8080 50 8 1`. Results and method
//! are in docs/adr/0002-hot-path.md.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use plimsoll_engine::{Materials, prepare};
use plimsoll_measure::{Layout, RATE_SECONDS, Window, WindowId};
use plimsoll_plan::{
    Connections, ConnectionsPer, Distribution, HttpVersion, Load, LoadGroup, PLAN_VERSION, Plan, Preflight,
    Ramp, RunId, Target,
};
use plimsoll_scenario::{Action, Body, HttpStep, Scenario, Script, Step, StepAction};

const SECOND: u64 = 1_000_000_000;

struct Ask {
    address: SocketAddr,
    connections: u64,
    seconds: u64,
    threads: usize,
    /// Arrivals per second; 0 for the closed model.
    rate: u64,
}

fn main() -> ExitCode {
    let Some(ask) = ask() else {
        eprintln!("usage: hotpath ADDRESS [CONNECTIONS [SECONDS [THREADS [RATE]]]]");
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
    let (connections, seconds) = (number(50)?, number(5)?);
    let threads = usize::try_from(number(1)?).ok()?;
    Some(Ask { address, connections, seconds, threads, rate: number(0)? })
}

fn measure(ask: &Ask) -> Result<(), Box<dyn std::error::Error>> {
    let share = Arc::new(plan(ask)).share(0)?;
    let engine = prepare(share, Materials::default(), Some(ask.threads))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (user, system) = cpu()?;
    let begun = Instant::now();
    let total = runtime.block_on(async {
        engine.preflight().await?;
        let mut running = engine.launch(Instant::now(), None)?;
        running.finished().await;
        Ok::<_, Box<dyn std::error::Error>>(running.take().await)
    })?;
    let wall = begun.elapsed();
    let (user, system) = {
        let now = cpu()?;
        (now.0 - user, now.1 - system)
    };
    let (sent, failed) = total
        .cells
        .iter()
        .fold((0, 0), |(sent, failed), cell| (sent + cell.counts.sent, failed + cell.counts.failed));
    let per_request = |time: Duration| time.as_secs_f64() * 1e6 / sent.max(1) as f64;
    println!(
        "{sent} requests in {:.2} s: {:.0}/s, {failed} failed, {} connections; per request {:.2} µs user, {:.2} µs system; \
         peak memory {}",
        wall.as_secs_f64(),
        sent as f64 / wall.as_secs_f64(),
        total.health.connections,
        per_request(user),
        per_request(system),
        peak_memory()?,
    );
    if ask.rate > 0 {
        let late = |q| total.health.lateness.percentile(q, 0).finite().unwrap_or(0) as f64 / 1e3;
        println!(
            "sent late by {:.0} µs at p50, {:.0} µs at p99, {:.0} µs at p99.9",
            late(5000),
            late(9900),
            late(9990)
        );
    }
    Ok(())
}

/// User and system time of this process, from /proc: in steps of 10 ms, which is enough for seconds of load.
fn cpu() -> Result<(Duration, Duration), Box<dyn std::error::Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or("").split(' ').collect();
    let ticks = |index: usize| -> Result<Duration, Box<dyn std::error::Error>> {
        let field = fields.get(index).ok_or("no CPU time in /proc/self/stat")?;
        Ok(Duration::from_millis(field.parse::<u64>()? * 10))
    };
    Ok((ticks(11)?, ticks(12)?))
}

/// The largest resident size of this process so far, as the kernel words it.
fn peak_memory() -> Result<String, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    Ok(line.unwrap_or("unknown").trim().to_owned())
}

fn plan(ask: &Ask) -> Plan {
    let duration = ask.seconds * SECOND;
    let get = HttpStep {
        request: 0,
        at: "hotpath".into(),
        method: "GET".into(),
        path: "/".into(),
        query: vec![],
        headers: vec![],
        body: Body::Empty,
        expect: vec![(200, 399)],
        that: None,
        timeout: 30 * SECOND,
        redirects: 10,
    };
    let level = |value| vec![Ramp { duration, from: value, to: value }];
    let (load, per) = if ask.rate == 0 {
        (Load::Closed { users: level(ask.connections) }, ConnectionsPer::User)
    } else {
        let (distribution, max_in_flight) = (Distribution::Uniform, ask.connections);
        (
            Load::Open { rate: level(ask.rate * RATE_SECONDS), distribution, max_in_flight },
            ConnectionsPer::Worker,
        )
    };
    let window = Window { name: "main".into(), judged: true, spans: vec![(0, duration)] };
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
        script: script(get),
        loads: vec![LoadGroup {
            load,
            start: 0,
            duration,
            graceful_ramp_down: SECOND,
            iterations: None,
            scenarios: vec![0],
        }],
        duration,
        graceful_stop: SECOND,
        layout: Layout {
            requests: vec!["GET /".into()],
            windows: vec![window],
            segments: vec![(duration, WindowId(0))],
            ..Layout::default()
        },
    }
}

fn script(get: HttpStep) -> Script {
    let step = Step::new("hotpath", StepAction::Http(Box::new(get)));
    let scenario = Scenario {
        name: "static".into(),
        weight: 1,
        wait: None,
        state: vec![],
        on_start: vec![],
        on_stop: vec![],
        action: Action::Steps(vec![step]),
    };
    Script { scenarios: vec![scenario], ..Script::default() }
}
