//! The report in the order and units of a well-known Locust suite's SLO validation: result, violations, warnings, metrics summary;
//! below it Locust's own tables, one row per request name, and failures by cause. The usual report is in `mod.rs`.

use plimsoll_measure::{Percentile, RequestId};
use plimsoll_slo::{Kind, Outcome, Severity, Slo, SloResult, Stat, Verdict};

use super::super::StoredResult;
use super::super::figures::{Figures, Source};
use super::table::Align::{Left, Right};
use super::table::Table;
use super::{source, wrapped};

/// Width of the rules between the parts.
const RULE: usize = 60;

/// The report. Durations are milliseconds, rates shares of 1, throughput requests per second.
#[must_use]
pub fn validation_report(result: &StoredResult) -> String {
    let source = source(result);
    let rule = "=".repeat(RULE);
    let mut text = format!("{rule}\nSLO VALIDATION REPORT\n{rule}\n{}\n", headline(result));
    let pairs: Vec<(&Slo, &SloResult)> = match &result.judgement {
        Some(judgement) => result.slos.iter().zip(&judgement.results).collect(),
        None => Vec::new(),
    };
    let decides = |slo: &Slo| matches!(slo.severity, Severity::Critical | Severity::Error);
    let section = |title: &str, wanted: &dyn Fn(&Slo, &SloResult) -> bool| {
        let lines: String =
            pairs.iter().filter(|(slo, r)| wanted(slo, r)).map(|(slo, r)| entry(slo, r)).collect();
        if lines.is_empty() { String::new() } else { format!("{title}:\n{lines}\n") }
    };
    text += &section("VIOLATIONS", &|slo, r| r.outcome == Outcome::Missed && decides(slo));
    text += &section("WARNINGS", &|slo, r| r.outcome == Outcome::Missed && !decides(slo));
    text += &section("NOT JUDGED", &|_, r| r.outcome == Outcome::Unknown);
    text += &format!("METRICS SUMMARY:\n{}{rule}\n", summary(result, source));
    if !result.snapshot.cells.is_empty() {
        text += &format!("\n{}", requests(source));
        text += &failures(source);
    }
    text
}

/// `Result: PASSED`, with the reason where it is not that all SLOs are met.
fn headline(result: &StoredResult) -> String {
    let status = &result.status;
    let word = status.verdict.map_or_else(|| "NOT JUDGED".to_owned(), |v| format!("{v:?}").to_uppercase());
    let told = match result.judgement.as_ref().map(|judgement| judgement.verdict) {
        Some(Verdict::Passed | Verdict::Failed) => String::new(),
        _ => wrapped(&format!("  {}", status.message.as_deref().unwrap_or_default()), "  "),
    };
    format!("Result: {word}\n{told}")
}

fn entry(slo: &Slo, result: &SloResult) -> String {
    let class = match result.outcome {
        Outcome::Unknown => "UNKNOWN",
        _ => match slo.severity {
            Severity::Critical => "CRITICAL",
            Severity::Error => "ERROR",
            Severity::Warning => "WARNING",
            Severity::Info => "INFO",
        },
    };
    let actual = result.value.as_deref().unwrap_or("-");
    let lines = format!("    Metric: {}\n    Threshold: {}, Actual: {actual}\n", metric(slo), result.bound);
    wrapped(&format!("  [{class}] {}", result.message), "    ") + &lines
}

/// The suite's name of what an SLO judges, where it has one.
fn metric(slo: &Slo) -> String {
    let whole = slo.request.is_none() && slo.window.is_none() && slo.metric.is_none();
    match &slo.kind {
        Kind::Latency { stat: Stat::Percentile(q), .. } if whole && q % 100 == 0 => {
            format!("http_response_time_p{}", q / 100)
        }
        Kind::ErrorRate { classes, within: None, .. } if whole && classes.is_empty() => {
            "http_error_rate".to_owned()
        }
        Kind::TimeoutRate { .. } if whole => "timeout_rate".to_owned(),
        Kind::Throughput { .. } if whole => "throughput_rps".to_owned(),
        _ => slo.name.clone(),
    }
}

