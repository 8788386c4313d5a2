//! Events that a person would want to see with `kubectl describe`: what was accepted, started and finished, what a run waits for,
//! and which worker was lost. An event that cannot be written is logged, and nothing else depends on it.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

use crate::web::Metrics;

/// Longest note that the API takes.
const LONGEST_NOTE: usize = 1000;

/// Something to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct News {
    /// In one word: `Started`, `WorkerLost`.
    pub(crate) reason: String,
    /// In a sentence.
    pub(crate) note: String,
    /// Whether somebody should look at it.
    pub(crate) warning: bool,
    /// What it is about, where one object may have several of the same reason: without it they count as one that repeats.
    pub(crate) about: String,
}

impl News {
    /// Something that went as it should.
    #[must_use]
    pub(crate) fn good(reason: &str, note: impl Into<String>) -> Self {
        Self { reason: reason.to_owned(), note: note.into(), warning: false, about: String::new() }
    }

    /// Something that somebody should look at.
    #[must_use]
    pub(crate) fn bad(reason: &str, note: impl Into<String>) -> Self {
        Self { warning: true, ..Self::good(reason, note) }
    }

    /// Under this name it is told once per run.
    #[must_use]
    pub(crate) fn key(&self) -> String {
        format!("{}{}", self.reason, self.about)
    }
}

/// Writes events.
#[derive(Clone)]
pub(crate) struct Teller {
    recorder: Recorder,
    metrics: Arc<Metrics>,
}

impl Teller {
    /// A teller that reports as `plimsoll-operator`.
    #[must_use]
    pub(crate) fn new(client: Client, identity: String, metrics: Arc<Metrics>) -> Self {
        let reporter = Reporter { controller: "plimsoll-operator".into(), instance: Some(identity) };
        Self { recorder: Recorder::new(client, reporter), metrics }
    }

    /// Tells it about an object.
    pub(crate) async fn tell(&self, object: &ObjectReference, news: &News) {
        let mut note = news.note.clone();
        if note.len() > LONGEST_NOTE {
            note.truncate(note.floor_char_boundary(LONGEST_NOTE));
            note.push('…');
        }
        let event = Event {
            type_: if news.warning { EventType::Warning } else { EventType::Normal },
            reason: news.reason.clone(),
            note: Some(note),
            action: news.key(),
            secondary: None,
        };
        self.metrics.wrote("event");
        if let Err(error) = self.recorder.publish(&event, object).await {
            tracing::warn!(object = object.name, reason = news.reason, %error, "event not written");
        }
    }
}
