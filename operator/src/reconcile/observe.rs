//! What there is to know of a run at one moment: the watches' copies, the workers' sessions, and what is read from the API server
//! because nobody watches it. IO; the answer is judged by `decide.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ListParams};
use plimsoll_api::References;
use plimsoll_api::status::StoredResult;
use plimsoll_api::v1alpha1::{ClusterLoadProfile, LoadProfile, LoadTest, LoadTestRun, ProfileKind};
use plimsoll_manifests::{BuildError, Frozen, plan_name, read_result, result_name};
use plimsoll_session::{Progress, RunKey};
use plimsoll_slo::Reason;
use plimsoll_telemetry::query::Answers;

use super::decide::start_of;
use super::queue::{self, Turn};
use super::running;
use crate::context::{Context, RunMemory};
use crate::limits;
use crate::waiting::{JobView, PodView, Trouble, TroubleKind, event_trouble, job_view, pod_view};
use crate::watch::is_owned;

/// How long a pod may be on its way before its events are read.
const EVENTS_AFTER: Duration = Duration::from_secs(4);
/// How often events are read at the most.
const EVENTS_EVERY: Duration = Duration::from_secs(5);

/// A moment, on the wall and on the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// The wall clock.
    pub(crate) wall: SystemTime,
    /// The same moment as the API writes it.
    pub(crate) stamp: Timestamp,
    /// The monotonic clock.
    pub(crate) instant: Instant,
}

impl Now {
    /// This moment.
    pub(crate) fn read() -> Self {
        let wall = SystemTime::now();
        Self { wall, stamp: Timestamp::try_from(wall).unwrap_or_default(), instant: Instant::now() }
    }
}

/// What is known of a run.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    /// When it was looked at.
    pub(crate) now: Now,
    /// Its namespace and name.
    pub(crate) key: RunKey,
    /// Its UID.
    pub(crate) uid: String,
    /// The run, with the newest status that this process knows.
    pub(crate) run: Arc<LoadTestRun>,
    /// The newest resourceVersion that this process knows.
    pub(crate) version: Option<String>,
    /// Its LoadTest; nothing if it is gone or being deleted.
    pub(crate) test: Option<Arc<LoadTest>>,
    /// The run as it was accepted.
    pub(crate) frozen: Option<Arc<Frozen>>,
    /// Its stored result.
    pub(crate) result: Option<Arc<StoredResult>>,
    /// Its Job.
    pub(crate) job: Option<JobView>,
    /// Another object has a Job of its name.
    pub(crate) job_taken: bool,
    /// Its pods.
    pub(crate) pods: Vec<PodView>,
    /// What events say of pods on their way.
    pub(crate) troubles: Vec<Trouble>,
    /// What its workers say.
    pub(crate) progress: Option<Progress>,
    /// What Prometheus says; only of a run that has begun and asks it.
    pub(crate) answers: Option<Answers>,
    /// Whether it may begin; only for a run that is not accepted yet.
    pub(crate) turn: Turn,
    /// What its spec refers to; only for a run whose turn it is.
    pub(crate) references: References,
    /// The namespace of a target `service.namespace` exists.
    pub(crate) target_inside: bool,
    /// What this process remembers.
    pub(crate) memory: RunMemory,
}

/// Why it could not be looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ObserveError {
    /// The API server failed.
    #[error("read {what}: {error}")]
    Api {
        /// What was read.
        what: &'static str,
        /// Why.
        error: Box<kube::Error>,
    },
}

fn api(what: &'static str) -> impl FnOnce(kube::Error) -> ObserveError {
    move |error| ObserveError::Api { what, error: Box::new(error) }
}

