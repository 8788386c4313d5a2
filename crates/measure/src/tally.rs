//! Counts of one (request, window) while they grow: flat arrays that `take` turns into a [`Cell`]. Filled by `recorder.rs`, by batches
//! in the usual case and by single samples in all others.

use crate::batch::Batch;
use crate::buckets::bucket_of;
use crate::joint::Joint;
use crate::{Cell, Counts, End, ErrorClass, Histogram, RequestId, Sample, Split, WindowId};

#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// It saw something since the last take.
    pub(crate) touched: bool,
    received: u64,
    retries: u64,
    not_sent: u64,
    incomplete: u64,
    unfinished: u64,
    unsent: u64,
    classes: [u64; ErrorClass::ALL.len()],
    /// Complete responses. Few different ones occur; the most frequent ones move to the front.
    statuses: Vec<(u16, u64)>,
    /// Samples of batches.
    joint: Joint,
    /// Latencies of other samples that succeeded, and of those that did not.
    succeeded: Histogram,
    refused: Histogram,
    service: Histogram,
    dns: Histogram,
    connect: Histogram,
    tls: Histogram,
    first_byte: Histogram,
}

impl Tally {
    /// Counts what the samples of a batch have in common, and lends the table for their durations.
    pub(crate) fn batch(&mut self, batch: &Batch) -> &mut Joint {
        self.received += batch.received;
        self.count_status(batch.status, batch.count as u64);
        if self.joint.is_full() {
            self.spill();
        }
        &mut self.joint
    }

    /// Makes room for more batches than small counters can count between two takes.
    #[cold]
    fn spill(&mut self) {
        let [latency, service, first_byte] = self.joint.take();
        self.succeeded.merge(&latency);
        self.service.merge(&service);
        self.first_byte.merge(&first_byte);
    }

    /// Counts a single sample that succeeded, whose latency falls into this bucket.
    pub(crate) fn succeeded(&mut self, sample: &Sample, status: u16, bucket: i32) {
        self.succeeded.record_in(bucket, sample.latency);
        self.complete(sample, status);
    }

    /// Counts any other sample.
    pub(crate) fn failed(&mut self, sample: &Sample, bucket: i32) {
        if let Some(class) = sample.end.error() {
            self.classes[class as usize] += 1;
        }
        self.not_sent += u64::from(!sample.end.was_sent());
        if let Some(status) = sample.end.status() {
            self.refused.record_in(bucket, sample.latency);
            return self.complete(sample, status);
        }
        self.incomplete += 1;
        self.unfinished += u64::from(sample.end == End::Unfinished);
        self.unsent += u64::from(sample.end == End::Unsent);
        self.common(sample);
    }

    fn complete(&mut self, sample: &Sample, status: u16) {
        self.service.record_in(bucket_of(sample.service), sample.service);
        self.count_status(status, 1);
        self.common(sample);
    }

    fn count_status(&mut self, status: u16, n: u64) {
        match self.statuses.iter().position(|(known, _)| *known == status) {
            Some(at) => {
                self.statuses[at].1 += n;
                if at > 0 && self.statuses[at].1 > self.statuses[at - 1].1 {
                    self.statuses.swap(at, at - 1);
                }
            }
            None => self.statuses.push((status, n)),
        }
    }

    fn common(&mut self, sample: &Sample) {
        self.received += sample.received;
        self.retries += u64::from(sample.retry);
        let Split { dns, connect, tls, first_byte } = sample.split;
        if first_byte > 0 {
            self.first_byte.record_in(bucket_of(first_byte), first_byte);
        }
        if dns | connect | tls != 0 {
            self.opened([dns, connect, tls]);
        }
    }

    /// Counts what opening a connection took.
    fn opened(&mut self, phases: [u64; 3]) {
        for (histogram, nanos) in [&mut self.dns, &mut self.connect, &mut self.tls].into_iter().zip(phases) {
            if nanos > 0 {
                histogram.record(nanos);
            }
        }
    }

    pub(crate) fn take(&mut self, request: RequestId, window: WindowId) -> Cell {
        let counts = self.take_counts();
        self.touched = false;
        let [mut succeeded, mut service, mut first_byte] = self.joint.take();
        succeeded.take_from(&mut self.succeeded);
        service.take_from(&mut self.service);
        first_byte.take_from(&mut self.first_byte);
        let mut latency = succeeded.clone();
        latency.take_from(&mut self.refused);
        Cell {
            request,
            window,
            counts,
            latency,
            succeeded,
            service,
            dns: self.dns.take(),
            connect: self.connect.take(),
            tls: self.tls.take(),
            first_byte,
        }
    }

    fn take_counts(&mut self) -> Counts {
        let take = std::mem::take::<u64>;
        let classes = ErrorClass::ALL.into_iter().zip(std::mem::take(&mut self.classes));
        let complete = self.statuses.iter().map(|(_, n)| n).sum();
        let (incomplete, not_sent) = (take(&mut self.incomplete), take(&mut self.not_sent));
        let counts = Counts {
            sent: complete + incomplete - not_sent,
            not_sent,
            complete,
            incomplete,
            unfinished: take(&mut self.unfinished),
            unsent: take(&mut self.unsent),
            failed: 0,
            classes: classes.filter(|(_, n)| *n > 0).collect(),
            statuses: self.statuses.drain(..).collect(),
            received: take(&mut self.received),
            retries: take(&mut self.retries),
        };
        Counts { failed: counts.classes.values().sum(), ..counts }
    }
}
