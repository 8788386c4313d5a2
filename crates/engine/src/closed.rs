//! The closed model on one core: the users of one load start and retire as the plan says, each sends one request after the other.
//! The schedule comes from `plimsoll_plan::GroupShare::users`, an iteration is in `iteration.rs`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;

use plimsoll_plan::{Interval, UserLife};
use plimsoll_scenario::{CompiledScenario, Memory, Rng, Stream};
use tokio::task::{AbortHandle, JoinSet};

use crate::clock::Timer;
use crate::core::{Budget, Core};
use crate::iteration::{begin_iteration, is_born};
use crate::lane::Lane;
use crate::span::Span;
use crate::steps::{Then, run};
use crate::thread::Load;
use crate::trace::{Part, TraceEvent};

/// One stretch of activity of one user.
#[derive(Clone, Copy, Debug)]
struct Stint {
    number: u64,
    scenario: usize,
    interval: Interval,
}

/// Users that a ramp retired and that may still be in an iteration, by when they are interrupted.
#[derive(Debug, Default)]
struct Retiring {
    due: BinaryHeap<Reverse<(u64, usize)>>,
    users: Vec<Option<AbortHandle>>,
}

impl Retiring {
    fn add(&mut self, at: u64, user: AbortHandle) {
        self.due.push(Reverse((at, self.users.len())));
        self.users.push(Some(user));
    }

    fn next(&self) -> u64 {
        self.due.peek().map_or(u64::MAX, |Reverse((at, _))| *at)
    }

    fn interrupt_due(&mut self, now: u64) {
        while self.next() <= now {
            let Some(Reverse((_, index))) = self.due.pop() else { return };
            if let Some(user) = self.users.get_mut(index).and_then(Option::take) {
                user.abort();
            }
        }
    }
}

/// Runs the users until the end of the load and until those in flight are done or out of time.
pub(crate) async fn drive(
    core: &Rc<Core>,
    timer: &Timer,
    load: &Load,
    lives: Vec<UserLife>,
    graceful_ramp_down: u64,
) {
    let mut stints: Vec<Stint> = lives.into_iter().flat_map(stints_of).collect();
    stints.sort_by_key(|stint| (stint.interval.start, stint.number));
    let mut stints = stints.into_iter().peekable();
    let mut users = JoinSet::new();
    let mut retiring = Retiring::default();
    let Load { span, budget } = load;
    let planned_end = span.end.get();
    loop {
        let now = core.clock.now();
        if span.is_over(now) || load.is_spent() || (stints.peek().is_none() && users.is_empty()) {
            break;
        }
        while let Some(stint) = stints.next_if(|stint| core.clock.has_reached(stint.interval.start)) {
            let user = users.spawn_local(user(Rc::clone(core), load.clone(), stint));
            if stint.interval.stop < planned_end {
                retiring.add(stint.interval.stop.saturating_add(graceful_ramp_down), user);
            }
        }
        retiring.interrupt_due(now);
        let start = stints.peek().map_or(u64::MAX, |stint| stint.interval.start);
        let next = start.min(retiring.next()).min(span.end.get());
        wait(core, timer, span, next, &mut users, budget.as_deref()).await;
    }
    span.ending.notify_waiters();
    while !users.is_empty() && core.clock.now() < span.hard_end.get() {
        let next = retiring.next().min(span.hard_end.get());
        wait(core, timer, span, next, &mut users, None).await;
        retiring.interrupt_due(core.clock.now());
        if span.is_over(core.clock.now()) {
            span.ending.notify_waiters();
        }
    }
    users.shutdown().await;
}

fn stints_of(life: UserLife) -> impl Iterator<Item = Stint> {
    let UserLife { number, scenario, intervals } = life;
    intervals.into_iter().map(move |interval| Stint { number, scenario, interval })
}

/// Until a moment, or until something else happens that the driver must look at.
async fn wait(
    core: &Core,
    timer: &Timer,
    span: &Span,
    until: u64,
    users: &mut JoinSet<()>,
    budget: Option<&Budget>,
) {
    let spent = async {
        match budget {
            Some(budget) => budget.until_spent().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = timer.sleep_until(core.clock.instant(until)) => {}
        () = span.wake.notified() => {}
        () = spent => {}
        Some(joined) = users.join_next() => report(joined),
    }
    while let Some(joined) = users.try_join_next() {
        report(joined);
    }
}

/// A user that panicked lost its own request only, which is counted as unfinished; the fault must not go unseen.
pub(crate) fn report(joined: Result<(), tokio::task::JoinError>) {
    if let Err(error) = joined
        && error.is_panic()
    {
        tracing::error!(%error, "a virtual user broke off; this is a fault of the load generator");
    }
}

/// One user from its start until it retires, or the load, its iterations or its data end.
async fn user(core: Rc<Core>, load: Load, stint: Stint) {
    let bound = core.bound.clone();
    let Some(scenario) = bound.scenarios.get(stint.scenario) else { return };
    let _active = core.active.users.one();
    core.user_began(core.clock.now().saturating_sub(stint.interval.start));
    let memory =
        Memory::new(&scenario.slots, Rng::new(core.seed, Stream::Member, stint.number), stint.number);
    let mut lane = Lane::new(memory, Rc::clone(&load.span), stint.interval.stop);
    if load.span.is_over(core.clock.now()) || load.is_spent() || !is_born(&core, &mut lane, scenario) {
        return;
    }
    if !scenario.on_start.is_empty() && Box::pin(start(&core, &mut lane, scenario)).await == Then::EndUser {
        return;
    }
    if live(&core, &load, &mut lane, scenario, stint.interval.stop).await && !scenario.on_stop.is_empty() {
        Box::pin(stop(&core, &mut lane, scenario)).await;
    }
}

async fn start(core: &Core, lane: &mut Lane, scenario: &CompiledScenario) -> Then {
    core.trace(|_| TraceEvent::Part(Part::Start));
    run(core, lane, &scenario.on_start).await
}

/// What is done at a good end goes on while there is time to finish.
async fn stop(core: &Core, lane: &mut Lane, scenario: &CompiledScenario) {
    core.trace(|_| TraceEvent::Part(Part::Stop));
    lane.finishing = true;
    run(core, lane, &scenario.on_stop).await;
}

/// Iterates with waits between; `false` if a step ended the user.
async fn live(core: &Core, load: &Load, lane: &mut Lane, scenario: &CompiledScenario, retires: u64) -> bool {
    loop {
        // Fairness towards the other users of the core, should no step ever wait.
        tokio::task::coop::consume_budget().await;
        let now = core.clock.now();
        if now >= retires || load.span.is_over(now) || !begins(core, load, lane) {
            return true;
        }
        let steps = begin_iteration(core, lane, scenario);
        lane.now = Some(now);
        let then = run(core, lane, steps).await;
        core.recorder().health().iterations += 1;
        if then == Then::EndUser {
            return false;
        }
        let Some(wait) = &scenario.wait else { continue };
        let length = wait.draw(&mut lane.memory.rng);
        core.trace(|_| TraceEvent::Pause { length, why: "wait" });
        let until = core.clock.now().saturating_add(length);
        let now = load.span.pause(&core.clock, until.min(retires), || load.is_spent()).await;
        if now >= until && until < retires {
            core.recorder().wait_ended(until, now - until);
        }
    }
}

/// Takes the rows of the next iteration, then the iteration: a row that is left over is nothing, an iteration without one would be.
#[inline]
fn begins(core: &Core, load: &Load, lane: &mut Lane) -> bool {
    !load.is_spent() && lane.memory.begin_iteration(&core.bound.shared, &mut core.rows()) && load.claim()
}
