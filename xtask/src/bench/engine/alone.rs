//! What is measured of Plimsoll alone: arrivals at a fixed rate, memory, the recorder. Comparisons are in `rows.rs`.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Bench;
use super::clients::{self, Client, Work};
use super::figure::Figure;
use super::interval::interval;
use super::manifests;
use super::measure::{CLIENT_CORE, asked_seconds, finish, has_ended, measure, resident};
use super::server::{Counter, pinned};
use crate::process::{self, Guarded};
use crate::{checks, paths};

/// Users whose memory is measured, and those of the run that it is compared with.
const MANY: u32 = 10_000;
const FEW: u32 = 10;

fn figure(row: &'static str, what: &str, unit: &'static str, values: Vec<f64>, goal: Option<f64>) -> Figure {
    Figure { row, what: what.to_owned(), unit, value: interval(values), goal, note: String::new() }
}

/// A run of ours to its end: the status of its result, and the requests that the server counted.
struct Whole {
    status: Value,
    served: u64,
}

fn whole(bench: &Bench, name: &str, manifest: &Value) -> Result<Whole> {
    let log = bench.log(name);
    let before = bench.server.count(Counter::Requests)?;
    let mut command = clients::plimsoll(&bench.plimsoll, &[CLIENT_CORE], manifest, &bench.folder)?;
    let client = Guarded::start("plimsoll", &mut command, &log)?;
    let pid = client.pid();
    process::wait_until("the end of the run", Duration::from_secs(120), || Ok(has_ended(pid)))?;
    client.kill()?;
    // The question is a request, too.
    let served = bench.server.count(Counter::Requests)? - before - 1;
    let text = std::fs::read_to_string(&log)?;
    let result = text.find("\n{").and_then(|at| serde_json::from_str::<Value>(&text[at..]).ok());
    let mut result = result.with_context(|| format!("no result:\n{}", process::last_lines(&log, 15)))?;
    Ok(Whole { status: result["status"].take(), served })
}

/// Arrivals at half of what one core can send, and at twice of it.
pub(super) fn open(bench: &Bench) -> Result<Vec<Figure>> {
    let capacity = capacity(bench)?;
    println!("    open: one core sends {capacity:.0}/s");
    let seconds = asked_seconds(bench.options.stretch);
    let half = half(bench, (capacity / 2.0) as u64, seconds)?;
    let twice = twice(bench, (capacity * 2.0) as u64, seconds)?;
    Ok([half, twice].concat())
}

/// Requests a second of the closed model on one core: the median of three runs.
fn capacity(bench: &Bench) -> Result<f64> {
    let stretch = bench.options.stretch;
    let client = Client::ours(&bench.plimsoll, Work::Static);
    let rates = (1..=3).map(|round| {
        let mut command = client.command(&bench.server, asked_seconds(stretch), &bench.folder)?;
        let log = bench.log(&format!("capacity-{round}"));
        Ok(measure(&bench.server, Counter::Requests, &mut command, stretch, &log)?.rate())
    });
    let rates: Vec<f64> = rates.collect::<Result<_>>()?;
    Ok(interval(rates).context("nothing was measured")?.median)
}

fn half(bench: &Bench, rate: u64, seconds: u64) -> Result<Vec<Figure>> {
    let (mut late, mut missing) = (Vec::new(), Vec::new());
    let mut verdicts = Vec::new();
    for round in 1..=bench.options.alternations {
        let run =
            whole(bench, &format!("open-half-{round}"), &manifests::open(&bench.server, rate, seconds))?;
        let lateness = micros(run.status["load"]["lateness"].as_str().unwrap_or_default())?;
        let lost = (rate * seconds).abs_diff(run.served);
        println!("    open, {rate}/s, {round}: lateness {lateness:.0} µs at p99, {lost} requests off");
        late.push(lateness);
        missing.push(lost as f64);
        verdicts.push(format!("{} ({})", text(&run.status, "verdict"), text(&run.status, "reason")));
    }
    verdicts.dedup();
    let late = figure("open", "half of the capacity: sent − intended at p99", "µs", late, Some(200.0));
    let missing = figure("open", "half of the capacity: requests off the rate", "", missing, Some(0.0));
    let note = format!("{rate}/s for {seconds} s; {}", verdicts.join(", "));
    Ok(vec![Figure { note, ..late }, missing])
}

fn twice(bench: &Bench, rate: u64, seconds: u64) -> Result<Vec<Figure>> {
    let run = whole(bench, "open-twice", &manifests::open(&bench.server, rate, seconds))?;
    let total = |field: &str| run.status["summary"]["total"][field].as_u64().unwrap_or(0);
    // What was due is either sent or counted as not sent; what was sent is what the server saw.
    let silent = (rate * seconds).abs_diff(total("requests"))
        + total("requests").abs_diff(total("sent") + total("notSent"))
        + total("sent").abs_diff(run.served);
    let dropped = figure(
        "open",
        "twice the capacity: arrivals of which nothing is said",
        "",
        vec![silent as f64],
        Some(0.0),
    );
    let (verdict, reason) = (text(&run.status, "verdict"), text(&run.status, "reason"));
    let wrong =
        f64::from(u8::from((verdict.as_str(), reason.as_str()) != ("Inconclusive", "GeneratorSaturated")));
    let judged = figure(
        "open",
        "twice the capacity: verdicts other than Inconclusive (GeneratorSaturated)",
        "",
        vec![wrong],
        Some(0.0),
    );
    let note = format!("{verdict} ({reason}): {}", text(&run.status, "message"));
    let sent = format!("{rate}/s for {seconds} s: {} of {} sent", total("sent"), total("requests"));
    Ok(vec![Figure { note: sent, ..dropped }, Figure { note, ..judged }])
}

