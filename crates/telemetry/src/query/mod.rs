//! Asks a Prometheus what SLOs want to know: the other direction of what the rest of this crate exports.
//!
//! What is asked is a [`plimsoll_slo::Question`]; a [`Client`] asks one server over its HTTP API; a [`Follower`] asks all questions of a
//! run every [`EVERY`] and once more at its end, in a task that nobody waits for. The operator and `plimsoll run` use the same.

mod answer;
mod client;
mod error;
mod follow;
mod guard;
mod own;
mod round;
mod server;

pub use client::{Client, TIMEOUT};
pub use error::AskError;
pub use follow::{Answers, DEADLINE, EVERY, Follower, OWN_DEADLINE};
pub use guard::{Reach, is_metadata_address};
pub use round::Job;
pub use server::{Credentials, Server, ServerError, Servers};
