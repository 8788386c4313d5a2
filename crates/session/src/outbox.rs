//! What a worker measured and has not yet seen acknowledged: numbers, windows, resends. Pure; used by `client.rs`, the
//! receiving side is `gather.rs`.

use std::collections::VecDeque;

use plimsoll_measure::{Snapshot, coalesce};

use crate::gather::SERIES_POINTS;
use crate::{proto, wire};

/// Most deltas on their way at once. What is measured meanwhile is merged into the next one, so a long outage costs no memory.
const WINDOW: usize = 8;

/// Keeps and numbers deltas.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// Everything ever measured.
    total: Snapshot,
    /// Measured, not numbered yet.
    pending: Option<Snapshot>,
    /// Numbered, not acknowledged.
    numbered: VecDeque<proto::Delta>,
    /// How many of `numbered` went out on this connection.
    sent: usize,
    last: u64,
    acked: u64,
    /// The next message must be the cumulative one.
    restart: bool,
    limit: usize,
}

impl Outbox {
    /// Nothing was measured yet. `limit` is the largest message, bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            total: Snapshot::default(),
            pending: None,
            numbered: VecDeque::new(),
            sent: 0,
            last: 0,
            acked: 0,
            restart: false,
            limit,
        }
    }

    /// Keeps what was measured since the last call.
    pub(crate) fn add(&mut self, delta: Snapshot) {
        self.total.merge(&delta);
        coalesce(&mut self.total.series, SERIES_POINTS);
        match &mut self.pending {
            Some(pending) => pending.merge(&delta),
            None => self.pending = Some(delta),
        }
    }

    /// Everything ever measured.
    pub(crate) fn total(&self) -> &Snapshot {
        &self.total
    }

    /// A connection begins and the other side has everything up to `last_seq`.
    pub(crate) fn resume(&mut self, last_seq: u64) {
        self.sent = 0;
        if last_seq < self.acked || last_seq > self.last {
            self.last = self.last.max(last_seq);
            self.resend();
        } else {
            self.acked(last_seq);
        }
    }

    /// The other side lacks deltas that may be gone here: everything goes out anew.
    pub(crate) fn resend(&mut self) {
        self.numbered.clear();
        self.sent = 0;
        self.pending = None;
        self.restart = true;
    }

    /// Everything up to `seq` arrived.
    pub(crate) fn acked(&mut self, seq: u64) {
        self.acked = self.acked.max(seq.min(self.last));
        while self.numbered.front().is_some_and(|delta| delta.seq <= self.acked) {
            self.numbered.pop_front();
            self.sent = self.sent.saturating_sub(1);
        }
    }

    /// The next delta to send on this connection, if the window allows one now.
    pub(crate) fn next(&mut self) -> Option<proto::Delta> {
        if self.sent >= WINDOW {
            return None;
        }
        if self.sent == self.numbered.len() {
            self.number();
        }
        let delta = self.numbered.get(self.sent)?.clone();
        self.sent += 1;
        Some(delta)
    }

    fn number(&mut self) {
        let restart = std::mem::take(&mut self.restart);
        let pending = self.pending.take();
        let parts = match (restart, &pending) {
            (true, _) => wire::encode(&self.total, self.limit),
            (false, Some(delta)) => wire::encode(delta, self.limit),
            (false, None) => return,
        };
        for (at, part) in parts.into_iter().enumerate() {
            self.last += 1;
            let cumulative = restart && at == 0;
            let delta = proto::Delta { seq: self.last, cumulative, snapshot: Some(part), skew: None };
            self.numbered.push_back(delta);
        }
    }

    /// The last number given, when everything measured has arrived on the other side.
    pub(crate) fn settled(&self) -> Option<u64> {
        (self.pending.is_none() && !self.restart && self.numbered.is_empty()).then_some(self.last)
    }
}
