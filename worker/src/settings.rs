//! Settings of the worker in a pod; the operator puts them into the Job's environment and mounts the files.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use plimsoll_telemetry::log::Format;

/// Default place of the pod's termination message; also where a refusal of the settings themselves is left.
pub(crate) const TERMINATION_LOG: &str = "/dev/termination-log";

/// Executes one share of a load test and reports to the Plimsoll operator.
///
/// Started by the operator in the pods of a run; settings come from the environment. Exits 0 whatever the verdict; 1 when it
/// could not start, with the cause in the termination message. Sends OTLP if the environment says so
/// (OTEL_EXPORTER_OTLP_ENDPOINT and its siblings).
#[derive(Parser, Debug)]
#[command(name = "plimsoll-worker", version)]
pub(crate) struct Settings {
    /// Namespace of the LoadTestRun.
    #[arg(long, env = "PLIMSOLL_RUN_NAMESPACE")]
    pub(crate) run_namespace: String,
    /// Name of the LoadTestRun.
    #[arg(long, env = "PLIMSOLL_RUN_NAME")]
    pub(crate) run_name: String,
    /// Name of its LoadTest, for telemetry.
    #[arg(long, env = "PLIMSOLL_TEST_NAME")]
    pub(crate) test_name: Option<String>,
    /// Which share of the plan; set by Kubernetes in pods of an Indexed Job.
    #[arg(long, env = "JOB_COMPLETION_INDEX")]
    pub(crate) index: u32,
    /// UID of this pod.
    #[arg(long, env = "POD_UID")]
    pub(crate) pod_uid: String,
    /// Session service of the operator, host:port.
    #[arg(long, env = "PLIMSOLL_OPERATOR", value_name = "HOST:PORT")]
    pub(crate) operator: String,
    /// Name in the operator's certificate.
    #[arg(long, env = "PLIMSOLL_OPERATOR_NAME", value_name = "NAME")]
    pub(crate) operator_name: String,
    /// Threads that make load [default: CPUs of the affinity mask, capped by the CPU quota].
    #[arg(long, env = "PLIMSOLL_THREADS", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    /// The plan of the run.
    #[arg(long, env = "PLIMSOLL_PLAN", default_value = "/etc/plimsoll/plan/plan.json", value_name = "FILE")]
    pub(crate) plan: PathBuf,
    /// CA of the operator's certificate, PEM.
    #[arg(long, env = "PLIMSOLL_CA", default_value = "/etc/plimsoll/plan/ca.crt", value_name = "FILE")]
    pub(crate) ca: PathBuf,
    /// Secrets, mounted as NAME/KEY.
    #[arg(long, env = "PLIMSOLL_SECRETS", default_value = "/etc/plimsoll/secrets", value_name = "DIR")]
    pub(crate) secrets: PathBuf,
    /// ConfigMaps, mounted as NAME/KEY.
    #[arg(long, env = "PLIMSOLL_CONFIGS", default_value = "/etc/plimsoll/configs", value_name = "DIR")]
    pub(crate) configs: PathBuf,
    /// This pod's token of audience `plimsoll`.
    #[arg(
        long,
        env = "PLIMSOLL_TOKEN_FILE",
        default_value = "/var/run/secrets/plimsoll/token",
        value_name = "FILE"
    )]
    pub(crate) token_file: PathBuf,
    /// The pod's termination message.
    #[arg(long, env = "PLIMSOLL_TERMINATION_LOG", default_value = TERMINATION_LOG, value_name = "FILE")]
    pub(crate) termination_log: PathBuf,
    /// What to log: error, warn, info, debug, trace, or a list like `info,plimsoll_session=debug`.
    #[arg(long, env = "PLIMSOLL_LOG", default_value = "info", value_name = "FILTER")]
    pub(crate) log: String,
    /// How to log, to standard error: text or json.
    #[arg(long, env = "PLIMSOLL_LOG_FORMAT", default_value_t, value_name = "FORMAT")]
    pub(crate) log_format: Format,
    /// Where health and metrics are served [default: nowhere].
    #[arg(long, env = "PLIMSOLL_LISTEN_HTTP", value_name = "ADDRESS:PORT")]
    pub(crate) listen_http: Option<SocketAddr>,
    /// Where what is logged can be changed, a loopback address [default: nowhere].
    #[arg(long, env = "PLIMSOLL_LISTEN_ADMIN", value_name = "ADDRESS:PORT")]
    pub(crate) listen_admin: Option<SocketAddr>,
}
