//! What every reconcile shares, and what this process remembers of each run between two of them. All of it can be lost: it is
//! made again from the API server and the workers (`reconcile/observe.rs`).

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use k8s_openapi::jiff::Timestamp;
use kube::Client;
use plimsoll_api::status::StoredResult;
use plimsoll_api::v1alpha1::{LoadTestRunStatus, LoadTestStatus};
use plimsoll_manifests::{Frozen, Settings};
use plimsoll_session::Hub;
use plimsoll_slo::Reason;
use plimsoll_telemetry::query::Servers;
use tokio::sync::watch;

use crate::events::Teller;
use crate::lead::Standing;
use crate::limits::Limits;
use crate::queries::Queries;
use crate::waiting::Trouble;
use crate::watch::Stores;
use crate::web::Metrics;

/// What every reconcile shares.
pub(crate) struct Context {
    /// The API server.
    pub(crate) client: Client,
    /// What is watched.
    pub(crate) stores: Stores,
    /// The workers.
    pub(crate) hub: Hub,
    /// What all runs have in common.
    pub(crate) settings: Settings,
    /// How much a run may be.
    pub(crate) limits: Limits,
    /// Nothing may run.
    pub(crate) halt: bool,
    /// How long Jobs are kept after the outcome is stored, seconds.
    pub(crate) keep_jobs: u64,
    /// What runs ask Prometheus.
    pub(crate) queries: Queries,
    /// Whether this process may write.
    pub(crate) standing: watch::Receiver<Standing>,
    /// What the operator counts of itself.
    pub(crate) metrics: Arc<Metrics>,
    /// Events.
    pub(crate) teller: Teller,
    runs: Mutex<HashMap<String, RunMemory>>,
    tests: Mutex<HashMap<String, TestMemory>>,
}

/// What this process remembers of a run, by its UID.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunMemory {
    /// The run as it was accepted; read once, since it is immutable.
    pub(crate) frozen: Option<Arc<Frozen>>,
    /// When it was accepted, as the API server dates it.
    pub(crate) frozen_at: Option<Timestamp>,
    /// Its result; read once, since it is immutable.
    pub(crate) result: Option<Arc<StoredResult>>,
    /// Both were looked for, and what is not here was not there.
    pub(crate) looked: bool,
    /// The status that was written last, with the object's resourceVersion, and when.
    pub(crate) written: Option<(String, LoadTestRunStatus, Instant)>,
    /// The newest resourceVersion of the run that a write was answered with.
    pub(crate) version: Option<String>,
    /// When this process first let workers in.
    pub(crate) opened_at: Option<Instant>,
    /// It may begin, and goes before all runs that may not.
    pub(crate) has_turn: bool,
    /// Why the Job could not be applied.
    pub(crate) job_error: Option<String>,
    /// The Job was applied by this process.
    pub(crate) job_made: bool,
    /// The watch has shown the Job.
    pub(crate) job_seen: bool,
    /// The start that this process wrote and has not sent to any worker.
    pub(crate) unsent_start: Option<SystemTime>,
    /// When a stop was ordered.
    pub(crate) stopped_at: Option<Instant>,
    /// The API server does not take what the run needs.
    pub(crate) refused: Option<(Reason, String)>,
    /// Its namespace is being deleted.
    pub(crate) leaving: bool,
    /// Since when something has been missing that workers refer to.
    pub(crate) missing_since: Option<Instant>,
    /// What events said of the workers, and when they were read.
    pub(crate) troubles: Vec<Trouble>,
    /// When events were read.
    pub(crate) troubles_read: Option<Instant>,
    /// Events that were told already, by reason.
    pub(crate) told: BTreeSet<String>,
}

impl RunMemory {
    /// A write was answered with this resourceVersion.
    pub(crate) fn saw(&mut self, version: Option<String>) {
        self.version = version.or(self.version.take());
    }
}

/// What this process remembers of a test, by its UID.
#[derive(Clone, Debug, Default)]
pub(crate) struct TestMemory {
    /// The status that was written last, with the object's resourceVersion, and when.
    pub(crate) written: Option<(String, LoadTestStatus, Instant)>,
    /// Hashes of specs in stored results of this test's name; looked for once.
    pub(crate) stored_hashes: Option<BTreeSet<String>>,
}

/// What a context is made of.
pub(crate) struct Parts {
    /// The API server.
    pub(crate) client: Client,
    /// What is watched.
    pub(crate) stores: Stores,
    /// The workers.
    pub(crate) hub: Hub,
    /// What all runs have in common.
    pub(crate) settings: Settings,
    /// Whom runs may ask for metrics.
    pub(crate) servers: Servers,
    /// Whether this process may write.
    pub(crate) standing: watch::Receiver<Standing>,
    /// What the operator counts of itself.
    pub(crate) metrics: Arc<Metrics>,
}

impl Context {
    /// A context that remembers nothing.
    #[must_use]
    pub(crate) fn new(parts: Parts, config: &crate::Config) -> Self {
        Self {
            teller: Teller::new(parts.client.clone(), config.identity(), Arc::clone(&parts.metrics)),
            client: parts.client,
            stores: parts.stores,
            hub: parts.hub,
            settings: parts.settings,
            limits: config.limits(),
            halt: config.halt,
            keep_jobs: config.keep_jobs.as_secs(),
            queries: Queries::new(parts.servers),
            standing: parts.standing,
            metrics: parts.metrics,
            runs: Mutex::default(),
            tests: Mutex::default(),
        }
    }

    /// Whether this process may write now.
    #[must_use]
    pub(crate) fn may_write(&self) -> bool {
        self.standing.borrow().may_write(Instant::now())
    }

    /// A copy of what is remembered of a run.
    #[must_use]
    pub(crate) fn run_memory(&self, uid: &str) -> RunMemory {
        lock(&self.runs).get(uid).cloned().unwrap_or_default()
    }

    /// Changes what is remembered of a run.
    pub(crate) fn remember_run(&self, uid: &str, change: impl FnOnce(&mut RunMemory)) {
        change(lock(&self.runs).entry(uid.to_owned()).or_default());
    }

    /// Changes what is remembered of all runs; nobody else does meanwhile.
    pub(crate) fn remember_runs<T>(&self, change: impl FnOnce(&mut HashMap<String, RunMemory>) -> T) -> T {
        change(&mut lock(&self.runs))
    }

    /// A copy of what is remembered of a test.
    #[must_use]
    pub(crate) fn test_memory(&self, uid: &str) -> TestMemory {
        lock(&self.tests).get(uid).cloned().unwrap_or_default()
    }

    /// Changes what is remembered of a test.
    pub(crate) fn remember_test(&self, uid: &str, change: impl FnOnce(&mut TestMemory)) {
        change(lock(&self.tests).entry(uid.to_owned()).or_default());
    }

    /// Forgets whatever is not among the given UIDs.
    pub(crate) fn forget_all_but(&self, live: &BTreeSet<String>) {
        lock(&self.runs).retain(|uid, _| live.contains(uid));
        lock(&self.tests).retain(|uid, _| live.contains(uid));
        self.queries.forget_all_but(live);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
