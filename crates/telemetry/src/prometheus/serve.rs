//! A small HTTP server for processes that have none of their own: `/metrics`, `/healthz` and `/readyz`. The operator's is in
//! `operator/src/web.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use super::exposition;
use crate::Family;

/// Says when a process is ready: 503 before.
pub type Readiness = Arc<AtomicBool>;

/// What is served: families as they are now.
pub type Served = Arc<dyn Fn() -> Vec<Family> + Send + Sync>;

#[derive(Clone)]
struct Shared {
    families: Served,
    ready: Readiness,
}

/// Serves until the future is dropped.
///
/// # Errors
/// If the listener fails.
pub async fn serve(listener: TcpListener, families: Served, ready: Readiness) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Shared { families, ready });
    axum::serve(listener, routes).await
}

async fn readyz(State(shared): State<Shared>) -> impl IntoResponse {
    if shared.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready yet\n")
    }
}

async fn metrics(State(shared): State<Shared>, headers: HeaderMap) -> impl IntoResponse {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let (kind, body) = exposition(&(shared.families)(), accept);
    ([(CONTENT_TYPE, kind)], body)
}
