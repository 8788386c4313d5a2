//! Why a server gives no answer: what `docs/slos-from-queries.md` lists as outcomes.

use std::time::Duration;

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No connection, or it broke.
    #[error("{server} cannot be reached: {cause}")]
    Unreachable {
        /// Which server.
        server: String,
        /// Why.
        cause: String,
    },
    /// It took too long.
    #[error("{server} did not answer within {}s", after.as_secs())]
    TimedOut {
        /// Which server.
        server: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// It answered with an error.
    #[error("{server} answered {status}: {message}")]
    Status {
        /// Which server.
        server: String,
        /// The HTTP status.
        status: u16,
        /// What it said, or an excerpt.
        message: String,
    },
    /// It sent us elsewhere.
    #[error("{server} redirects to {location}, which is not followed: use that URL if it is meant")]
    Redirected {
        /// Which server.
        server: String,
        /// Where to.
        location: String,
    },
    /// The answer is too large.
    #[error("the answer of {server} is larger than {} MiB: aggregate the series in the query", limit >> 20)]
    TooLarge {
        /// Which server.
        server: String,
        /// Most bytes.
        limit: usize,
    },
    /// The answer is not that of a Prometheus.
    #[error("the answer of {server} is not that of Prometheus' HTTP API: {cause}")]
    NotPrometheus {
        /// Which server.
        server: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The server itself doubts its answer: a part of it may be missing.
    #[error("{server} warns of its answer: {warning}")]
    Warned {
        /// Which server.
        server: String,
        /// The first warning.
        warning: String,
    },
    /// A file with a credential cannot be used.
    #[error("credentials of {server}: {cause}")]
    Credentials {
        /// Which server.
        server: String,
        /// Which file, and why.
        cause: String,
    },
}

impl AskError {
    /// Whether asking again may help.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Credentials { .. } => true,
            Self::Status { status, .. } => *status >= 500 || *status == 429,
            Self::Redirected { .. }
            | Self::TooLarge { .. }
            | Self::NotPrometheus { .. }
            | Self::Warned { .. } => false,
        }
    }
}
