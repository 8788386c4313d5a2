//! One core's recorder: samples in, snapshot deltas out.

use std::sync::Arc;

use crate::{Layout, Sample, Snapshot};

/// Counts samples of one thread; not shared.
#[derive(Debug)]
pub struct Recorder {
    layout: Arc<Layout>,
}

impl Recorder {
    /// An empty recorder for a run of this layout.
    #[must_use]
    pub fn new(layout: Arc<Layout>) -> Self {
        Self { layout }
    }

    /// Counts one request.
    pub fn record(&mut self, _sample: &Sample) {
        let _ = &self.layout;
    }

    /// Counts `n` requests due (open model) or begun (closed) at a moment, for the series and for delivery.
    pub fn asked(&mut self, _intended: u64) {}

    /// Counts how late a closed-model wait ended, nanoseconds.
    pub fn wait_ended(&mut self, _intended: u64, _late: u64) {}

    /// Everything since the last call; the recorder starts afresh.
    pub fn take(&mut self) -> Snapshot {
        Snapshot::default()
    }
}
