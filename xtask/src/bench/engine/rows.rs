//! The rows in which Plimsoll and others do the same work in turn: who takes part, what is compared, and the goals. What is measured
//! of Plimsoll alone is in `alone.rs`.

use clap::ValueEnum;

use super::clients::{Client, Who, Work};
use super::figure::Figure;
use super::interval::interval;
use super::measure::CLIENT_CORE;
use super::paired::{Paired, turns};
use super::server::SERVER_CORE;
use super::{Bench, alone};
use crate::tools::peers::Peer;
use anyhow::Result;

/// The most of its time that the server's core may be busy for a rate to say something of the client.
const SERVER_BOUND: f64 = 0.85;

/// What the table calls another build of Plimsoll.
const BASELINE: &str = "baseline";

/// A row of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Row {
    /// A static request of 34 bytes, whose replies have the same head for a second
    Static,
    /// The same where no two replies have the same head
    #[value(name = "varied-heads")]
    Varied,
    /// Two steps with a capture and a check
    TwoStep,
    /// A reply of 5 KiB
    Body,
    /// TLS 1.3
    Tls,
    /// HTTP/2 in clear text
    Http2,
    /// Messages over WebSockets
    Websocket,
    /// 1, 10 and 100 names of requests
    Names,
    /// One and two threads
    Threads,
    /// Arrivals at half of the capacity and at twice of it
    Open,
    /// Memory of 10 000 users, and its growth with requests
    Memory,
    /// Cost of a sample
    Recorder,
    /// System calls of a request
    Syscalls,
}

/// What Plimsoll's CPU per request is compared with.
struct Goal {
    /// The name of the client.
    than: &'static str,
    /// The most of its total that Plimsoll's may be.
    at_most: Option<f64>,
}

const fn goal(than: &'static str, at_most: f64) -> Goal {
    Goal { than, at_most: Some(at_most) }
}

const fn beside(than: &'static str) -> Goal {
    Goal { than, at_most: None }
}

impl Row {
    /// All, in the order of the table.
    pub const ALL: [Self; 13] = [
        Self::Static,
        Self::Varied,
        Self::TwoStep,
        Self::Body,
        Self::Tls,
        Self::Http2,
        Self::Websocket,
        Self::Names,
        Self::Threads,
        Self::Open,
        Self::Memory,
        Self::Recorder,
        Self::Syscalls,
    ];

