//! What a collector knows of one worker. `../gather.rs` changes it with every message.

use std::sync::Arc;

use plimsoll_measure::Gauges;

use crate::{Final, StartFailure};

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
    /// What it said last that it was doing.
    pub gauges: Option<Gauges>,
    /// What it said at its end.
    pub last: Option<Final>,
    /// Which data it holds ([`crate::data_hash`]), if it has said so.
    pub data_hash: Option<String>,
    /// It has said that it is ready, perhaps in repetition.
    pub(super) was_ready: bool,
    /// What its setup captured.
    pub(super) setup: Option<Arc<str>>,
    /// Its cumulative snapshot was asked for and has not come yet.
    pub(super) awaiting: bool,
    /// Something of it was once part of the sum here, which may have begun anew since.
    pub(super) counted: bool,
    /// Pods that held the index before; they do not come back.
    pub(super) former: Vec<String>,
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
