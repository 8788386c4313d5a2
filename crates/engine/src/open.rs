//! The open model on one core: the arrivals of one load are begun when they are due, whatever the target does.
//! The schedule comes from `plimsoll_plan::GroupShare::arrivals`, what an arrival does is in `iteration.rs`.
//!
//! An arrival runs in a lane; there are as many as were ever in flight at once, at most `maxInFlight`. While all are taken,
//! arrivals wait. That queue needs no memory: the schedule is computed twice, once by the pacer that counts what is due, once,
//! lagging behind, by whoever is free to serve.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::iter::Peekable;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};

use plimsoll_plan::{Arrival, Arrivals};
use plimsoll_scenario::{CompiledScenario, CompiledStep, Memory, Rng, Stream};
use tokio::task::JoinSet;

use crate::clock::Timer;
use crate::closed::report;
use crate::core::Core;
use crate::flight::Flight;
use crate::iteration::{begin_iteration, is_born, steps_of};
use crate::lane::Lane;
use crate::span::Span;
use crate::steps::{Then, first_request, run};

/// Lanes that are added before the event loop looks at sockets again. A lane opens a connection, which costs ten requests; one that
/// has its answer meanwhile serves the next arrival at once. Without a bound a late core would only open more and more of them.
const NEW_AT_ONCE: usize = 16;

/// Arrivals counted as unsent before others have their turn.
const AT_ONCE: usize = 64;

/// The load of one core.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) arrivals: Arrivals,
    /// Most arrivals in flight.
    pub(crate) max_in_flight: usize,
    /// Number of the first arrival that is not made any more, if they are limited.
    pub(crate) limited: Option<u64>,
    /// A connection serves one arrival only.
    pub(crate) own_connections: bool,
}

/// What is due but not begun, and who is free.
#[derive(Debug)]
pub(crate) struct Desk {
    serving: RefCell<Arrivals>,
    due: Cell<u64>,
    /// Of those due, taken from the queue.
    served: Cell<u64>,
    /// Of those taken, begun; the others are unsent.
    begun: Cell<u64>,
    max_in_flight: usize,
    lanes: RefCell<Vec<Rc<Place>>>,
    idle: RefCell<Vec<usize>>,
    own_connections: bool,
}

/// Where an idle lane finds its next arrival.
#[derive(Debug, Default)]
struct Place {
    arrival: Cell<Option<Arrival>>,
    waker: RefCell<Option<Waker>>,
}

impl Place {
    fn give(&self, arrival: Arrival) {
        self.arrival.set(Some(arrival));
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    async fn wait(&self) -> Arrival {
        poll_fn(|cx| match self.arrival.take() {
            Some(arrival) => Poll::Ready(arrival),
            None => {
                // A task keeps its waker; it is stored once.
                let mut waker = self.waker.borrow_mut();
                if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                    *waker = Some(cx.waker().clone());
                }
                Poll::Pending
            }
        })
        .await
    }
}

impl Desk {
    fn new(open: &Open) -> Self {
        Self {
            serving: RefCell::new(open.arrivals.clone()),
            due: Cell::new(0),
            served: Cell::new(0),
            begun: Cell::new(0),
            max_in_flight: open.max_in_flight,
            lanes: RefCell::default(),
            idle: RefCell::default(),
            own_connections: open.own_connections,
        }
    }

    /// Whether an arrival is due and not begun.
    pub(crate) fn waits(&self) -> bool {
        self.served.get() < self.due.get()
    }

    /// Arrivals under way.
    pub(crate) fn under_way(&self) -> usize {
        self.lanes.borrow().len() - self.idle.borrow().len()
    }

    /// Whether as many arrivals are under way as may be.
    pub(crate) fn is_full(&self) -> bool {
        self.under_way() >= self.max_in_flight
    }

    /// Arrivals begun so far.
    pub(crate) fn begun(&self) -> u64 {
        self.begun.get()
    }

    /// The oldest arrival that waits, to be begun.
    fn begin(&self) -> Option<Arrival> {
        let arrival = self.next()?;
        self.begun.set(self.begun.get() + 1);
        Some(arrival)
    }

