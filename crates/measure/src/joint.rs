//! The histograms of one (request, window) that nearly every sample adds to, as one table of small counters: what lies near in time
//! lies near in memory. Filled batch by batch in `fold.rs`, emptied into a cell by `tally.rs`.

use crate::Histogram;
use crate::batch::{FIRST_BYTE, LATENCY, SERVICE, SIZE};
use crate::buckets::{ORIGIN, bucket_of};
use crate::fold::Durations;
use crate::histogram::{Totals, filled};

/// Counters are allocated in steps of this many buckets, 512 bytes.
const STEP: i32 = 64;

/// Of one bucket: latencies that are the service time as well, other latencies, service times of the latter, first bytes.
pub(crate) type Lanes = [u16; 4];
/// See [`Lanes`].
pub(crate) const SAME: usize = 0;
/// See [`Lanes`].
pub(crate) const LATER: usize = 1;
/// See [`Lanes`].
pub(crate) const SERVED: usize = 2;
/// See [`Lanes`].
pub(crate) const BEGUN: usize = 3;

/// Latencies, service times and first bytes of requests that succeeded.
#[derive(Debug, Default)]
pub(crate) struct Joint {
    /// Samples counted since it was last emptied: no counter is over that, nor are latencies of one bucket together.
    samples: usize,
    /// Bucket of the first counters.
    first: i32,
    counters: Vec<Lanes>,
    /// Of latencies, service times, first bytes.
    totals: [Totals; 3],
}

impl Joint {
    /// Whether a batch more could make a counter overflow.
    pub(crate) fn is_full(&self) -> bool {
        self.samples > usize::from(u16::MAX) - SIZE
    }

    /// Adds a batch to the totals, and lends the counters for its buckets with the place of the first one (`buckets.rs`).
    pub(crate) fn begin(&mut self, durations: &[Durations; 4], later: bool) -> (&mut [Lanes], u64) {
        let service = if later { SERVICE } else { LATENCY };
        let fields = [LATENCY, service, FIRST_BYTE].map(|field| &durations[field]);
        self.samples += fields[0].totals.count as usize;
        for (sum, field) in self.totals.iter_mut().zip(fields) {
            sum.merge(&field.totals);
        }
        let [latency, service, first_byte] = fields.map(Durations::range);
        let low = latency.0.min(service.0).min(first_byte.0);
        let high = latency.1.max(service.1).max(first_byte.1);
        // Zeros alone have no bucket.
        if high > 0 {
            self.cover(bucket_of(low), bucket_of(high));
        }
        (&mut self.counters, (self.first + ORIGIN) as u64)
    }

    fn cover(&mut self, low: i32, high: i32) {
        if low < self.first || high - self.first >= self.counters.len() as i32 {
            self.widen(low, high);
        }
    }

    /// Makes room for all buckets from one to another.
    #[cold]
    fn widen(&mut self, low: i32, high: i32) {
        let low = low - low.rem_euclid(STEP);
        if self.counters.is_empty() {
            self.first = low;
        }
        let first = low.min(self.first);
        let end = (high - high.rem_euclid(STEP) + STEP).max(self.first + self.counters.len() as i32);
        let mut wider = vec![Lanes::default(); (end - first) as usize];
        let at = (self.first - first) as usize;
        if let Some(same) = wider.get_mut(at..at + self.counters.len()) {
            same.copy_from_slice(&self.counters);
        }
        (self.first, self.counters) = (first, wider);
    }

    /// The histograms of latencies, service times and first bytes; this one starts afresh and keeps its memory.
    pub(crate) fn take(&mut self) -> [Histogram; 3] {
        if self.samples == 0 {
            return Default::default();
        }
        let filled = filled(&self.counters, |lanes| *lanes != Lanes::default());
        let first = self.first + filled.start as i32;
        let lanes = &mut self.counters[filled];
        let counters = [
            lanes.iter().map(|lanes| lanes[SAME].wrapping_add(lanes[LATER])).collect(),
            lanes.iter().map(|lanes| lanes[SAME].wrapping_add(lanes[SERVED])).collect(),
            lanes.iter().map(|lanes| lanes[BEGUN]).collect(),
        ];
        lanes.fill(Lanes::default());
        self.samples = 0;
        let [latency, service, first_byte] = counters;
        let [latencies, services, first_bytes] = std::mem::take(&mut self.totals);
        [
            Histogram::counted(first, latency, latencies),
            Histogram::counted(first, service, services),
            Histogram::counted(first, first_byte, first_bytes),
        ]
    }
}
