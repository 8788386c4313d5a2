//! Every kind of SLO: at its bound, beside it, without data, and what it says.

use crate::support::*;
use plimsoll_measure::{End, ErrorClass, RequestId, Sample, WindowId};
use plimsoll_slo::{Kind, Outcome, Query, Slo, Stat, Tally};

use Outcome::{Met, Missed, Unknown};

fn mixed(good: usize, bad: usize, latency: u64, end: End) -> Vec<Sample> {
    [many(good, 20 * MS, ok()), many(bad, latency, end)].concat()
}

#[test]
fn percentiles_are_decided_by_their_counters() {
    for (q, good, slow, outcome) in [
        (9_500, 19, 1, Met),
        (9_500, 18, 2, Missed),
        (9_500, 19, 0, Unknown),
        (9_500, 20, 1, Met),
        (9_500, 38, 2, Met),
        (9_500, 37, 2, Missed),
        (9_900, 99, 1, Met),
        (9_900, 98, 2, Missed),
        (9_900, 99, 0, Unknown),
        (9_990, 999, 1, Met),
        (9_990, 998, 2, Missed),
        (5_000, 1, 1, Met),
        (5_000, 1, 2, Missed),
        (10_000, 5, 0, Met),
        (10_000, 5, 1, Missed),
        (9_500, 0, 0, Unknown),
    ] {
        let result = result(slo("x", p(q, 500 * MS)), &mixed(good, slow, 600 * MS, ok()));
        assert_eq!(result.outcome, outcome, "{}", result.message);
        let (total, bad) = ((good + slow) as u64, slow as u64);
        assert_eq!((result.samples, result.tally), (total, Some(Tally { total, bad })));
    }
}

#[test]
fn a_latency_equal_to_the_bound_holds() {
    assert_eq!(result(slo("x", p(5_000, 500 * MS)), &many(4, 500 * MS, ok())).outcome, Met);
    let over = result(slo("x", p(5_000, 500 * MS)), &many(4, 500 * MS + 1, ok()));
    assert_eq!((over.outcome, over.value.as_deref()), (Missed, Some("500.000001ms")));
}

#[test]
fn shown_percentiles_agree_with_their_counters_within_a_bucket() {
    // All latencies fall into one bucket, and the bound lies inside of it: its middle would say the opposite.
    for (latency, bound) in
        [(499 * MS + 500_000, 499 * MS + 500_000), (499 * MS + 500_001, 499 * MS + 500_000)]
    {
        let spread =
            [many(10, latency - 200_000, ok()), many(80, latency, ok()), many(10, latency + 200_000, ok())]
                .concat();
        let result = result(slo("x", p(5_000, bound)), &spread);
        let shown: f64 = result.value.as_deref().unwrap().trim_end_matches("ms").parse().unwrap();
        assert_eq!(result.outcome == Met, shown <= bound as f64 / 1e6, "{}", result.message);
        assert_eq!(result.outcome == Met, latency <= bound);
    }
}

#[test]
fn messages_of_percentiles() {
    let run = |name: &str, samples: &[Sample]| result(slo(name, p(9_500, 500 * MS)), samples);
    let missed = run("p95", &mixed(16_849, 1_391, 612 * MS, ok()));
    // The middle of the bucket, at most 0.14 % off.
    let value = missed.value.as_deref().unwrap();
    let shown: f64 = value.trim_end_matches("ms").parse().unwrap();
    assert!((shown - 612.0).abs() <= 0.0014 * 612.0, "{value}");
    let expected = format!("p95: {shown} ms, allowed 500 ms (18 240 requests, 1 391 too slow)");
    assert_eq!(missed.message, expected);
    assert_eq!((missed.bound.as_str(), missed.share.as_deref()), ("≤ 500ms", Some("7.63%")));
    let met = run("login", &many(40, 20 * MS, ok()));
    assert_eq!(met.message, "login: p95 20 ms, allowed 500 ms (40 requests, none too slow)");
    let few = run("p95", &many(12, 20 * MS, ok()));
    assert_eq!(
        few.message,
        "p95: 12 requests, but it takes 20 to judge it: run longer, or lower validity.minSamples"
    );
    assert_eq!((few.value, few.outcome), (None, Unknown));
    assert_eq!(run("p95", &[]).message, "p95: no requests to judge it by");
}

