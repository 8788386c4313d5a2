//! SLOs that are judged by what Prometheus answered: queries, and the counters of `source: Prometheus`.

use plimsoll_measure::ErrorClass;
use plimsoll_slo::Outcome::{Met, Missed, Unknown};
use plimsoll_slo::{Kind, Query, Reason, Severity, Slo, SloResult, Stat, Tally, Verdict};

use crate::support::{MS, PERCENT, Run, SECOND, errors, many, ok, p, slo};

fn cpu(severity: Severity) -> Slo {
    let kind = Kind::Prometheus { at_most: Some(0.8), at_least: None, unit: None };
    Slo { severity, ..slo("cpu", kind) }
}

fn answered(slo: Slo, query: Query) -> Run {
    let mut run = Run::new(vec![slo], &many(100, 20 * MS, ok()));
    run.facts.queries = vec![(run.slos[0].name.clone(), query)];
    run
}

fn result(slo: Slo, query: Query) -> SloResult {
    answered(slo, query).judge().results.remove(0)
}

#[test]
fn no_data_is_what_the_slo_says() {
    let nothing = |met| Query::NoData { met, why: "the query gives no data".into() };
    let met = result(cpu(Severity::Error), nothing(true));
    assert_eq!((met.outcome, met.value), (Met, None));
    assert_eq!(met.message, "cpu: the query gives no data, which onNoData counts as Met");
    assert_eq!(result(cpu(Severity::Error), nothing(false)).outcome, Missed);
    let judged = answered(cpu(Severity::Error), Query::Missing("it is down".into())).judge();
    assert_eq!((judged.verdict, judged.reason), (Verdict::Inconclusive, Reason::NoData));
    assert_eq!(result(cpu(Severity::Error), Query::Counts(Tally { total: 5, bad: 0 })).outcome, Unknown);
}

#[test]
fn small_numbers_are_shown_with_three_digits() {
    let tiny = |value| result(cpu(Severity::Error), Query::Value(value)).value;
    assert_eq!(tiny(0.000_123_456).as_deref(), Some("0.000123"));
    assert_eq!(tiny(0.0).as_deref(), Some("0"));
    assert_eq!(tiny(-0.045_67).as_deref(), Some("-0.0457"));
}

#[test]
fn an_answer_stops_a_run_and_a_missing_one_does_not() {
    let stops = |slo: Slo, query: Query, elapsed| answered(slo, query).live(elapsed).is_some();
    let critical = || cpu(Severity::Critical);
    assert!(stops(critical(), Query::Value(0.9), 3 * SECOND));
    assert!(!stops(critical(), Query::Value(0.8), 3 * SECOND));
    assert!(!stops(critical(), Query::Value(f64::NAN), 3 * SECOND));
    assert!(!stops(critical(), Query::Missing("it is down".into()), 3 * SECOND));
    let empty = Query::NoData { met: false, why: "nothing".into() };
    assert!(!stops(critical(), empty, 3 * SECOND), "onNoData is a word about the end");
    assert!(!stops(cpu(Severity::Error), Query::Value(0.9), 22 * SECOND));
    let aborting = || Slo { abort_after: Some(5 * SECOND), ..cpu(Severity::Error) };
    assert!(!stops(aborting(), Query::Value(0.9), 6 * SECOND), "the judged part began at 2 s");
    assert!(stops(aborting(), Query::Value(0.9), 7 * SECOND));
    let sourced = Slo { severity: Severity::Critical, ..slo("p95", p(9_500, 50 * MS)) };
    assert!(stops(sourced, Query::Counts(Tally { total: 100, bad: 6 }), 3 * SECOND));
}

#[test]
fn counters_of_prometheus_decide_as_our_own_do() {
    for bad in 0..=12 {
        let mut samples = many(100 - bad, 20 * MS, ok());
        samples.extend(many(bad, 80 * MS, ok()));
        let own = Run::new(vec![slo("p95", p(9_500, 50 * MS))], &samples).judge().results.remove(0);
        let tally = Tally { total: 100, bad: bad as u64 };
        let read = result(slo("p95", p(9_500, 50 * MS)), Query::Counts(tally));
        assert_eq!(
            (read.outcome, read.tally, read.share, read.samples),
            (own.outcome, own.tally, own.share, own.samples)
        );
        let rate = result(slo("errors", errors(5 * PERCENT)), Query::Counts(tally));
        assert_eq!(rate.outcome, if bad <= 5 { Met } else { Missed });
    }
    let read = result(slo("p95", p(9_500, 50 * MS)), Query::Counts(Tally { total: 647, bad: 39 }));
    assert_eq!(read.message, "p95: >50 ms, allowed 50 ms (647 requests, 39 too slow); from Prometheus");
    let read = result(slo("errors", errors(PERCENT)), Query::Counts(Tally { total: 200, bad: 2 }));
    assert_eq!(read.message, "errors: 1%, allowed 1% (200 requests, 2 failed); from Prometheus");
}

#[test]
fn throughput_is_complete_requests_over_judged_time() {
    // 20 s are judged: 5/s are 300 a minute.
    let floor = |per_1000_min| Kind::Throughput { at_least: Some(per_1000_min), at_most: None };
    let counts = || Query::Counts(Tally { total: 120, bad: 20 });
    assert_eq!(result(slo("floor", floor(300_000)), counts()).outcome, Met);
    let missed = result(slo("floor", floor(300_001)), counts());
    assert_eq!((missed.outcome, missed.samples), (Missed, 120));
    assert!(
        missed.message.ends_with("(100 complete requests in 20 s); from Prometheus"),
        "{}",
        missed.message
    );
}

#[test]
fn what_prometheus_has_not_is_unknown_whatever_was_counted_here() {
    for kind in [
        p(9_500, 50 * MS),
        errors(PERCENT),
        Kind::TimeoutRate { at_most: PERCENT },
        Kind::ErrorRate { at_most: PERCENT, classes: vec![ErrorClass::Tls], within: None },
        Kind::Throughput { at_least: Some(1), at_most: None },
    ] {
        let unknown = result(slo("x", kind), Query::Missing("it is down".into()));
        assert_eq!((unknown.outcome, unknown.samples), (Unknown, 0));
        assert_eq!(unknown.message, "x: no result from Prometheus: it is down");
        assert!(!unknown.bound.is_empty());
    }
    let few = result(slo("p95", p(9_500, 50 * MS)), Query::Counts(Tally { total: 19, bad: 0 }));
    assert_eq!(few.outcome, Unknown, "twenty are needed");
    let mean = Kind::Latency { stat: Stat::Mean, at_most: MS, succeeded_only: false };
    assert_eq!(result(slo("mean", mean), Query::Counts(Tally { total: 50, bad: 0 })).outcome, Unknown);
}
