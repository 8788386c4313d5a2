//! The run's time: nanoseconds since the agreed start, and a timer that wakes within microseconds of them.
//!
//! Tokio's own timers round up to the next millisecond twice; the drivers in `closed.rs` and `open.rs` therefore wait on a
//! timerfd. Pauses and timeouts of users, which nobody schedules to the microsecond, use tokio's.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Counts from the agreed start, which may lie in the past or in the future.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
    /// The same moment in nanoseconds of the kernel's monotonic clock, which is what an [`Instant`] counts and does not tell:
    /// subtracting numbers costs a fraction of subtracting instants, four times per request.
    origin: i64,
}

/// Readings of both clocks until they are certain to be of the same moment, should the thread be interrupted in between.
const READINGS: usize = 100;
/// How close together they are to be, nanoseconds.
const CLOSE: i64 = 200;

/// The kernel's monotonic clock in nanoseconds.
#[inline]
pub(crate) fn monotonic() -> i64 {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Monotonic);
    tv_sec * 1_000_000_000 + tv_nsec
}

impl Clock {
    pub(crate) fn new(start: Instant) -> Self {
        let reading = |_| {
            let before = monotonic();
            let instant = Instant::now();
            (monotonic() - before, before, instant)
        };
        let mut best = reading(0);
        for again in (1..READINGS).map(reading) {
            if best.0 <= CLOSE {
                break;
            }
            if again.0 < best.0 {
                best = again;
            }
        }
        let (took, before, instant) = best;
        let now = before + took / 2;
        let origin = match instant.checked_duration_since(start) {
            Some(since) => now - signed(since),
            None => now + signed(start.saturating_duration_since(instant)),
        };
        Self { start, origin }
    }

    /// Nanoseconds since the start; 0 before it.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(monotonic() - self.origin).unwrap_or(0)
    }

    /// Whether an offset has come. Unlike `now() >= offset` this is false for 0 before the start.
    #[inline]
    pub(crate) fn has_reached(&self, offset: u64) -> bool {
        u64::try_from(monotonic() - self.origin).is_ok_and(|since| since >= offset)
    }

    /// The moment of an offset; far offsets are clamped to about a century.
    pub(crate) fn instant(&self, offset: u64) -> Instant {
        const FAR: u64 = 100 * 365 * 86_400 * 1_000_000_000;
        self.start + Duration::from_nanos(offset.min(FAR))
    }
}

/// Whole nanoseconds of a duration; a century at most.
fn signed(duration: Duration) -> i64 {
    const FAR: i64 = 100 * 365 * 86_400 * 1_000_000_000;
    i64::try_from(duration.as_nanos()).unwrap_or(FAR).min(FAR)
}

/// Whole nanoseconds of a duration; five centuries at most.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A timer of the kernel on this thread's event loop.
#[derive(Debug)]
pub(crate) struct Timer {
    fd: AsyncFd<OwnedFd>,
}

impl Timer {
    /// Must be called within a runtime.
    #[expect(
        deprecated,
        reason = "its successor is unsafe; an owned descriptor keeps the contract that it asks for"
    )]
    pub(crate) fn new() -> io::Result<Self> {
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        Ok(Self { fd: AsyncFd::with_interest(fd, Interest::READABLE)? })
    }

    /// Returns at once if the deadline has passed. May be dropped and called again with another deadline.
    pub(crate) async fn sleep_until(&self, deadline: Instant) {
        if let Err(error) = self.wait(deadline).await {
            // Not known to happen; the lateness of a coarser timer shows in the result.
            tracing::warn!(%error, "the precise timer failed; using the coarse one");
            tokio::time::sleep_until(deadline.into()).await;
        }
    }

    async fn wait(&self, deadline: Instant) -> io::Result<()> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.arm(left)?;
            // The expiry is not read: arming again takes it back, and readiness is told once per expiry.
            self.fd.readable().await?.clear_ready();
        }
    }

    fn arm(&self, left: Duration) -> io::Result<()> {
        let once = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(left.subsec_nanos()),
            },
        };
        timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_from_a_start_in_the_past_and_stands_still_before_one_in_the_future() {
        let past = Clock::new(Instant::now() - Duration::from_secs(2));
        assert!(past.now() >= 2_000_000_000);
        let future = Clock::new(Instant::now() + Duration::from_secs(60));
        assert_eq!(future.now(), 0);
        assert!(!future.has_reached(0) && past.has_reached(2_000_000_000));
        assert!(future.instant(u64::MAX) > Instant::now());
    }

    #[test]
    fn counts_what_instants_count() {
        let start = Instant::now() - Duration::from_secs(3);
        let clock = Clock::new(start);
        for _ in 0..1000 {
            let (before, now, after) = (nanos(start.elapsed()), clock.now(), nanos(start.elapsed()));
            assert!(before <= now + 1_000 && now <= after + 1_000, "{before} {now} {after}");
        }
    }

    #[test]
    fn the_timer_never_wakes_early_and_can_be_rearmed() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let timer = Timer::new().unwrap();
            for micros in [50, 900, 1_500, 3_000] {
                let deadline = Instant::now() + Duration::from_micros(micros);
                timer.sleep_until(deadline).await;
                assert!(Instant::now() >= deadline);
            }
            let long = timer.sleep_until(Instant::now() + Duration::from_secs(3600));
            assert!(tokio::time::timeout(Duration::from_millis(5), long).await.is_err());
            let soon = Instant::now() + Duration::from_millis(1);
            tokio::time::timeout(Duration::from_secs(5), timer.sleep_until(soon)).await.unwrap();
        });
    }
}
