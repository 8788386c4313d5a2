//! An operator whose process can be killed and brought back, and workers with tokens of their own.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use plimsoll_session::{
    AuthError, Authenticator, Endpoint, GrpcDoor, HelloInfo, Hub, PodIdentity, Progress, Role, RunKey,
    ServerIdentity, SessionError, dial, plan_hash, serve,
};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::fixture::plan;

pub(crate) const NAME: &str = "plimsoll-operator.plimsoll.svc";
/// Far beyond what any condition takes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A certificate authority and the operator's certificate.
#[derive(Clone)]
pub(crate) struct Trust {
    pub(crate) ca_pem: Vec<u8>,
    pub(crate) identity: ServerIdentity,
}

impl Trust {
    pub(crate) fn new() -> Self {
        let ca_key = rcgen::KeyPair::generate().unwrap();
        let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca_cert = ca.self_signed(&ca_key).unwrap();
        let issuer = rcgen::Issuer::new(ca, ca_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let cert =
            rcgen::CertificateParams::new(vec![NAME.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let identity = ServerIdentity { cert_pem: cert.pem().into(), key_pem: key.serialize_pem().into() };
        Self { ca_pem: ca_cert.pem().into(), identity }
    }
}

/// Tokens name their pod: `namespace/run/index/uid`.
pub(crate) struct Table;

impl Authenticator for Table {
    async fn authenticate(&self, token: &str) -> Result<PodIdentity, AuthError> {
        let refused = || AuthError::Refused("no such token".to_owned());
        let [namespace, run, index, uid] =
            token.split('/').collect::<Vec<_>>().try_into().map_err(|_| refused())?;
        Ok(PodIdentity {
            namespace: namespace.to_owned(),
            pod: format!("{run}-{index}"),
            uid: uid.to_owned(),
            run: run.to_owned(),
            index: index.parse().map_err(|_| refused())?,
        })
    }
}

/// One replica of the operator.
pub(crate) struct Operator {
    pub(crate) hub: Hub,
    pub(crate) address: SocketAddr,
    pub(crate) role: watch::Sender<Role>,
    trust: Trust,
    process: Option<Runtime>,
}

impl Operator {
    pub(crate) fn start(trust: &Trust, role: Role) -> Self {
        let role = watch::Sender::new(role);
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut operator = Self { hub: Hub::new(), address, role, trust: trust.clone(), process: None };
        operator.revive();
        operator
    }

    /// Ends the process: connections break, and nothing is said.
    pub(crate) fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.shutdown_background();
        }
    }

    /// Starts a process at the same address, with the hub that is set.
    pub(crate) fn revive(&mut self) {
        let process =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let address = self.address;
        let begun = Instant::now();
        let listener = loop {
            let _inside = process.enter();
            let bound = std::net::TcpListener::bind(address).map(|listener| {
                listener.set_nonblocking(true).unwrap();
                TcpListener::from_std(listener).unwrap()
            });
            match bound {
                Ok(listener) => break listener,
                // The former process may still be closing it.
                Err(error) => assert!(begun.elapsed() < DEADLINE, "{error}"),
            }
            std::thread::yield_now();
        };
        self.address = listener.local_addr().unwrap();
        process.spawn(serve(
            self.hub.clone(),
            Table,
            listener,
            self.trust.identity.clone(),
            self.role.subscribe(),
        ));
        self.process = Some(process);
    }

    pub(crate) fn open(&self, workers: u32) {
        self.hub.open(&key(), &plan(workers), &hash());
    }

    /// Waits until the run is as wanted.
    pub(crate) async fn until(&self, wanted: impl Fn(&Progress) -> bool) -> Progress {
        let begun = Instant::now();
        loop {
            let progress = self.hub.observe(&key());
            if let Some(progress) = progress.as_ref().filter(|progress| wanted(progress)) {
                return progress.clone();
            }
            assert!(begun.elapsed() < DEADLINE, "not reached: {progress:#?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(crate) fn key() -> RunKey {
    RunKey { namespace: "shop".to_owned(), name: "checkout-1".to_owned() }
}

pub(crate) fn hash() -> String {
    plan_hash(b"the plan")
}

pub(crate) fn hello(index: u32, uid: &str) -> HelloInfo {
    HelloInfo { run: key(), index, pod_uid: uid.to_owned(), plan_hash: hash() }
}

/// A new file with this content, in a directory of the test run.
pub(crate) fn file(content: &str) -> PathBuf {
    static FILES: AtomicU32 = AtomicU32::new(0);
    let name = format!("grpc-{}-{}", std::process::id(), FILES.fetch_add(1, Ordering::Relaxed));
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::File::create(&path).unwrap().write_all(content.as_bytes()).unwrap();
    path
}

pub(crate) fn endpoint(trust: &Trust, address: SocketAddr, token: &str) -> Endpoint {
    Endpoint {
        address: address.to_string(),
        ca_pem: trust.ca_pem.clone(),
        server_name: NAME.to_owned(),
        token_file: file(token),
        wall: SystemTime::now,
    }
}

/// A worker that says who it is and holds the token of that pod.
pub(crate) async fn worker(operator: &Operator, index: u32, uid: &str) -> Result<GrpcDoor, SessionError> {
    let token = format!("shop/checkout-1/{index}/{uid}\n");
    dial(endpoint(&operator.trust, operator.address, &token), hello(index, uid)).await
}

/// Whether a condition that the worker's side shows comes true in time.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("took longer than the deadline")
}
