//! A run as the live page draws it. Figures are those of the report; the page itself computes nothing.

use plimsoll_api::status::{FailureGroup, StoredResult, failures, figures_heads, figures_rows};
use plimsoll_measure::{RATE_SECONDS, Second};
use plimsoll_slo::{Judgement, Outcome, SloResult, text};
use serde_json::{Value, json};

/// The state of the page; `history` holds the outcomes of all SLOs at several moments, the oldest first.
pub(super) fn of(
    result: &StoredResult,
    judgement: &Judgement,
    history: &[Vec<Outcome>],
    clock: &str,
    progress: f64,
) -> Value {
    let slos = judgement.results.iter().enumerate().map(|(at, slo)| self::slo(at, slo, history));
    let status = &result.status;
    json!({
        "name": format!("{}/{}", result.run.namespace, result.run.name),
        "phase": status.phase,
        "verdict": status.verdict.map(|verdict| format!("{verdict:?}")),
        "message": status.message,
        "clock": clock,
        "progress": progress,
        "figures": figures(result),
        "series": series(result),
        "slos": slos.collect::<Vec<_>>(),
        "requestHeads": figures_heads(),
        "requests": figures_rows(result),
        "failures": failures(&result.layout, &result.snapshot).iter().map(failure).collect::<Vec<_>>(),
    })
}

/// Names and values of the judged part.
fn figures(result: &StoredResult) -> Vec<(&'static str, String)> {
    let summary = result.status.summary.clone().unwrap_or_default();
    let shown = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    vec![
        ("requests", text::count(summary.requests)),
        ("rate", shown(summary.rate)),
        ("errors", shown(summary.errors)),
        ("p50", shown(summary.p50)),
        ("p95", shown(summary.p95)),
        ("p99", shown(summary.p99)),
        ("max", shown(summary.max)),
    ]
}

/// Rates per second, latencies in milliseconds. The last point of a run under way is not complete yet and left out.
fn series(result: &StoredResult) -> Vec<Value> {
    let over = result.status.verdict.is_some();
    let points = result.snapshot.series.len().saturating_sub(usize::from(!over));
    let width = f64::from(result.seconds_per_point.max(1));
    let point = |(at, second): (usize, &Second)| {
        let per_second = |count: u64| count as f64 / width;
        let millis =
            |q| second.latency.percentile(q, second.incomplete).finite().map(|nanos| nanos as f64 / 1e6);
        json!({
            "second": second.second,
            "asked": per_second(second.asked),
            "sent": per_second(second.sent),
            "complete": per_second(second.complete),
            "failed": per_second(second.failed),
            "p50": millis(5_000),
            "p95": millis(9_500),
            "p99": millis(9_900),
            "users": result.users.get(at),
            "arrivals": result.rates.get(at).map(|rate| *rate as f64 / RATE_SECONDS as f64),
        })
    };
    result.snapshot.series.iter().take(points).enumerate().map(point).collect()
}

fn slo(at: usize, slo: &SloResult, history: &[Vec<Outcome>]) -> Value {
    let past: Vec<String> =
        history.iter().filter_map(|moment| moment.get(at)).map(|outcome| format!("{outcome:?}")).collect();
    json!({
        "name": slo.name,
        "result": format!("{:?}", slo.outcome),
        "value": slo.value,
        "bound": slo.bound,
        "samples": text::count(slo.samples),
        "message": slo.message,
        "history": past,
    })
}

fn failure(group: &FailureGroup) -> Value {
    json!({"cause": group.cause, "count": text::count(group.count), "example": group.example, "remedy": group.remedy})
}
