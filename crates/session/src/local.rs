//! The door in memory: `plimsoll run` executes the shares in its own process. The same trait over gRPC: `client.rs`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use plimsoll_measure::{Gauges, Snapshot};
use plimsoll_plan::Plan;
use tokio::sync::watch;

use crate::door::ACK_PATIENCE;
use crate::{
    Door, Final, Gather, Link, Progress, Readiness, SessionError, Setup, Start, StartFailure, Stop,
    WorkerState, WorkerView,
};

/// Lead of the agreed instant over the last worker's ready: enough to wake every thread.
const LEAD: Duration = Duration::from_millis(5);

/// Opens a run in this process: one door per share of the plan, by index, and the handle of whoever collects.
#[must_use]
pub fn local(plan: &Arc<Plan>) -> (Vec<LocalDoor>, LocalRun) {
    let room = Arc::new(Room {
        gather: Mutex::new(Gather::new(Arc::clone(plan))),
        orders: watch::Sender::new(Orders::default()),
        revision: watch::Sender::new(0),
    });
    let door = |index| LocalDoor {
        index,
        seq: 0,
        orders: room.orders.subscribe(),
        stop: None,
        room: Arc::clone(&room),
    };
    let doors = (0..plan.workers).map(door).collect();
    let revision = room.revision.subscribe();
    (doors, LocalRun { room, revision })
}

struct Room {
    gather: Mutex<Gather>,
    orders: watch::Sender<Orders>,
    revision: watch::Sender<u64>,
}

#[derive(Clone, Default)]
struct Orders {
    start: Option<(Instant, SystemTime)>,
    stop: Option<Stop>,
    given_up: Option<String>,
    acked: bool,
}

