//! The command line: every flag with its help. Dispatched by `main.rs`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use plimsoll_api::GoDuration;

/// Load tests as Kubernetes resources, judged exactly: run, check and inspect them without a cluster.
#[derive(Debug, Parser)]
#[command(name = "plimsoll", version, max_term_width = 110, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Shown under `--help` of the program and of `run`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0    Passed: every SLO of severity Error and Critical is met
  1    Failed: one of them is missed
  2    refused: the manifest or the command line is wrong
  3    Inconclusive: the run cannot be judged (no SLO, too few samples, cancelled, generator saturated …)
  4    Error: the run could not take place (target unreachable, secret missing …)
  130  interrupted twice
Of several tests the highest code counts.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the load tests of manifests here, without a cluster, and judge them
    Run(Box<RunArgs>),
    /// One user, one iteration (tasks in order): every request, response, capture and check as they happen
    Try(TryArgs),
    /// Judge a finished run again, from its stored result and from Prometheus, with other SLOs if wanted; no load is sent
    Judge(JudgeArgs),
    /// Check manifests: fields, types, references, expressions; nothing is sent
    Validate(ValidateArgs),
    /// Write a commented manifest to start from
    Init(InitArgs),
    /// Print the objects that the operator would apply for a test, or its plan in words
    Render(RenderArgs),
    /// List the built-in load profiles, or show one
    Profiles(ProfilesArgs),
}

/// Where manifests come from and how they are changed on the way.
#[derive(Debug, Args)]
pub(crate) struct InputArgs {
    /// Manifests: LoadTest, LoadTestRun, LoadProfile, ClusterLoadProfile, Secret, ConfigMap documents; `-` reads
    /// standard input
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// A file with a part of a LoadTest (`spec: {target: {url: …}, vars: …}`), laid over every LoadTest: maps deeply, lists of
    /// named things by name, `null` removes a field; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(crate) values: Vec<PathBuf>,

    /// Set a field of every LoadTest, after --values, e.g. `spec.profile.users=5` or `spec.slos[name=p95].latency.atMost=1s`
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub(crate) sets: Vec<String>,

    /// Send the load to this URL instead of the manifest's `spec.target.url` (and that of a LoadTestRun's overrides)
    #[arg(long, value_name = "URL")]
    pub(crate) target: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    /// Start the built-in stand-in service on a free loopback port and send the load there
    #[arg(long, conflicts_with = "target")]
    pub(crate) testbed: bool,

    /// A value for a secret that the manifest refers to: `NAME/KEY=env:VAR` or `NAME/KEY=file:PATH`
    #[arg(long = "secret", value_name = "NAME/KEY=SOURCE")]
    pub(crate) secrets: Vec<String>,

    /// A rehearsal: squeeze every run that is longer into this time. Stages, windows, the timeline and the starts of scenarios keep
    /// their proportions; users, rates, waits and time-outs stay
    #[arg(long, value_name = "DURATION")]
    pub(crate) shorten: Option<GoDuration>,

    /// Threads that generate load [default: the cores that this process may use]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,

    /// What to print at the end; with json or yaml, standard output is nothing but the LoadTestRun
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,

    #[command(flatten)]
    pub(crate) prometheus: PrometheusArgs,

    /// Write the full results there as well: everything that was counted, one JSON document a run
    #[arg(long, value_name = "FILE")]
    pub(crate) result: Option<PathBuf>,

    /// Serve the metrics of the run for Prometheus on this address, while it takes
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) metrics: Option<SocketAddr>,

    /// Send the metrics of the run to this OpenTelemetry receiver: gRPC for port 4317, otherwise HTTP. The variables
    /// OTEL_EXPORTER_OTLP_HEADERS, _PROTOCOL, _COMPRESSION, _TIMEOUT, _CERTIFICATE … are respected [default:
    /// OTEL_EXPORTER_OTLP_ENDPOINT, if it is set]
    #[arg(long, value_name = "URL")]
    pub(crate) otlp: Option<String>,

    /// Serve a live page of the run on this loopback address [default with --ui alone: 127.0.0.1:8089]
    #[arg(long, value_name = "ADDRESS:PORT", num_args = 0..=1, require_equals = true, default_missing_value = "127.0.0.1:8089")]
    pub(crate) ui: Option<SocketAddr>,

    /// No progress on standard error
    #[arg(short, long)]
    pub(crate) quiet: bool,

    // Last, since its heading would be that of all that follow.
    #[command(flatten)]
    pub(crate) quick: QuickArgs,
}

/// Whom SLOs may ask for metrics.
#[derive(Debug, Args)]
pub(crate) struct PrometheusArgs {
    /// A Prometheus server for SLOs that ask one, by the name that tests use for it; may be given several times, and the first, or one
    /// without a name, is asked for tests that name none
    #[arg(long, value_name = "NAME=URL")]
    pub(crate) prometheus: Vec<String>,

    /// A file with a bearer token for these servers, read anew for every question
    #[arg(long, value_name = "FILE", env = "PLIMSOLL_PROMETHEUS_TOKEN_FILE")]
    pub(crate) prometheus_token_file: Option<PathBuf>,

