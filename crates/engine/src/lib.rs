//! Executes a share and emits samples: one thread per core, nothing shared while a request is under way.
//!
//! [`prepare`] finds everything that is wrong before any traffic, [`Engine::preflight`] tries the target, [`Engine::setup`] does what
//! comes before the start, [`Engine::launch`] starts the load, [`Running::take`] collects what was measured. On the way of a request:
//! `closed.rs` or `open.rs` (when), `iteration.rs`, `steps.rs`, `elaborate.rs` (which), `request.rs`, `ws/`, `sse/` (how), `pool.rs`
//! and `dial.rs` (on what connection), `h1/` or `h2.rs` (bytes), `flight.rs` (the sample). Beside the load: `hooks.rs`.

mod active;
mod cgroup;
mod clock;
mod closed;
mod core;
mod deadline;
mod descriptors;
mod dial;
mod elaborate;
mod fault;
mod flight;
mod follow;
mod h1;
mod h2;
mod hooks;
#[cfg(test)]
mod instructions;
mod io;
mod iteration;
mod keep;
mod lane;
mod limit;
mod open;
mod poll;
mod pool;
mod preflight;
mod prepare;
mod redact;
mod redirect;
mod request;
mod resolve;
mod running;
mod skew;
mod span;
mod sse;
mod steps;
mod stream;
mod thread;
mod tickets;
mod tls;
mod trace;
mod watch;
mod ws;

pub use hooks::SetupFailed;
pub use preflight::Unreachable;
pub use prepare::{Engine, EngineError, Materials, prepare};
pub use running::Running;
pub use trace::{Part, TraceEvent};
