//! Caps on concurrency: the places of a worker in the steps that share a limit. Taken and given back by `elaborate.rs`; steps without
//! a cap touch nothing here.

use std::sync::Arc;

use plimsoll_measure::Observation;
use plimsoll_plan::Share;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::core::Core;
use crate::lane::Lane;

/// The limits of one worker, in the order of the script; its cores share them. Whoever waits longest is next.
#[derive(Clone, Debug)]
pub(crate) struct Limits(Arc<[Places]>);

#[derive(Debug)]
struct Places {
    free: Arc<Semaphore>,
    /// Trend of the time that users waited.
    waiting: u16,
}

/// A place in a step; given back when it is dropped, be it with its user.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Limits {
    pub(crate) fn new(share: &Share) -> Self {
        let limits = share.plan.script.limits.iter().enumerate().map(|(index, limit)| {
            let places = share.limit(index).unwrap_or(0).min(Semaphore::MAX_PERMITS as u64);
            let free = Arc::new(Semaphore::new(usize::try_from(places).unwrap_or(0)));
            Places { free, waiting: limit.waiting }
        });
        Self(limits.collect())
    }
}

/// Waits for a place; the time is no latency: an arrival's first request is due that much later. Nothing if the load ended first.
pub(crate) async fn place(core: &Core, lane: &mut Lane, limit: u16) -> Option<Place> {
    let places = core.limits.0.get(usize::from(limit))?;
    let free = Arc::clone(&places.free);
    let begun = core.clock.now();
    if let Ok(permit) = Arc::clone(&free).try_acquire_owned() {
        core.observe(places.waiting, begun, Observation::Done(0));
        return Some(Place { _permit: permit });
    }
    let mut waiting = Waiting::begin(core, places.waiting, begun);
    let permit = {
        let ended = async {
            loop {
                let ending = lane.span.ending.notified();
                if lane.is_over(core.clock.now()) {
                    return;
                }
                ending.await;
            }
        };
        tokio::select! {
            biased;
            // The semaphore is never closed.
            permit = free.acquire_owned() => permit.ok()?,
            () = ended => return None,
        }
    };
    let waited = core.clock.now().saturating_sub(begun);
    waiting.outcome = Observation::Done(waited);
    lane.due = lane.due.map(|due| due.saturating_add(waited));
    Some(Place { _permit: permit })
}

/// One user's wait: it is counted whether or not it comes to a place.
struct Waiting<'c> {
    core: &'c Core,
    metric: u16,
    begun: u64,
    outcome: Observation,
}

impl<'c> Waiting<'c> {
    fn begin(core: &'c Core, metric: u16, begun: u64) -> Self {
        core.waiting_for_limits.set(core.waiting_for_limits.get() + 1);
        Self { core, metric, begun, outcome: Observation::NotDone }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.core.waiting_for_limits.set(self.core.waiting_for_limits.get() - 1);
        self.core.observe(self.metric, self.begun, self.outcome);
    }
}
