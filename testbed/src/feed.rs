//! A response body that comes event by event at its times: Server-Sent Events. The protocols (`http1/write.rs`,
//! `http2.rs`) play it, `aragora/spectate.rs` makes it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::streams::{OpenStream, Streams};

/// What is sent after a time of silence, so that both sides know that the other is there.
const HEARTBEAT: Bytes = Bytes::from_static(b": heartbeat\n\n");

/// When an event is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    At(Instant),
    /// Never, and the stream stays open all the same.
    Never,
    /// There is no such event: the stream is at its end.
    End,
}

/// Where the events of a feed come from.
pub(crate) trait Source: Send + Sync {
    /// When the event with this number, counted from 0, is due.
    fn due(&self, number: u64) -> Due;
    /// The event as it is sent at this moment.
    fn event(&self, number: u64, now: Instant) -> Bytes;
}

/// A body in events.
#[derive(Clone)]
pub(crate) struct Feed {
    pub(crate) source: Arc<dyn Source>,
    /// The silence after which a comment is sent.
    pub(crate) heartbeat: Duration,
    /// Events after which the connection is dropped.
    pub(crate) drop_after: Option<u64>,
    /// Where it is counted, and under which pattern.
    pub(crate) streams: Arc<Streams>,
    pub(crate) pattern: &'static str,
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("pattern", &self.pattern).finish_non_exhaustive()
    }
}

/// How a feed ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With its last event, or because the server stops.
    Complete,
    /// By a fault, in the middle.
    Dropped,
    /// By the client, who left.
    Left,
}

/// A feed being sent.
pub(crate) struct Player {
    feed: Feed,
    stream: OpenStream,
    number: u64,
    quiet_since: Instant,
}

impl Player {
    /// Begins to send a feed, which counts as open until this goes.
    pub(crate) fn new(feed: &Feed, now: Instant) -> Self {
        Player { feed: feed.clone(), stream: feed.streams.open(feed.pattern), number: 0, quiet_since: now }
    }

    /// When the next event or comment is due; how the feed ends if there is none.
    pub(crate) fn next(&self) -> Result<Instant, End> {
        if self.feed.drop_after.is_some_and(|count| self.number >= count) {
            return Err(End::Dropped);
        }
        let beat = self.quiet_since + self.feed.heartbeat;
        match self.feed.source.due(self.number) {
            Due::At(due) => Ok(due.min(beat)),
            Due::Never => Ok(beat),
            Due::End => Err(End::Complete),
        }
    }

    /// What is due at this moment; it is to be sent at once.
    pub(crate) fn take(&mut self, now: Instant) -> Bytes {
        self.quiet_since = now;
        match self.feed.source.due(self.number) {
            Due::At(due) if due <= now => {
                let event = self.feed.source.event(self.number, now);
                self.number += 1;
                self.stream.sent(event.len(), now);
                event
            }
            _ => HEARTBEAT,
        }
    }

    /// Says how it ended.
    pub(crate) fn end(mut self, end: End) {
        if end == End::Complete {
            self.stream.closed(1000);
        }
    }
}
