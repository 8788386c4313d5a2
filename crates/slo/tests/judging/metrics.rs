//! SLOs on checks and metrics: at their bounds, beside them, without data, while the run goes on, and what they say.

use crate::support::*;
use plimsoll_measure::{MetricId, Observation, RequestId, WindowId};
use plimsoll_slo::{Kind, Outcome, Reason, Severity, Slo, SloResult, Stat, Tally, Verdict};

use Observation::{Add, Done, Good, NotDone, TimedOut};
use Outcome::{Met, Missed, Unknown};

type Seen = Vec<(MetricId, u64, Observation)>;

/// An SLO on a metric.
fn on(metric: MetricId, name: &str, kind: Kind) -> Slo {
    Slo { metric: Some(metric), ..slo(name, kind) }
}

/// Judged in a run of 100 good requests.
fn result_of(slo: Slo, seen: &Seen) -> SloResult {
    Run::observed(vec![slo], &many(100, 20 * MS, ok()), seen).judge().results.remove(0)
}

fn checks(passed: usize, failed: usize) -> Seen {
    [seen(passed, VALID, Good(true)), seen(failed, VALID, Good(false))].concat()
}

fn check_rate(at_least: u64) -> Kind {
    Kind::CheckRate { at_least }
}

fn job(stat: Stat, succeeded_only: bool) -> Slo {
    on(JOB, "job", Kind::Latency { stat, at_most: 500 * MS, succeeded_only })
}

#[test]
fn check_rates() {
    let rate = |passed, failed| result_of(slo("checks", check_rate(999_000_000)), &checks(passed, failed));
    for (passed, failed, outcome) in [
        (999, 1, Met),
        (998, 2, Missed),
        (1_998, 2, Met),
        (1_998, 3, Missed),
        (10, 0, Met),
        (0, 10, Missed),
        (0, 0, Unknown),
    ] {
        let result = rate(passed, failed);
        assert_eq!(result.outcome, outcome, "{}", result.message);
        let (total, bad) = ((passed + failed) as u64, failed as u64);
        assert_eq!((result.samples, result.tally), (total, Some(Tally { total, bad })));
    }
    let missed = rate(1_488, 12);
    assert_eq!(missed.message, "checks: 99.2% passed, wanted at least 99.9% (1 500 checks, 12 failed)");
    assert_eq!(
        (missed.value.as_deref(), missed.bound.as_str(), missed.share.as_deref()),
        (Some("99.2%"), "≥ 99.9%", Some("0.8%"))
    );
    assert_eq!(
        rate(1_500, 0).message,
        "checks: 100% passed, wanted at least 99.9% (1 500 checks, none failed)"
    );
    let hair = rate(99_899, 101);
    assert_eq!((hair.value.as_deref(), hair.share.as_deref()), (Some("99.899%"), Some("0.101%")));
    assert_eq!(rate(0, 0).message, "checks: no checks to judge it by");
}

#[test]
fn faults_are_checks_that_failed() {
    let all = [checks(98, 0), seen(2, CAPTURE, Good(false)), seen(50, CAPTURE, Good(true))].concat();
    let result = result_of(slo("checks", check_rate(980_000_000)), &all);
    assert_eq!((result.outcome, result.tally), (Met, Some(Tally { total: 100, bad: 2 })));
}

#[test]
fn checks_are_scoped_by_name_request_and_window() {
    let mut all = [checks(9, 1), seen(20, FRESH, Good(true))].concat();
    all.push((FRESH, 13 * SECOND, Good(false)));
    all.push((FRESH, SECOND, Good(false)));
    let scope = |check: Option<MetricId>, request: Option<u16>, window: Option<u16>| {
        let scoped = Slo {
            metric: check,
            request: request.map(RequestId),
            window: window.map(WindowId),
            ..slo("checks", check_rate(1))
        };
        let tally = result_of(scoped, &all).tally.unwrap();
        (tally.total, tally.bad)
    };
    assert_eq!(scope(None, None, None), (31, 2));
    assert_eq!(scope(Some(VALID), None, None), (10, 1));
    assert_eq!(scope(Some(FRESH), None, None), (21, 1));
    assert_eq!(scope(None, Some(1), None), (21, 1));
    assert_eq!(scope(None, Some(0), Some(0)), (10, 1));
    assert_eq!(scope(None, None, Some(2)), (1, 1));
}

