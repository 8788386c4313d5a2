//! The per-second series while it grows. A request belongs to the second of its intended start, which may be long past when it ends, so
//! several seconds are open at once. Filled by `recorder.rs`; folded and merged by `series.rs`.

use crate::{Histogram, ObjectiveCount, SCALE, Sample, Second};

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// Scale of the series' histograms.
const COARSE: i32 = 3;

/// From a bucket at scale 8 to one of the series.
pub(crate) const COARSER: i32 = SCALE - COARSE;

/// The seconds that saw something since the last take.
#[derive(Debug)]
pub(crate) struct Seconds {
    /// In use: the first `open` of these; the others are kept for reuse.
    slots: Vec<Slot>,
    open: usize,
    /// Where the last one was found, when it begins and how long it is; 0 while none is open.
    last: usize,
    from: u64,
    length: u64,
    objectives: usize,
}

/// One open second.
#[derive(Debug)]
pub(crate) struct Slot {
    second: u32,
    pub(crate) asked: u64,
    failed: u64,
    incomplete: u64,
    not_sent: u64,
    pub(crate) objectives: Vec<ObjectiveCount>,
    pub(crate) latency: Histogram,
}

impl Seconds {
    pub(crate) fn new(objectives: usize) -> Self {
        Self { slots: vec![Slot::new(objectives)], open: 0, last: 0, from: 0, length: 0, objectives }
    }

    /// The slot of a moment, opened if need be.
    pub(crate) fn at(&mut self, nanos: u64) -> &mut Slot {
        let slot = self.index(nanos);
        &mut self.slots[slot]
    }

    /// A slot that was opened since the last take.
    pub(crate) fn slot(&mut self, index: usize) -> Option<&mut Slot> {
        self.slots.get_mut(index)
    }

    /// From where on the last slot reaches, and for how many nanoseconds.
    pub(crate) fn stretch(&self) -> (u64, u64) {
        (self.from, self.length)
    }

    /// Which slot is that of a moment; opened if need be.
    pub(crate) fn index(&mut self, nanos: u64) -> usize {
        if nanos.wrapping_sub(self.from) >= self.length {
            let second = u32::try_from(nanos / SECOND).unwrap_or(u32::MAX);
            self.last = self.find(second);
            (self.from, self.length) = (u64::from(second) * SECOND, SECOND);
        }
        self.last
    }

    #[cold]
    fn find(&mut self, second: u32) -> usize {
        // The latest seconds are the likely ones.
        if let Some(at) = self.slots[..self.open].iter().rposition(|slot| slot.second == second) {
            return at;
        }
        if self.open == self.slots.len() {
            self.slots.push(Slot::new(self.objectives));
        }
        self.slots[self.open].second = second;
        self.open += 1;
        self.open - 1
    }

    /// The series since the last take, ascending.
    pub(crate) fn take(&mut self) -> Vec<Second> {
        let mut series: Vec<Second> = self.slots[..self.open].iter_mut().map(Slot::take).collect();
        series.sort_unstable_by_key(|second| second.second);
        (self.open, self.length) = (0, 0);
        series
    }
}

impl Slot {
    fn new(objectives: usize) -> Self {
        Self {
            second: 0,
            asked: 0,
            failed: 0,
            incomplete: 0,
            not_sent: 0,
            objectives: vec![ObjectiveCount::default(); objectives],
            latency: Histogram::at_scale(COARSE),
        }
    }

    /// Counts a sample that succeeded, whose latency falls into this scale-8 bucket; objectives are counted by the caller.
    pub(crate) fn succeeded(&mut self, sample: &Sample, bucket: i32) {
        self.latency.record_in(bucket >> COARSER, sample.latency);
    }

    /// Counts any other sample.
    #[cold]
    pub(crate) fn failed(&mut self, sample: &Sample, bucket: i32) {
        self.failed += 1;
        self.not_sent += u64::from(!sample.end.was_sent());
        if sample.end.status().is_some() {
            self.latency.record_in(bucket >> COARSER, sample.latency);
        } else {
            self.incomplete += 1;
        }
    }

    fn take(&mut self) -> Second {
        let take = std::mem::take::<u64>;
        let latency = self.latency.take();
        let (complete, incomplete) = (latency.count(), take(&mut self.incomplete));
        Second {
            second: self.second,
            asked: take(&mut self.asked),
            sent: complete + incomplete - take(&mut self.not_sent),
            failed: take(&mut self.failed),
            objectives: crate::bounds::take(&mut self.objectives),
            latency,
            complete,
            incomplete,
        }
    }
}
