//! One core: a thread with its own event loop, its users and its recorder. Nothing is shared with other cores while a request
//! is under way; `running.rs` on the other side of the channel asks for snapshots and gives the word to stop.

use std::rc::Rc;
use std::sync::Arc;

use plimsoll_measure::{Gauges, Recorder, Snapshot};
use plimsoll_plan::{ConnectionsPer, GroupShare, Share};
use plimsoll_scenario::{Bound, Origin, Rows};
use rustls::ClientConfig;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::clock::{Clock, Timer};
use crate::core::{Budget, Core, Parts};
use crate::dial::{Destination, Dialer};
use crate::limit::Limits;
use crate::open::Open;
use crate::pool::{Policy, Pool};
use crate::redact::Redact;
use crate::resolve::{Remembered, Resolver};
use crate::skew::{Earliest, FirstSent};
use crate::span::Span;
use crate::trace::Tracer;
use crate::watch::{self, watch};
use crate::{closed, open};

/// Tasks polled before the event loop looks at sockets and timers again: bounds what a busy core adds to its own lateness.
const EVENT_INTERVAL: u32 = 31;

/// A word from the other threads.
#[derive(Debug)]
pub(crate) enum Command {
    /// Everything measured since the last time.
    Take(oneshot::Sender<(Snapshot, Gauges)>),
    /// No new work; what is in flight gets the plan's `graceful_stop`.
    Stop,
    /// Nothing more at all.
    Kill,
    /// The load is over: what the run does after it is due. Only the thread of the hooks does anything.
    Loaded,
}

/// What a core needs to begin; may move to its thread.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// Its part of the worker's share.
    pub(crate) share: Share,
    /// Its number among the cores of the worker.
    pub(crate) index: usize,
    pub(crate) clock: Clock,
    pub(crate) bound: Arc<Bound>,
    pub(crate) destination: Destination,
    pub(crate) origin: Origin,
    pub(crate) tls: Arc<ClientConfig>,
    /// `None`: resolve for every connection.
    pub(crate) remembered: Option<Remembered>,
    /// Iterations of each load, where they are limited.
    pub(crate) budgets: Vec<Option<Arc<Budget>>>,
    pub(crate) limits: Limits,
    pub(crate) redact: Arc<Redact>,
    pub(crate) tracer: Option<Tracer>,
    pub(crate) earliest: Earliest,
}

/// One load of one core: its time, and the iterations left to it.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) span: Rc<Span>,
    pub(crate) budget: Option<Arc<Budget>>,
}

impl Load {
    /// Takes one iteration; `false` if none is left.
    #[inline]
    pub(crate) fn claim(&self) -> bool {
        self.budget.as_ref().is_none_or(|budget| budget.claim())
    }

    /// Whether no iteration is left.
    #[inline]
    pub(crate) fn is_spent(&self) -> bool {
        self.budget.as_ref().is_some_and(|budget| budget.is_spent())
    }
}

/// Runs a core on this thread until its loads are done and nobody asks any more.
///
/// `done` is fired when the loads are done, and dropped at the end.
pub(crate) fn run(
    setup: Setup,
    commands: mpsc::UnboundedReceiver<Command>,
    done: oneshot::Sender<()>,
) -> std::io::Result<()> {
    event_loop(async {
        let share = setup.share.clone();
        let budgets = setup.budgets.clone();
        let core = Rc::new(core(setup, false));
        let grace = share.plan.graceful_stop;
        let mut drives = JoinSet::new();
        let mut spans = Vec::new();
        for (group, budget) in share.groups().zip(budgets) {
            let load = Load { span: Rc::new(Span::new(group.group().end(), grace)), budget };
            spans.push(Rc::clone(&load.span));
            drives.spawn_local(drive(Rc::clone(&core), Timer::new()?, load, group));
        }
        let watching = tokio::task::spawn_local(watch(Rc::clone(&core), Timer::new()?, spans.clone()));
        let listener = tokio::task::spawn_local(listen(Rc::clone(&core), commands, spans, grace));
        while let Some(joined) = drives.join_next().await {
            if let Err(error) = joined {
                return Err(std::io::Error::other(format!("a load broke off: {error}")));
            }
        }
        watching.abort();
        tracing::debug!("the load of a core is done");
        // Nobody may be waiting for it.
        let _ = done.send(());
        let _ = listener.await;
        Ok(())
    })
}

