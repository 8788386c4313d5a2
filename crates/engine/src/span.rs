//! How long one load, or the hooks, go on: until when work begins, until when it may finish, and who is woken when that comes
//! earlier than planned. One per load and core; moved by `thread.rs`, kept by `closed.rs`, `open.rs` and `hooks.rs`.

use std::cell::Cell;
use std::pin::pin;

use tokio::sync::Notify;

use crate::clock::Clock;

/// The time of one load on one core. Nanoseconds since the start of the run.
#[derive(Debug)]
pub(crate) struct Span {
    /// No work begins at or after this.
    pub(crate) end: Cell<u64>,
    /// Whatever is in flight then is unfinished.
    pub(crate) hard_end: Cell<u64>,
    /// Wakes the driver: the ends were moved, or the last lane became idle.
    pub(crate) wake: Notify,
    /// Wakes all that pause or wait for a place: the load ends.
    pub(crate) ending: Notify,
}

impl Span {
    pub(crate) fn new(end: u64, grace: u64) -> Self {
        Self {
            end: Cell::new(end),
            hard_end: Cell::new(end.saturating_add(grace)),
            wake: Notify::new(),
            ending: Notify::new(),
        }
    }

    /// Whether no work may begin any more.
    #[inline]
    pub(crate) fn is_over(&self, now: u64) -> bool {
        now >= self.end.get()
    }

    /// Ends the load at `now`, and what is in flight after `grace`; never later than it would have ended.
    pub(crate) fn stop(&self, now: u64, grace: u64) {
        self.end.set(self.end.get().min(now));
        self.hard_end.set(self.hard_end.get().min(now.saturating_add(grace)));
        self.wake.notify_one();
    }

    /// Does nothing until `until`, or until the load ends, or until `cut` holds when something ended. Returns the time.
    pub(crate) async fn pause(&self, clock: &Clock, until: u64, cut: impl Fn() -> bool) -> u64 {
        let mut sleep = pin!(tokio::time::sleep_until(clock.instant(until).into()));
        loop {
            let ending = self.ending.notified();
            let now = clock.now();
            if now >= until || self.is_over(now) || cut() {
                return now;
            }
            tokio::select! {
                () = sleep.as_mut() => {}
                () = ending => {}
            }
        }
    }
}
