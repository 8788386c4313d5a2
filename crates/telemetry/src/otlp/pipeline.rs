//! All that a process sends by OTLP: made before its log starts (the log's layers come from here), started within its runtime, finished
//! before it ends. A receiver that is slow or away delays nothing and costs what the queues hold at most.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use super::encode;
use super::link::LinkError;
use super::metrics::{Newest, Sender};
use super::outage::Outage;
use super::records::{IntoQueue, LogEntry, Records, log_exporter, send_logs, send_spans, span_exporter};
use super::resource::Resource;
use super::settings::{Settings, Target};
use crate::inventory::{RUN_NAME, WORKER};
use crate::{Family, Point};

/// What was not handed over, since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Messages with metrics; the next one says all that they did.
    pub metrics: u64,
    /// Spans.
    pub spans: u64,
    /// Log records.
    pub logs: u64,
}

/// What a process sends by OTLP. Copies are the same pipeline.
#[derive(Clone, Debug)]
pub struct Pipeline {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: Settings,
    resource: Resource,
    metrics: Arc<(Newest, Outage)>,
    spans: Option<(Arc<Records<SpanData>>, SdkTracerProvider)>,
    logs: Option<(Arc<Records<LogEntry>>, SdkLoggerProvider)>,
    tasks: Mutex<JoinSet<()>>,
    /// What says metrics; ended before the last word.
    producers: Mutex<JoinSet<()>>,
}

impl Pipeline {
    /// A pipeline that sends nothing before it is started; what comes before waits in its queues.
    #[must_use]
    pub fn new(settings: Settings, resource: Resource) -> Self {
        let spans = settings.traces.as_ref().map(|target| {
            let records = Records::new("spans", target);
            let provider = SdkTracerProvider::builder()
                .with_span_processor(IntoQueue(Arc::clone(&records)))
                .with_resource(resource.to_sdk())
                .build();
            (records, provider)
        });
        let logs = settings.logs.as_ref().map(|target| {
            let records = Records::new("log records", target);
            let provider = SdkLoggerProvider::builder()
                .with_log_processor(IntoQueue(Arc::clone(&records)))
                .with_resource(resource.to_sdk())
                .build();
            (records, provider)
        });
        let metrics = Arc::new((Newest::default(), Outage::of("metrics")));
        let (tasks, producers) = (Mutex::default(), Mutex::default());
        Self { inner: Arc::new(Inner { settings, resource, metrics, spans, logs, tasks, producers }) }
    }

    /// Begins to send, on the runtime that this is called in.
    ///
    /// # Errors
    /// If an endpoint or its certificates cannot be used.
    pub fn start(&self) -> Result<(), LinkError> {
        let Inner { settings, resource, metrics, spans, logs, tasks, .. } = &*self.inner;
        let mut tasks = tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(target) = &settings.metrics {
            let (sender, metrics) = (Sender::new(target.clone())?, Arc::clone(metrics));
            tasks.spawn(async move { sender.run(&metrics.0, &metrics.1).await });
        }
        if let (Some(target), Some((records, _))) = (&settings.traces, spans) {
            use opentelemetry_sdk::trace::SpanExporter as _;
            let mut exporter = span_exporter(target)?;
            exporter.set_resource(&resource.to_sdk());
            tasks.spawn(send_spans(exporter, Arc::clone(records)));
        }
        if let (Some(target), Some((records, _))) = (&settings.logs, logs) {
            use opentelemetry_sdk::logs::LogExporter as _;
            let mut exporter = log_exporter(target)?;
            exporter.set_resource(&resource.to_sdk());
            tasks.spawn(send_logs(exporter, Arc::clone(records)));
        }
        let targets =
            [("metrics", &settings.metrics), ("traces", &settings.traces), ("logs", &settings.logs)];
        for (signal, target) in targets {
            if let Some(target) = target {
                tracing::info!(signal, receiver = target.shown(), protocol = ?target.protocol, "sending OTLP");
            }
        }
        Ok(())
    }

    /// Where metrics go and how often; nothing if they go nowhere.
    #[must_use]
    pub fn metrics(&self) -> Option<(&Target, Duration)> {
        let settings = &self.inner.settings;
        settings.metrics.as_ref().map(|target| (target, settings.interval))
    }

    /// Whether spans go anywhere.
    #[must_use]
    pub fn sends_spans(&self) -> bool {
        self.inner.spans.is_some()
    }

    /// Who sends.
    #[must_use]
    pub fn resource(&self) -> &Resource {
        &self.inner.resource
    }

    /// Hands over what a process knows now. Series of a whole run are the run's and not this process': they go on when another one leads.
    /// Never waits.
    pub fn say(&self, families: Vec<Family>, now: SystemTime) {
        let of_run = |point: &Point| !point.label(RUN_NAME).is_empty() && point.label(WORKER).is_empty();
        let (mut runs, mut own) = (Vec::new(), Vec::new());
        for Family { metric, points } in families {
            let (of_runs, others) = points.into_iter().partition(of_run);
            runs.push(Family { metric, points: of_runs });
            own.push(Family { metric, points: others });
        }
        let shared = self.resource().without_process();
        self.send(&[(&shared, &runs), (self.resource(), &own)], now);
    }

