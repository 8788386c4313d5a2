//! Native histograms: our own buckets as they are. Schema 8 is our scale 8, and bucket `i` of ours is bucket `i + 1` of Prometheus, which
//! numbers a bucket by its upper bound.

use plimsoll_measure::Histogram;

use super::model::BucketSpan;

/// Width of the bucket around zero: the one that Prometheus' own libraries use, far below a nanosecond.
pub(super) const ZERO_THRESHOLD: f64 = 2.938_735_877_055_719e-39;

/// Octaves of the largest finite number: what is above it counts as infinite.
const OCTAVES: i32 = 1024;

/// Positive buckets, sparse: spans of consecutive ones, and each count as its distance to the one before.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Buckets {
    pub(super) spans: Vec<BucketSpan>,
    pub(super) deltas: Vec<i64>,
}

/// The buckets of a histogram. What has no end is in the bucket of infinity, so that a percentile that falls there is `+Inf`.
pub(super) fn buckets(durations: &Histogram, endless: u64) -> Buckets {
    let finite = durations.buckets().map(|(index, count)| (index + 1, count));
    let infinite = (endless > 0).then_some(((OCTAVES << durations.scale()) + 1, endless));
    let mut buckets = Buckets::default();
    let (mut next, mut before) = (None, 0i64);
    for (index, count) in finite.chain(infinite) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        match (next, buckets.spans.last_mut()) {
            (Some(next), Some(span)) if next == index => span.length += 1,
            // The first offset is the index itself, the others are gaps.
            _ => buckets.spans.push(BucketSpan { offset: index - next.unwrap_or(0), length: 1 }),
        }
        buckets.deltas.push(count.wrapping_sub(before));
        (next, before) = (Some(index + 1), count);
    }
    if buckets.spans.is_empty() {
        // Without any it would be taken for a classic one.
        buckets.spans.push(BucketSpan::default());
    }
    buckets
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a reader makes of spans and deltas.
    fn read(buckets: &Buckets) -> Vec<(i32, i64)> {
        let (mut index, mut count) = (0, 0);
        let mut deltas = buckets.deltas.iter();
        let mut found = Vec::new();
        for span in &buckets.spans {
            index += span.offset;
            for _ in 0..span.length {
                count += deltas.next().unwrap();
                found.push((index, count));
                index += 1;
            }
        }
        assert_eq!(deltas.next(), None);
        found
    }

    proptest! {
        #[test]
        fn every_bucket_arrives_with_its_count(nanos in proptest::collection::vec(1..u64::MAX, 0..100), endless in 0..5u64) {
            let mut durations = Histogram::new();
            nanos.iter().for_each(|nanos| durations.record(*nanos));
            let wanted = durations.buckets().map(|(index, count)| (index + 1, count as i64));
            let wanted: Vec<(i32, i64)> = wanted.chain((endless > 0).then_some((262_145, endless as i64))).collect();
            prop_assert_eq!(read(&buckets(&durations, endless)), wanted);
        }
    }

    #[test]
    fn an_empty_one_is_still_native() {
        let empty = buckets(&Histogram::new(), 0);
        assert_eq!((empty.spans.len(), empty.deltas.len()), (1, 0));
        assert_eq!(read(&empty), []);
    }
}
