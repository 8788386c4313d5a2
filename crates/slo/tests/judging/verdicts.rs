//! The verdict table and its order, validity rules with their remedies, and aborts.

use crate::support::*;
use plimsoll_measure::{End, Held, RATE_SECONDS, WindowId};
use plimsoll_slo::{Facts, Judgement, Kind, Query, Reason, Severity, Slo, Stat, Verdict, WorkerLossPolicy};

const HOLDS: u64 = 500 * MS;
const BREAKS: u64 = MS;

/// SLOs on 100 requests of 20 ms: p95 at the given bound.
fn bounded(name: &str, at_most: u64, severity: Severity) -> Slo {
    Slo { severity, ..slo(name, p(9_500, at_most)) }
}

fn run(slos: Vec<Slo>) -> Run {
    Run::new(slos, &many(100, 20 * MS, ok()))
}

fn says(judgement: &Judgement, verdict: Verdict, reason: Reason, message: &str) {
    assert_eq!((judgement.verdict, judgement.reason), (verdict, reason), "{}", judgement.message);
    assert_eq!(judgement.message, message);
}

#[test]
fn passed() {
    let met = run(vec![bounded("p95", HOLDS, Severity::Error), bounded("worst", HOLDS, Severity::Critical)]);
    says(&met.judge(), Verdict::Passed, Reason::SLOsMet, "2 of 2 SLOs met");
}

#[test]
fn warnings_and_notes_never_change_the_verdict() {
    let error = || bounded("p95", HOLDS, Severity::Error);
    let warned = run(vec![error(), bounded("p50", BREAKS, Severity::Warning)]);
    says(
        &warned.judge(),
        Verdict::Passed,
        Reason::PassedWithWarnings,
        "p50: p95 20 ms, allowed 1 ms (100 requests, 100 too slow); 1 of 2 SLOs met",
    );
    let info = run(vec![error(), bounded("note", BREAKS, Severity::Info)]);
    says(&info.judge(), Verdict::Passed, Reason::SLOsMet, "1 of 2 SLOs met");
    let unknown = Slo { min_samples: Some(1_000), ..bounded("p99", HOLDS, Severity::Warning) };
    assert_eq!(run(vec![error(), unknown]).judge().reason, Reason::SLOsMet);
}

#[test]
fn failed() {
    let four = |severity| {
        run(vec![
            bounded("p95", BREAKS, severity),
            bounded("a", HOLDS, Severity::Error),
            bounded("b", HOLDS, Severity::Error),
            bounded("c", HOLDS, Severity::Error),
        ])
    };
    for severity in [Severity::Error, Severity::Critical] {
        says(
            &four(severity).judge(),
            Verdict::Failed,
            Reason::SLOMissed,
            "p95: 20 ms, allowed 1 ms (100 requests, 100 too slow); 3 of 4 SLOs met",
        );
    }
    let many_missed = run((0..5).map(|n| bounded(&format!("p95-{n}"), BREAKS, Severity::Error)).collect());
    assert!(many_missed.judge().message.ends_with("; 2 more; 0 of 5 SLOs met"));
}

#[test]
fn unknown_is_never_passed_and_yields_to_missed() {
    let unknown = || Slo { min_samples: Some(1_000), ..bounded("p99", HOLDS, Severity::Error) };
    says(
        &run(vec![unknown(), bounded("p95", HOLDS, Severity::Error)]).judge(),
        Verdict::Inconclusive,
        Reason::TooFewSamples,
        "p99: 100 requests, but it takes 1 000 to judge it: run longer, or lower validity.minSamples; 1 of 2 SLOs met",
    );
    let missed = run(vec![unknown(), bounded("p95", BREAKS, Severity::Error)]).judge();
    assert_eq!((missed.verdict, missed.reason), (Verdict::Failed, Reason::SLOMissed));
    let silent = Slo { window: Some(WindowId(2)), ..bounded("burst", HOLDS, Severity::Error) };
    says(
        &run(vec![silent]).judge(),
        Verdict::Inconclusive,
        Reason::NoData,
        "burst: no requests to judge it by; 0 of 1 SLO met",
    );
}

