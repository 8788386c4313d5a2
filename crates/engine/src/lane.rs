//! What one virtual user carries from step to step: its memory, its connection, its buffers, and how long it may go on. Made by
//! `closed.rs`, `open.rs` and `hooks.rs`; used by `steps.rs`, `request.rs`, `ws/` and `sse/`.

use std::rc::Rc;

use plimsoll_measure::RequestId;
use plimsoll_scenario::{Env, Memory, Response};

use crate::core::Core;
use crate::deadline::Deadline;
use crate::fault::class_name;
use crate::flight::{Ended, Flight};
use crate::h1::Headers;
use crate::pool::Link;
use crate::span::Span;

/// One user, or one place for arrivals.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) memory: Memory,
    /// The time of its load.
    pub(crate) span: Rc<Span>,
    /// When its user retires, nanoseconds since the start of the run; `u64::MAX` if never.
    pub(crate) retires: u64,
    /// When the schedule asked for its next request, if a schedule did and the request was not begun yet.
    pub(crate) due: Option<u64>,
    /// The time, if it was read just now, for the step that is next.
    pub(crate) now: Option<u64>,
    /// It finishes what it has begun: requests may begin until the hard end.
    pub(crate) finishing: bool,
    /// Its next request repeats one that failed.
    pub(crate) retry: bool,
    /// A step failed since this was last looked at.
    pub(crate) failed: bool,
    /// Where the step stands in the manifest that ended the iteration or the user, if one did.
    pub(crate) failed_at: Option<String>,
    /// Its own connection, if users have one.
    pub(crate) link: Option<Box<Link>>,
    /// A request that varies is rendered here.
    pub(crate) out: Vec<u8>,
    /// What is kept of a body, until it becomes part of a response.
    pub(crate) body: Vec<u8>,
    pub(crate) deadline: Deadline,
}

impl Lane {
    pub(crate) fn new(memory: Memory, span: Rc<Span>, retires: u64) -> Self {
        Self {
            memory,
            span,
            retires,
            due: None,
            now: None,
            finishing: false,
            retry: false,
            failed: false,
            failed_at: None,
            link: None,
            out: Vec::new(),
            body: Vec::new(),
            deadline: Deadline::default(),
        }
    }

    /// Whether it may begin no request any more.
    #[inline]
    pub(crate) fn is_over(&self, now: u64) -> bool {
        let end = if self.finishing { &self.span.hard_end } else { &self.span.end };
        now >= end.get()
    }

    /// A request that begins now, or that was due before; nothing if the load is over. What was due before its end still goes out.
    #[inline]
    pub(crate) fn begin<'c>(&mut self, core: &'c Core, request: u16, now: u64) -> Option<Flight<'c>> {
        let request = RequestId(request);
        match self.due.take() {
            Some(intended) => Some(Flight::scheduled(core, request, intended)),
            None if self.is_over(now) => None,
            None => Some(Flight::begun(core, request, now, self.retry)),
        }
    }

    /// What expressions are evaluated with; without a response of its own they see the user's last one.
    pub(crate) fn env<'a>(&'a mut self, core: &'a Core) -> Env<'a> {
        env_at(core, &mut self.memory, core.epoch())
    }

    /// Makes a response the user's last one. The body is what was kept of it; the buffers of the one before are used again.
    pub(crate) fn remember(&mut self, headers: Headers, ended: &Ended) {
        let body = std::mem::take(&mut self.body);
        let error = ended.error.map(class_name);
        let response = Response::new(ended.status, headers, body, ended.latency, error);
        match &mut self.memory.last {
            Some(last) => {
                let before = std::mem::replace(&mut **last, response);
                self.body = before.body;
                self.body.clear();
            }
            last => *last = Some(Box::new(response)),
        }
    }
}

/// What expressions are evaluated with at a wall time.
pub(crate) fn env_at<'a>(core: &'a Core, memory: &'a mut Memory, now: u64) -> Env<'a> {
    Env { shared: &core.bound.shared, memory, response: None, message: None, now }
}
