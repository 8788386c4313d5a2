//! Turns a resolved run into Kubernetes objects: one immutable ConfigMap with the plan, one Indexed Job, and at the end one
//! ConfigMap with the result. Pure: no client, no clock.
//!
//! The operator applies what [`build`] makes and reads it back with [`Frozen::read`]; `plimsoll render` prints it.

mod error;
mod frozen;
mod job;
mod names;
mod network;
mod pod;
mod result;
mod settings;
mod template;

use k8s_openapi::api::core::v1::ConfigMap;
use plimsoll_api::Resolved;
use plimsoll_api::v1alpha1::LoadTestRun;
use serde_json::Value;

pub use error::BuildError;
pub use frozen::{Frozen, MAX_BYTES};
pub use names::{
    RESULT_KEY, RUN_LABEL, RUN_UID_LABEL, SPEC_HASH_ANNOTATION, TEST_LABEL, index_of, plan_name, result_name,
};
pub use network::network_policy;
pub use pod::mounted;
pub use result::{read_result, result};
pub use settings::{OPERATOR_PORT, Settings};

/// What the operator creates for a run.
#[derive(Clone, Debug)]
pub struct Objects {
    /// The frozen run; immutable.
    pub plan: ConfigMap,
    /// The Indexed Job. Plain JSON, because the user's pod template may hold fields that are newer than our types.
    pub job: Value,
}

/// The objects of a run; `spec_hash` is that of the test's own spec.
///
/// # Errors
/// If the run does not fit into a ConfigMap, or `workers.template` claims what is the operator's; the text says what to do.
pub fn build(
    run: &LoadTestRun,
    resolved: &Resolved,
    spec_hash: String,
    settings: &Settings,
) -> Result<Objects, BuildError> {
    let frozen = Frozen::new(resolved, spec_hash)?;
    let plan = frozen.config_map(run, &settings.operator_ca_pem)?;
    Ok(Objects { plan, job: job::job(run, &frozen, settings)? })
}

/// The Job of a run that is frozen already: what [`build`] would have made of it.
///
/// # Errors
/// As [`build`], for `workers.template`.
pub fn job(run: &LoadTestRun, frozen: &Frozen, settings: &Settings) -> Result<Value, BuildError> {
    job::job(run, frozen, settings)
}
