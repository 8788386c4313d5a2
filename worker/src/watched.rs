//! A door that remembers what went through it: the sum is what this worker's own series are made of, for whoever scrapes the pod and for
//! OTLP (`main.rs`). The operator makes its own sum, of all workers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use plimsoll_measure::{Gauges, Layout, Snapshot, coalesce};
use plimsoll_plan::Share;
use plimsoll_session::{Door, Final, Readiness, SessionError, Start, StartFailure, Stop};
use plimsoll_telemetry::{Family, Identity, worker_series};

/// Most points by time that the sum keeps; its series need only what they add up to.
const SECONDS: u32 = 64;

/// What a worker has measured so far.
#[derive(Debug)]
pub struct Seen {
    identity: Identity,
    layout: Layout,
    since: SystemTime,
    ready: Arc<AtomicBool>,
    sum: Mutex<Snapshot>,
    gauges: Mutex<Option<Gauges>>,
}

impl Seen {
    /// Nothing yet; `run` is the run's namespace and name, `since` is now.
    #[must_use]
    pub fn new(share: &Share, run: (&str, &str), index: u32, since: SystemTime) -> Arc<Self> {
        let identity = Identity {
            namespace: run.0.to_owned(),
            test: share.plan.run.test.clone(),
            run: run.1.to_owned(),
            worker: Some(index),
        };
        let layout = share.plan.layout.clone();
        Arc::new(Self {
            identity,
            layout,
            since,
            ready: Arc::default(),
            sum: Mutex::default(),
            gauges: Mutex::default(),
        })
    }

    /// Set once the worker can do its share.
    #[must_use]
    pub fn readiness(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.ready)
    }

    /// The worker's series.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        let sum = self.sum.lock().unwrap_or_else(PoisonError::into_inner);
        let gauges = *self.gauges.lock().unwrap_or_else(PoisonError::into_inner);
        worker_series(&self.identity, self.since, &self.layout, &sum, gauges)
    }
}

/// A door that is watched.
#[derive(Debug)]
pub struct Watched<D> {
    door: D,
    seen: Arc<Seen>,
}

impl<D> Watched<D> {
    /// Everything goes through `door`.
    #[must_use]
    pub fn new(door: D, seen: Arc<Seen>) -> Self {
        Self { door, seen }
    }
}

impl<D: Door> Door for Watched<D> {
    async fn ready(&mut self, readiness: Readiness) -> Result<Start, SessionError> {
        self.seen.ready.store(true, Ordering::Relaxed);
        self.door.ready(readiness).await
    }

    async fn failed(&mut self, cause: StartFailure) {
        self.door.failed(cause).await;
    }

    async fn stop_asked(&mut self) -> Stop {
        self.door.stop_asked().await
    }

    fn began(&mut self, skew: u64) {
        self.door.began(skew);
    }

    fn gauges(&mut self, now: Gauges) {
        *self.seen.gauges.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        self.door.gauges(now);
    }

    fn push(&mut self, delta: Snapshot) {
        let mut sum = self.seen.sum.lock().unwrap_or_else(PoisonError::into_inner);
        sum.merge(&delta);
        coalesce(&mut sum.series, SECONDS);
        drop(sum);
        self.door.push(delta);
    }

    async fn finish(&mut self, last: Final) -> Result<(), SessionError> {
        // Nothing is at work any more.
        let idle = |gauges: &mut Gauges| *gauges = Gauges { cpu: gauges.cpu, ..Gauges::default() };
        self.seen.gauges.lock().unwrap_or_else(PoisonError::into_inner).iter_mut().for_each(idle);
        self.door.finish(last).await
    }
}
