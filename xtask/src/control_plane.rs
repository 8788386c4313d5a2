//! A private etcd and kube-apiserver on loopback for one test: RBAC, service account tokens and admission are real,
//! there is no kubelet; tests run worker processes in place of pods. The real cluster is in `cluster/`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::apiserver::{self, Addresses, Endpoints};
use crate::kubeconfig::{self, Identity};
use crate::pki::Pki;
use crate::process::{self, Guarded};
use crate::tools;

/// How long etcd and the API server get to become ready: three seconds is usual, a loaded machine takes more.
const START_LIMIT: Duration = Duration::from_secs(60);

/// What runs beside etcd and the API server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Controllers {
    /// Nothing: objects stay as they were written, and a namespace gets no `default` service account.
    #[default]
    None,
    /// kube-controller-manager: Jobs make pods, owners take their children along, namespaces get service accounts.
    All,
}

/// A running control plane; it ends with this value and with this process.
#[derive(Debug)]
pub struct ControlPlane {
    folder: PathBuf,
    pki: Pki,
    at: Addresses,
    // In the order in which they are to end.
    controllers: Option<Guarded>,
    api: Option<Guarded>,
    etcd: Guarded,
}

impl ControlPlane {
    /// The programs that it takes, for [`tools::require`].
    pub const PROGRAMS: [&str; 3] = ["etcd", "kube-apiserver", "kubectl"];

    /// Starts in `folder`, which is made and should be empty, and waits until the API server is ready.
    ///
    /// # Errors
    /// If a program is missing, or one does not start; the text quotes its log.
    pub fn start(folder: &Path, controllers: Controllers) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        let folder = folder.canonicalize()?;
        let pki = Pki::make(&folder.join("pki"), &["127.0.0.1"])?;
        let mut tries = 3;
        loop {
            match Self::try_start(&folder, &pki, controllers) {
                // Somebody else may have taken a port between finding it free and listening on it.
                Err(error) if tries > 1 && format!("{error:#}").contains("address already in use") => {
                    tries -= 1;
                }
                result => return result,
            }
        }
    }

    fn try_start(folder: &Path, pki: &Pki, controllers: Controllers) -> Result<Self> {
        let ports = process::free_ports::<4>()?.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let at = Addresses { etcd: ports[0], peers: ports[1], api: ports[2] };
        kubeconfig::write(&folder.join(KUBECONFIG), pki, &at.api_url(), Identity::Certificate("admin"))?;
        let data = folder.join("etcd");
        if data.exists() {
            std::fs::remove_dir_all(&data)?;
        }
        let mut command = Command::new(tools::find("etcd")?);
        let etcd =
            Guarded::start("etcd", command.args(apiserver::etcd(&data, &at)), &folder.join("etcd.log"))?;
        let mut plane =
            Self { folder: folder.to_owned(), pki: pki.clone(), at, controllers: None, api: None, etcd };
        plane.start_api()?;
        if controllers == Controllers::All {
            let mut command = Command::new(tools::find("kube-controller-manager")?);
            command.args(apiserver::controller_manager(
                &plane.kubeconfig(),
                pki,
                ports[3].port(),
                "127.0.0.1",
                None,
            ));
            let log = folder.join("controllers.log");
            plane.controllers = Some(Guarded::start("kube-controller-manager", &mut command, &log)?);
            plane.wait_for_default_account()?;
        }
        Ok(plane)
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join(KUBECONFIG)
    }

    /// Writes the kubeconfig of whoever holds `token` (`kubectl create token ACCOUNT`) and returns its path.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn kubeconfig_for(&self, name: &str, token: &str) -> Result<PathBuf> {
        let path = self.folder.join(format!("{name}.kubeconfig"));
        kubeconfig::write(&path, &self.pki, &self.at.api_url(), Identity::Token(token))?;
        Ok(path)
    }

    /// `kubectl` as administrator.
    ///
    /// # Errors
    /// If there is no `kubectl`.
    pub fn kubectl(&self) -> Result<Command> {
        apiserver::kubectl(&self.kubeconfig())
    }

    /// The address of the API server; it stays the same over [`Self::stop_api`] and [`Self::start_api`].
    pub fn api(&self) -> SocketAddr {
        self.at.api
    }

    /// The audit log: one JSON line per write to the API.
    pub fn audit_log(&self) -> PathBuf {
        self.folder.join(apiserver::AUDIT_LOG)
    }

    /// `kill -9` of the API server: connections break and nothing listens until [`Self::start_api`].
    ///
    /// # Errors
    /// If it does not run.
    pub fn stop_api(&mut self) -> Result<()> {
        let Some(api) = self.api.take() else { bail!("the API server does not run") };
        api.kill().map(drop)
    }

    /// Starts the API server again at its old address with all that it knew, and waits until it is ready.
    ///
    /// # Errors
    /// If it runs already or does not become ready.
    pub fn start_api(&mut self) -> Result<()> {
        if self.api.is_some() {
            bail!("the API server runs already");
        }
        let mut command = Command::new(tools::find("kube-apiserver")?);
        command.args(apiserver::server(&self.folder, &self.pki, &self.at, Endpoints::None)?);
        let mut api = Guarded::start("kube-apiserver", &mut command, &self.folder.join("api.log"))?;
        apiserver::wait_ready(&self.kubeconfig(), Some(self.at.api), START_LIMIT, || {
            self.etcd.check().and_then(|()| api.check())
        })?;
        self.api = Some(api);
        Ok(())
    }

    /// Without it a pod is refused.
    fn wait_for_default_account(&self) -> Result<()> {
        process::wait_until("the service account default/default", START_LIMIT, || {
            process::output(self.kubectl()?.args(["get", "serviceaccount", "default", "--output=name"]))
                .map(|_| true)
        })
    }
}

const KUBECONFIG: &str = "admin.kubeconfig";
