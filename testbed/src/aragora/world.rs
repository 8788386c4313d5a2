//! What the Aragora endpoints remember, and what they count beside the requests. One for a server; `server.rs` holds it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::auth::{Access, Pending, Refresh};
use super::debates::Debate;
use super::gauntlet::Gauntlet;
use super::knowledge::Node;
use super::pipeline::Pipeline;
use super::store::Store;
use crate::stats::AragoraStats;

/// Everything that is remembered.
#[derive(Debug)]
pub(crate) struct World {
    /// Numbers requests for the law of latencies.
    next: AtomicU64,
    /// Numbers handshakes of WebSockets for the law of refusals.
    handshakes: AtomicU64,
    books: Mutex<Books>,
}

/// What is remembered, by kind.
#[derive(Debug)]
pub(crate) struct Books {
    pub(crate) counts: AragoraStats,
    pub(super) access: Store<Access>,
    pub(super) refresh: Store<Refresh>,
    pub(super) pending: Store<Pending>,
    /// Passwords of the accounts made at a first login.
    pub(super) passwords: HashMap<String, String>,
    /// Failed logins since the last good one.
    pub(super) failures: HashMap<String, u32>,
    pub(crate) debates: Store<Debate>,
    pub(super) nodes: Store<Node>,
    /// Pieces of evidence and what they are about.
    pub(super) evidence: Store<String>,
    pub(super) gauntlets: Store<Gauntlet>,
    pub(super) pipelines: Store<Pipeline>,
}

impl Books {
    fn empty(counts: AragoraStats) -> Self {
        Books {
            counts,
            access: Store::new("access"),
            refresh: Store::new("refresh"),
            pending: Store::new("pending"),
            passwords: HashMap::new(),
            failures: HashMap::new(),
            debates: Store::new("debate"),
            nodes: Store::new("node"),
            evidence: Store::new("evidence"),
            gauntlets: Store::new("gauntlet"),
            pipelines: Store::new("pipeline"),
        }
    }
}

impl World {
    /// Nothing is remembered.
    pub(crate) fn new() -> Self {
        World {
            next: AtomicU64::new(0),
            handshakes: AtomicU64::new(0),
            books: Mutex::new(Books::empty(AragoraStats::default())),
        }
    }

    /// Takes the number of the next request, counted from 0.
    pub(super) fn take_number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Takes the number of the next handshake, counted from 0.
    pub(crate) fn take_handshake(&self) -> u64 {
        self.handshakes.fetch_add(1, Ordering::Relaxed)
    }

    /// A poisoned lock guards books that are consistent after every statement, so it is taken all the same.
    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Empties the counts and lets the laws begin anew; all ids and tokens stay good.
    pub(crate) fn restart(&self) {
        self.next.store(0, Ordering::Relaxed);
        self.handshakes.store(0, Ordering::Relaxed);
        self.books().counts = AragoraStats::default();
    }

    /// Forgets everything, as a restart of the service would: no id and no token is good any more.
    pub(crate) fn forget(&self) {
        let mut books = self.books();
        *books = Books::empty(books.counts.clone());
    }
}
