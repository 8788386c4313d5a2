//! Observations of metrics per (metric, window) while they grow: what [`crate::Recorder::observe`] counts beside requests.

use crate::{Histogram, Layout, MetricCell, MetricId, MetricKind, Observation, WindowId};

/// The metrics of one thread.
#[derive(Debug)]
pub(crate) struct Meter {
    /// By metric, then window.
    gauges: Vec<Gauge>,
    /// Indices of those that saw something since the last take.
    touched: Vec<usize>,
    windows: usize,
    /// Whether a metric counts its failures only.
    faults: Vec<bool>,
}

#[derive(Debug, Default)]
struct Gauge {
    count: u64,
    good: u64,
    sum: u64,
    timed_out: u64,
    histogram: Histogram,
}

impl Meter {
    pub(crate) fn new(layout: &Layout) -> Self {
        let cells = layout.metrics.len() * layout.windows.len();
        Self {
            gauges: (0..cells).map(|_| Gauge::default()).collect(),
            touched: Vec::with_capacity(cells),
            windows: layout.windows.len(),
            faults: layout.metrics.iter().map(|metric| metric.kind == MetricKind::Fault).collect(),
        }
    }

    /// Counts an observation and says in which cell; in none if it is not to be counted, or the layout has no such metric.
    pub(crate) fn observe(&mut self, metric: MetricId, window: WindowId, seen: Observation) -> Option<usize> {
        let (metric, window) = (usize::from(metric.0), usize::from(window.0));
        if *self.faults.get(metric)? && seen == Observation::Good(true) {
            return None;
        }
        let cell = metric * self.windows + window;
        let gauge = self.gauges.get_mut(cell).filter(|_| window < self.windows)?;
        if gauge.count == 0 {
            self.touched.push(cell);
        }
        gauge.observe(seen);
        Some(cell)
    }

    /// What was observed since the last take, by metric and window.
    pub(crate) fn take(&mut self) -> Vec<MetricCell> {
        self.touched.sort_unstable();
        let cells = self.touched.drain(..).filter_map(|at| {
            let metric = MetricId(u16::try_from(at / self.windows).ok()?);
            let window = WindowId(u16::try_from(at % self.windows).ok()?);
            Some(self.gauges[at].take(metric, window))
        });
        cells.collect()
    }
}

impl Gauge {
    fn observe(&mut self, seen: Observation) {
        self.count += 1;
        match seen {
            Observation::Good(good) => self.good += u64::from(good),
            Observation::Add(n) => self.sum = self.sum.saturating_add(n),
            Observation::Done(nanos) => {
                self.good += 1;
                self.histogram.record(nanos);
            }
            Observation::NotDone => {}
            Observation::TimedOut => self.timed_out += 1,
        }
    }

    fn take(&mut self, metric: MetricId, window: WindowId) -> MetricCell {
        let histogram = self.histogram.take();
        let Self { count, good, sum, timed_out, .. } = *self;
        (self.count, self.good, self.sum, self.timed_out) = (0, 0, 0, 0);
        MetricCell { metric, window, count, good, sum, timed_out, histogram }
    }
}
