//! SLOs: the counters behind them and what they say. Numbers are those that the status shows, read from its texts, so that nobody sees
//! two values for one SLO.

use plimsoll_measure::{RATE_SECONDS, Snapshot};
use plimsoll_slo::{Kind, Outcome, Severity, Slo, SloResult};

use super::{Series, value};
use crate::inventory::{
    MAX_SLOS, RESULT, SEVERITY, SIDE, SLO, SLO_BOUND, SLO_EVENTS, SLO_GOOD, SLO_RESULT, SLO_VALUE, UNIT,
};

/// Counters of every SLO that has a pair of them.
pub(super) fn events(series: &mut Series<'_>, snapshot: &Snapshot) {
    let run = series.run;
    for slo in run.slos.iter().take(MAX_SLOS) {
        let Some(at) = slo.objective else { continue };
        let count = snapshot.objectives.get(at).copied().unwrap_or_default();
        let labels = [(SLO, value(slo.name.as_str()))];
        series.count(&SLO_EVENTS, &labels, count.total);
        series.count(&SLO_GOOD, &labels, count.total.saturating_sub(count.bad));
    }
}

/// Results, values and bounds.
pub(super) fn results(series: &mut Series<'_>) {
    let run = series.run;
    for slo in run.slos.iter().take(MAX_SLOS) {
        let result = run.results.iter().find(|result| result.name == slo.name);
        outcome(series, slo, result);
        let name = (SLO, value(slo.name.as_str()));
        if let Some((number, unit)) = result.and_then(|result| number(slo, result)) {
            let labels = [name.clone(), (UNIT, value(unit))];
            series.gauge(&SLO_VALUE, &labels, number);
        }
        for (side, number, unit) in bounds(slo) {
            let labels = [name.clone(), (UNIT, value(unit)), (SIDE, value(side))];
            series.gauge(&SLO_BOUND, &labels, number);
        }
    }
}

fn outcome(series: &mut Series<'_>, slo: &Slo, result: Option<&SloResult>) {
    let found = result.map_or(Outcome::Unknown, |result| result.outcome);
    for (outcome, name) in [(Outcome::Met, "Met"), (Outcome::Missed, "Missed"), (Outcome::Unknown, "Unknown")]
    {
        let labels = [
            (SLO, value(slo.name.as_str())),
            (SEVERITY, value(severity(slo.severity))),
            (RESULT, value(name)),
        ];
        series.gauge(&SLO_RESULT, &labels, f64::from(u8::from(outcome == found)));
    }
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "Info",
        Severity::Warning => "Warning",
        Severity::Error => "Error",
        Severity::Critical => "Critical",
    }
}

/// The number that a result shows, and what it is in.
fn number<'a>(slo: &'a Slo, result: &SloResult) -> Option<(f64, &'a str)> {
    let shown = result.value.as_deref()?;
    if shown == ">max" {
        return Some((f64::INFINITY, "seconds"));
    }
    if let Kind::Prometheus { unit, .. } = &slo.kind {
        let number = shown.split(' ').next()?.parse().ok()?;
        return Some((number, unit.as_deref().unwrap_or("count")));
    }
    read(shown)
}

/// Reads `612.4ms`, `7.63%`, `18.2/s` or `18 240`; nothing that has another form, such as `≤500ms`.
fn read(shown: &str) -> Option<(f64, &'static str)> {
    let digits = shown.trim_end_matches(|c: char| !c.is_ascii_digit());
    let (exponent, divisor, unit) = match &shown[digits.len()..] {
        "ns" => (-9, 1.0, "seconds"),
        "us" => (-6, 1.0, "seconds"),
        "ms" => (-3, 1.0, "seconds"),
        "s" => (0, 1.0, "seconds"),
        "%" => (-2, 1.0, "ratio"),
        "/s" => (0, 1.0, "per_second"),
        "/m" => (0, 60.0, "per_second"),
        "" => (0, 1.0, "count"),
        _ => return None,
    };
    // The point is moved in the text: 0.6124 and not 0.6123999999999999.
    let number: f64 = format!("{}e{exponent}", digits.replace(' ', "")).parse().ok()?;
    Some((number / divisor, unit))
}

/// The bounds of an SLO in numbers: side, number, unit.
fn bounds(slo: &Slo) -> Vec<(&'static str, f64, &str)> {
    let time = |nanos: u64| super::seconds(nanos);
    let share = |ppb: u64| ppb as f64 / 1e9;
    let rate = |kept: u64| kept as f64 / RATE_SECONDS as f64;
    let exact = |count: u64| count as f64;
    let both = |least: Option<f64>, most: Option<f64>, unit| {
        let least = least.map(|number| ("at_least", number, unit));
        least.into_iter().chain(most.map(|number| ("at_most", number, unit))).collect()
    };
    match &slo.kind {
        Kind::Latency { at_most, .. } => both(None, Some(time(*at_most)), "seconds"),
        Kind::LatencyDrift { at_most, .. }
        | Kind::ErrorRate { at_most, within: None, .. }
        | Kind::TimeoutRate { at_most } => both(None, Some(share(*at_most)), "ratio"),
        Kind::ErrorRate { within: Some(within), .. } => both(None, Some(time(*within)), "seconds"),
        Kind::StatusRate { at_most, at_least } | Kind::MetricRate { at_least, at_most } => {
            both(at_least.map(share), at_most.map(share), "ratio")
        }
        Kind::Throughput { at_least, at_most } => both(at_least.map(rate), at_most.map(rate), "per_second"),
        Kind::CheckRate { at_least } => both(Some(share(*at_least)), None, "ratio"),
        Kind::MetricCount { at_least, at_most } => both(at_least.map(exact), at_most.map(exact), "count"),
        Kind::Prometheus { at_most, at_least, unit } => {
            both(*at_least, *at_most, unit.as_deref().unwrap_or("count"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_as_the_number_that_it_is() {
        let close = |text: &str, number: f64, unit: &str| {
            let (read, found) = read(text).unwrap();
            assert!(read == number && found == unit, "{text}: {read} {found}");
        };
        close("612.4ms", 0.6124, "seconds");
        close("350ns", 350e-9, "seconds");
        close("5.92s", 5.92, "seconds");
        close("7.63%", 0.0763, "ratio");
        close("18.2/s", 18.2, "per_second");
        close("30/m", 0.5, "per_second");
        close("18 240", 18_240.0, "count");
        for text in ["-", "", "≤500ms", ">500ms", "ms"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
