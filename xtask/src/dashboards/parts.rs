//! What the dashboards have in common: which series belong to what is chosen, percentiles, variables, and the marks of a run's start,
//! windows and end.

use serde_json::{Value, json};

use super::grafana::source;

/// What tells one run from every other. Nothing that ends in a percentile may add up over them.
pub(super) const RUN: &str = "test_namespace, test, run";

/// Series of the chosen run, of what only is known of the whole.
pub(super) const CHOSEN: &str = r#"test_namespace=~"$namespace", test=~"$test", run=~"$run""#;
/// Series of the chosen run, merged over its workers: those of single workers have the same names.
pub(super) const MERGED: &str = r#"test_namespace=~"$namespace", test=~"$test", run=~"$run", worker="""#;
/// Series of single workers of the chosen run.
pub(super) const WORKERS: &str = r#"test_namespace=~"$namespace", test=~"$test", run=~"$run", worker!="""#;
/// As [`MERGED`], of the chosen windows.
pub(super) const WINDOWS: &str =
    r#"test_namespace=~"$namespace", test=~"$test", run=~"$run", worker="", window=~"$window""#;
/// As [`MERGED`], of the part that is judged.
pub(super) const JUDGED: &str =
    r#"test_namespace=~"$namespace", test=~"$test", run=~"$run", worker="", window!~"warmup|cooldown|hooks""#;

/// Colours.
pub(super) const GOOD: &str = "green";
pub(super) const BAD: &str = "red";
pub(super) const UNSURE: &str = "orange";
pub(super) const OURS: &str = "purple";
pub(super) const QUIET: &str = "rgba(128, 128, 128, 0.25)";

/// Unit of CPU.
pub(super) const CORES: &str = "suffix: cores";

/// The latency that is judged.
pub(super) const LATENCY: &str = "plimsoll_request_latency_seconds";
/// The service time.
pub(super) const SERVICE: &str = "http_client_request_duration_seconds";

/// A percentile of what happened in the last moments, from native histograms, and where a series has none from classic ones.
pub(super) fn quantile(q: &str, metric: &str, selector: &str, by: &str) -> String {
    both(q, by, |suffix| format!("rate({metric}{suffix}{{{selector}}}[$__rate_interval])"))
}

/// A percentile of everything so far: the counters of a run begin at 0, so their values are the run's.
pub(super) fn quantile_so_far(q: &str, metric: &str, selector: &str, by: &str) -> String {
    both(q, by, |suffix| format!("{metric}{suffix}{{{selector}}}"))
}

/// As [`quantile_so_far`], at the end of the time that is shown, also of runs whose series have ended by then.
pub(super) fn quantile_at_end(q: &str, metric: &str, selector: &str, by: &str) -> String {
    both(q, by, |suffix| format!("last_over_time({metric}{suffix}{{{selector}}}[$__range])"))
}

fn both(q: &str, by: &str, histograms: impl Fn(&str) -> String) -> String {
    format!(
        "histogram_quantile({q}, sum by ({by}) ({})) or histogram_quantile({q}, sum by ({by}, le) ({}))",
        histograms(""),
        histograms("_bucket")
    )
}

/// Per second, in the last moments.
pub(super) fn rate(metric: &str, selector: &str, by: &str) -> String {
    format!("sum by ({by}) (rate({metric}{{{selector}}}[$__rate_interval]))")
}

/// Everything so far.
pub(super) fn so_far(metric: &str, selector: &str, by: &str) -> String {
    format!("sum by ({by}) ({metric}{{{selector}}})")
}

/// Everything, at the end of the time that is shown.
pub(super) fn at_end(metric: &str, selector: &str, by: &str) -> String {
    format!("sum by ({by}) (last_over_time({metric}{{{selector}}}[$__range]))")
}

/// A share: 0 of 0 is none.
pub(super) fn share(part: &str, whole: &str) -> String {
    format!("({part}) / ({whole} > 0)")
}

/// Which Prometheus.
pub(super) fn datasource() -> Value {
    json!({"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source", "hide": 0, "refresh": 1,
           "regex": "", "multi": false, "includeAll": false, "options": [], "current": {}})
}

/// Namespace and test. All of them match too, and runs of `plimsoll run`, which have no namespace.
pub(super) fn namespace_and_test() -> [Value; 2] {
    [
        choice("namespace", "Namespace", "label_values(plimsoll_run_phase, test_namespace)", true),
        choice(
            "test",
            "Test",
            r#"label_values(plimsoll_run_phase{test_namespace=~"$namespace"}, test)"#,
            true,
        ),
    ]
}

/// One run; the newest names last.
pub(super) fn run(name: &str, label: &str) -> Value {
    choice(
        name,
        label,
        r#"label_values(plimsoll_run_phase{test_namespace=~"$namespace", test=~"$test"}, run)"#,
        false,
    )
}

/// Windows of the chosen run.
pub(super) fn window() -> Value {
    let query = format!("label_values(plimsoll_requests_sent_total{{{MERGED}}}, window)");
    choice("window", "Window", &query, true)
}

/// A variable from a query.
pub(super) fn choice(name: &str, label: &str, query: &str, all: bool) -> Value {
    let current = if all { json!({"text": "All", "value": "$__all"}) } else { json!({}) };
    json!({
        "name": name, "label": label, "type": "query", "datasource": source(), "refresh": 2, "sort": 1, "hide": 0, "regex": "",
        "query": {"query": query, "refId": "variable"}, "definition": query, "multi": false, "includeAll": all,
        "allValue": if all { json!(".*") } else { Value::Null }, "options": [], "current": current,
    })
}

/// A text that may be changed.
pub(super) fn textbox(name: &str, label: &str, value: &str) -> Value {
    json!({"name": name, "label": label, "type": "textbox", "query": value, "hide": 0, "options": [],
           "current": {"text": value, "value": value}})
}

/// Start, end and windows of the chosen run.
pub(super) fn marks() -> Vec<Value> {
    let mark = |name: &str, colour: &str, query: String, title: &str| {
        json!({
            "name": name, "datasource": source(), "enable": true, "hide": false, "iconColor": colour, "expr": query, "step": "30s",
            "titleFormat": title, "textFormat": "{{run}}", "tagKeys": "window", "useValueForTime": true,
            "target": {"expr": query, "refId": name, "legendFormat": title},
        })
    };
    // Grafana takes the value for the time, in milliseconds.
    let of = |metric: &str, more: &str| format!("floor(max by ({RUN}{more}) ({metric}{{{CHOSEN}}})) * 1000");
    vec![
        mark("start", GOOD, of("plimsoll_run_start_timestamp_seconds", ""), "the load begins"),
        mark("end", "blue", of("plimsoll_run_end_timestamp_seconds", ""), "the verdict is there"),
        mark(
            "windows",
            UNSURE,
            of("plimsoll_window_start_timestamp_seconds", ", window"),
            "{{window}} begins",
        ),
    ]
}
