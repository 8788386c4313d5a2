//! The operator's own pods: which of them leads, and their end by `kill -9`.

use anyhow::{Context, Result};
use serde_json::Value;
use xtask::chart;

use crate::Stage;
use crate::outcome::word;

/// A pod of the operator.
#[derive(Clone, Debug)]
pub struct Replica {
    /// Its name.
    pub name: String,
    /// Its container, as `containerd://…`.
    pub container: String,
    /// Its address.
    pub ip: String,
}

/// All running replicas.
///
/// # Errors
/// If they cannot be read.
pub fn replicas(stage: &Stage) -> Result<Vec<Replica>> {
    let pods = stage.json(&[
        "get",
        "pods",
        "--namespace",
        chart::NAMESPACE,
        "--field-selector=status.phase=Running",
    ])?;
    let pods = pods["items"].as_array().cloned().unwrap_or_default();
    let live = pods.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    let replica = |pod: &Value| Replica {
        name: word(&pod["metadata"]["name"]).to_owned(),
        container: word(&pod["status"]["containerStatuses"][0]["containerID"]).to_owned(),
        ip: word(&pod["status"]["podIP"]).to_owned(),
    };
    Ok(live.map(replica).collect())
}

/// The replica that holds the Lease.
///
/// # Errors
/// If none does.
pub fn leader(stage: &Stage) -> Result<Replica> {
    let lease = stage.json(&["get", "lease", "plimsoll-operator", "--namespace", chart::NAMESPACE])?;
    let holder = word(&lease["spec"]["holderIdentity"]);
    let found = replicas(stage)?.into_iter().find(|replica| replica.name == holder);
    found.with_context(|| format!("no pod of the operator is the holder of the Lease, {holder:?}"))
}

/// `kill -9` of a replica's process; the kubelet starts it again.
///
/// # Errors
/// If it does not run.
pub fn kill(stage: &Stage, replica: &Replica) -> Result<()> {
    stage.cluster.kill_container(&replica.container)
}
