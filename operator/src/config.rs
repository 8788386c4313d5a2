//! The operator's settings: flags, each with an environment variable that the chart sets (`charts/plimsoll/templates/deployment.yaml`).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use plimsoll_manifests::{OPERATOR_PORT, Settings};
use plimsoll_telemetry::query::{ServerError, Servers};

use crate::lead::Timing;
use crate::limits::Limits;

/// Turns LoadTests into runs, worker pods and verdicts.
///
/// Runs in a cluster with the rights of its ServiceAccount, or anywhere with KUBECONFIG. Several may run: one of them leads, the
/// others answer workers with the leader's address and take over within ten seconds.
#[derive(Clone, Debug, Parser)]
#[command(name = "plimsoll-operator", version)]
pub struct Config {
    /// Namespace of the operator: its Lease and the Secret with its authority live there.
    #[arg(long, env = "POD_NAMESPACE", default_value = "plimsoll-system")]
    pub namespace: String,
    /// Who this process is in the leader election; unique among live processes. Default: host name and process id.
    #[arg(long, env = "POD_NAME")]
    pub identity: Option<String>,
    /// Name of the Lease that the leader holds.
    #[arg(long, env = "PLIMSOLL_LEASE", default_value = "plimsoll-operator")]
    pub lease: String,
    /// Name of the Secret with the authority that the operator's certificate is issued by; made if it is not there.
    #[arg(long, env = "PLIMSOLL_CA_SECRET", default_value = "plimsoll-operator-ca")]
    pub ca_secret: String,

    /// Where worker sessions are accepted.
    #[arg(long, env = "PLIMSOLL_LISTEN", default_value_t = SocketAddr::from(([0, 0, 0, 0], OPERATOR_PORT)))]
    pub listen: SocketAddr,
    /// Where health and metrics are served.
    #[arg(long, env = "PLIMSOLL_LISTEN_HTTP", default_value_t = SocketAddr::from(([0, 0, 0, 0], 8080)))]
    pub listen_http: SocketAddr,
    /// Where workers dial, HOST:PORT. Default: the Service plimsoll-operator of the operator's namespace.
    #[arg(long, env = "PLIMSOLL_ADVERTISE")]
    pub advertise: Option<String>,
    /// Where followers send workers while this process leads, HOST:PORT. Default: POD_IP and the port of --listen.
    #[arg(long, env = "PLIMSOLL_LEADER_ADDRESS")]
    pub leader_address: Option<String>,
    /// Address of this pod.
    #[arg(long, env = "POD_IP")]
    pub pod_ip: Option<std::net::IpAddr>,
    /// Name in the certificate that workers verify. Default: the name of the Service plimsoll-operator.
    #[arg(long, env = "PLIMSOLL_SERVER_NAME")]
    pub server_name: Option<String>,

    /// Image of worker pods.
    #[arg(long, env = "PLIMSOLL_WORKER_IMAGE", default_value = concat!("plimsoll-worker:", env!("CARGO_PKG_VERSION")))]
    pub worker_image: String,
    /// Pull policy of worker pods.
    #[arg(long, env = "PLIMSOLL_WORKER_PULL_POLICY", default_value = "IfNotPresent")]
    pub worker_pull_policy: String,
    /// Pull secrets of worker pods, by name, in the namespace of the test.
    #[arg(long, env = "PLIMSOLL_WORKER_PULL_SECRETS", value_delimiter = ',')]
    pub worker_pull_secrets: Vec<String>,
    /// CPU that a worker requests when its test names no resources.
    #[arg(long, env = "PLIMSOLL_WORKER_CPU", default_value = "100m")]
    pub worker_cpu: String,
    /// Memory that a worker requests when its test names no resources.
    #[arg(long, env = "PLIMSOLL_WORKER_MEMORY", default_value = "64Mi")]
    pub worker_memory: String,

