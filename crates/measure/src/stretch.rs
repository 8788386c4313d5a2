//! A stretch of the run within one window and one second: what is counted of moments in it goes to the same places. Used by
//! `recorder.rs`, cut out of `windows.rs` and `seconds.rs`.

/// Where it begins, and how many nanoseconds long it is; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) from: u64,
    pub(crate) length: u64,
    /// Index of its second.
    pub(crate) slot: usize,
    /// Its window is judged.
    pub(crate) judged: bool,
}

impl Stretch {
    /// What two stretches, each with its beginning and length, have in common.
    pub(crate) fn common(a: (u64, u64), b: (u64, u64)) -> (u64, u64) {
        let end = |(from, length): (u64, u64)| from.saturating_add(length);
        let from = a.0.max(b.0);
        (from, end(a).min(end(b)).saturating_sub(from))
    }

    #[inline]
    pub(crate) fn has(&self, nanos: u64) -> bool {
        nanos.wrapping_sub(self.from) < self.length
    }
}

/// Requests that were asked for in a stretch, and not counted in its second yet.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) stretch: Stretch,
    pub(crate) asked: u64,
    /// Of them, those that begin an arrival.
    pub(crate) scheduled: u64,
}
