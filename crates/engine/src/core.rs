//! What the tasks of one core share: recorder, buffer, connections, limits of the run. Never leaves its thread.
//! Made and driven by `thread.rs`; the load comes from `closed.rs` or `open.rs`.

use std::cell::{Cell, RefCell, RefMut};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use plimsoll_measure::Recorder;
use plimsoll_scenario::{Bound, Origin};
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::dial::{Destination, Dialer};
use crate::pool::Pool;
use crate::skew::FirstSent;

/// Bytes read at once. One per core: a user that waits for a response holds no buffer.
const BUFFER: usize = 64 * 1024;

/// Iterations left to the worker, if the plan limits them; shared by its cores, touched once per iteration.
#[derive(Debug)]
pub(crate) struct Budget {
    left: AtomicU64,
    spent: Notify,
}

impl Budget {
    pub(crate) fn new(iterations: u64) -> Self {
        Self { left: AtomicU64::new(iterations), spent: Notify::new() }
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }

    pub(crate) async fn until_spent(&self) {
        let spent = self.spent.notified();
        if !self.is_spent() {
            spent.await;
        }
    }

    fn claim(&self) -> bool {
        let claimed =
            self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if claimed == Ok(1) {
            self.spent.notify_waiters();
        }
        claimed.is_ok()
    }
}

/// What a core is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) clock: Clock,
    pub(crate) seed: u64,
    pub(crate) bound: Arc<Bound>,
    pub(crate) recorder: Recorder,
    pub(crate) destination: Destination,
    pub(crate) origin: Origin,
    pub(crate) dialer: Dialer,
    pub(crate) pool: Pool,
    pub(crate) first: FirstSent,
    pub(crate) budget: Option<Arc<Budget>>,
    /// No request begins at or after this.
    pub(crate) end: u64,
    /// Whatever is in flight then is unfinished.
    pub(crate) hard_end: u64,
}

/// One core.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) clock: Clock,
    pub(crate) seed: u64,
    pub(crate) bound: Arc<Bound>,
    pub(crate) destination: Destination,
    pub(crate) origin: Origin,
    pub(crate) dialer: Dialer,
    pub(crate) pool: Pool,
    pub(crate) budget: Option<Arc<Budget>>,
    pub(crate) end: Cell<u64>,
    pub(crate) hard_end: Cell<u64>,
    /// Wakes the driver: the ends were moved, or the last lane became idle.
    pub(crate) wake: Notify,
    /// Wakes all pausing users: the run ends.
    pub(crate) ending: Notify,
    first: FirstSent,
    recorder: RefCell<Recorder>,
    buffer: RefCell<Box<[u8]>>,
}

impl Core {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            clock: parts.clock,
            seed: parts.seed,
            bound: parts.bound,
            destination: parts.destination,
            origin: parts.origin,
            dialer: parts.dialer,
            pool: parts.pool,
            budget: parts.budget,
            end: Cell::new(parts.end),
            hard_end: Cell::new(parts.hard_end),
            wake: Notify::new(),
            ending: Notify::new(),
            first: parts.first,
            recorder: RefCell::new(parts.recorder),
            buffer: RefCell::new(vec![0; BUFFER].into()),
        }
    }

    /// Borrowed for a call, never across an await.
    #[inline]
    pub(crate) fn recorder(&self) -> RefMut<'_, Recorder> {
        self.recorder.borrow_mut()
    }

    /// The read buffer; borrowed within one poll.
    #[inline]
    pub(crate) fn buffer(&self) -> RefMut<'_, Box<[u8]>> {
        self.buffer.borrow_mut()
    }

    /// Whether no request may begin any more.
    #[inline]
    pub(crate) fn is_over(&self, now: u64) -> bool {
        now >= self.end.get()
    }

    /// Ends the load now, and what is in flight after `grace`; never later than it would have ended.
    pub(crate) fn stop(&self, grace: u64) {
        let now = self.clock.now();
        self.end.set(self.end.get().min(now));
        self.hard_end.set(self.hard_end.get().min(now.saturating_add(grace)));
        self.wake.notify_one();
    }

    /// Takes one iteration from the budget; `false` if none is left.
    #[inline]
    pub(crate) fn claim_iteration(&self) -> bool {
        self.budget.as_ref().is_none_or(|budget| budget.claim())
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.budget.as_ref().is_some_and(|budget| budget.is_spent())
    }

    /// Notes the first request of this core for the worker's start skew.
    #[inline]
    pub(crate) fn sent_first(&self, sent: u64, intended: u64) {
        self.first.note(sent, intended);
    }

    /// Does nothing until `until`, or until the run ends, or until `cut` holds when something ended. Returns the time.
    pub(crate) async fn pause(&self, until: u64, cut: impl Fn() -> bool) -> u64 {
        let mut sleep = pin!(tokio::time::sleep_until(self.clock.instant(until).into()));
        loop {
            let ending = self.ending.notified();
            let now = self.clock.now();
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
