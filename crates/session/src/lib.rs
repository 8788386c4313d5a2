//! Carries shares, deltas and commands between workers and whoever collects; holds the hand-over trait [`Door`].
//!
//! A worker holds a [`Door`]: [`GrpcDoor`] in a pod, [`LocalDoor`] in `plimsoll run`. The operator holds a [`Hub`] with a
//! [`Gather`] per run and lets workers in by [`serve`]. The protocol is `proto/plimsoll.v1.proto`.

mod door;
mod gather;
mod local;
mod progress;

pub use door::{ACK_PATIENCE, Door, FailureKind, Final, SessionError, Start, StartFailure, Stop};
pub use gather::{Applied, Gather, Refusal, WorkerState, WorkerView};
pub use local::{LocalDoor, LocalRun, local};
pub use progress::{Link, Progress};