#[test]
fn a_run_without_requests_has_no_data_whatever_a_query_says() {
    let cpu = Kind::Prometheus { at_most: Some(1.0), at_least: None, unit: None };
    let mut run = Run::new(vec![slo("cpu", cpu)], &[]);
    run.facts.queries = vec![("cpu".into(), Query::Value(0.1))];
    says(
        &run.judge(),
        Verdict::Inconclusive,
        Reason::NoData,
        "no request fell into the judged part: lengthen the run, or shorten warmup and cooldown; 1 of 1 SLO met",
    );
}

#[test]
fn without_a_binding_slo_nothing_is_judged() {
    let none = "nothing was judged: add an SLO of severity Error or Critical";
    says(&run(vec![]).judge(), Verdict::Inconclusive, Reason::NotJudged, none);
    let only_warnings = run(vec![bounded("p95", HOLDS, Severity::Warning)]).judge();
    assert_eq!(only_warnings.reason, Reason::NotJudged);
}

#[test]
fn errors_come_first() {
    let mut run = run(vec![bounded("p95", BREAKS, Severity::Critical)]);
    run.facts.error = Some((Reason::TargetUnreachable, "checkout:8080: connection refused".into()));
    run.facts.stopped = Some(Reason::Cancelled);
    run.facts.workers_lost = 1;
    says(&run.judge(), Verdict::Error, Reason::TargetUnreachable, "checkout:8080: connection refused");
}

/// A run whose SLO is met, or missed, with something wrong about it.
fn spoilt(bound: u64, spoil: impl Fn(&mut Run)) -> Judgement {
    let mut run = run(vec![bounded("p95", bound, Severity::Error)]);
    spoil(&mut run);
    run.judge()
}

#[test]
fn what_spoils_a_run_comes_before_its_slos() {
    type Spoil = fn(&mut Run);
    let cases: [(Spoil, Reason, &str); 10] = [
        (
            |r| r.facts.workers_lost = 1,
            Reason::WorkerLost,
            "1 of 2 workers lost, the summary is a lower bound",
        ),
        (
            |r| r.facts.start_skew = Some(310 * MS),
            Reason::StartSkewed,
            "workers started 310 ms apart, allowed 100 ms: check the nodes' clocks and load, or raise validity.maxStartSkew",
        ),
        (
            |r| r.merged.health.no_ports = 12,
            Reason::GeneratorSaturated,
            "12 connections failed for want of local ports: keep connections alive, lower target.connections, or raise workers.count above 2",
        ),
        (
            |r| r.merged.health.no_descriptors = 1,
            Reason::GeneratorSaturated,
            "1 connection failed for want of file descriptors: raise the workers' limit of open files, or raise workers.count above 2",
        ),
        (
            |r| (r.merged.health.wall, r.merged.health.throttled) = (10_000, 4_000),
            Reason::GeneratorSaturated,
            "workers were throttled for 40% of the time, allowed 1%: raise workers.resources.limits.cpu, or raise workers.count from 2 to 5",
        ),
        (
            |r| (r.merged.health.due, r.merged.health.delivered) = (3_000, 1_000),
            Reason::RateNotDelivered,
            "1 000 of 3 000 due requests were sent, 33.3%, wanted at least 95%: raise arrivals.maxInFlight if the target is slow, otherwise raise workers.count from 2 to 8",
        ),
        (
            |r| (0..2).for_each(|_| r.merged.health.lateness.record(23 * MS)),
            Reason::GeneratorSaturated,
            "requests were sent 23 ms late at p99, allowed 10 ms: the workers' cores had no time left; raise workers.count above 2, or give them more CPU, or lower the rate",
        ),
        (|r| r.facts.stopped = Some(Reason::Cancelled), Reason::Cancelled, "cancelled after 22 s"),
        (
            |r| r.facts.stopped = Some(Reason::Superseded),
            Reason::Superseded,
            "replaced by a newer run after 22 s",
        ),
        (
            |r| r.facts.stopped = Some(Reason::DeadlineExceeded),
            Reason::DeadlineExceeded,
            "stopped after 22 s: runPolicy.deadline had passed",
        ),
    ];
    for (spoil, reason, message) in cases {
        for (bound, met) in [(HOLDS, 1), (BREAKS, 0)] {
            let expected = format!("{message}; {met} of 1 SLO met");
            says(&spoilt(bound, spoil), Verdict::Inconclusive, reason, &expected);
        }
    }
}

