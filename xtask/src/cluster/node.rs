//! What makes the namespace a node: kubelet, kube-proxy and a name server. containerd is in `runtime.rs`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{NODE_ADDRESS, network, runtime, state};
use crate::pki::{NODE, Pki};
use crate::tools;

/// The control group that all pods are in, on whatever version; `remove.rs` ends what it finds there.
pub(super) const CONTROL_GROUP: &str = "plimsoll";

/// The kubelet's command line.
pub(super) fn kubelet(pki: &Pki, kubeconfig: &Path) -> Result<Command> {
    make_control_groups()?;
    let folder = state().join("kubelet");
    let config = write("kubelet.json", &kubelet_configuration(pki, &folder))?;
    let mut command = network::inside(&tools::find("kubelet")?);
    command
        .arg(format!("--config={}", config.display()))
        .arg(format!("--kubeconfig={}", kubeconfig.display()))
        .arg(format!("--root-dir={}", folder.display()))
        .arg(format!("--cert-dir={}", folder.join("pki").display()))
        .arg(format!("--hostname-override={NODE}"))
        .arg(format!("--node-ip={NODE_ADDRESS}"));
    Ok(command)
}

fn kubelet_configuration(pki: &Pki, folder: &Path) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "healthzBindAddress": NODE_ADDRESS,
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": pki.file("ca.crt") },
        },
        "authorization": { "mode": "Webhook" },
        "containerRuntimeEndpoint": format!("unix://{}", runtime::socket().display()),
        "podLogsDir": folder.join("logs"),
        "volumePluginDir": folder.join("plugins"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{CONTROL_GROUP}"),
        "failCgroupV1": false,
        "failSwapOn": false,
        "clusterDomain": "cluster.local",
        "clusterDNS": [NODE_ADDRESS],
        "resolvConf": "",
        "serializeImagePulls": false,
        // The disk is shared with whatever else this machine does: a full one is to be seen, not to evict pods.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": { "memory.available": "64Mi", "nodefs.available": "1%", "imagefs.available": "1%" },
    })
}

/// kube-proxy's command line.
pub(super) fn kube_proxy(kubeconfig: &Path) -> Result<Command> {
    let configuration = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clusterCIDR": network::PODS,
        "hostnameOverride": NODE,
        "clientConnection": { "kubeconfig": kubeconfig },
        "healthzBindAddress": format!("{NODE_ADDRESS}:10256"),
        "metricsBindAddress": format!("{NODE_ADDRESS}:10249"),
        // The host's connection tracking is not this cluster's to set.
        "conntrack": { "maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s" },
    });
    let config = write("kube-proxy.json", &configuration)?;
    let mut command = network::inside(&tools::find("kube-proxy")?);
    command.arg(format!("--config={}", config.display()));
    Ok(command)
}

/// CoreDNS' command line. It runs as a process of the node, since an image of it cannot be had everywhere.
pub(super) fn coredns(kubeconfig: &Path) -> Result<Command> {
    // No cache: a name that a test asked for too early must not stay unknown.
    let configuration = format!(
        ".:53 {{\n    bind {NODE_ADDRESS}\n    errors\n    kubernetes cluster.local in-addr.arpa {{\n        \
         kubeconfig {}\n    }}\n}}\n",
        kubeconfig.display()
    );
    let path = state().join("Corefile");
    std::fs::write(&path, configuration).with_context(|| format!("write {}", path.display()))?;
    let mut command = network::inside(&tools::find("coredns")?);
    command.arg("-conf").arg(path);
    Ok(command)
}

/// The folders of the control group: one per controller with version 1, one alone with version 2.
pub(super) fn control_groups() -> Vec<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mut folders: Vec<PathBuf> = mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            let (folder, kind) = (fields.nth(1)?, fields.next()?);
            kind.starts_with("cgroup").then(|| Path::new(folder).join(CONTROL_GROUP))
        })
        .collect();
    folders.sort_unstable();
    folders.dedup();
    folders
}

/// The kubelet wants its root group to be there.
fn make_control_groups() -> Result<()> {
    for folder in control_groups() {
        std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        // A cpuset group of version 1 is of no use before it has processors and memory.
        for setting in ["cpuset.cpus", "cpuset.mems"] {
            let (own, parent) = (folder.join(setting), folder.join("..").join(setting));
            if let (Ok(value), true) = (std::fs::read_to_string(parent), own.exists()) {
                let _ = std::fs::write(own, value.trim());
            }
        }
    }
    Ok(())
}

fn write(name: &str, value: &Value) -> Result<PathBuf> {
    let path = state().join(name);
    std::fs::write(&path, format!("{value:#}\n")).with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}
