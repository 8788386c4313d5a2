//! Tells step by step what a user does, for `plimsoll try`; a run that is not traced pays one look at an empty place. Events are
//! made where the things happen; secrets are masked here.

use std::sync::Arc;

use plimsoll_measure::{ErrorClass, Layout};
use plimsoll_scenario::Note;
use tokio::sync::mpsc::UnboundedSender;

use crate::redact::Redact;

/// Something that a user did or saw. No text holds the value of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraceEvent {
    /// A part of a user's life, or of the run's hooks, begins.
    Part(Part),
    /// A step begins.
    Step {
        /// Where it stands in the manifest: `spec.scenarios[0].steps[1]`.
        at: String,
        /// The name of its request; its kind of action without one.
        name: String,
    },
    /// A step or a task is left out.
    Skipped {
        /// Where it stands in the manifest.
        at: String,
        /// Why.
        why: String,
    },
    /// A request, as HTTP/1.1 puts it, whatever is spoken.
    Request {
        /// The head and, after an empty line, the body; what is not UTF-8 is replaced.
        text: String,
    },
    /// A complete response.
    Response {
        /// Status code.
        status: u16,
        /// Names in lower case.
        headers: Vec<(String, String)>,
        /// The body; what is not UTF-8 is replaced.
        body: String,
        /// Nanoseconds from the start of the request.
        latency: u64,
    },
    /// A request failed, with or without a complete response.
    Failed {
        /// The class of the error, as `errorRate.class` names it.
        class: ErrorClass,
        /// Why.
        cause: String,
    },
    /// A check was made.
    Check {
        /// Its name.
        name: String,
        /// Its result.
        passed: bool,
        /// Why it could not be computed, if so.
        why: Option<String>,
    },
    /// An expression other than a check could not be computed, or found nothing.
    Fault {
        /// What it belongs to: `capture token`, `when`.
        name: String,
        /// Where and why.
        message: String,
    },
    /// A variable got a value.
    Captured {
        /// The variable.
        name: String,
        /// Its value as JSON.
        value: String,
    },
    /// A metric was fed.
    Measured {
        /// The metric.
        name: String,
        /// What with: a number, true or false, or a duration such as `12.5ms`.
        value: String,
    },
    /// A message of a WebSocket or an event of a stream.
    Message {
        /// It was sent; otherwise received.
        sent: bool,
        /// The message.
        text: String,
    },
    /// The user waits.
    Pause {
        /// Nanoseconds.
        length: u64,
        /// What for: `pause`, `wait`, `retry`, `poll`, `gap`.
        why: &'static str,
    },
    /// A poll or a session came to its end.
    Ended {
        /// The trend that it feeds.
        name: String,
        /// `Done`, `Failed` or `TimedOut`.
        how: &'static str,
        /// Nanoseconds.
        length: u64,
    },
}

/// A part of a user's life, or of the run's hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `spec.setup`.
    Setup,
    /// `onStart`.
    Start,
    /// An iteration, by its number from 0.
    Iteration(u64),
    /// `onStop`.
    Stop,
    /// A call of `spec.timeline`, by its place.
    Timeline(usize),
    /// `spec.teardown`.
    Teardown,
}

/// Where events go.
#[derive(Clone, Debug)]
pub(crate) struct Tracer {
    pub(crate) sink: UnboundedSender<TraceEvent>,
    pub(crate) redact: Arc<Redact>,
    pub(crate) layout: Arc<Layout>,
}

impl Tracer {
    /// Masks secrets and passes the event on.
    pub(crate) fn send(&self, mut event: TraceEvent) {
        for text in texts(&mut event) {
            *text = self.redact.text(std::mem::take(text));
        }
        // Whoever does not listen any more does not miss it.
        let _ = self.sink.send(event);
    }

    /// Passes on what was noted of a response.
    pub(crate) fn note(&self, note: &Note<'_>) {
        let event = match note {
            Note::Check { metric, passed, why } => {
                TraceEvent::Check { name: self.metric(*metric), passed: *passed, why: why.clone() }
            }
            Note::Fault { metric, message } => {
                TraceEvent::Fault { name: self.metric(*metric), message: message.clone() }
            }
            Note::Counter { metric, amount } => self.measured(*metric, amount.to_string()),
            Note::Rate { metric, good } => self.measured(*metric, good.to_string()),
            Note::Trend { metric, nanos } => self.measured(*metric, millis(*nanos)),
            Note::Captured { name, value } => {
                let value = value.json().unwrap_or_else(|| format!("a {}", value.type_name()));
                TraceEvent::Captured { name: (*name).to_owned(), value }
            }
        };
        self.send(event);
    }

    fn measured(&self, metric: u16, value: String) -> TraceEvent {
        TraceEvent::Measured { name: self.metric(metric), value }
    }

    /// The name of a metric.
    pub(crate) fn metric(&self, metric: u16) -> String {
        self.layout.metrics.get(usize::from(metric)).map_or_else(String::new, |metric| metric.name.clone())
    }

    /// The name of a request.
    pub(crate) fn request(&self, request: u16) -> String {
        self.layout.requests.get(usize::from(request)).cloned().unwrap_or_default()
    }
}

fn millis(nanos: u64) -> String {
    format!("{}ms", nanos as f64 / 1e6)
}

/// Every text of an event that may hold what a target or a template says.
fn texts(event: &mut TraceEvent) -> Vec<&mut String> {
    match event {
        TraceEvent::Part(_) | TraceEvent::Pause { .. } => vec![],
        TraceEvent::Step { at, name } => vec![at, name],
        TraceEvent::Skipped { at, why } => vec![at, why],
        TraceEvent::Request { text } | TraceEvent::Message { text, .. } => vec![text],
        TraceEvent::Response { headers, body, .. } => {
            headers.iter_mut().map(|(_, value)| value).chain([body]).collect()
        }
        TraceEvent::Failed { cause, .. } => vec![cause],
        TraceEvent::Check { name, why, .. } => [name].into_iter().chain(why).collect(),
        TraceEvent::Fault { name, message } => vec![name, message],
        TraceEvent::Captured { name, value } | TraceEvent::Measured { name, value } => vec![name, value],
        TraceEvent::Ended { name, .. } => vec![name],
    }
}