#[test]
fn rates_of_a_rate() {
    let rate = |at_least, at_most, yes, no| {
        let kind = Kind::MetricRate { at_least, at_most };
        let all = [seen(yes, HITS, Good(true)), seen(no, HITS, Good(false))].concat();
        result_of(on(HITS, "cache", kind), &all)
    };
    let (most, least) = (Some(5 * PERCENT), Some(80 * PERCENT));
    assert_eq!(rate(None, most, 5, 95).outcome, Met);
    assert_eq!(rate(None, most, 6, 95).outcome, Missed);
    assert_eq!(rate(least, None, 80, 20).outcome, Met);
    assert_eq!(rate(least, None, 79, 20).outcome, Missed);
    assert_eq!(
        rate(least, None, 790, 210).message,
        "cache: 79% true, wanted at least 80% (1 000 samples, 210 false)"
    );
    assert_eq!(rate(None, most, 6, 94).message, "cache: 6% true, allowed 5% (100 samples, 94 false)");
    assert_eq!(rate(None, most, 0, 0).message, "cache: no samples to judge it by");
}

#[test]
fn values_that_could_not_be_computed_prove_nothing() {
    let judged = |metric, fault, kind, good: (usize, Observation), bad: (usize, Observation), missing| {
        let all =
            [seen(good.0, metric, good.1), seen(bad.0, metric, bad.1), seen(missing, fault, Good(false))];
        result_of(on(metric, "it", kind), &all.concat())
    };
    let rate = |at_least, at_most, yes, no, missing| {
        let kind = Kind::MetricRate { at_least, at_most };
        judged(HITS, HITS_FAULT, kind, (yes, Good(true)), (no, Good(false)), missing).outcome
    };
    let (most, least) = (Some(5 * PERCENT), Some(80 * PERCENT));
    assert_eq!(rate(least, None, 80, 0, 20), Met, "the others may all have been false");
    assert_eq!(rate(least, None, 79, 0, 21), Unknown);
    assert_eq!(rate(least, None, 10, 90, 50), Missed, "what was computed is too bad already");
    assert_eq!((rate(None, most, 0, 95, 5), rate(None, most, 0, 94, 6)), (Met, Unknown));
    let count = |at_least, at_most, n, missing| {
        let kind = Kind::MetricCount { at_least, at_most };
        judged(ORDERS, ORDERS_FAULT, kind, (n, Add(1)), (0, Add(1)), missing)
    };
    let zero = count(None, Some(0), 0, 7);
    assert_eq!(zero.outcome, Unknown);
    assert!(zero.message.contains("7 values more could not be computed"), "{}", zero.message);
    assert_eq!((count(None, Some(0), 0, 0).outcome, count(Some(3), None, 3, 9).outcome), (Met, Met));
    let trend = |stat, quick, missing| {
        let kind = Kind::Latency { stat, at_most: 500 * MS, succeeded_only: false };
        judged(JOB, JOB_FAULT, kind, (quick, Done(MS)), (0, Done(MS)), missing).outcome
    };
    let p95 = Stat::Percentile(9_500);
    assert_eq!((trend(p95, 95, 5), trend(p95, 94, 6), trend(p95, 94, 0)), (Met, Unknown, Met));
    assert_eq!(
        (trend(Stat::Max, 50, 1), trend(Stat::Mean, 50, 1), trend(Stat::Max, 50, 0)),
        (Unknown, Unknown, Met)
    );
}

#[test]
fn a_trends_rate_is_what_was_done_of_all_that_ended() {
    let kind = || Kind::MetricRate { at_least: Some(95 * PERCENT), at_most: None };
    let all = |done, failed, late| {
        [seen(done, JOB, Done(MS)), seen(failed, JOB, NotDone), seen(late, JOB, TimedOut)].concat()
    };
    assert_eq!(result_of(on(JOB, "done", kind()), &all(95, 3, 2)).outcome, Met);
    let missed = result_of(on(JOB, "done", kind()), &all(94, 4, 2));
    assert_eq!(missed.message, "done: 94% done, wanted at least 95% (100 samples, 6 not done)");
    assert_eq!(missed.outcome, Missed);
}

