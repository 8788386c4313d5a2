//! Judges a run again by SLOs that it was not counted for. Failures, statuses and checks are exact in the totals; how many latencies were
//! over another bound is read from the histograms, and known but for the bucket that the bound lies in. Called by `cli/src/judge.rs`.

use plimsoll_measure::{
    Bad, Counts, Histogram, Layout, Metric, MetricId, MetricKind, MetricTotal, Objective, ObjectiveCount,
    Population, Snapshot,
};

use crate::evaluate::evaluate;
use crate::judge::verdict;
use crate::scope::{Draft, Evidence, Finding};
use crate::text;
use crate::{Facts, Judgement, Kind, Outcome, Reason, Slo, Validity};

/// Judges a run that is over by SLOs whose pairs of counters the layout holds and the snapshot may lack: those behind the last one that
/// was counted. A latency bound that was not counted is marked as approximate, and Unknown if it depends on the bucket that it lies in.
#[must_use]
pub fn rejudge(
    slos: &[Slo],
    validity: &Validity,
    layout: &Layout,
    merged: &Snapshot,
    facts: &Facts,
) -> Judgement {
    let (mut fewest, mut most) = (merged.clone(), merged.clone());
    for objective in layout.objectives.iter().skip(merged.objectives.len()) {
        let Recount { total, bad, doubtful } = recount(objective, layout, merged);
        fewest.objectives.push(ObjectiveCount { total, bad });
        most.objectives.push(ObjectiveCount { total, bad: bad.saturating_add(doubtful) });
    }
    let evidence = |merged| Evidence { validity, layout, merged, facts, until: facts.measured };
    let (fewest, most) = (evidence(&fewest), evidence(&most));
    let finding = |slo: &Slo| match slo.objective.filter(|at| *at >= merged.objectives.len()) {
        None => evaluate(slo, &most),
        Some(at) => uncounted(slo, at, &fewest, &most),
    };
    let findings: Vec<Finding> = slos.iter().map(finding).collect();
    let (verdict, reason, message) = verdict(slos, &findings, &most);
    let results = findings.into_iter().map(|finding| finding.result).collect();
    Judgement { verdict, reason, message, results }
}

/// What an SLO comes to whose counters were made up from the totals.
fn uncounted(slo: &Slo, at: usize, fewest: &Evidence, most: &Evidence) -> Finding {
    let mut finding = evaluate(slo, most);
    if is_by_second(slo) {
        let why = "this recovery was not counted in the run, second by second".to_owned();
        return Draft::new(slo, finding.result.bound, finding.result.samples).unknown((Reason::NoData, why));
    }
    let objective = most.layout.objectives.get(at);
    let Some(Bad::Slower { nanos, .. }) = objective.map(|objective| &objective.bad) else { return finding };
    let by_fewest = evaluate(slo, fewest);
    if by_fewest.result.outcome != finding.result.outcome {
        let bad = |evidence: &Evidence| text::count(evidence.tally(slo).bad);
        let why = format!(
            "{} to {} of {} were over {}, which was not counted and lies within a bucket of the histogram: choose a bound that was \
             counted, or one that is not so near",
            bad(fewest),
            bad(most),
            text::counted(finding.result.samples, most.noun(slo)),
            text::spaced(&text::duration_exact(*nanos)),
        );
        return Draft::new(slo, finding.result.bound, finding.result.samples).unknown((Reason::NoData, why));
    }
    if finding.result.outcome != Outcome::Unknown {
        finding.result.message.push_str("; approximate, since this bound was not counted in the run");
    }
    finding
}

fn is_by_second(slo: &Slo) -> bool {
    matches!(slo.kind, Kind::ErrorRate { within: Some(_), .. })
}

/// What an objective would have counted; of `doubtful` more it is not known whether they are bad.
struct Recount {
    total: u64,
    bad: u64,
    doubtful: u64,
}

fn recount(objective: &Objective, layout: &Layout, merged: &Snapshot) -> Recount {
    match objective.population {
        Population::Requests => requests(objective, layout, merged),
        Population::Metric(id) => {
            let total = merged.metric(layout, id, objective.window);
            match objective.bad {
                Bad::Slower { nanos, succeeded_only } => {
                    let endless = if succeeded_only { 0 } else { total.timed_out };
                    slower(&total.histogram, total.histogram.count(), endless, nanos)
                }
                _ => not_good(&[total]),
            }
        }
        Population::Checks { check } => {
            let name = check.and_then(|check| layout.metric(check)).map(|metric| metric.name.as_str());
            let is_counted = |metric: &Metric| match metric.kind {
                MetricKind::Check | MetricKind::Fault => {
                    name.is_none_or(|name| metric.name == name)
                        && (objective.request.is_none() || metric.request == objective.request)
                }
                MetricKind::Counter | MetricKind::Rate | MetricKind::Trend => false,
            };
            let counted = layout.metrics.iter().zip(0..).filter(|(metric, _)| is_counted(metric));
            let totals = counted.map(|(_, id)| merged.metric(layout, MetricId(id), objective.window));
            not_good(&totals.collect::<Vec<_>>())
        }
    }
}

