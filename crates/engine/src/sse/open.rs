//! Opens an event stream: the request up to the head of its response, as a request with its sample. The body is in `source.rs`.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Poll, ready};

use plimsoll_measure::ErrorClass;
use plimsoll_scenario::{CompiledSse, Needs};
use tokio::io::{AsyncRead, ReadBuf};

use crate::core::Core;
use crate::fault::{Fault, excerpt};
use crate::flight::{Ended, Flight};
use crate::h1::{self, Broken, Expecting, Head, Reader};
use crate::h2;
use crate::io::Io;
use crate::keep::Keep;
use crate::lane::Lane;
use crate::pool::{Link, Wire};
use crate::request::{Message, Render, conclude, failed, refuse, show, show_parts, timed_out, unmade};
use crate::stream::Arrival;

use super::source::{Form, Source};

/// Connections that may turn out dead before the request is given up as reset.
const ATTEMPTS: u32 = 3;

/// A stream whose head was accepted.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) source: Source,
    pub(super) request: Ended,
    /// What of the body came with the head, and when that was.
    pub(super) first: Vec<u8>,
    pub(super) arrival: Arrival,
}

/// A head and what came with it.
struct Answer {
    source: Source,
    head: Head,
    first: Vec<u8>,
    arrival: Arrival,
}

/// Makes the request and records it. The time for the head counts from `now`. `Err`: there is no stream, be it that this was
/// expected; the response was then read to its end.
pub(super) async fn open(
    core: &Core,
    lane: &mut Lane,
    step: &CompiledSse,
    needs: Needs,
    mut flight: Flight<'_>,
    now: u64,
) -> Result<Opened, Ended> {
    flight.tried();
    let http = &step.http;
    let limit = core.clock.instant(now.saturating_add(http.timeout));
    let epoch = core.epoch();
    let Lane { memory, link, out, body, deadline, .. } = &mut *lane;
    body.clear();
    let mut keep = Keep { body, all: needs.body, unless: Some(&http.expect) };
    let asked = async {
        let mut answer = ask(step, Render { out, memory, epoch }, link, &mut flight).await?;
        if !is_stream(&answer.head) {
            // What it says instead is read like any response.
            let status = answer.head.status;
            keep.all |= http.expect.contains(status);
            keep.take(status, &std::mem::take(&mut answer.first))?;
            answer
                .source
                .read(core, |piece, arrival| {
                    answer.arrival = arrival;
                    keep.take(status, piece).map(|()| false)
                })
                .await?;
            answer.source.give_back(core, link);
            return Ok((None, answer.head, answer.arrival));
        }
        Ok((Some((answer.source, answer.first)), answer.head, answer.arrival))
    };
    let (stream, head, arrival) = match deadline.within(limit, asked).await {
        Some(Ok(asked)) => asked,
        Some(Err(fault)) => return Err(failed(core, lane, needs, flight, fault)),
        None => return Err(failed(core, lane, needs, flight, timed_out(http))),
    };
    let Some((source, first)) = stream else {
        return Err(no_stream(lane, step, needs, flight, head, arrival.at));
    };
    let request = conclude(lane, http, needs, flight, head, arrival.at);
    if request.error.is_some() {
        return Err(request);
    }
    Ok(Opened { source, request, first, arrival })
}

/// A response of status 2xx that is an event stream; all others are read to their end.
fn is_stream(head: &Head) -> bool {
    (200..300).contains(&head.status) && content_type(head).is_some_and(|kind| kind == "text/event-stream")
}

fn content_type(head: &Head) -> Option<String> {
    let (_, value) = head.headers.iter().find(|(name, _)| name == "content-type")?;
    Some(value.split(';').next().unwrap_or("").trim().to_ascii_lowercase())
}

/// A response that is no stream is good only if its status says so: an expected refusal.
fn no_stream(
    lane: &mut Lane,
    step: &CompiledSse,
    needs: Needs,
    flight: Flight<'_>,
    head: Head,
    now: u64,
) -> Ended {
    let core = flight.core();
    let status = head.status;
    if (300..400).contains(&status) {
        return refuse(lane, needs, flight, (status, head.headers), now, ErrorClass::Status);
    }
    if !(200..300).contains(&status) || !step.http.expect.contains(status) {
        return conclude(lane, &step.http, needs, flight, head, now);
    }
    let kind = content_type(&head).unwrap_or_else(|| "of no type".to_owned());
    let cause = format!("the response is {kind}, not text/event-stream");
    core.trace(|_| crate::trace::TraceEvent::Failed { class: ErrorClass::Body, cause: cause.clone() });
    let ended =
        flight.refused(ErrorClass::Body, status, now, || format!("{cause}; {}", excerpt(status, &lane.body)));
    if needs.response {
        lane.remember(head.headers, &ended);
    }
    ended
}

