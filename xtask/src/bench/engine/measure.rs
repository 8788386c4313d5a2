//! One client for a stretch of time: CPU of its process by user and system, divided by what the server counted in that time, and how
//! busy both cores were. Starting and ending a client is outside of the stretch.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::server::{Counter, SERVER_CORE, Server};
use crate::process::{self, Guarded};

/// The core of the clients, by its number.
pub(super) const CLIENT_CORE: usize = 0;

/// What passes between the first request and the stretch that is measured.
pub(super) const WARMUP: Duration = Duration::from_millis(300);

/// What a client goes on for after it: enough for a machine that is slow to start it.
const SPARE: Duration = Duration::from_millis(1_200);

/// How long a client may take to send its first request: Python imports a lot on a busy core.
const START: Duration = Duration::from_secs(30);

/// How long it may take to end by itself.
const END: Duration = Duration::from_secs(40);

/// Microseconds of a tick of /proc: 100 a second on every Linux that Rust's Tier 1 targets run on.
const TICK_US: f64 = 10_000.0;

/// What one client did in one stretch.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measured {
    /// Requests, or messages, that the server counted.
    pub(super) requests: u64,
    pub(super) seconds: f64,
    /// Of the client's process, µs per request.
    pub(super) user: f64,
    pub(super) system: f64,
    /// Shares of their time that the cores were busy.
    pub(super) client_core: f64,
    pub(super) server_core: f64,
    /// Share of both cores' time that the machine below took away.
    pub(super) stolen: f64,
}

impl Measured {
    pub(super) fn total(&self) -> f64 {
        self.user + self.system
    }

    pub(super) fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds
    }
}

/// How many whole seconds a client is to be asked for so that the stretch fits.
pub(super) fn asked_seconds(stretch: Duration) -> u64 {
    (WARMUP + stretch + SPARE).as_millis().div_ceil(1_000) as u64
}

/// Runs a client and measures a stretch of it; what it says goes to `log`.
pub(super) fn measure(
    server: &Server,
    counter: Counter,
    command: &mut Command,
    stretch: Duration,
    log: &Path,
) -> Result<Measured> {
    let before = server.count(counter)?;
    let mut client = Guarded::start("the client", command, log)?;
    // Questions to the server count, too; there are far fewer of them than of requests.
    process::wait_until("the client's first requests", START, || {
        // One that has ended is not waited for; what it said is seen below.
        Ok(has_ended(client.pid()) || server.count(counter)? > before + 500)
    })?;
    client.check()?;
    std::thread::sleep(WARMUP);
    let from = Moment::now(client.pid(), server, counter)?;
    std::thread::sleep(stretch);
    let to = Moment::now(client.pid(), server, counter)?;
    client.check().context("it was to go on until after the stretch that is measured")?;
    finish(client, log)?;
    Ok(between(&from, &to, counter))
}

/// Waits for a client to end by itself, and well.
pub(super) fn finish(client: Guarded, log: &Path) -> Result<()> {
    let pid = client.pid();
    process::wait_until("the end of the client", END, || Ok(has_ended(pid)))?;
    let status = client.kill()?;
    if !status.success() {
        bail!("it ended with {status}:\n{}", process::last_lines(log, 15));
    }
    Ok(())
}

/// Whether a child has ended and nobody has asked for its status yet.
pub(super) fn has_ended(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
}

/// Resident memory of a process, KiB.
pub(super) fn resident(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Counters at one time.
#[derive(Debug)]
struct Moment {
    at: Instant,
    count: u64,
    /// User and system ticks of the process and of its children that have ended.
    ticks: (u64, u64),
    cores: Vec<Core>,
}

/// Ticks of one core since the boot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Core {
    busy: u64,
    idle: u64,
    stolen: u64,
}

