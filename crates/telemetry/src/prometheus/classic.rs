//! Classic histograms: one fixed list of bounds, and the thresholds of the run's SLOs among them, so that the share within a threshold is a
//! bucket of its own.

use plimsoll_measure::Histogram;

/// Upper bounds of all classic histograms, nanoseconds: 100 µs to 60 s, about three to a decade, and what people ask for in between.
const FIXED: [u64; 20] = [
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    750_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    20_000_000_000,
    30_000_000_000,
    60_000_000_000,
];

/// A bucket: the upper bound in seconds, and how many durations are at most that.
pub(super) type Bucket = (f64, u64);

/// The buckets of a classic histogram but for the last one, `+Inf`.
///
/// A bucket of ours that a bound lies in is on the side of its geometric middle, so that a bound is at most 0.14 % off.
pub(super) fn buckets(durations: &Histogram, own: &[u64]) -> Vec<Bucket> {
    let mut bounds: Vec<u64> = FIXED.iter().chain(own).copied().collect();
    bounds.sort_unstable();
    bounds.dedup();
    let middles = durations.buckets().map(|(index, count)| (middle(durations.scale(), index), count));
    let mut middles = middles.peekable();
    let mut seen = durations.zero();
    let (min, max) = (durations.min().unwrap_or_default(), durations.max().unwrap_or_default());
    let mut cumulative = Vec::with_capacity(bounds.len());
    for bound in bounds {
        while let Some((_, count)) = middles.next_if(|(middle, _)| *middle <= bound as f64) {
            seen = seen.saturating_add(count);
        }
        // What is exact is not estimated.
        let exact = match bound {
            _ if bound >= max => durations.count(),
            _ if bound < min => 0,
            _ => seen,
        };
        cumulative.push((bound as f64 / 1e9, exact));
    }
    cumulative
}

/// Geometric middle of a bucket, nanoseconds.
fn middle(scale: i32, index: i32) -> f64 {
    ((f64::from(index) + 0.5) / f64::from(1 << scale)).exp2() * 1e9
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn buckets_are_cumulative_and_within_the_precision_of_ours(
            nanos in proptest::collection::vec(0..70_000_000_000u64, 1..200), own in proptest::collection::vec(1..60_000_000_000u64, 0..4),
        ) {
            let mut durations = Histogram::new();
            nanos.iter().for_each(|nanos| durations.record(*nanos));
            let buckets = buckets(&durations, &own);
            prop_assert!(buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1));
            for (bound, count) in buckets {
                let at_most = |bound: f64| nanos.iter().filter(|nanos| **nanos as f64 <= bound * 1e9).count() as u64;
                prop_assert!((at_most(bound * 0.998)..=at_most(bound * 1.002)).contains(&count), "{bound}: {count}");
            }
        }
    }

    #[test]
    fn thresholds_are_bounds() {
        let mut durations = Histogram::new();
        [299_000_000, 301_000_000].into_iter().for_each(|nanos| durations.record(nanos));
        let buckets = buckets(&durations, &[300_000_000, 500_000_000]);
        assert_eq!(buckets.iter().find(|(bound, _)| *bound == 0.3), Some(&(0.3, 1)));
        assert_eq!(buckets.iter().filter(|(bound, _)| *bound == 0.5).count(), 1);
    }
}
