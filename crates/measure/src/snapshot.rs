//! Counts and histograms of a stretch of a run; all fields add up (`merge.rs`). Made by `recorder.rs`, carried by `crates/session`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{ErrorClass, Histogram, Layout, MetricId, RequestId, WindowId};

/// Everything measured in a stretch of time; two of them merge into the measurement of both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// One per (request, window) that saw anything, ordered by key.
    pub cells: Vec<Cell>,
    /// One per (metric, window) that observed anything, ordered by key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<MetricCell>,
    /// Failed requests by cause, ordered by class, status and request; those without a class are last. At most [`crate::FAILURE_GROUPS`]
    /// with a class.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
    /// One per [`crate::Objective`] of the layout, or empty.
    pub objectives: Vec<ObjectiveCount>,
    /// By second of the intended start, ascending.
    pub series: Vec<Second>,
    /// What the generator says of itself.
    pub health: Health,
}

/// What was measured for one request name in one window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cell {
    /// Which request.
    pub request: RequestId,
    /// Which window.
    pub window: WindowId,
    /// The counts.
    pub counts: Counts,
    /// Latency from the intended start, complete requests.
    pub latency: Histogram,
    /// Latency from the intended start, complete and not failed (`of: Succeeded`).
    pub succeeded: Histogram,
    /// Service time: latency from the actual send, complete requests.
    pub service: Histogram,
    /// Name resolution, where it took place.
    pub dns: Histogram,
    /// TCP handshake, where it took place.
    pub connect: Histogram,
    /// TLS handshake, where it took place.
    pub tls: Histogram,
    /// Time to first byte.
    pub first_byte: Histogram,
}

/// What one metric observed in one window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricCell {
    /// Which metric.
    pub metric: MetricId,
    /// Which window.
    pub window: WindowId,
    /// Observations. Of a trend: everything that ended or timed out.
    pub count: u64,
    /// Those that held; of a trend, those that were done. 0 for a counter.
    #[serde(default)]
    pub good: u64,
    /// Sum of a counter.
    #[serde(default)]
    pub sum: u64,
    /// Of a trend: what came to no end in its time. `count - good - timed_out` came to a bad one.
    #[serde(default)]
    pub timed_out: u64,
    /// How long it took what was done, of a trend.
    #[serde(default)]
    pub histogram: Histogram,
}

/// What one metric observed in a scope of windows; the fields are those of [`MetricCell`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricTotal {
    /// See [`MetricCell::count`].
    pub count: u64,
    /// See [`MetricCell::good`].
    pub good: u64,
    /// See [`MetricCell::sum`].
    pub sum: u64,
    /// See [`MetricCell::timed_out`].
    pub timed_out: u64,
    /// See [`MetricCell::histogram`].
    pub histogram: Histogram,
}

/// Requests that failed of the same cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// Which request.
    pub request: RequestId,
    /// Why; absent for the sum of those causes that were too many to be told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ErrorClass>,
    /// Status of the response, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How many.
    pub count: u64,
    /// When the request of the example began, nanoseconds since the start of the run.
    #[serde(default)]
    pub at: u64,
    /// What was wrong with the first of them, in words, at most [`crate::EXAMPLE_CHARS`] characters; empty if it is not known.
    #[serde(default)]
    pub example: String,
}

/// Counts of one cell. `complete + incomplete` is the latency population and the denominator of rates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Handed to the kernel: what a server's own count is compared with.
    pub sent: u64,
    /// Failed before anything was sent (DNS, Connect, TLS), or never sent.
    pub not_sent: u64,
    /// Complete responses, whatever their status.
    pub complete: u64,
    /// Without a complete response: incomplete, not sent, unsent or unfinished.
    pub incomplete: u64,
    /// Of `incomplete`: in flight when the run ended.
    pub unfinished: u64,
    /// Of `not_sent`: due within the run, but never sent.
    pub unsent: u64,
    /// Failed requests, all classes.
    pub failed: u64,
    /// Failed requests by class.
    pub classes: BTreeMap<ErrorClass, u64>,
    /// Complete responses by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Response bytes read.
    pub received: u64,
    /// Requests that repeat a failed one.
    #[serde(default)]
    pub retries: u64,
}

/// One objective's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectiveCount {
    /// Requests in scope.
    pub total: u64,
    /// Of them, bad.
    pub bad: u64,
}

/// One second of the run, by intended start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Second {
    /// Seconds since the start of the run.
    pub second: u32,
    /// Requests that were due (open model), or begun (closed model).
    pub asked: u64,
    /// Handed to the kernel.
    pub sent: u64,
    /// Failed.
    pub failed: u64,
    /// One per objective, or empty.
    pub objectives: Vec<ObjectiveCount>,
    /// Latencies of complete requests at the coarse scale 3 (error ≤ 4.4 %): for charts, never for verdicts.
    pub latency: Histogram,
    /// Complete, incomplete: what percentiles of this second are ranked in.
    pub complete: u64,
    /// See [`Counts::incomplete`].
    pub incomplete: u64,
}

