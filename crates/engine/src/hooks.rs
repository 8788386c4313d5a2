//! What is done once per run, by its first worker: setup before the start, the calls of the timeline at their times, teardown after
//! the load. On a thread of its own, so that no load waits for it; started by `running.rs`, steps are in `steps.rs`.

use std::rc::Rc;
use std::time::{Duration, Instant};

use plimsoll_measure::Snapshot;
use plimsoll_plan::Plan;
use plimsoll_scenario::{Rng, Stream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::clock::{Clock, Timer};
use crate::core::Core;
use crate::lane::Lane;
use crate::span::Span;
use crate::steps::{Then, run};
use crate::thread::{Command, Setup, core, event_loop, give};
use crate::trace::{Part, TraceEvent};

/// Teardown gets at least this long, nanoseconds; longer if `gracefulStop` is.
const TEARDOWN: u64 = 30_000_000_000;

/// How late a call may be before it is told, nanoseconds.
const LATE: u64 = 100_000_000;

/// Setup failed: the run cannot start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("setup failed: {message}")]
pub struct SetupFailed {
    /// Which step, and why; no secret is in it.
    pub message: String,
}

/// What setup came to.
#[derive(Debug)]
pub(crate) struct SetUp {
    /// The captures as a JSON object, if any are declared, or why the run cannot start.
    pub(crate) captured: Result<Option<String>, SetupFailed>,
    pub(crate) measured: Snapshot,
}

/// Which of the streams of choices is whose; users and arrivals are numbered from 0.
#[derive(Clone, Copy)]
enum Who {
    Setup,
    Timeline,
    Teardown,
}

fn choices(seed: u64, who: Who) -> Rng {
    Rng::new(seed, Stream::Member, u64::MAX - who as u64)
}

/// Runs setup on a thread of its own. Giving up waiting ends it.
pub(crate) async fn set_up(setup: Setup) -> Result<SetUp, SetupFailed> {
    let (reply, answer) = oneshot::channel();
    let body = move || {
        let ran = event_loop(async {
            let mut reply = reply;
            tokio::select! {
                done = steps_of_setup(setup) => {
                    // Nobody may be waiting for it any more.
                    let _ = reply.send(done);
                }
                () = reply.closed() => {}
            }
            Ok(())
        });
        if let Err(error) = ran {
            tracing::error!(%error, "setup could not run");
        }
    };
    let thread = std::thread::Builder::new().name("engine-setup".into()).spawn(body);
    thread.map_err(|error| SetupFailed { message: format!("its thread could not start: {error}") })?;
    answer.await.map_err(|_| SetupFailed { message: "it broke off; this is a fault of the worker".into() })
}

async fn steps_of_setup(setup: Setup) -> SetUp {
    let setup = Setup { clock: Clock::new(Instant::now()), ..setup };
    let plan = setup.share.plan.clone();
    let core = core(setup, true);
    core.trace(|_| TraceEvent::Part(Part::Setup));
    let hooks = &core.bound.setup;
    let memory = hooks.memory(&core.bound.shared, choices(core.seed, Who::Setup));
    let mut lane = Lane::new(memory, Rc::new(Span::new(u64::MAX, 0)), u64::MAX);
    let then = run(&core, &mut lane, &hooks.steps).await;
    let measured = core.recorder().take();
    let captured = match then {
        Then::Next | Then::Over => Ok(core.bound.setup_json(&lane.memory)),
        Then::EndIteration | Then::EndUser => Err(SetupFailed { message: why(&lane, &plan, &measured) }),
    };
    SetUp { captured, measured }
}

/// The step that failed, and the latest failure of a request.
fn why(lane: &Lane, plan: &Plan, measured: &Snapshot) -> String {
    let at = lane.failed_at.as_deref().unwrap_or("a step");
    let Some(last) = measured.failures.iter().max_by_key(|failure| failure.at) else {
        return format!("{at} did not come to a good end");
    };
    let request = plan.layout.requests.get(usize::from(last.request.0)).map_or("a request", String::as_str);
    format!("{at}: {request}: {}", last.example)
}

/// Makes the calls of the timeline, and at the end of the load does teardown. `done` is fired then.
pub(crate) fn accompany(
    setup: Setup,
    commands: mpsc::UnboundedReceiver<Command>,
    done: oneshot::Sender<()>,
) -> std::io::Result<()> {
    event_loop(async {
        let grace = setup.share.plan.graceful_stop.max(TEARDOWN);
        let core = Rc::new(core(setup, true));
        let span = Rc::new(Span::new(u64::MAX, 0));
        let timeline = tokio::task::spawn_local(timeline(Rc::clone(&core), Rc::clone(&span), Timer::new()?));
        let mut listener = Listener { core: Rc::clone(&core), commands, killed: false };
        listener.until_loaded(&span, timeline, grace).await;
        if !listener.killed && !core.bound.teardown.steps.is_empty() {
            let teardown = tokio::task::spawn_local(tear_down(Rc::clone(&core), Duration::from_nanos(grace)));
            listener.until_done(teardown).await;
        }
        // Nobody may be waiting for it.
        let _ = done.send(());
        listener.listen().await;
        Ok(())
    })
}

/// Every call in turn: each at its time, or when the one before is done.
async fn timeline(core: Rc<Core>, span: Rc<Span>, timer: Timer) {
    let timeline = &core.bound.timeline;
    let memory = timeline.memory(&core.bound.shared, choices(core.seed, Who::Timeline));
    let mut lane = Lane::new(memory, Rc::clone(&span), u64::MAX);
    for (place, (at, step)) in timeline.calls.iter().enumerate() {
        while !core.clock.has_reached(*at) && !span.is_over(core.clock.now()) {
            tokio::select! {
                () = timer.sleep_until(core.clock.instant(*at)) => {}
                () = span.wake.notified() => {}
            }
        }
        let now = core.clock.now();
        if span.is_over(now) {
            return;
        }
        if now.saturating_sub(*at) > LATE {
            let late_ms = (now - at) / 1_000_000;
            tracing::warn!(
                step = step.at,
                late_ms,
                "a call of the timeline is late: the one before took so long"
            );
        }
        core.trace(|_| TraceEvent::Part(Part::Timeline(place)));
        run(&core, &mut lane, std::slice::from_ref(step)).await;
        if std::mem::take(&mut lane.failed) {
            tracing::warn!(step = step.at, "a call of the timeline failed; the run goes on");
        }
    }
}

/// All steps of teardown, as long as there is time.
async fn tear_down(core: Rc<Core>, limit: Duration) {
    core.trace(|_| TraceEvent::Part(Part::Teardown));
    let hooks = &core.bound.teardown;
    let memory = hooks.memory(&core.bound.shared, choices(core.seed, Who::Teardown));
    let mut lane = Lane::new(memory, Rc::new(Span::new(u64::MAX, 0)), u64::MAX);
    match tokio::time::timeout(limit, run(&core, &mut lane, &hooks.steps)).await {
        Err(_) => tracing::warn!("teardown was cut off after {limit:?}"),
        Ok(Then::Next | Then::Over) if !lane.failed => {}
        Ok(_) => {
            let step = lane.failed_at.as_deref().unwrap_or("one that lets the others go on");
            tracing::warn!(step, "teardown failed; the verdict does not change");
        }
    }
}

/// Answers the other threads while something goes on.
struct Listener {
    core: Rc<Core>,
    commands: mpsc::UnboundedReceiver<Command>,
    /// Nothing more is to be done at all, or nobody would know of it.
    killed: bool,
}

impl Listener {
    /// Answers one word; `true` if the load is over.
    fn obey(&mut self, command: Option<Command>, stop: impl Fn()) -> bool {
        match command {
            Some(Command::Take(reply)) => give(&self.core, reply),
            Some(Command::Stop) => stop(),
            Some(Command::Loaded) => return true,
            Some(Command::Kill) | None => self.killed = true,
        }
        false
    }

    /// Until the load is over. No call begins after a stop; one that is under way at the end has `grace` nanoseconds.
    async fn until_loaded(&mut self, span: &Span, timeline: JoinHandle<()>, grace: u64) {
        let core = Rc::clone(&self.core);
        let stop = || {
            span.stop(core.clock.now(), grace);
            span.ending.notify_waiters();
        };
        while !self.killed {
            let command = self.commands.recv().await;
            if self.obey(command, stop) {
                break;
            }
        }
        stop();
        let abort = timeline.abort_handle();
        let limit = tokio::time::sleep(Duration::from_nanos(grace));
        self.until(async {
            tokio::select! {
                _ = timeline => {}
                () = limit => {}
            }
        })
        .await;
        abort.abort();
    }

    /// Until a task is done; it is dropped if everything is to end.
    async fn until_done(&mut self, task: JoinHandle<()>) {
        let abort = task.abort_handle();
        self.until(async {
            // A fault of it was shown where it happened.
            let _ = task.await;
        })
        .await;
        abort.abort();
    }

    async fn until(&mut self, something: impl Future<Output = ()>) {
        let mut something = std::pin::pin!(something);
        while !self.killed {
            tokio::select! {
                biased;
                () = something.as_mut() => return,
                command = self.commands.recv() => {
                    self.obey(command, || {});
                }
            }
        }
    }

    /// Answers until nobody asks any more.
    async fn listen(&mut self) {
        while let Some(command) = self.commands.recv().await {
            self.obey(Some(command), || {});
        }
    }
}
