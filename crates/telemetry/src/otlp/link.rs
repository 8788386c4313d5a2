//! Connections to a receiver: a gRPC channel, or an HTTP client that the library's exporters take too. Opened when something is sent,
//! and again after they broke. What goes over them: `metrics.rs`, `records.rs`.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use opentelemetry_http::{HttpClient, HttpError};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::settings::Target;

/// Most bytes of an answer that are read.
const ANSWER: usize = 4 << 20;
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// What we call ourselves.
const AGENT: &str = concat!("plimsoll/", env!("CARGO_PKG_VERSION"));

/// A target that cannot be connected to whatever the network does.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Certificates or keys that cannot be used.
    #[error("OTLP certificates: {0}; they must be PEM")]
    Pem(String),
    /// Anything else that is wrong with the endpoint.
    #[error("OTLP endpoint {0}: {1}")]
    Endpoint(String, String),
}

/// A channel that connects when it is used. To be made within a runtime.
pub(super) fn channel(target: &Target) -> Result<Channel, LinkError> {
    let wrong = |error: tonic::transport::Error| LinkError::Endpoint(target.shown(), chain(&error));
    let mut endpoint = Endpoint::from_shared(target.url.to_string())
        .and_then(|endpoint| endpoint.user_agent(AGENT))
        .map_err(wrong)?
        .connect_timeout(CONNECT)
        .timeout(target.timeout)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    if target.url.scheme_str() == Some("https") {
        endpoint = endpoint.tls_config(grpc_tls(target)).map_err(wrong)?;
    }
    Ok(endpoint.connect_lazy())
}

fn grpc_tls(target: &Target) -> ClientTlsConfig {
    let tls = match &target.ca_pem {
        Some(ca) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca)),
        None => ClientTlsConfig::new().with_webpki_roots(),
    };
    match &target.client_pem {
        Some((certificate, key)) => tls.identity(Identity::from_pem(certificate, key)),
        None => tls,
    }
}

/// An HTTP/1.1 client that keeps its connections. Follows no redirect.
#[derive(Clone, Debug)]
pub(super) struct HttpLink {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
}

impl HttpLink {
    pub(super) fn new(target: &Target) -> Result<Self, LinkError> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(http_tls(target)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
        Ok(Self { client, timeout: target.timeout })
    }
}

fn http_tls(target: &Target) -> Result<ClientConfig, LinkError> {
    let pem = |what: &str, error: &dyn std::fmt::Display| LinkError::Pem(format!("{what}: {error}"));
    let certificates = |what: &str, text: &[u8]| -> Result<Vec<CertificateDer<'static>>, LinkError> {
        CertificateDer::pem_slice_iter(text).collect::<Result<_, _>>().map_err(|error| pem(what, &error))
    };
    let mut roots = RootCertStore::empty();
    match &target.ca_pem {
        Some(ca) => {
            for certificate in certificates("the authority", ca)? {
                roots.add(certificate).map_err(|error| pem("the authority", &error))?;
            }
        }
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let provider = rustls::crypto::ring::default_provider().into();
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| pem("TLS", &error))?
        .with_root_certificates(roots);
    let Some((certificate, key)) = &target.client_pem else { return Ok(builder.with_no_client_auth()) };
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| pem("the client's key", &error))?;
    builder
        .with_client_auth_cert(certificates("the client's certificate", certificate)?, key)
        .map_err(|error| pem("the client's certificate", &error))
}

#[async_trait]
impl HttpClient for HttpLink {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (mut parts, body) = request.into_parts();
        parts.headers.insert(http::header::USER_AGENT, HeaderValue::from_static(AGENT));
        let exchange = async {
            let response = self.client.request(Request::from_parts(parts, Full::new(body))).await?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, ANSWER).collect().await?.to_bytes();
            Ok(Response::from_parts(parts, body))
        };
        tokio::time::timeout(self.timeout, exchange).await?
    }
}

/// The headers of a target; `settings.rs` has checked them.
pub(super) fn headers(target: &Target) -> HeaderMap {
    let header = |(name, value): &(String, String)| -> Option<(HeaderName, HeaderValue)> {
        let mut value: HeaderValue = value.parse().ok()?;
        value.set_sensitive(true);
        Some((name.parse().ok()?, value))
    };
    target.headers.iter().filter_map(header).collect()
}

/// An error and its causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let next_text = next.to_string();
        if !text.ends_with(&next_text) {
            text = format!("{text}: {next_text}");
        }
        cause = next.source();
    }
    text
}
