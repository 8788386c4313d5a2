//! What a collector knows of one run: its workers and the sum of their snapshots. Pure; kept by `hub.rs` and `local.rs`.

mod answer;
mod readiness;
mod worker;

use std::sync::Arc;

use plimsoll_measure::{Gauges, Snapshot, coalesce};
use plimsoll_plan::Plan;

pub use self::answer::{Applied, Refusal};
pub use self::readiness::Setup;
pub use self::worker::{WorkerState, WorkerView};
use crate::Final;

/// Most points of a run's series: seconds for an hour, then two seconds each, then four ([`coalesce`]).
pub const SERIES_POINTS: u32 = 3600;

/// State of one run, fed by the workers' messages.
#[derive(Clone, Debug)]
pub struct Gather {
    plan: Arc<Plan>,
    workers: Vec<WorkerView>,
    merged: Arc<Snapshot>,
    started: bool,
}

impl Gather {
    /// Nobody has come yet.
    #[must_use]
    pub fn new(plan: Arc<Plan>) -> Self {
        let workers = (0..plan.workers).map(|index| WorkerView { index, ..WorkerView::default() }).collect();
        Self { plan, workers, merged: Arc::default(), started: false }
    }

    /// The plan of the run.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Lets a worker in and returns the number of its last delta that is part of the sum (0: none).
    ///
    /// Before the start a newer pod replaces the one that held the index.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn hello(&mut self, index: u32, uid: &str) -> Result<u64, Refusal> {
        self.may_enter(index, uid)?;
        let worker = self.find(index)?;
        if worker.uid.as_deref() != Some(uid) {
            let mut former = std::mem::take(&mut worker.former);
            former.extend(worker.uid.take());
            let fresh = WorkerView { index, uid: Some(uid.to_owned()), former, ..WorkerView::default() };
            *worker = WorkerView { state: WorkerState::Connected, ..fresh };
        }
        worker.awaiting = false;
        Ok(worker.last_seq)
    }

    /// Whether a worker would be let in.
    pub(crate) fn may_enter(&self, index: u32, uid: &str) -> Result<(), Refusal> {
        let workers = self.plan.workers;
        let worker = self.worker(index).ok_or(Refusal::IndexOutOfRange { index, workers })?;
        if worker.state == WorkerState::Lost {
            return Err(Refusal::Lost { index });
        }
        let Some(holder) = worker.uid.clone().filter(|holder| holder != uid) else { return Ok(()) };
        if worker.former.iter().any(|former| former == uid) {
            return Err(Refusal::Replaced { index, holder });
        }
        if self.started { Err(Refusal::Taken { index, holder }) } else { Ok(()) }
    }

    /// The run begins: from now on no worker is replaced.
    pub fn start(&mut self) {
        self.started = true;
        for worker in &mut self.workers {
            if worker.state == WorkerState::Ready {
                worker.state = WorkerState::Running;
            }
        }
    }

    /// A worker sent its first request.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn began(&mut self, index: u32, skew: u64) -> Result<(), Refusal> {
        self.find(index)?.skew = Some(skew);
        Ok(())
    }

    /// A worker said what it is doing.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn gauges_of(&mut self, index: u32, now: Gauges) -> Result<(), Refusal> {
        self.find(index)?.gauges = Some(now);
        Ok(())
    }

    /// Adds a numbered delta, or with `cumulative` everything that the worker measured up to `seq`.
    ///
    /// # Errors
    /// See [`Refusal`]; a uid other than the one that said hello is [`Refusal::Taken`].
    pub fn delta(
        &mut self,
        index: u32,
        uid: &str,
        seq: u64,
        cumulative: bool,
        delta: &Snapshot,
    ) -> Result<Applied, Refusal> {
        let worker = self.find(index)?;
        match (&worker.state, worker.uid.as_deref()) {
            (WorkerState::Lost, _) => return Err(Refusal::Lost { index }),
            (_, Some(holder)) if holder != uid => {
                return Err(Refusal::Taken { index, holder: holder.to_owned() });
            }
            _ => {}
        }
        if seq <= worker.last_seq {
            return Ok(Applied::Duplicate);
        }
        if !cumulative && seq != worker.last_seq + 1 {
            let asked = std::mem::replace(&mut worker.awaiting, true);
            return Ok(if asked { Applied::Duplicate } else { Applied::Gap });
        }
        let replaces = cumulative && worker.last_seq > 0;
        worker.awaiting = false;
        worker.counted = true;
        worker.last_seq = seq;
        worker.covered = if cumulative { 0 } else { worker.covered }.saturating_add(delta.health.wall);
        if !matches!(worker.state, WorkerState::Done) {
            worker.state = WorkerState::Running;
        }
        self.started = true;
        if replaces {
            self.restart_with(index);
        }
        let merged = Arc::make_mut(&mut self.merged);
        merged.merge(delta);
        coalesce(&mut merged.series, SERIES_POINTS);
        Ok(if replaces { Applied::Restarted } else { Applied::Merged })
    }

    /// Sums cannot be subtracted (minima and maxima): when one worker's part must be replaced, all send theirs again.
    fn restart_with(&mut self, index: u32) {
        self.merged = Arc::default();
        for worker in self.workers.iter_mut().filter(|worker| worker.index != index) {
            worker.awaiting = worker.last_seq > 0;
            worker.last_seq = 0;
            if worker.state == WorkerState::Done {
                worker.state = WorkerState::Running;
            }
        }
    }

    /// A worker said its last word. Its state becomes Done unless deltas are still missing (`last_seq` of its last delta).
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn done(&mut self, index: u32, last_seq: u64, last: Final) -> Result<bool, Refusal> {
        let worker = self.find(index)?;
        if worker.state == WorkerState::Lost {
            return Err(Refusal::Lost { index });
        }
        if worker.last_seq < last_seq {
            worker.awaiting = true;
            return Ok(false);
        }
        worker.skew = last.skew.or(worker.skew);
        worker.last = Some(last);
        worker.state = WorkerState::Done;
        self.started = true;
        Ok(true)
    }

    /// The operator gives a worker up; what it delivered stays part of the sum. A worker that is done stays done.
    pub fn lost(&mut self, index: u32) {
        if let Ok(worker) = self.find(index)
            && worker.state != WorkerState::Done
        {
            worker.state = WorkerState::Lost;
        }
    }

    /// The sum of all deltas, with its per-second series ([`SERIES_POINTS`]).
    #[must_use]
    pub fn merged(&self) -> &Arc<Snapshot> {
        &self.merged
    }

    /// What all workers said last that they were doing, added up; absent until each that is not lost has said it.
    #[must_use]
    pub fn gauges(&self) -> Option<Gauges> {
        let mut sum = Gauges::default();
        for worker in &self.workers {
            match (&worker.state, worker.gauges) {
                (WorkerState::Lost, None) => {}
                // It does nothing any more; what it used it has used.
                (WorkerState::Lost | WorkerState::Done, Some(last)) => {
                    sum.merge(&Gauges { cpu: last.cpu, ..Gauges::default() });
                }
                (_, now) => sum.merge(&now?),
            }
        }
        Some(sum)
    }

    /// Whether the sum holds all that workers have handed in so far, but for those that are lost. It does not while some have yet to
    /// send theirs again: to a collector that was not `here` at the start of the run, or after the sum began anew.
    #[must_use]
    pub fn is_whole(&self, here: bool) -> bool {
        let whole = |worker: &WorkerView| {
            let over = matches!(worker.state, WorkerState::Done | WorkerState::Lost);
            over || worker.last_seq > 0 || (here && !worker.counted)
        };
        self.workers.iter().all(whole)
    }

    /// All workers by index.
    #[must_use]
    pub fn workers(&self) -> &[WorkerView] {
        &self.workers
    }

    /// One worker.
    #[must_use]
    pub fn worker(&self, index: u32) -> Option<&WorkerView> {
        self.workers.get(usize::try_from(index).ok()?)
    }

    /// Whether the start was given, or traffic was seen.
    #[must_use]
    pub fn started(&self) -> bool {
        self.started
    }

    /// Nanoseconds between the earliest and the latest worker's first request, each relative to its own intended
    /// instant; absent until one has sent.
    #[must_use]
    pub fn start_skew(&self) -> Option<u64> {
        let skews = || self.workers.iter().filter_map(|worker| worker.skew);
        Some(skews().max()? - skews().min()?)
    }

    /// How much of the run was measured, nanoseconds: all of it, unless it was `cut` short or its iterations were done, or its data used up, before; then
    /// until the last worker's load had ended. One that did not say so made load for as long as there are counts, in whole seconds.
    #[must_use]
    pub fn measured(&self, cut: bool) -> u64 {
        let duration = self.plan.duration;
        let planned = self.plan.iterations().is_none() && !self.plan.script.data.iter().any(|data| data.once);
        if !cut && planned {
            return duration;
        }
        let seconds = self.merged.series.last().map_or(0, |last| u64::from(last.second) + 1);
        let counted = seconds.saturating_mul(1_000_000_000);
        let load = |worker: &WorkerView| worker.last.as_ref().and_then(|last| last.load).unwrap_or(counted);
        self.workers.iter().map(load).max().unwrap_or_default().min(duration)
    }

    /// Every worker could start now (or has).
    #[must_use]
    pub fn all_ready(&self) -> bool {
        let ready = |state: &WorkerState| {
            matches!(state, WorkerState::Ready | WorkerState::Running | WorkerState::Done)
        };
        self.workers.iter().all(|worker| ready(&worker.state))
    }

    /// Nothing more will come: every worker is done or lost.
    #[must_use]
    pub fn all_done(&self) -> bool {
        self.workers.iter().all(|worker| matches!(worker.state, WorkerState::Done | WorkerState::Lost))
    }

    fn find(&mut self, index: u32) -> Result<&mut WorkerView, Refusal> {
        let workers = self.plan.workers;
        let place = usize::try_from(index).ok().and_then(|at| self.workers.get_mut(at));
        place.ok_or(Refusal::IndexOutOfRange { index, workers })
    }
}
