//! What runs leave behind for the benchmark to read: writes to the API in the audit log, objects, the operator's memory.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::chart;
use crate::cluster::Cluster;
use crate::process;

/// The operator in the audit log.
const OPERATOR: &str = "system:serviceaccount:plimsoll-system:plimsoll-operator";

/// Writes of the operator.
#[derive(Debug, Clone, Default)]
pub(super) struct Writes {
    /// By what was written: `loadtestruns/status`.
    pub(super) by_kind: BTreeMap<String, u64>,
    /// Reviews of tokens, which store nothing: one per worker that connects.
    pub(super) reviews: u64,
}

impl Writes {
    /// Those that store something.
    pub(super) fn stored(&self) -> u64 {
        self.by_kind.values().sum()
    }
}

/// The end of the audit log, to read on from there.
pub(super) fn mark(audit: &Path) -> Result<u64> {
    Ok(std::fs::metadata(audit).with_context(|| format!("look at {}", audit.display()))?.len())
}

/// The operator's writes since `mark`, without those of its Lease.
pub(super) fn writes(audit: &Path, mark: u64) -> Result<Writes> {
    let mut file = std::fs::File::open(audit).with_context(|| format!("open {}", audit.display()))?;
    file.seek(SeekFrom::Start(mark))?;
    let mut found = Writes::default();
    for line in BufReader::new(file).lines() {
        // The last line may not be whole yet; nothing of ours is that late.
        let Ok(entry) = serde_json::from_str::<Value>(&line?) else { continue };
        let (object, user) = (&entry["objectRef"], &entry["user"]["username"]);
        let resource = object["resource"].as_str().unwrap_or_default();
        match resource {
            _ if user != OPERATOR => {}
            "leases" => {}
            "tokenreviews" => found.reviews += 1,
            _ => {
                let part = object["subresource"].as_str().map(|part| format!("/{part}")).unwrap_or_default();
                *found.by_kind.entry(format!("{resource}{part}")).or_default() += 1;
            }
        }
    }
    Ok(found)
}

/// How many objects carry the run's label, pods apart: `(others, pods)`.
pub(super) fn objects(cluster: &Cluster, namespace: &str, run: &str) -> Result<(u64, u64)> {
    let selector = format!("--selector=plimsoll.dev/run={run}");
    let list = |kinds: &str| -> Result<u64> {
        let mut get = cluster.kubectl()?;
        let found =
            process::output(get.args(["get", kinds, "--namespace", namespace, &selector, "--output=name"]))?;
        Ok(found.lines().count() as u64)
    };
    let kinds =
        "jobs,configmaps,secrets,services,serviceaccounts,roles,rolebindings,networkpolicies,endpointslices";
    Ok((list(kinds)?, list("pods")?))
}

/// Memory of the operator's processes in MiB, now and at most so far; the leader first.
pub(super) fn memory(cluster: &Cluster) -> Result<Vec<(f64, f64)>> {
    let mut get = cluster.kubectl()?;
    get.args(["get", "pods", "--namespace", chart::NAMESPACE, "--field-selector=status.phase=Running"]);
    let paths = "--output=jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[0].containerID}{\"\\n\"}{end}";
    let pods = process::output(get.arg(paths))?;
    let mut get = cluster.kubectl()?;
    get.args(["get", "lease", "plimsoll-operator", "--namespace", chart::NAMESPACE]);
    let leader = process::output(get.arg("--output=jsonpath={.spec.holderIdentity}"))?;
    let mut pods: Vec<(&str, &str)> = pods.lines().filter_map(|line| line.split_once(' ')).collect();
    pods.sort_by_key(|(name, _)| *name != leader);
    pods.into_iter().map(|(_, container)| resident(cluster.container_pid(container)?)).collect()
}

fn resident(pid: u32) -> Result<(f64, f64)> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| {
        let line =
            status.lines().find(|line| line.starts_with(name)).with_context(|| format!("no {name}"))?;
        let kib: f64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
        Ok::<_, anyhow::Error>(kib / 1024.0)
    };
    Ok((field("VmRSS:")?, field("VmHWM:")?))
}

/// Milliseconds of a duration as the status has it: `3.1ms`, `1.2s`, `340us`.
pub(super) fn millis(text: &str) -> Option<f64> {
    let at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(at);
    let per_unit = match unit {
        "ns" => 1e-6,
        "us" => 1e-3,
        "ms" => 1.0,
        "s" => 1e3,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * per_unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_the_status_are_read() {
        assert_eq!(millis("3.1ms"), Some(3.1));
        assert_eq!(millis("0s"), Some(0.0));
        assert_eq!(millis("1.5s"), Some(1500.0));
        assert_eq!(millis("340us"), Some(0.34));
        assert_eq!(millis("-"), None);
    }

    #[test]
    fn only_the_operators_writes_that_store_something_count() {
        let entry = |user: &str, resource: &str, part: &str| {
            format!(
                "{{\"user\":{{\"username\":\"{user}\"}},\"objectRef\":{{\"resource\":\"{resource}\"{part}}}}}\n"
            )
        };
        let log = [
            entry(OPERATOR, "loadtestruns", ",\"subresource\":\"status\""),
            entry(OPERATOR, "leases", ""),
            entry(OPERATOR, "tokenreviews", ""),
            entry("system:node:node1", "pods", ",\"subresource\":\"status\""),
            entry(OPERATOR, "jobs", ""),
        ];
        let path = std::env::temp_dir().join(format!("plimsoll-audit-{}", std::process::id()));
        std::fs::write(&path, log.concat()).unwrap();
        let found = writes(&path, 0).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!((found.stored(), found.reviews), (2, 1));
        assert_eq!(found.by_kind["loadtestruns/status"], 1);
    }
}
