//! `cargo xtask`: builds, checks, measures and tests everything beside what Cargo does by itself. The work is in `lib.rs`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use xtask::bench::engine::{self, Row};
use xtask::binaries::Profile;
use xtask::cluster::Cluster;
use xtask::dashboards::{ask, picture, queries};
use xtask::{bench, demo, generate, image, suite, tools};

/// Builds, checks and tests Plimsoll beyond what Cargo does by itself.
///
/// Programs, images and the cluster live in $PLIMSOLL_CACHE (by default ~/.cache/plimsoll), outside of the work tree.
/// Set KUBECONFIG to use a cluster of your own, KUBEBUILDER_ASSETS to use etcd and kube-apiserver of your own.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install Debian packages and build Kubernetes, CoreDNS, Helm and cargo-deny, only what is missing
    ///
    /// From nothing it takes about a quarter of an hour on two cores, and seconds when all is cached. It needs Go for
    /// what is built and root for packages; without them it names what it skips. With CI=true that is an error.
    Tools,
    /// Start and stop a real Kubernetes of one node: kubelet, containers, kube-proxy, DNS
    #[command(subcommand)]
    Cluster(ClusterTask),
    /// Build the container images and import them into our own cluster, if it is up
    ///
    /// One static program from scratch each: plimsoll-operator, plimsoll-worker, plimsoll-testbed, tagged with the
    /// version. buildah builds them; the archives can be loaded by docker and podman too.
    Image(ImageArgs),
    /// Show it all on a real cluster: chart, nginx, a LoadTest, its verdict
    ///
    /// Brings our own cluster up, and leaves it up with nginx in it; the last lines say what to try there.
    Demo(DemoArgs),
    /// Write the committed files that are made from others: CRDs, and the chart's copies
    Generate(GenerateArgs),
    /// Draw the dashboards from what a Prometheus answers, without Grafana
    ///
    /// Needs chromium-headless-shell and busybox (`cargo xtask tools`). Prints the pictures.
    Dashboards(DashboardsArgs),
    /// Measure, beside the goals
    #[command(subcommand)]
    Bench(BenchTask),
    /// Check and test everything; installs what that needs
    ///
    /// The tests on a real cluster bring it up, and take it down again if it was not up before. What cannot run on this
    /// machine is named as SKIPPED; with CI=true nothing may be skipped.
    Test(TestArgs),
}

#[derive(Subcommand)]
enum ClusterTask {
    /// Bring it up, about ten seconds; says so and does nothing if it is up or KUBECONFIG names another
    Up,
    /// Take it down, or what a crash or a reboot left of it
    Down,
    /// Show what runs and how to reach it
    Status,
}

#[derive(Args)]
struct ImageArgs {
    /// Compile without optimisation, in seconds instead of minutes
    #[arg(long)]
    dev: bool,
}

#[derive(Args)]
struct DemoArgs {
    /// Compile without optimisation, in seconds instead of minutes
    #[arg(long)]
    dev: bool,
}

#[derive(Subcommand)]
enum BenchTask {
    /// Start, skew, verdict, objects, writes and memory of runs on a real cluster, beside a plain Job
    ///
    /// Brings our own cluster up and leaves it up. With the defaults it takes about ten minutes once built.
    Cluster(BenchClusterArgs),
    /// CPU per request, rates, lateness and memory of the load generator, beside other load generators
    ///
    /// Brings wrk, h2load, oha, vegeta and Locust into the cache, and runs each in turn with Plimsoll's release binary:
    /// clients on the first core, servers on the second, over loopback. Nothing else should run on the machine. With the
    /// defaults it takes about a quarter of an hour once built.
    Engine(BenchEngineArgs),
}

#[derive(Args)]
struct BenchEngineArgs {
    /// Only these rows
    #[arg(long, value_enum, value_delimiter = ',')]
    rows: Vec<Row>,
    /// Rounds in which every client has its turn; an interval of 95 % needs six at least
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=100))]
    alternations: u32,
    /// How long each client is measured in a round, seconds
    #[arg(long, default_value = "2", value_parser = stretch)]
    seconds: Duration,
    /// Compile without optimisation, in seconds instead of minutes: not for figures to be published
    #[arg(long)]
    dev: bool,
    /// Measure this build of `plimsoll` instead of one of the work tree
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// Let another build of `plimsoll` take its turn, for a comparison of before and after
    #[arg(long, value_name = "PATH")]
    baseline: Option<PathBuf>,
}

