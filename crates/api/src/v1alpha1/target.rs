//! Where the load goes. Lowered by `lower/target.rs`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::KeyRef;
use super::patterns;
use super::rules::{rules, texts, words};
use crate::GoDuration;

/// Where the load goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[(
    "!has(self.tls) || self.url.startsWith('https://')",
    "tls needs an https url: write target.url as https://…, or remove target.tls",
)])))]
pub struct Target {
    /// URL of the service, http or https. The path of each step is appended to its path; without scenarios it is requested as it is.
    #[schemars(length(max = 2048), regex(pattern = patterns::URL))]
    pub url: String,
    /// Headers sent with every request. Values may hold ${…}.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "texts")]
    pub headers: BTreeMap<String, String>,
    /// TLS settings; the public roots are trusted without them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Protocol: Auto (default; HTTP/2 where TLS offers it, else HTTP/1.1), HTTP/1.1 or HTTP/2 (in clear text by prior knowledge).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpVersion>,
    /// How connections are shared, limited and renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<Connections>,
    /// Connect (default): each worker opens one connection before the start and sends nothing on it; a target that refuses it ends
    /// the run as TargetUnreachable. Skip: no such check, for tests of a target that is down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preflight: Option<Preflight>,
}

/// Protocol spoken to the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, transform = words)]
pub enum HttpVersion {
    /// HTTP/2 where TLS offers it, else HTTP/1.1.
    #[default]
    Auto,
    /// Only HTTP/1.1.
    #[serde(rename = "HTTP/1.1")]
    Http1,
    /// Only HTTP/2.
    #[serde(rename = "HTTP/2")]
    Http2,
}

/// Whether a connection is tried before the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, transform = words)]
pub enum Preflight {
    /// TCP and TLS handshake.
    #[default]
    Connect,
    /// Nothing.
    Skip,
}

/// TLS settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// Name to send (SNI) and to verify in place of the URL's host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub server_name: Option<String>,
    /// Private certificate authority to trust in place of the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<CertificateAuthority>,
    /// Certificate and key that the client shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<ClientCertificate>,
    /// Accept any certificate. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insecure_skip_verify: Option<bool>,
    /// Connections resume the TLS sessions of a worker's earlier ones, as clients that come back do. Default false: every handshake is a
    /// full one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumption: Option<bool>,
}

/// A certificate authority.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateAuthority {
    /// ConfigMap and key that hold the certificates as PEM.
    pub config_map_key_ref: KeyRef,
}

/// A client certificate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientCertificate {
    /// Secret of type kubernetes.io/tls (keys tls.crt and tls.key).
    pub secret_ref: NameRef,
}

/// An object of the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NameRef {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// How connections are shared, limited and renewed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Connections {
    /// User: each virtual user has its own, as browsers do (default with users). Worker: all requests of a worker share a pool, as
    /// services do (default with arrivals).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<ConnectionsPer>,
    /// Most connections of the whole run, split over the workers. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max: Option<u64>,
    /// Close a connection when it is that old. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<GoDuration>,
    /// Close a connection after that many requests. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub max_requests: Option<u64>,
    /// Once (default): a worker resolves the host name once. PerConnection: for each connection, to follow DNS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolve: Option<Resolve>,
}

/// Whose connections they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, transform = words)]
pub enum ConnectionsPer {
    /// Of each virtual user.
    User,
    /// Of each worker.
    Worker,
}

/// When the host name is resolved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, transform = words)]
pub enum Resolve {
    /// Once per worker.
    #[default]
    Once,
    /// For each connection.
    PerConnection,
}