#[test]
fn requests_without_a_response_are_over_every_bound() {
    let bound = 3_600 * SECOND;
    for end in
        [End::Unfinished, End::Unsent, End::Incomplete(ErrorClass::Reset), End::NotSent(ErrorClass::Dns)]
    {
        let result = result(slo("p95", p(9_500, bound)), &mixed(18, 2, MS, end));
        assert_eq!((result.outcome, result.value.as_deref()), (Missed, Some(">max")));
        assert_eq!(
            result.message,
            "p95: >max, allowed 3600 s (20 requests, 2 too slow, of them 2 without a response)"
        );
    }
}

#[test]
fn only_successful_requests_count_where_asked_for() {
    let kind = Kind::Latency { stat: Stat::Percentile(5_000), at_most: 100 * MS, succeeded_only: true };
    let samples =
        [many(10, MS, ok()), many(30, SECOND, answered(500)), many(30, SECOND, End::Unfinished)].concat();
    let result = result(slo("x", kind), &samples);
    assert_eq!(result.message, "x: p50 1 ms, allowed 100 ms (10 successful requests, none too slow)");
    assert_eq!(result.outcome, Met);
}

#[test]
fn the_tally_of_lost_histograms_still_decides() {
    let mut run = Run::new(vec![slo("p95", p(9_500, 500 * MS))], &mixed(18, 2, SECOND, ok()));
    run.merged.cells.iter_mut().for_each(|cell| cell.latency = plimsoll_measure::Histogram::new());
    let result = run.judge().results.remove(0);
    assert_eq!((result.outcome, result.value.as_deref()), (Missed, Some(">500ms")));
}

#[test]
fn mean_and_max_are_exact() {
    let mean = |at_most| Kind::Latency { stat: Stat::Mean, at_most, succeeded_only: false };
    let max = |at_most| Kind::Latency { stat: Stat::Max, at_most, succeeded_only: false };
    let samples = [many(2, 10, ok()), many(1, 11, ok()), many(1, 0, End::Unfinished)].concat();
    let outcome = |kind| result(slo("x", kind), &samples).outcome;
    assert_eq!(outcome(mean(11)), Met);
    assert_eq!(outcome(mean(10)), Missed, "31 over 3 is more than 10");
    assert_eq!(outcome(max(11)), Met);
    assert_eq!(outcome(max(10)), Missed);
    let shown = result(slo("max", max(10)), &samples);
    assert_eq!(
        shown.message,
        "max: 11 ns, allowed 10 ns (3 complete requests, 1 without a response not among them)"
    );
    assert_eq!(
        result(slo("x", mean(10)), &samples).value.as_deref(),
        Some("11ns"),
        "shown on the side it is on"
    );
    let none = result(slo("x", max(10)), &many(3, 5, End::Unfinished));
    let why = "x: no complete request to judge it by, 3 without a response";
    assert_eq!((none.outcome, none.message.as_str()), (Unknown, why));
}

#[test]
fn error_rates() {
    for (good, bad, at_most, outcome) in [
        (99, 1, PERCENT, Met),
        (98, 2, PERCENT, Missed),
        (999, 1, PERCENT / 10, Met),
        (998, 1, PERCENT / 10, Missed),
        (5, 0, 0, Met),
        (1_000_000, 1, 0, Missed),
        (0, 1, 100 * PERCENT, Met),
        (0, 0, PERCENT, Unknown),
    ] {
        let result = result(slo("errors", errors(at_most)), &mixed(good, bad, MS, answered(503)));
        assert_eq!(result.outcome, outcome, "{}", result.message);
    }
    let shown = result(slo("errors", errors(PERCENT)), &mixed(9_899, 101, MS, answered(503)));
    assert_eq!(shown.message, "errors: 1.01%, allowed 1% (10 000 requests, 101 failed)");
    assert_eq!((shown.value.as_deref(), shown.share.as_deref()), (Some("1.01%"), Some("1.01%")));
}

