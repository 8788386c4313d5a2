//! The engine against a server whose latency law and counts are known: what is measured must be what the server says itself.
//! Timing tests run one at a time; `support.rs` holds the lock and builds plans.

mod closed;
mod connections;
mod failures;
mod latency;
mod open;
mod protocols;
mod redirects;
mod support;
