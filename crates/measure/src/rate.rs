//! The unit in which rates are kept: the plan's arrivals per time and the limits of a throughput. `plimsoll-api` reads rates into it,
//! `plimsoll-slo` shows them.

/// Seconds over which a rate that is kept counts its events: 1000 minutes, so that both a rate per second and one per minute, with
/// three decimals each, are integers. One event per second is this number.
pub const RATE_SECONDS: u64 = 60_000;
