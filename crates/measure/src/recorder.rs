//! One core's recorder: samples in, snapshot deltas out.
//!
//! What is counted per (request, window) is in `tally.rs`, per second in `seconds.rs`, against objectives in `bounds.rs`; metrics
//! are in `meter.rs`, causes of failures in `failures.rs`, windows in `windows.rs`.

use std::sync::Arc;

use crate::bounds::Bounds;
use crate::buckets::bucket_of;
use crate::failures::Failures;
use crate::merge::merge_objectives;
use crate::meter::Meter;
use crate::seconds::Seconds;
use crate::tally::Tally;
use crate::windows::{Place, Windows};
use crate::{
    Cell, End, ErrorClass, Health, Layout, MetricId, Observation, RequestId, Sample, Snapshot, WindowId,
};

/// Counts samples of one thread; not shared. Once every request name, window and latency range was seen, recording allocates nothing.
#[derive(Debug)]
pub struct Recorder {
    windows: Windows,
    /// Number of windows.
    width: usize,
    /// By request, then window.
    tallies: Vec<Tally>,
    /// Indices of the tallies that saw something since the last take.
    touched: Vec<usize>,
    bounds: Bounds,
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
            seconds: Seconds::new(layout.objectives.len()),
            meter: Meter::new(&layout),
            failures: Failures::new(layout.requests.len()),
            health: Health::default(),
            width: layout.windows.len(),
            windows: Windows::new(layout),
        }
    }

    /// Counts one request. A request, or a window of hooks, that the layout does not have cannot come from its plan and is left out.
    pub fn record(&mut self, sample: &Sample) {
        let Some(place) = self.place(sample.intended, sample.hook) else { return };
        let cell = usize::from(sample.request.0) * self.width + usize::from(place.window.0);
        let Some(tally) = self.tallies.get_mut(cell) else { return };
        if !tally.touched {
            tally.touched = true;
            self.touched.push(cell);
        }
        let bucket = bucket_of(sample.latency);
        if let End::Complete { status, error: None } = sample.end {
            tally.succeeded(sample, status, bucket);
            if sample.hook {
                return;
            }
            let second = self.seconds.at(sample.intended);
            second.succeeded(sample, bucket);
            self.bounds.succeeded(cell, sample, status, &mut second.objectives);
        } else {
            tally.failed(sample, bucket);
            if sample.hook {
                return;
            }
            let second = self.seconds.at(sample.intended);
            second.failed(sample, bucket);
            self.bounds.failed(cell, sample, &mut second.objectives);
        }
        if sample.scheduled && place.judged {
            self.deliver(sample);
        }
    }

    /// The window of a moment, or that of the hooks.
    #[inline]
    fn place(&mut self, at: u64, hook: bool) -> Option<Place> {
        if hook { self.windows.hooks() } else { self.windows.at(at) }
    }

    #[inline]
    fn is_judged(&mut self, at: u64) -> bool {
        self.windows.at(at).is_some_and(|place| place.judged)
    }

    /// Counts an observation of a metric at a moment, nanoseconds since the start of the run; `hook` if setup, teardown or timeline
    /// made it. A metric that the layout does not have is left out.
    pub fn observe(&mut self, metric: MetricId, at: u64, hook: bool, what: Observation) {
        let Some(place) = self.place(at, hook) else { return };
        let Some(cell) = self.meter.observe(metric, place.window, what) else { return };
        // The window of hooks is not judged: no objective counts it.
        for (objective, bad) in self.bounds.judge_metric(cell, what) {
            self.seconds.at(at).objectives[objective].count(bad);
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
    #[inline]
    pub fn asked(&mut self, intended: u64, scheduled: bool) {
        self.seconds.at(intended).asked += 1;
        if scheduled && self.is_judged(intended) {
            self.health.due += 1;
        }
    }

    /// Counts an arrival as delivered that was begun and made no request, since its steps were left out.
    pub fn served(&mut self, intended: u64) {
        if self.is_judged(intended) {
            self.health.delivered += 1;
        }
    }

    /// Counts how late a closed-model wait ended, nanoseconds.
    pub fn wait_ended(&mut self, intended: u64, late: u64) {
        if self.is_judged(intended) {
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
        let width = self.width;
        let cells = self.touched.drain(..).filter_map(|at| {
            let (request, window) = (u16::try_from(at / width).ok()?, u16::try_from(at % width).ok()?);
            Some(self.tallies[at].take(RequestId(request), WindowId(window)))
        });
        let cells: Vec<Cell> = cells.collect();
        let health = self.take_health();
        let series = self.seconds.take();
        // Objectives are counted once, in their second.
        let mut objectives = Vec::new();
        series.iter().for_each(|second| merge_objectives(&mut objectives, &second.objectives));
        Snapshot {
            cells,
            metrics: self.meter.take(),
            failures: self.failures.take(),
            objectives,
            series,
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
