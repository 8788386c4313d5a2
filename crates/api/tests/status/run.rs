//! Status of a LoadTestRun: phases, figures that agree with their SLOs, intervals, limits.

use k8s_openapi::jiff::Timestamp;
use plimsoll_api::status::{LARGEST_STATUS, RunView, Waiting, run_status};
use plimsoll_api::v1alpha1::{
    LoadTestRunStatus, Phase, RunResults, SloOutcome, Total, Verdict, WorkerCounts,
};
use plimsoll_measure::{End, ErrorClass};
use plimsoll_slo::{Judgement, Outcome, Reason, Severity, SloResult, Tally};

use crate::support::{MS, OPEN, SECOND, SHOP, answered, later, of_one_name, ok, run, sample, samples, start};

fn text(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or("nothing")
}

#[test]
fn a_run_from_its_queue_to_its_verdict() {
    let mut run = run(SHOP, samples(6_000, 30, 4));
    let told = |status: &LoadTestRunStatus| {
        let facts = [&status.phase, &status.reason, &status.message, &status.progress];
        facts.map(|fact| text(fact).to_owned()).join(" | ")
    };
    let queued = run_status(&run.view(Phase::Pending));
    assert_eq!(told(&queued), "Pending | Queued | waits for its turn | nothing");
    assert_eq!((queued.observed_generation, &queued.summary, &queued.verdict), (3, &None, &None));

    run.workers = WorkerCounts { desired: 2, ready: 1, lost: 0 };
    let starting = RunView { start_by: Some(later(40 + 252)), ..run.view(Phase::Starting) };
    assert_eq!(
        told(&run_status(&starting)),
        "Starting | Starting | 1 of 2 workers ready (4m12s left) | nothing"
    );
    let why = Waiting { reason: "Unschedulable", message: "0/3 nodes match pool=loadgen" };
    let waiting = run_status(&RunView { waiting: Some(why), ..starting });
    assert_eq!(told(&waiting), "Starting | Unschedulable | 0/3 nodes match pool=loadgen | nothing");
    assert_eq!(waiting.conditions[0].reason, "Unschedulable");

    run.workers = WorkerCounts { desired: 2, ready: 2, lost: 0 };
    run.facts.measured = 12_900 * MS;
    let previous = waiting;
    let live = run_status(&RunView { previous: Some(&previous), ..run.view(Phase::Running) });
    assert_eq!(told(&live), "Running | Running | 12s of 30s measured | 43%");
    assert_eq!(text(&live.load.as_ref().unwrap().asked), "13 users");
    let summary = live.summary.as_ref().unwrap();
    assert_eq!(summary.requests, 5_000, "of the judged part");
    let total = summary.total.clone().unwrap();
    assert_eq!(
        (total.exact, total.sent, total.sent_at_least, total.sent_at_most),
        (false, 6_000, Some(6_000), None)
    );
    assert_eq!((text(&live.slos_met), live.slos.len()), ("5/5", 5));
    assert_eq!(live.slos[0].result, SloOutcome::Met);

    run.facts.measured = 30 * SECOND;
    let collecting = run_status(&RunView { previous: Some(&live), ..run.view(Phase::Collecting) });
    assert_eq!(
        told(&collecting),
        "Collecting | Collecting | the load is over, the last results come in | 100%"
    );

    let judgement = run.judged();
    let view = RunView {
        previous: Some(&collecting),
        judgement: Some(&judgement),
        started_at: None,
        queued_at: None,
        ..run.view(Phase::Finished)
    };
    let finished = run_status(&view);
    assert_eq!(told(&finished), "Finished | SLOsMet | 5 of 5 SLOs met | 100%");
    assert_eq!((finished.verdict, text(&finished.slos_met)), (Some(Verdict::Passed), "5/5"));
    assert_eq!(finished.started_at, live.started_at, "kept from the status before");
    assert_eq!(finished.queued_at, queued.queued_at);
    assert_eq!(
        finished.finished_at.as_ref().map(|time| time.0.to_string()).as_deref(),
        Some("2030-01-02T03:04:45Z")
    );
    let window = finished.window.clone().unwrap();
    assert_eq!(window.start.0, later(5), "after the warm-up");
    assert_eq!(window.end.0, later(30));
    assert_eq!(run_status(&view), finished, "the same view gives the same status");

    let after = RunView {
        previous: Some(&finished),
        now: later(900),
        ..RunView::new(4, Phase::Finished, later(900))
    };
    let kept = run_status(&after);
    assert_eq!(kept.observed_generation, 4);
    let undated = |status: &LoadTestRunStatus| LoadTestRunStatus {
        observed_generation: 0,
        conditions: vec![],
        ..status.clone()
    };
    assert_eq!(undated(&kept), undated(&finished), "the verdict latches, with all its figures");
}

