//! Decides every second whether a run is to be stopped for an SLO. The end of such a run is judged by `judge.rs`.

use plimsoll_measure::{Layout, Snapshot};

use crate::evaluate::evaluate;
use crate::scope::Evidence;
use crate::{Facts, Kind, Outcome, Query, Severity, Slo, Validity, drift, metrics};

/// The first SLO that is missed on the counts so far and stops the run for it: its index and its message.
///
/// `elapsed` is how much of the run the counts cover, in nanoseconds since its start. Severity Critical stops at once, Error by `abort`,
/// from `abort.after` into the judged part; both only with enough samples. Warning and Info never stop a run.
#[must_use]
pub fn live(
    slos: &[Slo],
    validity: &Validity,
    layout: &Layout,
    merged: &Snapshot,
    facts: &Facts,
    elapsed: u64,
) -> Option<(usize, String)> {
    let evidence = Evidence { validity, layout, merged, facts, until: elapsed };
    let judged = layout.judged_time(None, elapsed);
    slos.iter().enumerate().find_map(|(at, slo)| {
        let due = judged > 0 && abort_after(slo).is_some_and(|after| judged >= after);
        if !due || !is_decidable(slo, &evidence) {
            return None;
        }
        let result = evaluate(slo, &evidence).result;
        (result.outcome == Outcome::Missed).then_some((at, result.message))
    })
}

/// Nanoseconds into the judged part from which on a miss stops the run; none if it never does.
pub(crate) fn abort_after(slo: &Slo) -> Option<u64> {
    match slo.severity {
        Severity::Critical => Some(slo.abort_after.unwrap_or_default()),
        Severity::Error => slo.abort_after,
        Severity::Warning | Severity::Info => None,
    }
}

/// Whether the counts so far can already say that an SLO is missed: a recovery only when its window is over, a number that is too small
/// neither, a drift after the first tenth. A query is judged by its last answer; what it has not been answered is Unknown.
fn is_decidable(slo: &Slo, evidence: &Evidence) -> bool {
    if is_empty_answer(slo, evidence) {
        return false;
    }
    match &slo.kind {
        Kind::ErrorRate { within: Some(_), .. } => is_over(slo, evidence),
        Kind::MetricCount { at_most, .. } => {
            metrics::is_exceeded(slo, *at_most, evidence) || is_over(slo, evidence)
        }
        Kind::LatencyDrift { .. } => drift::first_tenth(slo, evidence) < evidence.until,
        _ => true,
    }
}

/// Whether Prometheus has nothing for an SLO: `onNoData` is a word about the end, and series may still come.
fn is_empty_answer(slo: &Slo, evidence: &Evidence) -> bool {
    let empty = |(name, query): &(String, Query)| *name == slo.name && matches!(query, Query::NoData { .. });
    evidence.facts.queries.iter().any(empty)
}

/// Whether the last judged stretch of an SLO's scope lies behind.
fn is_over(slo: &Slo, evidence: &Evidence) -> bool {
    evidence.layout.judged_spans(slo.window).last().is_some_and(|(_, end)| *end <= evidence.until)
}
