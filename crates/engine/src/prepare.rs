//! Share and materials → engine: everything that can be wrong is found here, before any traffic.

use std::sync::Arc;
use std::time::{Duration, Instant};

use plimsoll_measure::Snapshot;
use plimsoll_plan::{Plan, PlanError, Share, Target};
use plimsoll_scenario::{
    BindError, Bound, CompileError, DataTexts, Origin, RunNames, VarSource, Vars, compile,
};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::sync::mpsc::UnboundedSender;

use crate::clock::Clock;
use crate::core::Budget;
use crate::dial::Destination;
use crate::hooks::{SetUp, SetupFailed, set_up};
use crate::limit::Limits;
use crate::preflight::{Unreachable, preflight};
use crate::redact::Redact;
use crate::resolve::Remembered;
use crate::running::{Running, launch};
use crate::skew::Earliest;
use crate::thread::Setup;
use crate::tls::{TlsInput, client_config};
use crate::trace::{TraceEvent, Tracer};

/// What a plan refers to and does not hold: values, tables and certificates, secret ones among them.
#[derive(Clone, Default)]
pub struct Materials {
    /// Values of the plan's run constants.
    pub vars: Vars,
    /// Texts of the plan's tables, by name.
    pub data: DataTexts,
    /// The private CA, PEM; needed if the plan's target has one that is mounted.
    pub ca_pem: Option<Vec<u8>>,
    /// The client's certificate chain and key, PEM; needed if the plan's target names a secret for it.
    pub client_pem: Option<(Vec<u8>, Vec<u8>)>,
}

impl std::fmt::Debug for Materials {
    /// Shows what is there, never a value.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Materials")
            .field("vars", &self.vars.keys())
            .field("data", &self.data.keys())
            .field("ca_pem", &self.ca_pem.is_some())
            .field("client_pem", &self.client_pem.is_some())
            .finish()
    }
}

/// Why a share cannot be executed. No message holds the value of a variable.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The plan contradicts itself.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A template is not valid.
    #[error("{}", lines(.0))]
    Scenario(Vec<CompileError>),
    /// The values of the run constants or the tables do not fit.
    #[error("{}", lines(.0))]
    Values(Vec<BindError>),
    /// The private CA is unusable or missing.
    #[error("target.tls.ca: {0}")]
    Ca(String),
    /// The client certificate is unusable or missing.
    #[error("target.tls.clientCertificate: {0}")]
    ClientCertificate(String),
    /// The name to verify is neither a DNS name nor an address.
    #[error("target.tls.serverName: \"{0}\" is neither a DNS name nor an address")]
    ServerName(String),
    /// What setup captured cannot be read.
    #[error("{0}")]
    Setup(String),
    /// TLS cannot be set up at all.
    #[error("TLS: {0}")]
    Tls(String),
}

fn lines<E: ToString>(errors: &[E]) -> String {
    errors.iter().map(E::to_string).collect::<Vec<_>>().join("\n")
}

/// A share ready to be executed. No traffic has been made.
#[derive(Debug)]
pub struct Engine {
    pub(crate) lanes: Vec<Share>,
    pub(crate) bound: Arc<Bound>,
    pub(crate) destination: Destination,
    pub(crate) origin: Origin,
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) remembered: Option<Remembered>,
    /// Iterations of this worker in each load, where they are limited.
    budgets: Vec<Option<Arc<Budget>>>,
    limits: Limits,
    redact: Arc<Redact>,
    tracer: Option<Tracer>,
    /// What setup measured.
    pub(crate) measured: Snapshot,
}

/// Compiles a share, binds the values and sets up TLS.
///
/// `threads` is the number of cores to use; without it, the affinity mask of the process within its CPU quota. There are fewer
/// where users, connections or places in flight do not reach for one each.
///
/// # Errors
/// Whatever makes the share impossible to execute, naming the field.
#[expect(clippy::needless_pass_by_value, reason = "materials hold secrets, which end here")]
pub fn prepare(share: Share, materials: Materials, threads: Option<usize>) -> Result<Engine, EngineError> {
    let plan = &share.plan;
    plan.check()?;
    let program = compile(&plan.script, &plan.vars).map_err(EngineError::Scenario)?;
    let target = &plan.target;
    let origin = Origin::new(&target.scheme, &target.host, target.port);
    let bound =
        program.bind(&materials.vars, &materials.data, &origin, &names(plan)).map_err(EngineError::Values)?;
    let tls = tls(target, &materials)?;
    let server_name = if origin.scheme() == "https" { Some(server_name(target)?) } else { None };
    let destination =
        Destination { host: target.host.clone(), port: target.port, server_name, http: target.http };
    let threads =
        threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).max(1);
    Ok(Engine {
        lanes: share.lanes(threads),
        bound: Arc::new(bound),
        destination,
        origin,
        tls,
        remembered: (!target.connections.resolve_per_connection).then(Remembered::default),
        budgets: share
            .groups()
            .map(|group| group.iterations().map(|iterations| Arc::new(Budget::new(iterations))))
            .collect(),
        limits: Limits::new(&share),
        redact: Arc::new(Redact::new(&plan.vars, &materials.vars)),
        tracer: None,
        measured: Snapshot::default(),
    })
}

fn names(plan: &Plan) -> RunNames {
    let run = &plan.run;
    RunNames { name: run.name.clone(), test: run.test.clone(), namespace: run.namespace.clone() }
}

