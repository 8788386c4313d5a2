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
            self.numbered.push_back(proto::Delta {
                seq: self.last,
                cumulative,
                snapshot: Some(part),
                ..proto::Delta::default()
            });
        }
    }

    /// The last number given, when everything measured has arrived on the other side.
    pub(crate) fn settled(&self) -> Option<u64> {
        (self.pending.is_none() && !self.restart && self.numbered.is_empty()).then_some(self.last)
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_measure::{Layout, Second};

    use super::*;

    /// Number, cumulative, requests.
    type Sent = (u64, bool, u64);

    /// A snapshot of one request sent in this second.
    fn one(second: u32) -> Snapshot {
        Snapshot { series: vec![Second { second, sent: 1, ..Second::default() }], ..Snapshot::default() }
    }

    fn outbox(seconds: std::ops::Range<u32>) -> Outbox {
        let mut outbox = Outbox::new(wire::MAX_MESSAGE);
        seconds.for_each(|second| outbox.add(one(second)));
        outbox
    }

    /// All that may go out now.
    fn drain(outbox: &mut Outbox) -> Vec<Sent> {
        let read = |delta: proto::Delta| {
            let snapshot = wire::decode(&delta.snapshot.unwrap(), &Layout::default()).unwrap();
            (delta.seq, delta.cumulative, snapshot.series.iter().map(|second| second.sent).sum())
        };
        std::iter::from_fn(|| outbox.next()).map(read).collect()
    }

    #[test]
    fn what_waits_is_merged_and_memory_stays_bounded() {
        let mut outbox = Outbox::new(wire::MAX_MESSAGE);
        for second in 0..100 {
            outbox.add(one(second));
            outbox.next();
        }
        assert_eq!(outbox.numbered.len(), WINDOW);
        assert_eq!(outbox.next(), None, "the window is full");
        assert_eq!(outbox.settled(), None);
        outbox.acked(3);
        assert_eq!(drain(&mut outbox), [(9, false, 92)]);
        outbox.acked(9);
        assert_eq!(outbox.settled(), Some(9));
        assert_eq!(outbox.total().series.len(), 100);
    }

    #[test]
    fn a_connection_goes_on_where_the_other_side_is() {
        let table: [(u64, u64, &[Sent]); 6] = [
            // acked before, last_seq of the welcome, what goes out then (of four deltas, the fourth not yet numbered)
            (0, 0, &[(1, false, 1), (2, false, 1), (3, false, 1), (4, false, 1)]),
            (0, 2, &[(3, false, 1), (4, false, 1)]),
            (2, 2, &[(3, false, 1), (4, false, 1)]),
            (2, 3, &[(4, false, 1)]),
            (2, 0, &[(4, true, 4)]),
            (2, 7, &[(8, true, 4)]),
        ];
        for (acked, last_seq, want) in table {
            let mut outbox = outbox(0..0);
            for second in 0..3 {
                outbox.add(one(second));
                outbox.next();
            }
            outbox.acked(acked);
            outbox.add(one(3));
            outbox.resume(last_seq);
            assert_eq!(drain(&mut outbox), want, "acked {acked}, welcome {last_seq}");
            let last = want.last().unwrap().0;
            outbox.acked(last);
            assert_eq!(outbox.settled(), Some(last));
        }
    }

    #[test]
    fn nothing_measured_is_nothing_to_say() {
        let mut outbox = outbox(0..0);
        outbox.resume(0);
        assert_eq!((outbox.next(), outbox.settled()), (None, Some(0)));
    }

    #[test]
    fn a_cut_sum_marks_its_first_part_and_survives_a_break_between() {
        let mut outbox = Outbox::new(5 << 10);
        (0..200).for_each(|second| outbox.add(one(second)));
        outbox.resend();
        let first = outbox.next().unwrap();
        assert_eq!((first.seq, first.cumulative), (1, true));
        outbox.resume(1);
        let mut rest = Vec::new();
        while let Some(seq) = outbox.next().map(|delta| (delta.seq, delta.cumulative)) {
            outbox.acked(seq.0);
            rest.push(seq);
        }
        assert!(rest.len() >= 2);
        assert!(rest.iter().zip(2..).all(|(got, seq)| *got == (seq, false)), "{rest:?}");
    }
}