fn summary(result: &StoredResult, source: Source) -> String {
    let all = Figures::new(source, None, None);
    let seconds = result.layout.judged_time(None, result.facts.measured) as f64 / 1e9;
    let (requests, failed) = (all.counts.requests(), all.counts.failed);
    let timeouts =
        all.counts.classes.get(&plimsoll_measure::ErrorClass::Timeout).copied().unwrap_or_default();
    let ratio = |part: u64, whole: f64| {
        if whole > 0.0 { format!("{:.4}", part as f64 / whole) } else { "-".to_owned() }
    };
    let rps =
        if seconds > 0.0 { format!("{:.2}", all.counts.complete as f64 / seconds) } else { "-".to_owned() };
    let rows = [
        ("response_time_p50_ms", millis(all.number(Stat::Percentile(5_000)))),
        ("response_time_p95_ms", millis(all.number(Stat::Percentile(9_500)))),
        ("response_time_p99_ms", millis(all.number(Stat::Percentile(9_900)))),
        ("response_time_avg_ms", millis(all.number(Stat::Mean))),
        ("error_rate", ratio(failed, requests as f64)),
        ("total_requests", requests.to_string()),
        ("failed_requests", failed.to_string()),
        ("throughput_rps", rps),
        ("duration_seconds", format!("{seconds:.2}")),
        ("timeout_rate", ratio(timeouts, requests as f64)),
    ];
    rows.iter().map(|(key, value)| format!("  {key}: {value}\n")).collect()
}

/// Milliseconds with two decimals; a percentile among requests without a complete response is over every one that has.
fn millis(value: Percentile) -> String {
    match value {
        Percentile::NoData => "-".to_owned(),
        Percentile::OverMax => ">max".to_owned(),
        Percentile::Finite(nanos) => format!("{:.2}", nanos as f64 / 1e6),
    }
}

/// Locust's table: requests, failures, average, minimum, maximum, median, p95, p99 (milliseconds), rate.
fn requests(source: Source) -> String {
    let heads = ["requests", "failures", "avg", "min", "max", "median", "p95", "p99", "req/s"];
    let mut table =
        Table::new([("request", Left)].into_iter().chain(heads.map(|head| (head, Right))).collect());
    let mut row = |name: &str, request| {
        let figures = Figures::new(source, request, None);
        let stats = [figures.number(Stat::Mean), figures.least(), figures.number(Stat::Max)].map(millis);
        let percentiles = [5_000, 9_500, 9_900].map(|q| millis(figures.number(Stat::Percentile(q))));
        let counts =
            [name.to_owned(), figures.counts.requests().to_string(), figures.counts.failed.to_string()];
        let rate =
            figures.rate().map_or_else(|| "-".to_owned(), |rate| rate.trim_end_matches("/s").to_owned());
        table.row(counts.into_iter().chain(stats).chain(percentiles).chain([rate]).collect());
    };
    for (name, id) in source.layout.requests.iter().zip(0..=u16::MAX) {
        row(name, Some(RequestId(id)));
    }
    row("Aggregated", None);
    table.render()
}

/// Failures of the whole run by cause, the most frequent first, each with its first example.
fn failures(source: Source) -> String {
    let groups = super::super::failures(source.layout, source.merged);
    if groups.is_empty() {
        return String::new();
    }
    let lines: String = groups
        .iter()
        .map(|group| {
            let example =
                if group.example.is_empty() { String::new() } else { format!(": {}", group.example) };
            let remedy = group.remedy.map_or_else(String::new, |remedy| format!("; {remedy}"));
            wrapped(&format!("  {:>6}  {}{example}{remedy}", group.count, group.cause), "          ")
        })
        .collect();
    format!("\nFAILURES BY CAUSE (whole run):\n{lines}")
}