    /// The oldest arrival that waits.
    fn next(&self) -> Option<Arrival> {
        if !self.waits() {
            return None;
        }
        self.served.set(self.served.get() + 1);
        self.serving.borrow_mut().next()
    }

    fn is_quiet(&self) -> bool {
        self.idle.borrow().len() == self.lanes.borrow().len()
    }
}

/// Begins arrivals as they fall due until the end of the load, and waits for those in flight while they have time.
pub(crate) async fn drive(core: &Rc<Core>, timer: &Timer, span: &Rc<Span>, open: Open) {
    let desk = Rc::new(Desk::new(&open));
    core.add_desk(Rc::clone(&desk));
    let mut lanes = JoinSet::new();
    let mut schedule = open.arrivals.peekable();
    let limited = open.limited.unwrap_or(u64::MAX);
    loop {
        let next = count_due(core, span, &desk, &mut schedule, limited);
        let more = begin(core, span, &desk, &mut lanes, NEW_AT_ONCE);
        let exhausted = next.is_none() && !desk.waits() && desk.is_quiet();
        if span.is_over(core.clock.now()) || exhausted {
            break;
        }
        if more {
            tokio::task::yield_now().await;
        } else {
            wait(core, timer, span, next.unwrap_or(u64::MAX).min(span.end.get()), &mut lanes).await;
        }
    }
    // What fell due in the last moment still goes out if there is room for it.
    count_due(core, span, &desk, &mut schedule, limited);
    begin(core, span, &desk, &mut lanes, usize::MAX);
    span.ending.notify_waiters();
    give_up(core, span, &desk).await;
    while !desk.is_quiet() && core.clock.now() < span.hard_end.get() {
        wait(core, timer, span, span.hard_end.get(), &mut lanes).await;
    }
    lanes.shutdown().await;
    // A lane that was stopped before it could begin its arrival.
    let mut lane = new_lane(core, span);
    for place in desk.lanes.borrow().iter() {
        if let Some(arrival) = place.arrival.take() {
            record_unsent(core, &mut lane, &arrival);
        }
    }
}

/// Counts as unsent what still waits at the end of the load. What is in flight goes on meanwhile: its responses are not to wait for
/// a long queue to be counted.
async fn give_up(core: &Core, span: &Rc<Span>, desk: &Desk) {
    let mut lane = new_lane(core, span);
    let mut counted = 0_usize;
    while let Some(arrival) = desk.next() {
        record_unsent(core, &mut lane, &arrival);
        counted += 1;
        if counted.is_multiple_of(AT_ONCE) && core.clock.now() < span.hard_end.get() {
            tokio::task::yield_now().await;
        }
    }
}

/// Counts what is due by now and says when the next arrival will be. What falls due meanwhile is left to the next time, so that a
/// schedule faster than it can be counted does not keep the core for ever.
fn count_due(
    core: &Core,
    span: &Span,
    desk: &Desk,
    schedule: &mut Peekable<Arrivals>,
    limited: u64,
) -> Option<u64> {
    let now = core.clock.has_reached(0).then(|| core.clock.now());
    loop {
        let next = schedule.peek().filter(|arrival| arrival.number < limited).map(|arrival| arrival.at)?;
        if next >= span.end.get() {
            return None;
        }
        if now.is_none_or(|now| now < next) {
            return Some(next);
        }
        schedule.next();
        desk.due.set(desk.due.get() + 1);
        core.recorder().asked(next, true);
    }
}