#[test]
fn error_rates_by_class_and_timeouts() {
    let samples = [
        many(6, MS, ok()),
        many(1, MS, End::Incomplete(ErrorClass::Timeout)),
        many(1, MS, End::Unfinished),
        many(2, MS, End::NotSent(ErrorClass::Tls)),
    ]
    .concat();
    let tls = Kind::ErrorRate { at_most: 0, classes: vec![ErrorClass::Tls, ErrorClass::Dns], within: None };
    assert_eq!(
        result(slo("tls", tls), &samples).message,
        "tls: 20%, allowed 0% (10 requests, 2 failed by TLS or DNS)"
    );
    let timeouts = result(slo("timeouts", Kind::TimeoutRate { at_most: 20 * PERCENT }), &samples);
    assert_eq!(timeouts.outcome, Met, "an unfinished request timed out");
    assert_eq!(timeouts.message, "timeouts: 20%, allowed 20% (10 requests, 2 timed out)");
    assert_eq!(result(slo("x", Kind::TimeoutRate { at_most: 20 * PERCENT - 1 }), &samples).outcome, Missed);
}

#[test]
fn status_rates() {
    let samples = mixed(80, 20, MS, answered(429));
    let kind = |at_most, at_least| Kind::StatusRate { at_most, at_least };
    for (at_most, at_least, outcome) in [
        (Some(20 * PERCENT), None, Met),
        (Some(20 * PERCENT - 1), None, Missed),
        (None, Some(20 * PERCENT), Met),
        (None, Some(20 * PERCENT + 1), Missed),
        (Some(30 * PERCENT), Some(10 * PERCENT), Met),
    ] {
        assert_eq!(result(slo("shed", kind(at_most, at_least)), &samples).outcome, outcome);
    }
    let shed = result(slo("shed", kind(Some(10 * PERCENT), None)), &samples);
    assert_eq!(shed.message, "shed: 20%, allowed 10% (100 requests, 20 answered with 429)");
    let floor = result(slo("shed", kind(None, Some(30 * PERCENT))), &samples);
    assert_eq!((floor.bound.as_str(), floor.value.as_deref()), ("≥ 30%", Some("20%")));
    assert_eq!(result(slo("shed", kind(None, Some(PERCENT))), &[]).outcome, Unknown);
}

#[test]
fn silence_is_no_proof_that_a_status_is_rare() {
    let kind = |at_most, at_least| Kind::StatusRate { at_most, at_least };
    let silence = many(5, MS, End::Incomplete(ErrorClass::Timeout));
    let shed = result(slo("shed", kind(Some(PERCENT), None)), &silence);
    assert_eq!((shed.outcome, shed.message.as_str()), (Unknown, "shed: none of 5 requests was answered"));
    assert_eq!(result(slo("shed", kind(None, Some(PERCENT))), &silence).outcome, Missed);
    let one_answer = [silence, many(1, MS, ok())].concat();
    assert_eq!(result(slo("shed", kind(Some(PERCENT), None)), &one_answer).outcome, Met);
}

#[test]
fn throughput_over_the_time_that_was_measured() {
    let at_least = |rate: u64| Kind::Throughput { at_least: Some(rate), at_most: None };
    let samples = [many(200, MS, ok()), many(5, MS, End::Unfinished)].concat();
    assert_eq!(result(slo("x", at_least(600_000)), &samples).outcome, Met, "200 in 20 s");
    let missed = result(slo("floor", at_least(600_060)), &samples);
    assert_eq!(missed.outcome, Missed);
    assert_eq!(missed.message, "floor: 10/s, wanted at least 10.001/s (200 complete requests in 20 s)");
    let minute = result(slo("floor", at_least(600_001)), &samples);
    assert_eq!(minute.message, "floor: 600/m, wanted at least 600.001/m (200 complete requests in 20 s)");
    let main = Slo { window: Some(WindowId(0)), ..slo("x", at_least(1_200_000)) };
    assert_eq!(result(main, &samples).outcome, Met, "200 in 10 s");
    let mut cut = Run::new(vec![slo("x", at_least(1_200_000))], &samples);
    cut.facts.measured = 12 * SECOND;
    assert_eq!(cut.judge().results[0].outcome, Met, "stopped after 10 judged seconds");
    cut.facts.measured = SECOND;
    assert_eq!(cut.judge().results[0].outcome, Unknown, "stopped in the warm-up");
    assert_eq!(result(slo("x", at_least(1)), &many(3, MS, End::Unfinished)).outcome, Missed);
    assert_eq!(result(slo("x", at_least(1)), &[]).outcome, Unknown);
    let at_most = Kind::Throughput { at_least: None, at_most: Some(599_999) };
    assert_eq!(result(slo("x", at_most), &samples).outcome, Missed);
}

