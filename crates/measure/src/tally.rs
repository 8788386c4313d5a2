//! Counts of one (request, window) while they grow: flat arrays that `take` turns into a [`Cell`]. Filled by `recorder.rs`.
//!
//! What follows from other counts is not counted beside them but worked out in `take`: a request that succeeds, as most do, touches
//! its status and two or three histograms.

use crate::buckets::bucket_of;
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
    /// Latencies of complete responses, by [`Kind`].
    latencies: [Histogram; 4],
    /// Service times that differ from the latency.
    service: Histogram,
    dns: Histogram,
    connect: Histogram,
    tls: Histogram,
    first_byte: Histogram,
}

/// How a response came: whether it succeeded, and whether its service time is its latency, as it is in the closed model on an open
/// connection. One histogram per kind is one to touch per sample; sums of them are the histograms of a cell.
#[derive(Clone, Copy)]
enum Kind {
    Succeeded,
    SucceededLater,
    Refused,
    RefusedLater,
}

impl Tally {
    /// Counts a sample that succeeded, whose latency falls into this bucket.
    #[inline(always)]
    pub(crate) fn succeeded(&mut self, sample: &Sample, status: u16, bucket: i32) {
        self.complete(sample, (Kind::Succeeded, Kind::SucceededLater), status, bucket);
        self.common(sample);
    }

    /// Counts any other sample.
    #[cold]
    pub(crate) fn failed(&mut self, sample: &Sample, bucket: i32) {
        if let Some(class) = sample.end.error() {
            self.classes[class as usize] += 1;
        }
        self.not_sent += u64::from(!sample.end.was_sent());
        match sample.end.status() {
            Some(status) => self.complete(sample, (Kind::Refused, Kind::RefusedLater), status, bucket),
            None => {
                self.incomplete += 1;
                self.unfinished += u64::from(sample.end == End::Unfinished);
                self.unsent += u64::from(sample.end == End::Unsent);
            }
        }
        self.common(sample);
    }

    #[inline(always)]
    fn complete(&mut self, sample: &Sample, (at_once, later): (Kind, Kind), status: u16, bucket: i32) {
        let kind = if sample.service == sample.latency {
            at_once
        } else {
            self.service.record_in(bucket_of(sample.service), sample.service);
            later
        };
        self.latencies[kind as usize].record_in(bucket, sample.latency);
        match self.statuses.first_mut() {
            Some((first, n)) if *first == status => *n += 1,
            _ => self.count_status(status),
        }
    }

    #[cold]
    fn count_status(&mut self, status: u16) {
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

    #[inline(always)]
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
    #[cold]
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
        let [mut succeeded, succeeded_later, refused, refused_later] =
            self.latencies.each_mut().map(Histogram::take);
        let mut service = self.service.take();
        service.merge(&succeeded);
        service.merge(&refused);
        succeeded.merge(&succeeded_later);
        let mut latency = succeeded.clone();
        latency.merge(&refused);
        latency.merge(&refused_later);
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
            first_byte: self.first_byte.take(),
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
