//! `plimsoll run --ui`: a live page of the run on loopback. What it shows is put together in `ui/state.rs`.

mod state;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use plimsoll_api::status::StoredResult;
use plimsoll_slo::{Judgement, Outcome};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// The page: one file, nothing from elsewhere.
const PAGE: &str = include_str!("ui/page.html");
/// What the page may do: run its own script and style, and ask this server.
const POLICY: &str =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'";
/// Most cells of an SLO's history.
const HISTORY: usize = 60;
/// A page that asked within this time is still open.
const OPEN: Duration = Duration::from_secs(3);

/// The live page.
#[derive(Debug)]
pub(crate) struct Ui {
    shared: Arc<Shared>,
    /// Outcomes of every SLO so far: one entry for each look, thinned out to [`HISTORY`].
    history: VecDeque<Vec<Outcome>>,
    /// Looks per entry of the history, and looks since the last one.
    stride: (u32, u32),
}

#[derive(Debug)]
struct Shared {
    state: Mutex<String>,
    /// When a page last asked.
    asked: Mutex<Option<Instant>>,
    told: Notify,
}

impl Ui {
    /// Begins to serve on a loopback address; says where.
    pub(crate) async fn start(address: SocketAddr) -> Result<(Self, SocketAddr)> {
        if !address.ip().is_loopback() {
            bail!(
                "--ui={address}: the page is for this machine only; use a loopback address such as 127.0.0.1:8089"
            );
        }
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!("--ui={address}: cannot listen there; --ui=127.0.0.1:0 takes any free port")
        })?;
        let address = listener.local_addr()?;
        let waiting = json!({"name": "Plimsoll", "phase": "Starting", "clock": "", "progress": 0, "figures": [], "series": [],
            "slos": [], "requestHeads": [], "requests": [], "failures": []});
        let shared = Arc::new(Shared {
            state: Mutex::new(waiting.to_string()),
            asked: Mutex::default(),
            told: Notify::new(),
        });
        let page = ([(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, POLICY)], PAGE);
        let app = Router::new()
            .route("/", get(|| async move { page }))
            .route("/state.json", get(answer))
            .with_state(Arc::clone(&shared));
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!(%error, "the live page ended");
            }
        });
        Ok((Self { shared, history: VecDeque::new(), stride: (1, 0) }, address))
    }

    /// A new run begins.
    pub(crate) fn clear(&mut self) {
        self.history.clear();
        self.stride = (1, 0);
    }

    /// Shows a run as it is now.
    pub(crate) fn show(&mut self, result: &StoredResult, judgement: &Judgement, clock: &str, progress: f64) {
        self.remember(judgement.results.iter().map(|slo| slo.outcome).collect());
        let state = state::of(result, judgement, self.history.make_contiguous(), clock, progress);
        *self.shared.state.lock().unwrap_or_else(PoisonError::into_inner) = state.to_string();
    }

    fn remember(&mut self, outcomes: Vec<Outcome>) {
        self.stride.1 += 1;
        if self.stride.1 < self.stride.0 {
            return;
        }
        self.stride.1 = 0;
        self.history.push_back(outcomes);
        if self.history.len() >= 2 * HISTORY {
            let mut second = false;
            self.history.retain(|_| {
                second = !second;
                second
            });
            self.stride.0 *= 2;
        }
    }

    /// Gives a page that is open the time to fetch what was shown last.
    pub(crate) async fn farewell(&self) {
        let asked = *self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.is_some_and(|at| at.elapsed() < OPEN) {
            // A page that was closed meanwhile does not ask again.
            let _ = tokio::time::timeout(OPEN, self.shared.told.notified()).await;
        }
    }
}

async fn answer(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    *shared.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    let state = shared.state.lock().unwrap_or_else(PoisonError::into_inner).clone();
    shared.told.notify_waiters();
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")], state)
}