/// An overdriven run of 2 workers with 2 cores each, in which arrivals waited 3 s of a core's time, of which these parts were held up.
fn held(held: Held) -> Judgement {
    spoilt(HOLDS, |run| {
        run.facts.peak_rate = 50_000 * RATE_SECONDS;
        let health = &mut run.merged.health;
        (health.due, health.delivered) = (3_000, 1_000);
        (health.wall, health.cores) = (2 * SECOND, 4 * SECOND);
        (health.held, health.carried) = (held, 30_000);
    })
}

#[test]
fn a_rate_that_is_not_delivered_is_the_generators_fault_or_the_targets() {
    let figures = "1 000 of 3 000 due requests were sent, 33.3%, wanted at least 95%";
    // 10 000/s a core, 20 000/s a worker, and 62 500/s are wanted with the margin.
    says(
        &held(Held { generator: 3 * SECOND, target: 2 * SECOND, connections: SECOND, limits: 0 }),
        Verdict::Inconclusive,
        Reason::GeneratorSaturated,
        &format!(
            "{figures}: the workers' cores had no time left; one worker carried 20000/s of 50000/s: 4 workers would carry this rate (workers.count is 2), or give them more CPU, or lower the rate; 1 of 1 SLO met"
        ),
    );
    let target = Held { generator: SECOND, target: 3 * SECOND, connections: SECOND, limits: 0 };
    let connections = Held { connections: 4 * SECOND, ..target };
    let limits = Held { limits: 5 * SECOND, ..connections };
    for (held_by, cause) in [
        (
            target,
            "all places of arrivals.maxInFlight were taken by arrivals under way (median response 20 ms): the target is too slow for this rate and so many; raise arrivals.maxInFlight, or lower the rate",
        ),
        (
            connections,
            "requests waited for a connection, all that target.connections allows were in use (median response 20 ms): raise target.connections.max (HTTP/2: or the target's limit of streams), or lower the rate",
        ),
        (
            limits,
            "all places of arrivals.maxInFlight were taken, most of them by arrivals that waited for a place in a step with concurrency (median response 20 ms): raise concurrency.max, or lower the rate",
        ),
    ] {
        let message = format!("{figures}: {cause}; 1 of 1 SLO met");
        says(&held(held_by), Verdict::Inconclusive, Reason::RateNotDelivered, &message);
        assert!(!message.contains("workers"), "more workers would not help");
    }
}

#[test]
fn never_fewer_workers_are_named_than_there_are_and_one_more() {
    let judgement = spoilt(HOLDS, |run| {
        run.facts.peak_rate = 100 * RATE_SECONDS;
        let health = &mut run.merged.health;
        (health.due, health.delivered) = (3_000, 2_800);
        (health.wall, health.cores, health.carried) = (2 * SECOND, 2 * SECOND, 1_000);
        health.held.generator = SECOND;
    });
    assert!(
        judgement.message.contains(": 3 workers would carry this rate (workers.count is 2)"),
        "{judgement:?}"
    );
    let short = spoilt(HOLDS, |run| {
        run.facts.peak_rate = 100 * RATE_SECONDS;
        let health = &mut run.merged.health;
        (health.due, health.delivered) = (3_000, 1_500);
        (health.wall, health.cores, health.carried) = (2 * SECOND, 2 * SECOND, 1);
        health.held.generator = 99 * MS;
    });
    assert!(short.message.contains("no time left; raise workers.count from 2 to 5, or"), "{short:?}");
}

