//! What a worker's message came to. `../attend.rs` tells the worker.

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
