//! Figures as they are shown: on the side of every SLO's bound where the exact counters saw them. Used by `summary.rs` and `report/`.

use plimsoll_measure::{Counts, Histogram, Layout, Percentile, RequestId, Snapshot, WindowId, rank};
use plimsoll_slo::{Kind, Slo, Stat, text};

/// What figures are read from.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) layout: &'a Layout,
    pub(super) slos: &'a [Slo],
    pub(super) merged: &'a Snapshot,
    /// Nanoseconds of the run that were measured.
    pub(super) until: u64,
}

/// Figures of a request name, or of all, in a window, or in the whole judged part.
pub(super) struct Figures<'a> {
    source: Source<'a>,
    request: Option<RequestId>,
    window: Option<WindowId>,
    pub(super) counts: Counts,
    latency: Histogram,
}

/// Bounds of a number from below and from above.
#[derive(Default)]
struct Bounds {
    at_least: Vec<u64>,
    at_most: Vec<u64>,
}

impl<'a> Figures<'a> {
    pub(super) fn new(source: Source<'a>, request: Option<RequestId>, window: Option<WindowId>) -> Self {
        let counts = source.merged.counts(source.layout, request, window);
        let latency = source.merged.histogram(source.layout, request, window, |cell| &cell.latency);
        Self { source, request, window, counts, latency }
    }

    /// SLOs of exactly this scope.
    fn slos(&self) -> impl Iterator<Item = &'a Slo> {
        let (request, window) = (self.request, self.window);
        self.source.slos.iter().filter(move |slo| slo.request == request && slo.window == window)
    }

    /// A statistic of the latencies: `612.4ms`, `>max`; nothing if there is none.
    pub(super) fn latency(&self, stat: Stat) -> Option<String> {
        let (shown, bounds) = self.clamped(stat);
        match shown {
            Percentile::NoData => None,
            Percentile::OverMax => Some(">max".to_owned()),
            Percentile::Finite(nanos) => Some(text::duration_among(nanos, &bounds)),
        }
    }

    /// A statistic of the latencies, nanoseconds.
    pub(super) fn number(&self, stat: Stat) -> Percentile {
        self.clamped(stat).0
    }

    /// The smallest latency, nanoseconds.
    pub(super) fn least(&self) -> Percentile {
        self.latency.min().map_or(Percentile::NoData, Percentile::Finite)
    }

    /// A statistic of the latencies on the right side of every bound that was counted, and those bounds.
    fn clamped(&self, stat: Stat) -> (Percentile, Vec<u64>) {
        let bounds: Vec<(u64, Option<bool>)> = self
            .slos()
            .filter_map(|slo| match slo.kind {
                Kind::Latency { stat: of, at_most, succeeded_only: false } if of == stat => {
                    Some((at_most, self.holds(slo, stat)))
                }
                _ => None,
            })
            .collect();
        let mut shown = match stat {
            Stat::Percentile(q) => self.latency.percentile(q, self.counts.incomplete),
            Stat::Mean => self.latency.mean().map_or(Percentile::NoData, Percentile::Finite),
            Stat::Max => self.latency.max().map_or(Percentile::NoData, Percentile::Finite),
        };
        for (bound, holds) in &bounds {
            shown = holds.map_or(shown, |holds| shown.clamped(*bound, holds));
        }
        (shown, bounds.into_iter().map(|(bound, _)| bound).collect())
    }

    /// What the counters say of a percentile: it is at most the bound iff no more requests are over it than rank above it.
    fn holds(&self, slo: &Slo, stat: Stat) -> Option<bool> {
        let Stat::Percentile(q) = stat else { return None };
        let count = self.source.merged.objectives.get(slo.objective?).filter(|count| count.total > 0)?;
        Some(count.bad <= count.total - rank(q, count.total).min(count.total))
    }

    /// A percentile of the latencies; `q` in hundredths of a percent.
    pub(super) fn percentile(&self, q: u32) -> Option<String> {
        self.latency(Stat::Percentile(q))
    }

    /// Share of failed requests: `1.2%`.
    pub(super) fn errors(&self) -> Option<String> {
        let bounds = self.bounds(|kind| match kind {
            Kind::ErrorRate { at_most, classes, within: None } if classes.is_empty() => {
                Some((None, Some(*at_most)))
            }
            _ => None,
        });
        let (failed, requests) = (self.counts.failed, self.counts.requests());
        (requests > 0).then(|| text::share_among(failed, requests, &bounds.at_least, &bounds.at_most))
    }

    /// Complete requests per second of judged time, or of the time of a window that is not judged: `18.2/s`.
    pub(super) fn rate(&self) -> Option<String> {
        let bounds = self.bounds(|kind| match kind {
            Kind::Throughput { at_least, at_most } => Some((*at_least, *at_most)),
            _ => None,
        });
        let (layout, until) = (self.source.layout, self.source.until);
        let nanos = match self.window {
            Some(window) if !layout.is_judged(window) => time_in(window, layout, until),
            window => layout.judged_time(window, until),
        };
        (nanos > 0).then(|| text::rate_among(self.counts.complete, nanos, &bounds.at_least, &bounds.at_most))
    }

    fn bounds(&self, of: impl Fn(&Kind) -> Option<(Option<u64>, Option<u64>)>) -> Bounds {
        self.slos().filter_map(|slo| of(&slo.kind)).fold(
            Bounds::default(),
            |mut bounds, (at_least, at_most)| {
                bounds.at_least.extend(at_least);
                bounds.at_most.extend(at_most);
                bounds
            },
        )
    }
}

/// Nanoseconds of the run that belong to a window, up to a moment.
fn time_in(window: WindowId, layout: &Layout, until: u64) -> u64 {
    let (mut start, mut sum) = (0, 0);
    for (end, of) in &layout.segments {
        let end = (*end).min(until);
        sum += if *of == window { end.saturating_sub(start) } else { 0 };
        start = end;
    }
    sum
}
