//! What is known of a run, as series. Pure: the operator, a worker and `plimsoll run` call it with their own snapshots, so that all of
//! them say the same. One file per part of the inventory.
//!
//! From the moment that a run is accepted all request names, windows and SLOs are there, with zeros: nothing that is counted before the
//! first scrape is missed by whoever asks for increases.

mod cap;
mod generator;
mod load;
mod metrics;
mod requests;
mod run;
mod slos;
mod statuses;

use std::sync::Arc;
use std::time::SystemTime;

use plimsoll_measure::{Gauges, Layout, Snapshot};
use plimsoll_slo::{Facts, Slo, SloResult};

use crate::family::{Family, LabelValue, Labels, Point, Value, value};
use crate::inventory::{Label, Metric, Place, RUN_NAME, TEST, TEST_NAMESPACE, WORKER};
use cap::Caps;

/// Whose series they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Namespace of the test and its run.
    pub namespace: String,
    /// The LoadTest.
    pub test: String,
    /// The LoadTestRun.
    pub run: String,
    /// One worker of it; absent for what is merged over all.
    pub worker: Option<u32>,
}

/// What is known of a run at one moment.
#[derive(Clone, Copy, Debug)]
pub struct RunSeries<'a> {
    /// Whose series they are.
    pub identity: &'a Identity,
    /// When the run was accepted, or this worker began: everything was zero then.
    pub since: SystemTime,
    /// Names that the snapshot's numbers stand for.
    pub layout: &'a Layout,
    /// Everything that was measured so far. `None`: not known at the moment, so that nothing is said rather than less than before.
    pub snapshot: Option<&'a Snapshot>,
    /// Histograms may have been left out of the snapshot to store it; an empty one says nothing.
    pub shed: bool,
    /// What is judged.
    pub slos: &'a [Slo],
    /// Results so far, or final ones; in the order of the SLOs, or empty.
    pub results: &'a [SloResult],
    /// As for the judge.
    pub facts: &'a Facts,
    /// The phase, as the status has it.
    pub phase: &'a str,
    /// The verdict and its reason, as the status has them, once they are there.
    pub verdict: Option<(&'a str, &'a str)>,
    /// The agreed start of the load, once there is one.
    pub start: Option<SystemTime>,
    /// When the verdict was there.
    pub end: Option<SystemTime>,
    /// Workers; none for what one worker says of itself.
    pub workers: Option<Workers>,
    /// What is asked for and at work now.
    pub load: Load,
}

/// Workers of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Workers {
    /// Of the plan.
    pub desired: u32,
    /// There.
    pub ready: u32,
    /// Given up after the start.
    pub lost: u32,
}

/// The load at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Users that the profile asks for; absent without a load of the closed model.
    pub users: Option<u64>,
    /// Arrivals that the profile asks for, per 1000 minutes ([`plimsoll_measure::RATE_SECONDS`]); absent without a load of the open model.
    pub rate: Option<u64>,
    /// What the engines said last; absent before they do.
    pub gauges: Option<Gauges>,
}

/// The series of a run, or of a worker of one.
#[must_use]
pub fn run_series(run: &RunSeries<'_>) -> Vec<Family> {
    let mut series = Series::new(run);
    run::phase(&mut series);
    if let Some(snapshot) = run.snapshot {
        requests::requests(&mut series, snapshot);
        load::load(&mut series, snapshot);
        slos::events(&mut series, snapshot);
        generator::generator(&mut series, snapshot);
        metrics::metrics(&mut series, snapshot);
    }
    load::now(&mut series);
    slos::results(&mut series);
    run::run(&mut series);
    // Last, since it tells of what the others left out.
    run::dropped(&mut series);
    crate::gather(series.families)
}

/// The series of one worker, which judges nothing: what it measured since it began, and what it is at now.
#[must_use]
pub fn worker_series(
    identity: &Identity,
    since: SystemTime,
    layout: &Layout,
    snapshot: &Snapshot,
    gauges: Option<Gauges>,
) -> Vec<Family> {
    run_series(&RunSeries {
        identity,
        since,
        layout,
        snapshot: Some(snapshot),
        shed: false,
        slos: &[],
        results: &[],
        facts: &Facts::default(),
        phase: "",
        verdict: None,
        start: None,
        end: None,
        workers: None,
        load: Load { gauges, ..Load::default() },
    })
}

/// Series in the making.
struct Series<'a> {
    run: &'a RunSeries<'a>,
    place: Place,
    identity: Labels,
    caps: Caps,
    /// Words that are on many points.
    requests: Vec<LabelValue>,
    windows: Vec<LabelValue>,
    families: Vec<Family>,
}

impl<'a> Series<'a> {
    fn new(run: &'a RunSeries<'a>) -> Self {
        let Identity { namespace, test, run: name, worker } = run.identity;
        let mut identity =
            vec![(TEST_NAMESPACE, value(namespace)), (TEST, value(test)), (RUN_NAME, value(name))];
        identity.extend(worker.map(|index| (WORKER, value(index.to_string()))));
        let windows = run.layout.windows.iter().map(|window| window.name.as_str());
        let (caps, requests, windows) =
            Caps::new(run.layout.requests.iter().map(String::as_str), windows, run.slos.len());
        let place = if worker.is_some() { Place::Worker } else { Place::Run };
        Self { run, place, identity, caps, requests, windows, families: Vec::new() }
    }

    /// The family of a metric; nothing of one that is not exported from here.
    fn family(&mut self, metric: &'static Metric) -> Option<&mut Family> {
        if !metric.places.contains(&self.place) {
            return None;
        }
        let at = self.families.iter().position(|family| std::ptr::eq(family.metric, metric));
        let at = at.unwrap_or_else(|| {
            self.families.push(Family { metric, points: Vec::new() });
            self.families.len() - 1
        });
        self.families.get_mut(at)
    }

    fn push(
        &mut self,
        metric: &'static Metric,
        labels: &[(Label, LabelValue)],
        value: Value,
        since: Option<SystemTime>,
    ) {
        let labels = self.identity.iter().chain(labels).cloned().collect();
        if let Some(family) = self.family(metric) {
            family.points.push(Point { labels, value, since });
        }
    }

    fn count(&mut self, metric: &'static Metric, labels: &[(Label, LabelValue)], count: u64) {
        self.push(metric, labels, Value::Count(count), Some(self.run.since));
    }

    fn gauge(&mut self, metric: &'static Metric, labels: &[(Label, LabelValue)], number: f64) {
        self.push(metric, labels, Value::Gauge(number), None);
    }

    /// A counter of time, nanoseconds.
    fn time(&mut self, metric: &'static Metric, nanos: u64) {
        self.push(metric, &[], Value::Seconds(seconds(nanos)), Some(self.run.since));
    }

    fn histogram(
        &mut self,
        metric: &'static Metric,
        labels: &[(Label, LabelValue)],
        (durations, endless): (plimsoll_measure::Histogram, u64),
        bounds: &Arc<[u64]>,
    ) {
        // Less than before would read as a counter that began anew.
        if self.run.shed && durations.is_empty() {
            return;
        }
        let bounds = Arc::clone(bounds);
        let value = Value::Histogram { durations, endless, bounds, exemplars: Vec::new() };
        self.push(metric, labels, value, Some(self.run.since));
    }
}

/// Nanoseconds as seconds.
fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}
