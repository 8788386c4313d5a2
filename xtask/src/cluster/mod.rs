//! A real Kubernetes of one node on this machine: kubelet, containers, kube-proxy and DNS in a network namespace of its
//! own; or the cluster that `$KUBECONFIG` names. `network.rs`, `runtime.rs` and `node.rs` are its layers,
//! `start.rs` brings it up, `remove.rs` takes it down, whatever state it was left in. `faults.rs` is what tests do to it.

mod faults;
mod network;
mod node;
mod remove;
mod runtime;
mod start;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::process::Recorded;
use crate::{apiserver, paths, process, tools};

pub use faults::ApiGone;
pub use network::NODE_ADDRESS;
pub use runtime::BUSYBOX_IMAGE;

/// A cluster to test on.
#[derive(Debug, Clone)]
pub struct Cluster {
    kubeconfig: PathBuf,
    own: bool,
}

impl Cluster {
    /// The cluster that is there: the one of `$KUBECONFIG`, or our own if it is up.
    ///
    /// # Errors
    /// If there is none.
    pub fn find() -> Result<Self> {
        if let Some(kubeconfig) = given() {
            return Ok(Self { kubeconfig, own: false });
        }
        let own = Self { kubeconfig: kubeconfig(), own: true };
        if !own.running()? {
            bail!("there is no cluster: set KUBECONFIG, or run `cargo xtask cluster up`");
        }
        Ok(own)
    }

    /// Brings our own cluster up unless it is up or `$KUBECONFIG` names another. Says what it does.
    ///
    /// # Errors
    /// If something does not start; the text quotes its log.
    pub fn up() -> Result<Self> {
        if let Some(kubeconfig) = given() {
            println!("ok  cluster: KUBECONFIG names one ({}); none is made", kubeconfig.display());
            return Ok(Self { kubeconfig, own: false });
        }
        let _lock = tools::lock(&paths::cache())?;
        let own = Self { kubeconfig: kubeconfig(), own: true };
        if own.running()? && own.ready() {
            println!("ok  cluster: is up");
            return Ok(own);
        }
        start::start()?;
        Ok(own)
    }

    /// Whether there can be a cluster: `$KUBECONFIG` names one, or we are root and have the programs.
    ///
    /// # Errors
    /// If not; the text says what is missing.
    pub fn possible() -> Result<()> {
        if given().is_some() { Ok(()) } else { start::require() }
    }

    /// Takes our own cluster down, or what a crash or a reboot left of it. A cluster of `$KUBECONFIG` is left alone.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub fn down() -> Result<()> {
        let _lock = tools::lock(&paths::cache())?;
        remove::remove()
    }

    /// The administrator's kubeconfig, usable from the host.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The administrator's kubeconfig, usable in the node's network namespace.
    pub fn internal_kubeconfig(&self) -> PathBuf {
        self.kubeconfig.with_file_name("internal.kubeconfig")
    }

    /// A folder for what is put beside our own cluster: it goes when the cluster is taken down.
    ///
    /// # Errors
    /// If the cluster is not our own.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        if !self.own {
            bail!(
                "{} names a cluster that was not made here: nothing is put beside it",
                self.kubeconfig.display()
            );
        }
        Ok(state().join("beside").join(name))
    }

    /// Whether it is the cluster that `cargo xtask cluster up` makes.
    pub fn is_own(&self) -> bool {
        self.own
    }

    /// `kubectl` as administrator.
    ///
    /// # Errors
    /// If there is no `kubectl`.
    pub fn kubectl(&self) -> Result<Command> {
        apiserver::kubectl(&self.kubeconfig)
    }

    /// A program in the node's network namespace, where pods and ClusterIPs can be reached and pods reach it
    /// at [`NODE_ADDRESS`].
    ///
    /// # Errors
    /// If the cluster is not our own.
    pub fn inside(&self, program: &Path) -> Result<Command> {
        if !self.own {
            bail!(
                "{} names a cluster that was not made here: its network cannot be entered",
                self.kubeconfig.display()
            );
        }
        Ok(network::inside(program))
    }

    /// Waits until the cluster's name server knows a name: a new Service takes it a moment.
    ///
    /// # Errors
    /// If the cluster is not our own, or the name stays unknown.
    pub fn wait_for_name(&self, name: &str) -> Result<()> {
        process::wait_until(&format!("the cluster's name server to know {name}"), LIMIT, || {
            let mut lookup = self.inside("/bin/busybox".as_ref())?;
            lookup.args(["nslookup", name, &NODE_ADDRESS.to_string()]);
            process::output(&mut lookup).map(|_| true)
        })
    }

    /// Makes the images of a docker archive known to the node.
    ///
    /// # Errors
    /// If the cluster is not our own or the archive cannot be read.
    pub fn import(&self, archive: &Path) -> Result<()> {
        if !self.own {
            bail!(
                "{} names a cluster that was not made here: load {} into it by its own means",
                self.kubeconfig.display(),
                archive.display()
            );
        }
        runtime::import(archive)
    }

    /// The audit log of our own cluster: one JSON line per write to the API.
    pub fn audit_log(&self) -> Option<PathBuf> {
        self.own.then(|| state().join(apiserver::AUDIT_LOG))
    }

    /// What runs of our own cluster: name, process id, whether it is alive.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub fn processes() -> Result<Vec<(String, u32, bool)>> {
        let recorded = Recorded::all(&records())?;
        Ok(recorded
            .into_iter()
            .map(|process| (process.name.clone(), process.pid(), process.alive()))
            .collect())
    }

    /// Whether the node says that it is ready.
    pub fn ready(&self) -> bool {
        let condition = "--output=jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}";
        let asked = self.kubectl().and_then(|mut kubectl| {
            process::output(kubectl.args(["get", "nodes", "--request-timeout=5s", condition]))
        });
        asked.is_ok_and(|status| status.split(' ').all(|node| node == "True"))
    }

    fn running(&self) -> Result<bool> {
        let recorded = Recorded::all(&records())?;
        Ok(recorded.len() == start::PROCESSES.len()
            && recorded.iter().all(Recorded::alive)
            && self.kubeconfig.exists())
    }
}

/// Patience with the parts of the cluster: each takes a second or two, and more on a loaded machine.
const LIMIT: Duration = Duration::from_secs(90);

/// Everything that our own cluster leaves on the disk.
fn state() -> PathBuf {
    paths::cache().join("cluster")
}

fn records() -> PathBuf {
    state().join("processes")
}

fn logs() -> PathBuf {
    state().join("logs")
}

/// The socket file through which the host reaches the API server inside the network namespace.
fn door() -> PathBuf {
    state().join("api.sock")
}

fn kubeconfig() -> PathBuf {
    state().join("kubeconfig")
}

/// The kubeconfig of a cluster that somebody else made.
fn given() -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("KUBECONFIG").filter(|value| !value.is_empty())?);
    (path != kubeconfig()).then_some(path)
}

/// An address of the node.
fn node_port(port: u16) -> SocketAddr {
    SocketAddr::from((NODE_ADDRESS, port))
}
