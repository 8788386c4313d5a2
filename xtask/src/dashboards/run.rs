//! The dashboard of one run, while it goes on and afterwards: is it the target or the generator, do the SLOs hold, what was asked and
//! what came, how slow, which failures, request by request.

use super::generator;
use super::model::{Dashboard, Panel, Row, closed_row, row, series, stat, table, text, timeline};
use super::parts::{
    BAD, CHOSEN, GOOD, JUDGED, LATENCY, MERGED, OURS, QUIET, RUN, SERVICE, UNSURE, WINDOWS, at_end,
    datasource, marks, namespace_and_test, quantile, quantile_at_end, quantile_so_far, rate, run, share,
    so_far, textbox, window,
};
use super::trouble::{culprit, signs};

/// The dashboard.
pub(super) fn dashboard() -> Dashboard {
    let [namespace, test] = namespace_and_test();
    Dashboard {
        uid: "plimsoll-run",
        title: "Plimsoll / Run",
        description: "One run, live and afterwards: is it the target or the load generator, and do the SLOs hold?",
        from: "now-15m",
        refresh: "5s",
        variables: vec![
            datasource(),
            namespace,
            test,
            run("run", "Run"),
            window(),
            textbox("target_namespace", "Target's namespace (regex)", ".*"),
            textbox("target_pod", "Target's pods (regex)", ".*"),
        ],
        annotations: marks(),
        rows: vec![
            row("Who is it, and does it hold?", verdict()),
            row("SLOs", slos()),
            row("Load", load()),
            row("Latency", latency()),
            row("Failures", failures()),
            row("Requests", requests()),
            row("Is it me or the target?", generator::panels()),
            checks(),
            row("The run in the cluster", commands()),
        ],
    }
}

/// The tiles at the top, and the signs below them.
fn verdict() -> Vec<Panel> {
    let tiles = [
        stat(
            "Is it me or the target?",
            "none",
            "What speaks against whom, over the whole run so far; the lines below say what exactly. Where something speaks against the \
             generator, latencies and failures prove nothing about the target.",
        )
        .ask(culprit(), "culprit")
        .words(&[(0, "Nobody", GOOD), (1, "The target", BAD), (2, "The generator", OURS)])
        .colours(&[(GOOD, None), (BAD, Some(1.0)), (OURS, Some(2.0))])
        .filled()
        .size(5, 4),
        stat("Verdict", "none", "The verdict and its reason, as the status of the run has them. Empty until the run has one.")
            .ask(
                format!("max by ({RUN}, verdict, reason) (plimsoll_run_verdict{{{CHOSEN}}}) == 1"),
                "{{verdict}}: {{reason}}",
            )
            .named(&[("Passed", GOOD), ("Failed", BAD), ("Inconclusive", UNSURE), ("Error", OURS)])
            .filled()
            .size(5, 4),
        stat("Phase", "none", "The phase that the run is in.")
            .ask(phase(), "phase")
            .words(&[
                (1, "Pending", UNSURE),
                (2, "Starting", UNSURE),
                (3, "Running", GOOD),
                (4, "Collecting", UNSURE),
                (5, "Finished", "text"),
            ])
            .size(3, 4),
        stat("SLOs", "none", "How many SLOs are met so far, missed, or not yet known; at the end: as judged. Empty without SLOs.")
            .ask(slo_count("Met"), "Met")
            .ask(slo_count("Missed"), "Missed")
            .ask(slo_count("Unknown"), "Unknown")
            .named(&[("Met", GOOD), ("Missed", BAD), ("Unknown", UNSURE)])
            .both_name_and_value()
            .size(5, 4),
        stat("Requests", "short", "Requests sent in the judged part so far.")
            .ask(so_far("plimsoll_requests_sent_total", JUDGED, RUN), "sent")
            .size(2, 4),
        stat("Failed", "percentunit", "Share of the judged requests that failed so far.")
            .ask(
                share(
                    &so_far("plimsoll_requests_failed_total", JUDGED, RUN),
                    &format!(
                        "{} + {}",
                        so_far("plimsoll_requests_sent_total", JUDGED, RUN),
                        so_far("plimsoll_requests_not_sent_total", JUDGED, RUN)
                    ),
                ),
                "failed",
            )
            .colours(&[(GOOD, None), (UNSURE, Some(0.000_001)), (BAD, Some(0.01))])
            .size(2, 4),
        stat("p95", "s", "95th percentile of the judged latency so far, from the merged histogram: the one of the status.")
            .ask(quantile_so_far("0.95", LATENCY, JUDGED, RUN), "p95")
            .size(2, 4),
    ];
    let states = [(0, "no", QUIET), (1, "YES", BAD)];
    let signs = signs().into_iter().fold(
        timeline(
            "What speaks against whom",
            &states,
            "Red where it holds in the last moments. Generator: p99 of how late requests were sent, waits ended or cores came to what was ready \
             over 10 ms, a CPU limit held workers back for over 1 % of the time, no ports or files left, under 95 % of the arrivals sent, \
             workers lost: the bounds of a test's `validity`. Arrivals that waited longest for the target's answers, for connections or for \
             a cap are not the generator's fault. Target: it holds arrivals up, over 1 % of the requests fail, or an SLO of severity Error \
             or Critical is missed.",
        )
        .colours(&[(QUIET, None), (BAD, Some(1.0))])
        .size(24, 9),
        |panel, sign| panel.ask(sign.now, sign.legend),
    );
    tiles.into_iter().chain([signs]).collect()
}

