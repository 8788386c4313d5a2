//! The last runs of a test, whatever started them. Used by `mirror.rs`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;

use super::RunRecord;
use crate::v1alpha1::{HistoryEntry, LoadTestRunStatus};

/// Most entries of a LoadTest's history.
pub const HISTORY: usize = 10;

/// The runs that exist, and those of the history so far that do not exist any more and had a verdict; newest first.
pub(super) fn history(runs: &[RunRecord], before: &[HistoryEntry]) -> Vec<HistoryEntry> {
    let gone = before.iter().filter(|entry| runs.iter().all(|run| run.name != entry.name));
    let gone = gone.filter(|entry| entry.verdict.is_some());
    let gone = gone.map(|entry| (begun(entry).unwrap_or(Timestamp::MIN), entry.clone()));
    let known = runs.iter().map(|run| (run.created, entry(run)));
    let mut entries: Vec<(Timestamp, HistoryEntry)> = known.chain(gone).collect();
    entries.sort_by(|(one, a), (other, b)| {
        (other, turn(b.started_at.as_ref()))
            .cmp(&(one, turn(a.started_at.as_ref())))
            .then_with(|| a.name.cmp(&b.name))
    });
    entries.into_iter().map(|(_, entry)| entry).take(HISTORY).collect()
}

/// Tells runs apart that were made in the same second, of which objects have no fractions: they start one after the other, and one
/// that has not started is still to come.
pub(super) fn turn(started: Option<&MicroTime>) -> Timestamp {
    started.map_or(Timestamp::MAX, |time| time.0)
}

/// The nearest to when it was made that an entry tells.
fn begun(entry: &HistoryEntry) -> Option<Timestamp> {
    let started = entry.started_at.as_ref().map(|time| time.0);
    started.or(entry.finished_at.as_ref().map(|time| time.0))
}

fn entry(run: &RunRecord) -> HistoryEntry {
    let unknown = LoadTestRunStatus::default();
    let status = run.status.unwrap_or(&unknown);
    let summary = status.summary.as_ref();
    HistoryEntry {
        name: run.name.to_owned(),
        cause: Some(run.cause.as_str().to_owned()),
        verdict: status.verdict,
        reason: status.reason.clone(),
        slos_met: status.slos_met.clone().filter(|_| status.verdict.is_some()),
        p95: summary.and_then(|summary| summary.p95.clone()).filter(|_| status.verdict.is_some()),
        errors: summary.and_then(|summary| summary.errors.clone()).filter(|_| status.verdict.is_some()),
        started_at: status.started_at.clone(),
        finished_at: status.finished_at.clone(),
    }
}