fn text(status: &Value, field: &str) -> String {
    status[field].as_str().unwrap_or_default().to_owned()
}

/// `718.2us`, `1.5ms` or `1.86s` in microseconds.
fn micros(text: &str) -> Result<f64> {
    let at = text.find(|c: char| c.is_ascii_alphabetic()).with_context(|| format!("{text:?}: no unit"))?;
    let (number, unit) = text.split_at(at);
    let factor = match unit {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        _ => bail!("{text:?}: unknown unit"),
    };
    Ok(number.parse::<f64>()? * factor)
}

/// Memory of users that hold a connection and do nothing, and what a run of many requests adds.
pub(super) fn memory(bench: &Bench) -> Result<Vec<Figure>> {
    let few = held(bench, FEW)?;
    let many = held(bench, MANY)?;
    let per_user = (many - few) / f64::from(MANY - FEW);
    let each =
        figure("memory", "user-space memory of an idle connected user", "KiB", vec![per_user], Some(16.0));
    let note = format!("resident {:.1} MiB with {MANY} users, {:.1} with {FEW}", many / 1024.0, few / 1024.0);
    let (grown, requests) = growth(bench)?;
    let growth = figure("memory", "growth of a long run", "KiB", vec![grown], Some(256.0));
    let over = format!("over {requests} requests, which take 1 s of warming up before");
    Ok(vec![Figure { note, ..each }, Figure { note: over, ..growth }])
}

/// Resident memory, KiB, when so many users hold a connection each.
fn held(bench: &Bench, users: u32) -> Result<f64> {
    let manifest = manifests::idle(&bench.server, users, 12);
    let mut command = clients::plimsoll(&bench.plimsoll, &[CLIENT_CORE], &manifest, &bench.folder)?;
    let mut client = Guarded::start("plimsoll", &mut command, &bench.log(&format!("memory-{users}")))?;
    process::wait_until(&format!("{users} connections"), Duration::from_secs(11), || {
        Ok(has_ended(client.pid()) || bench.server.open_connections()? >= u64::from(users))
    })?;
    client.check()?;
    // Their first requests are answered, and a snapshot is taken.
    std::thread::sleep(Duration::from_secs(2));
    let resident = resident(client.pid())?;
    println!("    memory: {resident:.0} KiB with {users} users");
    // It has shown what was asked for.
    client.kill()?;
    process::wait_until("the connections to be closed", Duration::from_secs(10), || {
        Ok(bench.server.open_connections()? < 5)
    })?;
    Ok(resident)
}

/// What a run as fast as it goes adds to its memory, KiB, and over how many requests.
fn growth(bench: &Bench) -> Result<(f64, u64)> {
    let seconds = (4 * asked_seconds(bench.options.stretch)).max(10);
    let manifest = manifests::closed(Work::Static, &bench.server, seconds);
    let mut command = clients::plimsoll(&bench.plimsoll, &[CLIENT_CORE], &manifest, &bench.folder)?;
    let log = bench.log("memory-growth");
    let client = Guarded::start("plimsoll", &mut command, &log)?;
    std::thread::sleep(Duration::from_millis(1_500));
    let (before, from) = (resident(client.pid())?, bench.server.count(Counter::Requests)?);
    std::thread::sleep(Duration::from_secs(seconds.saturating_sub(3)));
    let (after, to) = (resident(client.pid())?, bench.server.count(Counter::Requests)?);
    finish(client, &log)?;
    println!("    memory: {before:.0} KiB, {after:.0} KiB after {} requests", to - from);
    Ok((after - before, to - from))
}

/// What the recorder takes for a sample, by its own example.
pub(super) fn recorder(bench: &Bench) -> Result<Vec<Figure>> {
    let mut cargo = checks::cargo();
    cargo.args(["build", "--release", "--package=plimsoll-measure", "--example=record_cost"]);
    cargo.arg("--message-format=json-render-diagnostics");
    let messages = process::output(&mut cargo)?;
    let lines = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let program = lines.filter_map(|line| Some(paths::root().join(line["executable"].as_str()?))).next_back();
    let program = program.context("cargo names no program")?;
    let samples = (1..=bench.options.alternations).map(|_| {
        let said = process::output(&mut pinned(&program, &[CLIENT_CORE]))?;
        nanos(&said).with_context(|| format!("no cost in:\n{said}"))
    });
    let samples: Vec<f64> = samples.collect::<Result<_>>()?;
    let figure =
        figure("recorder", "a sample, three objectives, taken once a second", "ns", samples, Some(10.0));
    Ok(vec![figure])
}

/// The figure behind `recorder…:`.
fn nanos(said: &str) -> Option<f64> {
    let line = said.lines().find(|line| line.starts_with("recorder"))?;
    line.rsplit_once(": ")?.1.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_of_the_status_are_read() {
        assert_eq!(micros("718.2us").unwrap(), 718.2);
        assert_eq!(micros("1.5ms").unwrap(), 1_500.0);
        assert_eq!(micros("1.86s").unwrap(), 1_860_000.0);
        assert!(micros("").is_err() && micros("3 weeks").is_err());
    }

    #[test]
    fn the_cost_of_a_sample_is_read() {
        let said =
            "histogram: 3.4 ns a sample\nrecorder, a second's take of 100 000 included: 51.2 ns a sample\n";
        assert_eq!(nanos(said), Some(51.2));
        assert_eq!(nanos("histogram: 3.4 ns a sample"), None);
    }
}
