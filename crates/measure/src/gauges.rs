//! What a load generator is doing at a moment. Not part of a snapshot: a snapshot is what was counted over a time, and adds up.

use serde::{Deserialize, Serialize};

/// The generator at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Gauges {
    /// Virtual users at work: those of the closed model, and one for each arrival that is being served.
    pub users: u64,
    /// Requests under way.
    pub requests: u64,
    /// Connections to the target that are open.
    pub connections: u64,
    /// CPU time of the process since it began, nanoseconds.
    pub cpu: u64,
}

impl Gauges {
    /// Adds what another generator does at the same time.
    pub fn merge(&mut self, other: &Self) {
        for (sum, n) in [
            (&mut self.users, other.users),
            (&mut self.requests, other.requests),
            (&mut self.connections, other.connections),
            (&mut self.cpu, other.cpu),
        ] {
            *sum = sum.saturating_add(n);
        }
    }
}
