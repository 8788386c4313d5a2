//! Does what `decide.rs` decided: orders to the workers, writes to the API server. IO.
//!
//! Every write can be repeated: creations take what is there already, patches are conditional on the run that was observed.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::PartialObjectMeta;
use kube::{Client, Resource};
use plimsoll_api::status::StoredResult;
use plimsoll_api::v1alpha1::LoadTestRun;
use plimsoll_manifests::{BuildError, Frozen, plan_name, result_name};
use plimsoll_slo::Reason;
use serde_json::json;

use super::observe::{Observed, is_result_of, newer};
use super::step::Step;
use crate::context::Context;

/// Field manager of everything but the finalizer.
pub(crate) const MANAGER: &str = "plimsoll-operator";
/// Field manager of the finalizer: one of its own, so that applying it takes no other field away.
const GUARD_MANAGER: &str = "plimsoll-operator-guard";
/// The finalizer of a run that has workers.
pub(crate) const FINALIZER: &str = "plimsoll.dev/workers";

/// What telling the workers takes at least.
const TELL: Duration = Duration::from_millis(20);

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    /// This process must not write: its lease has run out.
    #[error("not written: this process does not hold the lease")]
    NotLeading,
    /// Somebody changed the run since it was observed.
    #[error("the run was changed in between")]
    Changed,
    /// The namespace is on its way out and takes nothing new: the run is let go.
    #[error("the namespace is being deleted")]
    Leaving,
    /// The API server does not take it, and will not; the run ends with this.
    #[error("{1}")]
    Refused(Reason, String),
    /// An object cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The API server failed, or somebody was faster.
    #[error("{what}: {error}")]
    Api {
        /// What was tried.
        what: &'static str,
        /// Why.
        error: Box<kube::Error>,
    },
}

/// Does it.
///
/// # Errors
/// The first step that failed; the ones behind it were not done.
#[tracing::instrument(skip_all)]
pub(crate) async fn apply(
    context: &Context,
    observed: &Observed,
    steps: Vec<Step>,
) -> Result<(), ApplyError> {
    for step in steps {
        if step.is_write() && !context.may_write() {
            return Err(ApplyError::NotLeading);
        }
        perform(context, observed, step)
            .await
            .map_err(|error| if is_leaving(&error) { ApplyError::Leaving } else { error })?;
    }
    Ok(())
}

/// Whether something failed since its namespace is being deleted.
fn is_leaving(error: &ApplyError) -> bool {
    let ApplyError::Api { error, .. } = error else { return false };
    let kube::Error::Api(status) = &**error else { return false };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}

async fn perform(context: &Context, observed: &Observed, step: Step) -> Result<(), ApplyError> {
    let (key, hub) = (&observed.key, &context.hub);
    match step {
        Step::Open(frozen) => {
            hub.open(key, &frozen.plan, &frozen.plan_hash);
            context.remember_run(&observed.uid, |memory| {
                memory.opened_at.get_or_insert(observed.now.instant);
            });
        }
        Step::Promise(at) => context.remember_run(&observed.uid, |memory| memory.unsent_start = Some(at)),
        Step::Missing(missing) => context.remember_run(&observed.uid, |memory| {
            memory.missing_since = missing.then(|| memory.missing_since.unwrap_or(observed.now.instant));
        }),
        Step::Start(at) => start(context, observed, at),
        Step::Stop(stop) => {
            hub.stop(key, stop);
            context.remember_run(&observed.uid, |memory| {
                memory.stopped_at.get_or_insert_with(std::time::Instant::now);
            });
        }
        Step::Lost(index) => hub.lost(key, index),
        Step::Ack => hub.ack(key),
        Step::Close => hub.close(key),
        Step::Guard => guard(context, observed).await?,
        Step::Unguard => unguard(context, observed).await?,
        Step::Freeze(frozen) => freeze(context, observed, &frozen).await?,
        Step::MakeJob(frozen) => make_job(context, observed, &frozen).await?,
        Step::Store(stored) => store(context, observed, *stored).await?,
        Step::RetireJob { now } => retire_job(context, observed, now).await?,
        Step::Delete => delete(context, observed).await?,
        Step::Tell(news) => {
            context.teller.tell(&observed.run.object_ref(&()), &news).await;
            context.remember_run(&observed.uid, |memory| {
                memory.told.insert(news.key());
            });
        }
    }
    Ok(())
}

/// Tells the workers when they start. An instant that writing the status has used up is not told: no worker knows it, and
/// `running.rs` agrees on another one.
fn start(context: &Context, observed: &Observed, at: SystemTime) {
    let unsent = context.run_memory(&observed.uid).unsent_start == Some(at);
    if unsent && SystemTime::now() + TELL > at {
        tracing::info!(run = %observed.key, "the agreed start passed while it was written; choosing a later one");
        return;
    }
    context.hub.start(&observed.key, at);
    context.remember_run(&observed.uid, |memory| memory.unsent_start = None);
}