/// Hands waiting arrivals to lanes while there is one free or one more allowed, and adds `new` of them at most. True if more could begin.
fn begin(core: &Rc<Core>, span: &Rc<Span>, desk: &Rc<Desk>, tasks: &mut JoinSet<()>, mut new: usize) -> bool {
    loop {
        let free = desk.idle.borrow_mut().pop();
        let count = desk.lanes.borrow().len();
        if free.is_none() && (count >= desk.max_in_flight || new == 0) {
            return count < desk.max_in_flight && desk.waits();
        }
        let Some(arrival) = desk.begin() else {
            desk.idle.borrow_mut().extend(free);
            return false;
        };
        if let Some(index) = free {
            if let Some(place) = desk.lanes.borrow().get(index) {
                place.give(arrival);
            }
        } else {
            new -= 1;
            let place = Rc::new(Place::default());
            place.give(arrival);
            desk.lanes.borrow_mut().push(Rc::clone(&place));
            tasks.spawn_local(lane(Rc::clone(core), Rc::clone(span), Rc::clone(desk), place, count));
        }
    }
}

async fn wait(core: &Core, timer: &Timer, span: &Span, until: u64, lanes: &mut JoinSet<()>) {
    tokio::select! {
        biased;
        () = timer.sleep_until(core.clock.instant(until)) => {}
        () = span.wake.notified() => {}
        Some(joined) = lanes.join_next() => report(joined),
    }
}

/// Serves arrivals one after the other; ends only with the load.
async fn lane(core: Rc<Core>, span: Rc<Span>, desk: Rc<Desk>, place: Rc<Place>, index: usize) {
    let mut lane = new_lane(&core, &span);
    let mut waiting = None;
    loop {
        let arrival = match waiting.take() {
            Some(arrival) => arrival,
            None => place.wait().await,
        };
        serve(&core, &mut lane, arrival).await;
        if desk.own_connections {
            lane.link = None;
        }
        let over = span.is_over(core.clock.now());
        waiting = if over { None } else { desk.begin() };
        if waiting.is_some() {
            tokio::task::coop::consume_budget().await;
        } else {
            desk.idle.borrow_mut().push(index);
            // The driver waits for quiet: at the end, and when the schedule is exhausted.
            if desk.is_quiet() {
                span.wake.notify_one();
            }
        }
    }
}

fn new_lane(core: &Core, span: &Rc<Span>) -> Lane {
    let memory = Memory::new(&Arc::default(), Rng::new(core.seed, Stream::Member, 0), 0);
    Lane::new(memory, Rc::clone(span), u64::MAX)
}

/// One arrival: a user of its own, with one iteration.
async fn serve(core: &Core, lane: &mut Lane, arrival: Arrival) {
    let Some(scenario) = core.bound.scenarios.get(arrival.scenario) else { return };
    let _active = core.active.users.one();
    renew(core, lane, scenario, &arrival);
    lane.due = Some(arrival.at);
    let begins =
        is_born(core, lane, scenario) && lane.memory.begin_iteration(&core.bound.shared, &mut core.rows());
    let steps = if begins { begin_iteration(core, lane, scenario) } else { &[] };
    let then = run(core, lane, steps).await;
    core.recorder().health().iterations += u64::from(begins);
    // It made no request. One that could have made its first before the end of the load, and did not, is as undone as one that was
    // not begun; the first request of one that pauses was due after it. One that found no data is not delivered: nothing went out.
    if let Some(due) = lane.due.take() {
        if then == Then::Over && !lane.span.is_over(due) {
            unsent(core, steps, due);
        } else if begins {
            core.recorder().served(arrival.at);
        } else {
            core.recorder().found_no_data(arrival.at);
        }
    }
}

fn renew(core: &Core, lane: &mut Lane, scenario: &CompiledScenario, arrival: &Arrival) {
    let rng = Rng::new(core.seed, Stream::Member, arrival.number);
    lane.memory.renew(&scenario.slots, rng, arrival.number);
}

/// Due within the load, but nobody was free to begin it.
fn record_unsent(core: &Core, lane: &mut Lane, arrival: &Arrival) {
    let Some(scenario) = core.bound.scenarios.get(arrival.scenario) else { return };
    renew(core, lane, scenario, arrival);
    unsent(core, steps_of(core, lane, scenario), arrival.at);
}

/// Records the first request of an arrival as never sent.
fn unsent(core: &Core, steps: &[CompiledStep], due: u64) {
    if let Some(request) = first_request(steps) {
        drop(Flight::scheduled(core, request, due));
    }
}
