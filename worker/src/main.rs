//! The worker in a pod: reads plan and values from mounted files, dials the operator, executes its share. The work is `lib.rs`.

mod settings;
mod share;
mod telemetry;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use clap::Parser;
use plimsoll_session::{
    Door, Endpoint, FailureKind, GrpcDoor, HelloInfo, LastWords, RunKey, StartFailure, Stop, Stopper, dial,
};
use plimsoll_worker::{ExecuteError, Seen, Watched, execute, materials};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::settings::{Settings, TERMINATION_LOG};
use crate::telemetry::Telemetry;

fn main() -> ExitCode {
    let settings = match Settings::try_parse() {
        Ok(settings) => settings,
        Err(error) => return refuse(&error),
    };
    let telemetry = match Telemetry::start(&settings) {
        Ok(telemetry) => telemetry,
        Err(error) => {
            eprintln!("plimsoll-worker: {error}");
            leave_cause(&settings, &error.to_string());
            return ExitCode::FAILURE;
        }
    };
    match work(&settings, telemetry) {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            tracing::error!(cause, "could not start");
            leave_cause(&settings, &cause);
            ExitCode::FAILURE
        }
    }
}

/// Settings that cannot be used; help and version come this way too.
fn refuse(error: &clap::Error) -> ExitCode {
    // Nothing is left to do when standard error is closed.
    let _ = error.print();
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    let file = std::env::var_os("PLIMSOLL_TERMINATION_LOG")
        .map_or_else(|| PathBuf::from(TERMINATION_LOG), PathBuf::from);
    write_termination(&file, &LastWords::cause("", 0, &error.to_string()));
    ExitCode::from(2)
}

/// Prepares, dials and executes. An error means that this worker could not start.
fn work(settings: &Settings, telemetry: Telemetry) -> Result<(), String> {
    let (share, plan_hash) =
        share::read(&settings.plan, settings.index).map_err(|error| error.to_string())?;
    let ca = settings.ca.display();
    let ca_pem = std::fs::read(&settings.ca)
        .map_err(|error| format!("cannot read the operator's CA {ca}: {error}"))?;
    let endpoint = Endpoint {
        address: settings.operator.clone(),
        ca_pem,
        server_name: settings.operator_name.clone(),
        token_file: settings.token_file.clone(),
        wall: SystemTime::now,
    };
    let run = RunKey { namespace: settings.run_namespace.clone(), name: settings.run_name.clone() };
    let hello = HelloInfo { run, index: settings.index, pod_uid: settings.pod_uid.clone(), plan_hash };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    let run = (settings.run_namespace.as_str(), settings.run_name.as_str());
    let seen = Seen::new(&share, run, settings.index, SystemTime::now());
    runtime.block_on(async {
        let telemetry = telemetry.serve(settings, &seen).await;
        let done = session(settings, share, endpoint, hello, &seen).await;
        telemetry.finish(&seen).await;
        done
    })
}

async fn session(
    settings: &Settings,
    share: plimsoll_plan::Share,
    endpoint: Endpoint,
    hello: HelloInfo,
    seen: &Arc<Seen>,
) -> Result<(), String> {
    let listen = |kind| signal(kind).map_err(|error| format!("cannot listen to signals: {error}"));
    let mut signals = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    tracing::info!(run = %hello.run, index = hello.index, operator = endpoint.address, "connecting");
    let mut door = tokio::select! {
        door = dial(endpoint, hello) => door.map_err(|error| error.to_string())?,
        name = received(&mut signals) => {
            return Err(format!("{name} before the session began"));
        }
    };
    door.leave_last_words(settings.termination_log.clone(), share.plan.layout.clone().into());
    let told_to_end = Arc::new(AtomicBool::new(false));
    tokio::spawn(obey(signals, door.stopper(), settings.index, Arc::clone(&told_to_end)));
    let read = |shelf, name: &str, key: &str| share::mounted(settings, shelf, name, key);
    let materials = match materials(&share.plan, &read) {
        Ok(materials) => materials,
        Err(error) => {
            let message = format!("worker {}: {error}", settings.index);
            fail(settings, &mut door, message).await;
            return Ok(());
        }
    };
    let mut door = Watched::new(door, Arc::clone(seen));
    match execute(share, materials, settings.threads.map(usize::from), &mut door).await {
        Ok(()) => tracing::info!("done; the outcome of the run is stored"),
        Err(ExecuteError::NotConfirmed(error)) => {
            tracing::warn!(%error, "done; counts are in the termination message");
        }
        // A pod that ends well is never replaced, and the run may still be waiting for this share: a drained node, for instance.
        Err(ExecuteError::NotStarted(error)) if told_to_end.load(Ordering::Relaxed) => {
            return Err(format!("told to end before the start: {error}"));
        }
        Err(error) => {
            tracing::warn!(%error, "this worker made no load");
            leave_cause(settings, &error.to_string());
        }
    }
    Ok(())
}

/// The operator learns why, and gives the verdict; so this is no failure of the pod.
async fn fail(settings: &Settings, door: &mut GrpcDoor, message: String) {
    tracing::warn!(message, "this worker cannot execute the plan");
    leave_cause(settings, &message);
    door.failed(StartFailure { kind: FailureKind::InvalidPlan, message }).await;
}

async fn received((terminate, interrupt): &mut (Signal, Signal)) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}

/// The first signal stops gracefully, the second at once.
async fn obey(mut signals: (Signal, Signal), stopper: Stopper, index: u32, told_to_end: Arc<AtomicBool>) {
    for at_once in [false, true] {
        let name = received(&mut signals).await;
        told_to_end.store(true, Ordering::Relaxed);
        stopper.stop(Stop { reason: format!("worker {index} received {name}"), at_once });
    }
}

fn leave_cause(settings: &Settings, cause: &str) {
    let run = format!("{}/{}", settings.run_namespace, settings.run_name);
    write_termination(&settings.termination_log, &LastWords::cause(&run, settings.index, cause));
}

fn write_termination(file: &Path, words: &LastWords) {
    if let Err(error) = std::fs::write(file, words.render()) {
        tracing::warn!(file = %file.display(), %error, "cannot write the termination message");
    }
}
