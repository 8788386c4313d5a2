//! WebSocket sessions and event streams.

use super::Builder;
use super::expression::{Sight, Wanted};
use crate::compiled::{CompiledReading, CompiledSocketAction, CompiledSse, CompiledText, CompiledWebSocket};
use crate::encode::{self, Encoding};
use crate::model::{Body, Reading, SseStep, WebSocketAction, WebSocketStep};
use crate::slot::Row;

impl Builder<'_> {
    pub(super) fn web_socket(&mut self, step: &WebSocketStep, at: &str) -> CompiledWebSocket {
        let at = format!("{at}.websocket");
        let handshake = self.http(&step.handshake, &at, "*/*");
        for name in handshake.header_names().filter(|name| is_reserved(name)) {
            let remedy =
                "belongs to the WebSocket handshake; remove it (protocols are offered by subprotocols)";
            self.fault(&format!("{at}.headers.{name}"), format!("{name} {remedy}"));
        }
        // What a target's headers say of connections is not meant for this one.
        let handshake = handshake.without(&["connection", "keep-alive"]);
        for (i, name) in step.subprotocols.iter().enumerate().filter(|(_, name)| !encode::is_token(name)) {
            self.fault(
                &format!("{at}.subprotocols[{i}]"),
                format!("{name:?} is no subprotocol; use letters, digits, \"-\" and \".\""),
            );
        }
        let script = step.script.iter().map(|action| self.socket_action(action)).collect();
        let (subprotocols, metrics) = (step.subprotocols.clone(), step.metrics);
        CompiledWebSocket { handshake, subprotocols, script, metrics }
    }

    fn socket_action(&mut self, action: &WebSocketAction) -> CompiledSocketAction {
        match action {
            WebSocketAction::Send { message, at } => CompiledSocketAction::Send(self.message(message, at)),
            WebSocketAction::Receive { until, within, optional, reading, captures } => {
                CompiledSocketAction::Receive {
                    until: until.as_ref().map(|until| self.condition(until, Sight::MESSAGE)),
                    within: *within,
                    optional: *optional,
                    reading: self.reading(reading),
                    captures: self.assigns(captures, Sight::MESSAGE),
                }
            }
            WebSocketAction::Hold { length, reading } => {
                CompiledSocketAction::Hold { length: *length, reading: self.reading(reading) }
            }
            WebSocketAction::Ping { within } => CompiledSocketAction::Ping { within: *within },
            WebSocketAction::Pause(wait) => CompiledSocketAction::Pause(*wait),
            WebSocketAction::Close { code, reason, at } => CompiledSocketAction::Close {
                code: *code,
                reason: CompiledText(self.template(at, reason, Encoding::Plain)),
            },
            WebSocketAction::AwaitClose { within, codes } => {
                CompiledSocketAction::AwaitClose { within: *within, codes: codes.clone() }
            }
        }
    }

    fn message(&mut self, message: &Body, at: &str) -> CompiledText {
        CompiledText(match message {
            Body::Empty => Row::default(),
            Body::Text(text) => self.template(at, text, Encoding::Plain),
            Body::Json(value) => {
                let mut row = Row::default();
                self.json(at, value, &mut row);
                row
            }
        })
    }

    fn reading(&mut self, reading: &Reading) -> CompiledReading {
        let sent_at = reading
            .sent_at
            .as_ref()
            .map(|sent| (self.expression(&sent.at, &sent.expr, Wanted::Time, Sight::MESSAGE), sent.fault));
        CompiledReading { sent_at, checks: self.checks(&reading.checks, Sight::MESSAGE) }
    }

    pub(super) fn sse(&mut self, step: &SseStep, at: &str) -> CompiledSse {
        CompiledSse {
            http: self.http(&step.http, &format!("{at}.sse"), "text/event-stream"),
            until: step.until.as_ref().map(|until| self.condition(until, Sight::MESSAGE)),
            limit: step.limit,
            reading: self.reading(&step.reading),
            captures: self.assigns(&step.captures, Sight::MESSAGE),
            metrics: step.metrics,
        }
    }
}

/// Whether a header is the handshake's own (RFC 6455 §4.1).
fn is_reserved(name: &str) -> bool {
    name == "upgrade" || name.starts_with("sec-websocket-")
}
