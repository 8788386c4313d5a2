//! The report for people at the end of a run, from its stored result: at most 100 columns, no colours.

use super::StoredResult;

/// The report. Its first word is the verdict, which the caller may colour.
#[must_use]
pub fn report(result: &StoredResult) -> String {
    let verdict = result.status.verdict.map_or("Running".to_owned(), |verdict| format!("{verdict:?}"));
    format!("{verdict}: {}\n", result.status.message.clone().unwrap_or_default())
}