#[test]
fn arrivals_that_the_target_made_late_were_not_delivered_in_time() {
    let late = |held: Held| {
        spoilt(HOLDS, |run| {
            (0..2).for_each(|_| run.merged.health.lateness.record(23 * MS));
            run.merged.health.held = held;
        })
    };
    let target = late(Held { target: SECOND, generator: SECOND / 2, ..Held::default() });
    assert_eq!(target.reason, Reason::RateNotDelivered);
    assert!(target.message.contains("23 ms late at p99, allowed 10 ms: all places of arrivals.maxInFlight"));
    let own = late(Held { generator: SECOND, target: SECOND / 2, ..Held::default() });
    assert_eq!(own.reason, Reason::GeneratorSaturated);
}

#[test]
fn arrivals_without_data_ask_for_data_and_not_for_workers() {
    let starved = |no_data| {
        spoilt(HOLDS, |run| {
            let health = &mut run.merged.health;
            (health.due, health.delivered, health.no_data) = (3_000, 1_000, no_data);
            health.held.generator = SECOND;
        })
    };
    let figures = "1 000 of 3 000 due requests were sent, 33.3%, wanted at least 95%";
    says(
        &starved(2_000),
        Verdict::Inconclusive,
        Reason::RateNotDelivered,
        &format!(
            "{figures}: 2 000 arrivals found no row of data left: give the table more rows, or leave out data[].onEnd: EndUser; 1 of 1 SLO met"
        ),
    );
    assert_eq!(starved(1_001).reason, Reason::RateNotDelivered);
    assert_eq!(starved(1_000).reason, Reason::GeneratorSaturated, "most were not sent for another reason");
}

#[test]
fn the_generators_own_queue_spoils_a_run_without_any_schedule() {
    let queued = |late: u64, spoil: fn(&mut Run)| {
        spoilt(HOLDS, |run| {
            run.facts.open_model = false;
            (0..98).for_each(|_| run.merged.health.lag.record(MS / 2));
            (0..2).for_each(|_| run.merged.health.lag.record(late));
            spoil(run);
        })
    };
    assert_eq!(queued(10 * MS, |_| ()).reason, Reason::SLOsMet);
    let more = |run: &mut Run| run.merged.health.lag.record(41 * MS);
    says(
        &queued(23 * MS, more),
        Verdict::Inconclusive,
        Reason::GeneratorSaturated,
        "the workers' cores came 23 ms late at p99 to what was ready, allowed 10 ms, latencies include up to 41 ms of the generator's own queue: give workers more CPU, raise workers.count above 2, or lower the load; 1 of 1 SLO met",
    );
    // What to do about it is told once.
    let throttled = |run: &mut Run| (run.merged.health.wall, run.merged.health.throttled) = (10_000, 4_000);
    let judgement = queued(23 * MS, throttled);
    assert!(
        judgement
            .message
            .ends_with("; latencies include up to 23 ms of the generator's own queue; 1 of 1 SLO met"),
        "{}",
        judgement.message
    );
}

#[test]
fn limits_of_validity_are_allowed() {
    let spoil = |run: &mut Run| {
        run.facts.start_skew = Some(100 * MS);
        let health = &mut run.merged.health;
        (health.wall, health.throttled) = (10_000, 100);
        (health.due, health.delivered) = (1_000, 950);
        // 202 samples: rank 200 of them is 9.9 ms.
        (0..100).for_each(|_| health.lateness.record(9_900_000));
        (0..2).for_each(|_| health.lateness.record(SECOND));
    };
    assert_eq!(spoilt(HOLDS, spoil).reason, Reason::SLOsMet);
    let beyond = |run: &mut Run| (run.merged.health.due, run.merged.health.delivered) = (1_000, 949);
    assert_eq!(spoilt(HOLDS, beyond).reason, Reason::RateNotDelivered);
}

