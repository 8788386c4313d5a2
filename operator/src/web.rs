//! Health and metrics over HTTP: `/healthz` (the process turns over), `/readyz` (its watches are filled and its sessions accept),
//! `/metrics`. Probed by `charts/plimsoll/templates/deployment.yaml`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;

/// What the operator counts of itself.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    ready: AtomicBool,
    leader: AtomicBool,
    reconciles: AtomicU64,
    errors: Mutex<BTreeMap<&'static str, u64>>,
    writes: Mutex<BTreeMap<&'static str, u64>>,
    phases: Mutex<BTreeMap<&'static str, u64>>,
}

impl Metrics {
    /// The watches are filled and the sessions accept.
    pub(crate) fn set_ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    /// Whether this process leads.
    pub(crate) fn set_leader(&self, leads: bool) {
        self.leader.store(leads, Ordering::Relaxed);
    }

    /// A reconcile ended; `error` is the step that failed.
    pub(crate) fn reconciled(&self, error: Option<&'static str>) {
        self.reconciles.fetch_add(1, Ordering::Relaxed);
        if let Some(step) = error {
            add(&self.errors, step);
        }
    }

    /// A write to the API server was sent.
    pub(crate) fn wrote(&self, what: &'static str) {
        add(&self.writes, what);
    }

    /// Runs by phase.
    pub(crate) fn set_phases(&self, phases: BTreeMap<&'static str, u64>) {
        *self.phases.lock().unwrap_or_else(PoisonError::into_inner) = phases;
    }

    /// In Prometheus' text format.
    #[must_use]
    pub(crate) fn text(&self) -> String {
        let mut text = String::with_capacity(1024);
        let number = |flag: &AtomicBool| u8::from(flag.load(Ordering::Relaxed));
        single(
            &mut text,
            "plimsoll_operator_leader",
            "gauge",
            "1 while this process leads",
            number(&self.leader),
        );
        let reconciles = self.reconciles.load(Ordering::Relaxed);
        single(
            &mut text,
            "plimsoll_operator_reconciles_total",
            "counter",
            "Reconciles of tests and runs",
            reconciles,
        );
        many(
            &mut text,
            "plimsoll_operator_reconcile_errors_total",
            "counter",
            "Failed reconciles by step",
            "step",
            &self.errors,
        );
        many(
            &mut text,
            "plimsoll_operator_api_writes_total",
            "counter",
            "Writes to the API server by kind",
            "kind",
            &self.writes,
        );
        many(&mut text, "plimsoll_operator_runs", "gauge", "Runs by phase", "phase", &self.phases);
        text
    }
}

fn add(counts: &Mutex<BTreeMap<&'static str, u64>>, key: &'static str) {
    *counts.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default() += 1;
}

fn single(text: &mut String, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
    let _ = writeln!(text, "# HELP {name} {help}.\n# TYPE {name} {kind}\n{name} {value}");
}

fn many(
    text: &mut String,
    name: &str,
    kind: &str,
    help: &str,
    label: &str,
    values: &Mutex<BTreeMap<&'static str, u64>>,
) {
    let _ = writeln!(text, "# HELP {name} {help}.\n# TYPE {name} {kind}");
    for (key, value) in values.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        let _ = writeln!(text, "{name}{{{label}=\"{key}\"}} {value}");
    }
}

/// Serves until the future is dropped.
///
/// # Errors
/// If the listener fails.
pub(crate) async fn serve(listener: tokio::net::TcpListener, metrics: Arc<Metrics>) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(text))
        .with_state(metrics);
    axum::serve(listener, routes).await
}

async fn readyz(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    if metrics.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the watches are not filled yet\n")
    }
}

async fn text(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_in_the_text_format() {
        let metrics = Metrics::default();
        metrics.set_leader(true);
        metrics.reconciled(None);
        metrics.reconciled(Some("apply"));
        metrics.wrote("status");
        metrics.set_phases(BTreeMap::from([("Running", 2)]));
        let text = metrics.text();
        for line in [
            "plimsoll_operator_leader 1",
            "plimsoll_operator_reconciles_total 2",
            "plimsoll_operator_reconcile_errors_total{step=\"apply\"} 1",
            "plimsoll_operator_api_writes_total{kind=\"status\"} 1",
            "plimsoll_operator_runs{phase=\"Running\"} 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
