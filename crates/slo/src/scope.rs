//! What the counts say within the scope of one SLO. Read by the kinds: `latency.rs`, `rates.rs`, `metrics.rs`, `recovery.rs`, `drift.rs`, `query.rs`.

use plimsoll_measure::{Counts, Histogram, Layout, Metric, MetricId, MetricKind, Snapshot};

use crate::text;
use crate::{Facts, Kind, Outcome, Query, Reason, Slo, SloResult, Stat, Tally, Validity};

/// Everything that a judgement reads.
#[derive(Clone, Copy)]
pub(crate) struct Evidence<'a> {
    pub(crate) validity: &'a Validity,
    pub(crate) layout: &'a Layout,
    pub(crate) merged: &'a Snapshot,
    pub(crate) facts: &'a Facts,
    /// Nanoseconds of the run that are covered by the counts.
    pub(crate) until: u64,
}

/// What one SLO comes to: its result, and the reason if that is Unknown.
pub(crate) struct Finding {
    pub(crate) result: SloResult,
    pub(crate) unknown: Option<Reason>,
}

impl Evidence<'_> {
    /// Counts of the requests in scope.
    pub(crate) fn counts(&self, slo: &Slo) -> Counts {
        self.merged.counts(self.layout, slo.request, slo.window)
    }

    /// The metric of an SLO, if it has one in place of requests.
    pub(crate) fn metric(&self, slo: &Slo) -> Option<&Metric> {
        self.layout.metric(slo.metric?)
    }

    /// Values of an SLO's metric that could not be computed: its expression failed, which is counted in a fault of its name.
    pub(crate) fn uncomputed(&self, slo: &Slo) -> u64 {
        let Some(of) =
            self.metric(slo).filter(|metric| !matches!(metric.kind, MetricKind::Check | MetricKind::Fault))
        else {
            return 0;
        };
        let name = format!("metric {}", of.name);
        let is_fault = |metric: &Metric| metric.kind == MetricKind::Fault && metric.name == name;
        let faults = self.layout.metrics.iter().zip(0..).filter(|(metric, _)| is_fault(metric));
        faults
            .map(|(_, id)| self.merged.metric(self.layout, MetricId(id), slo.window))
            .fold(0, |sum, total| sum + total.count - total.good)
    }

    /// The answer of Prometheus that takes the place of what was counted here; nothing for an SLO on a query of its own.
    pub(crate) fn sourced(&self, slo: &Slo) -> Option<&Query> {
        let is_own = !matches!(slo.kind, Kind::Prometheus { .. });
        let found = self.facts.queries.iter().find(|(name, _)| *name == slo.name).filter(|_| is_own);
        found.map(|(_, query)| query)
    }

    /// What the samples of an SLO are.
    pub(crate) fn noun(&self, slo: &Slo) -> &'static str {
        match (&slo.kind, slo.metric) {
            (Kind::CheckRate { .. }, _) => "check",
            (_, Some(_)) => "sample",
            (_, None) => "request",
        }
    }

    /// What is in scope and has no latency that is finite, for an SLO on all that ended: requests without a complete response, or what a
    /// trend says timed out.
    pub(crate) fn endless(&self, slo: &Slo) -> u64 {
        match slo.metric {
            Some(metric) => self.merged.metric(self.layout, metric, slo.window).timed_out,
            None => self.counts(slo).incomplete,
        }
    }

    /// Latencies of the complete requests in scope, or what a trend measured.
    pub(crate) fn latencies(&self, slo: &Slo, succeeded_only: bool) -> Histogram {
        if let Some(metric) = slo.metric {
            return self.merged.metric(self.layout, metric, slo.window).histogram;
        }
        self.merged.histogram(self.layout, slo.request, slo.window, |cell| {
            if succeeded_only { &cell.succeeded } else { &cell.latency }
        })
    }

    /// The SLO's own counters; zeros if the plan has none for it.
    pub(crate) fn tally(&self, slo: &Slo) -> Tally {
        let count = slo.objective.and_then(|at| self.merged.objectives.get(at)).copied().unwrap_or_default();
        Tally { total: count.total, bad: count.bad }
    }

    /// Samples that it takes to judge an SLO: its own figure, or the run's, or `⌈1/(1-q)⌉` for a percentile and 1 for the others.
    pub(crate) fn min_samples(&self, slo: &Slo) -> u64 {
        let default = match slo.kind {
            Kind::Latency { stat: Stat::Percentile(q), .. }
            | Kind::LatencyDrift { stat: Stat::Percentile(q), .. } => {
                // p100 is the maximum, which any number of samples has.
                10_000u32.checked_sub(q).filter(|rest| *rest > 0).map_or(1, |rest| 10_000u32.div_ceil(rest))
            }
            _ => 1,
        };
        slo.min_samples.or(self.validity.min_samples).unwrap_or_else(|| default.into())
    }

    /// Why an SLO cannot be judged on so many samples, if it cannot.
    pub(crate) fn too_few(&self, slo: &Slo, samples: u64) -> Option<(Reason, String)> {
        let needed = self.min_samples(slo).max(1);
        if samples >= needed {
            return None;
        }
        if samples == 0 {
            return Some((Reason::NoData, format!("no {}s to judge it by", self.noun(slo))));
        }
        let message = format!(
            "{}, but it takes {} to judge it: run longer, or lower validity.minSamples",
            text::counted(samples, self.noun(slo)),
            text::count(needed)
        );
        Some((Reason::TooFewSamples, message))
    }
}

/// A finding in the making: what all kinds have in common.
pub(crate) struct Draft<'a> {
    slo: &'a Slo,
    bound: String,
    samples: u64,
    tally: Option<Tally>,
    share: Option<String>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(slo: &'a Slo, bound: String, samples: u64) -> Self {
        Self { slo, bound, samples, tally: None, share: None }
    }

    /// Adds the counters and the exact share of bad requests.
    pub(crate) fn counted(self, tally: Tally, share: Option<String>) -> Self {
        Self { tally: Some(tally), share, ..self }
    }

    /// It cannot be said, and why.
    pub(crate) fn unknown(self, (reason, why): (Reason, String)) -> Finding {
        Finding { unknown: Some(reason), ..self.finish(Outcome::Unknown, None, &why) }
    }

    /// It holds, or does not; `words` follow the name in the message.
    pub(crate) fn decided(self, holds: bool, value: String, words: &str) -> Finding {
        self.finish(if holds { Outcome::Met } else { Outcome::Missed }, Some(value), words)
    }

    /// It is decided although there is no value.
    pub(crate) fn decided_without_value(self, holds: bool, words: &str) -> Finding {
        self.finish(if holds { Outcome::Met } else { Outcome::Missed }, None, words)
    }

    fn finish(self, outcome: Outcome, value: Option<String>, words: &str) -> Finding {
        let result = SloResult {
            name: self.slo.name.clone(),
            severity: self.slo.severity,
            outcome,
            value,
            bound: self.bound,
            share: self.share,
            tally: self.tally,
            samples: self.samples,
            message: format!("{}: {words}", self.slo.name),
        };
        Finding { result, unknown: None }
    }
}
