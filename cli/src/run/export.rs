//! The series of `plimsoll run`, for whoever scrapes it (`--metrics`) and for OpenTelemetry receivers (`--otlp`): the operator's, made of the
//! run in this process. Those of a run that is over stay until the program ends.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use plimsoll_api::Resolved;
use plimsoll_measure::{Gauges, Snapshot};
use plimsoll_slo::{Facts, Judgement, judge};
use plimsoll_telemetry::otlp::{Pipeline, Resource, Settings};
use plimsoll_telemetry::{Family, Identity, Load, RunSeries, Workers, gather, prometheus, run_series};
use tokio::net::TcpListener;

use crate::args::RunArgs;

/// How long the program's end may be delayed by a receiver that does not take what is left.
const FLUSH: Duration = Duration::from_secs(5);

type Runs = Arc<Mutex<BTreeMap<String, Vec<Family>>>>;

/// Where series go.
pub(super) struct Export {
    runs: Runs,
    otlp: Option<Pipeline>,
}

/// A run at one moment.
pub(super) struct Glimpse<'a> {
    pub(super) merged: &'a Snapshot,
    pub(super) facts: &'a Facts,
    /// Since the start; absent before it and after the end.
    pub(super) elapsed: Option<Duration>,
    pub(super) gauges: Option<Gauges>,
    pub(super) queued: SystemTime,
    pub(super) started: Option<SystemTime>,
    /// Once it is over.
    pub(super) judgement: Option<&'a Judgement>,
}

impl Export {
    /// Serves and sends what the command line and the OTEL_* variables ask for; nothing if they ask for nothing.
    pub(super) async fn open(args: &RunArgs, mut say: impl FnMut(&str)) -> Result<Option<Self>> {
        let settings = Settings::from_environment(args.otlp.as_deref().map(|url| ("--otlp", url)))?;
        if args.metrics.is_none() && settings.is_off() {
            return Ok(None);
        }
        let mut export = Self { runs: Runs::default(), otlp: None };
        if let Some(address) = args.metrics {
            let listener = TcpListener::bind(address).await;
            let listener = listener
                .with_context(|| format!("--metrics {address}: cannot listen; choose another port"))?;
            say(&format!("metrics on http://{}/metrics", listener.local_addr()?));
            let ready = Arc::new(AtomicBool::new(true));
            tokio::spawn(prometheus::serve(listener, Arc::new(families(&export.runs)), ready));
        }
        if !settings.is_off() {
            let instance = std::process::id().to_string();
            let resource = Resource::of("plimsoll", &instance, &|name| std::env::var(name).ok())?;
            let otlp = Pipeline::new(settings, resource);
            otlp.start()?;
            if let Some((target, _)) = otlp.metrics() {
                say(&format!("sending metrics to {}", target.shown()));
            }
            otlp.push(families(&export.runs));
            export.otlp = Some(otlp);
        }
        Ok(Some(export))
    }

    /// Takes the place of what was known of the run.
    pub(super) fn show(&self, resolved: &Resolved, now: &Glimpse<'_>) {
        let Resolved { slos, validity, plan, .. } = resolved;
        let live = judge(slos, validity, &plan.layout, now.merged, now.facts);
        let identity = Identity {
            namespace: plan.run.namespace.clone(),
            test: plan.run.test.clone(),
            run: plan.run.name.clone(),
            worker: None,
        };
        let verdict = now.judgement.map(|over| (format!("{:?}", over.verdict), format!("{:?}", over.reason)));
        let at = now.elapsed.map(|elapsed| u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX));
        let series = run_series(&RunSeries {
            identity: &identity,
            since: now.queued,
            layout: &plan.layout,
            snapshot: Some(now.merged),
            shed: false,
            slos,
            results: &now.judgement.unwrap_or(&live).results,
            facts: now.facts,
            phase: match (now.judgement, now.elapsed) {
                (Some(_), _) => "Finished",
                (None, Some(_)) => "Running",
                (None, None) => "Starting",
            },
            verdict: verdict.as_ref().map(|(verdict, reason)| (verdict.as_str(), reason.as_str())),
            start: now.started,
            end: now.judgement.map(|_| SystemTime::now()),
            workers: Some(Workers { desired: 1, ready: 1, lost: now.facts.workers_lost }),
            load: Load {
                users: plan.has_users().then(|| at.map_or(0, |at| plan.users_at(at))),
                rate: plan.has_arrivals().then(|| at.map_or(0, |at| plan.rate_at(at))),
                gauges: now.gauges,
            },
        });
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).insert(plan.run.name.clone(), series);
    }

    /// Sends what is left; says what a receiver did not get.
    pub(super) async fn finish(self, mut say: impl FnMut(&str)) {
        let Some(otlp) = self.otlp else { return };
        otlp.finish(families(&self.runs)(), FLUSH).await;
        if let Some((target, _)) = otlp.metrics().filter(|_| !otlp.is_complete()) {
            say(&format!(
                "{} did not get the last metrics; is it an OTLP receiver, and is it up?",
                target.shown()
            ));
        }
    }
}

/// All that is known, as one list.
fn families(runs: &Runs) -> impl Fn() -> Vec<Family> + Send + Sync + use<> {
    let runs = Arc::clone(runs);
    move || gather(runs.lock().unwrap_or_else(PoisonError::into_inner).values().flatten().cloned())
}
