//! What a query must not do, on the syntax tree that Prometheus makes of it: name a metric or a label that nobody exports, add up
//! percentiles or buckets over runs, count workers twice, take the rate of a gauge. `crates/telemetry/tests/dashboards.rs` brings the
//! metrics that there are.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::Value;

use super::ask::Api;
use super::queries::{list, text};

/// What tells runs apart.
const RUN: [&str; 3] = ["test_namespace", "test", "run"];

/// Metrics of others: of the kubelet (cAdvisor), which not everybody scrapes.
pub const FOREIGN: [(&str, &[&str], Kind); 2] = [
    ("container_cpu_usage_seconds_total", &["namespace", "pod", "container"], Kind::Counter),
    ("container_memory_working_set_bytes", &["namespace", "pod", "container"], Kind::Gauge),
];

/// What the values of a metric are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Never falls.
    Counter,
    /// May fall.
    Gauge,
    /// Durations: native, or `_bucket` of classic ones.
    Histogram,
}

/// What is known of a metric.
#[derive(Clone, Debug)]
pub struct Metric {
    /// Its labels.
    pub labels: BTreeSet<String>,
    /// What its values are.
    pub kind: Kind,
    /// Whether it is of runs.
    pub of_runs: bool,
    /// Whether single workers export it too, under the same name.
    pub of_workers: bool,
}

/// A metric of others.
pub fn foreign(name: &str) -> Option<Metric> {
    let (_, labels, kind) = FOREIGN.iter().find(|(known, ..)| *known == name)?;
    let labels = labels.iter().map(|label| (*label).to_owned()).collect();
    Some(Metric { labels, kind: *kind, of_runs: false, of_workers: false })
}

/// Everything that is wrong with a query whose variables are filled in.
///
/// # Errors
/// If it does not parse.
pub fn query(api: Api<'_>, query: &str, known: &dyn Fn(&str) -> Option<Metric>) -> Result<Vec<String>> {
    let path = format!("/api/v1/parse_query?query={}", super::ask::escape(query));
    let tree = api(&path).with_context(|| format!("`{query}` does not parse"))?;
    let mut check = Check { known, problems: Vec::new() };
    check.node(&tree, false);
    Ok(check.problems)
}

/// What a part of a query is made of.
#[derive(Default)]
struct Made {
    labels: BTreeSet<String>,
    of_runs: bool,
    percentile: bool,
    histogram: bool,
}

impl Made {
    fn join(mut self, other: Self) -> Self {
        self.labels.extend(other.labels);
        self.of_runs |= other.of_runs;
        self.percentile |= other.percentile;
        self.histogram |= other.histogram;
        self
    }
}

struct Check<'a> {
    known: &'a dyn Fn(&str) -> Option<Metric>,
    problems: Vec<String>,
}

impl Check<'_> {
    /// Looks at a part of the tree; `ranks` is whether a percentile is made of it.
    fn node(&mut self, node: &Value, ranks: bool) -> Made {
        match node["type"].as_str().unwrap_or_default() {
            "vectorSelector" | "matrixSelector" => self.selector(node),
            "aggregation" => self.aggregation(node, ranks),
            "call" => self.call(node, ranks),
            "binaryExpr" => {
                let made = self.node(&node["lhs"], ranks).join(self.node(&node["rhs"], ranks));
                for labels in ["labels", "include"] {
                    self.are_known(list(&node["matching"], labels), &made, "match");
                }
                made
            }
            "parenExpr" | "unaryExpr" | "subquery" | "stepInvariantExpr" => self.node(&node["expr"], ranks),
            _ => Made::default(),
        }
    }

    fn selector(&mut self, node: &Value) -> Made {
        let name = text(&node["name"]);
        let Some(metric) = (self.known)(&name) else {
            self.problems.push(format!("nobody exports `{name}`"));
            return Made::default();
        };
        let matchers: Vec<String> =
            list(node, "matchers").iter().map(|matcher| text(&matcher["name"])).collect();
        for label in matchers.iter().filter(|label| *label != "__name__" && !metric.labels.contains(*label)) {
            self.problems.push(format!("`{name}` has no label `{label}`"));
        }
        if metric.of_workers && !matchers.iter().any(|label| label == "worker") {
            self.problems
                .push(format!("`{name}` is counted twice where workers are scraped: say worker=\"\""));
        }
        let histogram = metric.kind == Kind::Histogram;
        Made { labels: metric.labels, of_runs: metric.of_runs, percentile: false, histogram }
    }

    fn aggregation(&mut self, node: &Value, ranks: bool) -> Made {
        let (op, grouping) = (text(&node["op"]), list(node, "grouping"));
        let made = self.node(&node["expr"], ranks);
        if made.percentile && !matches!(&op[..], "max" | "min" | "count" | "topk" | "bottomk" | "group") {
            self.problems.push(format!("`{op}` of percentiles is no percentile"));
        }
        self.are_known(grouping, &made, "group by");
        let by: Vec<&str> = grouping.iter().filter_map(Value::as_str).collect();
        let adds_buckets = made.histogram && (ranks || by.contains(&"le"));
        let keeps_run = node["without"] != true && RUN.iter().all(|label| by.contains(label));
        if adds_buckets && made.of_runs && !keeps_run {
            self.problems.push(format!("`{op}` adds up histograms over runs: keep {}", RUN.join(", ")));
        }
        if node["without"] == true {
            return made;
        }
        Made { labels: by.into_iter().map(str::to_owned).collect(), ..made }
    }

    fn call(&mut self, node: &Value, ranks: bool) -> Made {
        let function = text(&node["func"]["name"]);
        let ranks = ranks || function == "histogram_quantile";
        let arguments = list(node, "args");
        let mut made = Made::default();
        for argument in arguments {
            made = made.join(self.node(argument, ranks));
        }
        match &function[..] {
            "histogram_quantile" => {
                if !made.histogram {
                    self.problems.push("a percentile of what is no histogram".to_owned());
                }
                made.percentile = true;
                made.histogram = false;
                made.labels.remove("le");
            }
            "avg_over_time" | "sum_over_time" | "quantile_over_time" if made.percentile => {
                self.problems.push(format!("`{function}` of percentiles is no percentile"));
            }
            "rate" | "increase" | "irate" => {
                for selector in arguments {
                    let metric = (self.known)(&text(&selector["name"]));
                    if metric.is_some_and(|metric| metric.kind == Kind::Gauge) {
                        self.problems.push(format!("`{function}` of the gauge {}", selector["name"]));
                    }
                }
            }
            "label_replace" | "label_join" => {
                made.labels.insert(arguments.get(1).map(|label| text(&label["val"])).unwrap_or_default());
            }
            _ => {}
        }
        made
    }

    fn are_known(&mut self, labels: &[Value], made: &Made, what: &str) {
        for label in labels.iter().filter_map(Value::as_str) {
            if !made.labels.contains(label) {
                self.problems.push(format!("cannot {what} `{label}`: nothing there has it"));
            }
        }
    }
}