impl Room {
    fn with<T>(&self, change: impl FnOnce(&mut Gather) -> T) -> T {
        change(&mut self.gather.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Something changed for whoever collects.
    fn announce(&self) {
        self.revision.send_modify(|revision| *revision += 1);
    }
}

/// What the collecting side of a local run sees and decides. Dropping it releases the workers.
pub struct LocalRun {
    room: Arc<Room>,
    revision: watch::Receiver<u64>,
}

impl LocalRun {
    /// The run as it is now.
    #[must_use]
    pub fn observe(&self) -> Progress {
        let gather = self.room.with(|gather| gather.clone());
        let orders = self.room.orders.borrow().clone();
        let link = |worker: &WorkerView| Link { connected: worker.state != WorkerState::Absent };
        let links = gather.workers().iter().map(link).collect();
        Progress {
            gather,
            links,
            start: orders.start.map(|(_, wall)| wall),
            stop: orders.stop,
            acked: orders.acked,
        }
    }

    /// Waits until something changed since the last call: a state, or a delta. Cancel-safe.
    pub async fn changed(&mut self) {
        if self.revision.changed().await.is_err() {
            // The sender lives in the room that this handle holds.
            std::future::pending::<()>().await;
        }
    }

    /// Asks all workers to stop; a second call may turn a graceful stop into one at once.
    pub fn stop(&self, stop: Stop) {
        self.room.orders.send_modify(|orders| orders.stop = Some(stop));
        self.room.revision.send_modify(|revision| *revision += 1);
    }

    /// The outcome is stored: releases the workers.
    pub fn ack(&self) {
        self.room.orders.send_modify(|orders| orders.acked = true);
    }
}

impl Drop for LocalRun {
    fn drop(&mut self) {
        self.ack();
    }
}

/// One worker's side of a local run.
pub struct LocalDoor {
    index: u32,
    seq: u64,
    orders: watch::Receiver<Orders>,
    /// The stop that was last handed out by `stop_asked`.
    stop: Option<Stop>,
    room: Arc<Room>,
}

impl LocalDoor {
    /// The share that goes through this door.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }

    fn uid(&self) -> String {
        format!("local-{}", self.index)
    }

    /// Nobody starts, since this worker cannot.
    fn give_up(&self, message: &str) {
        let message = format!("worker {}: {message}", self.index);
        self.room.orders.send_modify(|orders| {
            orders.given_up.get_or_insert(message);
        });
    }

    /// What the setup captured; known when all are ready.
    fn setup(&self) -> Option<String> {
        match self.room.with(|gather| gather.setup()) {
            Setup::Known(setup) => setup.map(|setup| setup.as_ref().to_owned()),
            Setup::Awaited | Setup::Gone => None,
        }
    }
}

impl Door for LocalDoor {
    async fn ready(&mut self, readiness: Readiness) -> Result<Start, SessionError> {
        let (index, uid) = (self.index, self.uid());
        let complete = self.room.with(|gather| {
            gather.hello(index, &uid)?;
            gather.ready(index, readiness)?;
            let flaw = match gather.worker(index).map(|worker| &worker.state) {
                Some(WorkerState::Failed(cause)) => Some(cause.message.clone()),
                _ => None,
            };
            Ok((gather.all_ready(), flaw))
        });
        let (complete, flaw) =
            complete.map_err(|refusal: crate::Refusal| SessionError::Refused(refusal.to_string()))?;
        if let Some(flaw) = flaw {
            self.give_up(&flaw);
        }
        self.room.announce();
        if complete {
            self.room.with(Gather::start);
            let start = (Instant::now() + LEAD, SystemTime::now() + LEAD);
            self.room.orders.send_modify(|orders| orders.start = Some(start));
        }
        let settled = |orders: &Orders| {
            orders.stop.is_some() || orders.start.is_some() || orders.given_up.is_some() || orders.acked
        };
        let orders = match self.orders.wait_for(settled).await {
            Ok(orders) => orders.clone(),
            Err(_) => return Err(SessionError::GivenUp("the collecting side is gone".to_owned())),
        };
        match (orders.stop, orders.given_up, orders.start) {
            (Some(stop), _, _) => Err(SessionError::Stopped(stop)),
            (None, Some(cause), _) => Err(SessionError::GivenUp(cause)),
            (None, None, Some((at, _))) => Ok(Start { at, late: 0, setup: self.setup() }),
            (None, None, None) => Err(SessionError::GivenUp("the collecting side is gone".to_owned())),
        }
    }

    async fn failed(&mut self, cause: StartFailure) {
        let message = cause.message.clone();
        let (index, uid) = (self.index, self.uid());
        let told =
            self.room.with(|gather| gather.hello(index, &uid).and_then(|_| gather.failed(index, cause)));
        if let Err(refusal) = told {
            tracing::warn!(%refusal, "start failure not taken");
        }
        self.give_up(&message);
        self.room.announce();
    }

    async fn stop_asked(&mut self) -> Stop {
        let seen = self.stop.clone();
        let fresh = self.orders.wait_for(|orders| orders.stop.is_some() && orders.stop != seen).await;
        let stop = fresh.ok().and_then(|orders| orders.stop.clone());
        match stop {
            Some(stop) => {
                self.stop = Some(stop.clone());
                stop
            }
            // The sender lives in the room that this door holds.
            None => std::future::pending().await,
        }
    }

    fn began(&mut self, skew: u64) {
        let index = self.index;
        if let Err(refusal) = self.room.with(|gather| gather.began(index, skew)) {
            tracing::warn!(%refusal, "start skew not taken");
        }
    }

    fn gauges(&mut self, now: Gauges) {
        let index = self.index;
        if let Err(refusal) = self.room.with(|gather| gather.gauges_of(index, now)) {
            tracing::warn!(%refusal, "gauges not taken");
        }
    }

    fn push(&mut self, delta: Snapshot) {
        self.seq += 1;
        let (index, uid, seq) = (self.index, self.uid(), self.seq);
        if let Err(refusal) = self.room.with(|gather| gather.delta(index, &uid, seq, false, &delta)) {
            tracing::warn!(%refusal, "delta not taken");
        }
        self.room.announce();
    }

    async fn finish(&mut self, last: Final) -> Result<(), SessionError> {
        let (index, seq) = (self.index, self.seq);
        let told = self.room.with(|gather| gather.done(index, seq, last));
        told.map_err(|refusal| SessionError::Refused(refusal.to_string()))?;
        self.room.announce();
        let acked = tokio::time::timeout(ACK_PATIENCE, self.orders.wait_for(|orders| orders.acked)).await;
        let cause = "the collecting side did not store the outcome";
        match acked {
            Ok(Ok(_)) => Ok(()),
            _ => Err(SessionError::NotAcknowledged { within: ACK_PATIENCE, cause: cause.to_owned() }),
        }
    }
}

impl Progress {
    /// The first worker that could not get ready, with its cause.
    #[must_use]
    pub fn failure(&self) -> Option<(u32, &StartFailure)> {
        self.gather.workers().iter().find_map(|worker| match &worker.state {
            WorkerState::Failed(cause) => Some((worker.index, cause)),
            _ => None,
        })
    }
}
