//! Samples that are held until there are enough of them to be counted together (`fold.rs`): of each request name those that succeeded
//! in the usual way, in one window and one second. All others are counted at once by `recorder.rs`.

use crate::stretch::Stretch;
use crate::{End, Sample, Split};

/// Samples of a batch: enough that what a batch costs beside them is little, and 2 KiB per request name.
pub(crate) const SIZE: usize = 128;

/// So many samples that do not fit in make a batch give way.
const PATIENCE: u32 = 8;

/// Latency, service time, time to first byte and lateness of a sample, each under 2^31 ns (2.1 s).
pub(crate) type Short = [i32; 4];
/// See [`Short`].
pub(crate) const LATENCY: usize = 0;
/// See [`Short`].
pub(crate) const SERVICE: usize = 1;
/// See [`Short`].
pub(crate) const FIRST_BYTE: usize = 2;
/// See [`Short`].
pub(crate) const LATENESS: usize = 3;

/// The batch of each request name.
#[derive(Debug)]
pub(crate) struct Batches {
    batches: Vec<(Batch, [Short; SIZE])>,
    /// Request names whose batch was begun since the last take.
    begun: Vec<usize>,
}

/// What the samples of a batch have in common, and how many there are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Batch {
    /// When they were intended to start; none while it was not begun.
    pub(crate) stretch: Stretch,
    /// Index of their tally.
    pub(crate) cell: usize,
    /// They begin arrivals.
    pub(crate) scheduled: bool,
    /// Their service times may differ from their latencies.
    pub(crate) later: bool,
    pub(crate) status: u16,
    /// How many did not fit in since it was last counted.
    pub(crate) misses: u32,
    pub(crate) count: usize,
    /// Bytes received.
    pub(crate) received: u64,
}

/// What became of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It is held.
    Held,
    /// It is held, and the batch must be counted now.
    Full,
    /// It does not belong to the batch.
    Refused,
}

impl Batches {
    pub(crate) fn new(requests: usize) -> Self {
        Self {
            batches: vec![(Batch::default(), [Short::default(); SIZE]); requests],
            begun: Vec::with_capacity(requests),
        }
    }

    /// Adds a sample to the batch of its request, if it fits in.
    #[inline]
    pub(crate) fn push(&mut self, sample: &Sample) -> Pushed {
        let request = usize::from(sample.request.0);
        let Some((batch, samples)) = self.batches.get_mut(request) else { return Pushed::Refused };
        let Some((status, short)) = plain(sample) else { return Pushed::Refused };
        let fits = batch.stretch.has(sample.intended)
            && status == batch.status
            && sample.scheduled == batch.scheduled
            && (batch.later || sample.service == sample.latency);
        if !fits {
            return Pushed::Refused;
        }
        samples[batch.count % SIZE] = short;
        batch.received += sample.received;
        batch.count += 1;
        if batch.count < SIZE { Pushed::Held } else { Pushed::Full }
    }

    /// Whether a sample that was refused may begin the batch anew, once what it holds was counted.
    pub(crate) fn gives_way(&mut self, request: usize) -> bool {
        let Some((batch, _)) = self.batches.get_mut(request) else { return false };
        batch.misses += 1;
        batch.count == 0 || batch.misses > PATIENCE
    }

    /// Begins the batch of a request for samples like this one, which succeeded.
    pub(crate) fn begin(&mut self, request: usize, batch: Batch) {
        let Some((known, _)) = self.batches.get_mut(request) else { return };
        if known.stretch.length == 0 {
            self.begun.push(request);
        }
        *known = batch;
    }

    /// What a batch holds. It is empty from now on, for samples of the same kind.
    pub(crate) fn empty(&mut self, request: usize) -> (Batch, &[Short]) {
        let Some((batch, samples)) = self.batches.get_mut(request) else { return (Batch::default(), &[]) };
        let full = *batch;
        (batch.count, batch.misses, batch.received) = (0, 0, 0);
        (full, samples.get(..full.count).unwrap_or_default())
    }

    /// One of the request names whose batch was begun since the last take; its batch is not begun any more.
    pub(crate) fn end_one(&mut self) -> Option<usize> {
        self.begun.pop()
    }

    /// Ends the batch of a request, which was emptied.
    pub(crate) fn end(&mut self, request: usize) {
        if let Some((batch, _)) = self.batches.get_mut(request) {
            batch.stretch.length = 0;
        }
    }
}

/// The status and the durations of a sample that is nothing but a success on an open connection.
#[inline(always)]
pub(crate) fn plain(sample: &Sample) -> Option<(u16, Short)> {
    let End::Complete { status, error: None } = sample.end else { return None };
    let Split { dns, connect, tls, first_byte } = sample.split;
    let durations = [sample.latency, sample.service, first_byte, sample.lateness];
    let long = durations.iter().fold(0, |all, nanos| all | nanos) >> 31;
    // One branch for what hardly ever is.
    let odd = long | dns | connect | tls | u64::from(sample.retry | sample.hook);
    (odd == 0 && first_byte != 0).then(|| (status, durations.map(|nanos| nanos as i32)))
}
