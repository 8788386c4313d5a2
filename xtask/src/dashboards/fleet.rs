//! The dashboard of everything that goes on now: runs in progress and in the queue, their workers, and the load on the cluster.

use super::model::{Dashboard, Panel, row, series, stat, table};
use super::parts::{BAD, CORES, GOOD, OURS, RUN, UNSURE, datasource, namespace_and_test, quantile, share};

/// Series of the chosen tests.
const TESTS: &str = r#"test_namespace=~"$namespace", test=~"$test""#;
/// The same, merged over workers.
const MERGED: &str = r#"test_namespace=~"$namespace", test=~"$test", worker="""#;

/// The dashboard.
pub(super) fn dashboard() -> Dashboard {
    let [namespace, test] = namespace_and_test();
    Dashboard {
        uid: "plimsoll-fleet",
        title: "Plimsoll / Fleet and queue",
        description: "What runs now and what waits, on which workers, and how much load all of it makes.",
        from: "now-1h",
        refresh: "10s",
        variables: vec![datasource(), namespace, test],
        annotations: Vec::new(),
        rows: vec![row("Now", now()), row("Over time", over_time())],
    }
}

/// Runs of the chosen tests that are in a phase.
fn in_phase(phase: &str) -> String {
    format!("count(max by ({RUN}) (plimsoll_run_phase{{{TESTS}, phase=~\"{phase}\"}}) == 1) or vector(0)")
}

fn workers(state: &str) -> String {
    // A finished run keeps its figures for ten minutes; its workers are gone.
    format!(
        "sum(max by ({RUN}) (plimsoll_workers{{{TESTS}, state=\"{state}\"}}) and on ({RUN}) plimsoll_run_phase{{{TESTS}, \
         phase=~\"Starting|Running|Collecting\"}} == 1) or vector(0)"
    )
}

fn now() -> Vec<Panel> {
    let one = |title, what: &str, query: String| stat(title, "short", what).ask(query, "runs");
    let going = format!("plimsoll_run_phase{{{TESTS}, phase!=\"Finished\"}} == 1");
    let late = share(
        &format!(
            "sum by ({RUN}) (rate(plimsoll_generator_throttled_time_seconds_total{{{MERGED}}}[$__rate_interval]))"
        ),
        &format!(
            "sum by ({RUN}) (rate(plimsoll_generator_wall_time_seconds_total{{{MERGED}}}[$__rate_interval]))"
        ),
    );
    let rate = |metric: &str| format!("sum by ({RUN}) (rate({metric}{{{MERGED}}}[$__rate_interval]))");
    let of = |metric: &str| format!("max by ({RUN}) ({metric})");
    let phase = |phase: &str, number: u32| {
        format!("max by ({RUN}) (plimsoll_run_phase{{{TESTS}, phase=\"{phase}\"}} == 1) * {number}")
    };
    let phases = [phase("Pending", 1), phase("Starting", 2), phase("Running", 3), phase("Collecting", 4)];
    vec![
        one("Waiting", "Runs that wait for their turn: of their test, or of their namespace's limit.", in_phase("Pending"))
            .colours(&[(GOOD, None), (UNSURE, Some(1.0))]),
        one("Starting", "Runs whose workers are not all ready yet.", in_phase("Starting")),
        one("Running", "Runs that make load.", in_phase("Running")).colours(&[("text", None), (GOOD, Some(1.0))]),
        one("Collecting", "Runs that have stopped and gather the last figures.", in_phase("Collecting")),
        one("Workers ready", "Workers of runs in progress that are there.", workers("ready")),
        one("Workers lost", "Workers of runs in progress that were given up after the start.", workers("lost"))
            .colours(&[(GOOD, None), (BAD, Some(1.0))]),
        table(
            "Runs in progress",
            "Every run that has no verdict yet; its name leads to its own dashboard. Empty while nothing runs.",
        )
        .ask_once(phases.join(" or "), "phase")
        .ask_once(of(&format!("plimsoll_workers{{{TESTS}, state=\"ready\"}}")), "ready")
        .ask_once(of(&format!("plimsoll_workers{{{TESTS}, state=\"desired\"}}")), "desired")
        .ask_once(rate("plimsoll_requests_sent_total"), "rate")
        .ask_once(share(&rate("plimsoll_requests_failed_total"), &rate("plimsoll_requests_asked_total")), "failed")
        .ask_once(quantile("0.95", super::parts::LATENCY, MERGED, RUN), "p95")
        .ask_once(late, "throttled")
        .ask_once(format!("max by ({RUN}) ({going})"), "in progress")
        .columns(&[
            ("test_namespace", "namespace", ""),
            ("test", "test", ""),
            ("run", "run", ""),
            ("A", "phase", ""),
            ("B", "workers ready", "short"),
            ("C", "of", "short"),
            ("D", "sent", "reqps"),
            ("E", "failed", "percentunit"),
            ("F", "p95", "s"),
            ("G", "throttled", "percentunit"),
        ])
        .column_words(
            "phase",
            &[(1, "Pending", UNSURE), (2, "Starting", UNSURE), (3, "Running", GOOD), (4, "Collecting", OURS)],
        )
        .leads_to_run("run")
        .only_rows_of("H")
        .size(24, 8),
    ]
}

fn over_time() -> Vec<Panel> {
    let by_namespace = |query: String| format!("sum by (test_namespace) ({query})");
    vec![
        series(
            "Runs by phase",
            "short",
            "Runs that are not finished, as the leading operator counts them; Pending is the queue. Empty without an operator.",
        )
        .ask("max by (phase) (plimsoll_operator_runs{phase!=\"Finished\"})", "{{phase}}")
        .stepped(),
        series("Workers", "short", "Workers of runs in progress: asked for by their plans, there, and lost.")
            .ask(workers("desired"), "desired")
            .ask(workers("ready"), "ready")
            .ask(workers("lost"), "lost")
            .stepped()
            .dashed("desired"),
        series("Load by namespace", "reqps", "Requests sent per second by all runs of a namespace.")
            .ask(
                by_namespace(format!("rate(plimsoll_requests_sent_total{{{MERGED}}}[$__rate_interval])")),
                "{{test_namespace}}",
            )
            .stacked(),
        series("Load by test", "reqps", "Requests sent per second by test.")
            .ask(
                format!("sum by (test_namespace, test) (rate(plimsoll_requests_sent_total{{{MERGED}}}[$__rate_interval]))"),
                "{{test_namespace}}/{{test}}",
            )
            .stacked(),
        series(
            "Users and requests in flight",
            "short",
            "Virtual users at work, requests under way and connections open, over all runs.",
        )
        .ask(format!("sum(plimsoll_users_active{{{MERGED}}})"), "users at work")
        .ask(format!("sum(http_client_active_requests{{{MERGED}}})"), "requests in flight")
        .ask(format!("sum(http_client_open_connections{{{MERGED}}})"), "connections open")
        .stepped(),
        series(
            "CPU of load generators",
            CORES,
            "CPU that all workers use, in cores, and the time for which limits held them back, in seconds per second.",
        )
        .ask(format!("sum(rate(plimsoll_generator_cpu_time_seconds_total{{{MERGED}}}[$__rate_interval]))"), "used")
        .ask(format!("sum(rate(plimsoll_generator_throttled_time_seconds_total{{{MERGED}}}[$__rate_interval]))"), "throttled"),
    ]
}
