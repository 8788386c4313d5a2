//! The cluster that all tests of a process work on: our own, with the chart installed by Helm with its default values.
//! Without one the tests are skipped, loudly.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result, anyhow};
use serde_json::Value;
use xtask::binaries::{self, Profile};
use xtask::cluster::Cluster;
use xtask::process::QUIET_PORTS;
use xtask::{chart, process, report};

/// The cluster with everything on it.
#[derive(Debug)]
pub struct Stage {
    /// The cluster.
    pub cluster: Cluster,
    folder: PathBuf,
    programs: BTreeMap<String, PathBuf>,
    port: AtomicU16,
}

/// The stage, set up by the first test that asks; nothing if there is no cluster, which is said loudly.
///
/// # Errors
/// If the chart cannot be installed; with `CI=true` also if there is no cluster.
pub fn stage() -> Result<Option<&'static Stage>> {
    static STAGE: OnceLock<Result<Option<Stage>, String>> = OnceLock::new();
    let stage = STAGE.get_or_init(|| set_up().map_err(|error| format!("{error:#}")));
    stage.as_ref().map(Option::as_ref).map_err(|error| anyhow!("{error}"))
}

fn set_up() -> Result<Option<Stage>> {
    let what = "tests on a real cluster (e2e)";
    let cluster = match Cluster::find() {
        Ok(cluster) => cluster,
        Err(why) => return report::skip(what, &format!("{why:#}")).map(|()| None),
    };
    if !cluster.is_own() {
        let why = "KUBECONFIG names a cluster that was not made here, and the servers whose logs are the truth stand in \
                   the cluster's own network";
        return report::skip(what, why).map(|()| None);
    }
    chart::install(&cluster)?;
    let programs = binaries::build(&["plimsoll-cli", "plimsoll-testbed"], Profile::Dev)?;
    let folder = cluster.folder(&format!("e2e-{}", std::process::id()))?;
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    // Processes of tests run one after the other; a server of the last one may not be quite gone.
    let first = QUIET_PORTS.start + u16::try_from(std::process::id() % 200).unwrap_or(0) * 100;
    Ok(Some(Stage { cluster, folder, programs, port: AtomicU16::new(first) }))
}

impl Stage {
    /// `kubectl` with these arguments; its output.
    ///
    /// # Errors
    /// If it fails; the text quotes it.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        process::output(self.cluster.kubectl()?.args(arguments))
    }

    /// `kubectl … --output=json`.
    ///
    /// # Errors
    /// If it fails.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let text = process::output(self.cluster.kubectl()?.args(arguments).arg("--output=json"))?;
        serde_json::from_str(&text)
            .with_context(|| format!("read what `kubectl {}` said", arguments.join(" ")))
    }

    /// A folder of its own for `name`, not made yet.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A port of the node that nobody else was given.
    pub fn next_port(&self) -> u16 {
        self.port.fetch_add(1, Ordering::Relaxed)
    }

    /// A program of ours.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn program(&self, name: &str) -> Result<&Path> {
        self.programs.get(name).map(PathBuf::as_path).with_context(|| format!("there is no program {name}"))
    }
}