/// Runs a future on an event loop of this thread, on which tasks may be spawned that never leave it.
pub(crate) fn event_loop<T>(future: impl Future<Output = std::io::Result<T>>) -> std::io::Result<T> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .event_interval(EVENT_INTERVAL)
        .on_thread_park(watch::falls_asleep)
        .on_thread_unpark(watch::wakes_up)
        .build_local(LocalOptions::default())?;
    runtime.block_on(future)
}

async fn drive(core: Rc<Core>, timer: Timer, load: Load, group: GroupShare) {
    let of = group.group();
    if !of.is_open() {
        return closed::drive(&core, &timer, &load, group.users().collect(), of.graceful_ramp_down).await;
    }
    let open = Open {
        arrivals: group.arrivals(),
        max_in_flight: group.max_in_flight().map_or(usize::MAX, saturated),
        limited: of.iterations.map(|iterations| group.first.saturating_add(iterations)),
        own_connections: group.plan.target.connections.per == ConnectionsPer::User,
    };
    open::drive(&core, &timer, &load.span, open).await;
}

/// Makes a core of its parts; `hook` if its users are the run's setup, timeline and teardown.
pub(crate) fn core(setup: Setup, hook: bool) -> Core {
    let Setup { share, index, destination, remembered, earliest, .. } = setup;
    let plan = &share.plan;
    let policy = Policy {
        per: plan.target.connections.per,
        max: share.max_connections().map(saturated).filter(|_| !hook),
        max_age: plan.target.connections.max_age.unwrap_or(u64::MAX),
        max_requests: plan.target.connections.max_requests.unwrap_or(u64::MAX),
    };
    Core::new(Parts {
        clock: setup.clock,
        seed: plan.seed,
        bound: setup.bound,
        recorder: Recorder::new(Arc::new(plan.layout.clone())),
        pool: Pool::new(policy, destination.http, destination.server_name.is_some()),
        dialer: Dialer::new(
            Resolver::new(remembered),
            setup.tls,
            saturated(share.stride.offset).wrapping_add(index),
        ),
        destination,
        origin: setup.origin,
        first: FirstSent::new(earliest),
        limits: setup.limits,
        rows: Rows::new(share.stride.offset, share.stride.step),
        redact: setup.redact,
        tracer: setup.tracer,
        hook,
    })
}

fn saturated(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Does what it is told until the other side is gone; then nobody will ever ask for the results, and the core ends at once.
async fn listen(
    core: Rc<Core>,
    mut commands: mpsc::UnboundedReceiver<Command>,
    spans: Vec<Rc<Span>>,
    graceful_stop: u64,
) {
    let stop = |grace| spans.iter().for_each(|span| span.stop(core.clock.now(), grace));
    while let Some(command) = commands.recv().await {
        match command {
            Command::Take(reply) => give(&core, reply),
            Command::Stop => stop(graceful_stop),
            Command::Kill => stop(0),
            Command::Loaded => {}
        }
    }
    stop(0);
}

/// Hands over everything measured since the last time, and what the core is doing.
pub(crate) fn give(core: &Core, reply: oneshot::Sender<(Snapshot, Gauges)>) {
    let snapshot = core.recorder().take();
    if let Err((snapshot, _)) = reply.send((snapshot, core.active.gauges())) {
        tracing::warn!(cells = snapshot.cells.len(), "nobody took a snapshot that was asked for");
    }
}
