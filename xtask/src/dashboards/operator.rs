//! The dashboard of the operator itself: is there a leader, does it keep up, does anything fail?

use super::model::{Dashboard, Panel, row, series, stat};
use super::parts::{BAD, CORES, GOOD, UNSURE, datasource, textbox};

/// The dashboard.
pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "plimsoll-operator",
        title: "Plimsoll / Operator",
        description: "The operator's replicas: which one leads, how its reconciles fare, what it writes to the API server.",
        from: "now-1h",
        refresh: "10s",
        variables: vec![
            datasource(),
            textbox("operator_pod", "Operator's pods (regex)", "plimsoll-operator-.*"),
        ],
        annotations: Vec::new(),
        rows: vec![
            row("Is it well?", health()),
            row("Reconciles", reconciles()),
            row("API server, sessions, resources", around()),
        ],
    }
}

/// A percentile of reconciles: over all replicas, of which only the leader reconciles.
fn reconcile_time(q: &str) -> String {
    let metric = "plimsoll_operator_reconcile_duration_seconds";
    format!(
        "histogram_quantile({q}, sum(rate({metric}[$__rate_interval]))) or histogram_quantile({q}, sum by (le) \
         (rate({metric}_bucket[$__rate_interval])))"
    )
}

const ERRORS: &str = "sum(rate(plimsoll_operator_reconcile_errors_total[$__rate_interval]))";
const RECONCILES: &str = "sum(rate(plimsoll_operator_reconciles_total[$__rate_interval]))";

fn health() -> Vec<Panel> {
    vec![
        stat("Leaders", "short", "Replicas that lead: 1. None: runs go on, but nothing starts or ends. More than one for over a moment: look at the clocks.")
            .ask("sum(plimsoll_operator_leader)", "leaders")
            .colours(&[(BAD, None), (GOOD, Some(1.0)), (BAD, Some(2.0))])
            .filled()
            .size(4, 4),
        stat("Replicas", "short", "Replicas that are scraped.")
            .ask("count(plimsoll_operator_leader)", "replicas")
            .size(4, 4),
        stat("Failed reconciles", "percentunit", "Share of the reconciles of the last moments that failed; they are repeated.")
            .ask(format!("({ERRORS} or vector(0)) / ({RECONCILES} > 0)"), "failed")
            .colours(&[(GOOD, None), (UNSURE, Some(0.000_001)), (BAD, Some(0.1))])
            .size(4, 4),
        stat("Reconciles: p99", "s", "99th percentile of how long reconciles took in the last moments. Over a second: the API server is slow.")
            .ask(reconcile_time("0.99"), "p99")
            .colours(&[(GOOD, None), (UNSURE, Some(1.0)), (BAD, Some(5.0))])
            .size(4, 4),
        stat("Sessions", "short", "Workers that are connected.").ask("sum(plimsoll_operator_sessions)", "sessions").size(4, 4),
        stat("Waiting runs", "short", "Runs that wait for their turn. Empty before the first run.")
            .ask("max(plimsoll_operator_runs{phase=\"Pending\"})", "waiting")
            .colours(&[(GOOD, None), (UNSURE, Some(1.0))])
            .size(4, 4),
    ]
}

fn reconciles() -> Vec<Panel> {
    vec![
        series("Reconciles", "ops", "Reconciles of tests and runs per second, by replica: only the leader does any.")
            .ask("sum by (instance) (rate(plimsoll_operator_reconciles_total[$__rate_interval]))", "{{instance}}"),
        series(
            "Failed reconciles by step",
            "ops",
            "Reconciles that failed, by the step that did: observe reads, apply writes objects, status writes the status. Empty until one \
             fails.",
        )
        .ask("sum by (step) (rate(plimsoll_operator_reconcile_errors_total[$__rate_interval]))", "{{step}}")
        .stacked(),
        series("Duration of reconciles", "s", "How long reconciles took in the last moments, over all replicas.")
            .ask(reconcile_time("0.5"), "p50")
            .ask(reconcile_time("0.95"), "p95")
            .ask(reconcile_time("0.99"), "p99"),
        series("Leadership", "short", "1 while a replica leads: the line that is up changes when another takes over.")
            .ask("max by (instance) (plimsoll_operator_leader)", "{{instance}}")
            .stepped(),
    ]
}

fn around() -> Vec<Panel> {
    let pods = "pod=~\"$operator_pod\", container!=\"\"";
    vec![
        series(
            "Writes to the API server",
            "wps",
            "What is written, by kind: about one status per run in 5 seconds, and a handful of objects per run.",
        )
        .ask("sum by (kind) (rate(plimsoll_operator_api_writes_total[$__rate_interval]))", "{{kind}}")
        .stacked(),
        series("Worker sessions", "short", "Workers that are connected, by replica. Followers send them to the leader.")
            .ask("sum by (instance) (plimsoll_operator_sessions)", "{{instance}}")
            .stepped(),
        series(
            "CPU",
            CORES,
            "CPU of the operator's pods, in cores. Empty where the kubelet's container metrics are not scraped.",
        )
        .ask(format!("sum by (pod) (rate(container_cpu_usage_seconds_total{{{pods}}}[$__rate_interval]))"), "{{pod}}"),
        series(
            "Memory",
            "bytes",
            "Memory of the operator's pods; snapshots of all runs in progress are kept in it. Empty where the kubelet's container metrics are \
             not scraped.",
        )
        .ask(format!("sum by (pod) (container_memory_working_set_bytes{{{pods}}})"), "{{pod}}"),
    ]
}
