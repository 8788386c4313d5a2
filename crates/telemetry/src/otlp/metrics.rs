//! Sends metrics: messages of opentelemetry-proto, since the SDK lets nobody fill an exponential histogram. Only the newest message waits:
//! all series are cumulative, so that it says all that those before it would have. Made by `encode.rs`.

use std::future::Future;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, Request};
use opentelemetry_http::HttpClient as _;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use prost::Message as _;
use tokio::sync::Notify;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;

use super::link::{HttpLink, LinkError, chain, channel, headers};
use super::outage::Outage;
use super::retry::{self, Again, Backoff};
use super::settings::{Protocol, Target};

/// The newest message, if it was not sent yet.
#[derive(Debug, Default)]
pub(super) struct Newest {
    state: Mutex<(Option<ExportMetricsServiceRequest>, bool)>,
    changed: Notify,
    /// What was put last was not accepted yet.
    unsent: AtomicBool,
}

impl Newest {
    /// Takes the place of whatever waits.
    pub(super) fn put(&self, message: ExportMetricsServiceRequest) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0 = Some(message);
        self.unsent.store(true, Ordering::Relaxed);
        self.changed.notify_one();
    }

    /// What waits is the last.
    pub(super) fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.changed.notify_one();
    }

    /// Whether what was put last was not accepted.
    pub(super) fn is_unsent(&self) -> bool {
        self.unsent.load(Ordering::Relaxed)
    }

    fn accepted(&self) {
        if !self.is_waiting() {
            self.unsent.store(false, Ordering::Relaxed);
        }
    }

    fn is_waiting(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0.is_some()
    }

    async fn next(&self) -> Option<ExportMetricsServiceRequest> {
        loop {
            {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                match (state.0.take(), state.1) {
                    (Some(message), _) => return Some(message),
                    (None, true) => return None,
                    (None, false) => {}
                }
            }
            self.changed.notified().await;
        }
    }
}

/// A receiver of metrics.
#[derive(Debug)]
pub(super) struct Sender {
    target: Target,
    headers: HeaderMap,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Grpc(Box<MetricsServiceClient<Channel>>),
    Http(Box<HttpLink>),
}

/// Why an attempt failed.
struct Failure {
    why: String,
    again: Again,
}

impl Sender {
    /// To be made within a runtime.
    pub(super) fn new(target: Target) -> Result<Self, LinkError> {
        let way = match target.protocol {
            Protocol::Grpc => {
                let client = MetricsServiceClient::new(channel(&target)?);
                // Receivers answer as they are asked.
                let client = client.accept_compressed(CompressionEncoding::Gzip);
                let client =
                    if target.gzip { client.send_compressed(CompressionEncoding::Gzip) } else { client };
                Way::Grpc(Box::new(client))
            }
            Protocol::Http => Way::Http(Box::new(HttpLink::new(&target)?)),
        };
        Ok(Self { headers: headers(&target), target, way })
    }

    /// Sends what comes until `newest` is closed and empty.
    pub(super) async fn run(self, newest: &Newest, outage: &Outage) {
        let to = self.target.shown();
        while let Some(message) = newest.next().await {
            self.deliver(message, newest, outage, &to).await;
        }
    }

    /// Tries until it is accepted, refused for good, or there is a newer one.
    async fn deliver(
        &self,
        message: ExportMetricsServiceRequest,
        newest: &Newest,
        outage: &Outage,
        to: &str,
    ) {
        let mut backoff = Backoff::new();
        loop {
            let failure = match self.attempt(message.clone()).await {
                Ok(response) => {
                    newest.accepted();
                    return told(response.partial_success, outage, to);
                }
                Err(failure) => failure,
            };
            let Some(pause) = backoff.pause(failure.again) else {
                return outage.lose(1, to, &failure.why);
            };
            outage.lose(0, to, &failure.why);
            let newer = async {
                while !newest.is_waiting() {
                    newest.changed.notified().await;
                }
            };
            if tokio::time::timeout(pause, newer).await.is_ok() {
                return outage.lose(1, to, "a newer one took its place");
            }
        }
    }

    async fn attempt(
        &self,
        message: ExportMetricsServiceRequest,
    ) -> Result<ExportMetricsServiceResponse, Failure> {
        let limit = self.target.timeout;
        let attempt: Result<_, Failure> = match &self.way {
            Way::Grpc(client) => within(limit, self.grpc(client, message)).await,
            Way::Http(link) => within(limit, self.http(link, &message)).await,
        };
        attempt
    }

    async fn grpc(
        &self,
        client: &MetricsServiceClient<Channel>,
        message: ExportMetricsServiceRequest,
    ) -> Result<ExportMetricsServiceResponse, Failure> {
        let mut request = tonic::Request::new(message);
        *request.metadata_mut() = MetadataMap::from_headers(self.headers.clone());
        match client.clone().export(request).await {
            Ok(response) => Ok(response.into_inner()),
            Err(status) => Err(Failure { why: said(&status), again: retry::of_status(&status) }),
        }
    }

    async fn http(
        &self,
        link: &HttpLink,
        message: &ExportMetricsServiceRequest,
    ) -> Result<ExportMetricsServiceResponse, Failure> {
        let never = |why: String| Failure { why, again: Again::No };
        let body = message.encode_to_vec();
        let mut request =
            Request::post(self.target.url.clone()).header(CONTENT_TYPE, "application/x-protobuf");
        let body = if self.target.gzip {
            request = request.header(CONTENT_ENCODING, "gzip");
            zipped(&body).map_err(|error| never(format!("cannot compress: {error}")))?
        } else {
            body
        };
        let mut request = request.body(Bytes::from(body)).map_err(|error| never(error.to_string()))?;
        request.headers_mut().extend(self.headers.clone());
        let response = link
            .send_bytes(request)
            .await
            .map_err(|error| Failure { why: chain(error.as_ref()), again: Again::Soon })?;
        let status = response.status();
        if !status.is_success() {
            return Err(Failure {
                why: format!("it answered {status}"),
                again: retry::of_http(status.as_u16(), response.headers()),
            });
        }
        // A receiver that answers in JSON has accepted all the same; only its remarks are lost.
        Ok(ExportMetricsServiceResponse::decode(response.into_body()).unwrap_or_default())
    }
}

async fn within<T>(
    limit: std::time::Duration,
    attempt: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let late = |_| Failure { why: format!("nothing within {limit:?}"), again: Again::Soon };
    tokio::time::timeout(limit, attempt).await.map_err(late)?
}

/// The status without what the receiver put into its message: it may repeat a header.
fn said(status: &tonic::Status) -> String {
    match std::error::Error::source(status) {
        Some(cause) => format!("{:?}: {}", status.code(), chain(cause)),
        None => format!("it answered {:?}", status.code()),
    }
}

fn told(partial: Option<ExportMetricsPartialSuccess>, outage: &Outage, to: &str) {
    match partial.map_or(0, |partial| partial.rejected_data_points) {
        0 => outage.accepted(to),
        rejected => outage.lose(1, to, &format!("it rejected {rejected} data points")),
    }
}

fn zipped(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}
