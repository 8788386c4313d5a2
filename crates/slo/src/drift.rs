//! Judges `latency.relativeTo: FirstTenth`: a statistic against the same one over the first tenth of the scope's judged time.
//!
//! Reads the coarse histograms of the per-second series, hence approximate: percentiles are interpolated within a bucket.

use plimsoll_measure::{Histogram, Percentile};

use crate::latency::stat_words;
use crate::scope::{Draft, Evidence, Finding};
use crate::text;
use crate::{Reason, Slo, Stat};

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// Judges that the statistic is at most `at_most` parts per billion of what it was in the first tenth.
pub(crate) fn drift(slo: &Slo, stat: Stat, at_most: u64, evidence: &Evidence) -> Finding {
    let allowed = text::share_exact(at_most);
    let bound = format!("≤ {allowed} of the first tenth");
    if slo.request.is_some() || slo.metric.is_some() {
        let why = "the series tells neither requests nor metrics apart: judge the drift of all requests, without `request` and `metric`";
        return Draft::new(slo, bound, 0).unknown((Reason::NoData, why.to_owned()));
    }
    let tenth = first_tenth(slo, evidence);
    let (first, first_incomplete) = latencies(slo, tenth, evidence);
    let (all, incomplete) = latencies(slo, evidence.until, evidence);
    // Both sides of the comparison must be known, so the smaller one decides.
    let samples = first.count().saturating_add(first_incomplete);
    let draft = Draft::new(slo, bound, samples);
    if let Some((reason, why)) = evidence.too_few(slo, samples) {
        return draft.unknown((reason, format!("first tenth: {why}")));
    }
    let Some(before) = statistic(&first, stat, first_incomplete) else {
        return draft
            .unknown((Reason::NoData, "the first tenth has no finite value to compare with".to_owned()));
    };
    let name = stat_words(&slo.name, stat);
    let before_text = text::spaced(&text::duration(before));
    let Some(now) = statistic(&all, stat, incomplete) else {
        let words =
            format!("{name}>max, {before_text} in the first tenth, allowed {allowed} of it (approximate)");
        return draft.decided(false, ">max".to_owned(), &words);
    };
    let limit = text::ppb_percent(at_most);
    let holds = text::Ratio(u128::from(now) * 100, u128::from(before.max(1))).at_most(limit);
    let value = text::ratio_percent(now, before.max(1), |share| share.at_most(limit));
    let now_text = text::spaced(&text::duration(now));
    let words = format!(
        "{name}{now_text}, {value} of the {before_text} in the first tenth, allowed {allowed} (approximate; {})",
        text::counted(all.count().saturating_add(incomplete), "request"),
    );
    draft.decided(holds, value, &words)
}

/// The moment at which a tenth of the scope's judged time has passed.
pub(crate) fn first_tenth(slo: &Slo, evidence: &Evidence) -> u64 {
    let mut left = evidence.layout.judged_time(slo.window, u64::MAX) / 10;
    for (start, end) in evidence.layout.judged_spans(slo.window) {
        let span = end.saturating_sub(start);
        if left <= span {
            return start.saturating_add(left);
        }
        left -= span;
    }
    0
}

/// Latencies, and requests without a response, of the judged seconds of the scope that begin before `until`.
fn latencies(slo: &Slo, until: u64, evidence: &Evidence) -> (Histogram, u64) {
    let spans = evidence.layout.judged_spans(slo.window);
    let (mut merged, mut incomplete) = (Histogram::new(), 0u64);
    for second in &evidence.merged.series {
        let at = u64::from(second.second) * SECOND;
        if at < until && spans.iter().any(|(start, end)| (*start..*end).contains(&at)) {
            merged.merge(&second.latency);
            incomplete = incomplete.saturating_add(second.incomplete);
        }
    }
    (merged, incomplete)
}

fn statistic(latencies: &Histogram, stat: Stat, incomplete: u64) -> Option<u64> {
    match stat {
        Stat::Mean => latencies.mean(),
        Stat::Max => latencies.max(),
        Stat::Percentile(q) => match latencies.percentile(q, incomplete) {
            Percentile::Finite(_) => interpolated(latencies, q, incomplete),
            Percentile::NoData | Percentile::OverMax => None,
        },
    }
}

/// The percentile if samples lay evenly on a logarithmic scale within their bucket: finer than the middle of a bucket that is 9 % wide.
fn interpolated(latencies: &Histogram, q: u32, incomplete: u64) -> Option<u64> {
    let rank = plimsoll_measure::rank(q, latencies.count().saturating_add(incomplete));
    let mut seen = latencies.zero();
    if rank <= seen {
        return Some(0);
    }
    for (index, n) in latencies.buckets() {
        if rank - seen <= n {
            let (low, high) = (latencies.upper_bound(index - 1), latencies.upper_bound(index));
            let nanos = low * (high / low).powf((rank - seen) as f64 / n as f64);
            return Some((nanos as u64).clamp(latencies.min()?, latencies.max()?));
        }
        seen = seen.saturating_add(n);
    }
    latencies.max()
}
