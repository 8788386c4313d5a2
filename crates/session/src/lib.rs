//! Carries shares, deltas and commands between workers and whoever collects; holds the hand-over trait [`Door`].
//!
//! A worker holds a [`Door`]: [`GrpcDoor`] in a pod, [`LocalDoor`] in `plimsoll run`. The operator holds a [`Hub`] with a
//! [`Gather`] per run and lets workers in by [`serve`]. The protocol is `proto/plimsoll.v1.proto`.

mod attend;
mod carry;
mod client;
mod clock;
mod door;
mod gather;
mod hub;
mod last_words;
mod local;
mod outbox;
mod progress;
#[rustfmt::skip]
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated")]
mod proto;
mod protocol;
mod reach;
mod server;
mod wire;

pub use client::{GrpcDoor, Stopper, dial};
pub use door::{
    ACK_PATIENCE, Door, FailureKind, Final, Readiness, SETUP_LIMIT, SessionError, Start, StartFailure, Stop,
};
pub use gather::{Applied, Gather, Refusal, SERIES_POINTS, Setup, WorkerState, WorkerView};
pub use hub::{Hub, RunKey};
pub use last_words::{Figures, LAST_WORDS_LIMIT, LastWords};
pub use local::{LocalDoor, LocalRun, local};
pub use progress::{Link, Progress};
pub use protocol::{HelloInfo, PROTOCOL, data_hash, plan_hash};
pub use reach::Endpoint;
pub use server::{AuthError, Authenticator, PodIdentity, Role, ServeError, ServerIdentity, serve};
pub use wire::{MAX_MESSAGE, WireError};
