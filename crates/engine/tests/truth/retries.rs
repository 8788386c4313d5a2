//! Retries: how often, after how long, and how they are counted.

use std::collections::BTreeMap;

use plimsoll_scenario::{Action, HttpStep, OnFailure, Retry, Step};
use plimsoll_testbed::{Errors, Route, Testbed, When};

use crate::script::*;
use crate::support::*;

fn milliseconds_between(server: &Testbed, path: &str) -> Vec<u64> {
    let entries = server.log(path).entries;
    entries.windows(2).map(|pair| (pair[1].arrival_us - pair[0].arrival_us) / 1000).collect()
}

fn retried(step: HttpStep, retry: impl FnOnce(&mut Metrics) -> Retry) -> (Step, Metrics) {
    let mut metrics = Metrics::default();
    let mut step = http(step);
    step.retry = Some(retry(&mut metrics));
    (step, metrics)
}

#[test]
fn attempts_are_requests_of_their_own_and_delays_grow() {
    let _alone = alone();
    let route = Route { status: Some(503), ..Route::at("/") };
    let server = server(vec![route]);
    let mut plan = a_few(server.addr(), 1, 1, get("/"));
    let (mut step, metrics) = retried(get("/"), |metrics| metrics.retry(4, 40));
    step.on_failure = OnFailure::EndIteration;
    plan.script.scenarios[0].action = Action::Steps(vec![step, http(named(1, get("/")))]);
    metrics.put(&mut plan);
    let snapshot = run(plan);
    let counts = totals(&snapshot);
    assert_eq!((counts.sent, counts.failed, counts.retries), (4, 4, 3), "the step after it is left out");
    let outcome = observed(&snapshot, 0);
    assert_eq!((outcome.count, outcome.good), (1, 0));
    let gaps = milliseconds_between(&server, "/");
    // 40, 80, 160 ms, and never less.
    assert!(gaps.iter().zip([40, 80, 160]).all(|(gap, least)| (least..least + 35).contains(gap)), "{gaps:?}");
}

#[test]
fn what_succeeds_at_last_has_succeeded() {
    let _shared = among_others();
    let errors = Some(Errors { when: When::Every(2), status: 500 });
    let server = server(vec![Route { errors, ..Route::at("/") }]);
    let mut plan = a_few(server.addr(), 1, 20, get("/"));
    let (mut step, mut metrics) = retried(get("/"), |metrics| metrics.retry(2, 1));
    step.checks = vec![metrics.check("good", "status == 200")];
    plan.script.scenarios[0].action = Action::Steps(vec![step]);
    metrics.put(&mut plan);
    let snapshot = run(plan);
    let (counts, outcome, check) = (totals(&snapshot), observed(&snapshot, 0), observed(&snapshot, 1));
    assert_eq!((outcome.count, outcome.good), (20, 20));
    // What is made of the response is made of the last one.
    assert_eq!((check.count, check.good), (20, 20));
    assert_eq!(counts.sent, 20 + counts.retries);
    assert_eq!((counts.failed, server.stats().received()), (counts.retries, counts.sent));
    assert!(counts.retries > 0);
}

#[test]
fn a_status_that_is_expected_may_be_tried_again_as_late_as_the_server_says() {
    let _alone = alone();
    let headers = BTreeMap::from([("retry-after".to_owned(), "1".to_owned())]);
    let server = server(vec![Route { statuses: vec![429, 200], headers, ..Route::at("/") }]);
    let mut plan = a_few(server.addr(), 1, 1, get("/"));
    let expect = vec![(200, 200), (429, 429)];
    let (step, metrics) = retried(HttpStep { expect, ..get("/") }, |metrics| Retry {
        on: vec![(429, 429)],
        honour_retry_after: true,
        ..metrics.retry(3, 10)
    });
    plan.script.scenarios[0].action = Action::Steps(vec![step]);
    metrics.put(&mut plan);
    let snapshot = run(plan);
    let counts = totals(&snapshot);
    assert_eq!((counts.sent, counts.failed, counts.retries), (2, 0, 1));
    assert_eq!(observed(&snapshot, 0).good, 1);
    let gaps = milliseconds_between(&server, "/");
    assert!(gaps[0] >= 1000 && gaps[0] < 1300, "{gaps:?}");
}

#[test]
fn a_flow_is_tried_again_when_one_of_its_steps_failed() {
    let _shared = among_others();
    let errors = Some(Errors { when: When::First(1), status: 500 });
    let server = server(vec![Route::at("/a"), Route { errors, ..Route::at("/b") }]);
    let mut plan = a_few(server.addr(), 1, 1, get("/a"));
    let mut metrics = Metrics::default();
    let flow = plimsoll_scenario::StepAction::Run(vec![http(get("/a")), http(named(1, get("/b")))]);
    let mut step = Step::new("test run", flow);
    step.retry = Some(metrics.retry(3, 1));
    plan.script.scenarios[0].action = Action::Steps(vec![step]);
    metrics.put(&mut plan);
    let snapshot = run(plan);
    assert_eq!((sent_in(&snapshot, 0, 0), sent_in(&snapshot, 1, 0)), (2, 2));
    assert_eq!((observed(&snapshot, 0).count, observed(&snapshot, 0).good), (1, 1));
}
