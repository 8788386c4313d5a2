//! Judges snapshots and query results. Pure: no clock, no IO, no async.
//!
//! The operator and `plimsoll run` call the same functions: [`judge`] at the end, and [`live`] every second on the counts so far.

mod arrivals;
mod doubt;
mod drift;
mod evaluate;
mod judge;
mod latency;
mod live;
mod metrics;
mod model;
mod query;
mod question;
mod rates;
mod recovery;
mod rejudge;
mod scope;
mod sourced;
pub mod template;
pub mod text;
mod validity;

pub use judge::judge;
pub use latency::stat_name;
pub use live::live;

pub use model::{
    Facts, Judgement, Kind, Outcome, Query, Reason, Severity, Slo, SloResult, Stat, Tally, Validity, Verdict,
    WorkerLossPolicy,
};
pub use question::{Aggregate, Ask, Asked, Over, Question};
pub use rates::class_name;
pub use rejudge::rejudge;
pub use validity::{lag, lateness};