/// Sends the request and reads the head. A connection that was dead before it took a byte is replaced.
async fn ask(
    step: &CompiledSse,
    mut render: Render<'_>,
    own: &mut Option<Box<Link>>,
    flight: &mut Flight<'_>,
) -> Result<Answer, Fault> {
    let core = flight.core();
    let choices = render.memory.rng.clone();
    for _ in 0..ATTEMPTS {
        render.memory.rng = choices.clone();
        let mut taken = core.pool.take(own, flight).await?;
        let result = match taken.held.link_mut().map(|link| &mut link.wire) {
            Some(Wire::H1(io)) => {
                let (out, mut env) = render.env(core);
                let message = Message::Step(&step.http);
                let bytes = message.h1(out, &mut env)?;
                show(core, bytes);
                let ready = flight.ready(taken.at_once);
                head_h1(io, bytes, ready, flight).await
            }
            _ => head_h2(step, &mut render, taken.held.link(), flight).await,
        };
        match result {
            Ok((form, head, first, arrival)) => {
                let source = Source { held: taken.held, form };
                return Ok(Answer { source, head, first, arrival });
            }
            Err(Broken::Lost(fault)) => return Err(fault),
            Err(Broken::Unsent) if taken.reused => {}
            Err(Broken::Unsent) => break,
        }
    }
    Err(Fault::new(ErrorClass::Reset, "the connection was closed before it took the request"))
}

type Headed = (Form, Head, Vec<u8>, Arrival);

async fn head_h1(
    io: &mut Io,
    request: &[u8],
    ready: Option<u64>,
    flight: &mut Flight<'_>,
) -> Result<Headed, Broken> {
    let core = flight.core();
    h1::write(io, request, ready.unwrap_or_else(|| core.clock.now()), flight).await?;
    flight.written(core.clock.now());
    let mut reader = Reader::new(Expecting { headers: true, ..Expecting::default() });
    let (mut first, mut arrival) = (Vec::new(), Arrival::default());
    let head = poll_fn(|cx| {
        let mut buffer = core.buffer();
        loop {
            if let Some(head) = reader.head() {
                return Poll::Ready(Ok(head.clone()));
            }
            let mut piece = ReadBuf::new(&mut buffer);
            let result = ready!(Pin::new(&mut *io).poll_read(cx, &mut piece));
            arrival = Arrival::now(core);
            let bytes = piece.filled();
            match result {
                Ok(()) if bytes.is_empty() => reader.eof()?,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => reader.eof()?,
                Err(error) => return Poll::Ready(Err(h1::lost(&error))),
                Ok(()) => {
                    flight.read(|| arrival.at, bytes.len());
                    reader.feed(bytes, &mut |_, piece| {
                        first.extend_from_slice(piece);
                        Ok(())
                    })?;
                }
            }
        }
    })
    .await
    .map_err(Broken::Lost)?;
    Ok((Form::H1(reader), head, first, arrival))
}

async fn head_h2(
    step: &CompiledSse,
    render: &mut Render<'_>,
    link: &Link,
    flight: &mut Flight<'_>,
) -> Result<Headed, Broken> {
    let core = flight.core();
    let Wire::H2(connection) = &link.wire else { return Err(Broken::Unsent) };
    let parts = {
        let (_, mut env) = render.env(core);
        step.http.parts(&mut env).map_err(|error| Broken::Lost(unmade(&error)))?
    };
    show_parts(core, &parts);
    let response = h2::send(connection, (h2::request(&parts)?, &parts.body), flight).await?;
    let arrival = Arrival::now(core);
    let head = Head {
        status: response.status().as_u16(),
        keep_alive: true,
        location: None,
        headers: h2::headers_of(response.headers()),
    };
    Ok((Form::H2(response.into_body()), head, Vec::new(), arrival))
}
