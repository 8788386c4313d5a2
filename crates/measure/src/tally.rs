//! Counts of one (request, window) while they grow: flat arrays that `take` turns into a [`Cell`]. Filled by `recorder.rs`.

use crate::{Cell, Counts, End, ErrorClass, Histogram, RequestId, Sample, WindowId};

#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Without `classes` and `statuses`, which are counted below.
    counts: Counts,
    classes: [u64; ErrorClass::ALL.len()],
    /// Few different ones occur; the most frequent ones move to the front.
    statuses: Vec<(u16, u64)>,
    latency: Histogram,
    succeeded: Histogram,
    service: Histogram,
    dns: Histogram,
    connect: Histogram,
    tls: Histogram,
    first_byte: Histogram,
}

impl Tally {
    pub(crate) fn is_untouched(&self) -> bool {
        self.counts.complete + self.counts.incomplete == 0
    }

    /// Counts a sample whose latency falls into this scale-8 bucket.
    #[inline]
    pub(crate) fn record(&mut self, sample: &Sample, bucket: i32) {
        let error = sample.end.error();
        if let Some(class) = error {
            self.counts.failed += 1;
            self.classes[class as usize] += 1;
        }
        if sample.end.was_sent() {
            self.counts.sent += 1;
        } else {
            self.counts.not_sent += 1;
        }
        self.counts.received += sample.received;
        self.counts.retries += u64::from(sample.retry);
        match sample.end.status() {
            Some(status) => self.complete(sample, bucket, status, error.is_none()),
            None => self.incomplete(sample.end),
        }
        let phase = |histogram: &mut Histogram, nanos| {
            if nanos > 0 {
                histogram.record(nanos);
            }
        };
        phase(&mut self.dns, sample.split.dns);
        phase(&mut self.connect, sample.split.connect);
        phase(&mut self.tls, sample.split.tls);
        phase(&mut self.first_byte, sample.split.first_byte);
    }

    fn complete(&mut self, sample: &Sample, bucket: i32, status: u16, succeeded: bool) {
        self.counts.complete += 1;
        self.latency.record_in(bucket, sample.latency);
        if succeeded {
            self.succeeded.record_in(bucket, sample.latency);
        }
        self.service.record(sample.service);
        match self.statuses.iter().position(|(known, _)| *known == status) {
            Some(at) => {
                self.statuses[at].1 += 1;
                if at > 0 && self.statuses[at].1 > self.statuses[at - 1].1 {
                    self.statuses.swap(at, at - 1);
                }
            }
            None => self.statuses.push((status, 1)),
        }
    }

    fn incomplete(&mut self, end: End) {
        self.counts.incomplete += 1;
        self.counts.unfinished += u64::from(end == End::Unfinished);
        self.counts.unsent += u64::from(end == End::Unsent);
    }

    pub(crate) fn take(&mut self, request: RequestId, window: WindowId) -> Cell {
        let mut counts = std::mem::take(&mut self.counts);
        let classes = ErrorClass::ALL.into_iter().zip(std::mem::take(&mut self.classes));
        counts.classes = classes.filter(|(_, n)| *n > 0).collect();
        counts.statuses = self.statuses.drain(..).collect();
        Cell {
            request,
            window,
            counts,
            latency: self.latency.take(),
            succeeded: self.succeeded.take(),
            service: self.service.take(),
            dns: self.dns.take(),
            connect: self.connect.take(),
            tls: self.tls.take(),
            first_byte: self.first_byte.take(),
        }
    }
}
