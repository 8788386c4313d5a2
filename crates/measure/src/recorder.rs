//! One core's recorder: samples in, snapshot deltas out.
//!
//! What is counted per (request, window) is in `tally.rs`, per second in `seconds.rs`, against objectives in `bounds.rs`.

use std::sync::Arc;

use crate::bounds::Bounds;
use crate::buckets::bucket_of;
use crate::seconds::Seconds;
use crate::tally::Tally;
use crate::{Cell, End, Health, Layout, ObjectiveCount, RequestId, Sample, Snapshot, WindowId};

/// Counts samples of one thread; not shared. Once every request name, window and latency range was seen, recording allocates nothing.
#[derive(Debug)]
pub struct Recorder {
    layout: Arc<Layout>,
    /// By request, then window.
    tallies: Vec<Tally>,
    /// Indices of the tallies that saw something since the last take.
    touched: Vec<usize>,
    bounds: Bounds,
    objectives: Vec<ObjectiveCount>,
    seconds: Seconds,
    health: Health,
}

impl Recorder {
    /// An empty recorder for a run of this layout.
    #[must_use]
    pub fn new(layout: Arc<Layout>) -> Self {
        let cells = layout.requests.len() * layout.windows.len();
        Self {
            tallies: (0..cells).map(|_| Tally::default()).collect(),
            touched: Vec::with_capacity(cells),
            bounds: Bounds::new(&layout),
            objectives: vec![ObjectiveCount::default(); layout.objectives.len()],
            seconds: Seconds::new(layout.objectives.len()),
            health: Health::default(),
            layout,
        }
    }

    /// Counts one request. A request that the layout does not have cannot come from its plan and is left out.
    pub fn record(&mut self, sample: &Sample) {
        let window = self.layout.window_at(sample.intended);
        let (windows, at) = (self.layout.windows.len(), usize::from(window.0));
        let cell = usize::from(sample.request.0) * windows + at;
        let Some(tally) = self.tallies.get_mut(cell).filter(|_| at < windows) else { return };
        if tally.is_untouched() {
            self.touched.push(cell);
        }
        let bucket = bucket_of(sample.latency);
        tally.record(sample, bucket);
        let second = self.seconds.at(sample.intended);
        second.record(sample, bucket);
        for (objective, bad) in self.bounds.judge(cell, sample) {
            second.objectives[objective].count(bad);
            self.objectives[objective].count(bad);
        }
        if self.layout.is_judged(window) {
            self.deliver(sample);
        }
    }

    /// An attempt that the target refused (no connection, no TLS) was made in time: the generator delivered it. What was never tried was not.
    fn deliver(&mut self, sample: &Sample) {
        if sample.end != End::Unsent {
            self.health.delivered += 1;
        }
        if sample.end.was_sent() {
            self.health.lateness.record(sample.lateness);
        }
    }

    /// Counts a request that was due (open model) or begun (closed) at a moment, for the series and for delivery.
    pub fn asked(&mut self, intended: u64) {
        self.seconds.at(intended).asked += 1;
        if self.layout.is_judged(self.layout.window_at(intended)) {
            self.health.due += 1;
        }
    }

    /// Counts how late a closed-model wait ended, nanoseconds.
    pub fn wait_ended(&mut self, intended: u64, late: u64) {
        if self.layout.is_judged(self.layout.window_at(intended)) {
            self.health.waits.record(late);
        }
    }

    /// What the engine itself counts: wall and throttled time, ports, descriptors, connections, iterations.
    pub fn health(&mut self) -> &mut Health {
        &mut self.health
    }

    /// Everything since the last call; the recorder starts afresh and keeps its memory.
    #[must_use]
    pub fn take(&mut self) -> Snapshot {
        self.touched.sort_unstable();
        let windows = self.layout.windows.len();
        let cells = self.touched.drain(..).filter_map(|at| {
            let (request, window) = (u16::try_from(at / windows).ok()?, u16::try_from(at % windows).ok()?);
            Some(self.tallies[at].take(RequestId(request), WindowId(window)))
        });
        let cells: Vec<Cell> = cells.collect();
        let health = self.take_health();
        Snapshot {
            cells,
            objectives: crate::bounds::take(&mut self.objectives),
            series: self.seconds.take(),
            health,
        }
    }

    fn take_health(&mut self) -> Health {
        let (lateness, waits) = (self.health.lateness.take(), self.health.waits.take());
        let emptied = std::mem::take(&mut self.health);
        self.health.lateness = emptied.lateness;
        self.health.waits = emptied.waits;
        Health { lateness, waits, ..emptied }
    }
}
