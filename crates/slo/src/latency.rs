//! Judges `latency`: percentiles by the counters alone, mean and maximum by the exact sums beside the histograms.

use plimsoll_measure::Percentile;

use crate::scope::{Draft, Evidence, Finding};
use crate::text::{self, Ratio};
use crate::{Reason, Slo, Stat, Tally};

/// Judges the percentile `q` (hundredths of a percent): it is at most the bound iff the requests over it are at most `n - ⌈q·n⌉`.
pub(crate) fn percentile(
    slo: &Slo,
    q: u32,
    (at_most, succeeded_only): (u64, bool),
    evidence: &Evidence,
) -> Finding {
    let tally = evidence.tally(slo);
    let allowed_share = Ratio(10_000u128.saturating_sub(q.into()), 100);
    let share = text::percent(tally.bad, tally.total, 2, |share| share.at_most(allowed_share));
    let share = (tally.total > 0).then_some(share);
    let draft = Draft::new(slo, bound(at_most), tally.total).counted(tally, share);
    if let Some(why) = evidence.too_few(slo, tally.total) {
        return draft.unknown(why);
    }
    let holds = tally.bad <= allowed(q, tally.total);
    let incomplete = if succeeded_only { 0 } else { evidence.endless(slo) };
    let shown = evidence.latencies(slo, succeeded_only).percentile(q, incomplete).clamped(at_most, holds);
    let bound_text = text::duration_exact(at_most);
    let (value, shown) = match shown {
        Percentile::Finite(nanos) => {
            let value = text::duration_beside(nanos, at_most);
            (value.clone(), text::spaced(&value))
        }
        Percentile::OverMax => (">max".to_owned(), ">max".to_owned()),
        // Counters alone were saved of a lost worker: they decide, and nothing finer is known.
        Percentile::NoData => {
            let side = if holds { "≤" } else { ">" };
            (format!("{side}{bound_text}"), format!("{side}{}", text::spaced(&bound_text)))
        }
    };
    let kind = match (slo.metric, succeeded_only) {
        (Some(_), _) => "sample",
        (None, true) => "successful request",
        (None, false) => "request",
    };
    let words = format!(
        "{}{}, allowed {} ({}, {})",
        stat_words(&slo.name, Stat::Percentile(q)),
        shown,
        text::spaced(&bound_text),
        text::counted(tally.total, kind),
        too_slow(slo, tally, incomplete),
    );
    draft.decided(holds, value, &words)
}

/// Bad requests that a percentile allows among `n`: `n - ⌈q·n⌉`.
pub(crate) fn allowed(q: u32, n: u64) -> u64 {
    n - plimsoll_measure::rank(q, n).min(n)
}

/// Judges mean or maximum of the complete requests, or of what a trend measured; what timed out there is over every bound of a maximum.
pub(crate) fn exact(
    slo: &Slo,
    stat: Stat,
    (at_most, succeeded_only): (u64, bool),
    evidence: &Evidence,
) -> Finding {
    let latencies = evidence.latencies(slo, succeeded_only);
    let n = latencies.count();
    let draft = Draft::new(slo, bound(at_most), n);
    let left_out = if succeeded_only { 0 } else { evidence.endless(slo) };
    let (kind, without) = kinds(slo, succeeded_only);
    if slo.metric.is_some() && stat == Stat::Max && left_out > 0 {
        let samples = text::counted(n.saturating_add(left_out), kind);
        let allowed = text::spaced(&text::duration_exact(at_most));
        let words = format!(
            "{}>max, allowed {allowed} ({samples}, {} {without})",
            stat_words(&slo.name, stat),
            text::count(left_out)
        );
        return draft.decided(false, ">max".to_owned(), &words);
    }
    if n == 0 && left_out > 0 {
        let why = format!("no {kind} to judge it by, {} {without}", text::count(left_out));
        return draft.unknown((Reason::NoData, why));
    }
    if let Some(why) = evidence.too_few(slo, n) {
        return draft.unknown(why);
    }
    let (holds, nanos) = match stat {
        Stat::Mean => {
            let holds = latencies.sum() <= u128::from(at_most) * u128::from(n);
            // A mean that is over the bound by a fraction of a nanosecond is shown as over it.
            (
                holds,
                latencies.mean().unwrap_or(u64::MAX).max(if holds { 0 } else { at_most.saturating_add(1) }),
            )
        }
        _ => {
            let max = latencies.max().unwrap_or_default();
            (max <= at_most, max)
        }
    };
    let value = text::duration_beside(nanos, at_most);
    let words = format!(
        "{}{}, allowed {} ({}{})",
        stat_words(&slo.name, stat),
        text::spaced(&value),
        text::spaced(&text::duration_exact(at_most)),
        text::counted(n, kind),
        if left_out > 0 {
            format!(", {} {without} not among them", text::count(left_out))
        } else {
            String::new()
        },
    );
    draft.decided(holds, value, &words)
}