#[test]
fn scopes_leave_out_other_requests_and_windows() {
    let b = |sample: &Sample| Sample { request: RequestId(1), ..*sample };
    let mut samples = many(50, 20 * MS, ok());
    samples.extend(many(50, SECOND, ok()).iter().map(b));
    samples.extend(vec![request(13 * SECOND, SECOND, ok()); 50]);
    samples.extend(vec![request(SECOND, SECOND, ok()); 50]);
    let scoped = |request: Option<u16>, window: Option<u16>| Slo {
        request: request.map(RequestId),
        window: window.map(WindowId),
        ..slo("x", p(9_500, 500 * MS))
    };
    for (request, window, samples_in_scope, outcome) in [
        (None, None, 150, Missed),
        (Some(0), Some(0), 50, Met),
        (Some(1), None, 50, Missed),
        (Some(0), Some(2), 50, Missed),
        (Some(1), Some(2), 0, Unknown),
    ] {
        let result = result(scoped(request, window), &samples);
        assert_eq!((result.samples, result.outcome), (samples_in_scope, outcome), "{}", result.message);
    }
}

/// Ten requests a second in `burst`, all failed in its first `failing` seconds.
fn outage(failing: u64) -> Vec<Sample> {
    let end = |second| if second < failing { answered(503) } else { ok() };
    (0..10).flat_map(|second| vec![request((12 + second) * SECOND + 7, MS, end(second)); 10]).collect()
}

#[test]
fn recovery_within() {
    let recovers = |within| Slo {
        window: Some(WindowId(2)),
        ..slo(
            "recovers",
            Kind::ErrorRate { at_most: PERCENT, classes: vec![], within: Some(within * SECOND) },
        )
    };
    for (failing, within, outcome, value) in [
        (4, 4, Met, "4s"),
        (4, 3, Missed, "4s"),
        (0, 1, Met, "0s"),
        (9, 30, Met, "9s"),
        (10, 5, Missed, "never"),
    ] {
        let result = result(recovers(within), &outage(failing));
        assert_eq!((result.outcome, result.value.as_deref()), (outcome, Some(value)), "{}", result.message);
    }
    let shown = result(recovers(3), &outage(4));
    assert_eq!(
        shown.message,
        "recovers: at most 1% after 4 s, allowed within 3 s (100 requests, 40 failed in all)"
    );
    assert_eq!(shown.bound, "≤ 1% within 3s");
    assert_eq!(result(recovers(3), &[]).outcome, Unknown);
    assert_eq!(result(recovers(30), &outage(10)).outcome, Unknown, "it had 30 s and was measured for 10");
    let mut without_series = Run::new(vec![recovers(3)], &outage(1));
    without_series.merged.series.clear();
    assert_eq!(without_series.judge().results[0].outcome, Unknown);
}

#[test]
fn recovery_is_the_earliest_second_whose_rest_holds() {
    // 1 % over the rest of the window: an error late in it is allowed if enough good requests make up for it.
    let mut samples = outage(2);
    samples.extend(vec![request(20 * SECOND, MS, answered(503)); 1]);
    samples.extend(vec![request(20 * SECOND, MS, ok()); 30]);
    let kind = Kind::ErrorRate { at_most: PERCENT, classes: vec![], within: Some(5 * SECOND) };
    let result = result(Slo { window: Some(WindowId(2)), ..slo("x", kind) }, &samples);
    assert_eq!((result.outcome, result.value.as_deref()), (Met, Some("2s")));
}

