//! What a worker tells of itself beside its session: its log, its HTTP ports, and OTLP. Nothing of it can fail a run: what does not work is
//! said in the log. Used by `main.rs`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_telemetry::log::{self, Level, LogError};
use plimsoll_telemetry::otlp::{Pipeline, Resource, Settings as OtlpSettings, SettingsError};
use plimsoll_telemetry::{admin, prometheus};
use plimsoll_worker::Seen;
use tokio::net::TcpListener;

use crate::settings::Settings;

/// How long the end of a worker may be delayed by a receiver of OTLP that does not take what is left.
const FLUSH: Duration = Duration::from_secs(5);

/// The log, and what is sent.
#[derive(Debug)]
pub(crate) struct Telemetry {
    level: Level,
    otlp: Option<Pipeline>,
}

impl Telemetry {
    /// Starts the log.
    ///
    /// # Errors
    /// If its filter cannot be used.
    pub(crate) fn start(settings: &Settings) -> Result<Self, LogError> {
        let otlp = pipeline(settings);
        let level =
            log::start(&settings.log, settings.log_format, otlp.as_ref().ok().and_then(Option::as_ref))?;
        let otlp = otlp.unwrap_or_else(|error| {
            tracing::warn!(%error, "no OTLP is sent");
            None
        });
        Ok(Self { level, otlp })
    }

    /// Begins to send and to serve, on the runtime that this is called in.
    pub(crate) async fn serve(self, settings: &Settings, seen: &Arc<Seen>) -> Self {
        if let Some(otlp) = &self.otlp {
            if let Err(error) = otlp.start() {
                tracing::warn!(%error, "no OTLP is sent");
            }
            let seen = Arc::clone(seen);
            otlp.push(move || seen.families());
        }
        if let Some(listener) = listener(settings.listen_http).await {
            let (ready, seen) = (seen.readiness(), Arc::clone(seen));
            tokio::spawn(prometheus::serve(listener, Arc::new(move || seen.families()), ready));
        }
        if let Some(address) = settings.listen_admin {
            match admin::listen(address).await {
                Ok(listener) => drop(tokio::spawn(admin::serve(listener, self.level.clone()))),
                Err(error) => tracing::warn!(%error, "what is logged cannot be changed"),
            }
        }
        self
    }

    /// Sends what is left.
    pub(crate) async fn finish(&self, seen: &Seen) {
        if let Some(otlp) = &self.otlp {
            otlp.finish(seen.families(), FLUSH).await;
        }
    }
}

fn pipeline(settings: &Settings) -> Result<Option<Pipeline>, SettingsError> {
    let otlp = OtlpSettings::from_environment(None)?;
    if otlp.is_off() {
        return Ok(None);
    }
    let mut resource = Resource::of("plimsoll-worker", &settings.pod_uid, &|name| std::env::var(name).ok())?;
    resource.set("k8s.job.name", &settings.run_name);
    settings.test_name.iter().for_each(|test| resource.set("test.suite.name", test));
    Ok(Some(Pipeline::new(otlp, resource)))
}

async fn listener(address: Option<SocketAddr>) -> Option<TcpListener> {
    let address = address?;
    match TcpListener::bind(address).await {
        Ok(listener) => Some(listener),
        Err(error) => {
            tracing::warn!(%address, %error, "health and metrics are not served");
            None
        }
    }
}
