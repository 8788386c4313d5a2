//! The handle on a launched share: collects the snapshots of the cores and of the run's hooks, and passes on the word to stop. The
//! cores are in `thread.rs`, the hooks in `hooks.rs`.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use plimsoll_measure::{Gauges, Snapshot};
use plimsoll_plan::Share;
use tokio::sync::{mpsc, oneshot};

use crate::Engine;
use crate::cgroup::Throttle;
use crate::clock::{Clock, nanos};
use crate::descriptors;
use crate::hooks::accompany;
use crate::skew::{self, Earliest};
use crate::thread::{Command, Setup, run};

/// A share being executed. Dropping it ends the traffic at once.
#[derive(Debug)]
pub struct Running {
    cores: Vec<Handle>,
    /// Timeline and teardown, in the first worker of a run that has any.
    hooks: Option<Handle>,
    /// What setup measured, until it is taken.
    before: Snapshot,
    /// What the cores were doing when they were last asked.
    gauges: Gauges,
    earliest: Earliest,
    fault: Fault,
    throttle: Throttle,
    /// Up to when wall time is accounted for.
    accounted: Instant,
    /// The accounting ends with the load.
    over: bool,
    /// When all loads were done, once they are.
    loaded: Option<Instant>,
}

/// Why a core could not run, of the first that could not.
type Fault = Arc<Mutex<Option<String>>>;

#[derive(Debug)]
struct Handle {
    commands: mpsc::UnboundedSender<Command>,
    /// Fired when the load is done; `None` once seen.
    done: Option<oneshot::Receiver<()>>,
}

/// Starts one thread per core, or none if there is to be no load, and one for the run's hooks.
pub(crate) fn launch(engine: Engine, start: Instant, load: bool) -> Running {
    // The load may begin while the later threads are still being started.
    let (accounted, throttle) = (start.max(Instant::now()), Throttle::find(Path::new("/")));
    descriptors::raise();
    let earliest = Earliest::default();
    let fault = Fault::default();
    let setup = |index: usize, share: &Share| Setup {
        clock: Clock::new(start),
        earliest: Arc::clone(&earliest),
        ..engine.setup_of(index, share)
    };
    let cores = engine.lanes.iter().enumerate().filter(|_| load);
    let cores = cores.map(|(index, share)| start_core(setup(index, share), &fault)).collect();
    let hooks = engine.hooks().map(|share| {
        let setup = Setup { earliest: Earliest::default(), ..setup(0, &share) };
        start_thread("engine-hooks", setup, &fault, accompany)
    });
    let before = engine.measured;
    let gauges = Gauges::default();
    Running { cores, hooks, before, gauges, earliest, fault, throttle, accounted, over: false, loaded: None }
}

fn start_core(setup: Setup, fault: &Fault) -> Handle {
    start_thread(&format!("engine-{}", setup.index), setup, fault, run)
}

/// What a thread of the engine does.
type Body = fn(Setup, mpsc::UnboundedReceiver<Command>, oneshot::Sender<()>) -> std::io::Result<()>;

fn start_thread(name: &str, setup: Setup, fault: &Fault, body: Body) -> Handle {
    let (commands, inbox) = mpsc::unbounded_channel();
    let (done, is_done) = oneshot::channel();
    let (note, what) =
        (Arc::clone(fault), name.replace("engine-hooks", "the run's hooks").replace("engine-", "core "));
    let told = what.clone();
    let body = move || {
        if let Err(error) = body(setup, inbox, done) {
            report(&note, &what, &error);
        }
    };
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body);
    if let Err(error) = thread {
        report(fault, &told, &error);
    }
    Handle { commands, done: Some(is_done) }
}

fn report(fault: &Fault, what: &str, error: &std::io::Error) {
    tracing::error!(%error, "{what} could not run");
    note(fault, || format!("{what} could not run: {error}"));
}

fn note(fault: &Fault, message: impl FnOnce() -> String) {
    fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(message);
}

