//! Health and metrics over HTTP: `/healthz` (the process turns over), `/readyz` (its watches are filled and its sessions accept),
//! `/metrics` (its own series, and those of the runs that it leads: `shown.rs`). Probed by `charts/plimsoll/templates/deployment.yaml`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use plimsoll_measure::Histogram;
use plimsoll_session::Hub;
use plimsoll_telemetry::inventory::{
    Label, Metric, OPERATOR_API_WRITES, OPERATOR_LEADER, OPERATOR_RECONCILE_DURATION,
    OPERATOR_RECONCILE_ERRORS, OPERATOR_RECONCILES, OPERATOR_RUNS, OPERATOR_SESSIONS, PHASE, STEP, WRITE,
};
use plimsoll_telemetry::prometheus::exposition;
use plimsoll_telemetry::{Family, Point, Value, gather};

use crate::shown::Shown;

/// What the operator counts of itself, and what it shows of runs.
pub(crate) struct Metrics {
    /// The runs that it leads.
    pub(crate) runs: Shown,
    /// When all of it was zero.
    since: SystemTime,
    hub: Hub,
    ready: AtomicBool,
    leader: AtomicBool,
    reconciles: AtomicU64,
    took: Mutex<Histogram>,
    errors: Mutex<BTreeMap<&'static str, u64>>,
    writes: Mutex<BTreeMap<&'static str, u64>>,
    phases: Mutex<BTreeMap<&'static str, u64>>,
}

impl Metrics {
    /// Nothing has happened yet; `hub` holds the sessions.
    pub(crate) fn new(hub: Hub) -> Self {
        Self {
            runs: Shown::default(),
            since: SystemTime::now(),
            hub,
            ready: AtomicBool::default(),
            leader: AtomicBool::default(),
            reconciles: AtomicU64::default(),
            took: Mutex::default(),
            errors: Mutex::default(),
            writes: Mutex::default(),
            phases: Mutex::default(),
        }
    }

    /// The watches are filled and the sessions accept.
    pub(crate) fn set_ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    /// Whether this process leads. What it knew as the leader is not shown any longer.
    pub(crate) fn set_leader(&self, leads: bool) {
        self.leader.store(leads, Ordering::Relaxed);
        if !leads {
            self.runs.clear();
            lock(&self.phases).clear();
        }
    }

    /// A reconcile ended; `error` is the step that failed.
    pub(crate) fn reconciled(&self, error: Option<&'static str>) {
        self.reconciles.fetch_add(1, Ordering::Relaxed);
        if let Some(step) = error {
            add(&self.errors, step);
        }
    }

    /// A reconcile took so long.
    pub(crate) fn took(&self, time: Duration) {
        lock(&self.took).record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// A write to the API server was sent.
    pub(crate) fn wrote(&self, what: &'static str) {
        add(&self.writes, what);
    }

    /// Runs by phase.
    pub(crate) fn set_phases(&self, phases: BTreeMap<&'static str, u64>) {
        *lock(&self.phases) = phases;
    }

    /// All series as they are now.
    pub(crate) fn families(&self) -> Vec<Family> {
        let family = |metric: &'static Metric, points| Family { metric, points };
        let one = |metric, value, since| family(metric, vec![Point { labels: Vec::new(), value, since }]);
        let leads = f64::from(u8::from(self.leader.load(Ordering::Relaxed)));
        let count = |metric, label, counts| family(metric, self.counts(label, counts));
        let phases = lock(&self.phases).clone();
        let runs = phases
            .into_iter()
            .map(|(phase, number)| Point::gauge(vec![(PHASE, Arc::from(phase))], number as f64));
        let since = Some(self.since);
        let own = [
            one(&OPERATOR_LEADER, Value::Gauge(leads), None),
            one(&OPERATOR_RECONCILES, Value::Count(self.reconciles.load(Ordering::Relaxed)), since),
            one(&OPERATOR_RECONCILE_DURATION, Value::durations(lock(&self.took).clone()), since),
            one(&OPERATOR_SESSIONS, Value::Gauge(self.hub.connected() as f64), None),
            count(&OPERATOR_RECONCILE_ERRORS, STEP, &self.errors),
            count(&OPERATOR_API_WRITES, WRITE, &self.writes),
            family(&OPERATOR_RUNS, runs.collect()),
        ];
        gather(own.into_iter().chain(self.runs.families(SystemTime::now())))
    }

    /// One series for each word that something was counted under.
    fn counts(&self, label: Label, counts: &Mutex<BTreeMap<&'static str, u64>>) -> Vec<Point> {
        let point = |(word, count): (&&'static str, &u64)| Point {
            labels: vec![(label, Arc::from(*word))],
            value: Value::Count(*count),
            since: Some(self.since),
        };
        lock(counts).iter().map(point).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn add(counts: &Mutex<BTreeMap<&'static str, u64>>, key: &'static str) {
    *lock(counts).entry(key).or_default() += 1;
}

/// Serves until the future is dropped.
///
/// # Errors
/// If the listener fails.
pub(crate) async fn serve(listener: tokio::net::TcpListener, metrics: Arc<Metrics>) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(scraped))
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

async fn scraped(State(metrics): State<Arc<Metrics>>, headers: HeaderMap) -> impl IntoResponse {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let (kind, body) = exposition(&metrics.families(), accept);
    ([(CONTENT_TYPE, kind)], body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_own_series_are_there() {
        let metrics = Metrics::new(Hub::new());
        metrics.set_leader(true);
        metrics.reconciled(None);
        metrics.reconciled(Some("apply"));
        metrics.took(Duration::from_millis(3));
        metrics.wrote("status");
        metrics.set_phases(BTreeMap::from([("Running", 2)]));
        let (kind, text) = exposition(&metrics.families(), None);
        assert!(kind.starts_with("text/plain"));
        let text = String::from_utf8(text).unwrap();
        for line in [
            "plimsoll_operator_leader 1",
            "plimsoll_operator_reconciles_total 2",
            "plimsoll_operator_reconcile_errors_total{step=\"apply\"} 1",
            "plimsoll_operator_reconcile_duration_seconds_count 1",
            "plimsoll_operator_api_writes_total{kind=\"status\"} 1",
            "plimsoll_operator_runs{phase=\"Running\"} 2",
            "plimsoll_operator_sessions 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
