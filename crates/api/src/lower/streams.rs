//! WebSockets and streams of server-sent events, with the metrics that they make.

use plimsoll_measure::{MetricKind, RequestId};
use plimsoll_scenario::{Body, HttpStep, Reading, SseStep, StreamMetrics, WebSocketAction, WebSocketStep};
use serde_json::Value;

use super::actions::{TIMEOUT, expected, fields, method};
use super::context::{Context, Place};
use super::steps::wait;
use crate::GoDuration;
use crate::v1alpha1 as api;

/// Whether the session is over after an item of its script.
fn ends(action: &WebSocketAction) -> bool {
    matches!(action, WebSocketAction::Close { .. } | WebSocketAction::AwaitClose { .. })
}

impl Context<'_> {
    pub(super) fn web_socket(
        &mut self,
        socket: &api::WebSocket,
        request: RequestId,
        step: &str,
        place: &Place<'_>,
    ) -> WebSocketStep {
        let at = format!("{step}.websocket");
        let (mut expect, that) = expected(socket.expect.as_ref(), Vec::new());
        expect.insert(0, (101, 101));
        let handshake = HttpStep {
            request: request.0,
            at: step.to_owned(),
            method: "GET".to_owned(),
            path: format!("{}{}", self.base_path, socket.path),
            query: fields(&socket.query),
            headers: self.headers(&socket.headers, &at, place),
            body: Body::Empty,
            expect,
            that,
            timeout: self.positive(
                socket.connect_timeout,
                GoDuration::from_secs(10),
                &format!("{at}.connectTimeout"),
            ),
            redirects: 0,
        };
        let mut script = Vec::with_capacity(socket.script.len());
        for (i, action) in socket.script.iter().enumerate() {
            let at = format!("{at}.script[{i}]");
            match self.socket_action(action, &at, request) {
                Some(_) if script.last().is_some_and(ends) => {
                    self.errors.add(at, "comes after the session was closed: move it before close or awaitClose");
                }
                Some(action) => script.push(action),
                None => self.errors.add(
                    at,
                    "an item of a script has exactly one of send, receive, hold, ping, pause, close and awaitClose",
                ),
            }
        }
        let metrics = self.stream_metrics(request, &at, true);
        WebSocketStep { handshake, subprotocols: socket.subprotocols.clone(), script, metrics }
    }

    /// Nothing if it is not exactly one action.
    fn socket_action(
        &mut self,
        action: &api::SocketAction,
        at: &str,
        request: RequestId,
    ) -> Option<WebSocketAction> {
        let api::SocketAction { send, receive, hold, ping, pause, close, await_close } = action;
        Some(match (send, receive, hold, ping, pause, close, await_close) {
            (Some(message), None, None, None, None, None, None) => {
                let message = match message {
                    Value::String(text) => Body::Text(text.clone()),
                    json => Body::Json(json.clone()),
                };
                WebSocketAction::Send { message, at: format!("{at}.send") }
            }
            (None, Some(receive), None, None, None, None, None) => {
                self.receive(receive, &format!("{at}.receive"), request)
            }
            (None, None, Some(hold), None, None, None, None) => {
                let at = format!("{at}.hold");
                let nanos = hold.length.nanos;
                WebSocketAction::Hold {
                    length: plimsoll_scenario::Wait::Uniform { min: nanos, max: nanos },
                    reading: self.reading(hold.sent_at.as_ref(), &hold.check, &at, request),
                }
            }
            (None, None, None, Some(ping), None, None, None) => WebSocketAction::Ping {
                within: self.positive(ping.within, GoDuration::from_secs(5), &format!("{at}.ping.within")),
            },
            (None, None, None, None, Some(pause), None, None) => {
                WebSocketAction::Pause(wait(*pause, &format!("{at}.pause"), self.errors))
            }
            (None, None, None, None, None, Some(close), None) => self.close(close, &format!("{at}.close")),
            (None, None, None, None, None, None, Some(closing)) => WebSocketAction::AwaitClose {
                within: self.positive(
                    closing.within,
                    GoDuration::from_secs(10),
                    &format!("{at}.awaitClose.within"),
                ),
                codes: closing.codes.clone(),
            },
            _ => return None,
        })
    }

    fn receive(&mut self, receive: &api::Receive, at: &str, request: RequestId) -> WebSocketAction {
        let until = receive.until.as_ref();
        WebSocketAction::Receive {
            until: until.map(|until| self.condition(until, "until", format!("{at}.until"), Some(request))),
            within: self.positive(receive.within, TIMEOUT, &format!("{at}.within")),
            optional: receive.on_timeout == Some(api::OnTimeout::Continue),
            reading: self.reading(receive.sent_at.as_ref(), &receive.check, at, request),
            captures: self.assigns(&receive.capture, "capture", at, Some(request)),
        }
    }

    fn close(&mut self, close: &api::Close, at: &str) -> WebSocketAction {
        let code = close.code.unwrap_or(1000);
        // RFC 6455 §7.4: the others are never sent, or not ours to send.
        if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
            self.errors.add(
                format!("{at}.code"),
                format!("{code} cannot be sent: use 1000 to 1003, 1007 to 1014 or 3000 to 4999"),
            );
        }
        WebSocketAction::Close {
            code,
            reason: close.reason.clone().unwrap_or_default(),
            at: format!("{at}.reason"),
        }
    }

    fn reading(
        &mut self,
        sent_at: Option<&String>,
        checks: &api::Expressions,
        at: &str,
        request: RequestId,
    ) -> Reading {
        Reading {
            sent_at: sent_at
                .map(|expr| self.condition(expr, "sentAt", format!("{at}.sentAt"), Some(request))),
            checks: self.checks(checks, &format!("{at}.check"), Some(request)),
        }
    }

    pub(super) fn sse(
        &mut self,
        sse: &api::Sse,
        request: RequestId,
        step: &str,
        place: &Place<'_>,
    ) -> SseStep {
        let at = format!("{step}.sse");
        let (expect, that) = expected(sse.expect.as_ref(), vec![(200, 299)]);
        let http = HttpStep {
            request: request.0,
            at: step.to_owned(),
            method: method(sse.method.as_ref()).to_owned(),
            path: format!("{}{}", self.base_path, sse.path),
            query: fields(&sse.query),
            headers: self.headers(&sse.headers, &at, place),
            body: self.body(sse.json.as_ref(), sse.body.as_ref(), &at),
            expect,
            that,
            timeout: self.positive(sse.timeout, TIMEOUT, &format!("{at}.timeout")),
            redirects: 0,
        };
        let until = sse.until.as_ref();
        SseStep {
            http,
            until: until.map(|until| self.condition(until, "until", format!("{at}.until"), Some(request))),
            limit: self.positive(sse.limit, GoDuration::from_secs(60), &format!("{at}.limit")),
            reading: self.reading(sse.sent_at.as_ref(), &sse.check, &at, request),
            captures: self.assigns(&sse.capture, "capture", &at, Some(request)),
            metrics: self.stream_metrics(request, &at, false),
        }
    }

    /// The metrics of a session; those that only a WebSocket makes are, in a stream of events, any other.
    fn stream_metrics(&mut self, request: RequestId, at: &str, socket: bool) -> StreamMetrics {
        let name = self.registry.name_of(request).to_owned();
        let mut metric = |what: &str, kind| self.metric(&format!("{name} {what}"), kind, Some(request), at);
        let first_message = metric("first message", MetricKind::Trend);
        let message = metric("message", MetricKind::Trend);
        let session = metric("session", MetricKind::Trend);
        let received = metric("received", MetricKind::Counter);
        let skewed = metric("skewed", MetricKind::Counter);
        let (ping, sent) = if socket {
            (metric("ping", MetricKind::Trend), metric("sent", MetricKind::Counter))
        } else {
            (session, received)
        };
        StreamMetrics { first_message, message, ping, session, sent, received, skewed }
    }
}
