//! What the leader shows of runs at `/metrics` and by OTLP: of each the newest that `reconcile/show.rs` has seen, from its acceptance until
//! some time after its end. Reading takes no look at the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use plimsoll_api::status::StoredResult;
use plimsoll_manifests::Frozen;
use plimsoll_measure::{Gauges, Layout, Snapshot};
use plimsoll_slo::{Facts, SloResult, judge};
use plimsoll_telemetry::{Family, Identity, Load, RunSeries, Workers, run_series};

/// How long a run is shown after its end, so that the slowest scraper sees its last numbers.
pub(crate) const AFTERWARDS: Duration = Duration::from_secs(600);

/// All runs that are shown, by UID.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    runs: Mutex<BTreeMap<String, ShownRun>>,
}

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct ShownRun {
    /// Whose series they are.
    pub(crate) identity: Identity,
    /// When the run was made: everything was zero then.
    pub(crate) since: SystemTime,
    /// The run as it was accepted; nothing before, and when only its result is known.
    pub(crate) frozen: Option<Arc<Frozen>>,
    /// Its stored result.
    pub(crate) stored: Option<Arc<StoredResult>>,
    /// The sum of what its workers handed in, unless it is known not to be whole.
    pub(crate) snapshot: Option<Arc<Snapshot>>,
    /// As for the judge.
    pub(crate) facts: Facts,
    /// The phase.
    pub(crate) phase: String,
    /// Verdict and reason.
    pub(crate) verdict: Option<(String, String)>,
    /// The agreed start.
    pub(crate) start: Option<SystemTime>,
    /// When the verdict was there.
    pub(crate) end: Option<SystemTime>,
    /// Its workers.
    pub(crate) workers: Workers,
    /// What they say that they are doing.
    pub(crate) gauges: Option<Gauges>,
}

impl Shown {
    /// Shows a run as it is now.
    pub(crate) fn show(&self, uid: &str, run: ShownRun) {
        self.lock().insert(uid.to_owned(), run);
    }

    /// What is shown of a run.
    pub(crate) fn get(&self, uid: &str) -> Option<ShownRun> {
        self.lock().get(uid).cloned()
    }

    /// Forgets what has been shown for long enough, and what was deleted before its end.
    pub(crate) fn tidy(&self, now: SystemTime, live: &BTreeSet<String>) {
        self.lock().retain(|uid, run| run.is_current(now) && (run.end.is_some() || live.contains(uid)));
    }

    /// Forgets everything: another process leads.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// The series of all runs.
    pub(crate) fn families(&self, now: SystemTime) -> Vec<Family> {
        let runs: Vec<ShownRun> = self.lock().values().filter(|run| run.is_current(now)).cloned().collect();
        runs.iter().flat_map(|run| run.families(now)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, ShownRun>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a run that ended then is still shown.
pub(crate) fn is_recent(end: SystemTime, now: SystemTime) -> bool {
    // An end in the future is one by another clock.
    now.duration_since(end).is_ok_and(|since| since < AFTERWARDS) || end > now
}

impl ShownRun {
    fn is_current(&self, now: SystemTime) -> bool {
        self.end.is_none_or(|end| is_recent(end, now))
    }

    fn families(&self, now: SystemTime) -> Vec<Family> {
        let nothing = Layout::default();
        let (layout, slos) = match (&self.stored, &self.frozen) {
            (Some(stored), _) => (&stored.layout, &stored.slos[..]),
            (None, Some(frozen)) => (&frozen.plan.layout, &frozen.slos[..]),
            (None, None) => (&nothing, &[][..]),
        };
        let stored = self.stored.as_ref();
        let snapshot = self.snapshot.as_deref().or_else(|| stored.map(|stored| &stored.snapshot));
        run_series(&RunSeries {
            identity: &self.identity,
            since: self.since,
            layout,
            snapshot,
            shed: self.snapshot.is_none() && stored.is_some_and(|stored| !stored.left_out.is_empty()),
            slos,
            results: &self.results(snapshot),
            facts: stored.map_or(&self.facts, |stored| &stored.facts),
            phase: &self.phase,
            verdict: self.verdict.as_ref().map(|(verdict, reason)| (&verdict[..], &reason[..])),
            start: self.start,
            end: self.end,
            workers: Some(self.workers),
            load: self.load(now),
        })
    }

    /// The results it was judged by, or those so far.
    fn results(&self, snapshot: Option<&Snapshot>) -> Vec<SloResult> {
        if let Some(judgement) = self.stored.as_ref().and_then(|stored| stored.judgement.as_ref()) {
            return judgement.results.clone();
        }
        let (Some(frozen), Some(snapshot), Some(_)) = (&self.frozen, snapshot, self.start) else {
            return Vec::new();
        };
        judge(&frozen.slos, &frozen.validity, &frozen.plan.layout, snapshot, &self.facts).results
    }

    /// What is asked for at this moment, and what the workers do.
    fn load(&self, now: SystemTime) -> Load {
        let Some(plan) = self.frozen.as_ref().map(|frozen| &frozen.plan) else { return Load::default() };
        let since = self.start.and_then(|start| now.duration_since(start).ok());
        let since = since.and_then(|since| u64::try_from(since.as_nanos()).ok());
        let at = since.filter(|at| *at < plan.duration && self.phase == "Running");
        let asked = |of: bool, figure: &dyn Fn(u64) -> u64| of.then(|| at.map_or(0, figure));
        let (users, rate) = (|at| plan.users_at(at), |at| plan.rate_at(at));
        Load {
            users: asked(plan.has_users(), &users),
            rate: asked(plan.has_arrivals(), &rate),
            gauges: self.gauges,
        }
    }
}
