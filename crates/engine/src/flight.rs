//! One request from its intended start to its sample: what is known so far, and the promise that it is recorded exactly once,
//! even if its user is dropped in the middle. Filled by `h1/` and `h2.rs`, ended by `request.rs`, `ws/` and `sse/`.

use plimsoll_measure::{End, ErrorClass, RequestId, Sample, Split};

use crate::core::Core;
use crate::fault::Fault;

/// How a request ended, for its user.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    /// Its intended start: what is observed of it belongs to the window of this moment.
    pub(crate) at: u64,
    /// Status of a complete response; 0 without.
    pub(crate) status: u16,
    /// Nanoseconds from the intended start.
    pub(crate) latency: u64,
    /// Why it failed, if it did.
    pub(crate) error: Option<ErrorClass>,
}

/// A request under way. All times are nanoseconds since the start of the run.
#[derive(Debug)]
pub(crate) struct Flight<'c> {
    core: &'c Core,
    request: RequestId,
    intended: u64,
    /// The open model's schedule set `intended`; otherwise the request was begun when its user came to it.
    scheduled: bool,
    /// It repeats one that failed.
    retry: bool,
    /// Somebody began it: from then on it is delivered, whatever the target makes of it.
    tried: bool,
    /// First byte handed to the kernel.
    sent: Option<u64>,
    /// Last byte of the request written; 0 before.
    written: u64,
    /// First byte of the response read; 0 before.
    answered: u64,
    split: Split,
    /// All the time that connections for it took to open; the split has the last one's.
    opening: u64,
    received: u64,
    recorded: bool,
}

impl<'c> Flight<'c> {
    /// A request that its user begins now; it counts as asked for, but not if it is one of the run's hooks.
    #[inline]
    pub(crate) fn begun(core: &'c Core, request: RequestId, now: u64, retry: bool) -> Self {
        if !core.hook {
            core.recorder().asked(now, false);
        }
        Self::new(core, request, now, (false, retry))
    }

    /// A request that the schedule asked for at `intended`, and that was counted as asked for then.
    pub(crate) fn scheduled(core: &'c Core, request: RequestId, intended: u64) -> Self {
        Self::new(core, request, intended, (true, false))
    }

    #[inline]
    fn new(core: &'c Core, request: RequestId, intended: u64, (scheduled, retry): (bool, bool)) -> Self {
        core.active.requests.set(core.active.requests.get() + 1);
        Self {
            core,
            request,
            intended,
            scheduled,
            retry,
            tried: !scheduled,
            sent: None,
            written: 0,
            answered: 0,
            split: Split::default(),
            opening: 0,
            received: 0,
            recorded: false,
        }
    }

    /// Its user is there and wants a connection for it.
    #[inline]
    pub(crate) fn tried(&mut self) {
        self.tried = true;
    }

    /// Its intended start.
    pub(crate) fn intended(&self) -> u64 {
        self.intended
    }

    pub(crate) fn core(&self) -> &'c Core {
        self.core
    }

    /// What opening a connection for this request took.
    pub(crate) fn opened(&mut self, split: Split) {
        self.opening = self.opening.saturating_add(split.dns + split.connect + split.tls);
        self.split = Split { first_byte: self.split.first_byte, ..split };
    }

    /// The time, if it is known without asking: a request that its user begins on an open connection is sent as it begins.
    #[inline]
    pub(crate) fn ready(&self, at_once: bool) -> Option<u64> {
        (at_once && !self.scheduled).then_some(self.intended)
    }

    /// The kernel took the first byte of a write begun at `now`.
    #[inline]
    pub(crate) fn sent(&mut self, now: u64) {
        if self.sent.is_none() {
            self.sent = Some(now);
            self.core.sent_first(now, self.intended);
        }
    }

    pub(crate) fn is_sent(&self) -> bool {
        self.sent.is_some()
    }

    /// The last byte of the request is written.
    #[inline]
    pub(crate) fn written(&mut self, now: u64) {
        self.written = now;
    }

    /// Bytes of the response were read.
    #[inline]
    pub(crate) fn read(&mut self, now: impl FnOnce() -> u64, bytes: usize) {
        if self.answered == 0 {
            self.answered = now().max(1);
        }
        self.received += bytes as u64;
    }

    /// When the first byte of the response was read; 0 before.
    #[inline]
    pub(crate) fn answered(&self) -> u64 {
        self.answered
    }

    /// Nanoseconds from the intended start to a moment.
    pub(crate) fn latency(&self, now: u64) -> u64 {
        now.saturating_sub(self.intended)
    }

    /// The request failed without a complete response, before or after it was sent.
    pub(crate) fn fail(self, fault: Fault) -> Ended {
        let now = self.core.clock.now();
        let Fault { class, cause } = fault;
        self.core.failed(self.request, self.intended, class, None, || cause.into_owned());
        let end = if self.is_sent() { End::Incomplete(class) } else { End::NotSent(class) };
        self.end(end, now)
    }

    /// There is a complete response, and the request has failed all the same.
    pub(crate) fn refused(
        self,
        class: ErrorClass,
        status: u16,
        now: u64,
        example: impl FnOnce() -> String,
    ) -> Ended {
        self.core.failed(self.request, self.intended, class, Some(status), example);
        self.end(End::Complete { status, error: Some(class) }, now)
    }

    /// Records the request as ended at `now`. One that failed is to be ended by [`Self::fail`] or [`Self::refused`].
    #[inline]
    pub(crate) fn end(mut self, end: End, now: u64) -> Ended {
        self.record(end, now);
        let latency = self.latency(now);
        Ended { at: self.intended, status: end.status().unwrap_or(0), latency, error: end.error() }
    }

    fn record(&mut self, end: End, now: u64) {
        self.recorded = true;
        self.core.active.requests.set(self.core.active.requests.get() - 1);
        if self.answered != 0 {
            // A response may begin before the request is written to its end.
            self.split.first_byte = self.answered.saturating_sub(self.written).max(1);
        }
        // A connection is opened as fast as the target lets it: that is latency, and not the generator's delay.
        let lateness = match self.sent {
            Some(sent) if self.scheduled => sent.saturating_sub(self.intended).saturating_sub(self.opening),
            _ => 0,
        };
        self.core.recorder().record(&Sample {
            request: self.request,
            intended: self.intended,
            latency: self.latency(now),
            service: self.sent.map_or(0, |sent| now.saturating_sub(sent)),
            lateness,
            split: self.split,
            received: self.received,
            end,
            scheduled: self.scheduled,
            retry: self.retry,
            hook: self.core.hook,
        });
    }
}

impl Drop for Flight<'_> {
    /// Whoever gives up a flight, gives it up unfinished; one that was tried and not sent still had no connection.
    fn drop(&mut self) {
        if self.recorded {
            return;
        }
        let (end, class, cause) = match (self.is_sent(), self.tried) {
            (true, _) => {
                let cause = "the response was not complete when the time to finish was over";
                (End::Unfinished, ErrorClass::Timeout, cause)
            }
            (false, true) => {
                let cause = "there was no connection when the time to finish was over";
                (End::NotSent(ErrorClass::Connect), ErrorClass::Connect, cause)
            }
            (false, false) => {
                let cause = "never begun: they waited in line until the end of the load";
                (End::Unsent, ErrorClass::Timeout, cause)
            }
        };
        self.core.failed(self.request, self.intended, class, None, || cause.to_owned());
        self.record(end, self.core.clock.now());
    }
}
