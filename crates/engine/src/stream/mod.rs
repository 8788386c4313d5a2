//! What WebSocket sessions (`ws/`) and event streams (`sse/`) have in common: how one ends for its user, what is made of its
//! messages (`ears.rs`), and where cut ones are kept (`spares.rs`).

mod ears;
mod spares;

use plimsoll_measure::{ErrorClass, Observation, RequestId};
use plimsoll_scenario::Message;

use crate::core::Core;
use crate::flight::Ended;
use crate::trace::TraceEvent;

pub(crate) use ears::{Arrival, Ears, Hearing};
pub(crate) use spares::Spares;

/// How a session or a stream ended, for its step.
#[derive(Debug)]
pub(crate) struct StreamEnd {
    /// The request that opened it, or failed to.
    pub(crate) request: Ended,
    /// The step has failed: the request did, or what came after it did not end Done. One that the end of the load cut short has not.
    pub(crate) failed: bool,
    /// The last message, if it was to be kept.
    pub(crate) message: Option<Message>,
}

impl StreamEnd {
    /// Nothing was opened.
    pub(crate) fn refused(request: Ended) -> Self {
        Self { request, failed: request.error.is_some(), message: None }
    }
}

/// How what was opened came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// With the class of the error and its cause.
    Failed(ErrorClass, String),
    /// With what was waited for.
    TimedOut(String),
    /// The load ended first: neither done nor failed.
    Unfinished,
}

/// What is known of a session or stream while it is open. Given up before its end is known, it has timed out, as a poll has: whoever
/// waited for something until the time to finish was over did not get it.
#[derive(Debug)]
pub(crate) struct Opening<'c> {
    pub(crate) core: &'c Core,
    pub(crate) request: RequestId,
    pub(crate) ended: Ended,
    /// Nanoseconds since the start of the run; the session belongs to the window of this moment.
    pub(crate) at: u64,
    /// The trend of sessions.
    pub(crate) metric: u16,
    /// Its end is known.
    pub(crate) concluded: bool,
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        if self.concluded {
            return;
        }
        let cause = || "session: it was still waiting when the time to finish was over".to_owned();
        self.core.observe(self.metric, self.at, Observation::TimedOut);
        self.core.failed(self.request, self.at, ErrorClass::Timeout, Some(self.ended.status), cause);
    }
}

/// Records the end of a session or stream at `now` and, unless it was good, its cause.
pub(crate) fn conclude(
    mut opening: Opening<'_>,
    outcome: Outcome,
    now: u64,
    message: Option<Message>,
) -> StreamEnd {
    opening.concluded = true;
    let (core, request, ended, at, metric) =
        (opening.core, opening.request, opening.ended, opening.at, opening.metric);
    let length = now.saturating_sub(at);
    let (how, observation, cause) = match outcome {
        Outcome::Unfinished => return StreamEnd { request: ended, failed: false, message },
        Outcome::Done => ("Done", Observation::Done(length), None),
        Outcome::Failed(class, cause) => ("Failed", Observation::NotDone, Some((class, cause))),
        Outcome::TimedOut(cause) => ("TimedOut", Observation::TimedOut, Some((ErrorClass::Timeout, cause))),
    };
    core.observe(metric, at, observation);
    let failed = cause.is_some();
    if let Some((class, cause)) = cause {
        core.trace(|_| TraceEvent::Failed { class, cause: cause.clone() });
        core.failed(request, at, class, Some(ended.status), || format!("session: {cause}"));
    }
    core.trace(|tracer| TraceEvent::Ended { name: tracer.metric(metric), how, length });
    StreamEnd { request: ended, failed, message }
}
