//! Actions of steps: requests, polls, pauses and flows. WebSockets and event streams are in `streams.rs`.

use std::collections::BTreeMap;

use plimsoll_measure::{MetricKind, RequestId};
use plimsoll_scenario::{Body, Field, HttpStep, PollStep, StatusRange, StepAction};
use serde_json::Value;

use super::context::{Context, Place};
use super::steps::wait;
use super::target;
use crate::GoDuration;
use crate::v1alpha1 as api;

/// Expected statuses, unless a step says others.
pub(super) const EXPECTED: StatusRange = (200, 399);
pub(super) const TIMEOUT: GoDuration = GoDuration::from_secs(30);
pub(super) const REDIRECTS: u16 = 10;
const SWITCHING: StatusRange = (101, 101);

impl Context<'_> {
    /// The request of a step, by its name.
    pub(super) fn request(&mut self, step: &api::Step, at: &str) -> Option<RequestId> {
        let named = |method: &str, path: &str| {
            let path = path.split('?').next().unwrap_or_default();
            step.name.clone().unwrap_or_else(|| format!("{method} {path}"))
        };
        let name = match (&step.http, &step.poll, &step.websocket, &step.sse) {
            (Some(http), ..) => named(method(http.method.as_ref()), &http.path),
            (_, Some(poll), ..) => named(method(poll.http.method.as_ref()), &poll.http.path),
            (_, _, Some(socket), _) => named("WS", &socket.path),
            (_, _, _, Some(sse)) => named("SSE", &sse.path),
            _ => return None,
        };
        Some(self.registry.request(&name, at, self.errors))
    }

    pub(super) fn action(
        &mut self,
        step: &api::Step,
        request: Option<RequestId>,
        at: &str,
        place: &Place<'_>,
    ) -> StepAction {
        let request = request.unwrap_or(RequestId(0));
        if let Some(http) = &step.http {
            StepAction::Http(Box::new(self.http(http, request, (at, &format!("{at}.http")), place)))
        } else if let Some(poll) = &step.poll {
            StepAction::Poll(Box::new(self.poll(poll, request, at, place)))
        } else if let Some(socket) = &step.websocket {
            StepAction::WebSocket(Box::new(self.web_socket(socket, request, at, place)))
        } else if let Some(sse) = &step.sse {
            StepAction::Sse(Box::new(self.sse(sse, request, at, place)))
        } else if let Some(pause) = step.pause {
            StepAction::Pause(wait(pause, &format!("{at}.pause"), self.errors))
        } else if let Some(flow) = &step.run {
            self.run(flow, at, place)
        } else {
            StepAction::Nothing
        }
    }

    /// A request of the step at `at` whose fields stand at `fields`.
    fn http(
        &mut self,
        http: &api::Http,
        request: RequestId,
        (at, fields): (&str, &str),
        place: &Place<'_>,
    ) -> HttpStep {
        let headers = self.headers(&http.headers, fields, place);
        let upgrades = headers.iter().any(|header| header.name.eq_ignore_ascii_case("upgrade"));
        let default = if upgrades { vec![SWITCHING, EXPECTED] } else { vec![EXPECTED] };
        let (expect, that) = expected(http.expect.as_ref(), default);
        HttpStep {
            request: request.0,
            at: at.to_owned(),
            method: method(http.method.as_ref()).to_owned(),
            path: format!("{}{}", self.base_path, http.path),
            query: self::fields(&http.query),
            headers,
            body: self.body(http.json.as_ref(), http.body.as_ref(), fields),
            expect,
            that,
            timeout: self.positive(http.timeout, TIMEOUT, &format!("{fields}.timeout")),
            redirects: http.redirects.unwrap_or(REDIRECTS),
        }
    }

    fn poll(&mut self, poll: &api::Poll, request: RequestId, at: &str, place: &Place<'_>) -> PollStep {
        let fields = format!("{at}.poll");
        let metric =
            poll.metric.clone().unwrap_or_else(|| format!("{} duration", self.registry.name_of(request)));
        let done = self.condition(&poll.done, "done", format!("{fields}.done"), Some(request));
        let failed = poll
            .failed
            .as_ref()
            .map(|failed| self.condition(failed, "failed", format!("{fields}.failed"), Some(request)));
        PollStep {
            http: self.http(&poll.http, request, (at, &format!("{fields}.http")), place),
            every: poll.every.nanos,
            limit: self.positive(Some(poll.limit), TIMEOUT, &format!("{fields}.limit")),
            done,
            failed,
            metric: self.metric(&metric, MetricKind::Trend, Some(request), &format!("{fields}.metric")),
        }
    }

    pub(super) fn body(&mut self, json: Option<&Value>, text: Option<&String>, at: &str) -> Body {
        match (json, text) {
            (Some(json), None) => Body::Json(json.clone()),
            (None, Some(text)) => Body::Text(text.clone()),
            (None, None) => Body::Empty,
            (Some(_), Some(_)) => {
                self.errors.add(format!("{at}.body"), "json and body exclude each other: keep one");
                Body::Empty
            }
        }
    }

    /// A time within which something must happen.
    pub(super) fn positive(&mut self, given: Option<GoDuration>, default: GoDuration, at: &str) -> u64 {
        let nanos = given.unwrap_or(default).nanos;
        if nanos == 0 {
            let what =
                if at.ends_with("imeout") { "lets no request succeed" } else { "leaves no time for it" };
            self.errors.add(at, format!("0s {what}: set a longer time"));
        }
        nanos
    }
}

pub(super) fn method(given: Option<&String>) -> &str {
    given.map_or("GET", String::as_str)
}

pub(super) fn fields(map: &BTreeMap<String, String>) -> Vec<Field> {
    map.iter().map(|(name, value)| target::field(name, value)).collect()
}

/// Statuses and condition that a response must meet.
pub(super) fn expected(
    given: Option<&api::Expect>,
    default: Vec<StatusRange>,
) -> (Vec<StatusRange>, Option<String>) {
    let Some(expect) = given else { return (default, None) };
    let statuses: Vec<StatusRange> = expect.status.iter().map(|status| (status.from, status.to)).collect();
    (if statuses.is_empty() { default } else { statuses }, expect.that.clone())
}
