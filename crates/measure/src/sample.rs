//! What the engine reports of one request, and of a metric. Recorded by `recorder.rs`.

use serde::{Deserialize, Serialize};

/// Index into [`crate::Layout::requests`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub u16);

/// Index into [`crate::Layout::metrics`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MetricId(pub u16);

/// Index into [`crate::Layout::windows`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WindowId(pub u16);

/// Why a request failed; the names are those of `errorRate.class`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum ErrorClass {
    /// The host name did not resolve.
    #[serde(rename = "DNS")]
    Dns,
    /// No TCP connection.
    Connect,
    /// The TLS handshake failed.
    #[serde(rename = "TLS")]
    Tls,
    /// No complete response within the step's timeout.
    Timeout,
    /// The connection was reset or closed before the response was complete.
    Reset,
    /// The response was not HTTP, or broke its rules.
    Protocol,
    /// A complete response whose status is not among the expected ones.
    Status,
    /// The response body could not be decoded, or was shorter than announced.
    Body,
}

impl ErrorClass {
    /// All classes in the order of their discriminants.
    pub const ALL: [Self; 8] = [
        Self::Dns,
        Self::Connect,
        Self::Tls,
        Self::Timeout,
        Self::Reset,
        Self::Protocol,
        Self::Status,
        Self::Body,
    ];
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A complete response; `error` is `Some(Status)` or `Some(Body)` if it was not an expected one.
    Complete {
        /// Status code of the response.
        status: u16,
        /// Why the request counts as failed all the same.
        error: Option<ErrorClass>,
    },
    /// Sent, but no complete response came: failed with this class, ranked above every finite latency.
    Incomplete(ErrorClass),
    /// Failed before a byte was handed to the kernel (DNS, Connect, TLS), or was still without a connection at the end (Connect).
    NotSent(ErrorClass),
    /// Still in flight when `gracefulStop` ran out.
    Unfinished,
    /// Due within the run, but nobody began it (open model: `maxInFlight` reached until the end).
    Unsent,
}

impl End {
    /// Whether a byte of the request was handed to the kernel.
    #[inline]
    #[must_use]
    pub fn was_sent(self) -> bool {
        !matches!(self, Self::NotSent(_) | Self::Unsent)
    }

    /// Status code of a complete response.
    #[inline]
    #[must_use]
    pub fn status(self) -> Option<u16> {
        if let Self::Complete { status, .. } = self { Some(status) } else { None }
    }

    /// Class of a failed request. What was not finished, or never sent, failed as Timeout.
    #[inline]
    #[must_use]
    pub fn error(self) -> Option<ErrorClass> {
        match self {
            Self::Complete { error, .. } => error,
            Self::Incomplete(class) | Self::NotSent(class) => Some(class),
            Self::Unfinished | Self::Unsent => Some(ErrorClass::Timeout),
        }
    }
}

/// Durations inside one request in nanoseconds; 0 where the phase did not take place (kept-alive connection, no TLS).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Name resolution.
    pub dns: u64,
    /// TCP handshake.
    pub connect: u64,
    /// TLS handshake.
    pub tls: u64,
    /// From the request's last byte written to the response's first byte read.
    pub first_byte: u64,
}

/// One request as the engine saw it. Times are nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Which request.
    pub request: RequestId,
    /// Intended start (closed model: actual start) since the start of the run; decides window and second.
    pub intended: u64,
    /// From the intended start to the last byte of the response: the judged latency.
    pub latency: u64,
    /// From handing the first byte to the kernel to the last byte of the response: the service time.
    pub service: u64,
    /// Sent minus intended, without opening a connection for it: the generator's own lateness (open model; 0 in the closed model).
    pub lateness: u64,
    /// Where the time went.
    pub split: Split,
    /// Bytes of the response read from the socket.
    pub received: u64,
    /// How it ended.
    pub end: End,
    /// It begins an arrival of the open model, so that its delivery and lateness are judged.
    pub scheduled: bool,
    /// It repeats a request that failed.
    pub retry: bool,
    /// It belongs to setup, teardown or timeline: recorded in [`crate::Layout::hooks`], in no series, no objective and no delivery.
    pub hook: bool,
}

/// One observation of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// Check, Fault or Rate: whether it held. That a fault did not occur is not counted.
    Good(bool),
    /// Counter: the number is added.
    Add(u64),
    /// Trend: it took so many nanoseconds.
    Done(u64),
    /// Trend: it came to a bad end.
    NotDone,
    /// Trend: it came to no end in its time; over every bound.
    TimedOut,
}
