//! Whose connections they are: each user's own, or a pool shared by all users of a core. Limits, age and reuse.
//! Opened by `dial.rs`, spoken on by `h1/` and `h2.rs`, taken and given back by `request.rs`.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use plimsoll_plan::{ConnectionsPer, HttpVersion};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::active::One;
use crate::core::Core;
use crate::dial::{DialError, count_failure};
use crate::flight::Flight;
use crate::h1;
use crate::h2::H2;
use crate::io::Io;

/// The connection policy of one core.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) per: ConnectionsPer,
    /// Most connections of this core.
    pub(crate) max: Option<usize>,
    /// Nanoseconds.
    pub(crate) max_age: u64,
    pub(crate) max_requests: u64,
}

/// What is spoken on a connection.
#[derive(Debug)]
pub(crate) enum Wire {
    H1(Io),
    H2(H2),
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) wire: Wire,
    opened: u64,
    requests: Cell<u64>,
    /// Streams under way, where several users share it.
    streams: Cell<usize>,
    /// Leave to be open (own connections) or to be used (pooled HTTP/1.1), if there is a limit.
    permit: RefCell<Option<OwnedSemaphorePermit>>,
    _open: One,
}

/// The right to make one request on a connection. Dropping it instead of giving it back closes an own or pooled HTTP/1.1
/// connection, and cancels a stream.
#[derive(Debug)]
pub(crate) enum Held {
    Whole(Box<Link>),
    Stream(Slot),
}

impl Held {
    pub(crate) fn link_mut(&mut self) -> Option<&mut Link> {
        match self {
            Self::Whole(link) => Some(link),
            Self::Stream(_) => None,
        }
    }

    pub(crate) fn link(&self) -> &Link {
        match self {
            Self::Whole(link) => link,
            Self::Stream(slot) => &slot.link,
        }
    }
}

/// A connection for one session that ends with it; never shared, never given back.
#[derive(Debug)]
pub(crate) struct Fresh {
    pub(crate) io: Io,
    /// Leave to be open, if there is a limit; kept as long as the connection.
    pub(crate) permit: Option<OwnedSemaphorePermit>,
    /// Counts it as long as it is open.
    pub(crate) open: One,
}

/// One stream's place on a shared connection.
#[derive(Debug)]
pub(crate) struct Slot {
    link: Rc<Link>,
    changed: Rc<Notify>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.link.streams.set(self.link.streams.get() - 1);
        self.changed.notify_one();
    }
}

/// A connection for a request.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) held: Held,
    /// It was open before.
    pub(crate) reused: bool,
    /// Nothing was waited for.
    pub(crate) at_once: bool,
}

/// The connections of one core.
#[derive(Debug)]
pub(crate) struct Pool {
    policy: Policy,
    permits: Option<Arc<Semaphore>>,
    /// Users waiting for a permit or a stream.
    waiting: Cell<usize>,
    #[expect(clippy::vec_box, reason = "links move between users as pointers")]
    idle: RefCell<Vec<Box<Link>>>,
    shared: RefCell<Vec<Rc<Link>>>,
    /// Whether the target speaks HTTP/2, once known.
    speaks_h2: Cell<Option<bool>>,
    /// A shared connection is being opened.
    dialing: Cell<bool>,
    changed: Rc<Notify>,
}

impl Pool {
    pub(crate) fn new(policy: Policy, http: HttpVersion, tls: bool) -> Self {
        let speaks_h2 = match http {
            HttpVersion::Auto if tls => None,
            HttpVersion::Auto | HttpVersion::Http1 => Some(false),
            HttpVersion::Http2 => Some(true),
        };
        Self {
            policy,
            permits: policy.max.map(|max| Arc::new(Semaphore::new(max))),
            waiting: Cell::new(0),
            idle: RefCell::default(),
            shared: RefCell::default(),
            speaks_h2: Cell::new(speaks_h2),
            dialing: Cell::default(),
            changed: Rc::default(),
        }
    }

    /// A connection for one request of a user whose own connection, if it has one, is in `own`.
    #[inline]
    pub(crate) async fn take(
        &self,
        own: &mut Option<Box<Link>>,
        flight: &mut Flight<'_>,
    ) -> Result<Taken, DialError> {
        let core = flight.core();
        match self.policy.per {
            ConnectionsPer::User => {
                if let Some(link) = self.usable(own.take(), core).await {
                    return Ok(Taken { held: Held::Whole(link), reused: true, at_once: true });
                }
                Box::pin(self.open_own(flight)).await
            }
            ConnectionsPer::Worker if self.speaks_h2.get() == Some(false) => self.take_pooled(flight).await,
            ConnectionsPer::Worker => match self.free_stream() {
                Some(taken) => Ok(taken),
                None => Box::pin(self.take_shared(flight)).await,
            },
        }
    }

