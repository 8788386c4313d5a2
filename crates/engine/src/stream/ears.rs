//! What is made of the messages of a session or a stream: counted as they arrive, then judged, measured and captured by the item
//! of the script that reads them.

use plimsoll_measure::Observation;
use plimsoll_scenario::{
    CompiledAssigns, CompiledCondition, CompiledReading, Memory, Message, Note, StreamMetrics,
};

use crate::core::Core;
use crate::lane::env_at;
use crate::trace::TraceEvent;

/// When something arrived: read from the clocks before anything else is done with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Nanoseconds since the start of the run.
    pub(crate) at: u64,
    /// Nanoseconds since 1970.
    pub(crate) epoch: u64,
}

impl Arrival {
    pub(crate) fn now(core: &Core) -> Self {
        Self { at: core.clock.now(), epoch: core.epoch() }
    }
}

/// How an item of a script reads messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hearing<'s> {
    pub(crate) reading: &'s CompiledReading,
    /// The last message to read.
    pub(crate) until: Option<&'s CompiledCondition>,
    /// What is kept of it.
    pub(crate) captures: Option<&'s CompiledAssigns>,
}

/// The listener of one session.
#[derive(Debug)]
pub(crate) struct Ears<'s> {
    core: &'s Core,
    metrics: &'s StreamMetrics,
    /// When the session was opened, until its first message is there.
    silent_since: Option<u64>,
    /// Whether the last message is to be kept.
    keep: bool,
    last: Option<Message>,
}

impl<'s> Ears<'s> {
    pub(crate) fn new(core: &'s Core, metrics: &'s StreamMetrics, opened: u64, keep: bool) -> Self {
        Self { core, metrics, silent_since: Some(opened), keep, last: None }
    }

    /// Counts a message, whoever reads it.
    pub(crate) fn arrived(&mut self, arrival: Arrival) {
        if let Some(opened) = self.silent_since.take() {
            let nanos = arrival.at.saturating_sub(opened);
            self.core.note(arrival.at, Note::Trend { metric: self.metrics.first_message, nanos });
        }
        self.core.observe(self.metrics.received, arrival.at, Observation::Add(1));
    }

    /// Reads a message; `message` is asked for only if anybody looks at it. Returns whether it is the last to read.
    pub(crate) fn read(
        &mut self,
        memory: &mut Memory,
        hearing: Hearing<'_>,
        arrival: Arrival,
        message: impl FnOnce() -> Message,
    ) -> bool {
        let Hearing { reading, until, captures } = hearing;
        let captures = captures.filter(|captures| !captures.is_empty());
        let core = self.core;
        let traced = core.tracer.is_some();
        if reading.is_empty() && until.is_none() && captures.is_none() && !self.keep && !traced {
            return true;
        }
        let message = message();
        core.trace(|_| TraceEvent::Message { sent: false, text: message.text().to_owned() });
        let mut env = env_at(core, memory, arrival.epoch);
        env.message = Some(&message);
        let mut measured = None;
        let mut notes = |note: Note<'_>| core.note(arrival.at, note);
        if let Some(sent) = reading.sent_at(&mut env, &mut notes) {
            let sent = u64::try_from(sent).unwrap_or(0);
            measured = Some(arrival.epoch.checked_sub(sent));
        }
        reading.checks.apply(&mut env, &mut notes);
        let last = until.is_none_or(|until| until.holds(&mut env, &mut notes));
        if let Some(captures) = captures.filter(|_| last) {
            captures.capture(&mut env, &mut notes);
        }
        match measured {
            Some(Some(nanos)) => {
                core.note(arrival.at, Note::Trend { metric: self.metrics.message, nanos });
            }
            Some(None) => core.observe(self.metrics.skewed, arrival.at, Observation::Add(1)),
            None => {}
        }
        if self.keep {
            self.last = Some(message);
        }
        last
    }

    /// The last message, if it was to be kept.
    pub(crate) fn into_last(self) -> Option<Message> {
        self.last
    }
}
