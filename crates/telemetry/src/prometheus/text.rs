//! Prometheus' text format 0.0.4 and OpenMetrics 1.0, which differ in the name of a counter's family, in units, created timestamps,
//! exemplars and the last line.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use super::classic;
use crate::inventory::Kind;
use crate::{Exemplar, Family, Point, Value};

pub(super) fn write(families: &[Family], open: bool) -> String {
    let mut page = Page { text: String::new(), open };
    families.iter().for_each(|family| page.family(family));
    if open {
        page.text.push_str("# EOF\n");
    }
    page.text
}

struct Page {
    text: String,
    open: bool,
}

impl Page {
    fn family(&mut self, family: &Family) {
        let metric = family.metric;
        let base = match metric.prometheus.strip_suffix("_total") {
            Some(base) if self.open => base,
            _ => metric.prometheus,
        };
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge | Kind::UpDownCounter => "gauge",
            Kind::Histogram => "histogram",
        };
        let unit = ["seconds", "bytes"].into_iter().find(|unit| base.ends_with(unit)).filter(|_| self.open);
        // Writing to a String does not fail.
        let _ = writeln!(self.text, "# HELP {base} {}", escape(metric.meaning, self.open));
        let _ = writeln!(self.text, "# TYPE {base} {kind}");
        if let Some(unit) = unit {
            let _ = writeln!(self.text, "# UNIT {base} {unit}");
        }
        family.points.iter().for_each(|point| self.point(base, metric.prometheus, point));
    }

    fn point(&mut self, base: &str, name: &str, point: &Point) {
        let labels = labels(point);
        match &point.value {
            Value::Count(count) => self.line(name, &labels, &count.to_string(), None),
            Value::Seconds(number) | Value::Gauge(number) => self.line(name, &labels, &float(*number), None),
            Value::Histogram { durations, endless, bounds, exemplars } => {
                let count = durations.count().saturating_add(*endless);
                let mut below = f64::NEG_INFINITY;
                let all = classic::buckets(durations, bounds).into_iter().chain([(f64::INFINITY, count)]);
                for (bound, count) in all {
                    let le = format!("le=\"{}\"", float(bound));
                    let labels = if labels.is_empty() { le } else { format!("{labels},{le}") };
                    let seconds = |exemplar: &Exemplar| exemplar.nanos as f64 / 1e9;
                    let within = exemplars.iter().find(|one| below < seconds(one) && seconds(one) <= bound);
                    self.line(&format!("{name}_bucket"), &labels, &count.to_string(), within);
                    below = bound;
                }
                let sum = float(durations.sum() as f64 / 1e9);
                self.line(&format!("{name}_sum"), &labels, &sum, None);
                self.line(&format!("{name}_count"), &labels, &count.to_string(), None);
            }
        }
        if let Some(since) = point.since.and_then(epoch).filter(|_| self.open) {
            self.line(&format!("{base}_created"), &labels, &float(since), None);
        }
    }

    fn line(&mut self, name: &str, labels: &str, value: &str, exemplar: Option<&Exemplar>) {
        let braces = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let _ = write!(self.text, "{name}{braces} {value}");
        if let Some(exemplar) = exemplar.filter(|_| self.open) {
            let Exemplar { trace_id, span_id, nanos, at } = exemplar;
            let seconds = float(*nanos as f64 / 1e9);
            let _ = write!(self.text, " # {{trace_id=\"{trace_id}\",span_id=\"{span_id}\"}} {seconds}");
            if let Some(at) = epoch(*at) {
                let _ = write!(self.text, " {}", float(at));
            }
        }
        self.text.push('\n');
    }
}

fn labels(point: &Point) -> String {
    let named = point.labels.iter().filter(|(_, value)| !value.is_empty());
    let pairs = named.map(|(label, value)| format!("{}=\"{}\"", label.prometheus, escape(value, true)));
    pairs.collect::<Vec<_>>().join(",")
}

/// Backslashes and line ends, and quotes where they would end the text.
fn escape(text: &str, quotes: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if quotes { text.replace('"', "\\\"") } else { text }
}

fn float(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() };
    }
    if number.is_nan() { "NaN".to_owned() } else { number.to_string() }
}

fn epoch(at: SystemTime) -> Option<f64> {
    at.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs_f64())
}
