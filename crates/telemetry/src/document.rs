//! The inventory as a page: `docs/metrics.md` between its marks. `cargo xtask generate` writes it, a test holds it against the inventory.

use std::fmt::Write as _;

use crate::inventory::{
    self, Kind, Label, MAX_METRICS, MAX_REQUESTS, MAX_SLOS, MAX_WINDOWS, Metric, Place, RUN_LABELS, WORKER,
};

/// What stands before the generated part of the page.
pub const BEGIN: &str = "<!-- generated: begin -->";
/// What stands behind it.
pub const END: &str = "<!-- generated: end -->";

/// The generated part: tables of metrics, labels and caps.
#[must_use]
pub fn tables() -> String {
    let mut page = String::new();
    for (title, place) in [("Of runs and their workers", Place::Run), ("Of the operator", Place::Operator)] {
        let _ = writeln!(page, "## {title}\n\n| metric | kind | labels | what it says |\n|---|---|---|---|");
        inventory::all()
            .filter(|metric| metric.places.contains(&place))
            .for_each(|metric| row(&mut page, metric));
        page.push('\n');
    }
    labels(&mut page);
    let _ = writeln!(
        page,
        "## Caps\n\n| of a run | most with series of their own | beyond it |\n|---|---|---|\n\
         | request names | {MAX_REQUESTS} | summed up as `_other` |\n| windows | {MAX_WINDOWS} | summed up as `_other` |\n\
         | statuses of responses | the registered and the usual ones | summed up as `_other` |\n| SLOs | {MAX_SLOS} | left out |\n\
         | checks, rates, counters, trends, faults | {MAX_METRICS} | left out |"
    );
    page
}

fn row(page: &mut String, metric: &Metric) {
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::UpDownCounter => "up-down counter",
        Kind::Histogram => "histogram",
    };
    let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{}`", label.prometheus)).collect();
    let only = match metric.places {
        [Place::Run] => " Not of single workers.",
        _ => "",
    };
    let _ = writeln!(
        page,
        "| `{}`<br>`{}` | {kind}, {} | {} | {}{only} |",
        metric.prometheus,
        metric.otel,
        metric.unit,
        labels.join(", "),
        metric.meaning,
    );
}

fn labels(page: &mut String) {
    let _ = writeln!(page, "## Labels\n\n| label | in OpenTelemetry | value |\n|---|---|---|");
    let mut all: Vec<Label> = RUN_LABELS.iter().copied().chain([WORKER]).collect();
    for label in inventory::all().flat_map(|metric| metric.labels) {
        if !all.contains(label) {
            all.push(*label);
        }
    }
    for label in all {
        let _ = writeln!(page, "| `{}` | `{}` | {} |", label.prometheus, label.otel, label.meaning);
    }
    page.push('\n');
}
