//! A bounded queue between whoever produces records and the task that sends them (`records.rs`). Putting never waits; what does not fit
//! is refused, and the caller counts it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Most records that wait: the default of the specification's batch processors.
const CAPACITY: usize = 2048;
/// Most records of one request, likewise.
const BATCH: usize = 512;
/// How long the first record of a batch waits for others.
const DELAY: Duration = Duration::from_secs(1);

/// The queue.
#[derive(Debug)]
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Notify,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    closed: bool,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State { waiting: VecDeque::new(), closed: false }), changed: Notify::new() }
    }

    /// Whether it was taken in.
    pub(super) fn put(&self, record: T) -> bool {
        let mut state = self.lock();
        if state.closed || state.waiting.len() >= CAPACITY {
            return false;
        }
        state.waiting.push_back(record);
        let enough = state.waiting.len() == 1 || state.waiting.len() == BATCH;
        drop(state);
        if enough {
            self.changed.notify_one();
        }
        true
    }

    /// Takes nothing in any more; what waits is still handed out, at once.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// The next batch; nothing once the queue is closed and empty. For one reader.
    pub(super) async fn batch(&self) -> Option<Vec<T>> {
        let mut until: Option<Instant> = None;
        loop {
            {
                let mut state = self.lock();
                let full = state.waiting.len() >= BATCH || state.closed;
                let due = until.is_some_and(|until| until <= Instant::now());
                if !state.waiting.is_empty() && (full || due) {
                    let count = state.waiting.len().min(BATCH);
                    return Some(state.waiting.drain(..count).collect());
                }
                if state.closed {
                    return None;
                }
                if !state.waiting.is_empty() && until.is_none() {
                    until = Some(Instant::now() + DELAY);
                }
            }
            match until {
                // Over or not: the loop looks.
                Some(until) => drop(timeout_at(until, self.changed.notified()).await),
                None => self.changed.notified().await,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn batches_are_sent_when_full_or_due() {
        let queue = Queue::new();
        (0..BATCH + 3).for_each(|n| assert!(queue.put(n)));
        assert_eq!(queue.batch().await.map(|batch| batch.len()), Some(BATCH));
        let before = Instant::now();
        assert_eq!(queue.batch().await, Some(vec![BATCH, BATCH + 1, BATCH + 2]));
        assert_eq!(before.elapsed(), DELAY);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_refuses_and_a_closed_one_is_emptied_at_once() {
        let queue = Queue::new();
        assert_eq!((0..CAPACITY + 10).filter(|n| queue.put(*n)).count(), CAPACITY);
        queue.close();
        assert!(!queue.put(0));
        let before = Instant::now();
        let mut count = 0;
        while let Some(batch) = queue.batch().await {
            count += batch.len();
        }
        assert_eq!((count, before.elapsed()), (CAPACITY, Duration::ZERO));
    }

    #[tokio::test]
    async fn a_reader_that_waits_is_woken() {
        let queue = Queue::new();
        let (batch, ()) = tokio::join!(queue.batch(), async {
            tokio::task::yield_now().await;
            queue.put(1);
            queue.close();
        });
        assert_eq!(batch, Some(vec![1]));
    }
}