/// Looks at a run; nothing if it is gone.
///
/// # Errors
/// See [`ObserveError`].
#[tracing::instrument(skip_all)]
pub(crate) async fn observe(context: &Context, key: &RunKey) -> Result<Option<Observed>, ObserveError> {
    let Some(stored) = context.stores.run(key) else { return Ok(None) };
    let Some(uid) = stored.metadata.uid.clone() else { return Ok(None) };
    let found = context.stores.job(key);
    let job = found.as_ref().filter(|job| is_owned(&job.metadata, &uid)).map(|job| job_view(job));
    let job_taken = found.is_some() && job.is_none();
    // A run that is over is asked for only while workers may wait for the word that it is.
    let is_over = stored.status.as_ref().is_some_and(|status| status.verdict.is_some());
    let works = job.as_ref().is_some_and(|job| !job.complete && job.failed.is_none());
    let is_leaving = stored.metadata.deletion_timestamp.is_some();
    if (!is_over || works) && !is_leaving && !context.run_memory(&uid).looked {
        look(context, key, &uid).await?;
    }
    let memory = context.run_memory(&uid);
    let (run, version) = newest(stored, &memory);
    let test = context.stores.test(&key.namespace, &run.spec.test_ref.name);
    if job.is_some() && !memory.job_seen {
        context.remember_run(&uid, |memory| memory.job_seen = true);
    }
    let pods = context.stores.pods_of(key, &uid).iter().filter_map(|pod| pod_view(pod)).collect();
    let mut observed = Observed {
        now: Now::read(),
        key: key.clone(),
        version,
        test: test.filter(|test| is_its_test(&run, test)),
        frozen: memory.frozen.clone(),
        result: memory.result.clone(),
        job,
        job_taken,
        pods,
        troubles: memory.troubles.clone(),
        progress: context.hub.observe(key),
        answers: None,
        turn: Turn::Now,
        references: References::default(),
        target_inside: false,
        memory,
        run,
        uid,
    };
    if observed.accepts() {
        observed.turn = take_turn(context, &observed.run, &observed.uid);
    }
    if observed.accepts() && observed.turn == Turn::Now {
        read_references(context, &mut observed).await?;
    }
    read_answers(context, &mut observed);
    if observed.waits_for_pods() {
        read_events(context, &mut observed).await;
    }
    if job_taken {
        let text = format!("Job {} is there already and not of this run: waiting for it to go", key.name);
        observed.troubles.push(Trouble { kind: TroubleKind::Refused, text });
    }
    Ok(Some(observed))
}

/// What Prometheus has said by now; nothing is waited for. When all is measured the last questions are asked.
fn read_answers(context: &Context, observed: &mut Observed) {
    if observed.is_finished() || observed.result.is_some() {
        return context.queries.forget(&observed.uid);
    }
    let (Some(frozen), Some(started)) = (&observed.frozen, start_of(observed)) else { return };
    let measured = observed.progress.as_ref().and_then(|progress| running::measured(frozen, progress));
    observed.answers = context.queries.look(&observed.uid, frozen, started, measured);
}

/// Whether a run may begin. One that may is remembered, so that of two that ask at once only one is told so.
fn take_turn(context: &Context, run: &LoadTestRun, uid: &str) -> Turn {
    let all = context.stores.runs.state();
    context.remember_runs(|runs| {
        let remembered = |run: &LoadTestRun| {
            run.metadata.uid.as_ref().and_then(|uid| runs.get(uid)).is_some_and(|memory| memory.has_turn)
        };
        let turn = queue::turn(run, &all, context.limits.runs_per_namespace, remembered);
        if turn == Turn::Now {
            runs.entry(uid.to_owned()).or_default().has_turn = true;
        }
        turn
    })
}

/// Whether a LoadTest is the one that the run is of: not on its way out, and not another one that was made under its name.
fn is_its_test(run: &LoadTestRun, test: &LoadTest) -> bool {
    let owners = run.metadata.owner_references.iter().flatten();
    let mut made_by = owners.filter(|owner| owner.kind == "LoadTest" && owner.name == run.spec.test_ref.name);
    test.metadata.deletion_timestamp.is_none()
        && made_by.all(|owner| test.metadata.uid.as_ref() == Some(&owner.uid))
}

impl Observed {
    /// Reads plan and result, of a run that is over and was never looked at by this process.
    pub(crate) async fn look(&mut self, context: &Context) -> Result<(), ObserveError> {
        look(context, &self.key, &self.uid).await?;
        self.memory = context.run_memory(&self.uid);
        self.frozen.clone_from(&self.memory.frozen);
        self.result.clone_from(&self.memory.result);
        Ok(())
    }

    /// The verdict is there.
    pub(crate) fn is_finished(&self) -> bool {
        self.run.status.as_ref().is_some_and(|status| status.verdict.is_some())
    }

    /// Whether it is going to be accepted when it is its turn.
    fn accepts(&self) -> bool {
        self.frozen.is_none() && self.result.is_none() && !self.is_finished() && self.test.is_some()
    }

