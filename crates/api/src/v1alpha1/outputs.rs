//! Where metrics are read and where results, metrics and traces go. `lower/notices.rs` says what is not yet acted on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::patterns;
use super::rules::rules;
use super::vars::KeyRef;
use crate::Share;

/// Where metrics are read that SLOs query.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = rules(&[(
    "!(has(self.server) && has(self.url))",
    "prometheus has a server or a url, not both",
)])))]
pub struct PrometheusServer {
    /// A server named in the operator's configuration, which holds its credentials. Default: the operator's default server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = patterns::SERVER))]
    pub server: Option<String>,
    /// Any server, without credentials, such as http://prometheus.monitoring:9090. In a cluster only if the operator allows it; link-local
    /// addresses and metadata services are refused, and redirects are not followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), regex(pattern = patterns::PLAIN_URL))]
    pub url: Option<String>,
}

/// Where metrics and traces are written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Telemetry {
    /// An OpenTelemetry receiver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otlp: Option<Otlp>,
    /// Traces of the requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traces: Option<Traces>,
}

/// An OpenTelemetry receiver of what the workers of a run export.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Otlp {
    /// Its URL, without credentials, such as http://otel-collector.monitoring:4317.
    #[schemars(length(max = 2048), regex(pattern = patterns::PLAIN_URL))]
    pub endpoint: String,
    /// How it is spoken to. Default: Grpc.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<OtlpProtocol>,
    /// Headers of every request, such as those that authorise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers_from: Option<HeadersFrom>,
}

/// How OTLP is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OtlpProtocol {
    /// gRPC.
    Grpc,
    /// Protobuf over HTTP; the paths v1/metrics, v1/traces and v1/logs are appended to the endpoint.
    Http,
}

/// Where headers are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeadersFrom {
    /// Key of a Secret of the same namespace that holds NAME=VALUE,NAME=VALUE, values percent-encoded. Only worker pods read it.
    pub secret_key_ref: KeyRef,
}

/// Traces of the requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Traces {
    /// Share of the requests that are traced, such as 1%.
    pub ratio: Share,
}

/// Where full results are kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Results {
    /// A PersistentVolumeClaim of the namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_claim: Option<VolumeClaim>,
}

/// A PersistentVolumeClaim.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VolumeClaim {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}