/// The phase as a number: 1 for the first.
fn phase() -> String {
    let phases = ["Pending", "Starting", "Running", "Collecting", "Finished"].iter().zip(1..);
    let one = |(phase, number): (&&str, u32)| {
        format!("max by ({RUN}) (plimsoll_run_phase{{{CHOSEN}, phase=\"{phase}\"}} == 1) * {number}")
    };
    phases.map(one).collect::<Vec<_>>().join(" or ")
}

fn slo_count(result: &str) -> String {
    format!("sum by ({RUN}) (plimsoll_slo_result{{{CHOSEN}, result=\"{result}\"}})")
}

fn slos() -> Vec<Panel> {
    let of = |result: &str, number: u32| {
        format!("max by ({RUN}, slo) (plimsoll_slo_result{{{CHOSEN}, result=\"{result}\"}} == 1) * {number}")
    };
    let states = [(1, "Met", GOOD), (2, "Missed", BAD), (3, "Unknown", QUIET)];
    let result = format!(
        "max by (slo, severity) (last_over_time(plimsoll_slo_result{{{CHOSEN}, result=\"Missed\"}}[$__range])) * 2 + on (slo, severity) \
         max by (slo, severity) (last_over_time(plimsoll_slo_result{{{CHOSEN}, result=\"Unknown\"}}[$__range])) * 3 + on (slo, severity) \
         max by (slo, severity) (last_over_time(plimsoll_slo_result{{{CHOSEN}, result=\"Met\"}}[$__range]))"
    );
    let last =
        |metric: &str, by: &str| format!("max by ({by}) (last_over_time({metric}{{{CHOSEN}}}[$__range]))");
    let good = share(
        &at_end("plimsoll_slo_good_total", CHOSEN, "slo"),
        &at_end("plimsoll_slo_events_total", CHOSEN, "slo"),
    );
    vec![
        timeline(
            "SLOs over the run",
            &states,
            "The result of each SLO on everything that was counted until then. Empty without SLOs.",
        )
        .ask([of("Met", 1), of("Missed", 2), of("Unknown", 3)].join(" or "), "{{slo}}")
        .colours(&[(GOOD, None), (BAD, Some(2.0)), (QUIET, Some(3.0))])
        .size(12, 6),
        table(
            "SLOs now, or as judged",
            "Value and bound in the unit of their row: seconds, ratio (0.01 is 1 %), per_second or count. Good: the share of what an SLO \
             counts that keeps its bound, for those that two counters decide. Empty without SLOs.",
        )
        .ask_once(result, "result")
        .ask_once(last("plimsoll_slo_value", "slo, unit"), "value")
        .ask_once(last("plimsoll_slo_bound", "slo, side"), "bound")
        .ask_once(good, "good")
        .columns(&[
            ("slo", "SLO", ""),
            ("severity", "severity", ""),
            ("A", "result", ""),
            ("B", "value", "none"),
            ("side", "allowed", ""),
            ("C", "bound", "none"),
            ("unit", "unit", ""),
            ("D", "good", "percentunit"),
        ])
        .column_words("result", &states)
        .size(12, 6),
    ]
}

