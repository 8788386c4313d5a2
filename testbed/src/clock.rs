//! The server's own time: the zero of its logs, and what time of day that was. Everything that the server writes into
//! an answer or a message has this clock, so a message's time and its place in the log agree to the microsecond.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The start of a server on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) origin: Instant,
    /// The origin in microseconds of Unix time.
    pub(crate) started_at_us: u64,
}

impl Clock {
    /// A clock that begins now.
    pub(crate) fn start() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { origin: Instant::now(), started_at_us: unix.as_micros() as u64 }
    }

    /// A moment in microseconds since the start.
    pub(crate) fn us(self, at: Instant) -> u64 {
        micros(at.saturating_duration_since(self.origin))
    }

    /// A moment in microseconds of Unix time.
    pub(crate) fn unix_us(self, at: Instant) -> u64 {
        self.started_at_us + self.us(at)
    }
}

/// Microseconds, rounded to the nearest.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from((time.as_nanos() + 500) / 1000).unwrap_or(u64::MAX)
}
