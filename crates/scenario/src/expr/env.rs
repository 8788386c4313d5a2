//! What an expression is evaluated with: the run and the user (`../memory.rs`), the response and the message of the moment
//! (`response.rs`).

use std::fmt;

use super::response::{Message, Response};
use crate::memory::{Memory, Shared};

/// Everything that an expression may ask for.
pub struct Env<'a> {
    /// What all users of the run have in common.
    pub shared: &'a Shared,
    /// What this user has.
    pub memory: &'a mut Memory,
    /// The response of this step; the user's last one when absent.
    pub response: Option<&'a Response>,
    /// The message or event just received.
    pub message: Option<&'a Message>,
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub now: u64,
}

impl Env<'_> {
    /// The response that `status`, `body` and so on mean.
    #[inline]
    #[must_use]
    pub fn response(&self) -> Option<&Response> {
        self.response.or(self.memory.last.as_deref())
    }
}

impl fmt::Debug for Env<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env").field("memory", &self.memory).finish_non_exhaustive()
    }
}
