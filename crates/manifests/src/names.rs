//! Names and labels of a run's objects. Read by the operator's watches (`operator/src/watch.rs`) and by everybody with `kubectl -l`.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use plimsoll_api::v1alpha1::LoadTestRun;

/// Label of every object of ours: the LoadTest.
pub const TEST_LABEL: &str = "plimsoll.dev/test";
/// Label of every object of a run: the LoadTestRun.
pub const RUN_LABEL: &str = "plimsoll.dev/run";
/// Label of a run's pods: the UID of the LoadTestRun, which tells them from those of a former run of its name.
pub const RUN_UID_LABEL: &str = "plimsoll.dev/run-uid";
/// Annotation of runs and results: the hash of the LoadTest's spec without its run policy.
pub const SPEC_HASH_ANNOTATION: &str = "plimsoll.dev/spec-hash";
/// Annotation of the plan's ConfigMap: the SHA-256 of `plan.json`.
pub(crate) const PLAN_HASH_ANNOTATION: &str = "plimsoll.dev/plan-hash";
/// Key of the compressed result in its ConfigMap.
pub const RESULT_KEY: &str = "result.json.gz";
/// The container that is ours.
pub(crate) const CONTAINER: &str = "worker";
/// Names of volumes of ours begin so.
pub(crate) const VOLUME_PREFIX: &str = "plimsoll-";

/// Name of the ConfigMap with the frozen run.
#[must_use]
pub fn plan_name(run: &str) -> String {
    format!("{run}-plan")
}

/// Name of the ConfigMap with the result.
#[must_use]
pub fn result_name(run: &str) -> String {
    format!("{run}-result")
}

/// Index of a worker from its pod's annotations, as the Job controller writes it.
#[must_use]
pub fn index_of(annotations: Option<&BTreeMap<String, String>>) -> Option<u32> {
    annotations?.get("batch.kubernetes.io/job-completion-index")?.parse().ok()
}

/// Labels of a run's objects.
pub(crate) fn labels(test: &str, run: &str) -> BTreeMap<String, String> {
    let ours = [(TEST_LABEL, test), (RUN_LABEL, run), ("app.kubernetes.io/managed-by", "plimsoll")];
    ours.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// Metadata of an object of a run. A run that is not stored yet (`plimsoll render`) has no uid and owns nothing.
pub(crate) fn metadata(run: &LoadTestRun, test: &str, name: String) -> ObjectMeta {
    let run_name = run.metadata.name.clone().unwrap_or_default();
    let owner = run.metadata.uid.clone().map(|uid| OwnerReference {
        api_version: "plimsoll.dev/v1alpha1".into(),
        kind: "LoadTestRun".into(),
        name: run_name.clone(),
        uid,
        controller: Some(true),
        block_owner_deletion: None,
    });
    ObjectMeta {
        name: Some(name),
        namespace: run.metadata.namespace.clone(),
        labels: Some(labels(test, &run_name)),
        owner_references: owner.map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_read_from_the_annotation() {
        let annotations =
            BTreeMap::from([("batch.kubernetes.io/job-completion-index".to_owned(), "7".to_owned())]);
        assert_eq!(index_of(Some(&annotations)), Some(7));
        assert_eq!(index_of(None), None);
        assert_eq!(index_of(Some(&BTreeMap::new())), None);
    }
}
