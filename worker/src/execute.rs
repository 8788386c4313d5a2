//! One share from preparation to its last word; the traffic is the engine's, the reporting the session's.

use std::time::Duration;

use plimsoll_engine::{Engine, EngineError, Materials, Running, SetupFailed, Unreachable, prepare};
use plimsoll_plan::Share;
use plimsoll_session::{
    Door, FailureKind, Final, Readiness, SETUP_LIMIT, SessionError, Start, StartFailure, Stop, data_hash,
};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// How often what was measured is handed over.
const TICK: Duration = Duration::from_secs(1);

/// Why a share was not executed, or its result may be missing.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// The plan cannot be executed here; the collector was told.
    #[error(transparent)]
    Prepare(#[from] EngineError),
    /// The preflight connection failed; the collector was told.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// The run's setup failed; the collector was told.
    #[error(transparent)]
    Setup(#[from] SetupFailed),
    /// The run did not start for this worker.
    #[error(transparent)]
    NotStarted(SessionError),
    /// The share was executed, but the outcome of the run was not confirmed.
    #[error(transparent)]
    NotConfirmed(SessionError),
}

/// Executes a share: prepare, preflight, setup, ready, wait for the instant, load with a delta every second, teardown, last word,
/// acknowledgement. Setup and teardown are the first worker's.
///
/// # Errors
/// See [`ExecuteError`].
pub async fn execute<D: Door>(
    share: Share,
    materials: Materials,
    threads: Option<usize>,
    door: &mut D,
) -> Result<(), ExecuteError> {
    let duration = share.plan.duration;
    let data_hash = data_hash(&materials.data);
    let mut engine = match prepare(share, materials, threads) {
        Ok(engine) => engine,
        Err(error) => {
            door.failed(failure(FailureKind::InvalidPlan, &error)).await;
            return Err(error.into());
        }
    };
    if let Err(error) = engine.preflight().await {
        door.failed(failure(FailureKind::TargetUnreachable, &error)).await;
        return Err(error.into());
    }
    let setup = set_up(&mut engine, door).await?;
    let readiness = Readiness { setup: setup.clone(), data_hash };
    let start = match door.ready(readiness).await {
        Ok(start) => start,
        Err(error) => return Err(give_up(engine, setup.as_deref(), error).await),
    };
    if start.late > 0 {
        tracing::warn!(late_ms = start.late / 1_000_000, "the agreed instant had passed; starting at once");
    }
    let threads = u32::try_from(engine.threads()).unwrap_or(u32::MAX);
    let mut running = engine.launch(start.at, start.setup.as_deref())?;
    let last = drive(&mut running, &start, door).await;
    let last = Final { threads, load: last.load.map(|load| load.min(duration)), ..last };
    door.finish(last).await.map_err(ExecuteError::NotConfirmed)
}

/// The first worker's setup, unless the run is stopped meanwhile; the collector is told of a failure.
async fn set_up<D: Door>(engine: &mut Engine, door: &mut D) -> Result<Option<String>, ExecuteError> {
    let done = tokio::select! {
        done = engine.setup() => done,
        stop = door.stop_asked() => return Err(ExecuteError::NotStarted(SessionError::Stopped(stop))),
    };
    let captured = done.and_then(|captured| match &captured {
        Some(text) if text.len() > SETUP_LIMIT => Err(SetupFailed {
            message: format!(
                "its captures are {} bytes of JSON, at most {SETUP_LIMIT} can be handed to all workers; capture less",
                text.len()
            ),
        }),
        _ => Ok(captured),
    });
    if let Err(error) = &captured {
        door.failed(failure(FailureKind::SetupFailed, error)).await;
    }
    Ok(captured?)
}

/// What setup made is torn down, unless everything is to end at once.
async fn give_up(engine: Engine, setup: Option<&str>, error: SessionError) -> ExecuteError {
    let at_once = matches!(&error, SessionError::Stopped(stop) if stop.at_once);
    if !at_once {
        match engine.give_up(setup) {
            Ok(mut running) => running.finished().await,
            Err(error) => tracing::warn!(%error, "teardown could not be done"),
        }
    }
    ExecuteError::NotStarted(error)
}

fn failure(kind: FailureKind, error: &impl std::error::Error) -> StartFailure {
    StartFailure { kind, message: error.to_string() }
}

/// Hands over a delta every second until all work is done.
async fn drive<D: Door>(running: &mut Running, start: &Start, door: &mut D) -> Final {
    let mut tick = interval_at(Instant::from_std(start.at) + TICK, TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stopped: Option<Stop> = None;
    let (mut skew, mut load) = (None, None);
    loop {
        tokio::select! {
            stop = door.stop_asked() => {
                tracing::info!(reason = stop.reason, at_once = stop.at_once, "stopping");
                if stop.at_once { running.kill() } else { running.stop() }
                load = load.or_else(|| Some(since(start)));
                stopped = Some(stop);
            }
            () = running.finished() => {
                load = load.or_else(|| Some(loaded(running, start)));
                break;
            }
            _ = tick.tick() => {
                skew = skew.or_else(|| began(running, start, door));
                hand_over(running, door).await;
            }
        }
    }
    skew = skew.or_else(|| began(running, start, door));
    hand_over(running, door).await;
    Final { skew, stopped, fault: running.fault(), load, ..Final::default() }
}

/// Hands over what was measured since the last time, with what the cores are doing.
async fn hand_over<D: Door>(running: &mut Running, door: &mut D) {
    let delta = running.take().await;
    door.gauges(running.gauges());
    door.push(delta);
}

/// Nanoseconds since the start.
fn since(start: &Start) -> u64 {
    nanos(start.at.elapsed())
}

/// Nanoseconds from the start to the end of the load, whatever came after it.
fn loaded(running: &Running, start: &Start) -> u64 {
    running.loaded().map_or_else(|| since(start), |end| nanos(end.saturating_duration_since(start.at)))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Reports the first request once it was sent.
fn began<D: Door>(running: &Running, start: &Start, door: &mut D) -> Option<u64> {
    let skew = running.first_sent()?.saturating_add(start.late);
    door.began(skew);
    Some(skew)
}
