//! Base-2 exponential histogram of durations at scale 8: the buckets of OTLP and of Prometheus native histograms.
//!
//! Bounds are in `buckets.rs`, percentiles in `percentile.rs`, the form on the wire in `parts.rs`.

use crate::buckets::{bucket_of, middle, upper_bound};

/// Buckets per octave are 2^SCALE; bucket `i` holds values in `(2^(i/256), 2^((i+1)/256)]` seconds.
pub const SCALE: i32 = 8;

/// Counters are allocated in steps of this many.
const STEP: i32 = 64;

/// Durations in nanoseconds, counted in buckets of seconds, with exact count, sum, minimum and maximum beside them.
///
/// Two histograms are equal if they count the same, whatever memory they hold; empty ones are equal at any scale.
#[derive(Clone, Debug)]
pub struct Histogram {
    /// Scale is `8 - shift`.
    shift: u8,
    count: u64,
    zero: u64,
    sum: u128,
    min: u64,
    max: u64,
    /// Index of the first counter.
    first: i32,
    /// From the lowest bucket seen to the highest, in whole steps.
    counters: Vec<u64>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { shift: 0, count: 0, zero: 0, sum: 0, min: u64::MAX, max: 0, first: 0, counters: Vec::new() }
    }
}

impl Histogram {
    /// An empty histogram at scale 8. Takes no memory beyond itself until something is recorded.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty histogram at a scale of 0 to 8; others are moved into that range.
    #[must_use]
    pub fn at_scale(scale: i32) -> Self {
        Self { shift: (SCALE - scale.clamp(0, SCALE)) as u8, ..Self::default() }
    }

    /// Counts one duration. Allocates only when it falls far from all before it.
    #[inline]
    pub fn record(&mut self, nanos: u64) {
        self.record_in(bucket_of(nanos) >> self.shift, nanos);
    }

    /// Counts one duration whose bucket at this scale is known.
    #[inline]
    pub(crate) fn record_in(&mut self, index: i32, nanos: u64) {
        self.count += 1;
        self.sum += u128::from(nanos);
        // Branches that are nearly never taken cost less than two stores.
        if nanos < self.min {
            self.min = nanos;
        }
        if nanos > self.max {
            self.max = nanos;
        }
        if nanos == 0 {
            self.zero += 1;
        } else if let Some(counter) = self.counters.get_mut(index.wrapping_sub(self.first) as usize) {
            *counter += 1;
        } else {
            self.widen(index);
            self.add(index, 1);
        }
    }

    #[inline]
    fn add(&mut self, index: i32, n: u64) {
        // An index before the first one wraps to a number that is out of range.
        if let Some(counter) = self.counters.get_mut(index.wrapping_sub(self.first) as usize) {
            *counter = counter.saturating_add(n);
        } else {
            self.widen(index);
            self.add(index, n);
        }
    }

    /// Makes room for a bucket that lies outside of those counted so far.
    #[cold]
    fn widen(&mut self, index: i32) {
        let first = index - index.rem_euclid(STEP);
        if self.counters.is_empty() {
            self.first = first;
        }
        let before = (self.first - first).max(0) as usize;
        self.counters.splice(0..0, std::iter::repeat_n(0, before));
        self.first = self.first.min(first);
        let end = (first + STEP - self.first) as usize;
        self.counters.resize(end.max(self.counters.len()), 0);
    }

    /// Adds another histogram. Unequal scales become the coarser of the two.
    pub fn merge(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        if self.is_empty() {
            self.shift = other.shift;
            self.counters.clear();
        } else if self.shift < other.shift {
            *self = self.downscale(other.scale());
        }
        self.count = self.count.saturating_add(other.count);
        self.zero = self.zero.saturating_add(other.zero);
        self.sum = self.sum.saturating_add(other.sum);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        let coarser = self.shift - other.shift.min(self.shift);
        for (index, n) in other.buckets() {
            self.add(index >> coarser, n);
        }
    }

    /// The same durations at a coarser scale (0 to 8); at its own scale or a finer one, a copy.
    #[must_use]
    pub fn downscale(&self, scale: i32) -> Self {
        let mut coarse = Self::at_scale(scale.min(self.scale()));
        let by = coarse.shift - self.shift;
        for (index, n) in self.buckets() {
            coarse.add(index >> by, n);
        }
        Self { count: self.count, zero: self.zero, sum: self.sum, min: self.min, max: self.max, ..coarse }
    }