    /// As `--rows` calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Varied => "varied-heads",
            Self::TwoStep => "two-step",
            Self::Body => "body",
            Self::Tls => "tls",
            Self::Http2 => "http2",
            Self::Websocket => "websocket",
            Self::Names => "names",
            Self::Threads => "threads",
            Self::Open => "open",
            Self::Memory => "memory",
            Self::Recorder => "recorder",
            Self::Syscalls => "syscalls",
        }
    }

    /// The load generators that it wants beside Plimsoll.
    pub(super) fn peers(self) -> &'static [Peer] {
        match self {
            Self::Static => &[Peer::Wrk, Peer::Oha, Peer::Vegeta, Peer::K6, Peer::Locust],
            Self::Varied => &[Peer::Wrk, Peer::Oha],
            Self::TwoStep => &[Peer::Wrk, Peer::K6, Peer::Locust],
            Self::Body => &[Peer::Wrk, Peer::Oha, Peer::Vegeta],
            Self::Tls => &[Peer::Wrk, Peer::Oha],
            Self::Http2 => &[Peer::H2load, Peer::Oha],
            Self::Websocket => &[Peer::K6],
            Self::Syscalls => &[Peer::Wrk, Peer::Oha],
            Self::Names | Self::Threads | Self::Open | Self::Memory | Self::Recorder => &[],
        }
    }

    /// Measures it.
    pub(super) fn measure(self, bench: &Bench) -> Result<(Vec<Paired>, Vec<Figure>)> {
        let alone = |figures: Vec<Figure>| Ok((Vec::new(), figures));
        match self {
            Self::Open => alone(alone::open(bench)?),
            Self::Memory => alone(alone::memory(bench)?),
            Self::Recorder => alone(alone::recorder(bench)?),
            Self::Syscalls => alone(super::syscalls::count(bench)?),
            _ => {
                let clients = self.clients(bench);
                let paired = turns(bench, self.name(), clients)?;
                let figures = self.figures(&paired);
                Ok((vec![paired], figures))
            }
        }
    }

    /// Who does what; ours first.
    fn clients(self, bench: &Bench) -> Vec<Client> {
        let ours = |name: &str, work| Client { name: name.to_owned(), ..Client::ours(&bench.plimsoll, work) };
        let work = match self {
            Self::Varied => Work::Varied,
            Self::TwoStep => Work::TwoStep,
            Self::Body => Work::Body,
            Self::Tls => Work::Tls,
            Self::Http2 => Work::Http2,
            Self::Websocket => Work::WebSocket,
            Self::Names => {
                let names = [1, 10, 100];
                return names.map(|n| ours(&named(n), Work::Names(n))).into();
            }
            Self::Threads => {
                let both = Who::Plimsoll(bench.plimsoll.clone(), vec![CLIENT_CORE, SERVER_CORE]);
                let one = ours("1 thread", Work::Static);
                return vec![Client { name: "2 threads".to_owned(), who: both, ..one.clone() }, one];
            }
            _ => Work::Static,
        };
        let theirs = self.peers().iter().filter_map(|peer| bench.found(*peer)).map(|found| {
            // wrk has no steps: a simple request of its own is the measure.
            let work = if work == Work::TwoStep && found.peer == Peer::Wrk { Work::Static } else { work };
            Client::theirs(found, work)
        });
        let before = bench.options.baseline.as_ref().map(|path| Client {
            who: Who::Plimsoll(path.clone(), vec![CLIENT_CORE]),
            ..ours(BASELINE, work)
        });
        [ours("plimsoll", work)].into_iter().chain(before).chain(theirs).collect()
    }

    /// The most of its own CPU in user space, µs per request.
    fn user_goal(self) -> Option<f64> {
        match self {
            Self::Static | Self::Varied => Some(1.0),
            Self::TwoStep => Some(2.0),
            _ => None,
        }
    }

    fn goals(self) -> Vec<Goal> {
        match self {
            Self::Static => {
                vec![
                    goal("wrk", 1.05),
                    goal("oha", 0.65),
                    goal("vegeta", 0.2),
                    goal("k6", 0.125),
                    goal("locust", 0.067),
                ]
            }
            Self::Varied => vec![goal("wrk", 1.05), goal("oha", 0.65)],
            Self::TwoStep => vec![goal("wrk", 1.2), goal("k6", 0.125), goal("locust", 0.067)],
            Self::Body => vec![beside("wrk"), beside("oha"), beside("vegeta")],
            Self::Tls => vec![goal("oha", 1.0), beside("wrk")],
            Self::Http2 => vec![goal("oha", 1.0), beside("h2load")],
            Self::Websocket => vec![goal("k6", 0.125)],
            _ => Vec::new(),
        }
    }

    /// Plimsoll's CPU against that of the others.
    fn figures(self, paired: &Paired) -> Vec<Figure> {
        let row = self.name();
        let figure = |what: String, unit, values: Option<Vec<f64>>, goal, note: &str| Figure {
            row,
            what,
            unit,
            value: values.and_then(interval),
            goal,
            note: note.to_owned(),
        };
        if self == Self::Names {
            let growth = |n: u32, goal| {
                let what = format!("CPU of {} to that of {}", named(n), named(1));
                figure(what, "×", paired.ratios(&named(n), &named(1)), goal, "")
            };
            return vec![growth(10, None), growth(100, Some(1.1))];
        }
        if self == Self::Threads {
            let note = "the second thread shares its core with the server";
            let what = "CPU of 2 threads to that of 1".to_owned();
            return vec![figure(what, "×", paired.ratios("2 threads", "1 thread"), Some(1.1), note)];
        }
        let user = paired.values("plimsoll", |measured| measured.user);
        let user = figure("CPU in user space".to_owned(), "µs", user, self.user_goal(), "");
        let ratios = self.goals().into_iter().map(|goal| {
            let than =
                if self == Self::TwoStep && goal.than == "wrk" { "wrk's static request" } else { goal.than };
            let values = paired.ratios("plimsoll", goal.than);
            let note = if values.is_none() { "it is not here" } else { "" };
            figure(format!("CPU to that of {than}"), "×", values, goal.at_most, note)
        });
        let before = paired.ratios("plimsoll", BASELINE);
        let before = before
            .map(|values| figure(format!("CPU to that of the {BASELINE}"), "×", Some(values), None, ""));
        [user].into_iter().chain(before).chain(ratios).collect()
    }
}

/// What the table calls a client with so many names.
fn named(names: u32) -> String {
    if names == 1 { "1 name".to_owned() } else { format!("{names} names") }
}

/// Whether the server had too little left for a rate to say something of the client.
pub(super) fn is_server_bound(server_core: f64) -> bool {
    server_core > SERVER_BOUND
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_called_as_the_command_line_calls_them() {
        for row in Row::ALL {
            let value = row.to_possible_value().unwrap();
            assert_eq!(value.get_name(), row.name());
        }
        assert_eq!(Row::ALL.len(), Row::value_variants().len());
    }

    #[test]
    fn every_goal_is_about_somebody_who_takes_part() {
        for row in Row::ALL {
            for goal in row.goals() {
                assert!(row.peers().iter().any(|peer| peer.name() == goal.than), "{row:?}: {}", goal.than);
            }
        }
    }
}
