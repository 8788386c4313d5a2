//! `cargo xtask bench cluster`: runs of 1, 4 and 8 workers on a real cluster, each beside a plain Indexed Job whose pods make one request,
//! which is the least that starting so many pods takes. nginx' log and the audit log are the witnesses. `print.rs` prints.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::observe::{self, Writes, millis};
use super::print;
use crate::binaries::Profile;
use crate::cluster::{BUSYBOX_IMAGE, Cluster, NODE_ADDRESS};
use crate::nginx::{self, Line, Nginx, Site};
use crate::{chart, image, process, report, tools};

/// The namespace of everything that is measured.
const NAMESPACE: &str = "bench";

/// Patience with anything that should take seconds.
const LIMIT: Duration = Duration::from_secs(120);

/// What to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// Numbers of workers.
    pub workers: Vec<u32>,
    /// Runs for each number of workers.
    pub runs: u32,
    /// Duration of a run in seconds.
    pub seconds: u32,
    /// Duration, in seconds, of one more run for each number of workers, which shows what a longer one writes.
    pub long: u32,
    /// How to compile the images.
    pub profile: Profile,
}

/// A run of a plain Job.
pub(super) struct Floor {
    pub(super) workers: u32,
    pub(super) first: f64,
    pub(super) all: f64,
    pub(super) apart: f64,
}

/// A run of Plimsoll; times in seconds, skews in milliseconds.
pub(super) struct Measured {
    pub(super) workers: u32,
    pub(super) seconds: u32,
    pub(super) first: f64,
    pub(super) all: f64,
    pub(super) skew: f64,
    pub(super) apart: f64,
    pub(super) verdict: f64,
    pub(super) objects: (u64, u64),
    pub(super) writes: Writes,
    pub(super) outcome: String,
    pub(super) exact: bool,
}

struct Bench {
    cluster: Cluster,
    nginx: Nginx,
    audit: PathBuf,
}

/// Measures and prints.
///
/// # Errors
/// If something does not start or does not end.
pub fn run(options: &Options) -> Result<()> {
    tools::install()?;
    let cluster = Cluster::up()?;
    let Some(audit) = cluster.audit_log() else {
        bail!("the benchmark needs a cluster of its own, whose logs it reads: run it without KUBECONFIG");
    };
    image::all(options.profile)?;
    chart::install(&cluster)?;
    let folder = cluster.folder(&format!("bench-{}", std::process::id()))?;
    let port = 18_000 + u16::try_from(std::process::id() % 2_000)?;
    let site = Site {
        folder: &folder,
        listen: SocketAddr::from((NODE_ADDRESS, port)),
        server: "location / { return 200 'ok\\n'; }",
        http: "",
        inside: Some(&cluster),
    };
    let bench = Bench { nginx: nginx::start(&site)?, cluster: cluster.clone(), audit };
    bench.kubectl(&["delete", "namespace", NAMESPACE, "--ignore-not-found"])?;
    bench.kubectl(&["create", "namespace", NAMESPACE])?;
    bench.kubectl(&[
        "wait",
        "--for=create",
        "serviceaccount/default",
        "--namespace",
        NAMESPACE,
        "--timeout=60s",
    ])?;
    let idle = observe::memory(&cluster)?;
    let (floors, measured) = bench.all(options)?;
    let busy = observe::memory(&cluster)?;
    print::figures(options, &floors, &measured);
    print::writes(&measured);
    print::memory(&idle, &busy);
    println!("{}", print::PEER);
    bench.kubectl(&["delete", "namespace", NAMESPACE, "--wait=false"])?;
    println!("The cluster stays up; `cargo xtask cluster down` takes it down.");
    Ok(())
}

