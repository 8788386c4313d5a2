//! All runs of one operator: what its reconciler observes and orders, and what the sessions of `attend.rs` report.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use plimsoll_measure::{Gauges, Snapshot};
use plimsoll_plan::Plan;
use tokio::sync::{broadcast, oneshot, watch};

use crate::{
    Applied, FailureKind, Final, Gather, HelloInfo, Link, Progress, Readiness, Setup, StartFailure, Stop,
};

/// Changes that a slow reader may fall behind before it misses some.
const BACKLOG: usize = 1024;

/// Deltas of a run are announced at most this often.
const PACE: Duration = Duration::from_secs(1);

/// Identifies a LoadTestRun.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunKey {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for RunKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// All runs of one operator. Cloning shares them. No call waits for a worker.
#[derive(Clone)]
pub struct Hub {
    runs: Arc<Mutex<HashMap<RunKey, Run>>>,
    changes: broadcast::Sender<RunKey>,
}

struct Run {
    gather: Gather,
    plan_hash: String,
    orders: watch::Sender<Orders>,
    slots: Vec<Slot>,
    announced: Option<Instant>,
    attachments: u64,
}

/// The connection of one worker.
#[derive(Default)]
struct Slot {
    /// Which attachment holds the index; dropping the sender ends its session.
    holder: Option<(u64, oneshot::Sender<()>)>,
}

/// What the workers of a run are to do; each session sends what its worker has not been told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Orders {
    pub(crate) start: Option<SystemTime>,
    pub(crate) stop: Option<Stop>,
    pub(crate) acked: bool,
    /// The run is gone: every session ends with this reason.
    pub(crate) closed: Option<String>,
    /// Counts how often sums were asked for.
    pub(crate) resends: u64,
}

/// A worker that was let in.
pub(crate) struct Attached {
    pub(crate) ticket: Ticket,
    pub(crate) plan: Arc<Plan>,
    pub(crate) last_seq: u64,
    pub(crate) orders: watch::Receiver<Orders>,
    /// Resolves when another connection takes the index.
    pub(crate) evicted: oneshot::Receiver<()>,
}

/// Proves that a report comes from the connection that holds the index.
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    pub(crate) run: RunKey,
    pub(crate) index: u32,
    pub(crate) uid: String,
    id: u64,
}

/// Why a worker is sent away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Denied {
    pub(crate) reason: String,
    /// It may come again.
    pub(crate) retry: bool,
}

impl Denied {
    pub(crate) fn for_good(reason: impl fmt::Display) -> Self {
        Self { reason: reason.to_string(), retry: false }
    }

    pub(crate) fn for_now(reason: impl fmt::Display) -> Self {
        Self { reason: reason.to_string(), retry: true }
    }
}

impl Default for Hub {
    fn default() -> Self {
        Self::new()
    }
}

/// The reconciler's side.
impl Hub {
    /// No runs.
    #[must_use]
    pub fn new() -> Self {
        Self { runs: Arc::default(), changes: broadcast::Sender::new(BACKLOG) }
    }

    /// Lets workers of a run in, if they hold the plan of this hash ([`crate::plan_hash`]). Repeating it changes nothing; with
    /// another hash it is another run of the same name, and the workers of the former are sent away.
    pub fn open(&self, key: &RunKey, plan: &Arc<Plan>, plan_hash: &str) {
        let mut runs = self.lock();
        if runs.get(key).is_some_and(|run| run.plan_hash == plan_hash) {
            return;
        }
        let shares = usize::try_from(plan.workers).unwrap_or(usize::MAX);
        let run = Run {
            gather: Gather::new(Arc::clone(plan)),
            plan_hash: plan_hash.to_owned(),
            orders: watch::Sender::new(Orders::default()),
            slots: std::iter::repeat_with(Slot::default).take(shares).collect(),
            announced: None,
            attachments: 0,
        };
        if let Some(former) = runs.insert(key.clone(), run) {
            former.close("the run was replaced by another of the same name");
        }
    }

    /// The run as it is now; nothing if it is not open.
    #[must_use]
    pub fn observe(&self, key: &RunKey) -> Option<Progress> {
        let runs = self.lock();
        let run = runs.get(key)?;
        let orders = run.orders.borrow().clone();
        let link = |slot: &Slot| Link { connected: slot.holder.is_some() };
        Some(Progress {
            gather: run.gather.clone(),
            links: run.slots.iter().map(link).collect(),
            start: orders.start,
            stop: orders.stop,
            acked: orders.acked,
        })
    }

