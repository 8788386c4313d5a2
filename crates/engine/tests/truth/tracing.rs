//! What `plimsoll try` is told: every part, step, request, response, check and capture, without secrets.

use plimsoll_engine::{Materials, Part, TraceEvent, prepare};
use plimsoll_plan::HttpVersion;
use plimsoll_scenario::{Action, Field, HttpStep, Var, VarSource};
use plimsoll_testbed::{Body, Route};
use tokio::sync::mpsc;

use crate::script::*;
use crate::support::*;

/// The events of one iteration over HTTP of this version.
fn events(http: HttpVersion) -> Vec<TraceEvent> {
    let body = Body::Json(serde_json::json!({"token": "t1", "echo": "hunter2"}));
    let server = server(vec![Route { body, ..Route::at("/login") }, Route::at("/stop")]);
    let mut metrics = Metrics::default();
    let headers = vec![Field { name: "x-key".into(), value: "${vars.key}".into() }];
    let mut login = crate::support::http(HttpStep { headers, ..get("/login") });
    login.captures = vec![metrics.assign("token", "body.token")];
    login.checks = vec![metrics.check("fast", "latency < duration('0s')")];
    let mut skipped = crate::support::http(get("/login"));
    skipped.when = Some(metrics.condition("when", "user.token != 't1'"));
    let mut plan = a_few(server.addr(), 1, 1, get("/"));
    plan.target.http = http;
    plan.script.scenarios[0].action = Action::Steps(vec![login, skipped]);
    plan.script.scenarios[0].on_stop = vec![crate::support::http(named(1, get("/stop")))];
    plan.vars =
        vec![Var { name: "key".into(), from: VarSource::Secret { name: "s".into(), key: "k".into() } }];
    metrics.put(&mut plan);
    let vars = [("key".to_owned(), "hunter2".to_owned())].into();
    let materials = Materials { vars, ..Materials::default() };
    let (sink, mut events) = mpsc::unbounded_channel();
    let engine = prepare(whole(plan), materials, Some(1)).unwrap().trace(sink);
    during(engine, async |running| running.finished().await);
    std::iter::from_fn(|| events.try_recv().ok()).collect()
}

#[test]
fn everything_is_told_in_order_and_secrets_are_not() {
    let _shared = among_others();
    for http in [HttpVersion::Http1, HttpVersion::Http2] {
        let events = events(http);
        let text = format!("{events:?}");
        assert!(!text.contains("hunter2") && text.contains("***"), "{text}");
        let kinds: Vec<&str> = events
            .iter()
            .map(|event| match event {
                TraceEvent::Part(Part::Iteration(0)) => "iteration",
                TraceEvent::Part(Part::Stop) => "stop",
                TraceEvent::Step { .. } => "step",
                TraceEvent::Request { text } if text.starts_with("GET /") => "request",
                TraceEvent::Response { status: 200, .. } => "response",
                TraceEvent::Check { name, passed: false, .. } if name == "fast" => "check",
                TraceEvent::Captured { name, value } if name == "token" && value == "\"t1\"" => "capture",
                TraceEvent::Skipped { .. } => "skipped",
                _ => "other",
            })
            .collect();
        let expected = [
            "iteration",
            "step",
            "request",
            "response",
            "check",
            "capture",
            "skipped",
            "stop",
            "step",
            "request",
            "response",
        ];
        assert_eq!(kinds, expected, "{events:#?}");
    }
}
