//! Compiled steps. Their requests are in `../request.rs`, sessions and streams in `stream.rs`, afterwork in `../after.rs`.

use super::{CompiledSse, CompiledWebSocket};
use crate::after::{After, CompiledCondition};
use crate::model::{OnFailure, Repeat, Retry, Wait};
use crate::request::CompiledHttp;

/// One action with what decides whether and how often it is done, and what is made of its response.
#[derive(Clone, Debug)]
pub struct CompiledStep {
    /// Where the step stands in the manifest, for messages.
    pub at: String,
    /// Skipped unless this holds; it sees the user's last response.
    pub when: Option<CompiledCondition>,
    /// Done with this probability, parts per billion.
    pub chance: Option<u64>,
    /// Done several times.
    pub repeat: Option<Repeat>,
    /// Tried again when it fails.
    pub retry: Option<Retry>,
    /// Only so many users at once: index into [`crate::Bound::limits`].
    pub limit: Option<u16>,
    /// What a failure means for the user.
    pub on_failure: OnFailure,
    /// What is done.
    pub action: CompiledStepAction,
    /// What is made of the response.
    pub after: After,
    /// What must be known of the response, now or later.
    pub needs: Needs,
    /// Whether a later step reads its response: it must become [`crate::Memory::last`].
    pub keeps_last: bool,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum CompiledStepAction {
    /// One HTTP request.
    Http(Box<CompiledHttp>),
    /// HTTP requests until a job is done.
    Poll(Box<CompiledPoll>),
    /// A WebSocket session.
    WebSocket(Box<CompiledWebSocket>),
    /// A stream of server-sent events.
    Sse(Box<CompiledSse>),
    /// Doing nothing for a while.
    Pause(Wait),
    /// The steps of a flow.
    Run(Vec<CompiledStep>),
    /// Nothing: only what is made of the user's last response.
    Nothing,
}

/// HTTP requests until a job is done.
#[derive(Clone, Debug)]
pub struct CompiledPoll {
    /// The request.
    pub http: CompiledHttp,
    /// Nanoseconds from the end of a response to the next request.
    pub every: u64,
    /// Nanoseconds from the first request, after which it has timed out.
    pub limit: u64,
    /// Whether the job is done.
    pub done: CompiledCondition,
    /// Whether the job failed.
    pub failed: Option<CompiledCondition>,
    /// Trend of what is done.
    pub metric: u16,
}

/// What must be kept of a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Anything: a [`crate::Response`] must be made.
    pub response: bool,
    /// Its body.
    pub body: bool,
    /// Its headers.
    pub headers: bool,
    /// The message of a session: its last one must be kept for the step's afterwork.
    pub message: bool,
}

impl Needs {
    /// What this or that needs.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            response: self.response || other.response,
            body: self.body || other.body,
            headers: self.headers || other.headers,
            message: self.message || other.message,
        }
    }
}

impl CompiledStep {
    /// The chance drawn: whether the step is done this time.
    #[inline]
    #[must_use]
    pub fn happens(&self, rng: &mut crate::Rng) -> bool {
        self.chance.is_none_or(|chance| rng.below(1_000_000_000) < chance)
    }
}