#[test]
fn drift_against_the_first_tenth() {
    let kind = |stat, percent| Kind::LatencyDrift { stat, at_most: percent * PERCENT };
    // The judged part is 20 s: the first tenth are 2 s at 100 ms, the rest is at `then`.
    let run = |stat, percent, then| {
        let at = |second: u64| if second < 4 { 100 * MS } else { then };
        let samples: Vec<_> =
            (0..22).flat_map(|second| vec![request(second * SECOND, at(second), ok()); 40]).collect();
        result(slo("drift", kind(stat, percent)), &samples)
    };
    assert_eq!(run(Stat::Percentile(9_500), 110, 100 * MS).outcome, Met);
    assert_eq!(run(Stat::Percentile(9_500), 110, 130 * MS).outcome, Missed);
    assert_eq!(run(Stat::Mean, 109, 110 * MS).outcome, Met, "(2·100 + 18·110) / 20 = 109");
    let shown = run(Stat::Mean, 108, 110 * MS);
    assert_eq!(shown.outcome, Missed);
    assert_eq!(
        shown.message,
        "drift: mean 109 ms, 109% of the 100 ms in the first tenth, allowed 108% (approximate; 800 requests)"
    );
    assert_eq!(run(Stat::Max, 110, 110 * MS).outcome, Met);
    assert_eq!(result(slo("x", kind(Stat::Mean, 110)), &[]).outcome, Unknown);
    let scoped = Slo { request: Some(RequestId(0)), ..slo("x", kind(Stat::Mean, 110)) };
    assert_eq!(result(scoped, &many(50, MS, ok())).outcome, Unknown);
    let late = vec![request(9 * SECOND, MS, ok()); 50];
    assert_eq!(result(slo("x", kind(Stat::Mean, 110)), &late).outcome, Unknown, "nothing in the first tenth");
}

#[test]
fn queries() {
    let kind = |at_most, at_least| Kind::Prometheus { at_most, at_least, unit: Some("cores".into()) };
    let judged = |kind, query: Option<Query>| {
        let mut run = Run::new(vec![slo("cpu", kind)], &many(5, MS, ok()));
        run.facts.queries = query.into_iter().map(|query| ("cpu".to_owned(), query)).collect();
        run.judge().results.remove(0)
    };
    let value = |value| Some(Query::Value(value));
    assert_eq!(judged(kind(Some(0.8), None), value(0.8)).outcome, Met);
    assert_eq!(judged(kind(Some(0.8), None), value(0.800_01)).outcome, Missed);
    assert_eq!(judged(kind(None, Some(0.8)), value(0.79)).outcome, Missed);
    assert_eq!(judged(kind(Some(0.8), None), value(f64::NAN)).outcome, Unknown);
    assert_eq!(judged(kind(Some(0.8), None), value(f64::INFINITY)).outcome, Missed);
    assert_eq!(judged(kind(Some(0.8), None), None).outcome, Unknown);
    let missing = judged(kind(Some(0.8), None), Some(Query::Missing("no series matched".into())));
    assert_eq!((missing.outcome, missing.message.as_str()), (Unknown, "cpu: no result: no series matched"));
    assert_eq!(judged(kind(Some(0.8), None), value(0.921_64)).message, "cpu: 0.922 cores, allowed 0.8 cores");
    assert_eq!(judged(kind(Some(0.8), None), value(0.800_01)).value.as_deref(), Some("0.80001 cores"));
}

#[test]
fn a_plan_without_counters_leaves_an_slo_unknown() {
    let mut run = Run::new(vec![slo("p95", p(9_500, MS)), slo("errors", errors(0))], &many(50, MS, ok()));
    run.slos[0].objective = None;
    run.slos[1].objective = Some(99);
    assert!(run.judge().results.iter().all(|result| result.outcome == Unknown));
}

#[test]
fn samples_that_are_needed_can_be_given() {
    let few = many(5, MS, ok());
    let own = Slo { min_samples: Some(5), ..slo("x", p(9_500, MS)) };
    assert_eq!(result(own.clone(), &few).outcome, Met);
    assert_eq!(result(own, &few[..4]).outcome, Unknown);
    let mut run = Run::new(vec![slo("x", p(9_500, MS)), slo("y", errors(0))], &few);
    run.validity.min_samples = Some(3);
    assert!(run.judge().results.iter().all(|result| result.outcome == Met));
    run.validity.min_samples = Some(6);
    assert!(run.judge().results.iter().all(|result| result.outcome == Unknown));
    run.validity.min_samples = Some(0);
    run.merged = plimsoll_measure::Snapshot::default();
    assert!(run.judge().results.iter().all(|result| result.outcome == Unknown), "no data is never Met");
}
