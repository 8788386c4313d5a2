//! Judging as a whole: every kind of SLO (`kinds.rs`) and every row of the verdict table (`verdicts.rs`).

mod kinds;
mod metrics;
mod support;
mod verdicts;