impl Engine {
    /// Cores that it will use.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.lanes.len()
    }

    /// Tries one connection: name, TCP and TLS handshake, no bytes after it. A plan that skips this always passes.
    ///
    /// # Errors
    /// No connection within two seconds; the text names address and cause.
    pub async fn preflight(&self) -> Result<(), Unreachable> {
        preflight(self).await
    }

    /// Tells everything that users and hooks do to `sink`; bodies and headers are kept for it, so that this is no way to load a target.
    #[must_use]
    pub fn trace(mut self, sink: UnboundedSender<TraceEvent>) -> Self {
        let layout = self.lanes.first().map(|share| Arc::new(share.plan.layout.clone())).unwrap_or_default();
        self.tracer = Some(Tracer { sink, redact: Arc::clone(&self.redact), layout });
        self
    }

    /// Does the run's setup, if this is its first worker and there is any, and returns what it captured as a JSON object for
    /// [`Self::launch`] of all workers. Giving up waiting ends it. What it measured comes with the first [`Running::take`].
    ///
    /// # Errors
    /// A step failed: the run cannot start.
    pub async fn setup(&mut self) -> Result<Option<String>, SetupFailed> {
        let Some(share) = self.first_share() else { return Ok(None) };
        if self.bound.setup.steps.is_empty() {
            return Ok(None);
        }
        let SetUp { captured, measured } = set_up(self.setup_of(0, &share)).await?;
        self.measured.merge(&measured);
        captured
    }

    /// What setup measured so far, for a run that does not start.
    #[must_use]
    pub fn take(&mut self) -> Snapshot {
        std::mem::take(&mut self.measured)
    }

    /// Starts the threads; the load begins at `start`, or at once if that has passed. `setup` is what the first worker's
    /// [`Self::setup`] returned. Must not be called twice for one share of a run. Raises the process's limit of open files.
    ///
    /// # Errors
    /// `setup` is not what a setup of this plan captures.
    pub fn launch(mut self, start: Instant, setup: Option<&str>) -> Result<Running, EngineError> {
        self.receive(setup)?;
        Ok(launch(self, start, true))
    }

    /// Does the run's teardown alone, for a run that was set up and does not start.
    ///
    /// # Errors
    /// As [`Self::launch`].
    pub fn give_up(mut self, setup: Option<&str>) -> Result<Running, EngineError> {
        self.receive(setup)?;
        // The timeline's calls are made at no time.
        Ok(launch(self, Instant::now() + Duration::from_secs(86_400), false))
    }

    fn receive(&mut self, setup: Option<&str>) -> Result<(), EngineError> {
        setup.map_or(Ok(()), |setup| {
            Arc::make_mut(&mut self.bound).set_setup(setup).map_err(EngineError::Setup)
        })
    }

    /// The whole worker's share, if it is the first of the run.
    fn first_share(&self) -> Option<Share> {
        let first = self.lanes.first()?;
        (first.stride.offset == 0).then(|| first.clone())
    }

    /// The share for the thread of timeline and teardown, if this is the first worker and there is any.
    pub(crate) fn hooks(&self) -> Option<Share> {
        let idle = self.bound.timeline.calls.is_empty() && self.bound.teardown.steps.is_empty();
        self.first_share().filter(|_| !idle)
    }

    /// What the core of a share needs; the clock counts from now.
    pub(crate) fn setup_of(&self, index: usize, share: &Share) -> Setup {
        Setup {
            share: share.clone(),
            index,
            clock: Clock::new(Instant::now()),
            bound: Arc::clone(&self.bound),
            destination: self.destination.clone(),
            origin: self.origin.clone(),
            tls: Arc::clone(&self.tls),
            remembered: self.remembered.clone(),
            budgets: self.budgets.clone(),
            limits: self.limits.clone(),
            redact: Arc::clone(&self.redact),
            tracer: self.tracer.clone(),
            earliest: Earliest::default(),
        }
    }
}

fn tls(target: &Target, materials: &Materials) -> Result<Arc<ClientConfig>, EngineError> {
    let settings = target.tls.as_ref();
    let ca_pem = match (settings.and_then(|tls| tls.ca.as_ref()), &materials.ca_pem) {
        (None, _) => None,
        (Some(_), Some(pem)) => Some(pem.as_slice()),
        (Some(VarSource::Value(pem)), None) => Some(pem.as_bytes()),
        (Some(_), None) => return Err(EngineError::Ca("its contents were not given".to_owned())),
    };
    let client_pem = match (settings.and_then(|tls| tls.client_secret.as_ref()), &materials.client_pem) {
        (None, _) => None,
        (Some(_), Some((chain, key))) => Some((chain.as_slice(), key.as_slice())),
        (Some(secret), None) => {
            let missing = format!("certificate and key of secret {secret} were not given");
            return Err(EngineError::ClientCertificate(missing));
        }
    };
    let insecure = settings.is_some_and(|tls| tls.insecure_skip_verify);
    let resumption = settings.is_some_and(|tls| tls.resumption);
    client_config(TlsInput { http: target.http, ca_pem, client_pem, insecure, resumption })
}

fn server_name(target: &Target) -> Result<ServerName<'static>, EngineError> {
    let name =
        target.tls.as_ref().and_then(|tls| tls.server_name.clone()).unwrap_or_else(|| target.host.clone());
    ServerName::try_from(name.clone()).map_err(|_| EngineError::ServerName(name))
}
