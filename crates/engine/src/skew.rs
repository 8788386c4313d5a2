//! How far a worker's first request was from its intended instant. Noted by every core, read by `running.rs`.

use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError};

/// The earliest first request of all cores: when it was sent and when it was intended, nanoseconds since the start.
pub(crate) type Earliest = Arc<Mutex<Option<(u64, u64)>>>;

/// One core's view.
#[derive(Debug)]
pub(crate) struct FirstSent {
    noted: Cell<bool>,
    /// How much later than planned the core's first user of the closed model began. What it does before its first request (a pause, a
    /// step left out) is its own and not late.
    late: Cell<Option<u64>>,
    earliest: Earliest,
}

impl FirstSent {
    pub(crate) fn new(earliest: Earliest) -> Self {
        Self { noted: Cell::new(false), late: Cell::new(None), earliest }
    }

    /// A user began so much later than planned.
    #[inline]
    pub(crate) fn user_began(&self, late: u64) {
        if self.late.get().is_none() {
            self.late.set(Some(late));
        }
    }

    /// A request was sent.
    #[inline]
    pub(crate) fn note(&self, sent: u64, intended: u64) {
        if !self.noted.get() {
            self.note_first(sent, intended.saturating_sub(self.late.get().unwrap_or(0)));
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
        let (a, b) = (FirstSent::new(Arc::clone(&earliest)), FirstSent::new(Arc::clone(&earliest)));
        a.note(900, 500);
        a.note(100, 100);
        assert_eq!(of(&earliest), Some(400));
        // Its users were 50 late; the second one does not count.
        b.user_began(50);
        b.user_began(999);
        b.note(60, 60);
        assert_eq!(of(&earliest), Some(50));
    }
}
