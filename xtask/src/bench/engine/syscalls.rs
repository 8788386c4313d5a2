//! System calls of a static request, counted by `strace` in runs of their own: it slows a program so much that nothing else of such a
//! run means anything.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Bench;
use super::clients::{Client, Work};
use super::figure::Figure;
use super::interval::interval;
use super::measure::has_ended;
use super::rows::Row;
use super::server::Counter;
use crate::process::{self, Guarded};
use crate::report;
use crate::tools::peers;

/// How long a traced client is asked to go on, seconds.
const SECONDS: u64 = 2;

/// Calls that are named; the others are few.
const NAMED: usize = 5;

/// The system calls per request of Plimsoll and of others, without goals.
pub(super) fn count(bench: &Bench) -> Result<Vec<Figure>> {
    let strace = match peers::strace() {
        Ok(strace) => strace,
        Err(why) => {
            report::allowed_skip("system calls", &format!("{why:#}"));
            return Ok(Vec::new());
        }
    };
    let ours = Client::ours(&bench.plimsoll, Work::Static);
    let found = Row::Syscalls.peers().iter().filter_map(|peer| bench.found(*peer));
    let clients = [ours].into_iter().chain(found.map(|found| Client::theirs(found, Work::Static)));
    let mut figures = Vec::new();
    for client in clients {
        match one(bench, &strace, &client) {
            Ok(figure) => figures.push(figure),
            // Tracing is forbidden in many containers, and that says nothing about the client.
            Err(why) => {
                report::allowed_skip(&format!("system calls of {}", client.name), &format!("{why:#}"));
            }
        }
    }
    Ok(figures)
}

fn one(bench: &Bench, strace: &Path, client: &Client) -> Result<Figure> {
    let table = bench.folder.join(format!("syscalls-{}", client.name));
    let plain = client.command(&bench.server, SECONDS, &bench.folder)?;
    let before = bench.server.count(Counter::Requests)?;
    let log = bench.log(&format!("syscalls-{}", client.name));
    let traced = Guarded::start("strace", &mut traced(strace, &plain, &table), &log)?;
    let pid = traced.pid();
    process::wait_until("the end of strace", Duration::from_secs(60), || Ok(has_ended(pid)))?;
    traced.kill()?;
    let requests = (bench.server.count(Counter::Requests)? - before - 1).max(1) as f64;
    let text = std::fs::read_to_string(&table).context("strace wrote no table")?;
    let calls = counted(&text);
    let all: u64 = calls.iter().map(|(_, calls)| calls).sum();
    let named =
        calls.iter().take(NAMED).map(|(name, calls)| format!("{name} {:.2}", *calls as f64 / requests));
    let note = named.collect::<Vec<_>>().join(", ");
    println!("    syscalls: {} {:.2} a request: {note}", client.name, all as f64 / requests);
    let what = format!("system calls of {}", client.name);
    Ok(Figure { row: "syscalls", what, unit: "", value: interval([all as f64 / requests]), goal: None, note })
}

/// A command under `strace -c` with its table in `into`.
fn traced(strace: &Path, command: &Command, into: &Path) -> Command {
    let mut traced = Command::new(strace);
    traced.args(["-c", "-f", "-o"]).arg(into).arg(command.get_program()).args(command.get_args());
    traced
}

/// The calls in the table of `strace -c`, most frequent first.
fn counted(table: &str) -> Vec<(String, u64)> {
    let rows = table.lines().filter_map(|line| {
        // % time, seconds, usecs/call, calls, errors where there are any, name
        let words: Vec<&str> = line.split_whitespace().collect();
        words.first()?.parse::<f64>().ok()?;
        let (name, calls) = (words.last()?, words.get(3)?.parse().ok()?);
        (*name != "total").then(|| ((*name).to_owned(), calls))
    });
    let mut rows: Vec<(String, u64)> = rows.collect();
    rows.sort_by_key(|(_, calls)| std::cmp::Reverse(*calls));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_from_the_table_with_and_without_errors() {
        let table = concat!(
            "% time     seconds  usecs/call     calls    errors syscall\n",
            "------ ----------- ----------- --------- --------- ----------------\n",
            " 60.00    0.060000           6     10000           sendto\n",
            " 40.00    0.040000           2     20000       500 recvfrom\n",
            "------ ----------- ----------- --------- --------- ----------------\n",
            "100.00    0.100000           3     30000       500 total\n",
        );
        assert_eq!(counted(table), [("recvfrom".to_owned(), 20_000), ("sendto".to_owned(), 10_000)]);
    }
}
