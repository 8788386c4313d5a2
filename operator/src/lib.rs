//! Reconciles LoadTests into runs, worker pods and verdicts. [`run`] is the whole operator; `main.rs` is its command line.
//!
//! Every replica watches (`watch.rs`), answers workers (`crates/session`) and takes part in the election (`lead.rs`); the leader
//! reconciles (`schedule.rs`): LoadTests in `load_test.rs`, LoadTestRuns in `reconcile.rs`.

mod authenticate;
mod certificate;
mod config;
mod context;
mod events;
mod export;
mod lead;
mod limits;
mod load_test;
mod objects;
mod queries;
mod reconcile;
mod schedule;
mod shown;
mod uninstall;
mod waiting;
mod watch;
mod web;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use kube::Client;
use kube::api::Api;
use plimsoll_session::{Hub, Role, ServerIdentity};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub use config::Config;
pub use uninstall::{UninstallError, uninstall};

use crate::authenticate::Reviewer;
use crate::certificate::{CertificateError, Identity};
use crate::context::{Context, Parts};
use crate::export::Export;
use crate::lead::{Candidate, Standing};
use crate::watch::{Key, Stores};
use crate::web::Metrics;

/// Oldest Kubernetes that runs can rely on: Jobs with a back-off limit per index.
const OLDEST: (u32, u32) = (1, 29);
/// How long a beginning waits for the API server before it tries again.
const ANSWER: Duration = Duration::from_secs(10);

