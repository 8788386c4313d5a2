//! The end of a run as a table, from the last word to what is left of it: the continuation of `table.rs`, tests only.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::SignedDuration;
use plimsoll_api::v1alpha1::Phase;
use plimsoll_session::{Final, Stop};
use plimsoll_slo::{Query, Reason, Verdict};
use plimsoll_telemetry::query::Answers;
use serde_json::json;

use super::decide::Say;
use super::fixtures::{
    accepted, assert_over, assert_phase, assert_steps, done, frozen_of, judge, judge_with, observed, started,
    status, test,
};
use super::observe::Observed;

#[test]
fn the_end_is_judged_stored_told_and_only_then_released() {
    let mut seen = started(60);
    done(&mut seen, 0, Final::default());
    assert_phase(&judge(&seen), Phase::Collecting);
    done(&mut seen, 1, Final::default());
    let decision = judge(&seen);
    assert_over(&decision, Verdict::Passed, Reason::SLOsMet, "1 of 1 SLO met");
    assert_steps(&decision, &["Open", "Start"], &["Ack", "RetireJob(false)", "Unguard", "Tell(Finished)"]);
}

#[test]
fn the_last_answers_of_prometheus_are_awaited_in_its_own_time_and_no_longer() {
    let answers = |value: f64, is_final| Answers {
        queries: vec![("cpu".into(), Query::Value(value))],
        asked: Vec::new(),
        is_final,
    };
    let mut seen = asking(60);
    seen.answers = Some(answers(0.5, false));
    done(&mut seen, 0, Final::default());
    done(&mut seen, 1, Final::default());
    let decision = judge(&seen);
    assert_phase(&decision, Phase::Collecting);
    assert!(decision.again.unwrap() < Duration::from_secs(1));
    assert!(
        matches!(&decision.say, Some(Say::Now { waiting: Some((_, why)), .. }) if why.contains("Prometheus"))
    );
    seen.answers = Some(answers(0.5, true));
    assert_over(&judge(&seen), Verdict::Passed, Reason::SLOsMet, "2 of 2 SLOs met");
    seen.answers = Some(answers(0.9, true));
    assert_over(&judge(&seen), Verdict::Failed, Reason::SLOMissed, "cpu: 0.9, allowed 0.8");
    let late = Query::Missing("no answer within 10s of the end of the run".into());
    seen.answers =
        Some(Answers { queries: vec![("cpu".into(), late)], is_final: true, ..Answers::default() });
    assert_over(&judge(&seen), Verdict::Inconclusive, Reason::NoData, "no answer within 10s");
}

#[test]
fn an_answer_stops_a_run_and_none_does_not() {
    let mut seen = asking(20);
    let answered = |query| Some(Answers { queries: vec![("cpu".into(), query)], ..Answers::default() });
    seen.answers = answered(Query::Value(0.9));
    assert_steps(&judge(&seen), &["Open", "Start", "Stop(gracefully)"], &["Tell(Stopping)"]);
    for query in [Query::Value(0.8), Query::Missing("it is down".into())] {
        seen.answers = answered(query);
        assert_steps(&judge(&seen), &["Open", "Start"], &[]);
    }
}

/// A run with a Critical SLO on a query.
fn asking(seconds: i64) -> Observed {
    let mut test = test();
    let cpu = json!({"name": "cpu", "severity": "Critical", "prometheus": {"query": "up", "atMost": 0.8}});
    test.spec.slos.push(serde_json::from_value(cpu).unwrap());
    let mut seen = started(seconds);
    seen.frozen = Some(frozen_of(&test));
    seen
}

#[test]
fn a_worker_that_was_ended_by_a_signal_is_missing_load() {
    let mut seen = started(60);
    done(&mut seen, 0, Final::default());
    let stopped = Some(Stop { reason: "worker 1 received SIGTERM".into(), at_once: false });
    done(&mut seen, 1, Final { stopped, ..Final::default() });
    assert_over(&judge(&seen), Verdict::Inconclusive, Reason::WorkerLost, "1 of 2 workers lost");
}

#[test]
fn what_stays_away_is_given_up_in_the_end() {
    let mut seen = started(60 + 30 + 29);
    assert_phase(&judge(&seen), Phase::Collecting);
    seen = started(60 + 30 + 31);
    let decision = judge(&seen);
    assert_over(&decision, Verdict::Inconclusive, Reason::WorkerLost, "2 of 2 workers lost");
    // A process that has just come waits first.
    seen.memory.opened_at = Some(seen.now.instant);
    assert_phase(&judge(&seen), Phase::Collecting);
}

#[test]
fn stops_by_their_reasons() {
    let mut cancelled = started(20);
    Arc::make_mut(&mut cancelled.run).spec.cancel = Some(true);
    assert_steps(&judge(&cancelled), &["Open", "Start", "Stop(gracefully)"], &["Tell(Stopping)"]);
    let mut orphan = started(20);
    orphan.test = None;
    assert_steps(&judge(&orphan), &["Open", "Start", "Stop(now)"], &["Tell(Stopping)"]);
    assert_steps(&judge_with(&started(20), true), &["Open", "Start", "Stop(now)"], &["Tell(Stopping)"]);
    let mut early = accepted();
    Arc::make_mut(&mut early.run).spec.cancel = Some(true);
    assert_over(&judge(&early), Verdict::Inconclusive, Reason::Cancelled, "had not started");
    let mut late = started(20);
    let policy = json!({"deadline": "25s"});
    Arc::make_mut(late.test.as_mut().unwrap()).spec.run_policy =
        Some(serde_json::from_value(policy).unwrap());
    assert_steps(&judge(&late), &["Open", "Start", "Stop(gracefully)"], &["Tell(Stopping)"]);
}

