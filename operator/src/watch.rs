//! What is watched, and only as much of it as is needed: all LoadTests and LoadTestRuns; Jobs and pods with the label of a run.
//! Every change is told to whoever reconciles (`lib.rs`). Profiles, ConfigMaps and events are read when needed, Secrets never.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use kube::api::{Api, ObjectMeta};
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::utils::StreamBackoff;
use kube::runtime::watcher::{self, Event};
use kube::{Client, Resource, ResourceExt};
use plimsoll_api::v1alpha1::{LoadTest, LoadTestRun};
use plimsoll_manifests::{RUN_LABEL, RUN_UID_LABEL};
use plimsoll_session::RunKey;
use serde::de::DeserializeOwned;
use tokio::sync::broadcast;

use crate::objects::{WorkerJob, WorkerPod};

/// Something that may have to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Touched {
    /// A LoadTest or a LoadTestRun, or an object of it.
    One(Key),
    /// Whatever there is: a watch began anew.
    All,
}

/// What is reconciled, by namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Key {
    /// A LoadTest.
    Test(RunKey),
    /// A LoadTestRun.
    Run(RunKey),
}

/// The copies that the watches keep.
#[derive(Clone)]
pub(crate) struct Stores {
    /// LoadTests.
    pub(crate) tests: Store<LoadTest>,
    /// LoadTestRuns.
    pub(crate) runs: Store<LoadTestRun>,
    jobs: Store<WorkerJob>,
    pods: Store<WorkerPod>,
    touched: broadcast::Sender<Touched>,
}

impl Stores {
    /// Changes from now on. Who falls behind gets `Lagged`, and should look at everything then.
    #[must_use]
    pub(crate) fn changes(&self) -> broadcast::Receiver<Touched> {
        self.touched.subscribe()
    }

    /// Waits until every watch has seen what is there.
    pub(crate) async fn filled(&self) {
        // An error means that the watch is gone, with the process.
        let _ = self.tests.wait_until_ready().await;
        let _ = self.runs.wait_until_ready().await;
        let _ = self.jobs.wait_until_ready().await;
        let _ = self.pods.wait_until_ready().await;
    }

    /// Everything that there is to reconcile.
    #[must_use]
    pub(crate) fn all(&self) -> Vec<Key> {
        let tests = self.tests.state().into_iter().map(|test| Key::Test(key_of(&*test, &test.name_any())));
        let runs = self.runs.state().into_iter().map(|run| Key::Run(key_of(&*run, &run.name_any())));
        tests.chain(runs).collect()
    }

    /// A pod of a run.
    #[must_use]
    pub(crate) fn pod(&self, namespace: &str, name: &str) -> Option<Arc<WorkerPod>> {
        self.pods.get(&ObjectRef::new(name).within(namespace))
    }

    /// The Job of a run's name; whether it is that very run's: [`is_owned`].
    #[must_use]
    pub(crate) fn job(&self, run: &RunKey) -> Option<Arc<WorkerJob>> {
        self.jobs.get(&ObjectRef::new(&run.name).within(&run.namespace))
    }

    /// The pods of a run, and not of a former one of its name.
    #[must_use]
    pub(crate) fn pods_of(&self, run: &RunKey, uid: &str) -> Vec<Arc<WorkerPod>> {
        let ours = |pod: &Arc<WorkerPod>| {
            pod.metadata.namespace.as_ref() == Some(&run.namespace)
                && pod.labels().get(RUN_LABEL) == Some(&run.name)
                && is_pod_of(&pod.metadata, uid)
        };
        self.pods.state().into_iter().filter(ours).collect()
    }

    /// The LoadTest of a run.
    #[must_use]
    pub(crate) fn test(&self, namespace: &str, name: &str) -> Option<Arc<LoadTest>> {
        self.tests.get(&ObjectRef::new(name).within(namespace))
    }

    /// A run.
    #[must_use]
    pub(crate) fn run(&self, key: &RunKey) -> Option<Arc<LoadTestRun>> {
        self.runs.get(&ObjectRef::new(&key.name).within(&key.namespace))
    }

    /// The runs of a test.
    #[must_use]
    pub(crate) fn runs_of(&self, namespace: &str, test: &str) -> Vec<Arc<LoadTestRun>> {
        let ours = |run: &Arc<LoadTestRun>| {
            run.metadata.namespace.as_deref() == Some(namespace) && run.spec.test_ref.name == test
        };
        self.runs.state().into_iter().filter(ours).collect()
    }
}

