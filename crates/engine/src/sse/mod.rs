//! Streams of server-sent events over HTTP/1.1 and HTTP/2. `parser.rs` is the pure part; `open.rs` makes the request, `source.rs`
//! reads the body. Called by `elaborate.rs`.
//!
//! A stream with `until` that the end of the load finds open may go on within `gracefulStop`; one without is ended then, as a hold is.

mod open;
mod parser;
mod source;

use std::ops::ControlFlow;
use std::pin::pin;
use std::time::Duration;

use plimsoll_measure::{ErrorClass, RequestId};
use plimsoll_scenario::{CompiledSse, Message, Needs};

use crate::core::Core;
use crate::fault::Fault;
use crate::flight::Flight;
use crate::lane::Lane;
use crate::stream::{Arrival, Ears, Hearing, Opening, Outcome, StreamEnd, conclude};

use open::{Opened, open};
use parser::{Item, Parser};
use source::Source;

/// Opens a stream and reads its events as the step says; the head of the response ends the request, whose time counts from `now`.
/// The last event is kept if `needs` asks for it. Its connection is closed if the step ends before the stream.
pub(crate) async fn stream(
    core: &Core,
    lane: &mut Lane,
    step: &CompiledSse,
    needs: Needs,
    flight: Flight<'_>,
    now: u64,
) -> StreamEnd {
    // What users do after the end of the load is not cut short by it.
    let cut_short = step.until.is_none() && !lane.span.is_over(now);
    // Boxed, so that an open stream does not carry what opening it took.
    let opened = match Box::pin(open(core, lane, step, needs, flight, now)).await {
        Ok(opened) => opened,
        Err(request) => return StreamEnd::refused(request),
    };
    let opening = Opening {
        core,
        request: RequestId(step.http.request),
        ended: opened.request,
        at: opened.arrival.at,
        metric: step.metrics.session,
        concluded: false,
    };
    let mut listener = Listener {
        core,
        step,
        parser: Parser::default(),
        ears: Ears::new(core, &step.metrics, opening.at, needs.message),
        events: 0,
        beats: 0,
        met: None,
    };
    let outcome = listen(&mut listener, lane, opened, cut_short).await;
    let end = listener.met.unwrap_or_else(|| core.clock.now());
    conclude(opening, outcome, end, listener.ears.into_last())
}

/// What is known of a stream while it is read.
struct Listener<'s> {
    core: &'s Core,
    step: &'s CompiledSse,
    parser: Parser,
    ears: Ears<'s>,
    events: u64,
    /// Comments: they keep the connection open and say nothing.
    beats: u64,
    /// When the event came that met the condition.
    met: Option<u64>,
}

/// How reading came to an end.
enum Ended {
    Met,
    Stream,
    TimedOut,
    Load,
}

async fn listen(listener: &mut Listener<'_>, lane: &mut Lane, opened: Opened, cut_short: bool) -> Outcome {
    let Opened { mut source, first, arrival, .. } = opened;
    let ended = read(listener, lane, &mut source, (&first, arrival), cut_short).await;
    if matches!(ended, Ok(Ended::Stream)) {
        source.give_back(listener.core, &mut lane.link);
    }
    let heard = || format!("{} events and {} comments came", listener.events, listener.beats);
    match ended {
        Ok(Ended::Met) => Outcome::Done,
        Ok(Ended::Stream) if listener.step.until.is_none() => Outcome::Done,
        Ok(Ended::Stream) => {
            let cause = format!("the stream ended before an event met `until`; {}", heard());
            Outcome::Failed(ErrorClass::Body, cause)
        }
        Ok(Ended::TimedOut) => {
            let what = if listener.step.until.is_some() { "no event met `until`" } else { "it did not end" };
            let limit = Duration::from_nanos(listener.step.limit);
            Outcome::TimedOut(format!("{what} within {limit:?}; {}", heard()))
        }
        Ok(Ended::Load) => Outcome::Unfinished,
        Err(fault) => Outcome::Failed(fault.class, format!("{}; {}", fault.cause, heard())),
    }
}

async fn read(
    listener: &mut Listener<'_>,
    lane: &mut Lane,
    source: &mut Source,
    (first, arrival): (&[u8], Arrival),
    cut_short: bool,
) -> Result<Ended, Fault> {
    let Lane { memory, deadline, span, retires, .. } = lane;
    let core = listener.core;
    let limit = arrival.at.saturating_add(listener.step.limit);
    let stop = if cut_short { limit.min(*retires) } else { limit };
    if listener.feed(memory, first, arrival)? {
        return Ok(Ended::Met);
    }
    let reading = source.read(core, |piece, arrival| {
        let met = listener.feed(memory, piece, arrival)?;
        // A server that never stops talking does not let the timer be heard.
        Ok(met || arrival.at >= stop || (cut_short && span.is_over(arrival.at)))
    });
    let ended = {
        let mut reading = pin!(deadline.within(core.clock.instant(stop), reading));
        loop {
            let ending = span.ending.notified();
            if cut_short && span.is_over(core.clock.now()) {
                return Ok(Ended::Load);
            }
            tokio::select! {
                biased;
                ended = reading.as_mut() => break ended.transpose()?,
                () = ending, if cut_short => {}
            }
        }
    };
    Ok(match ended {
        Some(false) => Ended::Stream,
        Some(true) if listener.met.is_some() => Ended::Met,
        Some(true) if cut_short && span.is_over(core.clock.now()) => Ended::Load,
        Some(true) | None if stop < limit => Ended::Load,
        Some(true) | None => Ended::TimedOut,
    })
}

impl Listener<'_> {
    /// Takes a piece of the body; whether an event met the condition.
    fn feed(
        &mut self,
        memory: &mut plimsoll_scenario::Memory,
        piece: &[u8],
        arrival: Arrival,
    ) -> Result<bool, Fault> {
        let Self { core, step, parser, ears, events, beats, met } = self;
        let hearing =
            Hearing { reading: &step.reading, until: step.until.as_ref(), captures: Some(&step.captures) };
        let fed = parser.feed(piece, &core.spares, |item| {
            let Item::Event { event, data, id } = item else {
                *beats += 1;
                return ControlFlow::Continue(());
            };
            *events += 1;
            ears.arrived(arrival);
            let last = ears.read(memory, hearing, arrival, || Message::event(event, data.to_owned(), id));
            if last && hearing.until.is_some() {
                *met = Some(arrival.at);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        fed.map_err(|error| Fault::told(ErrorClass::Protocol, error))?;
        Ok(met.is_some())
    }
}
