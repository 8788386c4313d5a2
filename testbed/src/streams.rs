//! Counts of long-lived streams, WebSockets and event streams, and the log of their messages. `stats.rs` shows them
//! beside the counts of requests (`ledger.rs`).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;

use crate::clock::Clock;

/// The code under which the end of a connection without a close frame is counted (RFC 6455, 7.1.5).
pub(crate) const NO_CLOSE_FRAME: u16 = 1006;

/// Counts of the streams of one kind, or of those on one path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamStats {
    /// Opened since the start or the last reset.
    pub opened: u64,
    /// Handshakes that were refused; none for event streams.
    pub refused: u64,
    /// Open now.
    pub open: u64,
    /// The most that were open at once.
    pub peak: u64,
    /// Messages received, text or binary.
    pub messages_in: u64,
    /// Messages or events sent.
    pub messages_out: u64,
    /// Bytes of the messages received, without their frames.
    pub bytes_in: u64,
    /// Bytes of the messages sent, without their frames.
    pub bytes_out: u64,
    /// Ping frames received and answered.
    pub pings: u64,
    /// Ended streams by close code: of a socket the first close frame's, 1005 if it had none, 1006 without a frame; of
    /// an event stream 1000 at its end, 1006 if the connection ended before.
    pub closes: BTreeMap<u16, u64>,
    /// The same by path or pattern.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub paths: BTreeMap<String, StreamStats>,
}

/// One message of a stream, in the order in which the server read or wrote them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// The path or pattern.
    pub path: &'static str,
    /// When it was read, or given to the connection, in microseconds since the server's start.
    pub at_us: u64,
    /// The number of the stream, which a WebSocket's client finds in the `x-socket` header of its handshake.
    pub stream: u64,
    /// Whether the server sent it.
    pub sent: bool,
    /// Its number among the stream's messages of this direction, counted from 1.
    pub number: u32,
    /// Its length in bytes, without frames.
    pub bytes: u32,
}

/// The messages of one path or of several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// The messages.
    pub entries: Vec<Message>,
    /// Whether later messages are missing because the log was full.
    pub truncated: bool,
}

/// The streams of one kind.
#[derive(Debug)]
pub(crate) struct Streams {
    clock: Clock,
    room: usize,
    /// Numbers streams over all kinds.
    next: Arc<AtomicU64>,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    whole: StreamStats,
    paths: BTreeMap<&'static str, StreamStats>,
    log: Messages,
}

impl Book {
    /// Changes the counts of the whole and of a path.
    fn both(&mut self, path: &'static str, change: impl Fn(&mut StreamStats)) {
        change(&mut self.whole);
        change(self.paths.entry(path).or_default());
    }
}

impl Streams {
    /// No streams, and a log of at most `room` entries.
    pub(crate) fn new(clock: Clock, room: usize, next: &Arc<AtomicU64>) -> Arc<Self> {
        Arc::new(Streams { clock, room, next: next.clone(), book: Mutex::default() })
    }

    /// A poisoned lock guards plain counts that are consistent after every statement, so it is taken all the same.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a stream as open until the guard ends.
    pub(crate) fn open(self: &Arc<Self>, path: &'static str) -> OpenStream {
        self.book().both(path, |stats| {
            stats.opened += 1;
            stats.open += 1;
            stats.peak = stats.peak.max(stats.open);
        });
        let number = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        OpenStream { streams: self.clone(), path, number, code: NO_CLOSE_FRAME, read: 0, sent: 0 }
    }

    /// Counts a handshake that was refused.
    pub(crate) fn refused(&self, path: &'static str) {
        self.book().both(path, |stats| stats.refused += 1);
    }

    /// The counts of all paths that begin with the prefix, and of the whole.
    pub(crate) fn stats(&self, prefix: &str) -> StreamStats {
        let book = self.book();
        let paths = book.paths.iter().filter(|(path, _)| path.starts_with(prefix));
        let paths = paths.map(|(path, stats)| ((*path).to_owned(), stats.clone())).collect();
        StreamStats { paths, ..book.whole.clone() }
    }

    /// Streams open now.
    pub(crate) fn open_now(&self) -> u64 {
        self.book().whole.open
    }

