//! Installs `charts/plimsoll` by Helm with its default values, as a user would. The tests on a real cluster (`e2e/`), the demo
//! and the benchmark share one release, which is renewed when the chart or an image has changed.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::cluster::Cluster;
use crate::report::{self, step};
use crate::{image, paths, process, tools};

/// The namespace of the operator.
pub const NAMESPACE: &str = "plimsoll-system";

/// The name of the release.
pub const RELEASE: &str = "plimsoll";

/// The annotation of the namespace that says what is installed.
const INSTALLED: &str = "plimsoll.dev/installed";

/// Installs the chart, or renews it if it is not what the work tree and the images are now, and waits until the operator is
/// ready.
///
/// # Errors
/// If Helm fails; the text says what the operator's pods say.
pub fn install(cluster: &Cluster) -> Result<()> {
    let _lock = tools::lock(&paths::cache().join("chart"))?;
    let stamp = stamp()?;
    if installed(cluster)?.as_deref() == Some(stamp.as_str()) && wait_ready(cluster).is_ok() {
        report::cached("chart: is installed");
        return Ok(());
    }
    step(&format!("chart: helm install {RELEASE} --namespace {NAMESPACE}"), || {
        let renewed =
            helm(cluster)?.args(["status", RELEASE, "--namespace", NAMESPACE]).output()?.status.success();
        if renewed {
            // Helm never renews what is in a chart's folder of CRDs.
            let crds = paths::root().join("crds");
            let mut apply = cluster.kubectl()?;
            process::output(
                apply.args(["apply", "--server-side", "--force-conflicts", "--filename"]).arg(crds),
            )?;
        }
        let mut install = helm(cluster)?;
        install.args(["upgrade", "--install", RELEASE]).arg(paths::root().join("charts/plimsoll"));
        install.args(["--namespace", NAMESPACE, "--create-namespace", "--wait", "--timeout", "2m"]);
        process::output(&mut install).with_context(|| story(cluster))?;
        if renewed {
            // An image that was imported under the same name starts with the next pods.
            process::output(cluster.kubectl()?.args([
                "rollout",
                "restart",
                "deployment",
                "--namespace",
                NAMESPACE,
            ]))?;
        }
        wait_ready(cluster).with_context(|| story(cluster))?;
        let note = format!("{INSTALLED}={stamp}");
        process::output(cluster.kubectl()?.args(["annotate", "namespace", NAMESPACE, "--overwrite", &note]))
            .map(drop)
    })
}

/// What the operator's pods are and say, for messages.
pub fn story(cluster: &Cluster) -> String {
    let ask = |arguments: &[&str]| {
        let asked = cluster.kubectl().and_then(|mut kubectl| {
            process::output(kubectl.args(arguments).args(["--namespace", NAMESPACE, "--request-timeout=10s"]))
        });
        asked.unwrap_or_else(|error| format!("{error:#}"))
    };
    let pods = ask(&["get", "pods", "--output=wide"]);
    let logs = ask(&["logs", "--selector", "app.kubernetes.io/name=plimsoll", "--tail=15", "--prefix"]);
    format!("the operator's pods:\n{pods}\n{logs}")
}

/// Helm for this cluster, with its caches in our own.
fn helm(cluster: &Cluster) -> Result<Command> {
    let mut command = Command::new(tools::find("helm")?);
    let home = paths::cache().join("helm");
    command.env("KUBECONFIG", cluster.kubeconfig());
    for folder in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        command.env(folder, home.join(folder));
    }
    Ok(command)
}

fn wait_ready(cluster: &Cluster) -> Result<()> {
    let mut wait = cluster.kubectl()?;
    process::output(wait.args(["rollout", "status", "deployment", "--namespace", NAMESPACE, "--timeout=90s"]))
        .map(drop)
}

fn installed(cluster: &Cluster) -> Result<Option<String>> {
    let mut get = cluster.kubectl()?;
    get.args(["get", "namespace", NAMESPACE, "--ignore-not-found"]);
    let path = INSTALLED.replace('.', "\\.");
    let stamp = process::output(get.arg(format!("--output=jsonpath={{.metadata.annotations.{path}}}")))?;
    Ok((!stamp.is_empty()).then_some(stamp))
}

/// Tells one state of chart and images from another.
fn stamp() -> Result<String> {
    let mut hasher = DefaultHasher::new();
    for folder in ["charts/plimsoll", "crds"] {
        hash_folder(&paths::root().join(folder), &mut hasher)?;
    }
    for image in &image::IMAGES {
        let archive = std::fs::metadata(image.archive()).ok();
        archive.map(|file| (file.len(), file.modified().ok())).hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn hash_folder(folder: &Path, hasher: &mut DefaultHasher) -> Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort_unstable();
    for path in paths {
        if path.is_dir() {
            hash_folder(&path, hasher)?;
        } else {
            path.hash(hasher);
            std::fs::read(&path)?.hash(hasher);
        }
    }
    Ok(())
}
