//! What the tasks of one core share: recorder, buffer, connections, places in tables. Never leaves its thread. Made and driven by
//! `thread.rs`; the loads come from `closed.rs` and `open.rs`, the run's hooks from `hooks.rs`.

use std::cell::{Cell, Ref, RefCell, RefMut};
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use plimsoll_measure::{ErrorClass, MetricId, Observation, Recorder, RequestId};
use plimsoll_scenario::{Bound, Note, Origin, Rows};
use tokio::sync::Notify;

use crate::active::Active;
use crate::clock::{Clock, nanos};
use crate::dial::{Destination, Dialer};
use crate::h1::Known;
use crate::h2::Repeated;
use crate::limit::Limits;
use crate::open::Desk;
use crate::pool::Pool;
use crate::redact::Redact;
use crate::skew::FirstSent;
use crate::stream::Spares;
use crate::trace::{TraceEvent, Tracer};

/// Bytes read at once. One per core: a user that waits for a response holds no buffer.
const BUFFER: usize = 64 * 1024;

/// Iterations left to the worker in one load, if the plan limits them; shared by its cores, touched once per iteration.
#[derive(Debug)]
pub(crate) struct Budget {
    left: AtomicU64,
    spent: Notify,
}

impl Budget {
    pub(crate) fn new(iterations: u64) -> Self {
        Self { left: AtomicU64::new(iterations), spent: Notify::new() }
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }

    pub(crate) async fn until_spent(&self) {
        let spent = self.spent.notified();
        if !self.is_spent() {
            spent.await;
        }
    }

    /// Takes one iteration; `false` if none is left.
    pub(crate) fn claim(&self) -> bool {
        let claimed =
            self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if claimed == Ok(1) {
            self.spent.notify_waiters();
        }
        claimed.is_ok()
    }
}

/// What a core is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) clock: Clock,
    pub(crate) seed: u64,
    pub(crate) bound: Arc<Bound>,
    pub(crate) recorder: Recorder,
    pub(crate) destination: Destination,
    pub(crate) origin: Origin,
    pub(crate) dialer: Dialer,
    pub(crate) pool: Pool,
    pub(crate) first: FirstSent,
    pub(crate) limits: Limits,
    pub(crate) rows: Rows,
    pub(crate) redact: Arc<Redact>,
    pub(crate) tracer: Option<Tracer>,
    /// Its users are the run's setup, timeline and teardown.
    pub(crate) hook: bool,
}

/// One core.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) clock: Clock,
    pub(crate) seed: u64,
    pub(crate) bound: Arc<Bound>,
    pub(crate) destination: Destination,
    pub(crate) origin: Origin,
    pub(crate) dialer: Dialer,
    pub(crate) pool: Pool,
    pub(crate) limits: Limits,
    pub(crate) hook: bool,
    pub(crate) tracer: Option<Tracer>,
    pub(crate) active: Active,
    /// Buffers for messages that are cut.
    pub(crate) spares: Spares,
    /// Requests over HTTP/2 that do not vary.
    pub(crate) repeated: Repeated,
    /// Users that wait for a place in a capped step.
    pub(crate) waiting_for_limits: Cell<usize>,
    /// Where arrivals wait that are due, one per load of the open model.
    desks: RefCell<Vec<Rc<Desk>>>,
    first: FirstSent,
    recorder: RefCell<Recorder>,
    buffer: RefCell<Box<[u8]>>,
    /// By the ordinal of the request.
    known: RefCell<Box<[Known]>>,
    rows: RefCell<Rows>,
    redact: Arc<Redact>,
    /// Metrics whose failure to be computed was shown.
    shown: RefCell<HashSet<u16>>,
}

impl Core {
    pub(crate) fn new(parts: Parts) -> Self {
        let known = (0..parts.bound.requests).map(|_| Known::default()).collect();
        Self {
            clock: parts.clock,
            seed: parts.seed,
            bound: parts.bound,
            destination: parts.destination,
            origin: parts.origin,
            dialer: parts.dialer,
            pool: parts.pool,
            limits: parts.limits,
            hook: parts.hook,
            tracer: parts.tracer,
            active: Active::default(),
            spares: Spares::default(),
            repeated: Repeated::default(),
            waiting_for_limits: Cell::default(),
            desks: RefCell::default(),
            first: parts.first,
            recorder: RefCell::new(parts.recorder),
            buffer: RefCell::new(vec![0; BUFFER].into()),
            known: RefCell::new(known),
            rows: RefCell::new(parts.rows),
            redact: parts.redact,
            shown: RefCell::default(),
        }
    }