    /// A stream of an open connection, if nobody waits for one.
    fn free_stream(&self) -> Option<Taken> {
        if self.waiting.get() > 0 {
            return None;
        }
        self.stream().map(|link| self.slot(link, true))
    }

    /// A connection of its own for a session over HTTP/1.1, be it upgraded or not. Where connections are limited, one that waits for
    /// its user's next request, or for anybody's, makes room.
    pub(crate) async fn fresh(
        &self,
        own: &mut Option<Box<Link>>,
        flight: &mut Flight<'_>,
    ) -> Result<Fresh, DialError> {
        let core = flight.core();
        if self.permits.is_some() {
            drop(own.take());
        }
        let permit = self.permit().await;
        if self.permits.is_some() {
            drop(self.idle.borrow_mut().pop());
        }
        let dialed = core.dialer.target_http1(&core.destination).await;
        let dialed = dialed.inspect_err(|error| count_failure(core, error))?;
        core.recorder().health().connections += 1;
        flight.opened(dialed.split);
        Ok(Fresh { io: dialed.io, permit, open: core.active.connections.one() })
    }

    /// Returns a connection after a complete exchange.
    #[inline]
    pub(crate) fn give_back(&self, held: Held, own: &mut Option<Box<Link>>, keep_alive: bool, now: u64) {
        let link = held.link();
        link.requests.set(link.requests.get() + 1);
        let keep = keep_alive && !self.is_worn(link, now);
        match held {
            Held::Whole(link)
                if keep && self.policy.per == ConnectionsPer::User && self.waiting.get() == 0 =>
            {
                *own = Some(link);
            }
            Held::Whole(link) if keep && self.policy.per == ConnectionsPer::Worker => {
                drop(link.permit.take());
                self.idle.borrow_mut().push(link);
            }
            Held::Stream(slot) if !keep => self.forget(&slot.link),
            Held::Whole(_) | Held::Stream(_) => {}
        }
    }

    fn is_worn(&self, link: &Link, now: u64) -> bool {
        link.requests.get() >= self.policy.max_requests
            || now.saturating_sub(link.opened) >= self.policy.max_age
    }

    /// The link, if it can take another request.
    async fn usable(&self, link: Option<Box<Link>>, core: &Core) -> Option<Box<Link>> {
        let mut link = link?;
        if self.policy.max_age != u64::MAX && self.is_worn(&link, core.clock.now()) {
            return None;
        }
        let stale = match &mut link.wire {
            Wire::H1(io) => poll_fn(|cx| Poll::Ready(h1::is_stale(io, cx))).await,
            Wire::H2(connection) => connection.is_closed(),
        };
        if stale { None } else { Some(link) }
    }

    async fn open_own(&self, flight: &mut Flight<'_>) -> Result<Taken, DialError> {
        let permit = self.permit().await;
        let link = Box::new(self.open(permit, flight).await?);
        Ok(Taken { held: Held::Whole(link), reused: false, at_once: false })
    }

    /// HTTP/1.1: a permit is the right to use a connection; idle ones and those in use together never exceed the limit, since
    /// one is only opened when none is idle.
    async fn take_pooled(&self, flight: &mut Flight<'_>) -> Result<Taken, DialError> {
        let permit = if self.permits.is_some() { self.permit().await } else { None };
        loop {
            let Some(link) = self.idle.borrow_mut().pop() else { break };
            if let Some(link) = self.usable(Some(link), flight.core()).await {
                *link.permit.borrow_mut() = permit;
                return Ok(Taken { held: Held::Whole(link), reused: true, at_once: self.permits.is_none() });
            }
        }
        let link = Box::pin(self.open(permit, flight)).await?;
        Ok(Taken { held: Held::Whole(Box::new(link)), reused: false, at_once: false })
    }