fn load() -> Vec<Panel> {
    let gauge = |metric: &str| format!("sum by ({RUN}) ({metric}{{{MERGED}}})");
    let asked = |metric: &str| format!("sum by ({RUN}) ({metric}{{{CHOSEN}}})");
    vec![
        series(
            "Asked and sent",
            "reqps",
            "Requests that were due or begun, and those handed to the kernel, per second. Sent under asked: look whether the generator is \
             late, or the target holds all connections. Arrivals: what the profile asks for; only with a load of the open model.",
        )
        .ask(rate("plimsoll_requests_asked_total", MERGED, RUN), "asked")
        .ask(rate("plimsoll_requests_sent_total", MERGED, RUN), "sent")
        .ask(asked("plimsoll_arrivals_rate"), "asked by the profile: arrivals")
        .dashed("asked by"),
        series(
            "Users, requests in flight, connections",
            "short",
            "Users that the profile asks for and that are at work; requests under way; connections that are open. In flight that grows \
             while the rate stays: the target has reached what it can do. Asked: only with a load of the closed model.",
        )
        .ask(gauge("plimsoll_users_active"), "users at work")
        .ask(gauge("http_client_active_requests"), "requests in flight")
        .ask(gauge("http_client_open_connections"), "connections open")
        .ask(asked("plimsoll_users_asked"), "users asked for")
        .stepped()
        .dashed("users asked"),
    ]
}

fn latency() -> Vec<Panel> {
    let percentiles = |panel: Panel, metric: &str| {
        [("0.5", "p50"), ("0.9", "p90"), ("0.95", "p95"), ("0.99", "p99")]
            .into_iter()
            .fold(panel, |panel, (q, legend)| panel.ask(quantile(q, metric, WINDOWS, RUN), legend))
    };
    let part = |metric: &str| quantile("0.95", metric, WINDOWS, RUN);
    vec![
        percentiles(
            series(
                "Latency from the intended start (judged)",
                "s",
                "Percentiles of the last moments, from merged histograms: what users would have felt, waiting for a late send included. \
                 A request without a complete response counts as slower than everything: a percentile that it reaches is not drawn. \
                 Dashed: bounds of latency SLOs.",
            ),
            LATENCY,
        )
        .ask(format!("max by ({RUN}, slo) (plimsoll_slo_bound{{{CHOSEN}, unit=\"seconds\"}})"), "bound of {{slo}}")
        .dashed("bound of"),
        percentiles(
            series(
                "Service time (from the actual send)",
                "s",
                "As beside, but counted from when a request was really sent, of complete responses. Far below the judged latency: requests \
                 waited before they were sent, for a connection or for the generator.",
            ),
            SERVICE,
        ),
        series(
            "Where the time goes (p95 of each part)",
            "s",
            "Of requests that opened a connection: name resolution, TCP and TLS handshake; of all: from the last byte sent to the first \
             received. A high first byte is the target at work; high handshakes are the network or a full accept queue. Parts of \
             different requests do not add up. Empty parts did not happen.",
        )
        .ask(part("plimsoll_connection_dns_duration_seconds"), "name resolution")
        .ask(part("plimsoll_connection_connect_duration_seconds"), "TCP handshake")
        .ask(part("plimsoll_connection_tls_duration_seconds"), "TLS handshake")
        .ask(part("plimsoll_request_first_byte_duration_seconds"), "first byte"),
        series("Received", "Bps", "Bytes of responses read from sockets, per second.")
            .ask(rate("plimsoll_response_received_bytes_total", WINDOWS, RUN), "received"),
    ]
}

fn failures() -> Vec<Panel> {
    let whole = format!(
        "{} + {}",
        rate("plimsoll_requests_sent_total", WINDOWS, RUN),
        rate("plimsoll_requests_not_sent_total", WINDOWS, RUN)
    );
    vec![
        series(
            "Failures by class",
            "reqps",
            "Failed requests per second by cause. DNS, Connect and TLS: no connection came about. Timeout: no complete response in time. \
             Reset, Protocol: the connection broke. Status, Body: the response is not what the test expects.",
        )
        .ask(rate("plimsoll_requests_failed_total", WINDOWS, "test_namespace, test, run, error_type"), "{{error_type}}")
        .stacked()
        .reaching(1.0)
        .size(8, 8),
        series("Failed share", "percentunit", "Of the requests of the last moments, those that failed.")
            .ask(share(&rate("plimsoll_requests_failed_total", WINDOWS, RUN), &whole), "failed")
            .reaching(0.01)
            .size(8, 8),
        series("Responses by status", "reqps", "Complete responses per second by status, expected or not.")
            .ask(
                rate("plimsoll_responses_total", WINDOWS, "test_namespace, test, run, http_response_status_code"),
                "{{http_response_status_code}}",
            )
            .stacked()
            .size(8, 8),
    ]
}

