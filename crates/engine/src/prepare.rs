//! Share and materials → engine: everything that can be wrong is found here, before any traffic.

use std::sync::Arc;
use std::time::Instant;

use plimsoll_plan::{PlanError, Share, Target};
use plimsoll_scenario::{BindError, Bound, CompileError, Origin, VarSource, Vars, compile};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;

use crate::core::Budget;
use crate::dial::Destination;
use crate::preflight::{Unreachable, preflight};
use crate::resolve::Remembered;
use crate::running::{Running, launch};
use crate::tls::{TlsInput, client_config};

/// What a plan refers to and does not hold: values and certificates, secret ones among them.
#[derive(Clone, Default)]
pub struct Materials {
    /// Values of the plan's run constants.
    pub vars: Vars,
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
    /// The values of the run constants do not fit.
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
    pub(crate) budget: Option<Arc<Budget>>,
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
    let program = compile(&plan.scenarios, &plan.vars).map_err(EngineError::Scenario)?;
    let target = &plan.target;
    let origin = Origin::new(&target.scheme, &target.host, target.port);
    let bound = program.bind(&materials.vars, &origin).map_err(EngineError::Values)?;
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
        budget: share.iterations().map(|iterations| Arc::new(Budget::new(iterations))),
    })
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

    /// Starts the threads; the load begins at `start`, or at once if that has passed. Must not be called twice for one share of a
    /// run. Raises the process's limit of open files.
    #[must_use]
    pub fn launch(self, start: Instant) -> Running {
        launch(self, start)
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
    client_config(TlsInput { http: target.http, ca_pem, client_pem, insecure })
}

fn server_name(target: &Target) -> Result<ServerName<'static>, EngineError> {
    let name =
        target.tls.as_ref().and_then(|tls| tls.server_name.clone()).unwrap_or_else(|| target.host.clone());
    ServerName::try_from(name.clone()).map_err(|_| EngineError::ServerName(name))
}
