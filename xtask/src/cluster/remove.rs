//! Takes the cluster down, also what a crash, a kill or a reboot left of it: recorded processes, containers and their
//! helpers, mounts, control groups, the network namespace, files. Each is found by a name that only ours has.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{LIMIT, door, network, node, records, runtime, state};
use crate::process::{self, Recorded};
use crate::report::step;
use crate::tools::{self, apt};

pub(super) fn remove() -> Result<()> {
    if !state().exists() && !network::path().exists() {
        println!("ok  cluster: nothing of it is there");
        return Ok(());
    }
    if !apt::is_root() {
        bail!("taking the cluster down needs root");
    }
    step("cluster: removing what is there", || {
        // Nothing of it is needed any more, so nothing is asked to end. The kubelet and containerd before the
        // containers, or they would start them anew.
        let recorded = Recorded::all(&records())?;
        recorded.iter().try_for_each(Recorded::kill)?;
        end_inhabitants()?;
        end_containers()?;
        unmount_below(&state())?;
        remove_control_groups()?;
        if network::path().exists() {
            process::output(Command::new(tools::find("ip")?).args(["netns", "delete", network::NAMESPACE]))?;
        }
        forget_addresses()?;
        remove_folder(&state())
    })
}

/// Ends what else runs in the network namespace: servers that tests put there, processes whose record was lost.
fn end_inhabitants() -> Result<()> {
    if !network::path().exists() {
        return Ok(());
    }
    let ip = tools::find("ip")?;
    process::wait_until("the end of what runs in the network namespace", LIMIT, || {
        let found = process::output(Command::new(&ip).args(["netns", "pids", network::NAMESPACE]))?;
        let pids: Vec<u32> = found.lines().filter_map(|line| line.trim().parse().ok()).collect();
        // It may have ended by itself meanwhile.
        pids.iter().for_each(|&pid| drop(process::signal(pid, false, "KILL")));
        Ok(pids.is_empty())
    })
}

/// Ends what runs in containers, then the helpers that containerd left to watch them.
fn end_containers() -> Result<()> {
    process::wait_until("the end of all containers", LIMIT, || {
        let mut left = 0;
        for folder in node::control_groups() {
            for pid in members(&folder) {
                left += 1;
                // It may have ended by itself meanwhile.
                let _ = process::signal(pid, false, "KILL");
            }
        }
        Ok(left == 0)
    })?;
    for pid in helpers()? {
        let _ = process::signal(pid, false, "KILL");
    }
    process::wait_until("the end of containerd's helpers", LIMIT, || Ok(helpers()?.is_empty()))
}

/// The processes in a control group and below.
fn members(folder: &Path) -> Vec<u32> {
    let own = std::fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    let mut found: Vec<u32> = own.lines().filter_map(|line| line.parse().ok()).collect();
    for child in subfolders(folder) {
        found.extend(members(&child));
    }
    found
}

/// The processes that name a socket of ours: those that containerd left to watch over its containers, and a door
/// whose record was lost.
fn helpers() -> Result<Vec<u32>> {
    let (runtime, door) =
        (runtime::socket().display().to_string(), format!("UNIX-CONNECT:{}", door().display()));
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").context("read /proc")? {
        let Ok(entry) = entry else { continue };
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
        let watches =
            words[0].ends_with("containerd-shim-runc-v2") && words.iter().any(|word| *word == runtime);
        if watches || words.iter().any(|word| *word == door) {
            found.push(pid);
        }
    }
    Ok(found)
}

/// Volumes of pods, root file systems of containers, network namespaces of pods; the innermost first.
fn unmount_below(folder: &Path) -> Result<()> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").context("read /proc/self/mounts")?;
    let mut below: Vec<PathBuf> = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .map(|path| PathBuf::from(path.replace("\\040", " ")))
        .filter(|path| path.starts_with(folder))
        .collect();
    below.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
    for path in below {
        if process::output(Command::new("umount").arg(&path)).is_err() {
            process::output(Command::new("umount").arg("--lazy").arg(&path))?;
        }
    }
    Ok(())
}

fn remove_control_groups() -> Result<()> {
    for folder in node::control_groups() {
        process::wait_until(&format!("{} to be empty", folder.display()), LIMIT, || {
            remove_group(&folder).map(|()| true)
        })?;
    }
    Ok(())
}

/// A control group is a folder whose files go with it; its groups have to go first.
fn remove_group(folder: &Path) -> Result<()> {
    for child in subfolders(folder) {
        remove_group(&child)?;
    }
    match std::fs::remove_dir(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// CNI remembers results outside of our folder, under the name of the network; the kubelet leaves links to logs.
fn forget_addresses() -> Result<()> {
    for entry in std::fs::read_dir("/var/lib/cni/results").into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(runtime::POD_NETWORK) {
            std::fs::remove_file(entry.path())?;
        }
    }
    for entry in std::fs::read_dir("/var/log/containers").into_iter().flatten().flatten() {
        if std::fs::read_link(entry.path()).is_ok_and(|target| target.starts_with(state())) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn remove_folder(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}
