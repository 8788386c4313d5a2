//! The engine against a server whose latency law and counts are known: what is measured must be what the server says itself.
//! Tests that compare times run alone, those that count run among each other; `support.rs` holds the lock and builds plans.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod caps;
mod causes;
mod chances;
mod closed;
mod connections;
mod failures;
mod gauges;
mod generator;
mod hooks;
mod latency;
mod lives;
mod loads;
mod open;
mod polls;
mod protocols;
mod redirects;
mod retries;
mod script;
mod support;
mod tracing;
