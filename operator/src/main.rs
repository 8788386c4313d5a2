//! The operator's command line; everything it does is in `lib.rs`.

use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use plimsoll_operator::{Config, run};
use plimsoll_telemetry::admin;
use plimsoll_telemetry::log::{self, Level};
use plimsoll_telemetry::otlp::{Pipeline, Resource, Settings};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> anyhow::Result<()> {
    let mut config = Config::parse();
    config.pipeline = pipeline(&config)?;
    let level = log::start(&config.log, config.log_format, config.pipeline.as_ref()).context("--log")?;
    // One thread: the operator waits nearly all of its time, and merging a second of a thousand workers takes milliseconds.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(start(config, level))
}

/// What is sent by OTLP, if anything is.
fn pipeline(config: &Config) -> anyhow::Result<Option<Pipeline>> {
    let settings = Settings::from_environment(config.otlp.as_deref().map(|url| ("--otlp", url)))?;
    if settings.is_off() {
        return Ok(None);
    }
    let variable = |name: &str| std::env::var(name).ok();
    let resource = Resource::of("plimsoll-operator", &config.identity(), &variable)?;
    Ok(Some(Pipeline::new(settings, resource)))
}

async fn start(config: Config, level: Level) -> anyhow::Result<()> {
    if let Some(pipeline) = &config.pipeline {
        pipeline.start()?;
    }
    if let Some(address) = config.listen_admin {
        let listener = admin::listen(address).await.context("--listen-admin")?;
        tokio::spawn(admin::serve(listener, level));
    }
    let mut settings =
        kube::Config::infer().await.context("find an API server: run in a cluster, or set KUBECONFIG")?;
    settings.connect_timeout = Some(Duration::from_secs(5));
    settings.write_timeout = Some(Duration::from_secs(10));
    let client = kube::Client::try_from(settings).context("make a client for the API server")?;
    if config.uninstall {
        return Ok(plimsoll_operator::uninstall(client).await?);
    }
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let shutdown = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("shutting down");
    };
    run(config, client, shutdown).await?;
    Ok(())
}
