//! One test that uses the whole scenario language on two workers: data from a ConfigMap, setup, timeline, windows, teardown, a capped
//! step, WebSockets. Played by `tests/control_plane_verdicts.rs` and `tests/cluster_scenarios.rs` against the testbed, which counts.

use serde_json::{Value, json};

use crate::namespace::load_test;

/// Rows of the table; all are used, each of them once.
pub const ROWS: usize = 80;

/// Places of the capped step, over both workers.
pub const PLACES: u64 = 3;

/// How long the capped step's request takes the server, in milliseconds.
const SLOW_MS: u64 = 150;

/// The most of the capped step's requests that were with the server at once, from when each arrived, in milliseconds. A server cannot
/// be asked for it: its last word may be on its way when the next request comes, but none comes before the time is over.
pub fn peak(mut arrived: Vec<u64>) -> u64 {
    arrived.sort_unstable();
    // Two milliseconds for rounding.
    let beside = |at: &u64| arrived.iter().filter(|other| *other <= at && at - *other < SLOW_MS - 2).count();
    arrived.iter().map(beside).max().unwrap_or(0) as u64
}

/// The ConfigMap with the table.
pub fn rows() -> Value {
    let text = (0..ROWS).fold("row\n".to_owned(), |text, row| format!("{text}r{row}\n"));
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "rows"}, "data": {"rows.csv": text}})
}

/// The LoadTest, 15 s long. It passes; the fault ends two seconds into the window `recovery`.
pub fn test(url: &str) -> Value {
    load_test(
        "language",
        &json!({
            "target": {"url": url},
            "data": [{"name": "rows", "configMapKeyRef": {"name": "rows", "key": "rows.csv"}, "onEnd": "EndUser"}],
            "profile": {"stages": [
                {"duration": "1s", "users": 4},
                {"duration": "4s", "users": 4, "window": "baseline"},
                {"duration": "4s", "users": 4, "window": "fault"},
                {"duration": "6s", "users": 4, "window": "recovery"},
            ]},
            "setup": setup(),
            "timeline": [
                {"at": "fault", "name": "faults begin",
                 "http": {"method": "POST", "path": "/__fault", "json": {"path": "/api/knowledge", "errorRate": 0.5}}},
                // Fields that are null are removed by kubectl before they are sent; an expression is not.
                {"at": "11s", "name": "faults end",
                 "http": {"method": "POST", "path": "/__fault", "json": {"path": "${null}", "errorRate": "${null}"}}},
            ],
            "teardown": [
                {"name": "clean up", "http": {"method": "DELETE", "path": "/__fault"}},
                {"name": "anybody", "http": {"path": "/api/debates"}},
            ],
            "scenarios": [reader(), one_row_each(), listener(), capped()],
            "slos": slos(),
            "validity": {"maxStartSkew": "5s", "maxLateness": "2s"},
            "workers": {"count": 2, "threads": 1},
        }),
    )
}

/// From here on nobody gets in without a token, and the only ones are those of a login.
fn setup() -> Value {
    json!([
        {"name": "tokens wanted",
         "http": {"method": "POST", "path": "/__fault", "json": {"aragora": {"auth": {"required": true}}}}},
        {"name": "a stranger", "http": {"path": "/api/debates", "expect": {"status": [401]}}},
        {"name": "login",
         "http": {"method": "POST", "path": "/api/auth/login", "json": {"email": "one@load.test", "password": "x"}},
         "capture": {"token": "body.access_token"}},
        {"name": "shared node",
         "http": {"method": "POST", "path": "/api/knowledge/nodes", "json": {"content": "shared", "node_type": "fact"},
                  "headers": {"authorization": "Bearer ${user.token}"}, "expect": {"status": [201]}},
         "capture": {"node": "body.node_id"}},
    ])
}

fn reader() -> Value {
    json!({"name": "reader", "wait": {"constant": "50ms"}, "headers": {"authorization": "Bearer ${setup.token}"}, "steps": [
        {"name": "node", "http": {"path": "/api/knowledge/nodes/${setup.node}"},
         "check": {"the shared one": "status != 200 || body.node_id == setup.node"}},
    ]})
}

fn one_row_each() -> Value {
    json!({"name": "rows", "profile": {"users": 4, "duration": "10s"}, "wait": {"constant": "50ms"}, "steps": [
        {"name": "row", "http": {"path": "/rows/${data.rows.row}"}, "metrics": {"rows read": {"counter": "1"}}},
    ]})
}

fn listener() -> Value {
    json!({"name": "listener", "profile": {"users": 4, "duration": "8s"}, "wait": {"constant": "200ms"},
        "headers": {"authorization": "Bearer ${setup.token}"}, "steps": [
        {"name": "debate", "onFailure": "EndIteration",
         "http": {"method": "POST", "path": "/api/debates",
                  "json": {"question": "Is tea better?", "agents": ["echo", "echo"], "protocol": {"rounds": 1}}},
         "capture": {"debate": "body.debate_id"}},
        {"name": "events", "websocket": {"path": "/ws/debates/${user.debate}", "script": [
            {"send": {"type": "subscribe", "debate_id": "${user.debate}"}},
            {"receive": {"until": "message.type == 'debate_end'", "within": "20s", "sentAt": "message.timestamp",
                         "check": {"typed": "has(message.type)"}}},
            {"ping": {"within": "5s"}},
            {"close": {"code": 1000}},
        ]}},
    ]})
}

fn capped() -> Value {
    json!({"name": "capped", "profile": {"users": 6, "duration": "8s"}, "wait": {"constant": "10ms"}, "steps": [
        {"name": "slow", "concurrency": {"max": PLACES}, "http": {"path": format!("/delay/{SLOW_MS}")}},
    ]})
}

fn slos() -> Value {
    json!([
        {"name": "baseline", "window": "baseline", "errorRate": {"atMost": "0%"}},
        {"name": "degraded", "window": "fault", "request": "node", "statusRate": {"status": [503], "atLeast": "25%"}},
        {"name": "recovers", "window": "recovery", "request": "node", "errorRate": {"atMost": "0%", "within": "5s"}},
        {"name": "checks", "checkRate": {"atLeast": "100%"}},
        {"name": "rows", "metric": "rows read", "count": {"atLeast": ROWS, "atMost": ROWS}},
        {"name": "messages", "metric": "events message", "latency": {"stat": "p95", "atMost": "2s"}},
        {"name": "sessions", "metric": "events session", "rate": {"atLeast": "100%"}},
        {"name": "queue", "metric": "slow waiting", "count": {"atLeast": 1}},
    ])
}