    /// A folder with a folder of each server's name that may hold token, or username and password, and ca.crt
    #[arg(long, value_name = "FOLDER", env = "PLIMSOLL_PROMETHEUS_CREDENTIALS")]
    pub(crate) prometheus_credentials: Option<PathBuf>,
}

/// A test without a manifest.
#[derive(Debug, Args)]
#[command(next_help_heading = "Quick test without a manifest")]
pub(crate) struct QuickArgs {
    /// Request this URL; takes the place of a manifest
    #[arg(long, value_name = "URL", conflicts_with_all = ["files", "target", "testbed"])]
    pub(crate) url: Option<String>,

    /// Concurrent users, each sending one request after the other [default: 5, unless --rate is given]
    #[arg(long, value_name = "N", requires = "url")]
    pub(crate) users: Option<u32>,

    /// Requests at a fixed rate whatever the target does, e.g. `200/s`
    #[arg(long, value_name = "RATE", requires = "url", conflicts_with = "users")]
    pub(crate) rate: Option<String>,

    /// How long [default: 30s]
    #[arg(long, value_name = "DURATION", requires = "url")]
    pub(crate) duration: Option<String>,

    /// Print the manifest that these options stand for, and stop
    #[arg(long, requires = "url", conflicts_with = "sets")]
    pub(crate) print_manifest: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// A report for people
    Text,
    /// The same in the order and units of a Locust suite's SLO validation (result, violations, warnings, metrics summary), with
    /// Locust's table of requests
    Validation,
    /// The LoadTestRun, as the operator would have written it
    Json,
    /// The same as YAML
    Yaml,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Values of Secrets are shown as ***, wherever they occur. Everything is sent for real, once.
Exit codes: 0 all requests and checks succeeded, 1 some did not, 2 refused, 4 the target cannot be reached.")]
pub(crate) struct TryArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    /// Only this scenario [default: each of them, one after the other]
    #[arg(long, value_name = "NAME")]
    pub(crate) scenario: Option<String>,

    /// Only this task of the scenarios [default: all of them, in order]
    #[arg(long, value_name = "NAME")]
    pub(crate) task: Option<String>,

    /// Start the built-in stand-in service on a free loopback port and send everything there
    #[arg(long, conflicts_with = "target")]
    pub(crate) testbed: bool,

    /// A value for a secret that the manifest refers to: `NAME/KEY=env:VAR` or `NAME/KEY=file:PATH`
    #[arg(long = "secret", value_name = "NAME/KEY=SOURCE")]
    pub(crate) secrets: Vec<String>,

    /// Bytes of a body that are shown
    #[arg(long, value_name = "BYTES", default_value_t = 2000)]
    pub(crate) body: usize,

    /// Seed of every random choice: another number makes other choices
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct JudgeArgs {
    /// What `plimsoll run --result` wrote, or the result's ConfigMap (`kubectl get configmap RUN-result -o json`); `-` reads standard
    /// input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Of several runs in the file only this one, by its name
    #[arg(long, value_name = "NAME")]
    pub(crate) run: Option<String>,

    /// Judge by the SLOs of this file in place of the run's own: a LoadTest, or a part of one (`spec: {slos: …}`)
    #[arg(long, value_name = "FILE")]
    pub(crate) slos: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) prometheus: PrometheusArgs,

    /// What to print; with json or yaml, standard output is nothing but the LoadTestRun
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,

    /// Write the full results with the new judgement there as well
    #[arg(long, value_name = "FILE")]
    pub(crate) result: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Where to write it; `-` is standard output
    #[arg(value_name = "FILE", default_value = "loadtest.yaml")]
    pub(crate) file: PathBuf,

    /// Overwrite a file that is there
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RenderArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    /// The plan in words instead of objects: load over time, windows, scenarios, what is judged
    #[arg(long)]
    pub(crate) plan: bool,

    /// Also the NetworkPolicy that lets workers reach the operator and DNS
    #[arg(long)]
    pub(crate) network_policy: bool,

    /// The namespace that the operator runs in
    #[arg(long, value_name = "NAMESPACE", default_value = "plimsoll-system")]
    pub(crate) operator_namespace: String,
}

#[derive(Debug, Args)]
pub(crate) struct ProfilesArgs {
    #[command(subcommand)]
    pub(crate) command: ProfilesCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProfilesCommand {
    /// One line per profile
    List,
    /// Every figure of one profile
    Show {
        /// smoke, light, medium, heavy, spike or soak
        name: String,
        /// Form: for people, as a LoadProfile, or as options of another tool
        #[arg(short, long, value_enum, default_value_t = ProfileOutput::Table)]
        output: ProfileOutput,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProfileOutput {
    /// For people
    Table,
    /// A LoadProfile object
    Json,
    /// A LoadProfile manifest
    Yaml,
    /// k6 options (JSON): scenarios and thresholds
    K6,
    /// Locust options (JSON): users, spawn rate, run time, thresholds
    Locust,
}
