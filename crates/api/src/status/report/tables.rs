//! The tables of the report: SLOs, requests, windows. Laid out by `table.rs`.

use plimsoll_measure::{RequestId, WindowId};
use plimsoll_slo::{Outcome, Severity, SloResult, Stat, text};

use super::super::StoredResult;
use super::super::figures::{Figures, Source};
use super::super::run::severity;
use super::table::Align::{Left, Right};
use super::table::{Table, shortened};
use super::wrapped;

/// Longest text of what was measured, or is allowed.
const LONGEST: usize = 30;

/// One row per SLO, and for those that cannot be said the reason below.
pub(super) fn slos(result: &StoredResult) -> Option<String> {
    let results = &result.judgement.as_ref()?.results;
    if results.is_empty() {
        return None;
    }
    let mut table = Table::new(vec![
        ("SLO", Left),
        ("measured", Right),
        ("allowed", Left),
        ("share", Right),
        ("samples", Right),
    ]);
    results.iter().for_each(|slo| table.row(slo_row(slo)));
    let unknown = results.iter().filter(|slo| slo.outcome == Outcome::Unknown);
    let reasons: String = unknown.map(|slo| wrapped(&format!("  ? {}", slo.message), "    ")).collect();
    Some(table.render() + &reasons)
}

fn slo_row(slo: &SloResult) -> Vec<String> {
    let mark = match slo.outcome {
        Outcome::Met => "✓",
        Outcome::Missed => "✗",
        Outcome::Unknown => "?",
    };
    let importance = match slo.severity {
        Severity::Error => String::new(),
        other => format!(" ({})", severity(other)),
    };
    vec![
        format!("{mark} {}{importance}", slo.name),
        shortened(slo.value.as_deref().unwrap_or("-"), LONGEST),
        shortened(&slo.bound, LONGEST),
        slo.share.clone().unwrap_or_default(),
        text::count(slo.samples),
    ]
}

/// One row per request name over the judged part, and one for all of them.
pub(super) fn requests(source: Source) -> String {
    let mut table = figures_table("request");
    request_rows(source).into_iter().for_each(|row| table.row(row));
    table.render()
}

/// Heads of [`figures_rows`].
#[must_use]
pub fn figures_heads() -> Vec<&'static str> {
    std::iter::once("request").chain(NUMBERS).collect()
}

/// The figures of every request name and of all of them, as the report shows them, for whoever shows them elsewhere.
#[must_use]
pub fn figures_rows(result: &StoredResult) -> Vec<Vec<String>> {
    request_rows(super::source(result))
}

/// What only the run's own hooks send is left to the table of windows.
fn request_rows(source: Source) -> Vec<Vec<String>> {
    let of = |request| Figures::new(source, request, None);
    let only_in_hooks = |id| {
        let hooks =
            source.layout.hooks.map(|hooks| source.merged.counts(source.layout, Some(id), Some(hooks)));
        hooks.is_some_and(|hooks| hooks.requests() > 0)
    };
    let ids = source.layout.requests.iter().zip((0..=u16::MAX).map(RequestId));
    let rows = ids.filter_map(|(name, id)| {
        let figures = of(Some(id));
        let shown = figures.counts.requests() > 0 || !only_in_hooks(id);
        shown.then(|| figures_row(name, &figures))
    });
    let mut rows: Vec<Vec<String>> = rows.collect();
    if rows.len() > 1 {
        rows.push(figures_row("all", &of(None)));
    }
    rows
}

/// One row per window, if there is more than one.
pub(super) fn windows(source: Source) -> Option<String> {
    let windows = &source.layout.windows;
    if windows.len() < 2 {
        return None;
    }
    let mut table = figures_table("window");
    for (window, id) in windows.iter().zip(0..=u16::MAX) {
        let figures = Figures::new(source, None, Some(WindowId(id)));
        // The rest of a run that is all named windows.
        if window.judged && window.spans.is_empty() && figures.counts.requests() == 0 {
            continue;
        }
        let name = if window.judged { window.name.clone() } else { format!("{} (not judged)", window.name) };
        table.row(figures_row(&name, &figures));
    }
    Some(table.render())
}

/// Heads of the columns of [`figures_row`] beside the name.
const NUMBERS: [&str; 8] = ["requests", "rate", "failed", "p50", "p90", "p95", "p99", "max"];

fn figures_table(what: &'static str) -> Table {
    Table::new([(what, Left)].into_iter().chain(NUMBERS.map(|head| (head, Right))).collect())
}

fn figures_row(name: &str, figures: &Figures) -> Vec<String> {
    let percentiles = [5_000, 9_000, 9_500, 9_900].map(|q| figures.percentile(q));
    let shown = [figures.rate(), figures.errors()].into_iter().chain(percentiles);
    let shown = shown.chain([figures.latency(Stat::Max)]).map(|text| text.unwrap_or_else(|| "-".to_owned()));
    [name.to_owned(), text::count(figures.counts.requests())].into_iter().chain(shown).collect()
}
