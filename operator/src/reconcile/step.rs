//! What a reconcile can do: the words in which `decide.rs` speaks to `apply.rs`.

use std::sync::Arc;
use std::time::SystemTime;

use plimsoll_api::status::StoredResult;
use plimsoll_manifests::Frozen;
use plimsoll_session::Stop;

use crate::events::News;

/// One thing to do. Doing it again does no harm.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Let workers of the run in.
    Open(Arc<Frozen>),
    /// Remember that this instant is being written and no worker knows it.
    Promise(SystemTime),
    /// Remember since when something has been missing that workers refer to, or that nothing is.
    Missing(bool),
    /// Give the workers the agreed instant; it is in the status already.
    Start(SystemTime),
    /// Ask the workers to stop.
    Stop(Stop),
    /// Give a worker up.
    Lost(u32),
    /// Release the workers: the outcome is stored.
    Ack,
    /// Forget the run; its workers stop at once.
    Close,
    /// Put the finalizer on the run: it has workers now.
    Guard,
    /// Take the finalizer off: nothing of it makes load any more.
    Unguard,
    /// Write the immutable ConfigMap of the accepted run.
    Freeze(Arc<Frozen>),
    /// Apply the Job.
    MakeJob(Arc<Frozen>),
    /// Write the result's ConfigMap.
    Store(Box<StoredResult>),
    /// Let the Job go: it is deleted some time after its end; `now` ends it.
    RetireJob {
        /// Its pods are not wanted any more.
        now: bool,
    },
    /// Delete the run: it was kept as long as was asked.
    Delete,
    /// Write an event.
    Tell(News),
}

impl Step {
    /// Whether it needs the API server.
    pub(crate) fn is_write(&self) -> bool {
        !matches!(
            self,
            Self::Open(_)
                | Self::Promise(_)
                | Self::Missing(_)
                | Self::Start(_)
                | Self::Stop(_)
                | Self::Lost(_)
                | Self::Ack
                | Self::Close
        )
    }
}
