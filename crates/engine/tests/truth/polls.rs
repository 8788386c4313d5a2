//! Polls: they end when the job is done, has failed, or takes too long; each end is counted apart.

use plimsoll_scenario::{Action, HttpStep, Step};
use plimsoll_testbed::{Aragora, Config, Debates, Outcome, Testbed, When};

use crate::script::*;
use crate::support::*;

/// Index of the trend of [`script`]'s poll.
const JOB: u16 = 3;

fn debates(debates: Debates) -> Testbed {
    let open = aragora(false);
    start(Config { aragora: Aragora { debates, ..open.aragora }, ..open })
}

/// Creates a debate and asks for it every 30 ms until it has ended, for 600 ms at most.
fn script(metrics: &mut Metrics) -> Vec<Step> {
    let mut create =
        http(named(1, post("/api/debate", serde_json::json!({"task": "tea", "agents": ["echo", "echo"]}))));
    create.captures = vec![metrics.assign("id", "first(body.debate_id, body.id)")];
    let done = "body.status in ['completed', 'consensus', 'no_consensus']";
    let poll = metrics.poll("/api/debates/${user.id}", 30, 600, done, "body.status == 'error'");
    vec![create, poll]
}

#[test]
fn polls_end_by_completion_failure_and_time() {
    let _alone = alone();
    let server = debates(Debates {
        duration_ms: Some(200.0),
        outcomes: vec![Outcome::Consensus, Outcome::Error],
        stuck: Some(When::Every(3)),
        ..Debates::default()
    });
    let mut plan = a_few(server.addr(), 2, 12, get("/"));
    let mut metrics = Metrics::default();
    plan.script.scenarios[0].action = Action::Steps(script(&mut metrics));
    metrics.put(&mut plan);
    let snapshot = run(plan);
    let counts = totals(&snapshot);
    assert_eq!((counts.failed, server.stats().received()), (0, counts.sent));
    let job = observed(&snapshot, JOB);
    // Of twelve every third is stuck; of the others every second fails.
    assert_eq!((job.count, job.timed_out, job.good), (12, 4, 4), "{job:?}");
    let fastest = job.histogram.percentile(100, 0).finite().unwrap();
    let slowest = job.histogram.percentile(10_000, 0).finite().unwrap();
    assert!(fastest >= 150 * MILLI && slowest < 400 * MILLI, "{fastest} {slowest}");
    // Every 30 ms for 600 ms, and once at the beginning, is the most.
    assert!(sent_in(&snapshot, 0, 0) <= 12 * 21, "{counts:?}");
}

#[test]
fn an_answer_that_is_an_error_is_no_word_of_the_job() {
    let _shared = among_others();
    let server = debates(Debates { duration_ms: Some(100.0), ..Debates::default() });
    server
        .merge_fault(
            &serde_json::json!({"rules": [{"path": "/api/debates/{id}", "method": "GET", "errorRate": 0.5}]}),
        )
        .unwrap();
    let mut plan = a_few(server.addr(), 1, 3, get("/"));
    let mut metrics = Metrics::default();
    plan.script.scenarios[0].action = Action::Steps(script(&mut metrics));
    metrics.put(&mut plan);
    let snapshot = run(plan);
    let job = observed(&snapshot, JOB);
    assert_eq!((job.count, job.good), (3, 3));
    assert!(totals(&snapshot).failed > 0);
    // The errors are no JSON that could be asked: that is not counted against the expressions.
    assert_eq!((observed(&snapshot, 1).count, observed(&snapshot, 2).count), (0, 0));
}

#[test]
fn a_poll_under_way_at_the_end_has_the_time_to_finish_and_no_more() {
    let _alone = alone();
    for (grace, good, timed_out) in [(2 * SECOND, 1, 0), (SECOND / 10, 0, 1)] {
        let server = debates(Debates { duration_ms: Some(500.0), ..Debates::default() });
        let mut metrics = Metrics::default();
        let steps = script(&mut metrics);
        let mut plan = plan(server.addr(), users(1, SECOND / 5), SECOND / 5, steps);
        plan.graceful_stop = grace;
        metrics.put(&mut plan);
        let snapshot = run(plan);
        let job = observed(&snapshot, JOB);
        assert_eq!((job.count, job.good, job.timed_out), (1, good, timed_out), "{grace}");
        assert_eq!(server.stats().received(), totals(&snapshot).sent);
    }
}

#[test]
fn a_poll_that_does_not_come_to_a_good_end_has_failed_as_a_step() {
    let _shared = among_others();
    let server = debates(Debates { stuck: Some(When::After(0)), ..Debates::default() });
    let mut plan = a_few(server.addr(), 1, 2, get("/"));
    let mut metrics = Metrics::default();
    let mut steps = script(&mut metrics);
    steps[1].on_failure = plimsoll_scenario::OnFailure::EndUser;
    let next = HttpStep { request: 2, ..get("/api/debates") };
    steps.push(http(next));
    plan.script.scenarios[0].action = Action::Steps(steps);
    metrics.put(&mut plan);
    let snapshot = run(plan);
    assert_eq!((sent_in(&snapshot, 1, 0), sent_in(&snapshot, 2, 0)), (1, 0), "the only user has ended");
    assert_eq!(observed(&snapshot, JOB).timed_out, 1);
}