/// Why the operator ended.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The cluster is too old.
    #[error("this cluster is Kubernetes {found}; plimsoll needs {}.{} or newer (Indexed Jobs with backoffLimitPerIndex)", OLDEST.0, OLDEST.1)]
    TooOld {
        /// Its version.
        found: String,
    },
    /// No certificate for workers to verify.
    #[error("{0}")]
    Certificate(String),
    /// An address cannot be listened on.
    #[error("listen on {address}: {error}; choose another by {flag}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// The flag that sets it.
        flag: &'static str,
        /// Why.
        error: std::io::Error,
    },
    /// A Prometheus server cannot be meant.
    #[error("prometheus servers: {0}")]
    Prometheus(#[from] plimsoll_telemetry::query::ServerError),
    /// A service of the operator ended.
    #[error("{0} ended: {1}")]
    Ended(&'static str, String),
}

/// The operator, until `shutdown` resolves; then it gives its Lease back. Several may run in one process.
///
/// # Errors
/// See [`OperatorError`]. An API server that does not answer is waited for.
pub async fn run(
    config: Config,
    client: Client,
    shutdown: impl Future<Output = ()>,
) -> Result<(), OperatorError> {
    let names = [config.server_name()];
    let servers = config.servers()?;
    tokio::pin!(shutdown);
    let mut tasks: JoinSet<(&'static str, String)> = JoinSet::new();
    let hub = Hub::new();
    let metrics = Arc::new(Metrics::new(hub.clone()));
    let export = Export::begin(config.pipeline.clone(), &metrics);
    // Before anything that may wait for the API server: one that only waits is alive, and must not be restarted for it.
    let http = listen(config.listen_http, "--listen-http").await?;
    let served = web::serve(http, Arc::clone(&metrics));
    tasks.spawn(async { ("the health service", said(served.await)) });
    let prepared = tokio::select! {
        prepared = prepare(&config, &client, &names) => prepared?,
        () = &mut shutdown => return Ok(()),
    };
    let sessions = listen(config.listen, "--listen").await?;
    let port = sessions.local_addr().map_or(config.listen.port(), |address| address.port());

    let (standing, stands) = tokio::sync::watch::channel(Standing::Follower { leader: None });
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let (role, plays) = tokio::sync::watch::channel(Role::Follower { leader: None });
    let (stores, watching) = watch::start(&client);
    let reviewer = Reviewer::new(client.clone(), stores.clone());
    let identity = ServerIdentity {
        cert_pem: prepared.certificate_pem.into_bytes(),
        key_pem: prepared.key_pem.into_bytes(),
    };
    let candidate = Candidate {
        lease: config.lease.clone(),
        identity: config.identity(),
        address: config.leader_address(port),
        timing: config.timing(),
    };
    let leases = Api::namespaced(client.clone(), &config.namespace);
    let election = tokio::spawn(lead::elect(leases, candidate, standing, stopped));

    let served = plimsoll_session::serve(hub.clone(), reviewer, sessions, identity, plays);
    tasks.spawn(async { ("the session service", said(served.await)) });
    tasks.spawn(async {
        watching.await;
        ("the watches", String::new())
    });
    tasks.spawn(play(stands.clone(), role, Arc::clone(&metrics)));
    let settings = config.settings(prepared.ca_pem);
    let parts = move || Parts {
        client: client.clone(),
        stores: stores.clone(),
        hub: hub.clone(),
        settings: settings.clone(),
        servers: servers.clone(),
        standing: stands.clone(),
        metrics: Arc::clone(&metrics),
    };
    tasks.spawn(lead_terms(parts, config));

    let ended = tokio::select! {
        () = &mut shutdown => Ok(()),
        ended = tasks.join_next() => Err(match ended {
            Some(Ok((what, why))) => OperatorError::Ended(what, why),
            Some(Err(error)) => OperatorError::Ended("a service", error.to_string()),
            None => OperatorError::Ended("every service", String::new()),
        }),
    };
    export.say();
    // First no more writes, then the Lease for the next one.
    tasks.shutdown().await;
    stop.send_replace(true);
    // The election ends by itself; one that cannot reach the API server gives up after its own time limit.
    let _ = election.await;
    export.finish().await;
    ended
}

fn said<E: std::fmt::Display>(ended: Result<(), E>) -> String {
    ended.err().map(|error| error.to_string()).unwrap_or_default()
}

async fn listen(address: std::net::SocketAddr, flag: &'static str) -> Result<TcpListener, OperatorError> {
    TcpListener::bind(address).await.map_err(|error| OperatorError::Listen { address, flag, error })
}

/// Checks the cluster's version and gets a certificate; waits for an API server that does not answer.
async fn prepare(config: &Config, client: &Client, names: &[String]) -> Result<Identity, OperatorError> {
    loop {
        let error = match tokio::time::timeout(ANSWER, try_to_prepare(config, client, names)).await {
            Ok(Ok(Ok(identity))) => return Ok(identity),
            Ok(Ok(Err(error))) => error.to_string(),
            Ok(Err(error)) => return Err(error),
            Err(_) => format!("nothing within {}s", ANSWER.as_secs()),
        };
        tracing::warn!(error, "the API server does not answer; trying again");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// What keeps the operator from its work for good, and within it what may pass.
async fn try_to_prepare(
    config: &Config,
    client: &Client,
    names: &[String],
) -> Result<Result<Identity, kube::Error>, OperatorError> {
    let version = match client.apiserver_version().await {
        Ok(version) => version,
        Err(error) => return Ok(Err(error)),
    };
    new_enough(&version.major, &version.minor)?;
    match certificate::identity(client, &config.namespace, &config.ca_secret, names).await {
        Ok(identity) => {
            tracing::info!(version = version.git_version, "connected to the API server");
            Ok(Ok(identity))
        }
        Err(CertificateError::Secret { error, .. }) if !matches!(*error, kube::Error::Api(_)) => {
            Ok(Err(*error))
        }
        Err(error) => Err(OperatorError::Certificate(error.to_string())),
    }
}

fn new_enough(major: &str, minor: &str) -> Result<(), OperatorError> {
    // Some distributions write `29+`.
    let number =
        |text: &str| text.trim_end_matches(|c: char| !c.is_ascii_digit()).parse::<u32>().unwrap_or(0);
    if (number(major), number(minor)) < OLDEST {
        return Err(OperatorError::TooOld { found: format!("{major}.{minor}") });
    }
    Ok(())
}

/// Tells the session service and the metrics who leads.
async fn play(
    mut stands: tokio::sync::watch::Receiver<Standing>,
    role: tokio::sync::watch::Sender<Role>,
    metrics: Arc<Metrics>,
) -> (&'static str, String) {
    loop {
        let plays = match &*stands.borrow_and_update() {
            Standing::Leader { .. } => Role::Leader,
            Standing::Follower { leader } => Role::Follower { leader: leader.clone() },
        };
        metrics.set_leader(plays == Role::Leader);
        role.send_if_modified(|now| std::mem::replace(now, plays.clone()) != plays);
        if stands.changed().await.is_err() {
            return ("the election", String::new());
        }
    }
}

/// Reconciles while this process leads. Each term begins without memories.
async fn lead_terms(parts: impl Fn() -> Parts, config: Config) -> (&'static str, String) {
    let first = parts();
    first.stores.filled().await;
    first.metrics.set_ready();
    let mut stands = first.standing;
    loop {
        if stands.wait_for(Standing::leads).await.is_err() {
            return ("the election", String::new());
        }
        let context = Arc::new(Context::new(parts(), &config));
        tokio::select! {
            () = reconcile_all(&context) => {}
            // Another process leads now: what was under way is dropped, and its writes would be refused anyway.
            _ = stands.wait_for(|standing| !standing.leads()) => {}
        }
    }
}

async fn reconcile_all(context: &Arc<Context>) {
    let hub = context.hub.changes();
    let tidying = tidy(context);
    let reconciling = schedule::run(&context.stores, hub, |key| {
        let context = Arc::clone(context);
        async move {
            let begun = Instant::now();
            let again = match key {
                Key::Test(key) => load_test::reconcile(&context, &key).await,
                Key::Run(key) => reconcile::reconcile(&context, &key).await,
            };
            context.metrics.took(begun.elapsed());
            again
        }
    });
    tokio::join!(tidying, reconciling);
}

/// Forgets what is gone, and counts what there is.
async fn tidy(context: &Context) {
    loop {
        let Stores { tests, runs, .. } = &context.stores;
        let (tests, runs) = (tests.state(), runs.state());
        let uids = tests.iter().filter_map(|test| test.metadata.uid.clone());
        let live = uids.chain(runs.iter().filter_map(|run| run.metadata.uid.clone())).collect();
        context.forget_all_but(&live);
        context.metrics.runs.tidy(SystemTime::now(), &live);
        context.metrics.set_phases(reconcile::count_phases(&runs));
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An API server that takes connections and never answers; the operator waits for it, and says that it lives.
    #[tokio::test]
    async fn health_is_served_while_the_api_server_is_waited_for() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", silent.local_addr().unwrap());
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let config =
            <Config as clap::Parser>::parse_from(["plimsoll-operator", "--listen-http", &http.to_string()]);
        let client = Client::try_from(kube::Config::new(server.parse().unwrap())).unwrap();
        let asked = async {
            loop {
                if let Ok(mut stream) = tokio::net::TcpStream::connect(http).await {
                    let request = b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
                    tokio::io::AsyncWriteExt::write_all(&mut stream, request).await.unwrap();
                    let mut answer = String::new();
                    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer).await.unwrap();
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            ended = run(config, client, std::future::pending()) => panic!("{ended:?}"),
            answer = asked => assert!(answer.starts_with("HTTP/1.1 200"), "{answer}"),
            () = tokio::time::sleep(Duration::from_secs(20)) => panic!("nothing is served"),
        }
    }

    #[test]
    fn the_clusters_version_is_checked() {
        assert!(new_enough("1", "29").is_ok());
        assert!(new_enough("1", "34+").is_ok());
        assert!(new_enough("2", "0").is_ok());
        let error = new_enough("1", "28").unwrap_err().to_string();
        assert!(error.contains("Kubernetes 1.28") && error.contains("1.29"), "{error}");
    }
}
