//! A core watches itself: how late its event loop comes to what is ready, and what holds up arrivals that are due. Spawned by
//! `thread.rs`; the arrivals wait in `open.rs`, what is seen goes into the health of `crates/measure`.
//!
//! A timer of its own goes off a hundred times a second. It waits in line as every response does, so that its delay is a fair sample
//! of what the generator itself adds to latencies; a moment that was missed altogether counts with its whole delay.

use std::cell::Cell;
use std::rc::Rc;

use plimsoll_measure::Held;

use crate::clock::{Timer, monotonic};
use crate::core::Core;
use crate::span::Span;

/// Between two looks, nanoseconds.
const EVERY: u64 = 10_000_000;

/// A core that slept for less than one part in this many had no time left.
const SPARE: u64 = 10;

thread_local! {
    /// When this thread's event loop last fell asleep, and for how long it has slept in all: nanoseconds.
    static SLEEP: Cell<(i64, u64)> = const { Cell::new((0, 0)) };
}

/// The event loop has nothing to do, and waits.
pub(crate) fn falls_asleep() {
    SLEEP.set((monotonic(), SLEEP.get().1));
}

/// Something came.
pub(crate) fn wakes_up() {
    let (since, slept) = SLEEP.get();
    let now = monotonic();
    SLEEP.set((now, slept + u64::try_from(now - since).unwrap_or(0)));
}

/// What is known of a core at one moment.
#[derive(Clone, Copy, Debug)]
struct Look {
    at: u64,
    slept: u64,
    /// Arrivals begun so far.
    begun: u64,
}

impl Look {
    fn at(core: &Core) -> Self {
        let begun = core.desks().iter().map(|desk| desk.begun()).sum();
        Self { at: core.clock.now(), slept: SLEEP.get().1, begun }
    }
}

/// Who waits on a core.
#[derive(Clone, Copy, Debug, Default)]
struct Waiting {
    /// An arrival is due and not begun.
    arrivals: bool,
    /// It is not begun since as many are under way as may be.
    full: bool,
    /// Arrivals under way.
    under_way: usize,
    /// Of them, without a connection since all are in use.
    for_connections: usize,
    /// Of them, without a place in a capped step.
    for_limits: usize,
}

impl Waiting {
    fn on(core: &Core) -> Self {
        let desks = core.desks();
        let for_connections = if desks.is_empty() { 0 } else { core.pool.waiting() };
        Self {
            arrivals: desks.iter().any(|desk| desk.waits()),
            full: desks.iter().any(|desk| desk.waits() && desk.is_full()),
            under_way: desks.iter().map(|desk| desk.under_way()).sum(),
            for_connections,
            for_limits: core.waiting_for_limits.get(),
        }
    }

    /// What holds up whoever waits, in a stretch of time of which the core was busy for a part.
    fn held(self, length: u64, busy: u64) -> Held {
        let none = Held::default();
        let responses = self.under_way.saturating_sub(self.for_connections + self.for_limits);
        if !self.arrivals && self.for_connections == 0 {
            none
        } else if busy >= length - length / SPARE || (self.arrivals && !self.full) {
            Held { generator: length, ..none }
        } else if !self.arrivals || self.for_connections > responses.max(self.for_limits) {
            Held { connections: length, ..none }
        } else if self.for_limits > responses {
            Held { limits: length, ..none }
        } else {
            Held { target: length, ..none }
        }
    }
}

/// Looks again and again until the core's loads are over, or it is dropped: what is only waited for then says nothing of the load.
pub(crate) async fn watch(core: Rc<Core>, timer: Timer, loads: Vec<Rc<Span>>) {
    let mut due = core.clock.now().next_multiple_of(EVERY);
    let mut before = None;
    loop {
        timer.sleep_until(core.clock.instant(due)).await;
        let look = Look::at(&core);
        let late = look.at.saturating_sub(due);
        while due <= look.at {
            core.recorder().lagged(due, look.at - due);
            due = due.saturating_add(EVERY);
        }
        if let Some(before) = before.replace(look) {
            note(&core, before, look, late);
        }
        if loads.iter().all(|load| load.is_over(look.at)) {
            return;
        }
    }
}

/// Notes who waited between two looks. A core that comes late is busy, or another has its processor.
fn note(core: &Core, before: Look, now: Look, late: u64) {
    let length = now.at.saturating_sub(before.at);
    let busy = length.saturating_sub(now.slept - before.slept).max(late);
    let held = Waiting::on(core).held(length, busy);
    if held != Held::default() {
        let carried = if held.generator > 0 { now.begun - before.begun } else { 0 };
        core.recorder().held(before.at, held, carried);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY: u64 = 95;
    const IDLE: u64 = 40;

    /// Who waits, how busy the core is of 100, and what it is put down to: generator, target, connections, limits.
    fn put_down(waiting: Waiting, busy: u64) -> [u64; 4] {
        let Held { generator, target, connections, limits } = waiting.held(100, busy);
        [generator, target, connections, limits]
    }

    #[test]
    fn what_holds_arrivals_up_is_told_apart() {
        let full = Waiting { arrivals: true, full: true, under_way: 40, ..Waiting::default() };
        assert_eq!(put_down(full, IDLE), [0, 100, 0, 0], "the target answers too slowly");
        assert_eq!(put_down(full, BUSY), [100, 0, 0, 0], "the core has no time left");
        assert_eq!(put_down(full, 90), [100, 0, 0, 0]);
        assert_eq!(put_down(full, 89), [0, 100, 0, 0]);
        let few = Waiting { for_connections: 10, for_limits: 5, ..full };
        assert_eq!(put_down(few, IDLE), [0, 100, 0, 0], "most wait for the target");
        let dry = Waiting { for_connections: 30, ..full };
        assert_eq!(put_down(dry, IDLE), [0, 0, 100, 0]);
        assert_eq!(put_down(dry, BUSY), [100, 0, 0, 0]);
        assert_eq!(put_down(Waiting { for_limits: 30, ..full }, IDLE), [0, 0, 0, 100]);
        let free = Waiting { full: false, ..full };
        assert_eq!(put_down(free, IDLE), [100, 0, 0, 0], "there was room to begin it");
    }

    #[test]
    fn connections_hold_up_what_has_begun_and_nothing_else_does() {
        let begun = Waiting { under_way: 40, ..Waiting::default() };
        assert_eq!(put_down(begun, BUSY), [0; 4]);
        assert_eq!(put_down(Waiting { for_limits: 40, ..begun }, IDLE), [0; 4], "a place is no lateness");
        assert_eq!(put_down(Waiting { for_connections: 1, ..begun }, IDLE), [0, 0, 100, 0]);
        assert_eq!(put_down(Waiting { for_connections: 1, ..begun }, BUSY), [100, 0, 0, 0]);
    }

    #[test]
    fn sleep_is_counted_while_it_lasts() {
        let slept = || SLEEP.get().1;
        let before = slept();
        falls_asleep();
        std::thread::sleep(std::time::Duration::from_millis(2));
        wakes_up();
        let after = slept();
        assert!(after - before >= 2_000_000, "{after} {before}");
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert_eq!(slept(), after);
    }
}
