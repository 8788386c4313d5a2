//! Judges `checkRate`, and `rate` and `count` of a metric, by counters alone. `latency` of a metric is in `latency.rs`.

use plimsoll_measure::MetricKind;

use crate::rates::Limits;
use crate::scope::{Draft, Evidence, Finding};
use crate::text::{self, Ratio};
use crate::{Reason, Slo};

/// How the parts of a share are called.
pub(crate) struct Words {
    /// What is good, of all.
    good: &'static str,
    /// What is bad, beside its number.
    bad: &'static str,
}

/// `99.2% passed … (1 500 checks, 12 failed)`.
pub(crate) const CHECKS: Words = Words { good: "passed", bad: "failed" };

/// How the samples of an SLO's metric are called.
pub(crate) fn words(slo: &Slo, evidence: &Evidence) -> &'static Words {
    match evidence.metric(slo).map(|metric| metric.kind) {
        Some(MetricKind::Trend) => &Words { good: "done", bad: "not done" },
        Some(MetricKind::Check | MetricKind::Fault) => &CHECKS,
        _ => &Words { good: "true", bad: "false" },
    }
}

/// Judges the share that the SLO's counters do not call bad.
pub(crate) fn good_share(slo: &Slo, limits: Limits, words: &Words, evidence: &Evidence) -> Finding {
    let tally = evidence.tally(slo);
    let good = tally.total.saturating_sub(tally.bad);
    let side = |share: Ratio| limits.hold(share, text::ppb_percent);
    // Of the bad ones, in percent: what is left of 100 % must lie on its side, too.
    let rest = |share: Ratio| side(Ratio((share.1 * 100).saturating_sub(share.0), share.1));
    let exact = (tally.total > 0).then(|| text::percent(tally.bad, tally.total, 2, rest));
    let draft = Draft::new(slo, limits.bound(text::share_exact), tally.total).counted(tally, exact);
    if let Some(why) = evidence.too_few(slo, tally.total) {
        return draft.unknown(why);
    }
    let holds = side(Ratio(u128::from(good) * 100, tally.total.into()));
    let value = text::percent(good, tally.total, 1, side);
    let bad = if tally.bad == 0 { "none".to_owned() } else { text::count(tally.bad) };
    let message = format!(
        "{value} {}, {} ({}, {bad} {})",
        words.good,
        limits.words(text::share_exact),
        text::counted(tally.total, evidence.noun(slo)),
        words.bad,
    );
    draft.decided(holds, value, &message)
}

/// Judges how much was counted. Nothing is a number, too: it takes no samples to say so.
pub(crate) fn count(slo: &Slo, limits: Limits, evidence: &Evidence) -> Finding {
    let bound = limits.bound(text::count);
    let (Some(metric), Some(id)) = (evidence.metric(slo), slo.metric) else {
        let why = "the plan has no metric for it".to_owned();
        return Draft::new(slo, bound, 0).unknown((Reason::NoData, why));
    };
    let total = evidence.merged.metric(evidence.layout, id, slo.window);
    let draft = Draft::new(slo, bound, total.count);
    if evidence.layout.judged_time(slo.window, evidence.until) == 0 {
        return draft.unknown((Reason::NoData, "no judged time was measured".to_owned()));
    }
    let (n, of) = match metric.kind {
        MetricKind::Counter => (total.sum, format!(" (counted in {})", text::counted(total.count, "event"))),
        _ => (total.count, String::new()),
    };
    let holds = limits.at_most.is_none_or(|most| n <= most) && limits.at_least.is_none_or(|least| n >= least);
    let value = text::count(n);
    let message = format!("{value}, {}{of}", limits.words(text::count));
    draft.decided(holds, value, &message)
}

/// Whether what was counted so far is more than allowed: it will not become less.
pub(crate) fn is_exceeded(slo: &Slo, at_most: Option<u64>, evidence: &Evidence) -> bool {
    let (Some(metric), Some(id)) = (evidence.metric(slo), slo.metric) else { return false };
    let total = evidence.merged.metric(evidence.layout, id, slo.window);
    let n = if metric.kind == MetricKind::Counter { total.sum } else { total.count };
    at_most.is_some_and(|most| n > most)
}
