//! The LoadTests that Plimsoll runs in the benchmark: every recording is on, and several SLOs that a healthy server meets.
//! What the others do in their place is in `clients.rs`.

use serde_json::{Value, json};

use super::clients::Work;
use super::server::Server;

/// Concurrent users or connections of the closed model.
pub(super) const USERS: u32 = 50;

/// Messages that are echoed on one WebSocket before it is closed.
pub(super) const MESSAGES: usize = 24;

/// The manifest of a work of [`USERS`] users for some seconds, as JSON.
pub(super) fn closed(work: Work, server: &Server, seconds: u64) -> Value {
    let profile = json!({"users": USERS, "duration": format!("{seconds}s"), "gracefulStop": "2s"});
    manifest(&target(work, server), &profile, &steps(work), None)
}

/// Arrivals at a fixed rate, whatever the server does, judged as a whole.
pub(super) fn open(server: &Server, rate: u64, seconds: u64) -> Value {
    let profile = json!({"arrivals": {"rate": format!("{rate}/s")}, "duration": format!("{seconds}s"), "gracefulStop": "5s"});
    manifest(&target(Work::Static, server), &profile, &steps(Work::Static), None)
}

/// Users that connect, ask once and then hold their connection.
pub(super) fn idle(server: &Server, users: u32, seconds: u64) -> Value {
    let profile = json!({"users": users, "duration": format!("{seconds}s"), "gracefulStop": "2s"});
    let wait = json!({"min": "300s", "max": "300s"});
    manifest(&target(Work::Static, server), &profile, &steps(Work::Static), Some(&wait))
}

fn manifest(target: &Value, profile: &Value, steps: &Value, wait: Option<&Value>) -> Value {
    let mut scenario = json!({"name": "bench", "steps": steps});
    if let Some(wait) = wait {
        scenario["wait"] = wait.clone();
    }
    let latency = |name: &str, stat: &str, bound: &str| json!({"name": name, "latency": {"stat": stat, "atMost": bound}});
    json!({"apiVersion": "plimsoll.dev/v1alpha1", "kind": "LoadTest", "metadata": {"name": "bench"}, "spec": {
        "target": target, "profile": profile, "scenarios": [scenario],
        "slos": [
            latency("p50", "p50", "2s"), latency("p90", "p90", "3s"), latency("p95", "p95", "4s"), latency("p99", "p99", "5s"),
            {"name": "errors", "errorRate": {"atMost": "0.1%"}},
            {"name": "statuses", "statusRate": {"status": [200, 101], "atLeast": "99%"}},
        ],
    }})
}

fn target(work: Work, server: &Server) -> Value {
    match work {
        Work::Tls => json!({"url": server.tls(), "http": "HTTP/1.1", "tls": {"insecureSkipVerify": true}}),
        Work::Http2 => {
            json!({"url": server.http2(), "http": "HTTP/2", "connections": {"per": "Worker", "max": super::clients::HTTP2.0}})
        }
        Work::WebSocket => json!({"url": format!("http://{}", server.sockets())}),
        _ => json!({"url": server.plain()}),
    }
}

fn steps(work: Work) -> Value {
    let get =
        |name: &str, path: &str| json!({"name": name, "http": {"path": path, "expect": {"status": [200]}}});
    match work {
        Work::Static | Work::Tls | Work::Http2 => json!([get("GET /", "/")]),
        Work::Varied => json!([get("GET /varied", "/varied")]),
        Work::Body => json!([get("GET /body", "/body")]),
        Work::Names(names) => (0..names).map(|n| get(&format!("GET / no {n}"), "/")).collect(),
        Work::TwoStep => json!([
            {"name": "POST /login", "capture": {"token": "body.token"},
             "http": {"method": "POST", "path": "/login", "json": {"user": "bench"}, "expect": {"status": [200]}}},
            {"name": "GET /orders", "check": {"is open": "body.status == 'open'"},
             "http": {"path": "/orders", "headers": {"authorization": "Bearer ${user.token}"}, "expect": {"status": [200]}}},
        ]),
        Work::WebSocket => {
            let pair = [json!({"send": "abcdefghijklmnopqrstuvwxyz01234567"}), json!({"receive": {}})];
            let mut script: Vec<Value> = (0..MESSAGES).flat_map(|_| pair.clone()).collect();
            script.push(json!({"close": {"code": 1000}}));
            json!([{"name": "WS /ws/echo", "websocket": {"path": "/ws/echo", "script": script}}])
        }
    }
}