#[test]
fn a_deleted_run_is_let_go_at_once() {
    let mut seen = started(20);
    let now = Time(seen.now.stamp);
    Arc::make_mut(&mut seen.run).metadata.deletion_timestamp = Some(now);
    assert_steps(&judge(&seen), &["Close", "Unguard"], &[]);
    let mut leaving = started(20);
    leaving.memory.leaving = true;
    assert_steps(&judge(&leaving), &["Close", "Unguard"], &[]);
}

#[test]
fn the_verdict_latches_and_what_is_left_is_done() {
    let mut seen = started(90);
    let finished = (seen.now.stamp - SignedDuration::from_secs(10)).to_string();
    let over = |seen: &mut Observed| {
        let start = (seen.now.stamp - SignedDuration::from_secs(90)).to_string();
        status(
            seen,
            json!({"observedGeneration": 1, "phase": "Finished", "verdict": "Failed", "startedAt": start, "finishedAt": finished}),
        );
    };
    over(&mut seen);
    assert_steps(&judge(&seen), &["Ack", "RetireJob(false)", "Unguard"], &[]);
    seen.job.as_mut().unwrap().retired = true;
    Arc::make_mut(&mut seen.run).metadata.finalizers = None;
    seen.progress.as_mut().unwrap().acked = true;
    assert_steps(&judge(&seen), &[], &[]);
    seen.job.as_mut().unwrap().complete = true;
    seen.progress.as_mut().unwrap().links.iter_mut().for_each(|link| link.connected = false);
    assert_steps(&judge(&seen), &["Close"], &[]);
    seen.progress = None;
    assert_steps(&judge(&seen), &[], &[]);
}

/// Finished ten seconds ago; nothing of it is left to be done.
fn finished() -> Observed {
    let mut seen = observed();
    let end = (seen.now.stamp - SignedDuration::from_secs(10)).to_string();
    let told = json!({"observedGeneration": 1, "phase": "Finished", "verdict": "Passed", "reason": "SLOsMet", "finishedAt": end});
    status(&mut seen, told);
    Arc::make_mut(&mut seen.run).metadata.generation = Some(1);
    seen
}

#[test]
fn a_finished_run_goes_when_its_test_has_noted_the_verdict() {
    let mut seen = finished();
    Arc::make_mut(&mut seen.run).spec.ttl_after_finished = Some("10s".parse().unwrap());
    let noted = |seen: &mut Observed, history: serde_json::Value| {
        let status = json!({"observedGeneration": 1, "history": history});
        Arc::make_mut(seen.test.as_mut().unwrap()).status = Some(serde_json::from_value(status).unwrap());
    };
    let early = judge(&seen);
    assert_steps(&early, &[], &[]);
    assert!(early.again.unwrap() <= Duration::from_secs(1));
    noted(&mut seen, json!([{"name": "web-1"}]));
    assert_steps(&judge(&seen), &[], &[]);
    noted(&mut seen, json!([{"name": "web-1", "verdict": "Passed"}]));
    assert_steps(&judge(&seen), &["Delete"], &[]);
    // Ten newer ones have pushed it out.
    let newer: Vec<_> = (2..12).map(|at| json!({"name": format!("web-{at}")})).collect();
    noted(&mut seen, json!(newer));
    assert_steps(&judge(&seen), &["Delete"], &[]);
    seen.test = None;
    assert_steps(&judge(&seen), &["Delete"], &[]);
}

#[test]
fn an_edit_of_a_finished_run_changes_nothing_but_the_generation() {
    let mut seen = finished();
    assert!(judge(&seen).say.is_none());
    let run = Arc::make_mut(&mut seen.run);
    run.metadata.generation = Some(2);
    run.spec.cancel = Some(true);
    let Some(say @ Say::Latched) = judge(&seen).say else { panic!() };
    let told = super::status::under_way(&seen, &say, &plimsoll_manifests::Settings::default());
    assert_eq!((told.observed_generation, told.reason.as_deref()), (2, Some("SLOsMet")));
    assert_eq!(told.finished_at, seen.run.status.as_ref().unwrap().finished_at);
}

#[test]
fn a_verdict_whose_result_cannot_be_stored_is_not_silent() {
    let mut seen = started(60);
    (0..2).for_each(|index| done(&mut seen, index, Final::default()));
    let Some(Say::Over(over)) = judge(&seen).say else { panic!() };
    let Some(Say::Now { phase: Phase::Collecting, waiting: Some((_, message)), .. }) =
        super::ended::unstored(&over, "exceeded quota")
    else {
        panic!()
    };
    assert!(message.contains("cannot be stored") && message.contains("exceeded quota"), "{message}");
    // There is nothing to store of a run that never started.
    let mut refused = observed();
    refused.memory.refused = Some((Reason::PolicyDenied, "exceeded quota".into()));
    let Some(Say::Over(over)) = judge(&refused).say else { panic!() };
    assert!(super::ended::unstored(&over, "exceeded quota").is_none());
}

#[test]
fn a_stored_result_is_the_end_even_without_a_status() {
    let mut seen = observed();
    seen.result = Some(Arc::default());
    assert!(matches!(judge(&seen).say, Some(Say::Again(_))));
}
