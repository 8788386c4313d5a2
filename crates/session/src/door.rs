//! The hand-over between a worker and whoever collects: in memory (`local.rs`) or by gRPC (`client.rs`).

use std::future::Future;
use std::time::{Duration, Instant};

use plimsoll_measure::{Gauges, Snapshot};

/// How long a worker that is done waits for the outcome of the run to be stored.
pub const ACK_PATIENCE: Duration = Duration::from_secs(600);

/// Most bytes of what a setup captures: it is handed to every worker in one message.
pub const SETUP_LIMIT: usize = 256 << 10;

/// What a worker needs of its session, in the order of a run.
pub trait Door: Send {
    /// Reports this worker ready, with what its setup captured and which data it holds, and waits for the agreed instant.
    ///
    /// # Errors
    /// When the run is stopped before it starts, the session is refused, or contact stays lost.
    fn ready(&mut self, readiness: Readiness) -> impl Future<Output = Result<Start, SessionError>> + Send;

    /// Reports that this worker cannot get ready, and returns when the report has arrived (or cannot arrive).
    fn failed(&mut self, cause: StartFailure) -> impl Future<Output = ()> + Send;

    /// Resolves when somebody asks for a stop; again when a graceful stop becomes one at once. Cancel-safe.
    fn stop_asked(&mut self) -> impl Future<Output = Stop> + Send;

    /// Reports the first request: nanoseconds between its intended instant and its sending.
    fn began(&mut self, skew: u64);

    /// Says what this worker is doing now; it goes with what is handed over next.
    fn gauges(&mut self, now: Gauges);

    /// Hands over what was measured since the last call. Never waits: numbers it, keeps it until it is acknowledged, sends it.
    fn push(&mut self, delta: Snapshot);

    /// Reports that this worker is done and waits until the outcome of the whole run is stored, [`ACK_PATIENCE`] at most.
    ///
    /// # Errors
    /// When no acknowledgement came; what was measured may then be missing from the result.
    fn finish(&mut self, last: Final) -> impl Future<Output = Result<(), SessionError>> + Send;
}

/// What a worker brings to the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Worker 0: what the plan's setup captured, as the text of a JSON object of at most [`SETUP_LIMIT`] bytes. Others have none.
    pub setup: Option<String>,
    /// [`crate::data_hash`] of the run's data tables; absent if there are none. Workers of a run must agree.
    pub data_hash: Option<String>,
}

/// The agreed instant on this process' monotonic clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// When the run begins; not before the moment this was made.
    pub at: Instant,
    /// How much earlier the agreed instant was, nanoseconds: 0 unless the message came too late.
    pub late: u64,
    /// What the setup captured, the same for every worker: the text of a JSON object.
    pub setup: Option<String>,
}

/// A wish to end the load early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Why, for people.
    pub reason: String,
    /// False: no new work, and what is in flight gets the plan's graceful stop. True: everything ends now.
    pub at_once: bool,
}

/// Why a worker could not get ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartFailure {
    /// For programs.
    pub kind: FailureKind,
    /// For people, with the remedy.
    pub message: String,
}

/// The kinds of [`StartFailure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The preflight connection was refused, timed out, or its name did not resolve.
    TargetUnreachable,
    /// The worker holds another plan or other data than the collector.
    DataDiffers,
    /// The worker cannot execute the plan: an expression, a missing secret, a certificate.
    InvalidPlan,
    /// A step of the setup failed, or what it captured cannot be handed on.
    SetupFailed,
}

/// What a worker says at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Final {
    /// Nanoseconds between the intended instant of this worker's first request and its sending; absent if it sent none.
    pub skew: Option<u64>,
    /// Threads that made load.
    pub threads: u32,
    /// The stop that ended it before its planned end, be it asked by the collector or by a signal to this worker.
    pub stopped: Option<Stop>,
    /// Why a part of its load was not made, if so: a thread that could not run.
    pub fault: Option<String>,
    /// Nanoseconds of its load: from the start until its last work was done or its stop began, at most the plan's duration.
    pub load: Option<u64>,
}

/// Why a session ended without doing its work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// Nobody answered.
    #[error("no answer from the operator at {address} within {}s: {cause}", .within.as_secs())]
    Unreachable {
        /// Host and port that were dialled.
        address: String,
        /// What was seen, and what is likely wrong.
        cause: String,
        /// How long it was tried.
        within: Duration,
    },
    /// The collector does not want this worker.
    #[error("the operator refused this worker: {0}")]
    Refused(String),
    /// A stop was asked before the run began.
    #[error("stopped before the start: {}", .0.reason)]
    Stopped(Stop),
    /// Another worker of the run could not get ready, or the collector went away.
    #[error("the run was given up before the start: {0}")]
    GivenUp(String),
    /// The run's outcome was not confirmed.
    #[error("the outcome of the run was not confirmed within {}s: {cause}", .within.as_secs())]
    NotAcknowledged {
        /// How long it was waited for.
        within: Duration,
        /// What was seen last.
        cause: String,
    },
    /// The settings of the session make no sense.
    #[error("{0}")]
    Settings(String),
}
