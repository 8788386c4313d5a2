//! What a collector shows of a run at one moment: given by `hub.rs` to the operator and by `local.rs` to the command line.

use std::time::SystemTime;

use crate::{Gather, Stop};

/// A run as it is now. Cheap to make: the merged snapshot is shared.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Workers and merged snapshot.
    pub gather: Gather,
    /// One per worker, by index.
    pub links: Vec<Link>,
    /// The agreed instant, once there is one.
    pub start: Option<SystemTime>,
    /// The stop that was asked.
    pub stop: Option<Stop>,
    /// The outcome is stored and the workers are released.
    pub acked: bool,
}

/// The connection to one worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// It is there now.
    pub connected: bool,
}
