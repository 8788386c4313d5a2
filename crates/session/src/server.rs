//! The operator's door: listens for workers and opens their sessions (`attend.rs`) on the `Hub`. The worker's side is `client.rs`.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

use crate::attend::{Line, attend};
use crate::proto::session_server::{Session, SessionServer};
use crate::proto::{FromOperator, FromWorker};
use crate::wire::MAX_MESSAGE;
use crate::{Hub, protocol};

/// A worker whose TLS handshake takes longer is cut off.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);
/// Messages to a worker that may wait; more than it can cause at once.
const QUEUE: usize = 64;

/// Who a token belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodIdentity {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// UID of the pod.
    pub uid: String,
    /// Name of the LoadTestRun that the pod works for.
    pub run: String,
    /// Its completion index in the run's Job.
    pub index: u32,
}

/// Why a token is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// It is not good; the worker is sent away for good.
    #[error("the token was not accepted: {0}")]
    Refused(String),
    /// It cannot be said now; the worker comes again.
    #[error("the token cannot be checked now: {0}")]
    Unavailable(String),
}

/// Tells whose token it is: the operator asks the API server, tests hold a table.
pub trait Authenticator: Send + Sync + 'static {
    /// The live pod of a run that the token belongs to.
    ///
    /// # Errors
    /// See [`AuthError`].
    fn authenticate(&self, token: &str) -> impl Future<Output = Result<PodIdentity, AuthError>> + Send;
}

/// Whether this replica gathers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// It does.
    Leader,
    /// Another one does.
    Follower {
        /// Host and port of its session service, if it is known.
        leader: Option<String>,
    },
}

/// The certificate that workers verify by the operator's CA.
#[derive(Clone)]
pub struct ServerIdentity {
    /// Certificate chain, PEM.
    pub cert_pem: Vec<u8>,
    /// Private key, PEM.
    pub key_pem: Vec<u8>,
}

/// Why [`serve`] ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Certificate or key cannot be used.
    #[error("session service cannot use its certificate: {0}")]
    Certificate(#[source] tonic::transport::Error),
    /// The listener failed.
    #[error("session service ended: {0}")]
    Transport(#[source] tonic::transport::Error),
}

/// Serves workers until dropped or the listener fails.
///
/// A follower answers with the leader's address. A leader that becomes a follower sends its workers there and forgets what it
/// gathered: the new leader gets it from them.
///
/// # Errors
/// See [`ServeError`].
pub async fn serve<A: Authenticator>(
    hub: Hub,
    auth: A,
    listener: TcpListener,
    identity: ServerIdentity,
    role: watch::Receiver<Role>,
) -> Result<(), ServeError> {
    let identity = Identity::from_pem(identity.cert_pem, identity.key_pem);
    let tls = ServerTlsConfig::new().identity(identity).timeout(HANDSHAKE_PATIENCE);
    let sessions = Sessions { hub: hub.clone(), auth: Arc::new(auth), role: role.clone() };
    let service = SessionServer::new(sessions)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let served = Server::builder()
        .tls_config(tls)
        .map_err(ServeError::Certificate)?
        .http2_keepalive_interval(Some(protocol::PING_EVERY))
        .http2_keepalive_timeout(Some(protocol::PING_PATIENCE))
        .add_service(service)
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)));
    tokio::select! {
        served = served => served.map_err(ServeError::Transport),
        () = forget_when_following(hub, role) => Ok(()),
    }
}

/// Never ends: the service outlives the one who tells the role.
async fn forget_when_following(hub: Hub, mut role: watch::Receiver<Role>) {
    loop {
        if matches!(*role.borrow_and_update(), Role::Follower { .. }) {
            hub.clear();
        }
        if role.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

struct Sessions<A> {
    hub: Hub,
    auth: Arc<A>,
    role: watch::Receiver<Role>,
}

#[tonic::async_trait]
impl<A: Authenticator> Session for Sessions<A> {
    type AttachStream = ReceiverStream<Result<FromOperator, Status>>;

    async fn attach(
        &self,
        request: Request<Streaming<FromWorker>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let header = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        let token = header.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default().to_owned();
        let (out, answers) = mpsc::channel(QUEUE);
        let (hub, auth, role) = (self.hub.clone(), Arc::clone(&self.auth), self.role.clone());
        let inbound = request.into_inner();
        tokio::spawn(async move {
            let line = Line { inbound, out };
            attend(line, &hub, &*auth, &token, role).await;
        });
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}
