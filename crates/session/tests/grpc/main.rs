//! Worker and operator over TLS on loopback, with snapshots of known content in place of an engine.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../fixture/mod.rs"]
mod fixture;

mod counts;
mod dialling;
mod proxy;
mod rig;
mod start;
mod stopping;
