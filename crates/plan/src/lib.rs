//! Says what load is due when, and how it is cut into shares. Pure: no clock, no IO, no async.
//!
//! `plimsoll-api` lowers a LoadTest to a [`Plan`]; every worker computes its [`Share`] from its index; the engine asks its part of
//! each load when users start and stop (closed model, `users.rs`) or when arrivals are due (open model, `arrivals.rs`).

mod arrivals;
mod check;
mod curve;
#[cfg(test)]
mod fixtures;
mod group;
mod model;
mod references;
mod shorten;
mod split;
mod users;

pub use arrivals::{Arrival, Arrivals};
pub use check::PlanError;
pub use model::{
    Connections, ConnectionsPer, Distribution, GroupShare, HttpVersion, Load, LoadGroup, PLAN_VERSION, Plan,
    Preflight, Ramp, RunId, Share, Stride, Target, Tls,
};
pub use split::SplitError;
pub use users::{Interval, UserLife};
