//! Judges SLOs of `source: Prometheus`: by the same two integers as the others, read from our own series in Prometheus in place of our
//! own counters. Called by `evaluate.rs`; asked by `crates/telemetry/src/query`.

use plimsoll_measure::{ObjectiveCount, Snapshot};

use crate::rates::Limits;
use crate::scope::{Draft, Evidence, Finding};
use crate::text::{self, Ratio};
use crate::{Kind, Query, Reason, Slo, Stat, Tally, evaluate, latency};

/// What one SLO comes to by Prometheus.
pub(crate) fn judge(slo: &Slo, query: &Query, evidence: &Evidence) -> Finding {
    let tally = match query {
        Query::Counts(tally) => *tally,
        Query::Missing(why) | Query::NoData { why, .. } => return unknown(slo, evidence, why),
        Query::Value(_) => return unknown(slo, evidence, "Prometheus gave a number, not counters"),
    };
    let mut finding = match &slo.kind {
        Kind::Latency { stat: Stat::Percentile(q), at_most, .. } => {
            percentile(slo, *q, *at_most, tally, evidence)
        }
        Kind::Throughput { at_least, at_most } => {
            throughput(slo, Limits { at_most: *at_most, at_least: *at_least }, tally, evidence)
        }
        _ => share(slo, tally, evidence),
    };
    if finding.unknown.is_none() {
        finding.result.message.push_str("; from Prometheus");
    }
    finding
}

/// The bound is that of the SLO; how it is written is known to its own kind alone.
fn unknown(slo: &Slo, evidence: &Evidence, why: &str) -> Finding {
    let bound = evaluate::counted(slo, evidence).result.bound;
    Draft::new(slo, bound, 0).unknown((Reason::NoData, format!("no result from Prometheus: {why}")))
}

fn percentile(slo: &Slo, q: u32, at_most: u64, tally: Tally, evidence: &Evidence) -> Finding {
    let allowed_share = Ratio(10_000u128.saturating_sub(q.into()), 100);
    let share = text::percent(tally.bad, tally.total, 2, |share| share.at_most(allowed_share));
    let draft = Draft::new(slo, format!("≤ {}", text::duration_exact(at_most)), tally.total)
        .counted(tally, (tally.total > 0).then_some(share));
    if let Some(why) = evidence.too_few(slo, tally.total) {
        return draft.unknown(why);
    }
    let holds = tally.bad <= latency::allowed(q, tally.total);
    let bound = text::duration_exact(at_most);
    let side = if holds { "≤" } else { ">" };
    let words = format!(
        "{}{side}{}, allowed {} ({}, {} too slow)",
        latency::stat_words(&slo.name, Stat::Percentile(q)),
        text::spaced(&bound),
        text::spaced(&bound),
        text::counted(tally.total, evidence.noun(slo)),
        text::count(tally.bad),
    );
    draft.decided(holds, format!("{side}{bound}"), &words)
}

/// Complete requests per second of judged time; `tally` is all requests and the incomplete ones.
fn throughput(slo: &Slo, limits: Limits, tally: Tally, evidence: &Evidence) -> Finding {
    let complete = tally.total.saturating_sub(tally.bad);
    let nanos = evidence.layout.judged_time(slo.window, evidence.until);
    let draft = Draft::new(slo, limits.bound(text::rate_exact), tally.total);
    if nanos == 0 {
        return draft.unknown((Reason::NoData, "no judged time was measured".to_owned()));
    }
    if let Some(why) = evidence.too_few(slo, tally.total) {
        return draft.unknown(why);
    }
    let side = |rate: Ratio| limits.hold(rate, text::kept_rate);
    let unit = text::rate_unit(limits.at_least.into_iter().chain(limits.at_most));
    let holds = side(Ratio(u128::from(complete) * 1_000_000_000, nanos.into()));
    let value = text::rate_beside(complete, nanos, unit, side);
    let words = format!(
        "{value}, {} ({} in {})",
        limits.words(text::rate_exact),
        text::counted(complete, "complete request"),
        text::spaced(&text::duration(nanos)),
    );
    draft.decided(holds, value, &words)
}

/// Shares are judged by the SLO's pair of counters alone, so Prometheus' pair is put in the place of ours.
fn share(slo: &Slo, tally: Tally, evidence: &Evidence) -> Finding {
    let Some(at) = slo.objective else {
        return unknown(slo, evidence, "no pair of counters decides this SLO");
    };
    let mut merged = Snapshot::clone(evidence.merged);
    let places = evidence.layout.objectives.len().max(at + 1);
    merged.objectives.resize(places, ObjectiveCount::default());
    merged.objectives[at] = ObjectiveCount { total: tally.total, bad: tally.bad };
    evaluate::counted(slo, &Evidence { merged: &merged, ..*evidence })
}