#[test]
fn one_hiccup_among_few_requests_is_no_saturation() {
    let late = |n: usize, hiccups: usize| {
        let mut run = run(vec![bounded("p95", HOLDS, Severity::Error)]);
        run.merged.health.lateness = plimsoll_measure::Histogram::new();
        (0..n).for_each(|_| run.merged.health.lateness.record(MS));
        (0..hiccups).for_each(|_| run.merged.health.lateness.record(SECOND));
        run.judge().reason
    };
    assert_eq!(late(40, 1), Reason::SLOsMet);
    assert_eq!(late(40, 2), Reason::GeneratorSaturated);
    assert_eq!(late(0, 1), Reason::SLOsMet);
    assert_eq!(late(198, 2), Reason::SLOsMet);
    assert_eq!(late(197, 3), Reason::GeneratorSaturated);
}

#[test]
fn the_closed_model_is_judged_by_its_waits() {
    let closed = |run: &mut Run| {
        run.facts.open_model = false;
        (run.merged.health.due, run.merged.health.delivered) = (1_000, 0);
        (0..100).for_each(|_| run.merged.health.lateness.record(SECOND));
    };
    assert_eq!(spoilt(HOLDS, closed).reason, Reason::SLOsMet);
    let late_waits = |run: &mut Run| {
        closed(run);
        (0..100).for_each(|_| run.merged.health.waits.record(15 * MS));
    };
    says(
        &spoilt(HOLDS, late_waits),
        Verdict::Inconclusive,
        Reason::GeneratorSaturated,
        "waits ended 15 ms late at p99, allowed 10 ms: give workers more CPU, raise workers.count above 2, or lower the users; 1 of 1 SLO met",
    );
}

#[test]
fn lost_workers_by_policy() {
    let lost = |policy, bound, lost| {
        spoilt(bound, |run| {
            run.facts.workers_lost = lost;
            run.validity.on_worker_loss = policy;
        })
    };
    use WorkerLossPolicy::{Continue, Fail};
    let lower = "1 of 2 workers lost, the summary is a lower bound";
    says(&lost(Continue, HOLDS, 1), Verdict::Passed, Reason::SLOsMet, &format!("1 of 1 SLO met; {lower}"));
    assert_eq!(lost(Continue, BREAKS, 1).reason, Reason::SLOMissed);
    says(&lost(Fail, HOLDS, 1), Verdict::Failed, Reason::WorkerLost, &format!("{lower}; 1 of 1 SLO met"));
    let both = lost(Fail, BREAKS, 1);
    assert_eq!((both.verdict, both.reason), (Verdict::Failed, Reason::WorkerLost));
    for policy in [Continue, Fail, WorkerLossPolicy::Inconclusive] {
        let all = lost(policy, HOLDS, 2);
        assert_eq!((all.verdict, all.reason), (Verdict::Inconclusive, Reason::WorkerLost), "all of them");
    }
}

#[test]
fn several_faults_are_all_told() {
    let judgement = spoilt(HOLDS, |run| {
        run.facts.workers_lost = 1;
        run.facts.stopped = Some(Reason::Cancelled);
    });
    says(
        &judgement,
        Verdict::Inconclusive,
        Reason::Cancelled,
        "cancelled after 22 s; 1 of 2 workers lost, the summary is a lower bound; 1 of 1 SLO met",
    );
}

#[test]
fn an_abort_stays_failed_if_the_run_was_valid() {
    let aborted = |spoil: fn(&mut Run)| {
        let mut run =
            run(vec![bounded("p95", BREAKS, Severity::Critical), bounded("a", HOLDS, Severity::Error)]);
        run.facts = Facts { stopped: Some(Reason::SLOAborted), measured: 7 * SECOND, ..run.facts };
        spoil(&mut run);
        run.judge()
    };
    says(
        &aborted(|_| ()),
        Verdict::Failed,
        Reason::SLOAborted,
        "p95: 20 ms, allowed 1 ms (100 requests, 100 too slow); stopped on an SLO after 7 s; 1 of 2 SLOs met",
    );
    let invalid = aborted(|run| run.merged.health.no_ports = 1);
    assert_eq!((invalid.verdict, invalid.reason), (Verdict::Inconclusive, Reason::GeneratorSaturated));
    let recovered = aborted(|run| run.slos.remove(0).name.clear());
    assert_eq!((recovered.verdict, recovered.reason), (Verdict::Failed, Reason::SLOAborted));
}

