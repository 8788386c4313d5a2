//! The report for people at the end of a run, from its stored result: at most 100 columns, no colours.
//!
//! Tables are in `tables.rs`, the lines below them in `lines.rs`.

mod lines;
mod metrics;
mod table;
mod tables;
mod validation;

pub use tables::{figures_heads, figures_rows};
pub use validation::validation_report;

use plimsoll_slo::text;

use super::StoredResult;
use super::figures::Source;
use crate::GoDuration;
use crate::conditions::verdict_reason;

/// Columns that no line exceeds, unless it is one long word.
const COLUMNS: usize = 100;

/// The report. Its first word is the verdict, which the caller may colour.
#[must_use]
pub fn report(result: &StoredResult) -> String {
    let source = source(result);
    let mut parts = vec![headline(result), run(result)];
    if !result.snapshot.cells.is_empty() {
        parts.extend(tables::slos(result));
        parts.push(tables::requests(source));
        parts.extend(tables::windows(source));
        parts.extend(metrics::metrics(source));
        parts.push(lines::lines(result, source));
    }
    parts.extend(notices(result));
    parts.join("\n")
}

fn source(result: &StoredResult) -> Source<'_> {
    Source {
        layout: &result.layout,
        slos: &result.slos,
        merged: &result.snapshot,
        until: result.facts.measured,
    }
}

/// The verdict, and why.
fn headline(result: &StoredResult) -> String {
    let status = &result.status;
    let Some(verdict) = status.verdict else { return "not judged\n".to_owned() };
    let held = verdict_reason(plimsoll_slo::Reason::SLOsMet);
    let reason = status.reason.as_deref().filter(|reason| *reason != held);
    let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
    wrapped(&format!("{verdict:?}{reason}: {}", status.message.as_deref().unwrap_or("no message")), "  ")
}

/// Which run it was.
fn run(result: &StoredResult) -> String {
    let id = &result.run;
    if id.name.is_empty() {
        return String::new();
    }
    let name =
        if id.namespace.is_empty() { id.name.clone() } else { format!("{}/{}", id.namespace, id.name) };
    let load = result.status.load.as_ref().and_then(|load| load.asked.clone());
    let (whole, measured) = (GoDuration { nanos: result.duration }, result.facts.measured);
    let time = match measured {
        0 => format!("planned for {whole}"),
        _ if measured >= result.duration => format!("for {whole}"),
        _ => format!("for {} of {whole}", text::duration(measured)),
    };
    let judged = result.layout.judged_time(None, measured);
    let judged =
        (0 < judged && judged < measured).then(|| format!("{} judged", GoDuration { nanos: judged }));
    let load = load.into_iter().chain([time]).collect::<Vec<_>>().join(" ");
    let facts: Vec<String> = [result.target.clone(), load].into_iter().chain(judged).collect();
    wrapped(&format!("  {name}: {}", facts.join(", ")), "  ")
}

fn notices(result: &StoredResult) -> Option<String> {
    let notices = result.status.notices.iter().chain(&result.left_out);
    let lines: String = notices.map(|notice| wrapped(&format!("  {notice}"), "    ")).collect();
    (!lines.is_empty()).then(|| format!("Notices\n{lines}"))
}

/// The text in lines of at most [`COLUMNS`]; all but the first are indented.
fn wrapped(text: &str, indent: &str) -> String {
    let mut lines = String::new();
    let mut rest = text.trim_end();
    let mut lead = "";
    while !rest.is_empty() {
        let room = COLUMNS - lead.chars().count();
        let end = rest.char_indices().nth(room).map_or(rest.len(), |(at, _)| at);
        // Where it does not fit, it breaks at the last space that is not its indentation.
        let from = rest.len() - rest.trim_start().len();
        let space = rest[from..end].rfind(' ').map(|at| from + at);
        let next = rest[end..].find(' ').map_or(rest.len(), |at| end + at);
        let cut = if end == rest.len() || rest[end..].starts_with(' ') { end } else { space.unwrap_or(next) };
        lines.push_str(lead);
        lines.push_str(&rest[..cut]);
        lines.push('\n');
        rest = rest[cut..].trim_start();
        lead = indent;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_break_at_spaces() {
        let text = "word ".repeat(60);
        let lines = wrapped(&text, "    ");
        assert!(lines.lines().all(|line| line.chars().count() <= COLUMNS), "{lines}");
        assert_eq!(lines.split_whitespace().count(), 60);
        assert!(lines.lines().skip(1).all(|line| line.starts_with("    word")));
        assert_eq!(wrapped("  short", "  "), "  short\n");
        let long = "x".repeat(150);
        assert_eq!(wrapped(&format!("{long} {long}"), " "), format!("{long}\n {long}\n"));
    }
}