#[test]
fn numbers_need_no_samples() {
    let count = |metric, at_least, at_most, seen: &Seen| {
        result_of(on(metric, "n", Kind::MetricCount { at_least, at_most }), seen)
    };
    let orders = [seen(2, ORDERS, Add(600)), vec![(ORDERS, SECOND, Add(50))]].concat();
    assert_eq!(count(ORDERS, Some(1_200), None, &orders).outcome, Met);
    assert_eq!(count(ORDERS, Some(1_201), None, &orders).outcome, Missed);
    assert_eq!(count(ORDERS, None, Some(1_200), &orders).outcome, Met);
    let over = count(ORDERS, None, Some(1_199), &orders);
    assert_eq!(over.message, "n: 1 200, allowed 1 199 (counted in 2 events)");
    assert_eq!(
        (over.outcome, over.value.as_deref(), over.bound.as_str()),
        (Missed, Some("1 200"), "≤ 1 199")
    );
    assert_eq!(count(ORDERS, None, Some(0), &vec![]).outcome, Met, "nothing is a number, too");
    assert_eq!(
        count(ORDERS, Some(1), None, &vec![]).message,
        "n: 0, wanted at least 1 (counted in 0 events)"
    );
    let jobs = [seen(3, JOB, Done(MS)), seen(1, JOB, TimedOut)].concat();
    assert_eq!(count(JOB, Some(4), None, &jobs).message, "n: 4, wanted at least 4");
    let burst = Slo {
        window: Some(WindowId(2)),
        ..on(ORDERS, "n", Kind::MetricCount { at_least: Some(1), at_most: None })
    };
    assert_eq!(result_of(burst, &orders).outcome, Missed);
    let unknown = Run {
        facts: plimsoll_slo::Facts { measured: SECOND, ..facts() },
        ..Run::observed(
            vec![on(ORDERS, "n", Kind::MetricCount { at_least: None, at_most: Some(9) })],
            &many(1, MS, ok()),
            &[],
        )
    };
    assert_eq!(unknown.judge().results[0].outcome, Unknown, "no judged time was measured");
}

#[test]
fn percentiles_of_a_trend_are_decided_by_counters() {
    let p95 = || job(Stat::Percentile(9_500), false);
    for (quick, slow, late, failed, outcome) in [
        (19, 1, 0, 0, Met),
        (18, 2, 0, 0, Missed),
        (19, 0, 1, 0, Met),
        (18, 1, 1, 0, Missed),
        // What failed is out of scope: 19 samples are too few.
        (18, 1, 0, 5, Unknown),
        (19, 1, 0, 50, Met),
        (0, 0, 0, 50, Unknown),
    ] {
        let all = [
            seen(quick, JOB, Done(500 * MS)),
            seen(slow, JOB, Done(500 * MS + 1)),
            seen(late, JOB, TimedOut),
            seen(failed, JOB, NotDone),
        ]
        .concat();
        let result = result_of(p95(), &all);
        assert_eq!(result.outcome, outcome, "{}", result.message);
        assert_eq!(result.samples, (quick + slow + late) as u64);
    }
    let late = [seen(18, JOB, Done(MS)), seen(2, JOB, TimedOut)].concat();
    let result = result_of(p95(), &late);
    assert_eq!(result.message, "job: p95 >max, allowed 500 ms (20 samples, 2 too slow, of them 2 timed out)");
    assert_eq!(
        result_of(p95(), &seen(12, JOB, Done(MS))).message,
        "job: 12 samples, but it takes 20 to judge it: run longer, or lower validity.minSamples"
    );
    let only_done =
        result_of(job(Stat::Percentile(9_500), true), &[late, seen(2, JOB, Done(2 * MS))].concat());
    assert_eq!(only_done.message, "job: p95 2 ms, allowed 500 ms (20 samples, none too slow)");
}

#[test]
fn mean_and_maximum_of_a_trend() {
    let quick = [seen(2, JOB, Done(400 * MS)), seen(1, JOB, Done(500 * MS))].concat();
    assert_eq!(
        result_of(job(Stat::Max, false), &quick).message,
        "job: max 500 ms, allowed 500 ms (3 samples)"
    );
    let late = [quick, seen(1, JOB, TimedOut), seen(1, JOB, NotDone)].concat();
    let max = result_of(job(Stat::Max, false), &late);
    assert_eq!(max.message, "job: max >max, allowed 500 ms (4 samples, 1 timed out)");
    assert_eq!((max.outcome, max.value.as_deref()), (Missed, Some(">max")));
    assert_eq!(result_of(job(Stat::Max, true), &late).outcome, Met);
    let mean = result_of(job(Stat::Mean, false), &late);
    assert_eq!(mean.message, "job: mean 433.3 ms, allowed 500 ms (3 samples, 1 timed out not among them)");
    let only_late = result_of(job(Stat::Mean, false), &seen(2, JOB, TimedOut));
    assert_eq!(
        (only_late.outcome, only_late.message.as_str()),
        (Unknown, "job: no sample to judge it by, 2 timed out")
    );
}