impl Moment {
    fn now(pid: u32, server: &Server, counter: Counter) -> Result<Self> {
        let path = format!("/proc/{pid}/stat");
        let stat = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        let all = std::fs::read_to_string("/proc/stat").context("read /proc/stat")?;
        let at = Instant::now();
        let ticks = ticks(&stat).with_context(|| format!("{path} has no times"))?;
        Ok(Self { at, count: server.count(counter)?, ticks, cores: cores(&all) })
    }
}

fn ticks(stat: &str) -> Option<(u64, u64)> {
    // Behind the name, in parentheses, comes the third field; user and system time are the 14th and 15th, those of children follow.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some((field(14)? + field(16)?, field(15)? + field(17)?))
}

fn cores(stat: &str) -> Vec<Core> {
    let lines = stat.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu "));
    lines
        .map(|line| {
            let ticks: Vec<u64> = line.split_whitespace().skip(1).map_while(|n| n.parse().ok()).collect();
            let tick = |at: usize| ticks.get(at).copied().unwrap_or(0);
            // user nice system idle iowait irq softirq steal
            Core {
                busy: tick(0) + tick(1) + tick(2) + tick(5) + tick(6),
                idle: tick(3) + tick(4),
                stolen: tick(7),
            }
        })
        .collect()
}

fn between(from: &Moment, to: &Moment, counter: Counter) -> Measured {
    // The question at the end of the stretch is a request itself.
    let own = u64::from(counter == Counter::Requests);
    let requests = (to.count - from.count).saturating_sub(own);
    let per_request = |ticks: u64| ticks as f64 * TICK_US / requests.max(1) as f64;
    let core = |number: usize| {
        let (from, to) = (from.cores.get(number).copied(), to.cores.get(number).copied());
        let (from, to) = (from.unwrap_or_default(), to.unwrap_or_default());
        Core { busy: to.busy - from.busy, idle: to.idle - from.idle, stolen: to.stolen - from.stolen }
    };
    let share = |part: u64, core: Core| part as f64 / (core.busy + core.idle + core.stolen).max(1) as f64;
    let (client, server) = (core(CLIENT_CORE), core(SERVER_CORE));
    Measured {
        requests,
        seconds: to.at.duration_since(from.at).as_secs_f64(),
        user: per_request(to.ticks.0 - from.ticks.0),
        system: per_request(to.ticks.1 - from.ticks.1),
        client_core: share(client.busy, client),
        server_core: share(server.busy, server),
        stolen: (share(client.stolen, client) + share(server.stolen, server)) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_behind_a_name_with_blanks() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194304 100 0 0 0 250 31 4 5 20 0 1 0 77 0 0";
        assert_eq!(ticks(stat), Some((254, 36)));
        assert_eq!(ticks("7 (a) S 1"), None);
    }

    #[test]
    fn a_stretch_is_what_lies_between_two_moments() {
        let stat = |busy, idle| {
            format!(
                "cpu  9 9 9\ncpu0 {busy} 0 0 {idle} 0 0 0 0 0 0\ncpu1 0 0 {busy} 0 {idle} 0 0 0\nintr 1\n"
            )
        };
        let at = Instant::now();
        let from = Moment { at, count: 1_000, ticks: (10, 20), cores: cores(&stat(100, 100)) };
        let later = at + Duration::from_secs(2);
        let to = Moment { at: later, count: 21_001, ticks: (30, 140), cores: cores(&stat(250, 150)) };
        let measured = between(&from, &to, Counter::Requests);
        assert_eq!((measured.requests, measured.rate()), (20_000, 10_000.0));
        assert_eq!((measured.user, measured.system, measured.total()), (10.0, 60.0, 70.0));
        assert_eq!((measured.client_core, measured.server_core), (0.75, 0.75));
    }

    #[test]
    fn a_client_outlasts_the_stretch() {
        assert_eq!(asked_seconds(Duration::from_secs(2)), 4);
        assert_eq!(asked_seconds(Duration::from_millis(2_600)), 5);
    }
}