fn requests() -> Vec<Panel> {
    let by = "test_namespace, test, run, request";
    let failed = share(
        &at_end("plimsoll_requests_failed_total", WINDOWS, by),
        &format!(
            "{} + {}",
            at_end("plimsoll_requests_sent_total", WINDOWS, by),
            at_end("plimsoll_requests_not_sent_total", WINDOWS, by)
        ),
    );
    let p = |q| quantile_at_end(q, LATENCY, WINDOWS, by);
    vec![
        table(
            "Request by request",
            "Over the whole run, or the windows that are chosen above: the same numbers as in the report. +Inf: the percentile falls among \
             requests without a complete response.",
        )
        .ask_once(at_end("plimsoll_requests_sent_total", WINDOWS, by), "sent")
        .ask_once(failed, "failed")
        .ask_once(p("0.5"), "p50")
        .ask_once(p("0.95"), "p95")
        .ask_once(p("0.99"), "p99")
        .ask_once(quantile_at_end("0.95", SERVICE, WINDOWS, by), "service p95")
        .ask_once(quantile_at_end("0.95", "plimsoll_request_first_byte_duration_seconds", WINDOWS, by), "first byte p95")
        .columns(&[
            ("request", "request", ""),
            ("A", "sent", "short"),
            ("B", "failed", "percentunit"),
            ("C", "p50", "s"),
            ("D", "p95", "s"),
            ("E", "p99", "s"),
            ("F", "service time p95", "s"),
            ("G", "first byte p95", "s"),
        ])
        .sorted("p95", true)
        .size(24, 7),
    ]
}

fn checks() -> Row {
    let by = "test_namespace, test, run, metric, request";
    let p = |q| quantile_at_end(q, "plimsoll_metric_duration_seconds", WINDOWS, by);
    closed_row(
        "Checks, metrics of scenarios, caps",
        vec![
            table(
                "Checks, rates, counters, trends",
                "What scenarios count beside requests, over the whole run or the chosen windows. Good: checks that passed, a rate's true, what \
                 a trend says is done. Empty where scenarios have no checks and metrics.",
            )
            .ask_once(at_end("plimsoll_metric_events_total", WINDOWS, by), "events")
            .ask_once(
                share(
                    &at_end("plimsoll_metric_good_total", WINDOWS, by),
                    &at_end("plimsoll_metric_events_total", WINDOWS, by),
                ),
                "good",
            )
            .ask_once(at_end("plimsoll_metric_sum_total", WINDOWS, by), "sum")
            .ask_once(p("0.5"), "p50")
            .ask_once(p("0.95"), "p95")
            .columns(&[
                ("metric", "metric", ""),
                ("request", "request", ""),
                ("A", "events", "short"),
                ("B", "good", "percentunit"),
                ("C", "sum", "short"),
                ("D", "p50", "s"),
                ("E", "p95", "s"),
            ])
            .size(18, 8),
            stat("Left out by caps", "short", "Names that have no series of their own, since the run has more than the caps allow.")
                .ask(format!("sum by ({RUN}) (plimsoll_cardinality_dropped{{{MERGED}}})"), "names")
                .colours(&[(GOOD, None), (UNSURE, Some(1.0))])
                .size(6, 8),
        ],
    )
}

fn commands() -> Vec<Panel> {
    vec![text(
        "Its status",
        "Where the run's status is; the status links back to here.",
        "The verdict's whole story is in the run's status:\n\n```sh\nkubectl get loadtestrun ${run} --namespace ${namespace} --output yaml\n\
         kubectl describe loadtestrun ${run} --namespace ${namespace}\n```\n\nIts field `status.results.dashboard` leads back here. Of \
         `plimsoll run` the status is what the command prints.",
    )]
}
