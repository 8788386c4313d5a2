//! What a core is doing now: users, requests, connections. Counted where they begin and end (`closed.rs`, `open.rs`, `flight.rs`,
//! `pool.rs`), asked for with every snapshot (`thread.rs`).

use std::cell::Cell;
use std::rc::Rc;

use plimsoll_measure::Gauges;

/// The counts of one core.
#[derive(Debug, Default)]
pub(crate) struct Active {
    pub(crate) users: Count,
    /// Those on the hot path are counted without a guard.
    pub(crate) requests: Cell<u64>,
    pub(crate) connections: Count,
}

impl Active {
    /// As of now; how much CPU the process used is not known here.
    pub(crate) fn gauges(&self) -> Gauges {
        Gauges {
            users: self.users.0.get(),
            requests: self.requests.get(),
            connections: self.connections.0.get(),
            ..Gauges::default()
        }
    }
}

/// How many there are.
#[derive(Debug, Default)]
pub(crate) struct Count(Rc<Cell<u64>>);

impl Count {
    /// One more, for as long as the value lives.
    pub(crate) fn one(&self) -> One {
        self.0.set(self.0.get() + 1);
        One(Rc::clone(&self.0))
    }
}

/// One of those that are counted.
#[derive(Debug)]
pub(crate) struct One(Rc<Cell<u64>>);

impl Drop for One {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