    /// Everything recorded so far; this one starts afresh and keeps its memory.
    #[must_use]
    pub fn take(&mut self) -> Self {
        let filled = |n: &u64| *n > 0;
        let start = self.counters.iter().position(filled).unwrap_or_default();
        let end = self.counters.iter().rposition(filled).map_or(start, |last| last + 1);
        let counters = self.counters[start..end].to_vec();
        self.counters[start..end].fill(0);
        let emptied = Self { shift: self.shift, first: self.first, ..Self::default() };
        let kept = Self { counters: std::mem::take(&mut self.counters), ..emptied };
        Self { counters, first: kept.first + start as i32, ..std::mem::replace(self, kept) }
    }

    /// Whether nothing was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Number of durations, exact.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Durations of 0 ns, which have no bucket.
    #[must_use]
    pub fn zero(&self) -> u64 {
        self.zero
    }

    /// Sum in nanoseconds, exact.
    #[must_use]
    pub fn sum(&self) -> u128 {
        self.sum
    }

    /// Smallest duration in nanoseconds, exact.
    #[must_use]
    pub fn min(&self) -> Option<u64> {
        (!self.is_empty()).then_some(self.min)
    }

    /// Largest duration in nanoseconds, exact.
    #[must_use]
    pub fn max(&self) -> Option<u64> {
        (!self.is_empty()).then_some(self.max)
    }

    /// Mean in whole nanoseconds, rounded down.
    #[must_use]
    pub fn mean(&self) -> Option<u64> {
        self.sum.checked_div(u128::from(self.count)).and_then(|mean| u64::try_from(mean).ok())
    }

    /// Scale of the buckets, 0 to 8; a bucket's index is to be read with it.
    #[must_use]
    pub fn scale(&self) -> i32 {
        SCALE - i32::from(self.shift)
    }

    /// Filled buckets as `(index, count)`, ascending. Index `i` is `(2^(i/2^scale), 2^((i+1)/2^scale)]` seconds.
    pub fn buckets(&self) -> impl Iterator<Item = (i32, u64)> + '_ {
        (self.first..).zip(self.counters.iter().copied()).filter(|(_, n)| *n > 0)
    }

    /// Upper bound of a bucket of this histogram's scale, nanoseconds.
    #[must_use]
    pub fn upper_bound(&self, index: i32) -> f64 {
        upper_bound(index, self.shift)
    }

    /// The duration of a rank (from 1) among the sorted ones: exact for the first and the last, otherwise the geometric middle of its
    /// bucket, within minimum and maximum: at scale 8 at most 0.14 % off. Nothing for rank 0 and beyond the last.
    #[must_use]
    pub fn at_rank(&self, rank: u64) -> Option<u64> {
        if rank == 0 || rank > self.count {
            return None;
        }
        if rank == 1 || rank == self.count {
            return Some(if rank == 1 { self.min } else { self.max });
        }
        let mut seen = self.zero;
        if rank <= seen {
            return Some(0);
        }
        for (index, n) in self.buckets() {
            seen = seen.saturating_add(n);
            if rank <= seen {
                return Some(middle(index, self.shift).clamp(self.min, self.max));
            }
        }
        Some(self.max)
    }

    /// Puts a histogram together from counts that `parts.rs` has checked.
    pub(crate) fn assemble(
        scale: i32,
        zero: u64,
        totals: (u64, u128),
        range: (u64, u64),
        buckets: &[(i32, u64)],
    ) -> Self {
        let mut histogram = Self::at_scale(scale);
        for (index, n) in buckets {
            histogram.add(*index, *n);
        }
        let ((count, sum), (min, max)) = (totals, range);
        Self { count, zero, sum, min, max, ..histogram }
    }
}

impl PartialEq for Histogram {
    fn eq(&self, other: &Self) -> bool {
        let exact = |h: &Self| (h.count, h.zero, h.sum, h.min, h.max);
        exact(self) == exact(other)
            && (self.is_empty() || self.shift == other.shift)
            && self.buckets().eq(other.buckets())
    }
}

impl Eq for Histogram {}
