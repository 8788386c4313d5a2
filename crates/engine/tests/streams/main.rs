//! WebSocket sessions and event streams against the testbed, whose counts and log say what was really sent, and against peers that
//! break the rules on purpose (`peer.rs`).
#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod bad_peers;
mod endings;
mod events;
mod held;
mod peer;
mod scripts;
mod support;