/// What the generator says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Open model: sent minus intended, without opening a connection, of judged requests that began an arrival and were sent.
    pub lateness: Histogram,
    /// Closed model: how late judged waits ended.
    pub waits: Histogram,
    /// Arrivals (open model) that were due in the judged part.
    pub due: u64,
    /// Of `due`, sent, or tried and refused by the target (DNS, Connect, TLS); the others were left undone.
    pub delivered: u64,
    /// Wall time covered, nanoseconds times workers.
    pub wall: u64,
    /// Of `wall`, throttled by the cgroup's CPU quota.
    pub throttled: u64,
    /// Connections that failed since the generator ran out of local ports.
    pub no_ports: u64,
    /// Connections that failed since the generator ran out of file descriptors.
    pub no_descriptors: u64,
    /// Connections opened.
    pub connections: u64,
    /// Iterations finished (closed model), or arrivals served.
    pub iterations: u64,
    /// How late a core came to what was ready, as its own timer saw it a hundred times a second in the judged part.
    #[serde(default)]
    pub lag: Histogram,
    /// Time of the cores, nanoseconds: `wall` times the cores of a worker.
    #[serde(default)]
    pub cores: u64,
    /// What arrivals waited for that were due in the judged part and not begun, or not sent for want of a connection.
    #[serde(default)]
    pub held: Held,
    /// Arrivals begun in the time of `held.generator`: what cores carry that have no time left.
    #[serde(default)]
    pub carried: u64,
    /// Of `due`, arrivals that found no row of data left, and did nothing.
    #[serde(default)]
    pub no_data: u64,
}

/// What held arrivals up, in nanoseconds of the cores on which some waited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Held {
    /// The core itself, which had no time left.
    pub generator: u64,
    /// Arrivals under way, as many as `maxInFlight` allows: the target answers too slowly for the rate.
    pub target: u64,
    /// Connections or their streams, all of which were in use.
    pub connections: u64,
    /// Places of capped steps, which arrivals under way waited for.
    pub limits: u64,
}

impl Snapshot {
    /// The cells of one request name, or of all, in one window, or in all judged ones: the scope of an SLO.
    pub fn select<'a>(
        &'a self,
        layout: &'a Layout,
        request: Option<RequestId>,
        window: Option<WindowId>,
    ) -> impl Iterator<Item = &'a Cell> + 'a {
        self.cells.iter().filter(move |cell| {
            request.is_none_or(|request| cell.request == request)
                && window.map_or_else(|| layout.is_judged(cell.window), |window| cell.window == window)
        })
    }

    /// Counts of a scope; without request and window, of the whole judged part (`summary`).
    #[must_use]
    pub fn counts(&self, layout: &Layout, request: Option<RequestId>, window: Option<WindowId>) -> Counts {
        sum(self.select(layout, request, window).map(|cell| &cell.counts))
    }

    /// One of the histograms of a scope, e.g. `|cell| &cell.latency`.
    #[must_use]
    pub fn histogram(
        &self,
        layout: &Layout,
        request: Option<RequestId>,
        window: Option<WindowId>,
        which: impl Fn(&Cell) -> &Histogram,
    ) -> Histogram {
        let mut merged = Histogram::new();
        self.select(layout, request, window).for_each(|cell| merged.merge(which(cell)));
        merged
    }

    /// What a metric observed in one window, or in all judged ones.
    #[must_use]
    pub fn metric(&self, layout: &Layout, metric: MetricId, window: Option<WindowId>) -> MetricTotal {
        let in_scope = |cell: &&MetricCell| {
            cell.metric == metric
                && window.map_or_else(|| layout.is_judged(cell.window), |window| cell.window == window)
        };
        let mut total = MetricTotal::default();
        self.metrics.iter().filter(in_scope).for_each(|cell| total.add(cell));
        total
    }

    /// Counts of the whole run, warm-up and cool-down included (`summary.total`).
    #[must_use]
    pub fn total(&self) -> Counts {
        sum(self.cells.iter().map(|cell| &cell.counts))
    }

    /// Whether `sent` is what the target must have received: nothing was in flight when the run ended. A lost worker makes it inexact too.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.cells.iter().all(|cell| cell.counts.unfinished == 0)
    }
}

fn sum<'a>(counts: impl Iterator<Item = &'a Counts>) -> Counts {
    counts.fold(Counts::default(), |mut total, counts| {
        total.merge(counts);
        total
    })
}
