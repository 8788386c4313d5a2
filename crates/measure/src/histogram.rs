//! Base-2 exponential histogram of durations at scale 8: the buckets of OTLP and of Prometheus native histograms.
//!
//! Bounds are in `buckets.rs`, percentiles in `percentile.rs`, the form on the wire in `parts.rs`.

use crate::buckets::{ORIGIN, bucket_of, middle, upper_bound};

/// Buckets per octave are 2^SCALE; bucket `i` holds values in `(2^(i/256), 2^((i+1)/256)]` seconds.
pub const SCALE: i32 = 8;

/// Counters are allocated in steps of this many.
const STEP: i32 = 64;

/// Durations in nanoseconds, counted in buckets of seconds, with exact count, sum, minimum and maximum beside them.
///
/// Two histograms are equal if they count the same, whatever memory they hold; empty ones are equal at any scale.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// Scale is `8 - shift`.
    shift: u8,
    totals: Totals,
    /// Index of the first counter.
    first: i32,
    /// From the lowest bucket seen to the highest, in whole steps.
    counters: Vec<u64>,
    /// These instead, in a histogram that came out of a batch table (`joint.rs`) and was added to nothing yet: snapshots of one second
    /// are handed over by the thousand, and need a quarter of the memory.
    small: Vec<u16>,
}

/// What is exact of durations in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) count: u64,
    /// Of `count`, those of 0 ns.
    pub(crate) zero: u64,
    pub(crate) sum: u128,
    /// `u64::MAX` if there are none.
    pub(crate) min: u64,
    pub(crate) max: u64,
}

/// Counters of a histogram that reach over all durations that are to be counted, but zeros.
pub(crate) struct Counters<'h> {
    counters: &'h mut [u64],
    /// Place of the first one.
    first: u64,
}

impl Counters<'_> {
    /// Counters of nothing.
    pub(crate) fn none() -> Self {
        Self { counters: &mut [], first: 0 }
    }

    /// Counts a duration by its place (`buckets.rs`) at this scale; one of zero is left to the totals.
    #[inline(always)]
    pub(crate) fn count(&mut self, place: u64) {
        if let Some(counter) = self.counters.get_mut(place.wrapping_sub(self.first) as usize) {
            *counter += 1;
        }
    }
}

impl Default for Totals {
    fn default() -> Self {
        Self { count: 0, zero: 0, sum: 0, min: u64::MAX, max: 0 }
    }
}

