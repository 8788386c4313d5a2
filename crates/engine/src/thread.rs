//! One core: a thread with its own event loop, its users and its recorder. Nothing is shared with other cores while a request
//! is under way; `running.rs` on the other side of the channel asks for snapshots and gives the word to stop.

use std::rc::Rc;
use std::sync::Arc;

use plimsoll_measure::{Recorder, Snapshot};
use plimsoll_plan::{ConnectionsPer, Load, Share};
use plimsoll_scenario::{Bound, Origin};
use rustls::ClientConfig;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, oneshot};

use crate::clock::{Clock, Timer};
use crate::core::{Budget, Core, Parts};
use crate::dial::{Destination, Dialer};
use crate::open::Open;
use crate::pool::{Policy, Pool};
use crate::resolve::{Remembered, Resolver};
use crate::skew::{Earliest, FirstSent};
use crate::{closed, open};

/// Tasks polled before the event loop looks at sockets and timers again: bounds what a busy core adds to its own lateness.
const EVENT_INTERVAL: u32 = 31;

/// A word from the other threads.
#[derive(Debug)]
pub(crate) enum Command {
    /// Everything measured since the last time.
    Take(oneshot::Sender<Snapshot>),
    /// No new work; what is in flight gets the plan's `graceful_stop`.
    Stop,
    /// Nothing more at all.
    Kill,
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
    pub(crate) budget: Option<Arc<Budget>>,
    pub(crate) earliest: Earliest,
}

/// Runs a core on this thread until its load is done and nobody asks any more.
///
/// `done` is fired when the load is done, and dropped at the end.
pub(crate) fn run(
    setup: Setup,
    commands: mpsc::UnboundedReceiver<Command>,
    done: oneshot::Sender<()>,
) -> std::io::Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .event_interval(EVENT_INTERVAL)
        .build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let timer = Timer::new()?;
        let share = setup.share.clone();
        let core = Rc::new(core(setup));
        let listener = tokio::task::spawn_local(listen(Rc::clone(&core), commands, share.plan.graceful_stop));
        drive(&core, &timer, &share).await;
        tracing::debug!("the load of a core is done");
        // Nobody may be waiting for it.
        let _ = done.send(());
        let _ = listener.await;
        Ok(())
    })
}

async fn drive(core: &Rc<Core>, timer: &Timer, share: &Share) {
    match share.plan.load {
        Load::Closed { .. } => {
            closed::drive(core, timer, share.users().collect(), share.plan.graceful_ramp_down).await;
        }
        Load::Open { .. } => {
            let open = Open {
                arrivals: share.arrivals(),
                max_in_flight: share.max_in_flight().map_or(usize::MAX, saturated),
                iterations: share.plan.iterations,
                own_connections: share.plan.target.connections.per == ConnectionsPer::User,
            };
            open::drive(core, timer, open).await;
        }
    }
}

fn core(setup: Setup) -> Core {
    let Setup { share, index, clock, bound, destination, origin, tls, remembered, budget, earliest } = setup;
    let plan = &share.plan;
    let policy = Policy {
        per: plan.target.connections.per,
        max: share.max_connections().map(saturated),
        max_age: plan.target.connections.max_age.unwrap_or(u64::MAX),
        max_requests: plan.target.connections.max_requests.unwrap_or(u64::MAX),
    };
    let planned = match plan.load {
        Load::Closed { .. } => share.users().flat_map(|user| user.intervals).map(|stint| stint.start).min(),
        Load::Open { .. } => None,
    };
    Core::new(Parts {
        clock,
        seed: plan.seed,
        bound,
        recorder: Recorder::new(Arc::new(plan.layout.clone())),
        pool: Pool::new(policy, destination.http, destination.server_name.is_some()),
        dialer: Dialer::new(
            Resolver::new(remembered),
            tls,
            saturated(share.stride.offset).wrapping_add(index),
        ),
        destination,
        origin,
        first: FirstSent::new(planned, earliest),
        budget,
        end: plan.duration,
        hard_end: plan.duration.saturating_add(plan.graceful_stop),
    })
}

fn saturated(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Does what it is told until the other side is gone; then nobody will ever ask for the results, and the core ends at once.
async fn listen(core: Rc<Core>, mut commands: mpsc::UnboundedReceiver<Command>, graceful_stop: u64) {
    while let Some(command) = commands.recv().await {
        match command {
            Command::Take(reply) => {
                let snapshot = core.recorder().take();
                if let Err(snapshot) = reply.send(snapshot) {
                    tracing::warn!(cells = snapshot.cells.len(), "nobody took a snapshot that was asked for");
                }
            }
            Command::Stop => core.stop(graceful_stop),
            Command::Kill => core.stop(0),
        }
    }
    core.stop(0);
}
