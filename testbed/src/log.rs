//! The server's own log of durations, which measured latencies are compared with. `ledger.rs` fills it.

use std::time::Duration;

/// One answered request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When the last byte of the request was read, in microseconds since the server's start.
    pub arrival_us: u64,
    /// From there to the last byte of the response written, in microseconds.
    pub duration_us: u32,
    /// The status of the answer.
    pub status: u16,
}

/// The answered requests of one path or of several, in the order of their arrival.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// The requests.
    pub entries: Vec<Entry>,
    /// Whether later requests are missing because the log was full.
    pub truncated: bool,
}

impl Log {
    /// The nearest-rank percentile of the durations, `q` from 0 to 1: the duration of rank ⌈q·n⌉, at least 1.
    pub fn percentile(&self, q: f64) -> Option<Duration> {
        percentile(&self.sorted_us(), q)
    }

    /// All durations in microseconds, the shortest first.
    pub(crate) fn sorted_us(&self) -> Vec<u32> {
        let mut durations: Vec<u32> = self.entries.iter().map(|entry| entry.duration_us).collect();
        durations.sort_unstable();
        durations
    }
}

/// The nearest-rank percentile of sorted microseconds.
pub(crate) fn percentile(sorted_us: &[u32], q: f64) -> Option<Duration> {
    // A quantile like 0.07 times 100 is 7.000000000000001 in binary; the ceiling must not count that as 8.
    let rank = (q * sorted_us.len() as f64 - 1e-9).ceil().max(1.0) as usize;
    let found = sorted_us.get(rank.min(sorted_us.len()).checked_sub(1)?)?;
    Some(Duration::from_micros(u64::from(*found)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_rank() {
        let hundred: Vec<u32> = (1..=100).collect();
        let of = |q| percentile(&hundred, q).unwrap().as_micros();
        assert_eq!([of(0.0), of(0.07), of(0.5), of(0.95), of(0.951), of(1.0)], [1, 7, 50, 95, 96, 100]);
        assert_eq!(percentile(&[], 0.5), None);
    }
}
