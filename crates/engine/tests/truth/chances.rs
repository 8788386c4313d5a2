//! Random choices: how often a chance is drawn and a task is taken, and what is left out.

use plimsoll_measure::MetricKind;
use plimsoll_scenario::{Action, Task, Wait};
use plimsoll_testbed::Route;

use crate::script::*;
use crate::support::*;

#[test]
fn a_chance_is_drawn_as_often_as_it_says() {
    let _shared = among_others();
    let server = server(vec![Route::at("/always"), Route::at("/often"), Route::at("/seldom")]);
    for seed in seeds("a_chance_is_drawn_as_often_as_it_says") {
        server.reset_stats();
        let mut plan = a_few(server.addr(), 4, 600, get("/always"));
        plan.seed = seed;
        plan.layout.requests = vec!["always".into(), "often".into(), "seldom".into()];
        let mut often = http(named(1, get("/often")));
        often.chance = Some(700_000_000);
        let mut seldom = http(named(2, get("/seldom")));
        seldom.chance = Some(30_000_000);
        plan.script.scenarios[0].action = Action::Steps(vec![http(get("/always")), often, seldom]);
        let snapshot = run(plan);
        let total = totals(&snapshot).sent;
        let [often, seldom] = [1, 2].map(|request| sent_in(&snapshot, request, 0));
        assert_eq!((total - often - seldom, server.stats().received()), (600, total));
        assert_share(often, 600, 0.7, "70 %");
        assert_share(seldom, 600, 0.03, "3 %");
    }
}

#[test]
fn tasks_are_taken_by_weight_and_one_whose_condition_does_not_hold_takes_its_turn() {
    let _shared = among_others();
    let server = server(vec![Route::at("/a"), Route::at("/b")]);
    for seed in seeds("tasks_are_taken_by_weight") {
        let mut plan = a_few(server.addr(), 4, 600, get("/a"));
        let mut metrics = Metrics::default();
        let never = metrics.condition("when", "run.iteration < 0");
        let task = |name: &str, weight, when, request| Task {
            name: name.into(),
            weight,
            when,
            steps: vec![http(named(request, get(&format!("/{name}"))))],
        };
        let tasks = vec![task("a", 5, None, 0), task("b", 3, None, 1), task("c", 2, Some(never), 2)];
        plan.script.scenarios[0].action = Action::Tasks(tasks);
        plan.seed = seed;
        metrics.put(&mut plan);
        let snapshot = run(plan);
        assert_eq!(snapshot.health.iterations, 600, "an iteration in which nothing is sent is one");
        let [a, b, c] = [0, 1, 2].map(|request| sent_in(&snapshot, request, 0));
        assert_share(a, 600, 0.5, "a");
        assert_share(b, 600, 0.3, "b");
        assert_eq!(c, 0);
    }
}

#[test]
fn waits_have_their_distribution() {
    let _alone = alone();
    let server = server(vec![Route::at("/")]);
    let pauses = |wait: Wait, iterations: u64| {
        server.reset_stats();
        let mut plan = a_few(server.addr(), 1, iterations, get("/"));
        plan.script.scenarios[0].wait = Some(wait);
        run(plan);
        let arrivals: Vec<u64> = server.log("/").entries.iter().map(|entry| entry.arrival_us).collect();
        let gaps: Vec<u64> = arrivals.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(gaps.len() as u64, iterations - 1);
        gaps
    };
    let mean = |gaps: &[u64]| gaps.iter().sum::<u64>() as f64 / gaps.len() as f64;
    // The machine adds up to some milliseconds to each, and takes nothing away.
    let uniform = pauses(Wait::Uniform { min: 10 * MILLI, max: 40 * MILLI }, 60);
    assert!(uniform.iter().all(|gap| *gap >= 10_000), "{uniform:?}");
    // A uniform wait has a deviation of 30 / √12 ms.
    let least = 25_000.0 - 4.9 * 30_000.0 / (12.0 * 59.0_f64).sqrt();
    assert!((least..least + 20_000.0).contains(&mean(&uniform)), "{uniform:?}");
    let exponential = pauses(Wait::Exponential { mean: 10 * MILLI }, 150);
    // An exponential one deviates by its mean.
    let spread = 4.9 * 10_000.0 / 149.0_f64.sqrt();
    assert!((10_000.0 - spread..15_000.0 + spread).contains(&mean(&exponential)), "{exponential:?}");
    assert!(exponential.iter().any(|gap| *gap < 7_000) && exponential.iter().any(|gap| *gap > 15_000));
}

#[test]
fn a_condition_that_cannot_be_computed_leaves_its_step_out_and_is_counted() {
    let _shared = among_others();
    let server = server(vec![Route::at("/"), Route::at("/if")]);
    let mut plan = a_few(server.addr(), 2, 10, get("/"));
    let mut metrics = Metrics::default();
    let mut step = http(named(1, get("/if")));
    step.when = Some(metrics.condition("when", "body.x == 1"));
    plan.script.scenarios[0].action = Action::Steps(vec![http(get("/")), step]);
    metrics.put(&mut plan);
    let snapshot = run(plan);
    // The body of / is no JSON.
    let fault = observed(&snapshot, 0);
    assert_eq!((totals(&snapshot).sent, fault.count, fault.good), (10, 10, 0));
    assert_eq!(server.stats().received(), 10);
}

#[test]
fn a_step_is_repeated_as_a_whole_with_gaps() {
    let _alone = alone();
    let server = server(vec![Route::at("/")]);
    let mut plan = a_few(server.addr(), 1, 2, get("/"));
    let mut metrics = Metrics::default();
    let mut step = http(get("/"));
    step.repeat = repeat(3, 50);
    step.sets = vec![metrics.assign("n", "first(user.n, 0) + 1")];
    step.checks = vec![metrics.check("counts", "status == 200")];
    let mut last = http(named(1, get("/")));
    last.when = Some(metrics.condition("when", "user.n % 3 == 0"));
    plan.script.scenarios[0].state = vec![metrics.assign("n", "0")];
    plan.script.scenarios[0].action = Action::Steps(vec![step, last]);
    metrics.put(&mut plan);
    let checks = plan.layout.metrics.iter().position(|metric| metric.kind == MetricKind::Check).unwrap();
    let snapshot = run(plan);
    assert_eq!((sent_in(&snapshot, 0, 0), sent_in(&snapshot, 1, 0)), (6, 2));
    let checks = observed(&snapshot, u16::try_from(checks).unwrap());
    assert_eq!((checks.count, checks.good), (6, 6));
    let arrivals: Vec<u64> = server.log("/").entries.iter().map(|entry| entry.arrival_us).collect();
    let gaps: Vec<bool> = arrivals.windows(2).map(|pair| pair[1] - pair[0] >= 50_000).collect();
    // Between the three, not after them.
    assert_eq!(gaps, [true, true, false, false, true, true, false]);
}