#[test]
fn figures_have_one_number_and_one_unit() {
    let mut samples = samples(6_000, 30, 4);
    samples[3_050].end = End::Incomplete(ErrorClass::Timeout);
    samples[3_051].end = answered(503);
    let run = run(SHOP, samples);
    let status = run.finished();
    let summary = status.summary.unwrap();
    assert_eq!((summary.requests, summary.failures), (5_000, 2));
    assert_eq!(format!("{:?}", summary.failures_by_class), r#"{"Status": 1, "Timeout": 1}"#);
    assert_eq!([text(&summary.errors), text(&summary.rate)], ["0.04%", "200/s"]);
    let latencies = [&summary.p50, &summary.p90, &summary.p95, &summary.p99, &summary.max].map(text);
    assert_eq!(latencies, ["20ms", "20ms", "20ms", "200ms", "200ms"]);
    let load = status.load.unwrap();
    assert_eq!(
        [text(&load.asked), text(&load.delivered), text(&load.lateness)],
        ["40 users", "nothing", "nothing"]
    );
    assert_eq!(text(&status.start_skew), "3.1ms");
    assert_eq!(status.slos[4].bad, Some(1));
    assert_eq!(text(&status.slos[0].share), "4.02%", "200 slow ones and the one without a response, of 5000");
}

#[test]
fn shown_percentiles_stand_where_the_counters_do() {
    // Buckets are 0.27 % wide: 99.95 ms and 100.05 ms share one, and its middle is on one side of the bound of 100 ms.
    for (latency, result) in [(99_950_000, SloOutcome::Met), (100_050_000, SloOutcome::Missed)] {
        let mut all = samples(6_000, 30, 0);
        for (at, sample) in all.iter_mut().enumerate() {
            // More than 5 % of them are at the latency, and some far above, so that it is no maximum.
            sample.latency = match at % 100 {
                0..8 => latency,
                8 => 130 * MS,
                _ => 20 * MS,
            };
        }
        let status = run(SHOP, all).finished();
        let p95 = text(&status.summary.as_ref().unwrap().p95).to_owned();
        let millis: f64 = p95.strip_suffix("ms").unwrap().parse().unwrap();
        assert_eq!(status.slos[0].result, result);
        assert_eq!(millis <= 100.0, result == SloOutcome::Met, "{p95}");
        assert_eq!(status.slos[0].value.as_deref(), Some(p95.as_str()), "the same number everywhere");
    }
}

#[test]
fn errors_and_rates_are_shown_on_their_side_too() {
    // 50 of 5000 are exactly 1 %, which holds; one more is 1.02 %.
    for (bad, shown, result) in [(50, "1%", SloOutcome::Met), (51, "1.02%", SloOutcome::Missed)] {
        let mut all = samples(6_000, 30, 0);
        all[2_000..2_000 + bad].iter_mut().for_each(|sample| sample.end = answered(500));
        let status = run(SHOP, all).finished();
        assert_eq!(status.slos[2].result, result);
        assert_eq!(status.summary.as_ref().unwrap().errors, status.slos[2].value);
        assert_eq!(text(&status.summary.unwrap().errors), shown);
    }
}

#[test]
fn percentiles_among_requests_without_a_response_are_over_the_largest() {
    let mut all = of_one_name(2_000, 10, 0);
    all[1_800..].iter_mut().for_each(|sample| sample.end = End::Unfinished);
    let status = run(OPEN, all).finished();
    let summary = status.summary.unwrap();
    assert_eq!(
        [&summary.p50, &summary.p90, &summary.p95, &summary.p99].map(text),
        ["20ms", "20ms", ">max", ">max"]
    );
    assert_eq!(text(&summary.max), "20ms", "the largest of complete ones");
    assert_eq!(text(&status.slos[0].value), ">max");
    let total = Total {
        requests: 2_000,
        sent: 2_000,
        exact: false,
        sent_at_least: Some(1_800),
        sent_at_most: Some(2_000),
        not_sent: 0,
        unfinished: 200,
        failures: 200,
    };
    assert_eq!(summary.total, Some(total));
    assert_eq!(
        [&status.load.as_ref().unwrap().asked, &status.load.as_ref().unwrap().delivered].map(text),
        ["200/s", "100%"]
    );
}

#[test]
fn sent_is_exact_or_an_interval() {
    let mut run = run(SHOP, samples(6_000, 30, 0));
    let total = |run: &crate::support::Run, unseen| {
        let judgement = run.judged();
        let view = RunView { judgement: Some(&judgement), unseen, ..run.view(Phase::Finished) };
        let total = run_status(&view).summary.unwrap().total.unwrap();
        (total.sent, total.exact, total.sent_at_least, total.sent_at_most)
    };
    assert_eq!(total(&run, None), (6_000, true, None, None));
    run.workers.lost = 1;
    run.facts.workers_lost = 1;
    assert_eq!(total(&run, None), (6_000, false, Some(6_000), None), "nobody knows what it sent");
    assert_eq!(total(&run, Some(150)), (6_000, false, Some(6_000), Some(6_150)));
    assert!(text(&run.finished().message).contains("1 of 2 workers lost"));
}

#[test]
fn a_run_that_could_not_take_place_has_no_figures() {
    let mut run = run(SHOP, []);
    run.facts.error = Some((Reason::TargetUnreachable, "connection refused".into()));
    run.facts.measured = 0;
    let judgement = run.judged();
    let view = RunView { judgement: Some(&judgement), started_at: None, ..run.view(Phase::Finished) };
    let status = run_status(&view);
    assert_eq!((status.verdict, text(&status.reason)), (Some(Verdict::Error), "TargetUnreachable"));
    assert_eq!((status.summary, status.window, status.load, status.progress), (None, None, None, None));

    let refused = Judgement {
        message: "spec.profile.ref: not found".into(),
        reason: Reason::InvalidReference,
        results: vec![],
        ..judgement
    };
    let view = RunView { judgement: Some(&refused), ..RunView::new(1, Phase::Finished, start()) };
    let status = run_status(&view);
    assert_eq!((status.slos_met, status.slos, status.workers), (None, vec![], None), "it never had a plan");
}

#[test]
fn a_lateness_is_shown_with_its_bound() {
    let all: Vec<_> = of_one_name(2_000, 10, 0)
        .into_iter()
        .map(|sample| plimsoll_measure::Sample { lateness: 10_010_000, ..sample })
        .collect();
    let status = run(OPEN, all).finished();
    assert_eq!((status.verdict, text(&status.reason)), (Some(Verdict::Inconclusive), "GeneratorSaturated"));
    assert_eq!(text(&status.load.unwrap().lateness), "10.01ms", "allowed are 10ms");
}

fn many(n: usize, outcome: impl Fn(usize) -> Outcome) -> Judgement {
    let result = |at: usize| SloResult {
        name: format!("{at:03}-{}", "n".repeat(59)),
        severity: if at.is_multiple_of(2) { Severity::Error } else { Severity::Warning },
        outcome: outcome(at),
        value: Some("612.4ms".into()),
        bound: "≤ 500ms".into(),
        share: Some("7.63%".into()),
        tally: Some(Tally { total: 18_240, bad: 1_391 }),
        samples: 18_240,
        message: format!("{}: {}", "n".repeat(63), "words ".repeat(30)),
    };
    let results: Vec<SloResult> = (0..n).map(result).collect();
    Judgement {
        verdict: plimsoll_slo::Verdict::Failed,
        reason: Reason::SLOMissed,
        message: "why".into(),
        results,
    }
}

fn size(status: &LoadTestRunStatus) -> usize {
    serde_json::to_string(status).unwrap().len()
}

#[test]
fn a_hundred_slos_do_not_break_the_limit() {
    let run = run(SHOP, samples(6_000, 30, 4));
    let judgement = many(100, |at| if at % 10 == 7 { Outcome::Missed } else { Outcome::Met });
    let status = run_status(&RunView { judgement: Some(&judgement), ..run.view(Phase::Finished) });
    let left_out = status.slos_left_out.unwrap();
    assert!(size(&status) <= LARGEST_STATUS && size(&status) > LARGEST_STATUS - 1_000, "{}", size(&status));
    assert_eq!(status.slos.len() + left_out as usize, 100);
    assert_eq!(status.slos.iter().filter(|slo| slo.result == SloOutcome::Missed).count(), 10, "these stay");
    let order: Vec<&str> = status.slos.iter().map(|slo| slo.name.as_str()).collect();
    assert!(order.is_sorted(), "in their order");
    assert_eq!(text(&status.slos_met), "90/100");
    let few = many(100, |_| Outcome::Met);
    let few = Judgement { results: few.results[..20].to_vec(), ..few };
    let status = run_status(&RunView { judgement: Some(&few), ..run.view(Phase::Finished) });
    assert_eq!((status.slos.len(), status.slos_left_out), (20, None));
}

#[test]
fn no_text_breaks_the_limit() {
    let run = run(SHOP, samples(600, 30, 4));
    let long = |c: &str| c.repeat(9_000);
    for c in ["x", "≤", "\"", "\u{1}", "🚢"] {
        let judgement = Judgement { message: long(c), ..many(200, |_| Outcome::Missed) };
        let notices: Vec<String> = (0..40).map(|_| long(c)).collect();
        let results = RunResults { dashboard: Some(c.repeat(200)), ..RunResults::default() };
        let view =
            RunView { judgement: Some(&judgement), notices: &notices, results, ..run.view(Phase::Finished) };
        let status = run_status(&view);
        assert!(size(&status) <= LARGEST_STATUS, "{c:?}: {}", size(&status));
        assert!(status.message.unwrap().starts_with(c));
        assert_eq!(status.slos.len() + status.slos_left_out.unwrap_or_default() as usize, 200);
    }
}

#[test]
fn iterations_are_progress_too() {
    let manifest = OPEN.replace("arrivals: {rate: 200/s}", "users: 4, iterations: 100");
    let mut run = run(&manifest, [sample(0, SECOND, 20 * MS, ok())]);
    run.merged.health.iterations = 25;
    run.facts.measured = SECOND;
    assert_eq!(text(&run_status(&run.view(Phase::Running)).progress), "25%");
    run.facts.measured = 4 * SECOND;
    assert_eq!(text(&run_status(&run.view(Phase::Running)).progress), "40%");
}

#[test]
fn times_survive_the_api_server() {
    let run = run(SHOP, samples(600, 30, 4));
    let fine = Timestamp::from_nanosecond(start().as_nanosecond() + 123).unwrap();
    let view = RunView { started_at: Some(fine), finished_at: Some(fine), ..run.view(Phase::Collecting) };
    let status = run_status(&view);
    let text = serde_json::to_string(&status).unwrap();
    assert_eq!(serde_json::from_str::<LoadTestRunStatus>(&text).unwrap(), status);
}
