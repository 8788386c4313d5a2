//! How far the operator's clock is ahead of ours, and the agreed instant on our monotonic clock. Pure; used by `client.rs`.

use std::time::{Duration, Instant};

use crate::Start;

/// The best of several round trips.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offset {
    /// Round trip and the other clock's lead in the middle of it, nanoseconds.
    best: Option<(u64, i128)>,
    samples: u32,
}

impl Offset {
    /// Adds a round trip that began at `sent` of our wall clock, took `trip`, and brought the other clock's `theirs`
    /// (nanoseconds).
    pub(crate) fn sample(&mut self, sent: u64, trip: u64, theirs: u64) {
        let lead = i128::from(theirs) - i128::from(sent) - i128::from(trip / 2);
        self.samples += 1;
        if self.best.is_none_or(|(best, _)| trip < best) {
            self.best = Some((trip, lead));
        }
    }

    /// How many round trips there were.
    pub(crate) fn samples(&self) -> u32 {
        self.samples
    }

    /// The other clock's lead: that of the shortest round trip, or 0 where it is below half of it and so may be none at all.
    pub(crate) fn lead(&self) -> i128 {
        match self.best {
            Some((trip, lead)) if lead.unsigned_abs() >= u128::from(trip / 2) => lead,
            _ => 0,
        }
    }
}

/// The instant that the other clock calls `at`, without captures; now, if it has passed.
pub(crate) fn agreed(at: u64, lead: i128, wall: u64, now: Instant) -> Start {
    let wait = i128::from(at) - lead - i128::from(wall);
    if wait < 0 {
        return Start { at: now, late: u64::try_from(wait.unsigned_abs()).unwrap_or(u64::MAX), setup: None };
    }
    let wait = Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX));
    Start { at: now.checked_add(wait).unwrap_or(now), late: 0, setup: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_round_trip_wins() {
        let mut offset = Offset::default();
        offset.sample(1_000, 900, 9_000_450);
        offset.sample(2_000, 100, 3_002_050);
        offset.sample(3_000, 200, 7_003_100);
        assert_eq!((offset.lead(), offset.samples()), (3_000_000, 3));
    }

    #[test]
    fn an_offset_below_half_the_round_trip_is_none() {
        for (theirs, lead) in
            [(1_100, 0), (1_000 + 50 + 49, 0), (1_000 + 50 + 50, 50), (1_000, -50), (1_001, 0), (0, -1_050)]
        {
            let mut offset = Offset::default();
            offset.sample(1_000, 100, theirs);
            let want = if theirs == 1_100 { 50 } else { lead };
            assert_eq!(offset.lead(), want, "{theirs}");
        }
        assert_eq!(Offset::default().lead(), 0);
    }

    #[test]
    fn the_agreed_instant_is_converted_once() {
        let now = Instant::now();
        let second = 1_000_000_000;
        let behind = agreed(50 * second, 3 * 1_000_000_000, 40 * second, now);
        assert_eq!(behind, Start { at: now + Duration::from_secs(7), late: 0, setup: None });
        let ahead = agreed(50 * second, -3 * 1_000_000_000, 40 * second, now);
        assert_eq!(ahead, Start { at: now + Duration::from_secs(13), late: 0, setup: None });
        let past = agreed(50 * second, 0, 51 * second, now);
        assert_eq!(past, Start { at: now, late: second, setup: None });
    }
}