impl Totals {
    pub(crate) fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.zero = self.zero.saturating_add(other.zero);
        self.sum = self.sum.saturating_add(other.sum);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
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
        let totals = &mut self.totals;
        totals.count += 1;
        totals.sum += u128::from(nanos);
        // Branches that are nearly never taken cost less than two stores.
        if nanos < totals.min {
            totals.min = nanos;
        }
        if nanos > totals.max {
            totals.max = nanos;
        }
        if nanos == 0 {
            totals.zero += 1;
        } else {
            self.add(index, 1);
        }
    }

    /// Adds to the totals, and lends the counters of a range of durations.
    pub(crate) fn begin(&mut self, totals: &Totals, (low, high): (u64, u64)) -> Counters<'_> {
        self.totals.merge(totals);
        // Zeros alone have no bucket.
        if high > 0 {
            self.cover(bucket_of(low) >> self.shift, bucket_of(high) >> self.shift);
        }
        let first = (self.first + (ORIGIN >> self.shift)) as u64;
        Counters { counters: &mut self.counters, first }
    }

    /// Durations that were counted elsewhere, at scale 8; the counters begin at a bucket.
    pub(crate) fn counted(first: i32, small: Vec<u16>, totals: Totals) -> Self {
        Self { shift: 0, totals, first, counters: Vec::new(), small }
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

    /// Makes room for all buckets from one to another.
    fn cover(&mut self, low: i32, high: i32) {
        for index in [low, high] {
            if index.wrapping_sub(self.first) as usize >= self.counters.len() {
                self.widen(index);
            }
        }
    }

    /// Makes room for a bucket that lies outside of those counted so far.
    #[cold]
    fn widen(&mut self, index: i32) {
        self.grow();
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

    /// Moves small counters to where they can be added to.
    fn grow(&mut self) {
        if !self.small.is_empty() {
            self.counters = std::mem::take(&mut self.small).into_iter().map(u64::from).collect();
        }
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
        self.totals.merge(&other.totals);
        if self.shift == other.shift {
            return self.add_all(other);
        }
        let coarser = self.shift - other.shift.min(self.shift);
        for (index, n) in other.buckets() {
            self.add(index >> coarser, n);
        }
    }

    /// Adds the counters of a histogram of the same scale, one by one.
    fn add_all(&mut self, other: &Self) {
        let small = filled(&other.small, |n| *n > 0);
        let wide = filled(&other.counters, |n| *n > 0);
        let filled = if small.is_empty() { wide.clone() } else { small.clone() };
        if filled.is_empty() {
            return;
        }
        let first = other.first + filled.start as i32;
        self.cover(first, first + filled.len() as i32 - 1);
        let counters = &mut self.counters[(first - self.first) as usize..];
        add_each(counters, other.small[small].iter().copied().map(u64::from));
        add_each(counters, other.counters[wide].iter().copied());
    }

    /// The same durations at a coarser scale (0 to 8); at its own scale or a finer one, a copy.
    #[must_use]
    pub fn downscale(&self, scale: i32) -> Self {
        let mut coarse = Self::at_scale(scale.min(self.scale()));
        let by = coarse.shift - self.shift;
        for (index, n) in self.buckets() {
            coarse.add(index >> by, n);
        }
        Self { totals: self.totals, ..coarse }
    }

    /// Everything recorded so far; this one starts afresh and keeps its memory.
    #[must_use]
    pub fn take(&mut self) -> Self {
        if self.is_empty() {
            return Self { shift: self.shift, ..Self::default() };
        }
        self.grow();
        let filled = filled(&self.counters, |n| *n > 0);
        let counters = self.counters[filled.clone()].to_vec();
        self.counters[filled.clone()].fill(0);
        let first = self.first + filled.start as i32;
        Self {
            shift: self.shift,
            totals: std::mem::take(&mut self.totals),
            first,
            counters,
            small: Vec::new(),
        }
    }

    /// Adds everything that another one of scale 8 recorded so far; that one starts afresh and keeps its memory.
    pub(crate) fn take_from(&mut self, other: &mut Self) {
        if self.is_empty() {
            *self = other.take();
        } else if !other.is_empty() {
            self.merge(&other.take());
        }
    }

    /// Whether nothing was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.totals.count == 0
    }

    /// Number of durations, exact.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.totals.count
    }

    /// Durations of 0 ns, which have no bucket.
    #[must_use]
    pub fn zero(&self) -> u64 {
        self.totals.zero
    }

    /// Sum in nanoseconds, exact.
    #[must_use]
    pub fn sum(&self) -> u128 {
        self.totals.sum
    }

    /// Smallest duration in nanoseconds, exact.
    #[must_use]
    pub fn min(&self) -> Option<u64> {
        (!self.is_empty()).then_some(self.totals.min)
    }

    /// Largest duration in nanoseconds, exact.
    #[must_use]
    pub fn max(&self) -> Option<u64> {
        (!self.is_empty()).then_some(self.totals.max)
    }

    /// Mean in whole nanoseconds, rounded down.
    #[must_use]
    pub fn mean(&self) -> Option<u64> {
        self.totals.sum.checked_div(u128::from(self.totals.count)).and_then(|mean| u64::try_from(mean).ok())
    }

    /// Scale of the buckets, 0 to 8; a bucket's index is to be read with it.
    #[must_use]
    pub fn scale(&self) -> i32 {
        SCALE - i32::from(self.shift)
    }

    /// Filled buckets as `(index, count)`, ascending. Index `i` is `(2^(i/2^scale), 2^((i+1)/2^scale)]` seconds.
    pub fn buckets(&self) -> impl Iterator<Item = (i32, u64)> + '_ {
        // Only one of the two holds any.
        let counters = self.small.iter().copied().map(u64::from).chain(self.counters.iter().copied());
        (self.first..).zip(counters).filter(|(_, n)| *n > 0)
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
        let Totals { count, zero, min, max, .. } = self.totals;
        if rank == 0 || rank > count {
            return None;
        }
        if rank == 1 || rank == count {
            return Some(if rank == 1 { min } else { max });
        }
        let mut seen = zero;
        if rank <= seen {
            return Some(0);
        }
        for (index, n) in self.buckets() {
            seen = seen.saturating_add(n);
            if rank <= seen {
                return Some(middle(index, self.shift).clamp(min, max));
            }
        }
        Some(max)
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
        Self { totals: Totals { count, zero, sum, min, max }, ..histogram }
    }
}

impl PartialEq for Histogram {
    fn eq(&self, other: &Self) -> bool {
        self.totals == other.totals
            && (self.is_empty() || self.shift == other.shift)
            && self.buckets().eq(other.buckets())
    }
}

impl Eq for Histogram {}

fn add_each(counters: &mut [u64], other: impl Iterator<Item = u64>) {
    for (counter, n) in counters.iter_mut().zip(other) {
        *counter = counter.saturating_add(n);
    }
}

/// From the first filled counter to the last.
pub(crate) fn filled<T>(counters: &[T], is_filled: impl Fn(&T) -> bool) -> std::ops::Range<usize> {
    let start = counters.iter().position(&is_filled).unwrap_or_default();
    start..counters.iter().rposition(&is_filled).map_or(start, |last| last + 1)
}