#[test]
fn drift_of_a_metric_cannot_be_said() {
    let drift = Kind::LatencyDrift { stat: Stat::Mean, at_most: 1_100_000_000 };
    let result = result_of(on(JOB, "drift", drift), &seen(100, JOB, Done(MS)));
    assert_eq!(result.outcome, Unknown);
    assert!(result.message.contains("without `request` and `metric`"), "{}", result.message);
}

#[test]
fn a_metric_that_nobody_fed_leaves_a_run_inconclusive() {
    let run = Run::observed(vec![job(Stat::Percentile(9_500), false)], &many(100, 20 * MS, ok()), &[]);
    let judgement = run.judge();
    assert_eq!((judgement.verdict, judgement.reason), (Verdict::Inconclusive, Reason::NoData));
    assert_eq!(judgement.message, "job: no samples to judge it by; 0 of 1 SLO met");
}

#[test]
fn critical_checks_stop_a_run() {
    let critical = |slo: Slo, seen: &Seen| {
        let slos = vec![Slo { severity: Severity::Critical, ..slo }];
        Run::observed(slos, &many(100, 20 * MS, ok()), seen)
    };
    let checks = critical(slo("checks", check_rate(999_000_000)), &checks(10, 1));
    let (at, message) = checks.live(4 * SECOND).unwrap();
    assert_eq!(
        (at, message.as_str()),
        (0, "checks: 90.9% passed, wanted at least 99.9% (11 checks, 1 failed)")
    );
    assert_eq!(checks.live(2 * SECOND), None, "nothing of the judged part is over");
    assert_eq!(critical(slo("checks", check_rate(999_000_000)), &vec![]).live(4 * SECOND), None);
    let slow = critical(job(Stat::Percentile(5_000), false), &seen(3, JOB, TimedOut));
    assert!(slow.live(4 * SECOND).is_some());
}

#[test]
fn a_number_that_is_too_small_may_still_grow() {
    let critical = |at_least, at_most| {
        let kind = Kind::MetricCount { at_least, at_most };
        let slos = vec![Slo { severity: Severity::Critical, ..on(ORDERS, "orders", kind) }];
        Run::observed(slos, &many(100, 20 * MS, ok()), &seen(1, ORDERS, Add(10)))
    };
    assert_eq!(critical(Some(11), None).live(4 * SECOND), None);
    assert!(critical(Some(11), None).live(22 * SECOND).is_some());
    assert_eq!(critical(None, Some(10)).live(4 * SECOND), None);
    assert!(critical(None, Some(9)).live(4 * SECOND).is_some());
    assert_eq!(critical(Some(11), Some(20)).live(4 * SECOND), None);
}

#[test]
fn both_models_of_one_run_must_keep_their_schedules() {
    let late = |arrivals: u64, waits: u64| {
        let mut run = Run::new(vec![slo("p95", p(9_500, SECOND))], &many(100, 20 * MS, ok()));
        (0..100).for_each(|_| {
            run.merged.health.lateness.record(arrivals);
            run.merged.health.waits.record(waits);
        });
        (run.judge(), plimsoll_slo::lateness(&run.merged.health, true))
    };
    let (good, worse) = late(MS, 2 * MS);
    assert_eq!((good.reason, worse), (Reason::SLOsMet, Some(2 * MS)));
    let (arrivals, _) = late(15 * MS, MS);
    assert!(arrivals.message.starts_with("requests were sent 15 ms late at p99"), "{}", arrivals.message);
    let (waits, _) = late(MS, 15 * MS);
    assert!(waits.message.starts_with("waits ended 15 ms late at p99"), "{}", waits.message);
    assert_eq!((arrivals.reason, waits.reason), (Reason::GeneratorSaturated, Reason::GeneratorSaturated));
}
