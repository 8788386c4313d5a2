//! The operator's command line; everything it does is in `lib.rs`.

use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use plimsoll_operator::{Config, run};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    let filter =
        EnvFilter::try_new(&config.log).with_context(|| format!("--log {}: not a filter", config.log))?;
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(terminal).with_writer(std::io::stderr);
    if config.log_json {
        log.json().init();
    } else {
        log.init();
    }
    // One thread: the operator waits nearly all of its time, and merging a second of a thousand workers takes milliseconds.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(start(config))
}

async fn start(config: Config) -> anyhow::Result<()> {
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
