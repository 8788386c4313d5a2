//! Merging and folding of the per-second series. Made by `seconds.rs`, part of `snapshot.rs`.

use crate::Second;
use crate::merge::merge_objectives;

impl Second {
    /// Adds the counts of the same second, or of one that is folded into it.
    pub fn merge(&mut self, other: &Self) {
        for (sum, n) in [
            (&mut self.asked, other.asked),
            (&mut self.sent, other.sent),
            (&mut self.failed, other.failed),
            (&mut self.complete, other.complete),
            (&mut self.incomplete, other.incomplete),
        ] {
            *sum = sum.saturating_add(n);
        }
        merge_objectives(&mut self.objectives, &other.objectives);
        self.latency.merge(&other.latency);
    }
}

/// Adds one ascending series to another.
pub fn merge_series(series: &mut Vec<Second>, other: &[Second]) {
    for second in other {
        match series.binary_search_by_key(&second.second, |known| known.second) {
            Ok(at) => series[at].merge(second),
            Err(at) => series.insert(at, second.clone()),
        }
    }
}

/// Folds an ascending series until it spans at most `max_points` points, and returns the seconds per point: a power of two, so that a
/// folded series can go on growing and be folded again. A point carries the first of its seconds.
pub fn coalesce(series: &mut Vec<Second>, max_points: u32) -> u32 {
    let seconds = series.last().map_or(0, |last| u64::from(last.second) + 1);
    let per_point = seconds.div_ceil(u64::from(max_points.max(1))).next_power_of_two().min(1 << 31) as u32;
    if per_point > 1 {
        let mut folded: Vec<Second> = Vec::with_capacity(max_points as usize);
        for mut second in series.drain(..) {
            second.second -= second.second % per_point;
            match folded.last_mut().filter(|last| last.second == second.second) {
                Some(last) => last.merge(&second),
                None => folded.push(second),
            }
        }
        *series = folded;
    }
    per_point
}
