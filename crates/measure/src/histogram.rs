//! Base-2 exponential histogram of durations at scale 8: the buckets of OTLP and of Prometheus native histograms.

use serde::{Deserialize, Serialize};

/// Buckets per octave are 2^SCALE; bucket `i` holds values in `(2^(i/256), 2^((i+1)/256)]` seconds.
pub const SCALE: i32 = 8;

/// Placeholder representation: the real one is lazily paged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {}

/// A percentile by nearest rank.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Percentile {
    /// No samples.
    NoData,
    /// Nanoseconds.
    Finite(u64),
    /// The rank falls among incomplete requests: larger than any finite latency.
    OverMax,
}
