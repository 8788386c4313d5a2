//! The inventory: every metric that any of our processes exports, with its meaning. Code, `docs/metrics.md` (made by `document.rs`) and
//! the checks of dashboards and rules are made from it; nothing is exported that is not in it.
//!
//! Names follow OpenTelemetry's semantic conventions where there is one, `plimsoll.` stands before all others. The name in Prometheus is
//! the usual translation, the one that Prometheus' own OTLP receiver makes.

mod generator;
mod labels;
mod load;
mod metrics;
mod operator;
mod requests;
mod run;
mod slos;

pub use generator::*;
pub use labels::*;
pub use load::*;
pub use metrics::*;
pub use operator::*;
pub use requests::*;
pub use run::*;
pub use slos::*;

/// A metric: what it is called and what it means.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name in OpenTelemetry.
    pub otel: &'static str,
    /// Its name in Prometheus; those of a classic histogram have `_bucket`, `_sum` and `_count` behind it.
    pub prometheus: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// Its unit as UCUM has it: `s`, `By`, or what is counted in braces: `{request}`.
    pub unit: &'static str,
    /// What tells its series apart, beside the labels of [`Place`].
    pub labels: &'static [Label],
    /// What it says, in one or two sentences.
    pub meaning: &'static str,
    /// Who exports it.
    pub places: &'static [Place],
}

/// What the values of a metric are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A count that never falls.
    Counter,
    /// A number that is what it is at this moment.
    Gauge,
    /// A count of what there is at this moment; a gauge in Prometheus, a sum that may fall in OpenTelemetry.
    UpDownCounter,
    /// Durations.
    Histogram,
}

/// A label, which OpenTelemetry calls an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label {
    /// Its name in OpenTelemetry.
    pub otel: &'static str,
    /// Its name in Prometheus.
    pub prometheus: &'static str,
    /// What its values are.
    pub meaning: &'static str,
}

/// Where series come from; it decides which labels they all have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Merged over all workers of a run: the operator, and `plimsoll run`. Labels: [`RUN_LABELS`].
    Run,
    /// One worker of a run: its pod. Labels: [`RUN_LABELS`] and [`WORKER`].
    Worker,
    /// The operator, of itself. No other labels.
    Operator,
}

/// What runs and their workers say.
pub(crate) const RUN_AND_WORKER: &[Place] = &[Place::Run, Place::Worker];
/// What only is known of the whole run.
pub(crate) const RUN: &[Place] = &[Place::Run];
/// What the operator says of itself.
pub(crate) const OPERATOR: &[Place] = &[Place::Operator];

/// The labels of all series of runs.
pub const RUN_LABELS: &[Label] = &[TEST_NAMESPACE, TEST, RUN_NAME];

/// Most request names of a run that have series of their own, in the order of the plan; the others are summed up as [`OTHER`].
pub const MAX_REQUESTS: usize = 100;
/// Most windows of a run that have series of their own; the others are summed up as [`OTHER`].
pub const MAX_WINDOWS: usize = 20;
/// Most SLOs of a run that have series.
pub const MAX_SLOS: usize = 100;
/// Most checks, rates, counters, trends and faults of a run that have series.
pub const MAX_METRICS: usize = 200;
/// The value of a label that stands for all those that are beyond a cap.
pub const OTHER: &str = "_other";

/// Every metric, in the order of `docs/metrics.md` and of every exposition.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    let lists =
        [requests::LIST, load::LIST, slos::LIST, run::LIST, generator::LIST, metrics::LIST, operator::LIST];
    lists.into_iter().flatten().copied()
}

/// The metric that a name in Prometheus belongs to: its own, or that of a part of a classic histogram.
#[must_use]
pub fn by_prometheus_name(name: &str) -> Option<&'static Metric> {
    let exact = all().find(|metric| metric.prometheus == name);
    exact.or_else(|| {
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix))?;
        all().find(|metric| metric.kind == Kind::Histogram && metric.prometheus == base)
    })
}

impl Metric {
    /// Whether a series of it may have a label of this name in Prometheus. `le` and `quantile` belong to the format.
    #[must_use]
    pub fn has_label(&self, name: &str) -> bool {
        let own = self.labels.iter().any(|label| label.prometheus == name);
        let of_run = RUN_LABELS.iter().any(|label| label.prometheus == name);
        own || self.places.iter().any(|place| match place {
            Place::Run => of_run,
            Place::Worker => of_run || name == WORKER.prometheus,
            Place::Operator => false,
        })
    }
}

/// Declares metrics and the list of them, so that none is left out.
macro_rules! declare {
    ($($(#[$doc:meta])* $name:ident = $otel:literal, $prometheus:literal, $kind:ident, $unit:literal, [$($label:expr),*], $places:expr,
       $meaning:literal;)*) => {
        $($(#[$doc])* pub static $name: crate::inventory::Metric = crate::inventory::Metric {
            otel: $otel, prometheus: $prometheus, kind: crate::inventory::Kind::$kind, unit: $unit,
            labels: &[$($label),*], meaning: $meaning, places: $places,
        };)*
        /// The metrics of this file.
        pub(super) static LIST: &[&crate::inventory::Metric] = &[$(&$name),*];
    };
}
pub(crate) use declare;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The name that Prometheus gives a metric that it receives by OTLP.
    fn translated(metric: &Metric) -> String {
        let mut name = metric.otel.replace(['.', '-'], "_");
        let unit = match metric.unit {
            "s" => "seconds",
            "By" => "bytes",
            "1" if metric.kind != Kind::Counter => "ratio",
            _ => "",
        };
        if !unit.is_empty() && !name.ends_with(unit) {
            name = format!("{name}_{unit}");
        }
        if metric.kind == Kind::Counter { name + "_total" } else { name }
    }

    #[test]
    fn names_in_prometheus_are_the_usual_translation() {
        for metric in all() {
            assert_eq!(metric.prometheus, translated(metric), "{}", metric.otel);
            for label in metric.labels {
                assert_eq!(label.prometheus, label.otel.replace('.', "_"), "{}", metric.otel);
            }
        }
    }

    #[test]
    fn no_name_is_used_twice_and_everything_is_said_of_each() {
        let mut names = BTreeSet::new();
        for metric in all() {
            assert!(names.insert(metric.prometheus) && names.insert(metric.otel), "{}", metric.otel);
            assert!(!metric.meaning.is_empty() && metric.meaning.ends_with('.'), "{}", metric.otel);
            assert!(!metric.places.is_empty() && !metric.unit.is_empty(), "{}", metric.otel);
            assert!(metric.kind != Kind::Histogram || metric.unit == "s", "{}", metric.otel);
            let labels: BTreeSet<_> = metric.labels.iter().collect();
            assert_eq!(labels.len(), metric.labels.len(), "{}", metric.otel);
            assert!(metric.labels.iter().all(|label| !RUN_LABELS.contains(label)), "{}", metric.otel);
        }
    }

    #[test]
    fn a_metric_is_found_by_the_names_of_its_series() {
        let bucket = by_prometheus_name("plimsoll_request_latency_seconds_bucket");
        assert_eq!(bucket, Some(&REQUEST_LATENCY));
        assert_eq!(by_prometheus_name("plimsoll_requests_sent_total"), Some(&REQUESTS_SENT));
        assert_eq!(by_prometheus_name("plimsoll_requests_sent_total_bucket"), None);
        assert!(REQUESTS_SENT.has_label("worker") && REQUESTS_SENT.has_label("run"));
        assert!(!OPERATOR_LEADER.has_label("run") && !SLO_RESULT.has_label("worker"));
    }
}