    /// Workers of all runs that are connected now.
    #[must_use]
    pub fn connected(&self) -> usize {
        let held = |run: &Run| run.slots.iter().filter(|slot| slot.holder.is_some()).count();
        self.lock().values().map(held).sum()
    }

    /// Starts the run at an instant of this process' wall clock; it must be stored before. The first instant stays.
    pub fn start(&self, key: &RunKey, at: SystemTime) {
        let change = |run: &mut Run| {
            run.gather.start();
            run.order(|orders| orders.start = Some(orders.start.unwrap_or(at)));
        };
        self.with(key, change);
    }

    /// Asks all workers of the run to stop; a second call may turn a graceful stop into one at once, never the reverse.
    pub fn stop(&self, key: &RunKey, stop: Stop) {
        let at_once = stop.at_once;
        let harsher = |orders: &Orders| orders.stop.as_ref().is_none_or(|now| at_once && !now.at_once);
        self.with(key, |run| {
            let changed = harsher(&run.orders.borrow());
            if changed {
                run.order(|orders| orders.stop = Some(stop));
            }
        });
    }

    /// The outcome of the run is stored: releases the workers. One that is away learns it when it comes back, so the run should
    /// stay open until no worker is awaited any more.
    pub fn ack(&self, key: &RunKey) {
        self.with(key, |run| run.order(|orders| orders.acked = true));
    }

    /// Gives a worker up: what it delivered stays counted, it is sent away and not let in again.
    pub fn lost(&self, key: &RunKey, index: u32) {
        self.with(key, |run| {
            run.gather.lost(index);
            run.remind();
            if let Some(slot) = slot(&mut run.slots, index) {
                slot.holder = None;
            }
        });
    }

    /// Forgets the run; workers that were not released stop at once and are sent away.
    pub fn close(&self, key: &RunKey) {
        if let Some(run) = self.lock().remove(key) {
            run.close("the run is gone");
        }
    }