fn api(what: &'static str) -> impl FnOnce(kube::Error) -> ApplyError {
    move |error| ApplyError::Api { what, error: Box::new(error) }
}

/// Puts the finalizer on the run.
async fn guard(context: &Context, observed: &Observed) -> Result<(), ApplyError> {
    let runs: Api<PartialObjectMeta<LoadTestRun>> =
        Api::namespaced(context.client.clone(), &observed.key.namespace);
    let patch = json!({
        "apiVersion": LoadTestRun::api_version(&()), "kind": LoadTestRun::kind(&()),
        "metadata": {"name": observed.key.name, "uid": observed.uid, "finalizers": [FINALIZER]},
    });
    context.metrics.wrote("finalizer");
    let params = PatchParams::apply(GUARD_MANAGER).force();
    match runs.patch_metadata(&observed.key.name, &params, &Patch::Apply(&patch)).await {
        Ok(run) => {
            context.remember_run(&observed.uid, |memory| memory.saw(run.metadata.resource_version));
            Ok(())
        }
        Err(error) => Err(api("finalizer of the run")(error)),
    }
}

/// Takes the finalizer off the run.
async fn unguard(context: &Context, observed: &Observed) -> Result<(), ApplyError> {
    context.metrics.wrote("finalizer");
    let released = release(&context.client, &observed.key.namespace, &observed.key.name, &observed.uid).await;
    let version = released.map_err(api("finalizer of the run"))?;
    context.remember_run(&observed.uid, |memory| memory.saw(version));
    Ok(())
}

