//! What the status says of what was asked of Prometheus, and of a run that was judged again.

use plimsoll_api::status::{LARGEST_STATUS, RunView, StoredResult, rejudged, report, run_status};
use plimsoll_api::v1alpha1::{Phase, SloOutcome, Verdict};
use plimsoll_slo::{Ask, Asked, Query, Question, rejudge};

use crate::support::{MANIFEST_WITH_QUERY, Run, later, run};

fn asked(slo: &str, query: String) -> Asked {
    let ask = Ask::Query { template: query.clone(), over: None, on_no_data: None };
    Asked {
        question: Question { slo: slo.into(), ask },
        server: "platform".into(),
        query,
        start: None,
        end: 1_893_553_445_678,
        raw: Some("0.7351".into()),
        series: Some(1),
        evaluations: 3,
        tally: None,
    }
}

fn answered() -> Run {
    let mut run = run(MANIFEST_WITH_QUERY, Vec::new());
    run.facts.queries = vec![("cpu".into(), Query::Value(0.7351))];
    run.facts.asked = vec![asked("cpu", "max(cpu)".into())];
    run
}

#[test]
fn the_query_and_its_raw_value_are_in_the_status() {
    for status in [answered().finished(), run_status(&answered().view(Phase::Running))] {
        let cpu = status.slos.iter().find(|slo| slo.name == "cpu").unwrap();
        assert_eq!((cpu.result, cpu.value.as_deref()), (SloOutcome::Met, Some("0.735 cores")));
        let query = cpu.query.clone().unwrap();
        assert_eq!((query.server.as_str(), query.query.as_str()), ("platform", "max(cpu)"));
        assert_eq!((query.raw.as_deref(), query.series), (Some("0.7351"), Some(1)));
        assert_eq!(serde_json::to_value(query.at).unwrap(), "2030-01-02T03:04:05.678000Z");
    }
}

#[test]
fn queries_go_before_results_where_a_status_would_be_too_large() {
    let mut large = answered();
    let slo = large.resolved.slos.iter().find(|slo| slo.name == "cpu").unwrap().clone();
    for n in 0..40 {
        let name = format!("cpu-{n}");
        large.resolved.slos.push(plimsoll_slo::Slo { name: name.clone(), ..slo.clone() });
        large.facts.queries.push((name.clone(), Query::Value(1.5)));
        large.facts.asked.push(asked(&name, "q".repeat(2000)));
    }
    let status = large.finished();
    assert!(serde_json::to_string(&status).unwrap().len() <= LARGEST_STATUS);
    assert_eq!((status.slos.len(), status.slos_left_out), (large.resolved.slos.len(), None));
    assert!(status.slos.iter().all(|slo| slo.query.is_none()));
}

#[test]
fn a_result_that_is_judged_again_says_the_new_verdict() {
    let run = answered();
    let judgement = run.judged();
    let view = RunView { judgement: Some(&judgement), ..run.view(Phase::Finished) };
    let stored = StoredResult::new(&view, &run_status(&view));
    let mut facts = stored.facts.clone();
    facts.queries = vec![("cpu".into(), Query::Value(1.25))];
    facts.asked[0].raw = Some("1.25".into());
    let layout = stored.layout.clone();
    let slos: Vec<_> = stored.slos.iter().filter(|slo| slo.name == "cpu").cloned().collect();
    let validity = stored.validity.clone().unwrap();
    let judgement = rejudge(&slos, &validity, &layout, &stored.snapshot, &facts);
    let again = rejudged(&stored, (slos, layout), facts, judgement, later(60));
    let cpu = again.status.slos.iter().find(|slo| slo.name == "cpu").unwrap();
    assert_eq!((cpu.result, cpu.query.clone().unwrap().raw.as_deref()), (SloOutcome::Missed, Some("1.25")));
    assert_eq!(again.status.slos_met.as_deref(), Some("0/1"));
    assert_ne!(again.status.verdict, Some(Verdict::Passed));
    assert_eq!(again.status.summary, stored.status.summary);
    assert!(report(&again).contains("0 of 1 SLO met"), "{}", report(&again));
    let text = serde_json::to_string(&again).unwrap();
    assert_eq!(serde_json::from_str::<StoredResult>(&text).unwrap(), again);
}
