//! One connection of a worker: carries what `client.rs` keeps to the operator, and its orders back. Other side: `attend.rs`.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::Start;
use crate::client::Shared;
use crate::clock::{Offset, agreed};
use crate::proto::from_operator::Message as Say;
use crate::proto::from_worker::Message as Heard;
use crate::proto::{self, FromWorker};
use crate::protocol;
use crate::reach::{Link, Unreached};

/// Round trips between the first ones and the start, so that clocks that drift apart are noticed.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// What was said on this connection.
struct Course {
    wall: fn() -> SystemTime,
    wanted: u32,
    offset: Offset,
    /// The round trip under way: number, our wall clock (ns), begin.
    trip: Option<(u32, u64, Instant)>,
    trips: u32,
    next_probe: Instant,
    said_ready: bool,
    said_failed: bool,
    said_last: bool,
}

/// Carries messages until the connection ends; answers why.
pub(crate) async fn carry(shared: &Shared, wall: fn() -> SystemTime, mut link: Link) -> Unreached {
    shared.said().outbox.resume(link.last_seq);
    let mut course = Course {
        wall,
        wanted: link.probes,
        offset: Offset::default(),
        trip: None,
        trips: 0,
        next_probe: Instant::now(),
        said_ready: false,
        said_failed: false,
        said_last: false,
    };
    let broken = |text: &str| Unreached::Silence(format!("the connection to the operator broke: {text}"));
    loop {
        while let Some(message) = course.next(shared) {
            if link.out.send(FromWorker { message: Some(message) }).await.is_err() {
                return broken("it takes no more messages");
            }
        }
        let probe = course.probing(shared) && course.trip.is_none();
        tokio::select! {
            message = link.inbound.message() => match message {
                Ok(Some(message)) => if let Some(end) = course.hear(shared, message.message) {
                    return end;
                },
                Ok(None) => return broken("it ended"),
                Err(status) => return broken(status.message()),
            },
            () = shared.news.notified() => {}
            () = tokio::time::sleep_until(course.next_probe.into()), if probe => {}
        }
    }
}

impl Course {
    /// Clocks are compared until the start is known.
    fn probing(&self, shared: &Shared) -> bool {
        shared.heard.borrow().start.is_none()
    }

    /// What to say next, if anything.
    fn next(&mut self, shared: &Shared) -> Option<Heard> {
        if self.probing(shared) && self.trip.is_none() && self.next_probe <= Instant::now() {
            self.trips += 1;
            self.trip = Some((self.trips, nanos((self.wall)()), Instant::now()));
            return Some(Heard::Probe(proto::Probe { id: self.trips }));
        }
        let mut said = shared.said();
        if let Some(cause) = said.failed.as_ref().filter(|_| !self.said_failed) {
            self.said_failed = true;
            return Some(Heard::Failed(protocol::write_failed(cause)));
        }
        let compared = self.offset.samples() >= self.wanted || !self.probing(shared);
        if let Some(readiness) = said.ready.as_ref().filter(|_| !self.said_ready && compared) {
            self.said_ready = true;
            return Some(Heard::Ready(protocol::write_ready(readiness, !self.probing(shared))));
        }
        let (skew, gauges) = (said.skew, said.gauges.map(protocol::write_gauges));
        if let Some(delta) = said.outbox.next() {
            return Some(Heard::Delta(proto::Delta { skew, gauges, ..delta }));
        }
        let last = said.last.as_ref().filter(|_| !self.said_last)?;
        let message = protocol::write_final(last, said.outbox.settled()?);
        self.said_last = true;
        Some(Heard::Final(message))
    }

    /// Takes what the operator said; answers why the connection ends, if it does.
    fn hear(&mut self, shared: &Shared, message: Option<Say>) -> Option<Unreached> {
        match message? {
            Say::Welcome(_) => {}
            Say::ProbeReply(reply) => self.arrived(&reply),
            Say::Start(start) => {
                let (wall, now) = (nanos((self.wall)()), Instant::now());
                let agreed = agreed(start.at, self.offset.lead(), wall, now);
                let start = Start { setup: start.setup, ..agreed };
                // Only the first one counts: the load may have begun with it.
                shared.heard.send_modify(|heard| {
                    heard.start.get_or_insert(start);
                });
            }
            Say::DeltaAck(ack) => shared.said().outbox.acked(ack.seq),
            Say::Resend(_) => {
                shared.said().outbox.resend();
                self.said_last = false;
            }
            Say::Stop(stop) => shared.stop(protocol::read_stop(stop)),
            Say::Noted(_) => shared.heard.send_modify(|heard| heard.noted = true),
            Say::Ack(_) => shared.heard.send_modify(|heard| heard.acked = true),
            Say::Redirect(redirect) => return Some(Unreached::Elsewhere(redirect.leader)),
            Say::Refuse(refuse) if refuse.retry => return Some(Unreached::Later(refuse.reason)),
            Say::Refuse(refuse) => return Some(Unreached::Refused(refuse.reason)),
        }
        None
    }

    fn arrived(&mut self, reply: &proto::ProbeReply) {
        let Some((_, sent, begun)) = self.trip.take_if(|(id, _, _)| *id == reply.id) else { return };
        let trip = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.offset.sample(sent, trip, reply.now);
        let pause = if self.offset.samples() < self.wanted { Duration::ZERO } else { PROBE_EVERY };
        self.next_probe = Instant::now() + pause;
    }
}

fn nanos(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