impl Bench {
    /// Floor and run by turns, so that both see the same machine.
    fn all(&self, options: &Options) -> Result<(Vec<Floor>, Vec<Measured>)> {
        let (mut floors, mut measured) = (Vec::new(), Vec::new());
        for round in 1..=options.runs {
            for &workers in &options.workers {
                let of = format!("{round} of {}, workers: {workers}", options.runs);
                floors.push(report::step(&format!("floor {of}"), || self.floor(workers, round))?);
                let seconds = options.seconds;
                let what = format!("run {of}, {seconds} s");
                measured.push(report::step(&what, || self.measure(workers, round, seconds))?);
            }
        }
        for &workers in &options.workers {
            let what = format!("long run, workers: {workers}, {} s", options.long);
            measured.push(report::step(&what, || self.measure(workers, 0, options.long))?);
        }
        Ok((floors, measured))
    }

    /// An Indexed Job whose pods make one request each.
    fn floor(&self, workers: u32, round: u32) -> Result<Floor> {
        let name = format!("floor-{workers}-{round}");
        let url = format!("http://{}/{name}", self.nginx.address());
        let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {
            "completionMode": "Indexed", "completions": workers, "parallelism": workers,
            "template": {"spec": {"restartPolicy": "Never", "automountServiceAccountToken": false, "containers": [{
                "name": "once", "image": format!("docker.io/library/{BUSYBOX_IMAGE}"), "imagePullPolicy": "IfNotPresent",
                "command": ["/bin/wget", "-q", "-O", "/dev/null", url],
                "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
            }]}},
        }});
        let applied = now_ms()?;
        self.apply(&job)?;
        let wanted = usize::try_from(workers)?;
        process::wait_until("the request of every pod", LIMIT, || Ok(self.lines(&name)?.len() >= wanted))?;
        let begun: Vec<u64> = self.lines(&name)?.iter().map(begun).collect();
        self.kubectl(&[
            "wait",
            &format!("job/{name}"),
            "--for=condition=Complete",
            "--namespace",
            NAMESPACE,
            "--timeout=120s",
        ])?;
        self.kubectl(&["delete", "job", &name, "--namespace", NAMESPACE])?;
        let (first, last) = ends(&begun)?;
        Ok(Floor {
            workers,
            first: seconds_between(applied, first),
            all: seconds_between(applied, last),
            apart: ms_between(first, last),
        })
    }

    /// A LoadTest: 20 users in all, 100 ms between their requests.
    fn measure(&self, workers: u32, round: u32, seconds: u32) -> Result<Measured> {
        let name = format!("run-{workers}-{round}");
        let test = json!({"apiVersion": "plimsoll.dev/v1alpha1", "kind": "LoadTest", "metadata": {"name": name}, "spec": {
            "target": {"url": format!("http://{}/{name}", self.nginx.address())},
            "profile": {"duration": format!("{seconds}s"), "users": 20, "wait": {"min": "100ms", "max": "100ms"}},
            "slos": [{"name": "p95", "latency": {"stat": "p95", "atMost": "500ms"}}],
            "workers": {"count": workers},
        }});
        let mark = observe::mark(&self.audit)?;
        let applied = now_ms()?;
        self.apply(&test)?;
        let verdict_at = self.watch_verdict(&name)?;
        let lines = self.lines(&name)?;
        let run = self.kubectl(&[
            "get",
            "loadtest",
            &name,
            "--namespace",
            NAMESPACE,
            "--output=jsonpath={.status.run}",
        ])?;
        self.settle(&run)?;
        let writes = observe::writes(&self.audit, mark)?;
        let mut get = self.cluster.kubectl()?;
        let status = process::output(get.args([
            "get",
            "loadtestrun",
            &run,
            "--namespace",
            NAMESPACE,
            "--output=json",
        ]))?;
        let status: Value = serde_json::from_str::<Value>(&status)?["status"].take();
        let text = |field: &str| status[field].as_str().unwrap_or_default();
        let (first, all) = ends(&first_requests(&lines))?;
        let (_, last) = ends(&lines.iter().map(|line| line.at_ms).collect::<Vec<_>>())?;
        Ok(Measured {
            workers,
            seconds,
            first: seconds_between(applied, first),
            all: seconds_between(applied, all),
            skew: millis(text("startSkew")).unwrap_or(f64::NAN),
            apart: ms_between(first, all),
            verdict: seconds_between(last, verdict_at),
            objects: observe::objects(&self.cluster, NAMESPACE, &run)?,
            writes,
            outcome: format!("{} ({}): {}", text("verdict"), text("reason"), text("message")),
            exact: status["summary"]["total"]["sent"] == lines.len(),
        })
    }

    /// The moment at which a watch shows the verdict of a test, in milliseconds since 1970.
    fn watch_verdict(&self, test: &str) -> Result<u64> {
        let mut watch = self.cluster.kubectl()?;
        watch.args(["get", "loadtest", test, "--namespace", NAMESPACE, "--watch"]);
        watch.arg("--output=jsonpath={.status.verdict}{\"\\n\"}").stdout(Stdio::piped());
        let mut child = watch.spawn().context("start kubectl")?;
        let stdout = child.stdout.take().context("kubectl has no standard output")?;
        let mut seen = None;
        for line in BufReader::new(stdout).lines() {
            if !line?.is_empty() {
                seen = Some(now_ms()?);
                break;
            }
        }
        // It would watch for ever.
        let _ = child.kill();
        child.wait()?;
        seen.with_context(|| {
            format!("the watch of {test} ended without a verdict\n{}", chart::story(&self.cluster))
        })
    }

    /// Waits until the operator is done with a run: the Job is let go, the last event written.
    fn settle(&self, run: &str) -> Result<()> {
        process::wait_until(&format!("the operator to be done with {run}"), LIMIT, || {
            let job = [
                "get",
                "job",
                run,
                "--namespace",
                NAMESPACE,
                "--output=jsonpath={.spec.ttlSecondsAfterFinished}",
            ];
            let events = format!("--field-selector=involvedObject.name={run},reason=Finished");
            let events = ["get", "events", "--namespace", NAMESPACE, &events, "--output=name"];
            let kept = [
                "get",
                "loadtestrun",
                run,
                "--namespace",
                NAMESPACE,
                "--output=jsonpath={.metadata.finalizers}",
            ];
            Ok(!self.kubectl(&job)?.is_empty()
                && !self.kubectl(&events)?.is_empty()
                && self.kubectl(&kept)?.is_empty())
        })
    }

    fn lines(&self, name: &str) -> Result<Vec<Line>> {
        let path = format!("/{name}");
        Ok(self.nginx.access_log()?.into_iter().filter(|line| line.path == path).collect())
    }

    fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        process::output(self.cluster.kubectl()?.args(arguments))
    }

    fn apply(&self, object: &Value) -> Result<()> {
        let mut command = self.cluster.kubectl()?;
        command
            .args(["apply", "--namespace", NAMESPACE, "--filename=-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null());
        let mut child = command.spawn().context("start kubectl")?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(object.to_string().as_bytes())?;
        }
        let status = child.wait()?;
        if !status.success() {
            bail!("`{}` ended with {status}", process::text(&command));
        }
        Ok(())
    }
}

/// When nginx began to read a request.
fn begun(line: &Line) -> u64 {
    line.at_ms - line.took_ms
}

fn ends(times: &[u64]) -> Result<(u64, u64)> {
    let first = times.iter().min().context("nginx saw no request")?;
    Ok((*first, *times.iter().max().unwrap_or(first)))
}

/// When nginx began to read the first request of each worker.
fn first_requests(lines: &[Line]) -> Vec<u64> {
    let mut by_client = std::collections::BTreeMap::new();
    for line in lines {
        let first = by_client.entry(line.client.as_str()).or_insert(u64::MAX);
        *first = begun(line).min(*first);
    }
    by_client.into_values().collect()
}

fn now_ms() -> Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}

fn ms_between(from: u64, to: u64) -> f64 {
    to as f64 - from as f64
}

fn seconds_between(from: u64, to: u64) -> f64 {
    ms_between(from, to) / 1000.0
}
