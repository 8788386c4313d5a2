//! Executes a share and emits samples: one thread per core, nothing shared while a request is under way.
//!
//! [`prepare`] finds everything that is wrong before any traffic, [`Engine::preflight`] tries the target, [`Engine::launch`] starts
//! the load, [`Running::take`] collects what was measured. On the way of a request: `closed.rs` or `open.rs` (when), `iteration.rs`
//! (which), `request.rs` (how), `pool.rs` and `dial.rs` (on what connection), `h1/` or `h2.rs` (bytes), `flight.rs` (the sample).

mod cgroup;
mod clock;
mod closed;
mod core;
mod deadline;
mod descriptors;
mod dial;
mod flight;
mod h1;
mod h2;
mod io;
mod iteration;
mod open;
mod pool;
mod preflight;
mod prepare;
mod redirect;
mod request;
mod resolve;
mod running;
mod skew;
mod thread;
mod tls;

pub use preflight::Unreachable;
pub use prepare::{Engine, EngineError, Materials, prepare};
pub use running::Running;
