//! One core's recorder: samples in, snapshot deltas out.
//!
//! What is counted per (request, window) is in `tally.rs`, per second in `seconds.rs`, against objectives in `bounds.rs`; metrics
//! are in `meter.rs`, causes of failures in `failures.rs`.

use std::sync::Arc;

use crate::bounds::Bounds;
use crate::buckets::bucket_of;
use crate::failures::Failures;
use crate::meter::Meter;
use crate::seconds::Seconds;
use crate::tally::Tally;
use crate::{
    Cell, End, ErrorClass, Health, Layout, MetricId, ObjectiveCount, Observation, RequestId, Sample,
    Snapshot, WindowId,
};

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
    meter: Meter,
    failures: Failures,
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
            meter: Meter::new(&layout),
            failures: Failures::new(layout.requests.len()),
            health: Health::default(),
            layout,
        }
    }

    /// Counts one request. A request, or a window of hooks, that the layout does not have cannot come from its plan and is left out.
    pub fn record(&mut self, sample: &Sample) {
        let Some(window) = self.window(sample.intended, sample.hook) else { return };
        let (windows, at) = (self.layout.windows.len(), usize::from(window.0));
        let cell = usize::from(sample.request.0) * windows + at;
        let Some(tally) = self.tallies.get_mut(cell).filter(|_| at < windows) else { return };
        if tally.is_untouched() {
            self.touched.push(cell);
        }
        let bucket = bucket_of(sample.latency);
        tally.record(sample, bucket);
        if sample.hook {
            return;
        }
        let second = self.seconds.at(sample.intended);
        second.record(sample, bucket);
        for (objective, bad) in self.bounds.judge(cell, sample) {
            second.objectives[objective].count(bad);
            self.objectives[objective].count(bad);
        }
        if sample.scheduled && self.layout.is_judged(window) {
            self.deliver(sample);
        }
    }

    /// The window of a moment, or that of the hooks.
    #[inline]
    fn window(&self, at: u64, hook: bool) -> Option<WindowId> {
        if hook { self.layout.hooks } else { Some(self.layout.window_at(at)) }
    }

    /// Counts an observation of a metric at a moment, nanoseconds since the start of the run; `hook` if setup, teardown or timeline
    /// made it. A metric that the layout does not have is left out.
    pub fn observe(&mut self, metric: MetricId, at: u64, hook: bool, what: Observation) {
        let Some(window) = self.window(at, hook) else { return };
        let Some(cell) = self.meter.observe(metric, window, what) else { return };
        // The window of hooks is not judged: no objective counts it.
        for (objective, bad) in self.bounds.judge_metric(cell, what) {
            self.seconds.at(at).objectives[objective].count(bad);
            self.objectives[objective].count(bad);
        }
    }

    /// Counts the cause of a failed request that began at a moment, nanoseconds since the start of the run; the request itself is counted
    /// by [`Recorder::record`]. `example` says what was wrong, and is asked for the first request of each cause only.
    pub fn failed(
        &mut self,
        request: RequestId,
        at: u64,
        class: ErrorClass,
        status: Option<u16>,
        example: impl FnOnce() -> String,
    ) {
        self.failures.record((request, at), class, status, example);
    }

    /// Whether an example of a failure of this request is likely to be asked for: false once there are several of different causes.
    #[must_use]
    pub fn wants_example(&self, request: RequestId) -> bool {
        self.failures.wants_example(request)
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

    /// Counts a request that was due (`scheduled`: it begins an arrival of the open model) or begun at a moment, for the series; a
    /// scheduled one for delivery, too. Requests of hooks are not asked for.
    pub fn asked(&mut self, intended: u64, scheduled: bool) {
        self.seconds.at(intended).asked += 1;
        if scheduled && self.layout.is_judged(self.layout.window_at(intended)) {
            self.health.due += 1;
        }
    }

    /// Counts an arrival as delivered that was begun and made no request, since its steps were left out.
    pub fn served(&mut self, intended: u64) {
        if self.layout.is_judged(self.layout.window_at(intended)) {
            self.health.delivered += 1;
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
            metrics: self.meter.take(),
            failures: self.failures.take(),
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
