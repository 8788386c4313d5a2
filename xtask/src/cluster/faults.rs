//! What tests do to the cluster to see what survives: end the process of a container, take the API server away for a
//! while. Only processes of our own cluster are touched, each by its own id.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Cluster, LIMIT, logs, records, runtime};
use crate::apiserver;
use crate::process::{self, Recorded};

/// The name that the API server is recorded under.
const API_SERVER: &str = "kube-apiserver";

/// The API server is gone; [`ApiGone::back`] or dropping this value brings it back.
#[derive(Debug)]
pub struct ApiGone {
    cluster: Cluster,
    words: Vec<String>,
    is_back: bool,
}

impl Cluster {
    /// The id, on this machine, of the main process of a container; `id` as pods have it, `containerd://…`.
    ///
    /// # Errors
    /// If the cluster is not our own, or the container does not run.
    pub fn container_pid(&self, id: &str) -> Result<u32> {
        self.require_own()?;
        let id = id.trim_start_matches("containerd://");
        let tasks = process::output(runtime::ctr()?.args(["tasks", "list"]))?;
        let found = tasks.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some(id)).then(|| words.next())?
        });
        let pid = found.with_context(|| format!("the container {id} does not run"))?;
        pid.parse().with_context(|| format!("process id {pid}"))
    }

    /// `kill -9` of the main process of a container.
    ///
    /// # Errors
    /// As [`Self::container_pid`].
    pub fn kill_container(&self, id: &str) -> Result<()> {
        process::signal(self.container_pid(id)?, false, "KILL")
    }

    /// `kill -9` of the API server: connections break and nothing listens until it is brought back.
    ///
    /// # Errors
    /// If the cluster is not our own, or the API server does not run.
    pub fn stop_api(&self) -> Result<ApiGone> {
        self.require_own()?;
        let recorded = Recorded::all(&records())?;
        let Some(server) = recorded.iter().find(|found| found.name == API_SERVER && found.alive()) else {
            bail!("the API server does not run");
        };
        let line = PathBuf::from(format!("/proc/{}/cmdline", server.pid()));
        let line = std::fs::read(&line).with_context(|| format!("read {}", line.display()))?;
        let words = line.split(|byte| *byte == 0).filter(|word| !word.is_empty());
        let words = words.map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        // In place before the kill, so that whatever goes wrong from here on, it comes back.
        let gone = ApiGone { cluster: self.clone(), words, is_back: false };
        server.kill()?;
        Ok(gone)
    }

    fn require_own(&self) -> Result<()> {
        if !self.own {
            bail!(
                "{} names a cluster that was not made here: its processes are left alone",
                self.kubeconfig.display()
            );
        }
        Ok(())
    }
}

impl ApiGone {
    /// Starts the API server again with the arguments that it had, and waits until it is ready.
    ///
    /// # Errors
    /// If it does not start.
    pub fn back(mut self) -> Result<()> {
        self.start()
    }

    fn start(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.is_back, true) {
            return Ok(());
        }
        // Its command line names no namespace: nsenter became the server.
        let (program, arguments) = self.words.split_first().context("the API server had no command line")?;
        let mut command: Command = self.cluster.inside(program.as_ref())?;
        let log = logs().join(format!("{API_SERVER}.log"));
        let server = Recorded::start(&records(), API_SERVER, command.args(arguments), &log)?;
        apiserver::wait_ready(self.cluster.kubeconfig(), None, LIMIT, || {
            if !server.alive() {
                bail!("{API_SERVER} ended:\n{}", process::last_lines(&log, 15));
            }
            Ok(())
        })
    }
}

impl Drop for ApiGone {
    fn drop(&mut self) {
        if let Err(error) = self.start() {
            eprintln!("the API server did not come back: {error:#}");
        }
    }
}
