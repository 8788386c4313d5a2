//! What was lost on the way to a receiver: counted always, told once per outage, and once more when it is over. A log that says it a
//! thousand times helps nobody.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The state of one signal's way to its receiver.
#[derive(Debug)]
pub(super) struct Outage {
    /// What is lost, in the plural.
    what: &'static str,
    down: AtomicBool,
    lost: AtomicU64,
    told: AtomicU64,
}

impl Outage {
    pub(super) fn of(what: &'static str) -> Self {
        Self { what, down: AtomicBool::new(false), lost: AtomicU64::new(0), told: AtomicU64::new(0) }
    }

    /// So many were lost, or (0) could not be handed over yet.
    pub(super) fn lose(&self, count: usize, to: &str, why: &str) {
        self.lost.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
        if !self.down.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                receiver = to,
                why,
                "the OTLP receiver does not take {}; this is told once until it does",
                self.what
            );
        }
    }

    /// One was accepted.
    pub(super) fn accepted(&self, to: &str) {
        if self.down.swap(false, Ordering::Relaxed) {
            let lost = self.unsaid();
            tracing::info!(receiver = to, lost, "the OTLP receiver takes {} again", self.what);
        }
    }

    /// The last word: what was lost since the last time that something was said of it.
    pub(super) fn end(&self, to: &str) {
        let lost = self.unsaid();
        if lost > 0 {
            tracing::warn!(receiver = to, lost, "{} that the OTLP receiver did not get", self.what);
        }
    }

    /// How many were lost in all.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn unsaid(&self) -> u64 {
        let lost = self.lost();
        lost - self.told.swap(lost, Ordering::Relaxed).min(lost)
    }
}
