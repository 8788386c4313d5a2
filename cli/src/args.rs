//! The command line: every flag with its help. Dispatched by `main.rs`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

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
    Run(RunArgs),
    /// Check manifests: fields, types, references, expressions; nothing is sent
    Validate(ValidateArgs),
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

    /// Set a field of every LoadTest, e.g. `spec.profile.users=5` or `spec.slos[name=p95].latency.atMost=1s`
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

    /// Threads that generate load [default: the cores that this process may use]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,

    /// What to print at the end; with json or yaml, standard output is nothing but the LoadTestRun
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,

    /// No progress on standard error
    #[arg(short, long)]
    pub(crate) quiet: bool,

    // Last, since its heading would be that of all that follow.
    #[command(flatten)]
    pub(crate) quick: QuickArgs,
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
    /// The LoadTestRun, as the operator would have written it
    Json,
    /// The same as YAML
    Yaml,
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
