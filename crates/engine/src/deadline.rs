//! A step's timeout without a timer per request: one timer per user is armed for the earliest deadline seen and, when it
//! fires too early, moved to the present one. A request that is answered in time touches no timer. Used by `request.rs`.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Poll, Waker};
use std::time::Instant;

use tokio::time::Sleep;

/// The timer of one user.
#[derive(Debug, Default)]
pub(crate) struct Deadline {
    timer: Option<Pin<Box<Sleep>>>,
    /// Whom the armed timer will wake: while that is the present task, the timer need not be polled.
    armed: Option<Waker>,
}

impl Deadline {
    /// The future's output, or `None` at the limit (up to 2 ms after it).
    pub(crate) async fn within<F: Future>(&mut self, limit: Instant, future: F) -> Option<F::Output> {
        self.within_pinned(limit, pin!(future)).await
    }

    /// [`Self::within`], of a future that is large and stays where it is.
    pub(crate) async fn within_pinned<F: Future>(
        &mut self,
        limit: Instant,
        mut future: Pin<&mut F>,
    ) -> Option<F::Output> {
        let Self { timer, armed } = self;
        let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(limit.into())));
        if timer.deadline().into_std() > limit {
            timer.as_mut().reset(limit.into());
            *armed = None;
        }
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            if !timer.is_elapsed() && armed.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                return Poll::Pending;
            }
            while timer.as_mut().poll(cx).is_ready() {
                if Instant::now() >= limit {
                    return Poll::Ready(None);
                }
                timer.as_mut().reset(limit.into());
            }
            *armed = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn run(future: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
    }

    #[test]
    fn an_early_timer_is_moved_and_a_late_one_brought_forward() {
        run(async {
            let mut deadline = Deadline::default();
            let begun = Instant::now();
            let soon = begun + Duration::from_millis(5);
            assert_eq!(deadline.within(soon, std::future::pending::<()>()).await, None);
            assert!(begun.elapsed() >= Duration::from_millis(5));

            // The timer has fired for the first limit; a later one must not end at once.
            let work = tokio::time::sleep(Duration::from_millis(10));
            assert!(deadline.within(Instant::now() + Duration::from_secs(60), work).await.is_some());

            let again = Instant::now();
            let soon = again + Duration::from_millis(5);
            assert_eq!(deadline.within(soon, std::future::pending::<()>()).await, None);
            assert!(again.elapsed() < Duration::from_secs(30));
        });
    }

    #[test]
    fn what_is_ready_wins_over_a_limit_in_the_past() {
        run(async {
            let mut deadline = Deadline::default();
            assert_eq!(deadline.within(Instant::now(), async { 7 }).await, Some(7));
        });
    }
}
