//! Spans and log records: the SDK hands them to a bounded queue, a task sends them in batches by the library's exporters. Metrics go
//! another way (`metrics.rs`).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_otlp::{
    Compression, ExporterBuildError, LogExporter, Protocol as OtlpProtocol, RetryPolicy, SpanExporter,
    WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter as _, LogProcessor, SdkLogRecord};
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter as _, SpanProcessor};
use tonic::metadata::MetadataMap;

use super::link::{HttpLink, LinkError, channel, headers};
use super::outage::Outage;
use super::queue::Queue;
use super::settings::{Protocol, Target};

/// Longest pause between two attempts; the target's timeout bounds all of them together.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Most attempts after the first; the timeout comes before, but for receivers that refuse at once.
const ATTEMPTS: usize = 8;

/// A queue and what did not get through.
#[derive(Debug)]
pub(super) struct Records<T> {
    pub(super) queue: Queue<T>,
    pub(super) outage: Outage,
    pub(super) to: String,
    /// Taken in, and neither accepted nor lost.
    under_way: AtomicUsize,
}

impl<T> Records<T> {
    pub(super) fn new(what: &'static str, target: &Target) -> Arc<Self> {
        Arc::new(Self {
            queue: Queue::new(),
            outage: Outage::of(what),
            to: target.shown(),
            under_way: AtomicUsize::new(0),
        })
    }

    /// Never waits.
    pub(super) fn put(&self, record: T) {
        if self.queue.put(record) {
            self.under_way.fetch_add(1, Ordering::Relaxed);
        } else {
            self.outage.lose(1, &self.to, "the queue is full");
        }
    }

    /// What is still here is lost: nobody sends it any more.
    pub(super) fn give_up(&self) {
        let left = self.under_way.swap(0, Ordering::Relaxed);
        if left > 0 {
            self.outage.lose(left, &self.to, "the end came first");
        }
    }

    fn ended(&self, count: usize, result: OTelSdkResult) {
        self.under_way.fetch_sub(count, Ordering::Relaxed);
        match result {
            Ok(()) => self.outage.accepted(&self.to),
            Err(error) => self.outage.lose(count, &self.to, &error.to_string()),
        }
    }
}

/// A log record as the SDK gives it.
pub(super) type LogEntry = (SdkLogRecord, InstrumentationScope);

/// Sends spans until the queue is closed and empty.
pub(super) async fn send_spans(exporter: SpanExporter, records: Arc<Records<SpanData>>) {
    while let Some(batch) = records.queue.batch().await {
        let count = batch.len();
        let result = exporter.export(batch).await;
        records.ended(count, result);
    }
}

/// Sends log records until the queue is closed and empty.
pub(super) async fn send_logs(exporter: LogExporter, records: Arc<Records<LogEntry>>) {
    while let Some(batch) = records.queue.batch().await {
        let entries: Vec<_> = batch.iter().map(|(record, scope)| (record, scope)).collect();
        let result = exporter.export(LogBatch::new(&entries)).await;
        records.ended(batch.len(), result);
    }
}

fn unusable(target: &Target, error: &ExporterBuildError) -> LinkError {
    LinkError::Endpoint(target.shown(), error.to_string())
}

fn retries() -> RetryPolicy {
    RetryPolicy::recommended().with_max_retries(ATTEMPTS).with_max_delay(LONGEST_PAUSE)
}

/// One of the two kinds of exporter of the library; their builders have the same methods and no trait in common.
macro_rules! exporter {
    ($exporter:ty, $target:expr) => {{
        let target: &Target = $target;
        let built = match target.protocol {
            Protocol::Grpc => {
                let builder = <$exporter>::builder()
                    .with_tonic()
                    .with_channel(channel(target)?)
                    .with_metadata(MetadataMap::from_headers(headers(target)))
                    .with_timeout(target.timeout)
                    .with_retry_policy(retries());
                match target.gzip {
                    true => builder.with_compression(Compression::Gzip).build(),
                    false => builder.build(),
                }
            }
            Protocol::Http => {
                let builder = <$exporter>::builder()
                    .with_http()
                    .with_http_client(HttpLink::new(target)?)
                    .with_protocol(OtlpProtocol::HttpBinary)
                    .with_endpoint(target.url.to_string())
                    .with_headers(target.headers.iter().cloned().collect::<HashMap<_, _>>())
                    .with_timeout(target.timeout)
                    .with_retry_policy(retries());
                match target.gzip {
                    true => builder.with_compression(Compression::Gzip).build(),
                    false => builder.build(),
                }
            }
        };
        built.map_err(|error| unusable(target, &error))
    }};
}

/// To be made within a runtime.
pub(super) fn span_exporter(target: &Target) -> Result<SpanExporter, LinkError> {
    exporter!(SpanExporter, target)
}

/// To be made within a runtime.
pub(super) fn log_exporter(target: &Target) -> Result<LogExporter, LinkError> {
    exporter!(LogExporter, target)
}

/// Puts what the SDK finishes into the queue.
#[derive(Debug)]
pub(super) struct IntoQueue<T>(pub(super) Arc<Records<T>>);

impl SpanProcessor for IntoQueue<SpanData> {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.put(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        self.0.queue.close();
        Ok(())
    }
}

impl LogProcessor for IntoQueue<LogEntry> {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        self.0.put((record.clone(), scope.clone()));
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        self.0.queue.close();
        Ok(())
    }
}
