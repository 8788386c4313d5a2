//! What workers must agree on before the start: their data, and what setup captured, which worker 0 brings and every other one is
//! told. What a worker sends is made in `client.rs` and `local.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Gather, Refusal, WorkerState, WorkerView};
use crate::{FailureKind, Readiness, SETUP_LIMIT, StartFailure};

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

impl Gather {
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
}
