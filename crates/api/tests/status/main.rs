//! What a run comes to: conditions (`conditions.rs`), status (`run.rs`, `mirror.rs`, of SLOs on queries `queries.rs`), stored result and report (`stored.rs`).

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod conditions;
mod mirror;
mod queries;
mod run;
mod stored;
mod support;