    /// Whether pods are on their way for long enough to ask why.
    fn waits_for_pods(&self) -> bool {
        let started = self.run.status.as_ref().is_some_and(|status| status.started_at.is_some());
        let connected = self
            .progress
            .as_ref()
            .map_or(0, |progress| progress.links.iter().filter(|link| link.connected).count());
        let wanted = self
            .frozen
            .as_ref()
            .map_or(0, |frozen| usize::try_from(frozen.plan.workers).unwrap_or(usize::MAX));
        let made = self.job.as_ref().and_then(|job| job.created).map_or(Duration::ZERO, |made| {
            Duration::try_from(self.now.stamp.duration_since(made)).unwrap_or_default()
        });
        !started && !self.is_finished() && connected < wanted && made >= EVENTS_AFTER
    }
}

/// The store may lag behind what this process wrote itself: the newer of the two counts.
fn newest(stored: Arc<LoadTestRun>, memory: &RunMemory) -> (Arc<LoadTestRun>, Option<String>) {
    let mut run = stored;
    let seen = run.metadata.resource_version.clone();
    if let Some((version, status, _)) = &memory.written
        && number(Some(version)) > number(seen.as_deref())
    {
        Arc::make_mut(&mut run).status = Some(status.clone());
    }
    (run, newer(memory.version.clone(), seen))
}

/// The newer of two resourceVersions.
pub(super) fn newer(one: Option<String>, other: Option<String>) -> Option<String> {
    if number(one.as_deref()) > number(other.as_deref()) { one } else { other }
}

/// A resourceVersion as a number: the API server's are, and newer objects have greater ones.
fn number(version: Option<&str>) -> u64 {
    version.and_then(|version| version.parse().ok()).unwrap_or(0)
}

/// Looks for the plan and the result, once in the life of this process.
async fn look(context: &Context, key: &RunKey, uid: &str) -> Result<(), ObserveError> {
    let maps: Api<ConfigMap> = Api::namespaced(context.client.clone(), &key.namespace);
    let plan = maps.get_opt(&plan_name(&key.name)).await.map_err(api("the ConfigMap of the plan"))?;
    let result = maps.get_opt(&result_name(&key.name)).await.map_err(api("the ConfigMap of the result"))?;
    let made = plan.as_ref().and_then(|map| map.metadata.creation_timestamp.as_ref()).map(|time| time.0);
    let found = read_maps(plan.as_ref(), result.as_ref(), uid);
    context.remember_run(uid, |memory| {
        match found {
            Ok((frozen, result)) => {
                memory.frozen_at = memory.frozen_at.or(made.filter(|_| frozen.is_some()));
                memory.frozen = memory.frozen.take().or(frozen);
                memory.result = memory.result.take().or(result);
            }
            // It will not mend: these objects are immutable.
            Err(error) => {
                let message = format!("{error}; delete it, and create another LoadTestRun");
                memory.refused = Some((Reason::InvalidReference, message));
            }
        }
        memory.looked = true;
    });
    Ok(())
}

type Maps = (Option<Arc<Frozen>>, Option<Arc<StoredResult>>);

/// The run as it was accepted and its result, if these are this run's.
fn read_maps(plan: Option<&ConfigMap>, result: Option<&ConfigMap>, uid: &str) -> Result<Maps, BuildError> {
    // What is executed was accepted by the operator, within its limits; whoever writes ConfigMaps cannot say so instead of it.
    let plan = plan.filter(|map| is_owned(&map.metadata, uid));
    let result = result.filter(|map| is_result_of(map, uid));
    Ok((
        plan.map(Frozen::read).transpose()?.map(Arc::new),
        result.map(read_result).transpose()?.map(Arc::new),
    ))
}

/// Whether a ConfigMap of its name is the result of the run. Without an owner it came from a backup: the result of this run all the same.
pub(super) fn is_result_of(map: &ConfigMap, uid: &str) -> bool {
    map.metadata.owner_references.as_ref().is_none_or(Vec::is_empty) || is_owned(&map.metadata, uid)
}

