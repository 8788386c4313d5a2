//! A stand-in service for load tests: every path answers by a fixed sequence of latencies, statuses and
//! faults, and the server keeps its own exact counts and its own log of durations to compare with.
//! `Testbed::start` runs it inside a process; `src/main.rs` is the same server as a program.

mod acceptor;
mod builtin;
mod config;
mod connection;
mod control;
mod core;
mod fault;
mod http1;
mod http2;
mod law;
mod ledger;
mod log;
mod pki;
mod plan;
mod reply;
mod route;
mod server;
mod stats;
mod table;
mod target;
mod testbed;
mod timer;
mod tls;
mod transport;

pub use config::{Config, ConfigError, Freeze, Tls};
pub use fault::Fault;
pub use law::{Latency, Share, When};
pub use log::{Entry, Log};
pub use pki::{Pki, PkiError};
pub use route::{Body, Errors, Route, Slow};
pub use stats::{Connections, PathStats, Stats};
pub use testbed::{StartError, Testbed};
pub use tls::TlsError;
