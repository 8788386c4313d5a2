//! What each serving thread has of its own: its timer, the paths it knows, and its requests in progress.
//! `acceptor.rs` deals connections to it, `connection.rs` serves them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, watch};
use tokio::task;

use crate::acceptor::Accepted;
use crate::connection;
use crate::plan::{Act, Resolved};
use crate::server::Server;
use crate::timer::{Timer, from_now};

/// One thread's part of a server.
pub(crate) struct Core {
    pub(crate) server: Arc<Server>,
    pub(crate) timer: Rc<Timer>,
    known: RefCell<Known>,
    busy: Cell<usize>,
    draining: Cell<bool>,
    /// Told when draining begins, and while draining whenever a busy piece of work ends.
    drain: Notify,
}

#[derive(Default)]
struct Known {
    generation: u64,
    paths: HashMap<Box<str>, Rc<Resolved>>,
}

impl Core {
    fn new(server: Arc<Server>, timer: Rc<Timer>) -> Self {
        Core {
            server,
            timer,
            known: RefCell::default(),
            busy: Cell::new(0),
            draining: Cell::new(false),
            drain: Notify::new(),
        }
    }

    /// The account and the answerer of a path.
    pub(crate) fn resolve(&self, path: &str) -> Rc<Resolved> {
        let mut known = self.known.borrow_mut();
        let generation = self.server.ledger.generation();
        if known.generation != generation {
            *known = Known { generation, paths: HashMap::new() };
        }
        if let Some(resolved) = known.paths.get(path) {
            return resolved.clone();
        }
        // Paths with an id in them are known by their pattern, so that their number stays small.
        let name = self.server.pattern(path).unwrap_or(path);
        if let Some(resolved) = known.paths.get(name) {
            return resolved.clone();
        }
        let (resolved, own) = self.server.resolve(path);
        let resolved = Rc::new(resolved);
        if own {
            known.paths.insert(name.into(), resolved.clone());
        }
        resolved
    }

    /// Waits for the instant of an answer, and then for the end of a freeze that holds it back.
    pub(crate) async fn answer_at(&self, due: Instant) {
        self.timer.sleep_until(due).await;
        let faults = &self.server.faults;
        while faults.frozen_until(Instant::now()).is_some() {
            let mut changes = faults.changes();
            let Some(end) = faults.frozen_until(Instant::now()) else { return };
            tokio::select! {
                () = self.timer.sleep_until(end) => {}
                () = changes.next() => {}
            }
        }
    }

    /// Waits as long as a stalled request is to be left alone.
    pub(crate) async fn stalled(&self, act: &Act) {
        match act {
            Act::Stall => std::future::pending().await,
            Act::StallDuring(fault) => {
                self.server.faults.changes().end_of(fault).await;
                self.answer_at(Instant::now()).await;
            }
            Act::Answer | Act::Truncate | Act::Reset | Act::Drop | Act::Upgrade(_) => {}
        }
    }

    /// Whether the server is about to stop and connections should end after their current request.
    pub(crate) fn draining(&self) -> bool {
        self.draining.get()
    }

    /// Waits until draining begins.
    pub(crate) async fn drain_begins(&self) {
        while !self.draining.get() {
            self.drain.notified().await;
        }
    }

    /// Marks work that a graceful stop waits for.
    pub(crate) fn busy(self: &Rc<Self>) -> Busy {
        self.busy.set(self.busy.get() + 1);
        Busy(self.clone())
    }

    async fn idle(&self) {
        while self.busy.get() > 0 {
            self.drain.notified().await;
        }
    }
}

/// Work in progress, until it goes.
pub(crate) struct Busy(Rc<Core>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.set(self.0.busy.get() - 1);
        if self.0.draining.get() {
            self.0.drain.notify_waiters();
        }
    }
}

/// Makes the thread's part of a server; the future serves what the acceptor deals until the server stops, then
/// lets requests in progress end for as long as the stop allows. Called in the runtime that runs the future.
pub(crate) fn start(
    server: Arc<Server>,
    inbox: mpsc::UnboundedReceiver<Accepted>,
    stop: watch::Receiver<Option<Duration>>,
) -> io::Result<impl Future<Output = ()>> {
    let timer = Timer::new()?;
    Ok(run(Rc::new(Core::new(server, timer)), inbox, stop))
}

async fn run(
    core: Rc<Core>,
    mut inbox: mpsc::UnboundedReceiver<Accepted>,
    mut stop: watch::Receiver<Option<Duration>>,
) {
    let timer = core.timer.clone();
    task::spawn_local(async move { timer.drive().await });
    loop {
        tokio::select! {
            accepted = inbox.recv() => match accepted {
                Some(accepted) => {
                    task::spawn_local(connection::serve(core.clone(), accepted));
                }
                None => break,
            },
            _ = stop.wait_for(Option::is_some) => break,
        }
    }
    // The acceptor ends on the same signal, so the order of these two does not matter.
    let grace = stop.wait_for(Option::is_some).await.ok().and_then(|grace| *grace).unwrap_or_default();
    core.draining.set(true);
    core.drain.notify_waiters();
    tokio::select! {
        () = core.idle() => {}
        () = core.timer.sleep_until(from_now(grace)) => {}
    }
}
