//! How long the container was throttled by its CPU quota, from `cpu.stat` of cgroup v1 or v2.
//! `running.rs` turns it into the run's health; a machine without cgroups is never throttled.

use std::fs;
use std::path::{Path, PathBuf};

/// Reads one cgroup's `cpu.stat`.
#[derive(Debug)]
pub(crate) struct Throttle {
    stat: Option<PathBuf>,
    seen: u64,
}

impl Throttle {
    /// Finds the cgroup of this process below a root directory (`/` but in tests).
    pub(crate) fn find(root: &Path) -> Self {
        let stat = candidates(root).into_iter().find(|path| read(path).is_some());
        let seen = stat.as_deref().and_then(read).unwrap_or(0);
        Self { stat, seen }
    }

    /// Nanoseconds throttled since the last call; summed over CPUs by the kernel, so it may exceed the wall time.
    pub(crate) fn since_last(&mut self) -> u64 {
        let now = self.stat.as_deref().and_then(read).unwrap_or(self.seen);
        let delta = now.saturating_sub(self.seen);
        self.seen = now;
        delta
    }
}

/// Inside a container the cgroup is usually mounted as if it were the root, so the listed path is tried first and
/// the mount point second.
fn candidates(root: &Path) -> Vec<PathBuf> {
    let listing = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mount = root.join("sys/fs/cgroup");
    let mut found = Vec::new();
    for line in listing.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let path = path.trim_start_matches('/');
        if controllers.is_empty() {
            found.extend([mount.join(path), mount.clone(), mount.join("unified").join(path)]);
        } else if controllers.split(',').any(|controller| controller == "cpu") {
            for name in [controllers, "cpu"] {
                found.extend([mount.join(name).join(path), mount.join(name)]);
            }
        }
    }
    found.into_iter().map(|dir| dir.join("cpu.stat")).collect()
}

/// v2 counts `throttled_usec`, v1 `throttled_time` in nanoseconds; a group without a quota may list neither.
fn read(path: &Path) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| match line.split_once(' ')? {
        ("throttled_usec", value) => value.trim().parse::<u64>().ok()?.checked_mul(1000),
        ("throttled_time", value) => value.trim().parse().ok(),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str, files: &[(&str, &str)]) -> PathBuf {
        let root = std::env::temp_dir().join(format!("plimsoll-cgroup-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn reads_version_2_in_its_own_namespace() {
        let root = fixture(
            "v2",
            &[
                ("proc/self/cgroup", "0::/\n"),
                (
                    "sys/fs/cgroup/cpu.stat",
                    "usage_usec 9000\nnr_periods 12\nnr_throttled 3\nthrottled_usec 1500\n",
                ),
            ],
        );
        let mut throttle = Throttle::find(&root);
        assert_eq!(throttle.since_last(), 0);
        fs::write(root.join("sys/fs/cgroup/cpu.stat"), "nr_throttled 5\nthrottled_usec 4500\n").unwrap();
        assert_eq!(throttle.since_last(), 3_000_000);
        assert_eq!(throttle.since_last(), 0);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn reads_version_1_by_the_listed_path_before_the_mount_point() {
        let root = fixture(
            "v1",
            &[
                ("proc/self/cgroup", "5:memory:/kubepods/pod1\n4:cpu,cpuacct:/kubepods/pod1\n0::/\n"),
                ("sys/fs/cgroup/cpu,cpuacct/kubepods/pod1/cpu.stat", "nr_throttled 0\nthrottled_time 10\n"),
                ("sys/fs/cgroup/cpu,cpuacct/cpu.stat", "nr_throttled 9\nthrottled_time 999\n"),
            ],
        );
        let mut throttle = Throttle::find(&root);
        let stat = root.join("sys/fs/cgroup/cpu,cpuacct/kubepods/pod1/cpu.stat");
        fs::write(stat, "nr_throttled 1\nthrottled_time 70\n").unwrap();
        assert_eq!(throttle.since_last(), 60);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn version_1_falls_back_to_the_mount_point_of_a_container() {
        let root = fixture(
            "v1c",
            &[
                ("proc/self/cgroup", "4:cpu,cpuacct:/docker/abc\n"),
                ("sys/fs/cgroup/cpu/cpu.stat", "nr_throttled 1\nthrottled_time 5\n"),
            ],
        );
        let mut throttle = Throttle::find(&root);
        fs::write(root.join("sys/fs/cgroup/cpu/cpu.stat"), "throttled_time 8\n").unwrap();
        assert_eq!(throttle.since_last(), 3);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn without_a_quota_or_a_cgroup_nothing_is_throttled() {
        let root = fixture(
            "none",
            &[("proc/self/cgroup", "0::/\nnonsense\n"), ("sys/fs/cgroup/cpu.stat", "usage_usec 5\n")],
        );
        assert_eq!(Throttle::find(&root).since_last(), 0);
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(Throttle::find(&root).since_last(), 0);
    }
}
