//! The dashboard that holds a run against another one: side by side in numbers, and on top of each other in time.

use serde_json::{Value, json};

use super::grafana::source;
use super::model::{Dashboard, Panel, row, series, table};
use super::parts::{
    BAD, GOOD, LATENCY, OURS, RUN, SERVICE, UNSURE, choice, datasource, namespace_and_test, run, share,
};

/// The run that is looked at.
const RUN_A: &str = r#"test_namespace=~"$namespace", test=~"$test", run=~"$run", worker="""#;
/// The run that it is held against.
const RUN_B: &str = r#"test_namespace=~"$namespace", test=~"$test", run=~"$baseline", worker="""#;
/// Both of them.
const BOTH: &str = r#"test_namespace=~"$namespace", test=~"$test", run=~"$run|$baseline""#;
/// Both of them, merged over their workers, without what is recorded and not judged.
const JUDGED: &str = r#"test_namespace=~"$namespace", test=~"$test", run=~"$run|$baseline", worker="", window!~"warmup|cooldown|hooks""#;
/// How far back the baseline is looked for.
const PAST: &str = "$past";

/// The dashboard.
pub(super) fn dashboard() -> Dashboard {
    let [namespace, test] = namespace_and_test();
    Dashboard {
        uid: "plimsoll-compare",
        title: "Plimsoll / Comparison of runs",
        description: "A run beside an earlier one of the same test: numbers of the whole runs, and both from their starts on.",
        from: "now-30m",
        refresh: "",
        variables: vec![datasource(), namespace, test, run("run", "Run"), baseline(), past(), shift()],
        annotations: Vec::new(),
        rows: vec![
            row("Side by side", side_by_side()),
            row("From the start on: the run, and the baseline moved below it", over_time()),
            row("Request by request", by_request()),
        ],
    }
}

/// Runs to compare with, those included that ended long ago.
fn baseline() -> Value {
    let query = "query_result(count by (run) (last_over_time(plimsoll_run_phase{test_namespace=~\"$namespace\", test=~\"$test\"}[$past])))";
    let mut variable = choice("baseline", "Baseline", query, false);
    variable["regex"] = json!("/run=\"([^\"]+)\"/");
    variable
}

fn past() -> Value {
    let option = |value: &str| json!({"text": value, "value": value, "selected": value == "7d"});
    let options = ["1h", "1d", "7d", "30d"].map(option);
    json!({"name": "past", "label": "Look back", "type": "custom", "query": "1h,1d,7d,30d", "hide": 0, "multi": false, "includeAll": false,
           "options": options, "current": {"text": "7d", "value": "7d"}})
}

/// Seconds between the starts of both, by which the baseline is moved.
fn shift() -> Value {
    let start = |run: &str| {
        format!(
            "max(last_over_time(plimsoll_run_start_timestamp_seconds{{test_namespace=~\"$namespace\", test=~\"$test\", run=~\"{run}\"}}[{PAST}]))"
        )
    };
    let query = format!("query_result(round({} - {}))", start("$run"), start("$baseline"));
    let mut variable = choice("shift", "Shift", &query, false);
    variable["regex"] = json!("/ (-?[0-9]+)(\\.[0-9]+)? /");
    variable["hide"] = json!(2);
    variable["datasource"] = source();
    variable
}

fn whole(metric: &str, by: &str) -> String {
    format!("sum by ({by}) (last_over_time({metric}{{{JUDGED}}}[{PAST}]))")
}

fn percentile(q: &str, metric: &str, by: &str) -> String {
    format!(
        "histogram_quantile({q}, sum by ({by}) (last_over_time({metric}{{{JUDGED}}}[{PAST}]))) or histogram_quantile({q}, sum by ({by}, le) \
         (last_over_time({metric}_bucket{{{JUDGED}}}[{PAST}])))"
    )
}

fn failed(by: &str) -> String {
    share(
        &whole("plimsoll_requests_failed_total", by),
        &format!(
            "{} + {}",
            whole("plimsoll_requests_sent_total", by),
            whole("plimsoll_requests_not_sent_total", by)
        ),
    )
}

