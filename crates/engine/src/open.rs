//! The open model on one core: arrivals are begun when they are due, whatever the target does.
//! The schedule comes from `plimsoll_plan::Share::arrivals`, an iteration is in `iteration.rs`.
//!
//! An arrival runs in a lane; there are as many as were ever in flight at once, at most `maxInFlight`. While all are taken,
//! arrivals wait. That queue needs no memory: the schedule is computed twice, once by the pacer that counts what is due, once,
//! lagging behind, by whoever is free to serve.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::iter::Peekable;
use std::rc::Rc;
use std::task::{Poll, Waker};

use plimsoll_plan::{Arrival, Arrivals};
use plimsoll_scenario::{CompiledScenario, Rng, Stream};
use tokio::task::JoinSet;

use crate::clock::Timer;
use crate::closed::report;
use crate::core::Core;
use crate::flight::Flight;
use crate::iteration::{first_request, iterate};
use crate::request::Lane;

/// The load of one core.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) arrivals: Arrivals,
    /// Most arrivals in flight.
    pub(crate) max_in_flight: usize,
    /// Arrivals of the whole run, if they are limited.
    pub(crate) iterations: Option<u64>,
    /// A connection serves one arrival only.
    pub(crate) own_connections: bool,
}

/// What is due but not begun, and who is free.
#[derive(Debug)]
struct Desk {
    serving: RefCell<Arrivals>,
    due: Cell<u64>,
    served: Cell<u64>,
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
    /// The oldest arrival that waits.
    fn next(&self) -> Option<Arrival> {
        if self.served.get() == self.due.get() {
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
pub(crate) async fn drive(core: &Rc<Core>, timer: &Timer, open: Open) {
    let desk = Rc::new(Desk {
        serving: RefCell::new(open.arrivals.clone()),
        due: Cell::new(0),
        served: Cell::new(0),
        lanes: RefCell::default(),
        idle: RefCell::default(),
        own_connections: open.own_connections,
    });
    let mut lanes = JoinSet::new();
    let mut schedule = open.arrivals.peekable();
    let limited = open.iterations.unwrap_or(u64::MAX);
    loop {
        let next = count_due(core, &desk, &mut schedule, limited);
        begin(core, &desk, &mut lanes, open.max_in_flight);
        let exhausted = next.is_none() && desk.served.get() == desk.due.get() && desk.is_quiet();
        if core.is_over(core.clock.now()) || exhausted {
            break;
        }
        wait(core, timer, next.unwrap_or(u64::MAX).min(core.end.get()), &mut lanes).await;
    }
    // What fell due in the last moment still goes out if there is room for it.
    count_due(core, &desk, &mut schedule, limited);
    begin(core, &desk, &mut lanes, open.max_in_flight);
    core.ending.notify_waiters();
    while let Some(arrival) = desk.next() {
        record_unsent(core, arrival);
    }
    while !desk.is_quiet() && core.clock.now() < core.hard_end.get() {
        wait(core, timer, core.hard_end.get(), &mut lanes).await;
    }
    lanes.shutdown().await;
    // A lane that was stopped before it could begin its arrival.
    for place in desk.lanes.borrow().iter() {
        if let Some(arrival) = place.arrival.take() {
            record_unsent(core, arrival);
        }
    }
}

/// Counts what is due by now and says when the next arrival will be.
fn count_due(core: &Core, desk: &Desk, schedule: &mut Peekable<Arrivals>, limited: u64) -> Option<u64> {
    loop {
        let next = schedule.peek().filter(|arrival| arrival.number < limited).map(|arrival| arrival.at)?;
        if next >= core.end.get() {
            return None;
        }
        if !core.clock.has_reached(next) {
            return Some(next);
        }
        schedule.next();
        desk.due.set(desk.due.get() + 1);
        core.recorder().asked(next, true);
    }
}

/// Hands waiting arrivals to lanes while there is one free or one more allowed.
fn begin(core: &Rc<Core>, desk: &Rc<Desk>, tasks: &mut JoinSet<()>, max_in_flight: usize) {
    loop {
        let free = desk.idle.borrow_mut().pop();
        let count = desk.lanes.borrow().len();
        if free.is_none() && count >= max_in_flight {
            return;
        }
        let Some(arrival) = desk.next() else {
            desk.idle.borrow_mut().extend(free);
            return;
        };
        if let Some(index) = free {
            if let Some(place) = desk.lanes.borrow().get(index) {
                place.give(arrival);
            }
        } else {
            let place = Rc::new(Place::default());
            place.give(arrival);
            desk.lanes.borrow_mut().push(Rc::clone(&place));
            tasks.spawn_local(lane(Rc::clone(core), Rc::clone(desk), place, count));
        }
    }
}

async fn wait(core: &Core, timer: &Timer, until: u64, lanes: &mut JoinSet<()>) {
    tokio::select! {
        biased;
        () = timer.sleep_until(core.clock.instant(until)) => {}
        () = core.wake.notified() => {}
        Some(joined) = lanes.join_next() => report(joined),
    }
}

/// Serves arrivals one after the other; ends only with the run.
async fn lane(core: Rc<Core>, desk: Rc<Desk>, place: Rc<Place>, index: usize) {
    let bound = core.bound.clone();
    let mut lane = Lane::new(Rng::new(core.seed, Stream::Member, 0));
    let mut waiting = None;
    loop {
        let arrival = match waiting.take() {
            Some(arrival) => arrival,
            None => place.wait().await,
        };
        if let Some(scenario) = bound.scenarios.get(arrival.scenario) {
            lane.rng = Rng::new(core.seed, Stream::Member, arrival.number);
            iterate(&core, &mut lane, scenario, Some(arrival.at)).await;
            core.recorder().health().iterations += 1;
        }
        if desk.own_connections {
            lane.link = None;
        }
        let over = core.is_over(core.clock.now());
        waiting = if over { None } else { desk.next() };
        if waiting.is_some() {
            tokio::task::coop::consume_budget().await;
        } else {
            desk.idle.borrow_mut().push(index);
            // The driver waits for quiet: at the end, and when the schedule is exhausted.
            if desk.is_quiet() {
                core.wake.notify_one();
            }
        }
    }
}

/// Due within the run, but nobody was free to begin it.
fn record_unsent(core: &Core, arrival: Arrival) {
    let scenario: Option<&CompiledScenario> = core.bound.scenarios.get(arrival.scenario);
    let mut rng = Rng::new(core.seed, Stream::Member, arrival.number);
    let request = scenario.and_then(|scenario| first_request(scenario.action.iteration(&mut rng)));
    if let Some(request) = request {
        drop(Flight::scheduled(core, request, arrival.at));
    }
}