impl Running {
    /// Everything that all cores and the run's hooks measured since the last call, with the worker's wall and throttled time.
    pub async fn take(&mut self) -> Snapshot {
        let replies: Vec<_> = self.cores.iter().chain(&self.hooks).map(|core| ask(&core.commands)).collect();
        let mut merged = std::mem::take(&mut self.before);
        self.gauges = Gauges { cpu: cpu_time(), ..Gauges::default() };
        for reply in replies {
            // A core that is gone has reported its fault.
            if let Ok((snapshot, gauges)) = reply.await {
                merged.merge(&snapshot);
                self.gauges.merge(&gauges);
            }
        }
        self.account(&mut merged);
        merged
    }

    /// What the cores were doing at the last [`Self::take`].
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        self.gauges
    }

    fn account(&mut self, merged: &mut Snapshot) {
        if self.over {
            return;
        }
        self.over = self.cores.iter().all(|core| core.done.is_none());
        let now = Instant::now();
        let wall = nanos(now.saturating_duration_since(self.accounted));
        self.accounted = self.accounted.max(now);
        merged.health.wall += wall;
        merged.health.cores += wall.saturating_mul(self.cores.len() as u64);
        merged.health.throttled += self.throttle.since_last().min(wall);
    }

    /// No new work from now on; what is in flight gets the plan's `gracefulStop`.
    pub fn stop(&self) {
        self.tell(|| Command::Stop);
    }

    /// Ends everything at once, without a teardown; what is in flight is unfinished.
    pub fn kill(&self) {
        self.tell(|| Command::Kill);
    }

    fn tell(&self, command: impl Fn() -> Command) {
        for core in self.cores.iter().chain(&self.hooks) {
            // A core that is gone is as still as can be.
            let _ = core.commands.send(command());
        }
    }

    /// Waits until all cores are done, and then teardown; one last [`Self::take`] then has the rest. May be dropped and called again.
    pub async fn finished(&mut self) {
        for (index, core) in self.cores.iter_mut().enumerate() {
            if let Some(done) = &mut core.done {
                // Gone without a word: it could not run, or broke off. Its part of the load is missing, which must not go unseen.
                if done.await.is_err() {
                    note(&self.fault, || format!("core {index} ended before its load was done"));
                }
                core.done = None;
            }
        }
        let Some(hooks) = &mut self.hooks else {
            self.loaded.get_or_insert_with(Instant::now);
            return;
        };
        if self.loaded.is_none() {
            self.loaded = Some(Instant::now());
            // A thread that is gone has reported its fault.
            let _ = hooks.commands.send(Command::Loaded);
        }
        if let Some(done) = &mut hooks.done {
            if done.await.is_err() {
                note(&self.fault, || "the run's hooks ended before their work was done".to_owned());
            }
            hooks.done = None;
        }
    }

    /// When all loads were done; teardown comes after it. Known once [`Self::finished`] has seen it.
    #[must_use]
    pub fn loaded(&self) -> Option<Instant> {
        self.loaded
    }

    /// This worker's start skew in nanoseconds: its first request, sent minus intended. Nothing before that was sent.
    #[must_use]
    pub fn first_sent(&self) -> Option<u64> {
        skew::of(&self.earliest)
    }

    /// Why a core could not run, if one could not: its part of the load is missing.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// CPU time of this process since it began, nanoseconds.
fn cpu_time() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let (seconds, rest) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    seconds.unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(rest.unwrap_or(0))
}

fn ask(commands: &mpsc::UnboundedSender<Command>) -> oneshot::Receiver<(Snapshot, Gauges)> {
    let (reply, answer) = oneshot::channel();
    // If the core is gone, the answer is an error.
    let _ = commands.send(Command::Take(reply));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_that_is_gone_without_a_word_is_a_fault() {
        let core = |word: bool| {
            let (done, is_done) = oneshot::channel();
            if word {
                done.send(()).unwrap();
            }
            Handle { commands: mpsc::unbounded_channel().0, done: Some(is_done) }
        };
        let mut running = Running {
            cores: vec![core(true)],
            hooks: None,
            before: Snapshot::default(),
            gauges: Gauges::default(),
            earliest: Earliest::default(),
            fault: Fault::default(),
            throttle: Throttle::find(Path::new("/")),
            accounted: Instant::now(),
            over: false,
            loaded: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(running.finished());
        assert_eq!(running.fault(), None);
        assert!(running.loaded().is_some());
        running.cores.push(core(false));
        runtime.block_on(running.finished());
        assert_eq!(running.fault().as_deref(), Some("core 1 ended before its load was done"));
    }
}
