//! Health, and what can be read of the service without being part of it: capabilities, agents, rankings, objectives.

use http::StatusCode;
use serde_json::{Value, json};

use super::Call;
use super::answers::{ok, window};
use super::settings::Shape;
use crate::reply::Reply;

/// The agents that the service has, with a rating each.
const AGENTS: [(&str, u32); 6] =
    [("claude", 1640), ("gpt4", 1610), ("gemini", 1570), ("mistral", 1530), ("demo", 1500), ("echo", 1450)];

/// `GET /healthz`.
pub(super) fn healthy(_: &Call<'_>) -> Result<Reply, Reply> {
    Ok(ok(&json!({"status": "ok"})))
}

/// `GET /livez` and `GET /health/live`.
pub(super) fn alive(_: &Call<'_>) -> Result<Reply, Reply> {
    Ok(ok(&json!({"status": "alive"})))
}

/// `GET /readyz` and `GET /health/ready`: 503 while a fault says that the service is not ready.
pub(super) fn ready(call: &Call<'_>) -> Result<Reply, Reply> {
    let fault = call.server.faults.active();
    if fault.is_some_and(|armed| !armed.fault.ready) {
        return Ok(Reply::json(StatusCode::SERVICE_UNAVAILABLE, &json!({"status": "initializing"})));
    }
    Ok(ok(&json!({"status": "ready"})))
}

fn state(call: &Call<'_>) -> Value {
    let uptime = call.request.at.saturating_duration_since(call.server.clock.origin).as_secs_f64();
    let shape = match call.settings().shape {
        Shape::Test => "test",
        Shape::Real => "real",
    };
    json!({
        "status": "healthy",
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": (uptime * 1e3).round() / 1e3,
        "shape": shape,
        "timestamp": call.stamp(call.request.at),
    })
}

/// `GET /health` and `GET /api/health`.
pub(super) fn health(call: &Call<'_>) -> Result<Reply, Reply> {
    Ok(ok(&state(call)))
}

/// `GET /api/health/detailed` and `GET /api/health/deep`.
pub(super) fn detailed(call: &Call<'_>) -> Result<Reply, Reply> {
    let mut document = state(call);
    let (debates, nodes) = {
        let books = call.books();
        (books.debates.len(), books.nodes.len())
    };
    document["subsystems"] = json!({
        "debates": {"status": "healthy", "count": debates},
        "knowledge": {"status": "healthy", "count": nodes},
        "websocket": {"status": "healthy", "connections": call.server.sockets.open_now()},
    });
    Ok(ok(&document))
}

/// `GET /api/capabilities`.
pub(super) fn capabilities(_: &Call<'_>) -> Result<Reply, Reply> {
    let features = ["debates", "knowledge", "gauntlet", "pipeline", "websocket", "sse", "auth"];
    Ok(ok(&json!({"version": env!("CARGO_PKG_VERSION"), "features": features})))
}

/// `GET /api/system/info`.
pub(super) fn system(call: &Call<'_>) -> Result<Reply, Reply> {
    let mut document = state(call);
    document["name"] = json!("testbed");
    Ok(ok(&document))
}

/// The paths of objectives: all tell of the same three.
pub(super) fn slo(_: &Call<'_>) -> Result<Reply, Reply> {
    let objective =
        |target: f64, current: f64| json!({"target": target, "current": current, "compliant": true});
    let data = json!({
        "overall": "healthy",
        "slos": {
            "availability": objective(0.999, 1.0),
            "latency_p95": objective(500.0, 5.0),
            "error_rate": objective(0.01, 0.0),
        },
        "budget": {"remaining": 1.0, "burn_rate": 0.0},
    });
    Ok(ok(&json!({ "data": data })))
}

/// `GET /api/leaderboard` and the other rankings.
pub(super) fn leaderboard(call: &Call<'_>) -> Result<Reply, Reply> {
    let limit = window(call).0;
    let line = |(i, (name, elo)): (usize, &(&str, u32))| json!({"rank": i + 1, "agent": name, "name": name, "elo": elo});
    let rankings: Vec<Value> = AGENTS.iter().enumerate().take(limit).map(line).collect();
    Ok(ok(&json!({"rankings": rankings, "total": AGENTS.len()})))
}

/// `GET /api/agents`.
pub(super) fn agents(_: &Call<'_>) -> Result<Reply, Reply> {
    let agents: Vec<Value> =
        AGENTS.iter().map(|(name, elo)| json!({"name": name, "elo": elo, "available": true})).collect();
    Ok(ok(&json!({"agents": agents, "total": agents.len()})))
}