/// Takes our finalizer off a run, whoever put it there (a backup's restore, or an edit, takes it over from us), and leaves those of
/// others. Answers the run's new resourceVersion; nothing if it is gone. If somebody changes the run at that moment: 409.
pub(crate) async fn release(
    client: &Client,
    namespace: &str,
    name: &str,
    uid: &str,
) -> Result<Option<String>, kube::Error> {
    let runs: Api<PartialObjectMeta<LoadTestRun>> = Api::namespaced(client.clone(), namespace);
    let Some(run) = runs.get_metadata_opt(name).await? else { return Ok(None) };
    let finalizers = run.metadata.finalizers.as_deref().unwrap_or_default();
    let rest: Vec<_> = finalizers.iter().filter(|name| *name != FINALIZER).collect();
    if run.metadata.uid.as_deref() != Some(uid) || rest.len() == finalizers.len() {
        return Ok(None);
    }
    let patch = json!({"metadata": {"resourceVersion": run.metadata.resource_version, "finalizers": rest}});
    let params = PatchParams { field_manager: Some(GUARD_MANAGER.to_owned()), ..PatchParams::default() };
    match runs.patch_metadata(name, &params, &Patch::Merge(&patch)).await {
        Ok(run) => Ok(run.metadata.resource_version),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

/// Creates the plan's ConfigMap. One that is there already wins: it is what a former process accepted.
async fn freeze(context: &Context, observed: &Observed, frozen: &Arc<Frozen>) -> Result<(), ApplyError> {
    let map = frozen.config_map(&observed.run, &context.settings.operator_ca_pem)?;
    let maps: Api<ConfigMap> = Api::namespaced(context.client.clone(), &observed.key.namespace);
    context.metrics.wrote("plan");
    match maps.create(&PostParams::default(), &map).await {
        Ok(made) => {
            context.remember_run(&observed.uid, |memory| {
                memory.frozen = Some(Arc::clone(frozen));
                memory.frozen_at = made.metadata.creation_timestamp.map(|time| time.0);
            });
            Ok(())
        }
        Err(kube::Error::Api(status)) if status.code == 409 => {
            let name = plan_name(&observed.key.name);
            let there = maps.get_opt(&name).await.map_err(api("read the plan"))?;
            // One with another owner goes with it: a former run of this name.
            if there.is_some_and(|map| map.metadata.owner_references.is_none_or(|owners| owners.is_empty())) {
                let message = format!(
                    "ConfigMap {name} is there already and belongs to no run: delete it, and create another LoadTestRun"
                );
                return Err(ApplyError::Refused(Reason::InvalidReference, message));
            }
            context.remember_run(&observed.uid, |memory| memory.looked = false);
            Err(api("ConfigMap of the plan, which is there already: reading it")(kube::Error::Api(status)))
        }
        Err(error) => Err(refused("the ConfigMap of the plan", error)),
    }
}

async fn make_job(context: &Context, observed: &Observed, frozen: &Frozen) -> Result<(), ApplyError> {
    let job = plimsoll_manifests::job(&observed.run, frozen, &context.settings)?;
    let jobs: Api<PartialObjectMeta<Job>> = Api::namespaced(context.client.clone(), &observed.key.namespace);
    context.metrics.wrote("job");
    let params = PatchParams::apply(MANAGER).force();
    match jobs.patch_metadata(&observed.key.name, &params, &Patch::Apply(&job)).await {
        Ok(_) => {
            context.remember_run(&observed.uid, |memory| (memory.job_made, memory.job_error) = (true, None));
            Ok(())
        }
        Err(error) => {
            let error = refused("the Job of the workers", error);
            context.remember_run(&observed.uid, |memory| memory.job_error = Some(error.to_string()));
            Err(error)
        }
    }
}

/// What the API server will not take however often it is asked ends the run: admission and quota, or a field that it does not know.
fn refused(what: &'static str, error: kube::Error) -> ApplyError {
    let error = match api(what)(error) {
        error if is_leaving(&error) => return error,
        ApplyError::Api { error, .. } => *error,
        other => return other,
    };
    match &error {
        kube::Error::Api(status) if status.code == 403 => ApplyError::Refused(
            Reason::PolicyDenied,
            format!("the API server refused {what}: {}", status.message),
        ),
        kube::Error::Api(status) if matches!(status.code, 400 | 422) => ApplyError::Refused(
            Reason::InvalidReference,
            format!("the API server does not take {what}, see spec.workers.template: {}", status.message),
        ),
        _ => api(what)(error),
    }
}

/// Whether the run is still as it was observed: a watch may be behind, and what is stored cannot be taken back.
async fn unchanged(context: &Context, observed: &Observed) -> Result<(), ApplyError> {
    let runs: Api<LoadTestRun> = Api::namespaced(context.client.clone(), &observed.key.namespace);
    let now = runs.get_metadata_opt(&observed.key.name).await.map_err(api("read the run"))?;
    let known = newer(context.run_memory(&observed.uid).version, observed.version.clone());
    if now.is_some_and(|now| now.metadata.resource_version == known) {
        return Ok(());
    }
    Err(ApplyError::Changed)
}

/// Writes the result before anybody is told of it. One that is there already wins: a verdict is given once.
async fn store(context: &Context, observed: &Observed, stored: StoredResult) -> Result<(), ApplyError> {
    unchanged(context, observed).await?;
    let map = plimsoll_manifests::result(&observed.run, stored)?;
    let maps: Api<ConfigMap> = Api::namespaced(context.client.clone(), &observed.key.namespace);
    context.metrics.wrote("result");
    let stored = match maps.create(&PostParams::default(), &map).await {
        Ok(_) => map,
        Err(kube::Error::Api(status)) if status.code == 409 => {
            let there = maps.get(&result_name(&observed.key.name)).await.map_err(api("read the result"))?;
            if !is_result_of(&there, &observed.uid) {
                let error = kube::Error::Api(status);
                return Err(api("ConfigMap of the result, which is there already and another run's")(error));
            }
            there
        }
        Err(error) => return Err(api("ConfigMap of the result")(error)),
    };
    let stored = plimsoll_manifests::read_result(&stored)?;
    context.remember_run(&observed.uid, |memory| memory.result = Some(Arc::new(stored)));
    Ok(())
}

/// The Job controller deletes it some time after its end, and the pods' logs with it.
async fn retire_job(context: &Context, observed: &Observed, now: bool) -> Result<(), ApplyError> {
    let jobs: Api<PartialObjectMeta<Job>> = Api::namespaced(context.client.clone(), &observed.key.namespace);
    let mut spec = json!({"ttlSecondsAfterFinished": context.keep_jobs});
    if now {
        spec["activeDeadlineSeconds"] = json!(1);
    }
    context.metrics.wrote("job");
    let patch = json!({"spec": spec});
    match jobs.patch_metadata(&observed.key.name, &PatchParams::default(), &Patch::Merge(&patch)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(api("let the Job go")(error)),
    }
}

async fn delete(context: &Context, observed: &Observed) -> Result<(), ApplyError> {
    let runs: Api<LoadTestRun> = Api::namespaced(context.client.clone(), &observed.key.namespace);
    let params = DeleteParams {
        preconditions: Some(Preconditions { uid: Some(observed.uid.clone()), resource_version: None }),
        ..DeleteParams::background()
    };
    context.metrics.wrote("delete");
    match runs.delete(&observed.key.name, &params).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(api("delete the run")(error)),
    }
}