    /// The messages of the paths that the filter takes.
    pub(crate) fn messages(&self, takes: impl Fn(&str) -> bool) -> Messages {
        let book = self.book();
        let entries = book.log.entries.iter().filter(|message| takes(message.path)).copied().collect();
        Messages { entries, truncated: book.log.truncated }
    }

    /// Empties counts and log; streams that are open stay open and count on.
    pub(crate) fn reset(&self) {
        let mut book = self.book();
        book.log = Messages::default();
        let fresh =
            |stats: &StreamStats| StreamStats { open: stats.open, peak: stats.open, ..Default::default() };
        book.whole = fresh(&book.whole);
        book.paths = book.paths.iter().map(|(path, stats)| (*path, fresh(stats))).collect();
        book.paths.retain(|_, stats| stats.open > 0);
    }
}

/// An open stream.
#[derive(Debug)]
pub(crate) struct OpenStream {
    streams: Arc<Streams>,
    path: &'static str,
    pub(crate) number: u64,
    code: u16,
    read: u32,
    sent: u32,
}

impl OpenStream {
    /// Counts and logs a message that was read at this moment.
    pub(crate) fn read(&mut self, bytes: usize, at: Instant) {
        self.read = self.read.saturating_add(1);
        self.log(false, self.read, bytes, at);
    }

    /// Counts and logs a message that is given to the connection at this moment.
    pub(crate) fn sent(&mut self, bytes: usize, at: Instant) {
        self.sent = self.sent.saturating_add(1);
        self.log(true, self.sent, bytes, at);
    }

    /// Messages sent so far.
    pub(crate) fn sent_so_far(&self) -> u64 {
        u64::from(self.sent)
    }

    fn log(&self, sent: bool, number: u32, bytes: usize, at: Instant) {
        let at_us = self.streams.clock.us(at);
        let short = u32::try_from(bytes).unwrap_or(u32::MAX);
        let message = Message { path: self.path, at_us, stream: self.number, sent, number, bytes: short };
        let mut book = self.streams.book();
        book.both(self.path, |stats| {
            let (count, sum) = match sent {
                true => (&mut stats.messages_out, &mut stats.bytes_out),
                false => (&mut stats.messages_in, &mut stats.bytes_in),
            };
            *count += 1;
            *sum += bytes as u64;
        });
        if book.log.entries.len() < self.streams.room {
            book.log.entries.push(message);
        } else {
            book.log.truncated = true;
        }
    }

    /// Counts a ping frame.
    pub(crate) fn ping(&self) {
        self.streams.book().both(self.path, |stats| stats.pings += 1);
    }

    /// Says how the stream ends; without this it ends with no close frame.
    pub(crate) fn closed(&mut self, code: u16) {
        self.code = code;
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let code = self.code;
        self.streams.book().both(self.path, |stats| {
            stats.open = stats.open.saturating_sub(1);
            *stats.closes.entry(code).or_default() += 1;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_counted_as_a_whole_and_by_path() {
        let clock = Clock::start();
        let (origin, streams) = (clock.origin, Streams::new(clock, 2, &Arc::default()));
        let (mut a, b) = (streams.open("/ws"), streams.open("/ws/echo"));
        a.read(3, origin);
        a.sent(5, origin + std::time::Duration::from_micros(7));
        a.sent(6, origin);
        a.closed(1000);
        drop(a);
        streams.refused("/ws");
        let stats = streams.stats("");
        assert_eq!((stats.opened, stats.open, stats.peak, stats.refused), (2, 1, 2, 1));
        assert_eq!((stats.messages_in, stats.messages_out, stats.bytes_out), (1, 2, 11));
        assert_eq!((&stats.closes, stats.paths["/ws/echo"].open), (&BTreeMap::from([(1000, 1)]), 1));
        let messages = streams.messages(|path| path == "/ws");
        assert_eq!((messages.entries.len(), messages.truncated), (2, true));
        assert_eq!(
            (messages.entries[1].at_us, messages.entries[1].number, messages.entries[1].sent),
            (7, 1, true)
        );
        streams.reset();
        let stats = streams.stats("");
        assert_eq!((stats.opened, stats.open, stats.peak), (0, 1, 1));
        drop(b);
        assert_eq!(streams.stats("").closes[&NO_CLOSE_FRAME], 1);
    }
}