    /// Put the annotations prometheus.io/scrape, port and path on worker pods, each of which serves its own part of a run.
    #[arg(long, env = "PLIMSOLL_WORKER_SCRAPE", value_parser = clap::builder::BoolishValueParser::new(),
          num_args = 0..=1, default_value = "false", default_missing_value = "true")]
    pub worker_scrape: bool,

    /// Most workers of a run; more is PolicyDenied.
    #[arg(long, env = "PLIMSOLL_MAX_WORKERS", default_value_t = Limits::default().workers)]
    pub max_workers: u32,
    /// Most virtual users of a run.
    #[arg(long, env = "PLIMSOLL_MAX_USERS", default_value_t = Limits::default().users)]
    pub max_users: u64,
    /// Most arrivals per second of a run.
    #[arg(long, env = "PLIMSOLL_MAX_RATE", default_value_t = Limits::default().rate)]
    pub max_rate: u64,
    /// Longest planned duration of a run, such as 4h.
    #[arg(long, env = "PLIMSOLL_MAX_DURATION", default_value = "4h", value_parser = duration)]
    pub max_duration: Duration,
    /// Most runs of a namespace at once; more wait.
    #[arg(long, env = "PLIMSOLL_MAX_RUNS_PER_NAMESPACE", default_value_t = Limits::default().runs_per_namespace)]
    pub max_runs_per_namespace: u32,
    /// Allow targets that are not known to be inside the cluster, but for link-local ones and metadata services.
    #[arg(long, env = "PLIMSOLL_ALLOW_PUBLIC_TARGETS", value_parser = clap::builder::BoolishValueParser::new(),
          num_args = 0..=1, default_value = "false", default_missing_value = "true")]
    pub allow_public_targets: bool,
    /// Hosts that may be loaded although they are not inside the cluster: names, *.example.com, addresses.
    #[arg(long, env = "PLIMSOLL_ALLOWED_HOSTS", value_delimiter = ',')]
    pub allowed_hosts: Vec<String>,
    /// A Prometheus server that SLOs may ask, as NAME=URL; may be given several times. Tests refer to it by its name.
    #[arg(long, env = "PLIMSOLL_PROMETHEUS", value_name = "NAME=URL", value_delimiter = ',')]
    pub prometheus: Vec<String>,
    /// Name of the server that is asked for tests that name none. Default: the first one.
    #[arg(long, env = "PLIMSOLL_PROMETHEUS_DEFAULT", value_name = "NAME")]
    pub prometheus_default: Option<String>,
    /// Folder with a folder of each server's name that may hold the files token, or username and password, and ca.crt. They are read for
    /// every question, so that they may change.
    #[arg(long, env = "PLIMSOLL_PROMETHEUS_CREDENTIALS", value_name = "FOLDER")]
    pub prometheus_credentials: Option<std::path::PathBuf>,
    /// Let tests ask a server of their own by its URL, without credentials; never a link-local address, a metadata service or this host.
    #[arg(long, env = "PLIMSOLL_ALLOW_PROMETHEUS_URLS", value_parser = clap::builder::BoolishValueParser::new(),
          num_args = 0..=1, default_value = "false", default_missing_value = "true")]
    pub allow_prometheus_urls: bool,

    /// Address of Grafana, such as https://grafana.example.com: the status of a run then has the address of its dashboard there.
    #[arg(long, env = "PLIMSOLL_GRAFANA_URL", value_name = "URL", value_parser = crate::reconcile::grafana)]
    pub grafana_url: Option<String>,

    /// Stop every run and start none until this is false again.
    #[arg(long, env = "PLIMSOLL_HALT", value_parser = clap::builder::BoolishValueParser::new(),
          num_args = 0..=1, default_value = "false", default_missing_value = "true")]
    pub halt: bool,

    /// Stop every run in progress, take our finalizers off all runs, and end: what the chart does before it is uninstalled.
    #[arg(long)]
    pub uninstall: bool,

    /// How long a lease holds without renewal; a leader that dies is followed after that time and two seconds.
    #[arg(long, env = "PLIMSOLL_LEASE_DURATION", default_value = "8s", value_parser = duration)]
    pub lease_duration: Duration,
    /// How long the Job and its pods, with their logs, are kept after the outcome is stored.
    #[arg(long, env = "PLIMSOLL_KEEP_JOBS", default_value = "10m", value_parser = duration)]
    pub keep_jobs: Duration,
    /// What is logged: error, warn, info, debug, or filters such as plimsoll_operator=debug.
    #[arg(long, env = "PLIMSOLL_LOG", default_value = "info")]
    pub log: String,
    /// How it is logged, to standard error: text or json.
    #[arg(long, env = "PLIMSOLL_LOG_FORMAT", default_value_t, value_name = "FORMAT")]
    pub log_format: plimsoll_telemetry::log::Format,
    /// Where what is logged can be changed while it runs (GET and PUT /log): a loopback address, which `kubectl port-forward` leads to
    /// [default: nowhere].
    #[arg(long, env = "PLIMSOLL_LISTEN_ADMIN", value_name = "ADDRESS:PORT")]
    pub listen_admin: Option<SocketAddr>,
    /// Send the series of runs, reconciles as traces, and the log to this OpenTelemetry receiver. Goes over OTEL_EXPORTER_OTLP_ENDPOINT;
    /// the other OTEL_EXPORTER_OTLP_* variables (HEADERS, PROTOCOL, COMPRESSION, TIMEOUT, CERTIFICATE …) count as they do everywhere.
    #[arg(long, env = "PLIMSOLL_OTLP", value_name = "URL")]
    pub otlp: Option<String>,
    /// What is sent there. Made by `main.rs` before the log starts.
    #[arg(skip)]
    pub pipeline: Option<plimsoll_telemetry::otlp::Pipeline>,
}