    /// Says what `families` knows, every interval, as long as the pipeline sends metrics.
    pub fn push(&self, families: impl Fn() -> Vec<Family> + Send + Sync + 'static) {
        let Some((_, interval)) = self.metrics() else { return };
        let pipeline = self.clone();
        self.inner.producers.lock().unwrap_or_else(PoisonError::into_inner).spawn(async move {
            let mut tick = tokio::time::interval(interval);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tick.tick().await;
                pipeline.say(families(), SystemTime::now());
            }
        });
    }

    /// Hands over what is known now, by resource; takes the place of what was not sent yet. Never waits.
    pub fn send(&self, said: &[(&Resource, &[Family])], now: SystemTime) {
        if self.inner.settings.metrics.is_some() {
            let resource_metrics = said
                .iter()
                .filter(|(_, families)| families.iter().any(|family| !family.points.is_empty()))
                .map(|(resource, families)| encode::resource_metrics(resource, families, now))
                .collect::<Vec<_>>();
            if !resource_metrics.is_empty() {
                self.inner.metrics.0.put(ExportMetricsServiceRequest { resource_metrics });
            }
        }
    }

    /// Hands over a span that was not made by the log's layer: that of a sampled request. Never waits.
    pub fn span(&self, span: SpanData) {
        if let Some((records, _)) = &self.inner.spans {
            records.put(span);
        }
    }

    /// The layer that makes spans of `tracing`'s. Only our own: those of libraries are too many and say too little.
    pub fn span_layer<S>(&self) -> Option<impl Layer<S> + Send + Sync + use<S>>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let (_, provider) = self.inner.spans.as_ref()?;
        let ours = tracing_subscriber::filter::filter_fn(|metadata| {
            metadata.is_span() && metadata.target().starts_with("plimsoll")
        });
        let layer = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("plimsoll"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false);
        Some(layer.with_filter(ours))
    }

    /// The layer that makes log records of `tracing`'s events, but for those of the way that they go themselves.
    pub fn log_layer<S>(&self) -> Option<impl Layer<S> + Send + Sync + use<S>>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let (_, provider) = self.inner.logs.as_ref()?;
        let others = tracing_subscriber::filter::filter_fn(|metadata| !is_of_the_way(metadata.target()));
        Some(OpenTelemetryTracingBridge::new(provider).with_filter(others))
    }

    /// What was not handed over so far.
    #[must_use]
    pub fn lost(&self) -> Lost {
        let Inner { metrics, spans, logs, .. } = &*self.inner;
        Lost {
            metrics: metrics.1.lost(),
            spans: spans.as_ref().map_or(0, |(records, _)| records.outage.lost()),
            logs: logs.as_ref().map_or(0, |(records, _)| records.outage.lost()),
        }
    }

    /// Says `last` and sends what waits, for at most `limit`; then nothing more. What did not get through is told.
    pub async fn finish(&self, last: Vec<Family>, limit: Duration) {
        let Inner { settings, metrics, spans, logs, tasks, .. } = &*self.inner;
        let mut producers =
            std::mem::take(&mut *self.inner.producers.lock().unwrap_or_else(PoisonError::into_inner));
        // Ended before the last word, which one of them would replace otherwise.
        producers.shutdown().await;
        self.say(last, SystemTime::now());
        metrics.0.close();
        spans.iter().for_each(|(records, _)| records.queue.close());
        logs.iter().for_each(|(records, _)| records.queue.close());
        let mut tasks = std::mem::take(&mut *tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let all = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(limit, all).await.is_err() {
            tracing::warn!(?limit, "an OTLP receiver did not take everything in time");
        }
        if let Some(target) = &settings.metrics {
            metrics.1.end(&target.shown());
        }
        // Ended, so that nothing of it is counted twice.
        tasks.shutdown().await;
        spans.iter().for_each(|(records, _)| records.give_up());
        logs.iter().for_each(|(records, _)| records.give_up());
        spans.iter().for_each(|(records, _)| records.outage.end(&records.to));
        logs.iter().for_each(|(records, _)| records.outage.end(&records.to));
    }

    /// Whether the receiver has the metrics that were said last.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        !self.inner.metrics.0.is_unsent()
    }
}

/// Events of what carries log records: one that is sent would make the next.
fn is_of_the_way(target: &str) -> bool {
    ["h2", "hyper", "tonic", "tower", "rustls", "opentelemetry", "plimsoll_telemetry::otlp"].iter().any(
        |way| {
            target.strip_prefix(way).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '_', '-']))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_carries_records_makes_none() {
        for target in [
            "h2::codec",
            "hyper_util::client",
            "tonic",
            "plimsoll_telemetry::otlp::outage",
            "opentelemetry_sdk",
        ] {
            assert!(is_of_the_way(target), "{target}");
        }
        for target in ["plimsoll_operator", "plimsoll_telemetry::log", "kube_client::client", "h2o"] {
            assert!(!is_of_the_way(target), "{target}");
        }
    }
}
