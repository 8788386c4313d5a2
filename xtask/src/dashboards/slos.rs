//! The dashboard of a test over days and weeks: do its SLOs hold run after run, and where are their values going?

use super::model::{Dashboard, Panel, row, series, stat, table, timeline};
use super::parts::{BAD, GOOD, OURS, QUIET, RUN, UNSURE, datasource, namespace_and_test, share};

/// Series of the chosen tests.
const TESTS: &str = r#"test_namespace=~"$namespace", test=~"$test""#;
/// Series of the chosen tests, merged over workers, without what is recorded and not judged.
const JUDGED: &str =
    r#"test_namespace=~"$namespace", test=~"$test", worker="", window!~"warmup|cooldown|hooks""#;

/// The dashboard.
pub(super) fn dashboard() -> Dashboard {
    let [namespace, test] = namespace_and_test();
    Dashboard {
        uid: "plimsoll-slos",
        title: "Plimsoll / SLOs over time",
        description: "Run after run of a test: which SLOs hold, how far their values are from their bounds, and which run broke them.",
        from: "now-7d",
        refresh: "5m",
        variables: vec![datasource(), namespace, test],
        annotations: Vec::new(),
        rows: vec![row("How it stands", summary()), row("SLO by SLO", trends()), row("Runs", runs())],
    }
}

/// Runs of the time that is shown that have a verdict.
fn ended(verdict: &str) -> String {
    format!(
        "count(max by ({RUN}) (last_over_time(plimsoll_run_verdict{{{TESTS}, verdict=~\"{verdict}\"}}[$__range])) == 1) or vector(0)"
    )
}

fn summary() -> Vec<Panel> {
    let good = share(
        &format!(
            "sum by (test_namespace, test, slo) (last_over_time(plimsoll_slo_good_total{{{TESTS}}}[$__range]))"
        ),
        &format!(
            "sum by (test_namespace, test, slo) (last_over_time(plimsoll_slo_events_total{{{TESTS}}}[$__range]))"
        ),
    );
    let missed = format!(
        "sum by (test_namespace, test, slo) (last_over_time(plimsoll_slo_result{{{TESTS}, result=\"Missed\"}}[$__range]))"
    );
    let judged = format!(
        "count by (test_namespace, test, slo) (last_over_time(plimsoll_slo_result{{{TESTS}, result=\"Met\"}}[$__range]))"
    );
    vec![
        stat("Runs by verdict", "short", "Runs that ended in the time that is shown.")
            .ask_once(ended("Passed"), "Passed")
            .ask_once(ended("Failed"), "Failed")
            .ask_once(ended("Inconclusive"), "Inconclusive")
            .ask_once(ended("Error"), "Error")
            .named(&[("Passed", GOOD), ("Failed", BAD), ("Inconclusive", UNSURE), ("Error", OURS)])
            .size(8, 7)
            .both_name_and_value(),
        table(
            "SLOs of the time that is shown",
            "How many runs missed each SLO, and of everything that it counted in all runs the share that kept its bound: counts are added up, \
             nothing is averaged. Empty without SLOs.",
        )
        .ask_once(judged, "runs")
        .ask_once(missed, "missed")
        .ask_once(good, "good")
        .columns(&[
            ("test_namespace", "namespace", ""),
            ("test", "test", ""),
            ("slo", "SLO", ""),
            ("A", "runs", "short"),
            ("B", "missed in", "short"),
            ("C", "good", "percentunit"),
        ])
        .sorted("missed in", true)
        .size(16, 7),
    ]
}