/// What the samples of a mean or maximum are, and what the others lack.
fn kinds(slo: &Slo, succeeded_only: bool) -> (&'static str, &'static str) {
    match (slo.metric, succeeded_only) {
        (Some(_), _) => ("sample", "timed out"),
        (None, true) => ("successful request", "without a response"),
        (None, false) => ("complete request", "without a response"),
    }
}

/// The statistic, unless the SLO's name says it already.
pub(crate) fn stat_words(name: &str, stat: Stat) -> String {
    let stat = stat_name(stat);
    let said = name.split(|c: char| !c.is_ascii_alphanumeric() && c != '.').any(|word| word == stat);
    if said { String::new() } else { format!("{stat} ") }
}

/// `p95`, `p99.9`, `mean`, `max`.
#[must_use]
pub fn stat_name(stat: Stat) -> String {
    match stat {
        Stat::Percentile(q) => {
            let digits = format!("{}.{:02}", q / 100, q % 100);
            format!("p{}", digits.trim_end_matches('0').trim_end_matches('.'))
        }
        Stat::Mean => "mean".to_owned(),
        Stat::Max => "max".to_owned(),
    }
}

fn bound(at_most: u64) -> String {
    format!("≤ {}", text::duration_exact(at_most))
}

fn too_slow(slo: &Slo, tally: Tally, incomplete: u64) -> String {
    let (_, without) = kinds(slo, false);
    let slow = if tally.bad == 0 { "none".to_owned() } else { text::count(tally.bad) };
    match incomplete {
        0 => format!("{slow} too slow"),
        _ => format!("{slow} too slow, of them {} {without}", text::count(incomplete)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_allow_what_lies_above_them() {
        for (q, n, bad) in [
            (9_500, 20, 1),
            (9_500, 19, 0),
            (9_500, 21, 1),
            (9_500, 39, 1),
            (9_500, 40, 2),
            (9_900, 100, 1),
            (9_900, 99, 0),
            (9_990, 1_000, 1),
            (9_990, 999, 0),
            (5_000, 1, 0),
            (5_000, 2, 1),
            (10_000, 50, 0),
            (0, 50, 49),
            (9_500, 0, 0),
        ] {
            assert_eq!(allowed(q, n), bad, "q {q}, n {n}");
        }
    }

    #[test]
    fn names_of_statistics() {
        assert_eq!(stat_name(Stat::Percentile(9_500)), "p95");
        assert_eq!(stat_name(Stat::Percentile(9_990)), "p99.9");
        assert_eq!(stat_name(Stat::Percentile(9_999)), "p99.99");
        assert_eq!(stat_name(Stat::Percentile(5_000)), "p50");
        assert_eq!(stat_name(Stat::Percentile(10_000)), "p100");
        assert_eq!(stat_words("login-p95", Stat::Percentile(9_500)), "");
        assert_eq!(stat_words("fast", Stat::Percentile(9_500)), "p95 ");
        assert_eq!(stat_words("p99", Stat::Percentile(9_990)), "p99.9 ");
        assert_eq!(stat_words("max", Stat::Max), "");
    }
}