#[test]
fn a_critical_miss_outlasts_a_later_stop() {
    let stopped = |severity, spoil: fn(&mut Run)| {
        let mut run = run(vec![bounded("p95", BREAKS, severity)]);
        run.facts.stopped = Some(Reason::Cancelled);
        spoil(&mut run);
        run.judge().reason
    };
    assert_eq!(stopped(Severity::Critical, |_| ()), Reason::SLOMissed);
    assert_eq!(stopped(Severity::Critical, |run| run.merged.health.no_ports = 1), Reason::Cancelled);
    assert_eq!(stopped(Severity::Error, |_| ()), Reason::Cancelled);
}

#[test]
fn aborts_wait_for_their_time_and_their_samples() {
    let abort = |severity, after: Option<u64>| Slo { abort_after: after, ..bounded("p95", BREAKS, severity) };
    let live = |slo: Slo, elapsed| {
        run(vec![bounded("a", HOLDS, Severity::Critical), slo]).live(elapsed).map(|(at, _)| at)
    };
    // The judged part begins at 2 s.
    for (severity, after, elapsed, stops) in [
        (Severity::Critical, None, 2 * SECOND + 1, true),
        (Severity::Critical, None, 2 * SECOND, false),
        (Severity::Critical, Some(3 * SECOND), 4 * SECOND, false),
        (Severity::Error, Some(3 * SECOND), 5 * SECOND - 1, false),
        (Severity::Error, Some(3 * SECOND), 5 * SECOND, true),
        (Severity::Error, None, 22 * SECOND, false),
        (Severity::Warning, Some(0), 22 * SECOND, false),
        (Severity::Info, Some(0), 22 * SECOND, false),
    ] {
        assert_eq!(
            live(abort(severity, after), elapsed),
            stops.then_some(1),
            "{severity:?} {after:?} at {elapsed}"
        );
    }
    let few = Slo { min_samples: Some(101), ..abort(Severity::Critical, None) };
    assert_eq!(live(few, 22 * SECOND), None);
    let message = run(vec![abort(Severity::Critical, None)]).live(3 * SECOND).map(|(_, message)| message);
    assert_eq!(message.as_deref(), Some("p95: 20 ms, allowed 1 ms (100 requests, 100 too slow)"));
}

#[test]
fn what_only_the_end_can_say_never_stops_a_run() {
    let critical = |kind| Slo { severity: Severity::Critical, window: Some(WindowId(0)), ..slo("x", kind) };
    let recovery = critical(Kind::ErrorRate { at_most: 0, classes: vec![], within: Some(SECOND) });
    let run = Run::new(vec![recovery], &many(100, MS, End::Unfinished));
    assert_eq!(run.live(11 * SECOND), None, "the window ends at 12 s");
    assert!(run.live(12 * SECOND).is_some());
    let drift = Kind::LatencyDrift { stat: Stat::Mean, at_most: 0 };
    let run = Run::new(vec![critical(drift)], &vec![request(2 * SECOND, MS, ok()); 100]);
    assert_eq!(run.live(3 * SECOND), None, "the first tenth ends at 3 s");
    assert!(run.live(3 * SECOND + 1).is_some());
}

#[test]
fn live_throughput_is_over_the_time_so_far() {
    let kind = Kind::Throughput { at_least: Some(600_000), at_most: None };
    let floor = Slo { abort_after: Some(5 * SECOND), ..slo("floor", kind) };
    let run = run(vec![floor]);
    assert_eq!(run.live(12 * SECOND), None, "100 in 10 s");
    assert!(run.live(12 * SECOND + MS).is_some());
}