/// Reads the profile and the namespace that the test refers to.
async fn read_references(context: &Context, observed: &mut Observed) -> Result<(), ObserveError> {
    let Some(test) = observed.test.clone() else { return Ok(()) };
    let overrides = observed.run.spec.overrides.as_ref();
    let profiles = [Some(&test.spec.profile), overrides.and_then(|overrides| overrides.profile.as_ref())];
    for wanted in profiles.into_iter().flatten().filter_map(|profile| profile.reference.as_ref()) {
        match wanted.kind {
            ProfileKind::LoadProfile => {
                let profiles: Api<LoadProfile> =
                    Api::namespaced(context.client.clone(), &observed.key.namespace);
                let found = profiles.get_opt(&wanted.name).await.map_err(api("the LoadProfile"))?;
                observed.references.profiles.extend(found.map(|found| (wanted.clone(), found.spec)));
            }
            ProfileKind::ClusterLoadProfile => {
                let profiles: Api<ClusterLoadProfile> = Api::all(context.client.clone());
                let found = profiles.get_opt(&wanted.name).await.map_err(api("the ClusterLoadProfile"))?;
                observed.references.profiles.extend(found.map(|found| (wanted.clone(), found.spec.0)));
            }
        }
    }
    let url = overrides
        .and_then(|overrides| overrides.target.as_ref())
        .map_or(&test.spec.target.url, |target| &target.url);
    let host = plimsoll_api::target_host(url);
    if let Some(namespace) = host.as_deref().and_then(limits::namespace_to_ask) {
        let namespaces: Api<Namespace> = Api::all(context.client.clone());
        let found = namespaces.get_opt(namespace).await.map_err(api("the namespace of the target"))?;
        observed.target_inside = found.is_some();
    }
    Ok(())
}

/// Reads the warnings about pods on their way, and about a Job that gets none. What cannot be read is only not told.
async fn read_events(context: &Context, observed: &mut Observed) {
    if observed
        .memory
        .troubles_read
        .is_some_and(|read| observed.now.instant.duration_since(read) < EVENTS_EVERY)
    {
        return;
    }
    let events: Api<Event> = Api::namespaced(context.client.clone(), &observed.key.namespace);
    let pods = observed.pods.iter().filter(|pod| !pod.ended && pod.trouble.is_none());
    let mut asked: Vec<String> = pods.map(|pod| pod.uid.clone()).take(3).collect();
    if observed.pods.is_empty() {
        asked.extend(observed.job.as_ref().map(|job| job.uid.clone()));
    }
    let frozen = observed.frozen.clone();
    let mounted = |volume: &str| plimsoll_manifests::mounted(&frozen.as_ref()?.plan, volume);
    let mut troubles = Vec::new();
    for uid in asked {
        let selector =
            ListParams::default().fields(&format!("involvedObject.uid={uid},type=Warning")).limit(20);
        match events.list(&selector).await {
            Ok(found) => troubles.extend(latest_trouble(&found.items, mounted)),
            Err(error) => tracing::warn!(run = %observed.key, %error, "events of the pods not read"),
        }
    }
    observed.troubles.clone_from(&troubles);
    let now = observed.now.instant;
    context.remember_run(&observed.uid, |memory| {
        memory.troubles = troubles;
        memory.troubles_read = Some(now);
    });
}

fn latest_trouble(events: &[Event], mounted: impl Fn(&str) -> Option<String>) -> Option<Trouble> {
    let told = |event: &Event| {
        event_trouble(
            event.reason.as_deref().unwrap_or_default(),
            event.message.as_deref().unwrap_or_default(),
            &mounted,
        )
    };
    let by_time: BTreeMap<_, _> =
        events.iter().map(|event| (event.last_timestamp.as_ref().map(|time| time.0), event)).collect();
    by_time.into_values().rev().find_map(told)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixtures;
    use super::*;

    #[test]
    fn only_what_is_the_runs_own_counts_as_its_plan() {
        let seen = fixtures::observed();
        let frozen = fixtures::frozen();
        let own = frozen.config_map(&seen.run, "PEM").unwrap();
        let (found, _) = read_maps(Some(&own), None, &seen.uid).unwrap();
        assert_eq!(found.unwrap().plan_hash, frozen.plan_hash);
        let mut planted = own.clone();
        planted.metadata.owner_references = None;
        assert!(read_maps(Some(&planted), None, &seen.uid).unwrap().0.is_none());
        assert!(read_maps(Some(&own), None, "another run of this name").unwrap().0.is_none());
        let mut broken = own;
        broken.data = None;
        assert!(read_maps(Some(&broken), None, &seen.uid).is_err());
    }

    #[test]
    fn a_result_without_an_owner_is_a_restored_one() {
        let map = |owners: serde_json::Value| -> ConfigMap {
            serde_json::from_value(json!({"metadata": {"name": "r-result", "ownerReferences": owners}}))
                .unwrap()
        };
        let owner =
            |uid: &str| json!([{"apiVersion": "a/v1", "kind": "LoadTestRun", "name": "r", "uid": uid}]);
        assert!(is_result_of(&map(json!([])), "u") && is_result_of(&map(owner("u")), "u"));
        assert!(!is_result_of(&map(owner("another")), "u"));
    }
}
