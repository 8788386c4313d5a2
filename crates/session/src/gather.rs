//! What a collector knows of one run: its workers and the sum of their snapshots. Pure; kept by `hub.rs` and `local.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use plimsoll_measure::{Snapshot, coalesce};
use plimsoll_plan::Plan;

use crate::{FailureKind, Final, Readiness, SETUP_LIMIT, StartFailure};

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

/// What is known of one worker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkerView {
    /// Its share.
    pub index: u32,
    /// How far it is.
    pub state: WorkerState,
    /// Who it is: the pod's UID; absent until it first said hello.
    pub uid: Option<String>,
    /// Number of the last delta that is part of the sum.
    pub last_seq: u64,
    /// Nanoseconds of its run that the deltas in the sum cover.
    pub covered: u64,
    /// Nanoseconds between its first request's intended instant and its sending, once known.
    pub skew: Option<u64>,
    /// What it said at its end.
    pub last: Option<Final>,
    /// Which data it holds ([`crate::data_hash`]), if it has said so.
    pub data_hash: Option<String>,
    /// It has said that it is ready, perhaps in repetition.
    was_ready: bool,
    /// What its setup captured.
    setup: Option<Arc<str>>,
    /// Its cumulative snapshot was asked for and has not come yet.
    awaiting: bool,
    /// Pods that held the index before; they do not come back.
    former: Vec<String>,
}

/// How far a worker is.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum WorkerState {
    /// Never seen.
    #[default]
    Absent,
    /// Said hello.
    Connected,
    /// Could start now.
    Ready,
    /// Cannot start.
    Failed(StartFailure),
    /// Makes load.
    Running,
    /// Said its last word; all its deltas are part of the sum.
    Done,
    /// Given up by the operator.
    Lost,
}

/// What is known of the captures of a run's setup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setup {
    /// They are these; none, if the plan has no setup or it captures nothing.
    Known(Option<Arc<str>>),
    /// Worker 0 has not said it here (yet).
    Awaited,
    /// Worker 0 is lost and did not say it here: whoever has not started cannot start any more.
    Gone,
}

/// What became of a delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Part of the sum now.
    Merged,
    /// Was part of the sum before, or will be by the cumulative snapshot that is on its way.
    Duplicate,
    /// Earlier ones are missing: the worker must send its cumulative snapshot.
    Gap,
    /// Replaced counts that could not be told from the others: the sum began anew with it, and every worker whose
    /// `last_seq` is 0 must send its cumulative snapshot.
    Restarted,
}

/// Why a worker is not let in, or its message is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The plan has fewer shares.
    #[error("worker index {index} is out of range: the plan has {workers} shares")]
    IndexOutOfRange {
        /// The index it came with.
        index: u32,
        /// Shares of the plan.
        workers: u32,
    },
    /// The run has begun with another pod in its place.
    #[error("worker {index} of this run is pod {holder}; after the start a worker is never replaced")]
    Taken {
        /// The index.
        index: u32,
        /// UID of the pod that holds it.
        holder: String,
    },
    /// A newer pod holds the index.
    #[error("worker {index} of this run is now pod {holder}, which replaced this one before the start")]
    Replaced {
        /// The index.
        index: u32,
        /// UID of the pod that holds it.
        holder: String,
    },
    /// The operator gave the worker up.
    #[error("worker {index} was given up as lost; the run goes on without it")]
    Lost {
        /// The index.
        index: u32,
    },
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

    /// A worker could start now, unless what it brings says that it cannot: data that differ from another worker's, captures that cannot
    /// be handed on; its state is Failed then. Repeating it does no harm.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn ready(&mut self, index: u32, readiness: Readiness) -> Result<(), Refusal> {
        if let Some(flaw) = self.flaw(&readiness) {
            return self.failed(index, flaw);
        }
        let started = self.started;
        let worker = self.find(index)?;
        worker.was_ready = true;
        worker.data_hash = readiness.data_hash;
        worker.setup = readiness.setup.map(Arc::from);
        if matches!(worker.state, WorkerState::Absent | WorkerState::Connected | WorkerState::Failed(_)) {
            worker.state = if started { WorkerState::Running } else { WorkerState::Ready };
        }
        Ok(())
    }

    /// Why a worker that says it is ready cannot start all the same.
    fn flaw(&self, readiness: &Readiness) -> Option<StartFailure> {
        let flaw = |kind, message| Some(StartFailure { kind, message });
        if let Some(setup) = &readiness.setup {
            if setup.len() > SETUP_LIMIT {
                let message = format!(
                    "setup captured {} bytes, at most {SETUP_LIMIT} are handed to all workers: capture less of each response",
                    setup.len()
                );
                return flaw(FailureKind::SetupFailed, message);
            }
            if let Err(error) = serde_json::from_str::<BTreeMap<String, serde::de::IgnoredAny>>(setup) {
                let message = format!("what setup captured is no JSON object: {error}");
                return flaw(FailureKind::SetupFailed, message);
            }
        }
        let own = readiness.data_hash.as_ref()?;
        // Of a worker that repeats itself, its own.
        let said = |worker: &WorkerView| Some((worker.index, worker.data_hash.clone()?));
        let (other, theirs) = self.workers.iter().find_map(said)?;
        let message = || {
            format!(
                "its data have the hash {own}, those of worker {other} {theirs}: a ConfigMap of spec.data was changed while the workers \
                 started; run again, and change none meanwhile"
            )
        };
        if *own == theirs { None } else { flaw(FailureKind::DataDiffers, message()) }
    }

    /// What the setup captured, for the start of every worker.
    #[must_use]
    pub fn setup(&self) -> Setup {
        if self.plan.script.setup.is_empty() {
            return Setup::Known(None);
        }
        match self.worker(0) {
            Some(maker) if maker.was_ready => Setup::Known(maker.setup.clone()),
            Some(maker) if maker.state == WorkerState::Lost => Setup::Gone,
            _ => Setup::Awaited,
        }
    }

    /// A worker cannot start.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn failed(&mut self, index: u32, cause: StartFailure) -> Result<(), Refusal> {
        let worker = self.find(index)?;
        if !matches!(worker.state, WorkerState::Running | WorkerState::Done | WorkerState::Lost) {
            worker.state = WorkerState::Failed(cause);
        }
        Ok(())
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
