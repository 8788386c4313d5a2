//! Pods and Jobs, as much of them as `waiting.rs` and `authenticate.rs` read. What is not named here is not even decoded: a worker's pod
//! is a few hundred bytes in memory, whatever its template says.

use k8s_openapi::api::batch::v1::{Job, JobCondition};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition};
use kube::Resource;
use kube::api::ObjectMeta;
use serde::{Deserialize, Serialize};

/// A pod.
#[derive(Clone, Debug, Default, Resource, Serialize, Deserialize)]
#[resource(inherit = "Pod")]
pub(crate) struct WorkerPod {
    /// Who it is.
    pub(crate) metadata: ObjectMeta,
    /// How it fares.
    #[serde(default)]
    pub(crate) status: WorkerPodStatus,
}

/// How a pod fares.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct WorkerPodStatus {
    /// Pending, Running, Succeeded, Failed.
    pub(crate) phase: Option<String>,
    /// Why, in one word.
    pub(crate) reason: Option<String>,
    /// Why, in a sentence.
    pub(crate) message: Option<String>,
    /// PodScheduled is what matters here.
    pub(crate) conditions: Vec<PodCondition>,
    /// Init containers of the user's.
    pub(crate) init_container_statuses: Vec<ContainerStatus>,
    /// The worker and containers of the user's.
    pub(crate) container_statuses: Vec<ContainerStatus>,
}

/// A Job.
#[derive(Clone, Debug, Default, Resource, Serialize, Deserialize)]
#[resource(inherit = "Job")]
pub(crate) struct WorkerJob {
    /// Who it is.
    pub(crate) metadata: ObjectMeta,
    /// What it is to do.
    #[serde(default)]
    pub(crate) spec: WorkerJobSpec,
    /// How it fares.
    #[serde(default)]
    pub(crate) status: WorkerJobStatus,
}

/// What a Job is to do.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct WorkerJobSpec {
    /// Set when the operator lets it go.
    pub(crate) ttl_seconds_after_finished: Option<i32>,
}

/// How a Job fares.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct WorkerJobStatus {
    /// Complete, Failed.
    pub(crate) conditions: Vec<JobCondition>,
    /// Indexes that will not be tried again: `1,3-5`.
    pub(crate) failed_indexes: Option<String>,
}
