//! Runs that are judged again, by SLOs that were not counted.

use plimsoll_measure::{
    Bad, End, ErrorClass, Histogram, MetricId, Objective, Observation, Population, Sample,
};
use plimsoll_slo::Outcome::{Met, Missed, Unknown};
use plimsoll_slo::{Judgement, Kind, Slo, Stat, rejudge};

use crate::support::{
    CAPTURE, HITS, JOB, MS, PERCENT, Run, SECOND, VALID, answered, errors, many, ok, p, request, seen, slo,
};

/// Judges a run that was made without these SLOs, and the same one made with them.
fn both(slos: &[Slo], samples: &[Sample], seen: &[(MetricId, u64, Observation)]) -> (Judgement, Judgement) {
    let counted = Run::observed(slos.to_vec(), samples, seen);
    let bare = Run::observed(Vec::new(), samples, seen);
    let again = rejudge(&counted.slos, &counted.validity, &counted.layout, &bare.merged, &bare.facts);
    (again, counted.judge())
}

#[test]
fn what_is_in_the_totals_is_judged_exactly() {
    let mut samples = many(90, 20 * MS, ok());
    samples.extend(many(6, 20 * MS, answered(503)));
    samples.extend(many(4, 20 * MS, answered(429)));
    samples.push(request(13 * SECOND, MS, End::Unfinished));
    let metrics = [
        seen(8, VALID, Observation::Good(true)),
        seen(2, VALID, Observation::Good(false)),
        seen(1, CAPTURE, Observation::Good(false)),
        seen(5, HITS, Observation::Good(true)),
    ]
    .concat();
    let status = |at_most| Kind::StatusRate { at_most: Some(at_most), at_least: None };
    let class = |class| Kind::ErrorRate { at_most: PERCENT, classes: vec![class], within: None };
    let slos = vec![
        slo("errors", errors(10 * PERCENT)),
        slo("shed", status(3 * PERCENT)),
        slo("status", class(ErrorClass::Status)),
        slo("timeouts", Kind::TimeoutRate { at_most: 0 }),
        slo("tls", class(ErrorClass::Tls)),
        Slo { window: Some(plimsoll_measure::WindowId(2)), ..slo("burst", errors(0)) },
        Slo { request: Some(plimsoll_measure::RequestId(1)), ..slo("b", errors(0)) },
        slo("checks", Kind::CheckRate { at_least: 80 * PERCENT }),
        Slo { metric: Some(VALID), ..slo("valid", Kind::CheckRate { at_least: 80 * PERCENT }) },
        Slo {
            metric: Some(HITS),
            ..slo("hits", Kind::MetricRate { at_least: Some(PERCENT), at_most: None })
        },
        slo("floor", Kind::Throughput { at_least: Some(1), at_most: None }),
        slo("mean", Kind::Latency { stat: Stat::Mean, at_most: 20 * MS, succeeded_only: false }),
    ];
    let (again, counted) = both(&slos, &samples, &metrics);
    assert_eq!(again, counted);
}

#[test]
fn a_latency_bound_that_was_not_counted_is_marked() {
    let mut samples = many(94, 20 * MS, ok());
    samples.extend(many(6, 90 * MS, ok()));
    for (name, bound, outcome) in
        [("over", 50 * MS, Missed), ("under", 95 * MS, Met), ("all", 10 * MS, Missed)]
    {
        let (again, counted) = both(&[slo(name, p(9_500, bound))], &samples, &[]);
        let (again, counted) = (&again.results[0], &counted.results[0]);
        assert_eq!((again.outcome, counted.outcome), (outcome, outcome), "{name}");
        assert_eq!(
            again.message,
            format!("{}; approximate, since this bound was not counted in the run", counted.message)
        );
    }
    let timed_out = seen(3, JOB, Observation::TimedOut);
    let done = seen(40, JOB, Observation::Done(20 * MS));
    let job = Slo { metric: Some(JOB), ..slo("job", p(9_500, 50 * MS)) };
    let (again, counted) = both(&[job], &samples, &[done, timed_out].concat());
    assert_eq!((again.results[0].tally, again.results[0].outcome), (counted.results[0].tally, Missed));
}

#[test]
fn a_bound_in_the_deciding_bucket_leaves_it_unknown() {
    let mut samples = many(94, 20 * MS, ok());
    samples.extend(many(6, 90 * MS, ok()));
    // The six lie in the bucket of 90 ms, of which the bound cuts a piece off; the largest latency tells no more.
    samples.push(request(3 * SECOND, 200 * MS, ok()));
    let (again, counted) = both(&[slo("p95", p(9_500, 90 * MS + 1_000))], &samples, &[]);
    assert_eq!((again.results[0].outcome, counted.results[0].outcome), (Unknown, Met));
    assert!(
        again.results[0].message.starts_with("p95: 1 to 7 of 101 requests were over 90.001 ms"),
        "{}",
        again.results[0].message
    );
    // Where it does not matter on which side of the bound they are, the result stands.
    let (again, _) = both(&[slo("p50", p(5_000, 90 * MS + 1_000))], &samples, &[]);
    assert_eq!(again.results[0].outcome, Met);
}

#[test]
fn what_was_not_kept_by_second_cannot_be_judged_again() {
    let within = Kind::ErrorRate { at_most: 0, classes: vec![], within: Some(SECOND) };
    let (again, _) = both(&[slo("recovers", within)], &many(50, MS, ok()), &[]);
    assert_eq!(again.results[0].outcome, Unknown);
    assert!(again.results[0].message.contains("was not counted in the run"), "{}", again.results[0].message);
}

#[test]
fn what_was_left_out_of_the_result_is_in_doubt() {
    let mut run = Run::new(Vec::new(), &many(100, 20 * MS, ok()));
    for cell in &mut run.merged.cells {
        cell.latency = Histogram::default();
    }
    let bad = Bad::Slower { nanos: 50 * MS, succeeded_only: false };
    run.layout.objectives.push(Objective {
        population: Population::Requests,
        request: None,
        window: None,
        bad,
    });
    let asked = Slo { objective: Some(0), ..slo("p95", p(9_500, 50 * MS)) };
    let again = rejudge(&[asked], &run.validity, &run.layout, &run.merged, &run.facts);
    assert_eq!(again.results[0].outcome, Unknown);
}