/// Starts the watches; they end when the future is dropped.
pub(crate) fn start(client: &Client) -> (Stores, impl Future<Output = ()> + Send + use<>) {
    let (touched, _) = broadcast::channel(4096);
    let (tests, tests_writer) = reflector::store();
    let (runs, runs_writer) = reflector::store();
    let (jobs, jobs_writer) = reflector::store();
    let (pods, pods_writer) = reflector::store();
    let labelled = || watcher::Config::default().labels(RUN_LABEL);
    let all = watcher::Config::default;
    let told = || touched.clone();
    let follow_tests = follow(Api::all(client.clone()), all(), tests_writer, strip, told(), of_test);
    let follow_runs = follow(Api::all(client.clone()), all(), runs_writer, strip, told(), of_run);
    let follow_jobs = follow(Api::all(client.clone()), labelled(), jobs_writer, prune_job, told(), of_label);
    let follow_pods = follow(Api::all(client.clone()), labelled(), pods_writer, prune_pod, told(), of_label);
    let stores = Stores { tests, runs, jobs, pods, touched };
    let watching = async move {
        tokio::join!(follow_tests, follow_runs, follow_jobs, follow_pods);
    };
    (stores, watching)
}

/// Keeps a store filled and tells of every change, whatever becomes of the API server.
async fn follow<K>(
    api: Api<K>,
    config: watcher::Config,
    writer: reflector::store::Writer<K>,
    prune: fn(&mut K),
    touched: broadcast::Sender<Touched>,
    keys: fn(&K) -> Vec<Key>,
) where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + Send + Sync + 'static,
{
    let events = StreamBackoff::new(watcher::watcher(api, config), Backoff::default()).modify(prune);
    let mut events = std::pin::pin!(events.reflect(writer));
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(object) | Event::Delete(object)) => {
                for key in keys(&object) {
                    // Fails when nobody leads here, and then nobody need know.
                    let _ = touched.send(Touched::One(key));
                }
            }
            // What is listed is in the store only when the list is complete.
            Ok(Event::InitDone) => drop(touched.send(Touched::All)),
            Ok(Event::Init | Event::InitApply(_)) => {}
            Err(error) => tracing::warn!(kind = %K::kind(&()), %error, "watch interrupted"),
        }
    }
}

/// Waits between attempts of a broken watch: short, since runs are in progress and there are four watches in all.
#[derive(Debug, Default)]
struct Backoff {
    failures: u32,
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = Duration::from_millis(200 << self.failures.min(4));
        self.failures = self.failures.saturating_add(1);
        Some(wait)
    }
}

impl kube::runtime::utils::Backoff for Backoff {
    fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Whether an object was made for the run of this UID.
pub(crate) fn is_owned(meta: &ObjectMeta, uid: &str) -> bool {
    meta.owner_references.iter().flatten().any(|owner| owner.uid == uid)
}

/// Whether a pod with a run's name is of the run of this UID. An operator of an older version did not write it down.
pub(crate) fn is_pod_of(meta: &ObjectMeta, uid: &str) -> bool {
    meta.labels.as_ref().and_then(|labels| labels.get(RUN_UID_LABEL)).is_none_or(|written| written == uid)
}

pub(crate) fn key_of<K: Resource>(object: &K, name: &str) -> RunKey {
    RunKey { namespace: object.meta().namespace.clone().unwrap_or_default(), name: name.to_owned() }
}

fn of_test(test: &LoadTest) -> Vec<Key> {
    vec![Key::Test(key_of(test, &test.name_any()))]
}

fn of_run(run: &LoadTestRun) -> Vec<Key> {
    vec![Key::Run(key_of(run, &run.name_any())), Key::Test(key_of(run, &run.spec.test_ref.name))]
}

fn of_label<K: Resource>(object: &K) -> Vec<Key> {
    let run = object.meta().labels.as_ref().and_then(|labels| labels.get(RUN_LABEL));
    run.map(|run| Key::Run(key_of(object, run))).into_iter().collect()
}

fn strip<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
    if let Some(annotations) = object.meta_mut().annotations.as_mut() {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}

fn prune_job(job: &mut WorkerJob) {
    prune_meta(&mut job.metadata);
}

fn prune_pod(pod: &mut WorkerPod) {
    prune_meta(&mut pod.metadata);
    pod.status.conditions.retain(|condition| condition.type_ == "PodScheduled");
}

fn prune_meta(meta: &mut ObjectMeta) {
    let kept = std::mem::take(meta);
    *meta = ObjectMeta {
        name: kept.name,
        namespace: kept.namespace,
        uid: kept.uid,
        resource_version: kept.resource_version,
        labels: kept.labels,
        annotations: kept.annotations.map(|mut all| {
            all.retain(|key, _| key == "batch.kubernetes.io/job-completion-index");
            all
        }),
        creation_timestamp: kept.creation_timestamp,
        deletion_timestamp: kept.deletion_timestamp,
        owner_references: kept.owner_references,
        ..ObjectMeta::default()
    };
}
