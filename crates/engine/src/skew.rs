//! How far a worker's first request was from its intended instant. Noted by every core, read by `running.rs`.

use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError};

/// The earliest first request of all cores: when it was sent and when it was intended, nanoseconds since the start.
pub(crate) type Earliest = Arc<Mutex<Option<(u64, u64)>>>;

/// One core's view.
#[derive(Debug)]
pub(crate) struct FirstSent {
    noted: Cell<bool>,
    /// In the closed model the instant at which the core's first user was to begin; in the open one each request has its own.
    planned: Option<u64>,
    earliest: Earliest,
}

impl FirstSent {
    pub(crate) fn new(planned: Option<u64>, earliest: Earliest) -> Self {
        Self { noted: Cell::new(false), planned, earliest }
    }

    #[inline]
    pub(crate) fn note(&self, sent: u64, intended: u64) {
        if !self.noted.get() {
            self.note_first(sent, self.planned.unwrap_or(intended));
        }
    }

    #[cold]
    fn note_first(&self, sent: u64, intended: u64) {
        self.noted.set(true);
        let mut earliest = self.earliest.lock().unwrap_or_else(PoisonError::into_inner);
        if earliest.is_none_or(|(known, _)| sent < known) {
            *earliest = Some((sent, intended));
        }
    }
}

/// Sent minus intended of the earliest request, once there is one.
pub(crate) fn of(earliest: &Earliest) -> Option<u64> {
    let earliest = earliest.lock().unwrap_or_else(PoisonError::into_inner);
    earliest.map(|(sent, intended)| sent.saturating_sub(intended))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_first_request_of_all_cores_counts() {
        let earliest = Earliest::default();
        assert_eq!(of(&earliest), None);
        let (a, b) =
            (FirstSent::new(None, Arc::clone(&earliest)), FirstSent::new(Some(10), Arc::clone(&earliest)));
        a.note(900, 500);
        a.note(100, 100);
        assert_eq!(of(&earliest), Some(400));
        b.note(60, 60);
        assert_eq!(of(&earliest), Some(50));
    }
}
