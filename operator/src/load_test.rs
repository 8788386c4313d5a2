//! One LoadTest, one step further: is a run due, which runs are too many, and what is the status to say? Observes and applies here,
//! decides in `load_test/decide.rs`. What becomes of the run is `reconcile.rs`'s business; its status is only mirrored.

mod decide;
mod status;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, PostParams, Preconditions};
use kube::core::PartialObjectMeta;
use kube::{Resource, ResourceExt};
use plimsoll_api::v1alpha1::{LoadTest, LoadTestRun};
use plimsoll_manifests::{SPEC_HASH_ANNOTATION, TEST_LABEL};
use plimsoll_session::RunKey;

use self::decide::{Observed, decide};
use crate::context::Context;
use crate::events::News;

/// Why a reconcile failed.
#[derive(Debug, thiserror::Error)]
enum TestError {
    #[error("read the stored results: {0}")]
    Results(#[source] kube::Error),
    #[error("create the run {0}: {1}")]
    Create(String, #[source] kube::Error),
    #[error("delete the old run {0}: {1}")]
    Prune(String, #[source] kube::Error),
    #[error("write the status: {0}")]
    Status(#[source] kube::Error),
}

impl TestError {
    fn step(&self) -> &'static str {
        match self {
            Self::Results(_) => "test-results",
            Self::Create(..) => "test-create",
            Self::Prune(..) => "test-prune",
            Self::Status(_) => "test-status",
        }
    }
}

/// Takes a test one step further, and answers when to look again.
#[tracing::instrument(skip_all, fields(kind = "LoadTest", object = %key, otel.status_code = tracing::field::Empty))]
pub(crate) async fn reconcile(context: &Context, key: &RunKey) -> Result<Option<Duration>, ()> {
    if !context.may_write() {
        return Ok(Some(Duration::from_millis(500)));
    }
    match step(context, key).await {
        Ok(again) => {
            context.metrics.reconciled(None);
            Ok(again)
        }
        Err(error) => {
            tracing::warn!(test = %key, step = error.step(), %error, "reconcile failed; trying again");
            tracing::Span::current().record("otel.status_code", "ERROR");
            context.metrics.reconciled(Some(error.step()));
            Err(())
        }
    }
}

async fn step(context: &Context, key: &RunKey) -> Result<Option<Duration>, TestError> {
    let Some(observed) = observe(context, key).await? else { return Ok(None) };
    let mut decision = decide(&observed);
    if let Some(run) = &decision.create {
        if let Err(error) = create(context, &observed.test, run).await {
            decision.failed = Some(error.to_string());
            status::write(context, &observed, &decision).await.map_err(TestError::Status)?;
            return Err(error);
        }
        // The watch brings the run at once, and with it what the status is to say.
        return Ok(Some(Duration::from_secs(1)));
    }
    for run in &decision.prune {
        prune(context, run).await?;
    }
    let again = status::write(context, &observed, &decision).await.map_err(TestError::Status)?;
    Ok(again)
}

async fn observe(context: &Context, key: &RunKey) -> Result<Option<Observed>, TestError> {
    let Some(test) = context.stores.test(&key.namespace, &key.name) else { return Ok(None) };
    let Some(uid) = test.metadata.uid.clone().filter(|_| test.metadata.deletion_timestamp.is_none()) else {
        return Ok(None);
    };
    let runs = context.stores.runs_of(&key.namespace, &key.name);
    let memory = context.test_memory(&uid);
    let mut stored = memory.stored_hashes.clone().unwrap_or_default();
    let is_new =
        !runs.iter().any(|run| decide::is_made_by(run, &uid)) && decide::known(&test, &memory).is_none();
    if is_new && memory.stored_hashes.is_none() {
        stored = stored_hashes(context, key).await?;
        context.remember_test(&uid, |memory| memory.stored_hashes = Some(stored.clone()));
    }
    Ok(Some(Observed { now: k8s_openapi::jiff::Timestamp::now(), test, uid, runs, stored, memory }))
}

/// Hashes of specs whose results came back from a backup: without owners, since their run is not there any more, or not yet.
async fn stored_hashes(context: &Context, key: &RunKey) -> Result<BTreeSet<String>, TestError> {
    let maps: Api<ConfigMap> = Api::namespaced(context.client.clone(), &key.namespace);
    let selector = ListParams::default().labels(&format!("{TEST_LABEL}={}", key.name));
    let found = maps.list_metadata(&selector).await.map_err(TestError::Results)?;
    let restored = |map: &PartialObjectMeta<ConfigMap>| {
        map.name_any().ends_with("-result")
            && map.metadata.owner_references.as_ref().is_none_or(Vec::is_empty)
    };
    let hash =
        |map: PartialObjectMeta<ConfigMap>| map.metadata.annotations?.get(SPEC_HASH_ANNOTATION).cloned();
    Ok(found.items.into_iter().filter(restored).filter_map(hash).collect())
}

/// Creates the run; one of that name is the very same, since the name comes from the cause.
async fn create(context: &Context, test: &Arc<LoadTest>, run: &LoadTestRun) -> Result<(), TestError> {
    let name = run.name_any();
    let runs: Api<LoadTestRun> =
        Api::namespaced(context.client.clone(), &test.namespace().unwrap_or_default());
    context.metrics.wrote("run");
    match runs.create(&PostParams::default(), run).await {
        Ok(_) => {
            let news = News {
                about: name.clone(),
                ..News::good("RunCreated", format!("run {name} for the changed spec"))
            };
            context.teller.tell(&test.object_ref(&()), &news).await;
            Ok(())
        }
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(TestError::Create(name, error)),
    }
}

async fn prune(context: &Context, run: &LoadTestRun) -> Result<(), TestError> {
    let name = run.name_any();
    let runs: Api<LoadTestRun> =
        Api::namespaced(context.client.clone(), &run.namespace().unwrap_or_default());
    let preconditions = Preconditions { uid: run.metadata.uid.clone(), resource_version: None };
    let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
    context.metrics.wrote("delete");
    match runs.delete(&name, &params).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(TestError::Prune(name, error)),
    }
}