fn side_by_side() -> Vec<Panel> {
    let verdict = |verdict: &str, number: u32| {
        format!(
            "max by ({RUN}) (last_over_time(plimsoll_run_verdict{{{BOTH}, verdict=\"{verdict}\"}}[{PAST}]) == 1) * {number}"
        )
    };
    let verdicts =
        [verdict("Passed", 1), verdict("Failed", 2), verdict("Inconclusive", 3), verdict("Error", 4)];
    let length = format!(
        "max by ({RUN}) (last_over_time(plimsoll_run_end_timestamp_seconds{{{BOTH}}}[{PAST}])) - max by ({RUN}) \
         (last_over_time(plimsoll_run_start_timestamp_seconds{{{BOTH}}}[{PAST}]))"
    );
    let start = format!(
        "max by ({RUN}) (last_over_time(plimsoll_run_start_timestamp_seconds{{{BOTH}}}[{PAST}])) * 1000"
    );
    vec![
        table(
            "Both runs as a whole",
            "Judged parts, from merged histograms: the numbers of the status. Columns of a run that has no verdict yet are empty.",
        )
        .ask_once(verdicts.join(" or "), "verdict")
        .ask_once(start, "start")
        .ask_once(length, "took")
        .ask_once(whole("plimsoll_requests_sent_total", RUN), "sent")
        .ask_once(failed(RUN), "failed")
        .ask_once(percentile("0.5", LATENCY, RUN), "p50")
        .ask_once(percentile("0.9", LATENCY, RUN), "p90")
        .ask_once(percentile("0.95", LATENCY, RUN), "p95")
        .ask_once(percentile("0.99", LATENCY, RUN), "p99")
        .ask_once(percentile("0.95", SERVICE, RUN), "service")
        .columns(&[
            ("test", "test", ""),
            ("run", "run", ""),
            ("A", "verdict", ""),
            ("B", "load began", "dateTimeAsIso"),
            ("C", "took", "s"),
            ("D", "sent", "short"),
            ("E", "failed", "percentunit"),
            ("F", "p50", "s"),
            ("G", "p90", "s"),
            ("H", "p95", "s"),
            ("I", "p99", "s"),
            ("J", "service time p95", "s"),
        ])
        .column_words(
            "verdict",
            &[(1, "Passed", GOOD), (2, "Failed", BAD), (3, "Inconclusive", UNSURE), (4, "Error", OURS)],
        )
        .leads_to_run("run")
        .size(24, 5),
    ]
}

/// Both lines of a panel: the run, and the baseline moved by the time between their starts.
fn overlay(panel: Panel, what: &str, query: impl Fn(&str, &str) -> String) -> Panel {
    let run = format!("{what}$run");
    let baseline = format!("baseline: {what}$baseline");
    panel.ask(query(RUN_A, ""), &run).ask(query(RUN_B, " offset ${shift}s"), &baseline).dashed("baseline")
}

fn over_time() -> Vec<Panel> {
    let rate = |metric: &'static str| {
        move |selector: &str, offset: &str| {
            format!("sum by ({RUN}) (rate({metric}{{{selector}}}[$__rate_interval]{offset}))")
        }
    };
    let quantile = |q: &'static str| {
        move |selector: &str, offset: &str| {
            format!(
                "histogram_quantile({q}, sum by ({RUN}) (rate({LATENCY}{{{selector}}}[$__rate_interval]{offset}))) or \
                 histogram_quantile({q}, sum by ({RUN}, le) (rate({LATENCY}_bucket{{{selector}}}[$__rate_interval]{offset})))"
            )
        }
    };
    let failed = |selector: &str, offset: &str| {
        share(
            &rate("plimsoll_requests_failed_total")(selector, offset),
            &rate("plimsoll_requests_asked_total")(selector, offset),
        )
    };
    let gauge = |selector: &str, offset: &str| {
        format!("sum by ({RUN}) (http_client_active_requests{{{selector}}}{offset})")
    };
    let moved =
        "The baseline is dashed and moved so that both starts meet. Choose a time in which the run went on.";
    vec![
        overlay(
            series(
                "Latency: p50",
                "s",
                &format!("Median of the judged latency in the last moments. {moved}"),
            ),
            "",
            quantile("0.5"),
        ),
        overlay(
            series(
                "Latency: p95",
                "s",
                &format!("95th percentile of the judged latency in the last moments. {moved}"),
            ),
            "",
            quantile("0.95"),
        ),
        overlay(
            series("Sent", "reqps", &format!("Requests sent per second. {moved}")),
            "",
            rate("plimsoll_requests_sent_total"),
        )
        .size(8, 8),
        overlay(
            series("Failed share", "percentunit", &format!("Share of the requests that failed. {moved}")),
            "",
            failed,
        )
        .reaching(0.01)
        .size(8, 8),
        overlay(series("Requests in flight", "short", &format!("Requests under way. {moved}")), "", gauge)
            .size(8, 8),
    ]
}

fn by_request() -> Vec<Panel> {
    let by = "test_namespace, test, run, request";
    vec![
        table(
            "Both runs, request by request",
            "Judged parts of both runs, a row for each run and request; sort or filter by request. +Inf: the percentile falls among requests \
             without a complete response.",
        )
        .ask_once(whole("plimsoll_requests_sent_total", by), "sent")
        .ask_once(failed(by), "failed")
        .ask_once(percentile("0.5", LATENCY, by), "p50")
        .ask_once(percentile("0.95", LATENCY, by), "p95")
        .ask_once(percentile("0.99", LATENCY, by), "p99")
        .columns(&[
            ("request", "request", ""),
            ("run", "run", ""),
            ("A", "sent", "short"),
            ("B", "failed", "percentunit"),
            ("C", "p50", "s"),
            ("D", "p95", "s"),
            ("E", "p99", "s"),
        ])
        .sorted("request", false)
        .size(24, 9),
    ]
}
