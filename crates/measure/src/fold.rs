//! Counts the samples of a batch in two loops: what they sum up to first, for all four durations at once, then their buckets. Batches
//! are gathered in `batch.rs`; what is counted goes to `joint.rs`, to the series and to the generator's health.

use crate::batch::{FIRST_BYTE, LATENCY, LATENESS, SERVICE, SIZE, Short};
use crate::buckets::place_of;
use crate::histogram::{Counters, Totals};
use crate::joint::{BEGUN, LATER, Lanes, SAME, SERVED};
use crate::seconds::COARSER;

/// One of the durations of all samples of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Durations {
    pub(crate) totals: Totals,
    /// The smallest that is not zero; `u64::MAX` if all are.
    pub(crate) least: u64,
}

impl Durations {
    /// From the smallest that has a bucket to the largest.
    pub(crate) fn range(&self) -> (u64, u64) {
        (self.least, self.totals.max)
    }
}

/// The durations of a batch as doubles, which hold them without loss: bucket and order of each can be read off its bits.
#[derive(Debug)]
pub(crate) struct Fold {
    doubles: Vec<[u64; 4]>,
    count: usize,
}

impl Fold {
    pub(crate) fn new() -> Self {
        Self { doubles: vec![[0; 4]; SIZE], count: 0 }
    }

    /// Takes the samples of a batch over, and says what each of their durations sums up to. Sums of 2^22 of them are exact.
    pub(crate) fn load(&mut self, samples: &[Short]) -> [Durations; 4] {
        let (mut min, mut max, mut sum) = ([f64::MAX; 4], [0f64; 4], [0f64; 4]);
        for (sample, bits) in samples.iter().zip(&mut self.doubles) {
            let nanos = sample.map(f64::from);
            for field in 0..4 {
                // Not `f64::min`, which would look out for what is no number. In this order it is one instruction.
                min[field] = if min[field] < nanos[field] { min[field] } else { nanos[field] };
                max[field] = if max[field] > nanos[field] { max[field] } else { nanos[field] };
                sum[field] += nanos[field];
            }
            *bits = nanos.map(f64::to_bits);
        }
        self.count = samples.len();
        std::array::from_fn(|field| {
            let [min, max, sum] = [min, max, sum].map(|figures| figures[field] as i64 as u64);
            let totals = Totals { count: samples.len() as u64, zero: 0, sum: u128::from(sum), min, max };
            match (min, max) {
                (0, 0) => Durations { totals: Totals { zero: totals.count, ..totals }, least: u64::MAX },
                (0, _) => with_zeros(samples, field, totals),
                _ => Durations { totals, least: min },
            }
        })
    }

    /// Counts the buckets of all samples. Where service times are the latencies, they are not counted beside them.
    pub(crate) fn count(
        &self,
        later: bool,
        joint: (&mut [Lanes], u64),
        series: Counters<'_>,
        lateness: Option<Counters<'_>>,
    ) {
        let doubles = &self.doubles[..self.count];
        match (later, lateness) {
            (false, None) => count::<false, false>(doubles, joint, series, Counters::none()),
            (true, None) => count::<true, false>(doubles, joint, series, Counters::none()),
            (false, Some(lateness)) => count::<false, true>(doubles, joint, series, lateness),
            (true, Some(lateness)) => count::<true, true>(doubles, joint, series, lateness),
        }
    }
}

#[cold]
fn with_zeros(samples: &[Short], field: usize, totals: Totals) -> Durations {
    let filled = samples.iter().map(|sample| sample[field] as u64).filter(|nanos| *nanos > 0);
    let zero = totals.count - filled.clone().count() as u64;
    Durations { totals: Totals { zero, ..totals }, least: filled.min().unwrap_or(u64::MAX) }
}

fn count<const IS_LATER: bool, const IS_LATE: bool>(
    doubles: &[[u64; 4]],
    (lanes, first): (&mut [Lanes], u64),
    mut series: Counters<'_>,
    mut lateness: Counters<'_>,
) {
    for sample in doubles {
        let mut count = |lane: usize, place: u64| {
            // What has no counter is zero. No counter overflows: the joint table is emptied before.
            if let Some(lanes) = lanes.get_mut(place.wrapping_sub(first) as usize) {
                lanes[lane] = lanes[lane].wrapping_add(1);
            }
        };
        let latency = place_of(sample[LATENCY]);
        if IS_LATER {
            count(LATER, latency);
            count(SERVED, place_of(sample[SERVICE]));
        } else {
            count(SAME, latency);
        }
        count(BEGUN, place_of(sample[FIRST_BYTE]));
        series.count(latency >> COARSER);
        if IS_LATE {
            lateness.count(place_of(sample[LATENESS]));
        }
    }
}
