//! The command lines of etcd, kube-apiserver and kube-controller-manager, which the private control plane of the tests
//! (`control_plane.rs`) and the real cluster (`cluster/`) share, and waiting until the API server serves.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::pki::Pki;
use crate::{process, tools};

/// The range of ClusterIPs; the first is the API server's own.
pub const SERVICE_RANGE: &str = "10.96.0.0/16";

/// The issuer and the only default audience of service account tokens.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// Where etcd and the API server listen.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// etcd for its client, the API server.
    pub etcd: SocketAddr,
    /// etcd for its peers, of which there are none.
    pub peers: SocketAddr,
    /// The API server.
    pub api: SocketAddr,
}

impl Addresses {
    /// The URL of the API server.
    pub fn api_url(&self) -> String {
        format!("https://{}", self.api)
    }
}

/// The arguments of etcd. Nothing is worth a write to the disk here: a test that needs to survive a power cut does
/// not exist.
pub fn etcd(data: &Path, at: &Addresses) -> Vec<String> {
    let (client, peers) = (format!("http://{}", at.etcd), format!("http://{}", at.peers));
    vec![
        "--name=plimsoll".into(),
        format!("--data-dir={}", data.display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peers}"),
        format!("--initial-advertise-peer-urls={peers}"),
        format!("--initial-cluster=plimsoll={peers}"),
        "--unsafe-no-fsync".into(),
    ]
}

/// The arguments of kube-apiserver. `folder` receives the audit policy and `audit.log`: one JSON line per write,
/// from which the writes of a run are counted.
///
/// # Errors
/// If the policy cannot be written.
pub fn server(folder: &Path, pki: &Pki, at: &Addresses, endpoints: Endpoints) -> Result<Vec<String>> {
    let policy = folder.join("audit-policy.json");
    std::fs::write(&policy, AUDIT_POLICY).with_context(|| format!("write {}", policy.display()))?;
    let file = |name: &str| pki.file(name).display().to_string();
    let address = at.api.ip();
    let mut arguments = vec![
        format!("--etcd-servers=http://{}", at.etcd),
        format!("--bind-address={address}"),
        format!("--advertise-address={address}"),
        format!("--secure-port={}", at.api.port()),
        format!("--tls-cert-file={}", file("apiserver.crt")),
        format!("--tls-private-key-file={}", file("apiserver.key")),
        format!("--client-ca-file={}", file("ca.crt")),
        format!("--kubelet-client-certificate={}", file("admin.crt")),
        format!("--kubelet-client-key={}", file("admin.key")),
        format!("--service-account-issuer={ISSUER}"),
        format!("--service-account-key-file={}", file("service-accounts.pub")),
        format!("--service-account-signing-key-file={}", file("service-accounts.key")),
        format!("--service-cluster-ip-range={SERVICE_RANGE}"),
        // The name of the node is known to nobody.
        "--kubelet-preferred-address-types=InternalIP".into(),
        "--authorization-mode=Node,RBAC".into(),
        "--enable-admission-plugins=NodeRestriction".into(),
        "--allow-privileged=true".into(),
        "--profiling=false".into(),
        format!("--audit-policy-file={}", policy.display()),
        format!("--audit-log-path={}", folder.join(AUDIT_LOG).display()),
    ];
    if endpoints == Endpoints::None {
        arguments.push("--endpoint-reconciler-type=none".into());
    }
    Ok(arguments)
}

/// Whether the Service `kubernetes` leads to the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoints {
    /// It does: pods find it.
    Kept,
    /// There are no pods, and a loopback address is refused as an endpoint.
    None,
}

/// The name of the audit log.
pub const AUDIT_LOG: &str = "audit.log";

/// Writes only, and of them who did what to what, without the node's sign of life.
const AUDIT_POLICY: &str = r#"{
  "apiVersion": "audit.k8s.io/v1",
  "kind": "Policy",
  "omitStages": ["RequestReceived"],
  "rules": [
    { "level": "None", "namespaces": ["kube-node-lease"] },
    { "level": "Metadata", "verbs": ["create", "update", "patch", "delete", "deletecollection"] },
    { "level": "None" }
  ]
}
"#;

/// The arguments of kube-controller-manager; `pods` is the range of pod addresses, where there are nodes.
pub fn controller_manager(
    kubeconfig: &Path,
    pki: &Pki,
    port: u16,
    address: &str,
    pods: Option<&str>,
) -> Vec<String> {
    let mut arguments = vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--bind-address={address}"),
        format!("--secure-port={port}"),
        "--leader-elect=false".into(),
        format!("--service-account-private-key-file={}", pki.file("service-accounts.key").display()),
        format!("--root-ca-file={}", pki.file("ca.crt").display()),
        format!("--service-cluster-ip-range={SERVICE_RANGE}"),
    ];
    match pods {
        Some(range) => {
            arguments.extend(["--allocate-node-cidrs=true".into(), format!("--cluster-cidr={range}")]);
        }
        // Without nodes a pod that a test claims to run must not be taken for lost.
        None => {
            arguments
                .push("--controllers=*,-node-lifecycle-controller,-pod-garbage-collector-controller".into());
        }
    }
    arguments
}

/// `kubectl` for a kubeconfig.
///
/// # Errors
/// If there is no `kubectl`.
pub fn kubectl(kubeconfig: &Path) -> Result<Command> {
    let mut command = Command::new(tools::find("kubectl")?);
    command.env("KUBECONFIG", kubeconfig);
    Ok(command)
}

/// Waits until the API server answers `/readyz`; `check` fails as soon as waiting is in vain.
///
/// # Errors
/// If it does not become ready in `limit`.
pub fn wait_ready(
    kubeconfig: &Path,
    at: Option<SocketAddr>,
    limit: Duration,
    mut check: impl FnMut() -> Result<()>,
) -> Result<()> {
    let mut failed = None;
    let waited = process::wait_until("the API server", limit, || {
        if let Err(error) = check() {
            failed = Some(error);
            return Ok(true);
        }
        // Asking the socket first is much cheaper than a kubectl that fails.
        if at.is_some_and(|at| TcpStream::connect_timeout(&at, Duration::from_secs(1)).is_err()) {
            return Ok(false);
        }
        process::output(kubectl(kubeconfig)?.args(["get", "--raw=/readyz", "--request-timeout=5s"]))
            .map(|_| true)
    });
    failed.map_or(waited, Err)
}
