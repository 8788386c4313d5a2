//! One core's recorder: samples in, snapshot deltas out.
//!
//! Most samples are held in batches (`batch.rs`) and counted together (`fold.rs`). What is counted per (request, window) is in
//! `tally.rs`, per second in `seconds.rs`, against objectives in `bounds.rs`; metrics are in `meter.rs`, causes of failures in
//! `failures.rs`, windows in `windows.rs`.

use std::sync::Arc;

use crate::batch::{Batch, Batches, LATENCY, LATENESS, Pushed, plain};
use crate::bounds::Bounds;
use crate::buckets::bucket_of;
use crate::failures::Failures;
use crate::fold::Fold;
use crate::merge::merge_objectives;
use crate::meter::Meter;
use crate::seconds::Seconds;
use crate::stretch::{Asked, Stretch};
use crate::tally::Tally;
use crate::windows::{Place, Windows};
use crate::{
    Cell, End, ErrorClass, Health, Layout, MetricId, Observation, RequestId, Sample, Snapshot, WindowId,
};

/// Counts samples of one thread; not shared. Once every request name, window and latency range was seen, recording allocates nothing.
///
/// It takes 2.1 KiB for each request name, 1.5 KiB for each of these in each window, and there 2 KiB for each octave that latencies,
/// service times and first bytes reach over; more only for what failed, opened a connection or took over two seconds.
#[derive(Debug)]
pub struct Recorder {
    batches: Batches,
    asked: Asked,
    fold: Fold,
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
            batches: Batches::new(layout.requests.len()),
            asked: Asked::default(),
            fold: Fold::new(),
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
    #[inline]
    pub fn record(&mut self, sample: &Sample) {
        match self.batches.push(sample) {
            Pushed::Held => {}
            Pushed::Full => self.count_batch(usize::from(sample.request.0)),
            Pushed::Refused => self.record_alone(sample),
        }
    }

    /// Counts a sample that does not belong to the batch of its request, or begins another one with it.
    #[cold]
    fn record_alone(&mut self, sample: &Sample) {
        let Some(place) = self.place(sample.intended, sample.hook) else { return };
        let cell = usize::from(sample.request.0) * self.width + usize::from(place.window.0);
        if cell >= self.tallies.len() || self.begin_batch(sample, cell) {
            return;
        }
        self.touch(cell);
        let tally = &mut self.tallies[cell];
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

    /// Begins a batch with a sample, if it may be in one and the batch of its request gives way.
    fn begin_batch(&mut self, sample: &Sample, cell: usize) -> bool {
        let request = usize::from(sample.request.0);
        let Some((status, _)) = plain(sample) else { return false };
        if !self.batches.gives_way(request) {
            return false;
        }
        self.count_batch(request);
        let later = sample.scheduled || sample.service != sample.latency;
        let stretch = self.stretch(sample.intended);
        let batch = Batch { stretch, cell, status, later, scheduled: sample.scheduled, ..Batch::default() };
        self.batches.begin(request, batch);
        self.batches.push(sample) != Pushed::Refused
    }

    /// Counts what the batch of a request holds.
    fn count_batch(&mut self, request: usize) {
        let (batch, samples) = self.batches.empty(request);
        let Some(tally) = self.tallies.get_mut(batch.cell).filter(|_| batch.count > 0) else { return };
        let Some(second) = self.seconds.slot(batch.stretch.slot) else { return };
        let durations = self.fold.load(samples);
        let latency = &durations[LATENCY];
        self.bounds.batch((batch.cell, batch.status), samples, &latency.totals, &mut second.objectives);
        let is_late = batch.scheduled && batch.stretch.judged;
        let late = &durations[LATENESS];
        let lateness = is_late.then(|| self.health.lateness.begin(&late.totals, late.range()));
        let series = second.latency.begin(&latency.totals, latency.range());
        let joint = tally.batch(&batch).begin(&durations, batch.later);
        self.fold.count(batch.later, joint, series, lateness);
        self.health.delivered += if is_late { batch.count as u64 } else { 0 };
        self.touch(batch.cell);
    }

    fn touch(&mut self, cell: usize) {
        if let Some(tally) = self.tallies.get_mut(cell).filter(|tally| !tally.touched) {
            tally.touched = true;
            self.touched.push(cell);
        }
    }

    /// The stretch of a moment; its second is opened if need be.
    fn stretch(&mut self, at: u64) -> Stretch {
        let judged = self.is_judged(at);
        let slot = self.seconds.index(at);
        let (from, length) = Stretch::common(self.windows.stretch(), self.seconds.stretch());
        Stretch { from, length, slot, judged }
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
        if !self.asked.stretch.has(intended) {
            self.move_on(intended);
        }
        self.asked.asked += 1;
        self.asked.scheduled += u64::from(scheduled);
    }

    #[cold]
    fn move_on(&mut self, intended: u64) {
        self.count_asked();
        self.asked.stretch = self.stretch(intended);
    }

    /// Counts what was asked for in one stretch, which ends with it.
    fn count_asked(&mut self) {
        let Asked { stretch, asked, scheduled } = std::mem::take(&mut self.asked);
        if let Some(second) = self.seconds.slot(stretch.slot) {
            second.asked += asked;
        }
        if stretch.judged {
            self.health.due += scheduled;
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

    /// Counts an arrival that did nothing, since no row of data was left for it.
    pub fn found_no_data(&mut self, intended: u64) {
        if self.is_judged(intended) {
            self.health.no_data += 1;
        }
    }

    /// Counts how late the core was to look at what was ready at a moment, nanoseconds.
    pub fn lagged(&mut self, at: u64, late: u64) {
        if self.is_judged(at) {
            self.health.lag.record(late);
        }
    }

    /// What arrivals waited for in a stretch of time that began at a moment, and how many of them were begun in it although the core
    /// had no time left; nothing outside of the judged part.
    pub fn held(&mut self, at: u64, held: crate::Held, carried: u64) {
        if self.is_judged(at) {
            self.health.held.add(held);
            self.health.carried += carried;
        }
    }

    /// What the engine itself counts: wall and throttled time, ports, descriptors, connections, iterations. What follows from requests is
    /// added by [`Recorder::take`].
    pub fn health(&mut self) -> &mut Health {
        &mut self.health
    }

    /// Everything since the last call; the recorder starts afresh and keeps its memory.
    #[must_use]
    pub fn take(&mut self) -> Snapshot {
        self.count_asked();
        while let Some(request) = self.batches.end_one() {
            self.count_batch(request);
            self.batches.end(request);
        }
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
        let health = &mut self.health;
        let (lateness, waits, lag) = (health.lateness.take(), health.waits.take(), health.lag.take());
        let emptied = std::mem::take(health);
        (health.lateness, health.waits, health.lag) = (emptied.lateness, emptied.waits, emptied.lag);
        Health { lateness, waits, lag, ..emptied }
    }
}
