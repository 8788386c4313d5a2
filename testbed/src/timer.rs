//! Sleeping until an instant, within some tens of microseconds. The runtime's own timer counts whole
//! milliseconds; this one arms a kernel timer (timerfd) for the earliest deadline of its thread.

use std::cell::{Cell, RefCell};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The deadlines of one thread. `drive` must run for any sleep to end.
pub(crate) struct Timer {
    fd: AsyncFd<OwnedFd>,
    waiting: RefCell<BinaryHeap<Reverse<Waiting>>>,
    /// The deadline that the kernel timer is armed for.
    armed: Cell<Option<Instant>>,
}

struct Waiting {
    deadline: Instant,
    sleeper: Sleeper,
}

/// Who is to be woken; emptied when the sleep is given up, so that nothing of its task is kept until then.
type Sleeper = Rc<Cell<Option<Waker>>>;

impl Timer {
    /// A timer of the runtime it is called in.
    #[expect(
        deprecated,
        reason = "its successor is unsafe; an owned descriptor keeps the contract that it asks for"
    )]
    pub(crate) fn new() -> io::Result<Rc<Self>> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let fd = AsyncFd::with_interest(fd, Interest::READABLE)?;
        Ok(Rc::new(Timer { fd, waiting: RefCell::default(), armed: Cell::new(None) }))
    }

    /// Ends at the deadline, never before.
    pub(crate) fn sleep_until(&self, deadline: Instant) -> Sleep<'_> {
        Sleep { timer: self, deadline, sleeper: None }
    }

    /// Wakes sleepers, for ever.
    pub(crate) async fn drive(&self) -> io::Result<()> {
        loop {
            // The expiry is not read: arming again takes it back, and readiness is told once per expiry.
            self.fd.readable().await?.clear_ready();
            self.armed.set(None);
            self.wake(Instant::now());
            let next = self.waiting.borrow().peek().map(|Reverse(next)| next.deadline);
            if let Some(deadline) = next {
                self.arm(deadline)?;
            }
        }
    }

    fn wake(&self, now: Instant) {
        let mut waiting = self.waiting.borrow_mut();
        while waiting.peek().is_some_and(|Reverse(first)| first.deadline <= now) {
            if let Some(waker) = waiting.pop().and_then(|Reverse(first)| first.sleeper.take()) {
                waker.wake();
            }
        }
    }

    fn add(&self, deadline: Instant, sleeper: Sleeper) -> io::Result<()> {
        self.waiting.borrow_mut().push(Reverse(Waiting { deadline, sleeper }));
        if self.armed.get().is_none_or(|armed| deadline < armed) {
            self.arm(deadline)?;
        }
        Ok(())
    }

    fn arm(&self, deadline: Instant) -> io::Result<()> {
        // Zero would disarm the timer instead of letting it expire at once.
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1));
        let spec = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec::try_from(left).map_err(io::Error::other)?,
        };
        timerfd_settime(self.fd.get_ref(), TimerfdTimerFlags::empty(), &spec)?;
        self.armed.set(Some(deadline));
        Ok(())
    }
}

/// The instant so long from now; a time that no clock reaches becomes a century.
pub(crate) fn from_now(time: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);
    Instant::now() + time.min(CENTURY)
}

/// The future of `Timer::sleep_until`.
pub(crate) struct Sleep<'a> {
    timer: &'a Timer,
    deadline: Instant,
    sleeper: Option<Sleeper>,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.deadline {
            return Poll::Ready(());
        }
        let waker = context.waker().clone();
        if let Some(sleeper) = &self.sleeper {
            sleeper.set(Some(waker));
            return Poll::Pending;
        }
        let sleeper = Rc::new(Cell::new(Some(waker)));
        match self.timer.add(self.deadline, sleeper.clone()) {
            Ok(()) => self.sleeper = Some(sleeper),
            // The kernel refuses to arm a valid timer; being polled again and again still ends on time.
            Err(_) => context.waker().wake_by_ref(),
        }
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        if let Some(sleeper) = &self.sleeper {
            sleeper.take();
        }
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        self.deadline.cmp(&other.deadline)
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.deadline == other.deadline
    }
}

impl Eq for Waiting {}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::runtime::{Builder, LocalOptions};

    /// Runs a test on one thread with a driven timer.
    fn with_timer<F: Future>(test: impl FnOnce(Rc<Timer>) -> F) -> F::Output {
        let runtime = Builder::new_current_thread().enable_io().build_local(LocalOptions::default()).unwrap();
        runtime.block_on(async {
            let timer = Timer::new().unwrap();
            let driven = timer.clone();
            tokio::task::spawn_local(async move { driven.drive().await });
            test(timer).await
        })
    }

    #[test]
    fn sleepers_wake_in_the_order_of_their_deadlines() {
        let order = with_timer(|timer| async move {
            let order = Rc::new(RefCell::new(Vec::new()));
            let start = Instant::now();
            let tasks: Vec<_> = [30, 10, 20, 0]
                .map(|ms| {
                    let (timer, order) = (timer.clone(), order.clone());
                    tokio::task::spawn_local(async move {
                        timer.sleep_until(start + Duration::from_millis(ms)).await;
                        assert!(start.elapsed() >= Duration::from_millis(ms));
                        order.borrow_mut().push(ms);
                    })
                })
                .into();
            for task in tasks {
                task.await.unwrap();
            }
            order.take()
        });
        assert_eq!(order, [0, 10, 20, 30]);
    }

    /// The bound is 0.3 ms on an idle machine; the test allows five times as much, in the best of five rounds, as
    /// other processes may make a round late but not all of them.
    #[test]
    fn nineteen_of_twenty_sleeps_are_hardly_late() {
        let round = |timer: Rc<Timer>| async move {
            let mut late = Vec::new();
            for _ in 0..100 {
                let deadline = Instant::now() + Duration::from_micros(2300);
                timer.sleep_until(deadline).await;
                late.push(deadline.elapsed());
            }
            late.sort_unstable();
            late[94]
        };
        let rounds: Vec<Duration> = (0..5).map(|_| with_timer(round)).collect();
        assert!(rounds.iter().min() < Some(&Duration::from_micros(1500)), "p95 of each round: {rounds:?}");
    }
}
