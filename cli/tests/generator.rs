//! The generator at its own limits, made for real: a CPU quota, too few local ports, too few file descriptors, twice what it can do.
//! Each time the run says so and what helps, and without the limit the same test passes.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use plimsoll_testbed::{Config, Testbed};
use serde_json::Value;

mod support;

use support::{plimsoll_by, text};

/// More users without waits than half a core can serve; how late a shared machine makes them is no concern here.
const CLOSED: &str = "
apiVersion: plimsoll.dev/v1alpha1
kind: LoadTest
metadata: {name: shop}
spec:
  target: {url: http://localhost:1}
  profile: {users: 200, duration: 3s}
  validity: {maxLateness: 10s}
  slos:
  - {name: errors, errorRate: {atMost: 1%}}
";

/// These tests need the cores for themselves.
fn alone() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a manifest by a wrapper; exit code, and status of the run.
fn run(wrapper: &[&str], args: &[&str], manifest: &str) -> (Option<i32>, Value) {
    let output: Output = plimsoll_by(wrapper, &[&["run", "-", "-q", "-o", "json"], args].concat(), manifest);
    let run: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", text(&output.stdout), text(&output.stderr)));
    (output.status.code(), run["status"].clone())
}

fn message(status: &Value) -> &str {
    status["message"].as_str().unwrap_or_default()
}

/// A run that the generator spoilt, and what it says of that.
fn assert_saturated((exit, status): &(Option<i32>, Value), says: &[&str]) {
    assert_eq!(*exit, Some(3), "{status:#}");
    assert_eq!(status["verdict"], "Inconclusive", "{status:#}");
    assert_eq!(status["reason"], "GeneratorSaturated", "{status:#}");
    for says in says {
        assert!(message(status).contains(says), "{says}: {}", message(status));
    }
}

/// A control group of this test with its own time of the processors. Removed when it is dropped.
struct Group(PathBuf);

impl Group {
    fn new(name: &str, quota: Option<Duration>) -> Result<Self, String> {
        let (root, version) = controller()?;
        let group = root.join(format!("plimsoll-{name}-{}", std::process::id()));
        fs::create_dir(&group).map_err(|error| format!("{}: {error}", group.display()))?;
        let group = Self(group);
        let period = 100_000;
        let files = match (version, quota.map(|quota| quota.as_micros())) {
            (_, None) => vec![],
            (1, Some(quota)) => {
                vec![("cpu.cfs_period_us", period.to_string()), ("cpu.cfs_quota_us", quota.to_string())]
            }
            (_, Some(quota)) => vec![("cpu.max", format!("{quota} {period}"))],
        };
        for (file, value) in files {
            fs::write(group.0.join(file), value).map_err(|error| format!("{file}: {error}"))?;
        }
        Ok(group)
    }

    /// The command that puts itself into the group and becomes another.
    fn wrapper(&self) -> [String; 4] {
        let enter = "echo $$ > \"$0/cgroup.procs\" && exec \"$@\"";
        ["sh".to_owned(), "-c".to_owned(), enter.to_owned(), self.0.display().to_string()]
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Whoever was in it has ended; one that is left behind is empty and limits nobody.
        let _ = fs::remove_dir(&self.0);
    }
}

/// Where groups with a quota can be made, and the version of its control groups.
fn controller() -> Result<(PathBuf, u8), String> {
    let mounts = fs::read_to_string("/proc/self/mounts").map_err(|error| error.to_string())?;
    let mounts: Vec<Vec<&str>> = mounts.lines().map(|line| line.split(' ').collect()).collect();
    let first = mounts.iter().find(|mount| {
        matches!(mount[..], [_, _, "cgroup", options, ..] if options.split(',').any(|option| option == "cpu"))
    });
    if let Some(mount) = first {
        return Ok((PathBuf::from(mount[1]), 1));
    }
    let second = mounts.iter().find(|mount| mount.get(2) == Some(&"cgroup2"));
    let root = PathBuf::from(second.ok_or("no control groups are mounted")?[1]);
    // The root may have processes and pass its controllers on all the same.
    let control = root.join("cgroup.subtree_control");
    fs::write(&control, "+cpu").map_err(|error| format!("{}: {error}", control.display()))?;
    Ok((root, 2))
}

#[test]
fn a_quota_of_half_a_core_is_told_and_without_it_the_same_test_passes() {
    let _alone = alone();
    let (Ok(half), Ok(free)) =
        (Group::new("half", Some(Duration::from_millis(50))), Group::new("free", None))
    else {
        let why = Group::new("half", Some(Duration::from_millis(50))).err().unwrap_or_default();
        let why =
            format!("no control group can be made ({why}); it takes root and a writable cgroup file system");
        xtask::report::skip("a run under a CPU quota", &why).unwrap();
        return;
    };
    let testbed = Testbed::start(Config { threads: 1, ..Config::default() }).unwrap();
    let within = |group: &Group| {
        let wrapper = group.wrapper();
        let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
        run(&wrapper, &["--target", &testbed.url()], CLOSED)
    };
    let throttled = within(&half);
    let remedies = ["raise workers.resources.limits.cpu", "raise workers.count from 1 to "];
    assert_saturated(
        &throttled,
        &["workers were throttled for ", "% of the time, allowed 1%", remedies[0], remedies[1]],
    );
    let share = message(&throttled.1).split_once("throttled for ").and_then(|(_, rest)| rest.split_once('%'));
    let share: f64 = share.unwrap().0.parse().unwrap();
    assert!((20.0..=80.0).contains(&share), "about half of the time: {share}");
    let (exit, status) = within(&free);
    assert_eq!((exit, &status["verdict"]), (Some(0), &"Passed".into()), "{status:#}");
}

#[test]
fn half_a_core_is_one_thread() {
    let _alone = alone();
    let Ok(group) = Group::new("threads", Some(Duration::from_millis(50))) else {
        xtask::report::skip("threads under a CPU quota", "no control group can be made").unwrap();
        return;
    };
    let folder = std::env::temp_dir().join(format!("plimsoll-threads-{}", std::process::id()));
    let cores = |wrapper: &[&str]| {
        let result = folder.with_extension("json");
        let set = ["--set", "spec.profile.duration=1s", "--testbed"];
        let file = result.display().to_string();
        run(wrapper, &[&set[..], &["--result", &file]].concat(), CLOSED);
        let stored: Value = serde_json::from_str(&fs::read_to_string(&result).unwrap()).unwrap();
        fs::remove_file(&result).unwrap();
        let of = |name: &str| stored["health"][name].as_f64().unwrap();
        of("cores") / of("wall")
    };
    let wrapper = group.wrapper();
    let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    assert_eq!(cores(&wrapper), 1.0, "a quota of half a core");
    let all = std::thread::available_parallelism().unwrap().get().min(200);
    assert_eq!(cores(&[]), all as f64, "one for each core");
    if all > 1 {
        assert_eq!(cores(&["taskset", "-c", "0"]), 1.0, "the mask of the process");
    }
}

#[test]
fn local_ports_that_run_out_are_the_generators_fault() {
    let _alone = alone();
    let few =
        "ip link set lo up && echo '40000 40015' > /proc/sys/net/ipv4/ip_local_port_range && exec \"$@\"";
    let wrapper = ["unshare", "--net", "sh", "-c", few, "sh"];
    let possible = Command::new("unshare").args(&wrapper[1..]).arg("true").output();
    if let Some(why) = possible.map_or_else(
        |error| Some(error.to_string()),
        |output| (!output.status.success()).then(|| text(&output.stderr)),
    ) {
        let why = format!("no network namespace can be made ({}); it takes root and iproute2", why.trim());
        xtask::report::skip("a run without local ports", &why).unwrap();
        return;
    }
    let set = ["--set", "spec.profile.users=60", "--set", "spec.profile.wait={constant: 50ms}", "--testbed"];
    let (exit, status) = run(&wrapper, &set, CLOSED);
    let says = ["connections failed for want of local ports", "raise workers.count above 1"];
    assert_saturated(&(exit, status), &says);
    let (exit, status) =
        run(&["unshare", "--net", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"], &set, CLOSED);
    assert_eq!((exit, &status["verdict"]), (Some(0), &"Passed".into()), "{status:#}");
}

#[test]
fn file_descriptors_that_run_out_are_the_generators_fault() {
    let _alone = alone();
    let testbed = Testbed::start(Config::default()).unwrap();
    let set = ["--set", "spec.profile.wait={constant: 50ms}"];
    let url = testbed.url();
    let args = [&["--target", &url], &set[..]].concat();
    let few = ["sh", "-c", "ulimit -n 100 && exec \"$@\"", "sh"];
    let says = ["connections failed for want of file descriptors", "raise the workers' limit of open files"];
    assert_saturated(&run(&few, &args, CLOSED), &says);
    let report = plimsoll_by(&few, &[&["run", "-", "-q"], &args[..]].concat(), CLOSED);
    let report = text(&report.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(report.contains("the generator ran out of file descriptors"), "{report}");
    assert!(report.contains("this is the generator's, not the target's"), "{report}");
    assert!(!report.contains("nobody accepts connections"), "{report}");
    let (exit, status) = run(&[], &args, CLOSED);
    assert_eq!((exit, &status["verdict"]), (Some(0), &"Passed".into()), "{status:#}");
}

/// Arrivals of which each costs its core a lot, as captures and checks of large responses may: the target has nothing to do with it.
fn costly(rate: u32) -> String {
    format!(
        "
apiVersion: plimsoll.dev/v1alpha1
kind: LoadTest
metadata: {{name: shop}}
spec:
  target: {{url: http://localhost:1}}
  profile: {{duration: 2s, arrivals: {{rate: {rate}/s, maxInFlight: 1000}}}}
  scenarios:
  - name: busy
    steps:
    - {{name: get, http: {{path: /api/items}}}}
    - {{name: think, repeat: {{times: 1000}}, check: {{sane: \"run.user >= 0 && size(run.test) > 0\"}}}}
  slos:
  - {{name: errors, errorRate: {{atMost: 1%}}}}
"
    )
}

#[test]
fn far_more_than_the_generator_can_do_is_its_own_fault_and_ends_in_time() {
    let _alone = alone();
    let testbed = Testbed::start(Config { threads: 1, ..Config::default() }).unwrap();
    let began = Instant::now();
    let (exit, status) = run(&[], &["--target", &testbed.url()], &costly(100_000));
    let took = began.elapsed();
    let says = [
        " due requests were sent, ",
        "the workers' cores had no time left",
        "one worker carried ",
        " workers would carry this rate (workers.count is 1)",
    ];
    assert_saturated(&(exit, status.clone()), &says);
    let total = &status["summary"]["total"];
    let count = |name: &str| total[name].as_u64().unwrap();
    assert_eq!((count("requests"), count("sent") + count("notSent")), (200_000, 200_000), "{total:#}");
    assert_eq!(count("sent"), testbed.stats().received(), "{total:#}");
    // Two seconds of load; what was never begun gets no time to finish.
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn a_target_that_is_too_slow_is_not_the_generators_fault() {
    let _alone = alone();
    let testbed = Testbed::start(Config::default()).unwrap();
    let slow = "
apiVersion: plimsoll.dev/v1alpha1
kind: LoadTest
metadata: {name: shop}
spec:
  target: {url: http://localhost:1}
  profile: {duration: 2s, arrivals: {rate: 200/s, maxInFlight: 10}}
  slos: [{name: errors, errorRate: {atMost: 50%}}]
";
    testbed.merge_fault(&serde_json::json!({"latencyMs": 200})).unwrap();
    let (exit, status) = run(&[], &["--target", &testbed.url()], slow);
    assert_eq!((exit, &status["reason"]), (Some(3), &"RateNotDelivered".into()), "{status:#}");
    let says = "all places of arrivals.maxInFlight were taken by arrivals under way (median response 20";
    assert!(message(&status).contains(says), "{}", message(&status));
    assert!(!message(&status).contains("workers"), "{}", message(&status));
}

/// The tests above leave nothing behind.
#[test]
fn groups_are_removed() {
    let _alone = alone();
    let Ok(group) = Group::new("gone", None) else { return };
    let path = group.0.clone();
    assert!(Path::new(&path).exists());
    drop(group);
    assert!(!path.exists());
}