fn not_good(totals: &[MetricTotal]) -> Recount {
    let sum =
        |of: fn(&MetricTotal) -> u64| totals.iter().fold(0u64, |sum, total| sum.saturating_add(of(total)));
    let (total, good) = (sum(|total| total.count), sum(|total| total.good));
    Recount { total, bad: total.saturating_sub(good), doubtful: 0 }
}

fn requests(objective: &Objective, layout: &Layout, merged: &Snapshot) -> Recount {
    let Objective { request, window, .. } = *objective;
    let counts = merged.counts(layout, request, window);
    let exact = |bad| Recount { total: counts.requests(), bad, doubtful: 0 };
    match &objective.bad {
        Bad::Failed { classes } if classes.is_empty() => exact(counts.failed),
        Bad::Failed { classes } => exact(classes.iter().filter_map(|class| counts.classes.get(class)).sum()),
        Bad::Status { ranges } => exact(answered(&counts, ranges)),
        Bad::Slower { nanos, succeeded_only: false } => {
            let latencies = merged.histogram(layout, request, window, |cell| &cell.latency);
            slower(&latencies, counts.complete, counts.incomplete, *nanos)
        }
        Bad::Slower { nanos, succeeded_only: true } => {
            let latencies = merged.histogram(layout, request, window, |cell| &cell.succeeded);
            slower(&latencies, latencies.count(), 0, *nanos)
        }
        Bad::NotGood => exact(0),
    }
}

fn answered(counts: &Counts, ranges: &[(u16, u16)]) -> u64 {
    let is_meant = |status: &u16| ranges.iter().any(|(from, to)| (from..=to).contains(&status));
    counts.statuses.iter().filter(|(status, _)| is_meant(status)).fold(0, |sum, (_, n)| sum + n)
}

/// Of `finite` durations those over a bound, by their histogram, and `endless` ones, which are over every bound. What the histogram
/// lacks, since it did not fit into the stored result, is doubtful.
fn slower(histogram: &Histogram, finite: u64, endless: u64, bound: u64) -> Recount {
    let mut doubtful = finite.saturating_sub(histogram.count());
    let mut bad = endless;
    let (least, largest) = (histogram.min().unwrap_or(0), histogram.max().unwrap_or(0));
    if least > bound {
        bad = bad.saturating_add(histogram.count());
    } else if largest > bound {
        for (index, n) in histogram.buckets() {
            let (lower, upper) = (histogram.upper_bound(index - 1), histogram.upper_bound(index));
            // Bounds of buckets are no whole numbers: a nanosecond beside them nothing is certain.
            if lower >= bound.saturating_add(1) as f64 {
                bad = bad.saturating_add(n);
            } else if upper + 1.0 > bound as f64 {
                doubtful = doubtful.saturating_add(n);
            }
        }
    }
    Recount { total: finite.saturating_add(endless), bad, doubtful }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_between_two_buckets_leaves_no_doubt() {
        let mut histogram = Histogram::new();
        (0..100).for_each(|_| histogram.record(10_000_000));
        (0..5).for_each(|_| histogram.record(30_000_000));
        let Recount { total, bad, doubtful } = slower(&histogram, 105, 2, 20_000_000);
        assert_eq!((total, bad, doubtful), (107, 7, 0));
        let Recount { bad, doubtful, .. } = slower(&histogram, 105, 0, 30_000_000);
        assert_eq!((bad, doubtful), (0, 0), "the maximum is exact");
        let Recount { bad, doubtful, .. } = slower(&histogram, 105, 0, 5_000_000);
        assert_eq!((bad, doubtful), (105, 0), "and so is the minimum");
    }

    #[test]
    fn a_bound_within_a_bucket_leaves_its_bucket_in_doubt() {
        let mut histogram = Histogram::new();
        (0..10).for_each(|_| histogram.record(10_000_000));
        (0..4).for_each(|_| histogram.record(20_000_000));
        histogram.record(90_000_000);
        let Recount { total, bad, doubtful } = slower(&histogram, 15, 0, 20_010_000);
        assert_eq!((total, bad, doubtful), (15, 1, 4));
    }

    #[test]
    fn what_was_left_out_of_a_stored_result_is_in_doubt() {
        let Recount { total, bad, doubtful } = slower(&Histogram::new(), 50, 3, 20_000_000);
        assert_eq!((total, bad, doubtful), (53, 3, 50));
    }
}
