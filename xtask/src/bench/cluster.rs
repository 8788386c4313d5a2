//! `cargo xtask bench cluster`: runs of 1, 4 and 8 workers on a real cluster, each beside a plain Indexed Job whose pods make one request,
//! which is the least that starting so many pods takes. nginx' log and the audit log are the witnesses.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::figures::{Spread, Table, line, shown, spread};
use super::observe::{self, Writes, millis};
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
struct Floor {
    workers: u32,
    first: f64,
    apart: f64,
}

/// A run of Plimsoll; times in seconds, skews in milliseconds.
struct Measured {
    workers: u32,
    seconds: u32,
    first: f64,
    skew: f64,
    apart: f64,
    verdict: f64,
    objects: (u64, u64),
    writes: Writes,
    outcome: String,
    exact: bool,
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
    let folder = std::env::temp_dir().join(format!("plimsoll-bench-{}", std::process::id()));
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
    print_figures(options, &floors, &measured);
    print_writes(&measured);
    print_memory(&idle, &busy);
    println!("{PEER}");
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
                let of = format!("{round} of {}, {workers} workers", options.runs);
                floors.push(report::step(&format!("floor {of}"), || self.floor(workers, round))?);
                let seconds = options.seconds;
                let what = format!("run {of}, {seconds} s");
                measured.push(report::step(&what, || self.measure(workers, round, seconds))?);
            }
        }
        for &workers in &options.workers {
            let what = format!("long run, {workers} workers, {} s", options.long);
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
        Ok(Floor { workers, first: seconds_between(applied, first), apart: ms_between(first, last) })
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
        let (first, _) = ends(&lines.iter().map(begun).collect::<Vec<_>>())?;
        let (_, last) = ends(&lines.iter().map(|line| line.at_ms).collect::<Vec<_>>())?;
        Ok(Measured {
            workers,
            seconds,
            first: seconds_between(applied, first),
            skew: millis(text("startSkew")).unwrap_or(f64::NAN),
            apart: first_requests_apart(&lines)?,
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

/// Between the first requests of the first and the last worker, in milliseconds, as nginx saw it.
fn first_requests_apart(lines: &[Line]) -> Result<f64> {
    let mut by_client = std::collections::BTreeMap::new();
    for line in lines {
        let first = by_client.entry(line.client.as_str()).or_insert(u64::MAX);
        *first = begun(line).min(*first);
    }
    let (first, last) = ends(&by_client.into_values().collect::<Vec<_>>())?;
    Ok(ms_between(first, last))
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

/// A goal beside a figure: whether it holds.
fn goal(text: &str, holds: bool) -> String {
    format!("{text} {}", if holds { "(held)" } else { "(MISSED)" })
}

/// A row of the table: what, floor, own, over the floor, goal; by what it is about and then by workers.
type Row = (usize, u32, [String; 5]);

fn print_figures(options: &Options, floors: &[Floor], measured: &[Measured]) {
    let rows = options.workers.iter().flat_map(|&workers| {
        let floors: Vec<&Floor> = floors.iter().filter(|run| run.workers == workers).collect();
        let runs: Vec<&Measured> = measured.iter().filter(|run| run.workers == workers).collect();
        rows(options, workers, &floors, &runs)
    });
    let mut rows: Vec<Row> = rows.collect();
    rows.sort_by_key(|(about, workers, _)| (*about, *workers));
    let mut table = Table::default();
    table.row(
        ["least / median / most", "workers", "floor", "plimsoll", "median over the floor", "goal"]
            .map(str::to_owned),
    );
    for (_, workers, [what, floor, own, over, goal]) in rows {
        table.row([what, workers.to_string(), floor, own, over, goal]);
    }
    println!("\n{}", table.text());
    let exact = measured.iter().filter(|run| run.exact).count();
    println!("sent equals the lines of nginx' log in {exact} of {} runs", measured.len());
    for run in measured.iter().filter(|run| !run.outcome.starts_with("Passed")) {
        println!("{} workers, {} s: {}", run.workers, run.seconds, run.outcome);
    }
}

fn rows(options: &Options, workers: u32, floors: &[&Floor], runs: &[&Measured]) -> Vec<Row> {
    let floor = |value: fn(&Floor) -> f64| spread(floors.iter().map(|run| value(run)));
    let all = |value: fn(&Measured) -> f64| spread(runs.iter().map(|run| value(run)));
    let short = |value: fn(&Measured) -> f64| {
        spread(runs.iter().filter(|run| run.seconds == options.seconds).map(|run| value(run)))
    };
    let mut rows: Vec<Row> = Vec::new();
    let mut row = |what: &str, floor: String, own: String, over: String, goal: String| {
        rows.push((rows.len(), workers, [what.to_owned(), floor, own, over, goal]));
    };
    let none = String::new;
    let (base, own) = (floor(|run| run.first), short(|run| run.first));
    let over = base.zip(own).map_or(f64::INFINITY, |(base, own)| own.median - base.median);
    row(
        "apply to first request, s",
        shown(base, 2),
        shown(own, 2),
        format!("{over:+.2}"),
        goal("≤ +1 s", over <= 1.0),
    );
    // One worker alone has no skew.
    let skew = all(|run| run.skew);
    let held = skew.map(|skew: Spread| goal("≤ 10 ms", skew.max <= 10.0)).unwrap_or_default();
    row("start skew by the status, ms", none(), shown(skew, 1), none(), held);
    let (base, own) = (floor(|run| run.apart), all(|run| run.apart));
    row("first requests apart by nginx, ms", shown(base, 0), shown(own, 0), none(), none());
    let verdict = all(|run| run.verdict);
    let held = goal("≤ 1 s", verdict.is_some_and(|verdict| verdict.median <= 1.0));
    row("last request to verdict, s", none(), shown(verdict, 2), none(), held);
    let objects = all(|run| run.objects.0 as f64);
    let held = goal("3", objects.is_some_and(|objects| objects.max == 3.0));
    row("objects beside the pods", none(), shown(objects, 0), none(), held);
    row("pods", none(), shown(all(|run| run.objects.1 as f64), 0), none(), none());
    let writes = shown(short(|run| run.writes.stored() as f64), 0);
    row(&format!("writes of the operator in {} s", options.seconds), none(), writes, none(), none());
    let reviews = shown(all(|run| run.writes.reviews as f64), 0);
    row("token reviews, which store nothing", none(), reviews, none(), none());
    rows
}

fn print_writes(measured: &[Measured]) {
    let points = |of: &dyn Fn(&Measured) -> bool| -> Vec<(f64, f64)> {
        let taken = measured.iter().filter(|run| of(run));
        taken.map(|run| (f64::from(run.seconds) / 5.0, run.writes.stored() as f64)).collect()
    };
    let mut workers: Vec<u32> = measured.iter().map(|run| run.workers).collect();
    workers.sort_unstable();
    workers.dedup();
    println!(
        "\nwrites of the operator = a + b·(seconds/5), by least squares (goal: independent of the workers):"
    );
    let fit = |name: String, points: Vec<(f64, f64)>| {
        if let Some((a, b, off)) = line(&points) {
            println!("  {name:<12} a = {a:.1}, b = {b:.1}, no run is more than {off:.1} off");
        }
    };
    for count in workers {
        fit(format!("{count} workers"), points(&|run| run.workers == count));
    }
    fit("all".to_owned(), points(&|_| true));
    if let Some(run) = measured.last() {
        let kinds: Vec<String> =
            run.writes.by_kind.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        println!("  of the last run ({} workers, {} s): {}", run.workers, run.seconds, kinds.join(", "));
    }
}

fn print_memory(idle: &[(f64, f64)], busy: &[(f64, f64)]) {
    let shown =
        |of: &[(f64, f64)]| of.iter().map(|(now, _)| format!("{now:.1}")).collect::<Vec<_>>().join(" and ");
    let most = busy.iter().map(|(_, most)| *most).fold(0.0, f64::max);
    println!("\nresident memory of the operator, leader and follower, MiB (goal: ≤ 25):");
    println!(
        "  before the runs {}, after them {}, at most {most:.1} {}",
        shown(idle),
        shown(busy),
        goal("", most <= 25.0).trim()
    );
}

/// Figures of a peer that cannot be run here by the way.
const PEER: &str = "
For comparison, measured apart: k6-operator v1.6.0 with k6 1.8.1 on such a cluster (2 cores of an AMD EPYC, 2026-11-23), 20 users, 15 s;
least / median / most of 3 runs
  workers                      1                      4                       8
  apply to first request, s    5.16 / 5.29 / 5.30     3.92 / 6.11 / 15.96     8.92 / 11.64 / 17.53
  start skew, s                -                      0.29 / 0.31 / 0.39      0.69 / 0.71 / 0.80
  last request to finished, s  2.64 / 2.80 / 2.85     2.53 / 2.93 / 2.94      2.46 / 2.74 / 3.33
  writes of the operator       13 / 13 / 13           18 / 19 / 20            26 / 27 / 27
  operator's memory, MiB       41.6 idle, 49.8 at most
";
