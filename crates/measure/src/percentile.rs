//! Percentiles by nearest rank, over complete requests and those without a complete response. Reads `histogram.rs`.

use crate::Histogram;

/// A percentile by nearest rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Percentile {
    /// No samples.
    NoData,
    /// Nanoseconds.
    Finite(u64),
    /// The rank falls among incomplete requests: larger than any finite latency.
    OverMax,
}

/// The rank of a percentile among `n` sorted samples: `⌈q·n⌉`, at least 1. `q` is in hundredths of a percent (p99.9 = 9990).
#[must_use]
pub fn rank(q: u32, n: u64) -> u64 {
    let rank = (u128::from(n) * u128::from(q.min(10_000))).div_ceil(10_000);
    u64::try_from(rank).unwrap_or(u64::MAX).max(1)
}

impl Histogram {
    /// The sample of rank `⌈q·n⌉` of the `n` = recorded + `incomplete` ones, where incomplete ones rank above all others.
    /// `q` is in hundredths of a percent.
    #[must_use]
    pub fn percentile(&self, q: u32, incomplete: u64) -> Percentile {
        let n = self.count().saturating_add(incomplete);
        if n == 0 {
            return Percentile::NoData;
        }
        self.at_rank(rank(q, n)).map_or(Percentile::OverMax, Percentile::Finite)
    }
}

impl Percentile {
    /// The same percentile on the side of `bound` (nanoseconds) where exact counters saw it: at most the bound if `holds`, over it if not.
    /// So a shown number never contradicts its result.
    #[must_use]
    pub fn clamped(self, bound: u64, holds: bool) -> Self {
        match self {
            Self::Finite(nanos) if holds => Self::Finite(nanos.min(bound)),
            Self::Finite(nanos) => Self::Finite(nanos.max(bound.saturating_add(1))),
            Self::OverMax if holds => Self::Finite(bound),
            other => other,
        }
    }

    /// Nanoseconds, if it is finite.
    #[must_use]
    pub fn finite(self) -> Option<u64> {
        if let Self::Finite(nanos) = self { Some(nanos) } else { None }
    }
}
