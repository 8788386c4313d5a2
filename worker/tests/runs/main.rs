//! Shares executed against the stand-in target: in process, over gRPC, and by the worker's own binary.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod in_process;
mod pods;
mod rig;
mod telemetry;