    /// Borrowed for a call, never across an await.
    #[inline]
    pub(crate) fn recorder(&self) -> RefMut<'_, Recorder> {
        self.recorder.borrow_mut()
    }

    /// The read buffer; borrowed within one poll.
    #[inline]
    pub(crate) fn buffer(&self) -> RefMut<'_, Box<[u8]>> {
        self.buffer.borrow_mut()
    }

    /// The head of the last response to a request; borrowed within one poll.
    #[inline]
    pub(crate) fn known(&self, request: usize) -> Option<RefMut<'_, Known>> {
        RefMut::filter_map(self.known.borrow_mut(), |known| known.get_mut(request)).ok()
    }

    /// Where this core is in the tables of variables; borrowed for a call.
    pub(crate) fn rows(&self) -> RefMut<'_, Rows> {
        self.rows.borrow_mut()
    }

    /// Where arrivals wait; borrowed for a call.
    pub(crate) fn desks(&self) -> Ref<'_, Vec<Rc<Desk>>> {
        self.desks.borrow()
    }

    /// Shows to whoever watches where the arrivals of a load wait.
    pub(crate) fn add_desk(&self, desk: Rc<Desk>) {
        self.desks.borrow_mut().push(desk);
    }

    /// Wall time in nanoseconds since 1970, as expressions see it.
    pub(crate) fn epoch(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, nanos)
    }

    /// A user of the closed model began so much later than planned; the first one counts for the worker's start skew.
    #[inline]
    pub(crate) fn user_began(&self, late: u64) {
        self.first.user_began(late);
    }

    /// Notes the first request of this core for the worker's start skew.
    #[inline]
    pub(crate) fn sent_first(&self, sent: u64, intended: u64) {
        self.first.note(sent, intended);
    }

    /// Records what was noted of a response, or of whatever else began at `at`.
    pub(crate) fn note(&self, at: u64, note: Note<'_>) {
        if let Some(tracer) = &self.tracer {
            tracer.note(&note);
        }
        let (metric, what) = match note {
            Note::Check { metric, passed, why } => {
                if let Some(why) = why {
                    self.show(metric, why);
                }
                (metric, Observation::Good(passed))
            }
            Note::Fault { metric, message } => {
                self.show(metric, message);
                (metric, Observation::Good(false))
            }
            Note::Counter { metric, amount } => (metric, Observation::Add(amount)),
            Note::Rate { metric, good } => (metric, Observation::Good(good)),
            Note::Trend { metric, nanos } => (metric, Observation::Done(nanos)),
            Note::Captured { .. } => return,
        };
        self.observe(metric, at, what);
    }

    /// The first time that something cannot be computed is shown with its reason; all of them are counted.
    #[cold]
    fn show(&self, metric: u16, message: String) {
        if self.shown.borrow_mut().insert(metric) {
            tracing::warn!("{}; further ones are only counted", self.redact.text(message));
        }
    }

    /// Records an observation of something that began at `at`.
    #[inline]
    pub(crate) fn observe(&self, metric: u16, at: u64, what: Observation) {
        self.recorder().observe(MetricId(metric), at, self.hook, what);
    }

    /// Counts the cause of a failed request that was intended at `at`.
    pub(crate) fn failed(
        &self,
        request: RequestId,
        at: u64,
        class: ErrorClass,
        status: Option<u16>,
        example: impl FnOnce() -> String,
    ) {
        self.recorder().failed(request, at, class, status, || self.redact.text(example()));
    }

    /// Tells whoever traces what happens; costs a look when nobody does.
    #[inline]
    pub(crate) fn trace(&self, event: impl FnOnce(&Tracer) -> TraceEvent) {
        if let Some(tracer) = &self.tracer {
            tracer.send(event(tracer));
        }
    }
}
