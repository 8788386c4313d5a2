//! Brings the cluster up layer by layer and says how long each took. `remove.rs` is the way back.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{
    Cluster, LIMIT, NODE_ADDRESS, kubeconfig, logs, network, node, node_port, records, remove, runtime, state,
};
use crate::apiserver::{self, Addresses, Endpoints};
use crate::kubeconfig::{Identity, write as write_kubeconfig};
use crate::pki::{NODE, Pki};
use crate::process::{self, Recorded};
use crate::report::{self, step};
use crate::tools::{self, apt};

/// The names of all processes, in the order in which they start.
pub(super) const PROCESSES: [&str; 10] = [
    "etcd",
    "containerd",
    "kube-apiserver",
    "door-inside",
    "door-outside",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "coredns",
];

/// The programs that are taken from the tools.
const PROGRAMS: [&str; 15] = [
    "etcd",
    "containerd",
    "ctr",
    "runc",
    "iptables",
    "ip",
    "socat",
    "buildah",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
    "coredns",
];

/// Fails if this machine lacks what a cluster takes.
pub(super) fn require() -> Result<()> {
    if !apt::is_root() {
        bail!("a cluster needs root, for namespaces and mounts; or set KUBECONFIG to one that is there");
    }
    tools::require(&PROGRAMS)
}

pub(super) fn start() -> Result<()> {
    require()?;
    let begun = std::time::Instant::now();
    remove::remove()?;
    let started = layers();
    if let Err(error) = started {
        println!("    the cluster's logs are in {}", logs().display());
        return Err(error);
    }
    println!("cluster: is up after {}", report::seconds(begun.elapsed()));
    Ok(())
}

fn layers() -> Result<()> {
    let folder = state();
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let at = Addresses { etcd: node_port(2379), peers: node_port(2380), api: node_port(6443) };
    let (pki, internal) = step("network namespace, certificates", || {
        network::make()?;
        let pki = Pki::make(&folder.join("pki"), &["127.0.0.1", "10.96.0.1", &NODE_ADDRESS.to_string()])?;
        let internal = folder.join("internal.kubeconfig");
        write_kubeconfig(&internal, &pki, &at.api_url(), Identity::Certificate("admin"))?;
        Ok((pki, internal))
    })?;
    step("etcd, API server, and a door to it on loopback", || {
        let mut etcd = network::inside(&tools::find("etcd")?);
        launch("etcd", etcd.args(apiserver::etcd(&folder.join("etcd"), &at)))?;
        launch("containerd", &mut runtime::containerd()?)?;
        let mut server = network::inside(&tools::find("kube-apiserver")?);
        launch("kube-apiserver", server.args(apiserver::server(&folder, &pki, &at, Endpoints::Kept)?))?;
        let door = open_door(at.api)?;
        write_kubeconfig(&kubeconfig(), &pki, &format!("https://{door}"), Identity::Certificate("admin"))?;
        apiserver::wait_ready(&kubeconfig(), None, LIMIT, all_alive)
    })?;
    step("controllers, scheduler, proxy, names", || {
        let mut controllers = network::inside(&tools::find("kube-controller-manager")?);
        let address = NODE_ADDRESS.to_string();
        launch(
            "kube-controller-manager",
            controllers.args(apiserver::controller_manager(
                &internal,
                &pki,
                10257,
                &address,
                Some(network::PODS),
            )),
        )?;
        let mut scheduler = network::inside(&tools::find("kube-scheduler")?);
        scheduler.arg(format!("--kubeconfig={}", internal.display())).arg("--leader-elect=false");
        launch("kube-scheduler", scheduler.arg(format!("--bind-address={address}")))?;
        launch("kube-proxy", &mut node::kube_proxy(&internal)?)?;
        launch("coredns", &mut node::coredns(&internal)?)
    })?;
    step("containers, kubelet, node Ready", || {
        runtime::prepare()?;
        let kubeconfig = folder.join("node.kubeconfig");
        write_kubeconfig(&kubeconfig, &pki, &at.api_url(), Identity::Certificate("node"))?;
        launch("kubelet", &mut node::kubelet(&pki, &kubeconfig)?)?;
        wait_for_node()
    })
}

fn launch(name: &str, command: &mut Command) -> Result<()> {
    Recorded::start(&records(), name, command, &logs().join(format!("{name}.log"))).map(drop)
}

/// Leads from a free port of the host's loopback address into the namespace, by a socket file, which belongs to
/// both. Returns the address on the host.
fn open_door(api: SocketAddr) -> Result<SocketAddr> {
    let [port] = process::free_ports()?;
    let socat = tools::find("socat")?;
    let socket = super::door();
    let mut inside = network::inside(&socat);
    inside.arg(format!("UNIX-LISTEN:{},fork,unlink-early", socket.display())).arg(format!("TCP:{api}"));
    launch("door-inside", &mut inside)?;
    let mut outside = Command::new(&socat);
    outside.arg(format!("TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork"));
    launch("door-outside", outside.arg(format!("UNIX-CONNECT:{}", socket.display())))?;
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

/// Fails with the log of the first process that has ended.
fn all_alive() -> Result<()> {
    for process in Recorded::all(&records())? {
        if !process.alive() {
            let log = logs().join(format!("{}.log", process.name));
            bail!("{} ended:\n{}", process.name, process::last_lines(&log, 15));
        }
    }
    Ok(())
}

/// Waits for the node, and for what a pod needs beside it: the account of its namespace, Services, and names.
fn wait_for_node() -> Result<()> {
    let cluster = Cluster { kubeconfig: kubeconfig(), own: true };
    let asked = |arguments: &[&str]| process::output(cluster.kubectl()?.args(arguments));
    let mut failed = None;
    process::wait_until(&format!("node {NODE} to be Ready"), LIMIT, || {
        failed = all_alive().err();
        Ok(failed.is_some() || cluster.ready())
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    process::wait_until("the service account default/default", LIMIT, || {
        asked(&["get", "serviceaccount", "default", "--output=name"]).map(|_| true)
    })?;
    process::wait_until("kube-proxy to lead to the API server", LIMIT, || {
        let mut through = cluster.inside(&tools::find("kubectl")?)?;
        through.arg(format!("--kubeconfig={}", kubeconfig().display()));
        through.args(["--server=https://10.96.0.1", "--request-timeout=5s", "get", "--raw=/readyz"]);
        process::output(&mut through).map(|_| true)
    })?;
    cluster.wait_for_name("kubernetes.default.svc.cluster.local")
}