fn trends() -> Vec<Panel> {
    let worst = |result: &str, number: u32| {
        format!(
            "max by (test_namespace, test, slo) (last_over_time(plimsoll_slo_result{{{TESTS}, result=\"{result}\"}}[$__interval]) == 1) * {number}"
        )
    };
    let value = |unit: &str| {
        format!(
            "max by ({RUN}, slo, unit) (last_over_time(plimsoll_slo_value{{{TESTS}, {unit}}}[$__interval]))"
        )
    };
    let bound = |unit: &str| {
        format!(
            "max by (test_namespace, test, slo, unit, side) (last_over_time(plimsoll_slo_bound{{{TESTS}, {unit}}}[$__interval]))"
        )
    };
    let trend = |title, unit, matcher: &'static str, what: &str| {
        series(
            title,
            unit,
            &format!(
                "What runs measured for each SLO {what}, a point or a short line for each run, beside its bound (dashed). Empty without such \
                 SLOs."
            ),
        )
        .ask(value(matcher), "{{test}}: {{slo}} ({{run}})")
        .ask(bound(matcher), "bound of {{test}}: {{slo}}")
        .points()
        .dashed("bound of")
        .size(12, 9)
    };
    vec![
        timeline(
            "Result by SLO",
            &[(1, "Met", GOOD), (2, "Unknown", QUIET), (3, "Missed", BAD)],
            "For each SLO the worst result of the runs at that time; gaps are times without runs. Empty without SLOs.",
        )
        .ask([worst("Missed", 3), worst("Unknown", 2), worst("Met", 1)].join(" or "), "{{test}}: {{slo}}")
        .colours(&[(GOOD, None), (QUIET, Some(2.0)), (BAD, Some(3.0))])
        .size(24, 9),
        trend("Latencies", "s", "unit=\"seconds\"", "in seconds"),
        trend("Shares", "percentunit", "unit=\"ratio\"", "that is a share: errors, checks"),
        trend("Rates", "ops", "unit=\"per_second\"", "per second"),
        trend("Others", "none", "unit!~\"seconds|ratio|per_second\"", "in other units: counts, and those of queries"),
    ]
}

fn runs() -> Vec<Panel> {
    let verdict = |verdict: &str, number: u32| {
        format!(
            "max by ({RUN}) (last_over_time(plimsoll_run_verdict{{{TESTS}, verdict=\"{verdict}\"}}[$__range]) == 1) * {number}"
        )
    };
    let last =
        |metric: &str| format!("max by ({RUN}) (last_over_time({metric}{{{TESTS}}}[$__range])) * 1000");
    let count = |metric: &str| format!("sum by ({RUN}) (last_over_time({metric}{{{JUDGED}}}[$__range]))");
    let missed = format!(
        "sum by ({RUN}) (last_over_time(plimsoll_slo_result{{{TESTS}, result=\"Missed\"}}[$__range]))"
    );
    let failed = share(
        &count("plimsoll_requests_failed_total"),
        &format!("{} + {}", count("plimsoll_requests_sent_total"), count("plimsoll_requests_not_sent_total")),
    );
    let p95 = super::parts::quantile_at_end("0.95", super::parts::LATENCY, JUDGED, RUN);
    let verdicts =
        [verdict("Passed", 1), verdict("Failed", 2), verdict("Inconclusive", 3), verdict("Error", 4)];
    vec![
        table("Runs", "Every run of the time that is shown; its name leads to its own dashboard. Without verdict: it goes on.")
            .ask_once(last("plimsoll_run_start_timestamp_seconds"), "start")
            .ask_once(verdicts.join(" or "), "verdict")
            .ask_once(missed, "missed")
            .ask_once(count("plimsoll_requests_sent_total"), "sent")
            .ask_once(failed, "failed")
            .ask_once(p95, "p95")
            .columns(&[
                ("A", "load began", "dateTimeAsIso"),
                ("test_namespace", "namespace", ""),
                ("test", "test", ""),
                ("run", "run", ""),
                ("B", "verdict", ""),
                ("C", "SLOs missed", "short"),
                ("D", "sent", "short"),
                ("E", "failed", "percentunit"),
                ("F", "p95", "s"),
            ])
            .column_words(
                "verdict",
                &[(1, "Passed", GOOD), (2, "Failed", BAD), (3, "Inconclusive", UNSURE), (4, "Error", OURS)],
            )
            .leads_to_run("run")
            .sorted("load began", true)
            .size(24, 10),
    ]
}