impl Config {
    /// The limits of runs.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            workers: self.max_workers,
            users: self.max_users,
            rate: self.max_rate,
            duration: self.max_duration,
            runs_per_namespace: self.max_runs_per_namespace,
            public_targets: self.allow_public_targets,
            allowed_hosts: self.allowed_hosts.clone(),
            prometheus_urls: self.allow_prometheus_urls,
        }
    }

    /// The servers that SLOs may ask.
    pub(crate) fn servers(&self) -> Result<Servers, ServerError> {
        let entries = self.prometheus.iter().map(String::as_str);
        Servers::read(entries, self.prometheus_credentials.as_deref(), self.prometheus_default.as_deref())
    }

    /// The timing of the election. Short leases, in tests, are also tried for more often.
    pub(crate) fn timing(&self) -> Timing {
        let retry = (self.lease_duration / 4).min(Timing::default().retry);
        Timing { duration: self.lease_duration, retry }
    }

    /// Who this process is.
    #[must_use]
    pub fn identity(&self) -> String {
        self.identity.clone().unwrap_or_else(|| {
            let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            format!("{}-{}", host.trim(), std::process::id())
        })
    }

    /// Name in the certificate.
    pub(crate) fn server_name(&self) -> String {
        self.server_name.clone().unwrap_or_else(|| format!("plimsoll-operator.{}.svc", self.namespace))
    }

    /// Where workers dial.
    pub(crate) fn advertise(&self) -> String {
        let service = || format!("plimsoll-operator.{}.svc:{}", self.namespace, self.listen.port());
        self.advertise.clone().unwrap_or_else(service)
    }

    /// Where followers send workers while this process leads; `port` is the one that is listened on.
    pub(crate) fn leader_address(&self, port: u16) -> String {
        let own = || match self.pod_ip {
            Some(ip) => SocketAddr::new(ip, port).to_string(),
            None if self.listen.ip().is_unspecified() => format!("{}:{port}", self.identity()),
            None => SocketAddr::new(self.listen.ip(), port).to_string(),
        };
        self.leader_address.clone().unwrap_or_else(own)
    }

    /// What all runs have in common; `ca_pem` is the authority of this operator.
    pub(crate) fn settings(&self, ca_pem: String) -> Settings {
        let mut settings = Settings {
            worker_image: self.worker_image.clone(),
            pull_policy: self.worker_pull_policy.clone(),
            pull_secrets: self.worker_pull_secrets.iter().filter(|name| !name.is_empty()).cloned().collect(),
            operator_address: self.advertise(),
            operator_name: self.server_name(),
            operator_ca_pem: ca_pem,
            operator_namespace: self.namespace.clone(),
            scrape_annotations: self.worker_scrape,
            grafana: self.grafana_url.clone(),
            ..Settings::default()
        };
        let requests = [("cpu", &self.worker_cpu), ("memory", &self.worker_memory)];
        let requests = requests.into_iter().map(|(name, amount)| {
            (name.to_owned(), k8s_openapi::apimachinery::pkg::api::resource::Quantity(amount.clone()))
        });
        settings.resources.requests = Some(requests.collect::<BTreeMap<_, _>>());
        settings
    }
}

/// A duration as the API writes it.
fn duration(text: &str) -> Result<Duration, String> {
    let parsed: plimsoll_api::GoDuration =
        text.parse().map_err(|error: plimsoll_api::ParseError| error.to_string())?;
    Ok(Duration::from_nanos(parsed.nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_a_clusters() {
        let config = Config::parse_from(["plimsoll-operator", "--namespace", "ops"]);
        assert_eq!(config.advertise(), "plimsoll-operator.ops.svc:7446");
        assert_eq!(config.server_name(), "plimsoll-operator.ops.svc");
        assert_eq!(config.limits(), Limits::default());
        assert_eq!(config.timing().duration + config.timing().retry, Duration::from_secs(10));
        assert!(!config.halt);
    }

    #[test]
    fn an_address_of_the_pod_is_advertised_to_followers() {
        let config = Config::parse_from(["plimsoll-operator", "--pod-ip", "fd00::7"]);
        assert_eq!(config.leader_address(7446), "[fd00::7]:7446");
    }

    #[test]
    fn the_flags_are_well_formed() {
        use clap::CommandFactory;
        Config::command().debug_assert();
    }
}
