//! Addition of snapshots: associative and commutative, so it does not matter in which order workers and seconds arrive.
//!
//! Sums saturate: what comes from another process must not make this one panic.

use std::collections::BTreeMap;

use crate::{
    Cell, Counts, Health, Held, MetricCell, MetricTotal, ObjectiveCount, Snapshot, failures, merge_series,
};

impl Snapshot {
    /// Adds another measurement of the same layout.
    pub fn merge(&mut self, other: &Self) {
        for cell in &other.cells {
            match self
                .cells
                .binary_search_by_key(&(cell.request, cell.window), |known| (known.request, known.window))
            {
                Ok(at) => self.cells[at].merge(cell),
                Err(at) => self.cells.insert(at, cell.clone()),
            }
        }
        for cell in &other.metrics {
            match self
                .metrics
                .binary_search_by_key(&(cell.metric, cell.window), |known| (known.metric, known.window))
            {
                Ok(at) => self.metrics[at].merge(cell),
                Err(at) => self.metrics.insert(at, cell.clone()),
            }
        }
        failures::merge(&mut self.failures, &other.failures);
        merge_objectives(&mut self.objectives, &other.objectives);
        merge_series(&mut self.series, &other.series);
        self.health.merge(&other.health);
    }
}

impl Cell {
    fn merge(&mut self, other: &Self) {
        self.counts.merge(&other.counts);
        self.latency.merge(&other.latency);
        self.succeeded.merge(&other.succeeded);
        self.service.merge(&other.service);
        self.dns.merge(&other.dns);
        self.connect.merge(&other.connect);
        self.tls.merge(&other.tls);
        self.first_byte.merge(&other.first_byte);
    }
}

impl MetricCell {
    fn merge(&mut self, other: &Self) {
        add([
            (&mut self.count, other.count),
            (&mut self.good, other.good),
            (&mut self.sum, other.sum),
            (&mut self.timed_out, other.timed_out),
        ]);
        self.histogram.merge(&other.histogram);
    }
}

impl MetricTotal {
    /// Adds what was observed in one more window.
    pub fn add(&mut self, cell: &MetricCell) {
        add([
            (&mut self.count, cell.count),
            (&mut self.good, cell.good),
            (&mut self.sum, cell.sum),
            (&mut self.timed_out, cell.timed_out),
        ]);
        self.histogram.merge(&cell.histogram);
    }
}

impl Counts {
    /// Adds other counts.
    pub fn merge(&mut self, other: &Self) {
        add([
            (&mut self.sent, other.sent),
            (&mut self.not_sent, other.not_sent),
            (&mut self.complete, other.complete),
            (&mut self.incomplete, other.incomplete),
            (&mut self.unfinished, other.unfinished),
            (&mut self.unsent, other.unsent),
            (&mut self.failed, other.failed),
            (&mut self.received, other.received),
            (&mut self.retries, other.retries),
        ]);
        add_each(&mut self.classes, &other.classes);
        add_each(&mut self.statuses, &other.statuses);
    }

    /// The latency population, and what rates are shares of: `complete + incomplete`.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.complete.saturating_add(self.incomplete)
    }
}

impl Health {
    fn merge(&mut self, other: &Self) {
        self.lateness.merge(&other.lateness);
        self.waits.merge(&other.waits);
        self.lag.merge(&other.lag);
        self.held.add(other.held);
        add([
            (&mut self.cores, other.cores),
            (&mut self.carried, other.carried),
            (&mut self.no_data, other.no_data),
            (&mut self.due, other.due),
            (&mut self.delivered, other.delivered),
            (&mut self.wall, other.wall),
            (&mut self.throttled, other.throttled),
            (&mut self.no_ports, other.no_ports),
            (&mut self.no_descriptors, other.no_descriptors),
            (&mut self.connections, other.connections),
            (&mut self.iterations, other.iterations),
        ]);
    }
}

impl Held {
    pub(crate) fn add(&mut self, other: Self) {
        add([
            (&mut self.generator, other.generator),
            (&mut self.target, other.target),
            (&mut self.connections, other.connections),
            (&mut self.limits, other.limits),
        ]);
    }
}

/// Adds counters of the same objectives; a shorter list stands for zeros at its end.
pub(crate) fn merge_objectives(counts: &mut Vec<ObjectiveCount>, other: &[ObjectiveCount]) {
    if counts.len() < other.len() {
        counts.resize(other.len(), ObjectiveCount::default());
    }
    for (count, other) in counts.iter_mut().zip(other) {
        add([(&mut count.total, other.total), (&mut count.bad, other.bad)]);
    }
}

fn add<const N: usize>(pairs: [(&mut u64, u64); N]) {
    for (sum, n) in pairs {
        *sum = sum.saturating_add(n);
    }
}

fn add_each<K: Ord + Copy>(sums: &mut BTreeMap<K, u64>, other: &BTreeMap<K, u64>) {
    for (key, n) in other {
        add([(sums.entry(*key).or_default(), *n)]);
    }
}
