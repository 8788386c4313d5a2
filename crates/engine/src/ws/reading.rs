//! The items of a WebSocket script that read: receive, hold, ping. The others are in `script.rs`.

use std::ops::ControlFlow;
use std::pin::pin;
use std::time::Duration;

use plimsoll_measure::Observation;
use plimsoll_scenario::{CompiledAssigns, CompiledCondition, CompiledReading, Message, Note, Wait};

use crate::stream::{Arrival, Hearing};

use super::decoder::{Incoming, MAX_MESSAGE};
use super::script::{Session, Stop};
use super::socket::Lost;

/// Why an item stopped reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// What it wanted.
    Enough,
    /// Its time is over.
    TimedOut,
    /// The load ends.
    Ending,
}

/// What became of a message for the item that reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// Messages until the last one to read.
    Last,
    /// All messages.
    All,
}

impl Session<'_> {
    pub(super) async fn receive(
        &mut self,
        until: Option<&CompiledCondition>,
        within: u64,
        optional: bool,
        (reading, captures): (&CompiledReading, &CompiledAssigns),
    ) -> Result<(), Stop> {
        let limit = self.core.clock.now().saturating_add(within);
        let hearing = Hearing { reading, until, captures: Some(captures) };
        match self.hear(hearing, limit, Wanted::Last).await? {
            Heard::TimedOut if !optional => {
                let which = if until.is_some() { " that meets `until`" } else { "" };
                let within = Duration::from_nanos(within);
                Err(Stop::TimedOut(format!("no message{which} within {within:?}")))
            }
            Heard::Enough | Heard::TimedOut | Heard::Ending => Ok(()),
        }
    }

    pub(super) async fn hold(&mut self, length: &Wait, reading: &CompiledReading) -> Result<(), Stop> {
        let (until, retires) = self.until(length);
        let hearing = Hearing { reading, until: None, captures: None };
        match self.hear(hearing, until, Wanted::All).await? {
            Heard::Ending => Err(Stop::Ending),
            Heard::TimedOut | Heard::Enough if retires => Err(Stop::Ending),
            Heard::TimedOut | Heard::Enough => Ok(()),
        }
    }

    /// Reads messages until the last one wanted or until `limit`; what waited comes first.
    async fn hear(&mut self, hearing: Hearing<'_>, limit: u64, wanted: Wanted) -> Result<Heard, Lost> {
        let Self { core, memory, deadline, socket, ears, waiting, span, cut_short, .. } = self;
        while let Some((arrival, text)) = waiting.pop_front() {
            let last = ears.read(memory, hearing, arrival, || Message::new(text));
            if last && wanted == Wanted::Last {
                return Ok(Heard::Enough);
            }
        }
        let cut_short = *cut_short && wanted == Wanted::All;
        let mut enough = false;
        let listening = socket.listen(core, |incoming, arrival| {
            if !incoming.is_message() {
                return ControlFlow::Continue(());
            }
            ears.arrived(arrival);
            let last = ears.read(memory, hearing, arrival, || Message::new(incoming.text()));
            enough = last && wanted == Wanted::Last;
            // A server that never stops talking does not let the timer be heard.
            let over = arrival.at >= limit || (cut_short && span.is_over(arrival.at));
            if enough || over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let ended = {
            let mut listening = pin!(deadline.within(core.clock.instant(limit), listening));
            loop {
                let ending = span.ending.notified();
                if cut_short && span.is_over(core.clock.now()) {
                    return Ok(Heard::Ending);
                }
                tokio::select! {
                    biased;
                    ended = listening.as_mut() => break ended,
                    () = ending, if cut_short => {}
                }
            }
        };
        match ended {
            Some(Err(lost)) => Err(lost),
            Some(Ok(())) if enough => Ok(Heard::Enough),
            Some(Ok(())) if cut_short && span.is_over(core.clock.now()) => Ok(Heard::Ending),
            Some(Ok(())) | None => Ok(Heard::TimedOut),
        }
    }

    pub(super) async fn ping(&mut self, within: u64) -> Result<(), Stop> {
        self.pings += 1;
        let payload = self.pings.to_be_bytes();
        let begun = self.core.clock.now();
        let limit = begun.saturating_add(within);
        let Self { core, deadline, socket, ears, waiting, step, .. } = self;
        let mut answered = None;
        let exchange = async {
            socket.ping(&payload).await?;
            let mut room = MAX_MESSAGE;
            let mut keep = |arrival: Arrival, text: String| {
                // Beyond this a server says more than anybody will read.
                if text.len() <= room {
                    room -= text.len();
                    waiting.push_back((arrival, text));
                }
            };
            socket
                .listen(core, |incoming, arrival| {
                    if incoming.is_message() {
                        ears.arrived(arrival);
                        keep(arrival, incoming.text());
                    }
                    if incoming == Incoming::Pong(&payload) {
                        answered = Some(arrival.at);
                    }
                    let over = answered.is_some() || arrival.at >= limit;
                    if over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                })
                .await
        };
        let ended = deadline.within(core.clock.instant(limit), exchange).await;
        match (ended, answered) {
            (Some(Err(lost)), _) => {
                core.observe(step.metrics.ping, begun, Observation::NotDone);
                Err(lost.into())
            }
            (Some(Ok(())), Some(at)) => {
                let nanos = at.saturating_sub(begun);
                core.note(begun, Note::Trend { metric: step.metrics.ping, nanos });
                Ok(())
            }
            _ => {
                core.observe(step.metrics.ping, begun, Observation::TimedOut);
                Err(Stop::TimedOut(format!("no pong within {:?}", Duration::from_nanos(within))))
            }
        }
    }
}