    /// HTTP/2, or a target whose protocol is not known yet: one connection is opened at a time.
    async fn take_shared(&self, flight: &mut Flight<'_>) -> Result<Taken, DialError> {
        if self.waiting.get() > 0 {
            // Behind those who came before.
            self.wait_for_change().await;
        }
        loop {
            if self.speaks_h2.get() == Some(false) {
                return self.take_pooled(flight).await;
            }
            if let Some(link) = self.stream() {
                if self.waiting.get() > 0 {
                    // There may be room for the next one, too.
                    self.changed.notify_one();
                }
                return Ok(self.slot(link, true));
            }
            let full = self.policy.max.is_some_and(|max| self.shared.borrow().len() >= max);
            if full || self.dialing.get() {
                self.wait_for_change().await;
                continue;
            }
            let _dialing = Dialing::begin(&self.dialing, &self.changed);
            let link = self.open(None, flight).await?;
            if matches!(link.wire, Wire::H1(_)) {
                self.idle.borrow_mut().push(Box::new(link));
                continue;
            }
            let link = Rc::new(link);
            self.shared.borrow_mut().push(Rc::clone(&link));
            return Ok(self.slot(link, false));
        }
    }

    async fn wait_for_change(&self) {
        let _waiting = Waiting::begin(&self.waiting);
        self.changed.notified().await;
    }

    fn slot(&self, link: Rc<Link>, reused: bool) -> Taken {
        link.streams.set(link.streams.get() + 1);
        let slot = Slot { link, changed: Rc::clone(&self.changed) };
        Taken { held: Held::Stream(slot), reused, at_once: false }
    }

    /// The least loaded shared connection with room for a stream. With an explicit number of connections, each is opened
    /// before one carries two streams; otherwise one is filled before the next.
    fn stream(&self) -> Option<Rc<Link>> {
        let mut shared = self.shared.borrow_mut();
        shared.retain(|link| !matches!(&link.wire, Wire::H2(connection) if connection.is_closed()));
        let spread = !self.dialing.get() && self.policy.max.is_some_and(|max| shared.len() < max);
        let room = |link: &&Rc<Link>| match &link.wire {
            Wire::H2(connection) => link.streams.get() < if spread { 1 } else { connection.capacity() },
            Wire::H1(_) => false,
        };
        shared.iter().filter(room).min_by_key(|link| link.streams.get()).cloned()
    }

    fn forget(&self, link: &Rc<Link>) {
        self.shared.borrow_mut().retain(|other| !Rc::ptr_eq(other, link));
        self.changed.notify_one();
    }

    /// Users that wait for a connection or a stream, since all are in use.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.get()
    }

    async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        let permits = Arc::clone(self.permits.as_ref()?);
        let _waiting = Waiting::begin(&self.waiting);
        // The semaphore is never closed.
        permits.acquire_owned().await.ok()
    }

    async fn open(
        &self,
        permit: Option<OwnedSemaphorePermit>,
        flight: &mut Flight<'_>,
    ) -> Result<Link, DialError> {
        let core = flight.core();
        let dialed = core.dialer.target(&core.destination).await;
        let dialed = dialed.inspect_err(|error| count_failure(core, error))?;
        core.recorder().health().connections += 1;
        self.speaks_h2.set(Some(dialed.h2));
        flight.opened(dialed.split);
        let wire = if dialed.h2 { Wire::H2(speak_h2(core, dialed.io).await?) } else { Wire::H1(dialed.io) };
        Ok(Link {
            wire,
            opened: core.clock.now(),
            requests: Cell::new(0),
            streams: Cell::new(0),
            permit: RefCell::new(permit),
            _open: core.active.connections.one(),
        })
    }
}

/// Begins HTTP/2 on a fresh connection.
pub(crate) async fn speak_h2(core: &Core, io: Io) -> Result<H2, DialError> {
    H2::open(io).await.map_err(|error| DialError::NoPreface {
        host: core.destination.host.clone(),
        cause: error.to_string(),
    })
}

/// Counts a waiting user for as long as it lives.
struct Waiting<'p>(&'p Cell<usize>);

impl<'p> Waiting<'p> {
    fn begin(count: &'p Cell<usize>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Only one shared connection is opened at a time; whoever waits looks again when it is open or has failed.
struct Dialing<'p>(&'p Cell<bool>, &'p Notify);

impl<'p> Dialing<'p> {
    fn begin(flag: &'p Cell<bool>, changed: &'p Notify) -> Self {
        flag.set(true);
        Self(flag, changed)
    }
}

impl Drop for Dialing<'_> {
    fn drop(&mut self) {
        self.0.set(false);
        self.1.notify_waiters();
    }
}