#[derive(Args)]
struct BenchClusterArgs {
    /// Numbers of workers
    #[arg(long, value_delimiter = ',', default_value = "1,4,8")]
    workers: Vec<u32>,
    /// Runs for each number of workers
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// Duration of a run in seconds
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(2..=3600))]
    seconds: u32,
    /// Duration of one longer run for each number of workers, which shows how writes grow with time
    #[arg(long, default_value_t = 45, value_parser = clap::value_parser!(u32).range(2..=3600))]
    long: u32,
    /// Compile without optimisation, in seconds instead of minutes: not for figures to be published
    #[arg(long)]
    dev: bool,
}

#[derive(Args)]
struct GenerateArgs {
    /// Change nothing, fail if something would change
    #[arg(long)]
    check: bool,
}

#[derive(Args)]
struct DashboardsArgs {
    /// Address of the Prometheus
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9090")]
    prometheus: String,
    /// Where the time that is shown ends, seconds since 1970 [default: now]
    #[arg(long)]
    to: Option<f64>,
    /// How much time is shown, seconds
    #[arg(long, default_value_t = 900.0)]
    seconds: f64,
    /// Values of variables, such as run=web-1; those that are not given match everything
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = pair)]
    variables: Vec<(String, String)>,
    /// Folder for the pictures
    #[arg(long, default_value = "target/dashboards")]
    folder: PathBuf,
}

#[derive(Args)]
struct TestArgs {
    /// Only formatting, lints, unit tests and suites that make no traffic: under a minute once built
    #[arg(long)]
    fast: bool,
    /// Leave the cluster up at the end
    #[arg(long, conflicts_with = "fast")]
    keep: bool,
    /// Only tests whose names contain this, without the other checks
    filter: Option<String>,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Tools => tools::install(),
        Task::Cluster(ClusterTask::Up) => Cluster::up().and_then(|cluster| show(&cluster)),
        Task::Cluster(ClusterTask::Down) => Cluster::down(),
        Task::Cluster(ClusterTask::Status) => status(),
        Task::Image(ImageArgs { dev }) => image::all(profile(dev)),
        Task::Demo(DemoArgs { dev }) => demo::run(profile(dev)),
        Task::Dashboards(args) => draw(args),
        Task::Bench(BenchTask::Cluster(BenchClusterArgs { workers, runs, seconds, long, dev })) => {
            bench::cluster::run(&bench::cluster::Options {
                workers,
                runs,
                seconds,
                long,
                profile: profile(dev),
            })
        }
        Task::Bench(BenchTask::Engine(args)) => engine::run(&engine::Options {
            rows: args.rows,
            alternations: args.alternations,
            stretch: args.seconds,
            profile: profile(args.dev),
            program: args.program,
            baseline: args.baseline,
        }),
        Task::Generate(GenerateArgs { check: false }) => generate::all(),
        Task::Generate(GenerateArgs { check: true }) => generate::check(),
        Task::Test(TestArgs { fast, keep, filter }) => suite::run(suite::Options { fast, keep, filter }),
    }
}

fn draw(args: DashboardsArgs) -> Result<()> {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    let to = args.to.unwrap_or_else(now);
    let span = ask::Span { from: to - args.seconds, to, step: (args.seconds / 300.0).max(1.0) };
    let mut values = queries::any_values();
    values.insert("run".to_owned(), ".*".to_owned());
    values.insert("__range".to_owned(), format!("{}s", args.seconds));
    values.extend(args.variables);
    let api = |path: &str| ask::remote(&args.prometheus, path);
    let pictures = picture::draw_all(&api, &values, span, &args.folder)?;
    pictures.iter().for_each(|picture| println!("{}", picture.display()));
    Ok(())
}

/// `NAME=VALUE` on the command line.
fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Seconds on the command line, from half a second to a minute.
fn stretch(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.5..=60.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("expected a number of seconds from 0.5 to 60".to_owned()),
    }
}

fn profile(dev: bool) -> Profile {
    if dev { Profile::Dev } else { Profile::Release }
}

/// Prints how to reach the cluster.
fn show(cluster: &Cluster) -> Result<()> {
    println!("\n    export KUBECONFIG={}", cluster.kubeconfig().display());
    println!("    {} get nodes", tools::find("kubectl")?.display());
    Ok(())
}

fn status() -> Result<()> {
    for (name, pid, alive) in Cluster::processes()? {
        println!("{name:<26}{pid:>8}  {}", if alive { "runs" } else { "is gone" });
    }
    let cluster = Cluster::find()?;
    println!("node: {}", if cluster.ready() { "Ready" } else { "not Ready" });
    show(&cluster)
}