    /// Runs in which something happened: hello, ready, failed, done, connection lost at once; deltas once a second.
    ///
    /// A reader that falls far behind gets `Lagged` once, and should look at all its runs then.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<RunKey> {
        self.changes.subscribe()
    }

    fn with(&self, key: &RunKey, change: impl FnOnce(&mut Run)) {
        if let Some(run) = self.lock().get_mut(key) {
            change(run);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunKey, Run>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sessions' side.
impl Hub {
    /// Lets a worker in that has proved who it is.
    pub(crate) fn attach(&self, hello: &HelloInfo) -> Result<Attached, Denied> {
        let mut runs = self.lock();
        let Some(run) = runs.get_mut(&hello.run) else {
            return Err(Denied::for_now(format_args!("run {} is not open here (yet)", hello.run)));
        };
        let index = hello.index;
        let last_seq = run.gather.hello(index, &hello.pod_uid).map_err(Denied::for_good)?;
        if run.plan_hash != hello.plan_hash {
            let message = format!(
                "worker {index} holds plan {}, but the run's plan is {}",
                hello.plan_hash, run.plan_hash
            );
            let cause = StartFailure { kind: FailureKind::DataDiffers, message: message.clone() };
            run.gather.failed(index, cause).map_err(Denied::for_good)?;
            self.announce(&hello.run);
            return Err(Denied::for_good(message));
        }
        run.attachments += 1;
        let (keep, evicted) = oneshot::channel();
        let id = run.attachments;
        if let Some(slot) = slot(&mut run.slots, index) {
            slot.holder = Some((id, keep));
        }
        self.announce(&hello.run);
        let ticket = Ticket { run: hello.run.clone(), index, uid: hello.pod_uid.clone(), id };
        let plan = Arc::clone(run.gather.plan());
        Ok(Attached { ticket, plan, last_seq, orders: run.orders.subscribe(), evicted })
    }

    /// The worker could start now.
    pub(crate) fn ready(&self, ticket: &Ticket, readiness: Readiness) -> Result<(), Denied> {
        self.report(ticket, true, |gather| gather.ready(ticket.index, readiness).map_err(Denied::for_good))?;
        self.with(&ticket.run, |run| run.remind());
        Ok(())
    }

    /// What the setup of the worker's run captured.
    pub(crate) fn setup(&self, ticket: &Ticket) -> Setup {
        self.lock().get(&ticket.run).map_or(Setup::Awaited, |run| run.gather.setup())
    }

    /// The worker cannot start.
    pub(crate) fn failed(&self, ticket: &Ticket, cause: StartFailure) -> Result<(), Denied> {
        self.report(ticket, true, |gather| gather.failed(ticket.index, cause).map_err(Denied::for_good))
    }

    /// A delta came; answers what became of it and the highest number counted.
    pub(crate) fn delta(
        &self,
        ticket: &Ticket,
        (seq, cumulative, skew): (u64, bool, Option<u64>),
        gauges: Option<Gauges>,
        delta: &Snapshot,
    ) -> Result<(Applied, u64), Denied> {
        let Ticket { index, uid, .. } = ticket;
        let applied = self.report(ticket, false, |gather| {
            if let Some(skew) = skew {
                gather.began(*index, skew).map_err(Denied::for_good)?;
            }
            if let Some(gauges) = gauges {
                gather.gauges_of(*index, gauges).map_err(Denied::for_good)?;
            }
            let applied = gather.delta(*index, uid, seq, cumulative, delta).map_err(Denied::for_good)?;
            Ok((applied, gather.worker(*index).map_or(0, |worker| worker.last_seq)))
        })?;
        if applied.0 == Applied::Restarted {
            self.with(&ticket.run, |run| run.order(|orders| orders.resends += 1));
        }
        Ok(applied)
    }

    /// The worker is done; false if deltas are missing.
    pub(crate) fn done(&self, ticket: &Ticket, last_seq: u64, last: Final) -> Result<bool, Denied> {
        self.report(ticket, true, |gather| {
            gather.done(ticket.index, last_seq, last).map_err(Denied::for_good)
        })
    }

    /// Whether the sum lacks what this worker measured.
    pub(crate) fn lacks(&self, ticket: &Ticket) -> bool {
        let runs = self.lock();
        let worker = runs.get(&ticket.run).and_then(|run| run.gather.worker(ticket.index));
        worker.is_some_and(|worker| worker.last_seq == 0)
    }

    /// Why the connection was taken from a worker.
    pub(crate) fn why_evicted(&self, ticket: &Ticket) -> Denied {
        let mut runs = self.lock();
        let Some(run) = runs.get_mut(&ticket.run) else {
            return Denied::for_now("the operator starts anew");
        };
        // Whoever would be refused now is refused.
        match run.gather.may_enter(ticket.index, &ticket.uid) {
            Ok(()) => Denied::for_now("another connection took this worker's place"),
            Err(refusal) => Denied::for_good(refusal),
        }
    }

    /// The connection ended.
    pub(crate) fn detach(&self, ticket: &Ticket) {
        self.with(&ticket.run, |run| {
            if let Some(slot) = run.held(ticket) {
                slot.holder = None;
                self.announce(&ticket.run);
            }
        });
    }

    /// Forgets all runs without a word: another replica leads now and gathers everything anew.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    fn report<T>(
        &self,
        ticket: &Ticket,
        at_once: bool,
        change: impl FnOnce(&mut Gather) -> Result<T, Denied>,
    ) -> Result<T, Denied> {
        let mut runs = self.lock();
        let gone = || Denied::for_now("the connection was replaced by another one");
        let run = runs.get_mut(&ticket.run).ok_or_else(gone)?;
        run.held(ticket).ok_or_else(gone)?;
        let changed = change(&mut run.gather)?;
        if at_once || run.announced.is_none_or(|at| at.elapsed() >= PACE) {
            if !at_once {
                run.announced = Some(Instant::now());
            }
            self.announce(&ticket.run);
        }
        Ok(changed)
    }

    fn announce(&self, key: &RunKey) {
        // Fails only when nobody listens, which is no loss.
        let _ = self.changes.send(key.clone());
    }
}

impl Run {
    fn order(&self, change: impl FnOnce(&mut Orders)) {
        self.orders.send_modify(change);
    }

    /// Makes every session look again at what is ordered: what a start needs may be known now.
    fn remind(&self) {
        self.order(|_| ());
    }

    /// The slot of this ticket, while it holds it.
    fn held(&mut self, ticket: &Ticket) -> Option<&mut Slot> {
        slot(&mut self.slots, ticket.index)
            .filter(|slot| slot.holder.as_ref().is_some_and(|(id, _)| *id == ticket.id))
    }

    fn close(&self, reason: &str) {
        self.order(|orders| orders.closed = Some(reason.to_owned()));
    }
}

fn slot(slots: &mut [Slot], index: u32) -> Option<&mut Slot> {
    slots.get_mut(usize::try_from(index).ok()?)
}
