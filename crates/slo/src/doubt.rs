//! Whether values of a metric that could not be computed take a good result back: a bound is only met if it would be met whatever
//! they had been. Called by `evaluate.rs`.

use plimsoll_measure::MetricKind;

use crate::rates::Limits;
use crate::scope::{Evidence, Finding};
use crate::text::{self, Ratio};
use crate::{Kind, Outcome, Reason, Slo, Stat, latency};

/// The finding, or that nothing is known where what is missing could have made it another.
pub(crate) fn doubted(slo: &Slo, evidence: &Evidence, finding: Finding) -> Finding {
    if finding.result.outcome != Outcome::Met {
        return finding;
    }
    let missing = evidence.uncomputed(slo);
    if missing == 0 || holds_anyway(slo, evidence, missing) {
        return finding;
    }
    let mut result = finding.result;
    result.outcome = Outcome::Unknown;
    result.message = format!(
        "{}, but {} more could not be computed: see the check \"metric …\", or give the expression a value for such responses",
        result.message,
        text::counted(missing, "value"),
    );
    Finding { result, unknown: Some(Reason::NoData) }
}

fn holds_anyway(slo: &Slo, evidence: &Evidence, missing: u64) -> bool {
    let tally = evidence.tally(slo);
    let total = tally.total.saturating_add(missing);
    let share = |good: u64| Ratio(u128::from(good) * 100, total.into());
    match &slo.kind {
        Kind::MetricRate { at_least, at_most } => {
            let good = tally.total.saturating_sub(tally.bad);
            let limits = |at_least, at_most| Limits { at_most, at_least };
            limits(*at_least, None).hold(share(good), text::ppb_percent)
                && limits(None, *at_most).hold(share(good.saturating_add(missing)), text::ppb_percent)
        }
        Kind::Latency { stat: Stat::Percentile(q), .. } => {
            tally.bad.saturating_add(missing) <= latency::allowed(*q, total)
        }
        // A mean or a maximum may have been anything.
        Kind::Latency { .. } => false,
        // More would only be more.
        Kind::MetricCount { at_most: None, .. } => true,
        Kind::MetricCount { at_most: Some(most), .. } => {
            let counter = evidence.metric(slo).is_some_and(|metric| metric.kind == MetricKind::Counter);
            let samples = slo.metric.map(|id| evidence.merged.metric(evidence.layout, id, slo.window).count);
            !counter && samples.unwrap_or(0).saturating_add(missing) <= *most
        }
        _ => true,
    }
}
