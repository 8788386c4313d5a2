//! Judges snapshots and query results. Pure: no clock, no IO, no async.
//!
//! The operator and `plimsoll run` call the same functions: [`judge`] at the end, and every second on the counts so far for aborts.

mod model;

pub use model::{
    Facts, Judgement, Kind, Outcome, Query, Reason, Severity, Slo, SloResult, Stat, Tally, Validity, Verdict, WorkerLossPolicy,
};
