//! A stand-in service for load tests: every path answers by a fixed sequence of latencies, statuses and
//! faults, and the server keeps its own exact counts and its own log of durations to compare with.
//! `Testbed::start` runs it inside a process; `src/main.rs` is the same server as a program.

mod acceptor;
mod aragora;
mod builtin;
mod clock;
mod config;
mod connection;
mod control;
mod core;
mod fault;
mod faults;
mod feed;
mod http1;
mod http2;
mod law;
mod ledger;
mod limit;
mod log;
mod patch;
mod pki;
mod plan;
mod reply;
mod request;
mod route;
mod rule;
mod server;
mod stats;
mod streams;
mod table;
mod target;
mod testbed;
mod timer;
mod tls;
mod transport;
mod websocket;

pub use aragora::{Aragora, Auth, Debates, Jobs, Outcome, Pace, Shape, Sockets, Sse, Unknown};
pub use config::{Config, ConfigError, Freeze, Tls};
pub use fault::Fault;
pub use law::{Latency, Share, When};
pub use limit::{By, Limit};
pub use log::{Entry, Log};
pub use pki::{Pki, PkiError};
pub use route::{Body, Errors, Route, Slow};
pub use rule::Rule;
pub use stats::{AragoraStats, Connections, PathStats, Stats};
pub use streams::{Message, Messages, StreamStats};
pub use testbed::{StartError, Testbed, endpoints};
pub use tls::TlsError;
