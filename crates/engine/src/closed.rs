//! The closed model on one core: users start and retire as the plan says, each sends one request after the other.
//! The schedule comes from `plimsoll_plan::Share::users`, an iteration is in `iteration.rs`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;

use plimsoll_plan::{Interval, UserLife};
use plimsoll_scenario::{Rng, Stream};
use tokio::task::{AbortHandle, JoinSet};

use crate::clock::Timer;
use crate::core::{Budget, Core};
use crate::iteration::iterate;
use crate::request::Lane;

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
pub(crate) async fn drive(core: &Rc<Core>, timer: &Timer, lives: Vec<UserLife>, graceful_ramp_down: u64) {
    let mut stints: Vec<Stint> = lives.into_iter().flat_map(stints_of).collect();
    stints.sort_by_key(|stint| (stint.interval.start, stint.number));
    let mut stints = stints.into_iter().peekable();
    let mut users = JoinSet::new();
    let mut retiring = Retiring::default();
    let planned_end = core.end.get();
    loop {
        let now = core.clock.now();
        if core.is_over(now) || core.is_spent() || (stints.peek().is_none() && users.is_empty()) {
            break;
        }
        while let Some(stint) = stints.next_if(|stint| core.clock.has_reached(stint.interval.start)) {
            let user = users.spawn_local(user(Rc::clone(core), stint));
            if stint.interval.stop < planned_end {
                retiring.add(stint.interval.stop.saturating_add(graceful_ramp_down), user);
            }
        }
        retiring.interrupt_due(now);
        let start = stints.peek().map_or(u64::MAX, |stint| stint.interval.start);
        let next = start.min(retiring.next()).min(core.end.get());
        wait(core, timer, next, &mut users, core.budget.as_deref()).await;
    }
    core.ending.notify_waiters();
    while !users.is_empty() && core.clock.now() < core.hard_end.get() {
        let next = retiring.next().min(core.hard_end.get());
        wait(core, timer, next, &mut users, None).await;
        retiring.interrupt_due(core.clock.now());
        if core.is_over(core.clock.now()) {
            core.ending.notify_waiters();
        }
    }
    users.shutdown().await;
}

fn stints_of(life: UserLife) -> impl Iterator<Item = Stint> {
    let UserLife { number, scenario, intervals } = life;
    intervals.into_iter().map(move |interval| Stint { number, scenario, interval })
}

/// Until a moment, or until something else happens that the driver must look at.
async fn wait(core: &Core, timer: &Timer, until: u64, users: &mut JoinSet<()>, budget: Option<&Budget>) {
    let spent = async {
        match budget {
            Some(budget) => budget.until_spent().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = timer.sleep_until(core.clock.instant(until)) => {}
        () = core.wake.notified() => {}
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

/// One user from its start until it retires, or the run or its iterations end.
async fn user(core: Rc<Core>, stint: Stint) {
    let bound = core.bound.clone();
    let Some(scenario) = bound.scenarios.get(stint.scenario) else { return };
    let mut lane = Lane::new(Rng::new(core.seed, Stream::Member, stint.number));
    loop {
        // Fairness towards the other users of the core, should no step ever wait.
        tokio::task::coop::consume_budget().await;
        let now = core.clock.now();
        if now >= stint.interval.stop || core.is_over(now) || !core.claim_iteration() {
            return;
        }
        iterate(&core, &mut lane, scenario, None).await;
        core.recorder().health().iterations += 1;
        let Some(wait) = scenario.wait else { continue };
        let until = core.clock.now().saturating_add(wait.draw(&mut lane.rng));
        let now = core.pause(until.min(stint.interval.stop), || core.is_spent()).await;
        if now >= until && until < stint.interval.stop {
            core.recorder().wait_ended(until, now - until);
        }
    }
}
