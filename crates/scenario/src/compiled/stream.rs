//! Compiled WebSocket sessions and event streams.

use std::fmt;

use super::Needs;
use crate::Env;
use crate::after::{CompiledAssigns, CompiledChecks, CompiledCondition, Note, Notes, Placed};
use crate::build::live;
use crate::error::RenderError;
use crate::expr::Value;
use crate::model::{StreamMetrics, Wait};
use crate::request::CompiledHttp;
use crate::slot::Row;

/// A WebSocket session (RFC 6455).
#[derive(Clone, Debug)]
pub struct CompiledWebSocket {
    /// The handshake, without the headers that are WebSocket's own; its `timeout` is that of connecting.
    pub handshake: CompiledHttp,
    /// Offered subprotocols.
    pub subprotocols: Vec<String>,
    /// What is done on it, in order.
    pub script: Vec<CompiledSocketAction>,
    /// What is measured.
    pub metrics: StreamMetrics,
}

impl CompiledWebSocket {
    /// What its script needs of the handshake's response.
    pub(crate) fn needs(&self) -> Needs {
        let of = |action: &CompiledSocketAction| match action {
            CompiledSocketAction::Receive { until, reading, captures, .. } => {
                live::condition(until.as_ref()).and(reading.needs()).and(live::assigns(captures))
            }
            CompiledSocketAction::Hold { reading, .. } => reading.needs(),
            _ => Needs::default(),
        };
        self.script.iter().map(of).fold(self.handshake.needs(), Needs::and)
    }
}

/// One item of a WebSocket script.
#[derive(Clone, Debug)]
pub enum CompiledSocketAction {
    /// Sends a text message.
    Send(CompiledText),
    /// Reads messages until one meets the condition.
    Receive {
        /// The last message to read; the next one when absent.
        until: Option<CompiledCondition>,
        /// Nanoseconds.
        within: u64,
        /// Whether the script goes on when none came in time.
        optional: bool,
        /// How messages are read.
        reading: CompiledReading,
        /// What is kept of the message that met the condition.
        captures: CompiledAssigns,
    },
    /// Reads messages for a while.
    Hold {
        /// How long.
        length: Wait,
        /// How messages are read.
        reading: CompiledReading,
    },
    /// Sends a ping and waits for its pong.
    Ping {
        /// Nanoseconds.
        within: u64,
    },
    /// Does nothing for a while; messages wait.
    Pause(Wait),
    /// Closes the session.
    Close {
        /// Status code.
        code: u16,
        /// At most 123 bytes can be sent.
        reason: CompiledText,
    },
    /// Waits until the peer closes.
    AwaitClose {
        /// Nanoseconds.
        within: u64,
        /// Status codes that it may close with; any when empty.
        codes: Vec<u16>,
    },
}

/// A text with expressions. Holds secrets; its `Debug` form does not show them.
#[derive(Clone, Default)]
pub struct CompiledText(pub(crate) Row);

impl CompiledText {
    /// The text, if nothing in it varies.
    #[must_use]
    pub fn as_static(&self) -> Option<&[u8]> {
        self.0.as_static()
    }

    /// Appends the text, UTF-8.
    ///
    /// # Errors
    /// An expression could not be computed; `out` then ends with an incomplete text.
    pub fn render(&self, out: &mut Vec<u8>, env: &mut Env<'_>) -> Result<(), RenderError> {
        self.0.render(out, env)
    }
}

impl fmt::Debug for CompiledText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CompiledText").finish()
    }
}

/// What is made of every message that is read.
#[derive(Clone, Debug, Default)]
pub struct CompiledReading {
    pub(crate) sent_at: Option<(Placed, u16)>,
    /// Recorded judgements.
    pub checks: CompiledChecks,
}

impl CompiledReading {
    fn needs(&self) -> Needs {
        let sent_at = self.sent_at.as_ref().map_or_else(Needs::default, |(expr, _)| live::placed(expr));
        self.checks.0.iter().map(|(expr, _)| live::placed(expr)).fold(sent_at, Needs::and)
    }

    /// Whether messages are only counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sent_at.is_none() && self.checks.is_empty()
    }

    /// When the peer sent the message, in nanoseconds since the epoch; one that cannot be computed is noted as a fault. Null says
    /// that this message carries no time.
    pub fn sent_at(&self, env: &mut Env<'_>, notes: &mut Notes<'_>) -> Option<i64> {
        let (expr, fault) = self.sent_at.as_ref()?;
        let moment = expr.value(env).and_then(|value| match value {
            Value::Null => Ok(None),
            value => value.moment().map(Some).map_err(|message| expr.wrong(&message)),
        });
        moment.unwrap_or_else(|message| {
            notes(Note::Fault { metric: *fault, message });
            None
        })
    }
}

/// A stream of server-sent events.
#[derive(Clone, Debug)]
pub struct CompiledSse {
    /// The request; its `timeout` is that of the response's head.
    pub http: CompiledHttp,
    /// The last event to read; the end of the stream when absent.
    pub until: Option<CompiledCondition>,
    /// Nanoseconds from the response's head on.
    pub limit: u64,
    /// How events are read.
    pub reading: CompiledReading,
    /// What is kept of the event that met the condition.
    pub captures: CompiledAssigns,
    /// What is measured.
    pub metrics: StreamMetrics,
}

impl CompiledSse {
    /// What it needs of the response's head.
    pub(crate) fn needs(&self) -> Needs {
        let until = live::condition(self.until.as_ref());
        until.and(self.reading.needs()).and(live::assigns(&self.captures)).and(self.http.needs())
    }
}
