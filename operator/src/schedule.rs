//! When what is reconciled: at once when something touched it, again when its last reconcile asked for it, and after a pause that
//! grows when it failed. Never the same object twice at a time; different objects do not wait for each other.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::future::Future;
use std::time::Duration;

use kube::ResourceExt;
use plimsoll_session::RunKey;
use tokio::sync::broadcast;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::watch::{Key, Stores, Touched, key_of};

/// Longest pause after failures.
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// Longest reconcile: a few requests. An API server that dies after it took one never answers it, and no run may wait for that.
const MAX_RECONCILE: Duration = Duration::from_secs(30);

/// What is due when.
#[derive(Debug, Default)]
struct Schedule {
    order: BTreeSet<(Instant, Key)>,
    due: HashMap<Key, Instant>,
    running: HashSet<Key>,
    touched_while_running: HashSet<Key>,
    failures: HashMap<Key, u32>,
}

impl Schedule {
    /// Due at `at`, or earlier if it was due earlier.
    fn add(&mut self, key: Key, at: Instant) {
        match self.due.get(&key) {
            Some(known) if *known <= at => return,
            Some(known) => drop(self.order.remove(&(*known, key.clone()))),
            None => {}
        }
        self.due.insert(key.clone(), at);
        self.order.insert((at, key));
    }

    /// Due now.
    fn touch(&mut self, key: Key, now: Instant) {
        if self.running.contains(&key) {
            self.touched_while_running.insert(key);
        } else {
            self.add(key, now);
        }
    }

    /// The next moment at which something is due.
    fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes what is due; it counts as running until [`Schedule::ended`].
    fn take(&mut self, now: Instant) -> Option<Key> {
        let (at, key) = self.order.first().filter(|(at, _)| *at <= now)?.clone();
        self.order.remove(&(at, key.clone()));
        self.due.remove(&key);
        self.running.insert(key.clone());
        Some(key)
    }

    /// A reconcile ended and wants to be repeated after a while, or failed.
    fn ended(&mut self, key: Key, outcome: Result<Option<Duration>, ()>, now: Instant) {
        self.running.remove(&key);
        let touched = self.touched_while_running.remove(&key);
        match outcome {
            Ok(again) => {
                self.failures.remove(&key);
                if touched {
                    self.add(key, now);
                } else if let Some(again) = again {
                    self.add(key, now + again);
                }
            }
            Err(()) => {
                let failures = self.failures.entry(key.clone()).or_default();
                let pause = MAX_PAUSE.min(Duration::from_millis(100 << (*failures).min(10)));
                *failures = failures.saturating_add(1);
                self.add(key, now + pause);
            }
        }
    }
}

/// Reconciles until dropped. `reconcile` answers after what time it wants to be called again without a cause.
pub(crate) async fn run<F, Fut>(stores: &Stores, mut hub: broadcast::Receiver<RunKey>, reconcile: F)
where
    F: Fn(Key) -> Fut,
    Fut: Future<Output = Result<Option<Duration>, ()>> + Send + 'static,
{
    let mut changes = stores.changes();
    let mut schedule = Schedule::default();
    let mut tasks = JoinSet::new();
    let mut keys: HashMap<tokio::task::Id, Key> = HashMap::new();
    let everything = |schedule: &mut Schedule| {
        for key in stores.all() {
            schedule.touch(key, Instant::now());
        }
    };
    everything(&mut schedule);
    loop {
        while let Some(key) = schedule.take(Instant::now()) {
            let task = tasks.spawn(in_time(key.clone(), reconcile(key.clone())));
            keys.insert(task.id(), key);
        }
        let next = schedule.next();
        let due = async {
            match next {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            touched = changes.recv() => match touched {
                Ok(Touched::One(key)) => {
                    // Runs stop when their test is deleted, and wait for other runs of it.
                    for run in unfinished_runs(stores, &key) {
                        schedule.touch(run, Instant::now());
                    }
                    schedule.touch(key, Instant::now());
                }
                // Behind by many changes, or a watch began anew.
                Ok(Touched::All) | Err(broadcast::error::RecvError::Lagged(_)) => everything(&mut schedule),
                Err(broadcast::error::RecvError::Closed) => return,
            },
            run = hub.recv() => match run {
                Ok(run) => schedule.touch(Key::Run(run), Instant::now()),
                Err(broadcast::error::RecvError::Lagged(_)) => everything(&mut schedule),
                Err(broadcast::error::RecvError::Closed) => return,
            },
            Some(ended) = tasks.join_next_with_id() => {
                let (id, outcome) = match ended {
                    Ok((id, outcome)) => (id, outcome),
                    Err(error) => {
                        tracing::error!(%error, "a reconcile broke off; this is a defect of the operator");
                        (error.id(), Err(()))
                    }
                };
                if let Some(key) = keys.remove(&id) {
                    schedule.ended(key, outcome, Instant::now());
                }
            }
            () = due => {}
        }
    }
}

/// A reconcile that takes too long failed: it is begun anew, and whatever it wrote can be written again.
async fn in_time(
    key: Key,
    reconcile: impl Future<Output = Result<Option<Duration>, ()>>,
) -> Result<Option<Duration>, ()> {
    tokio::time::timeout(MAX_RECONCILE, reconcile).await.unwrap_or_else(|_| {
        let seconds = MAX_RECONCILE.as_secs();
        tracing::warn!(?key, seconds, "a reconcile got no answer from the API server; trying again");
        Err(())
    })
}

/// The unfinished runs of a test; none of a run.
fn unfinished_runs(stores: &Stores, key: &Key) -> Vec<Key> {
    let Key::Test(test) = key else { return Vec::new() };
    let runs = stores.runs_of(&test.namespace, &test.name).into_iter();
    let unfinished = runs.filter(|run| run.status.as_ref().is_none_or(|status| status.verdict.is_none()));
    unfinished.map(|run| Key::Run(key_of(&*run, &run.name_any()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::Run(RunKey { namespace: "n".into(), name: name.into() })
    }

    #[test]
    fn the_earlier_wish_wins() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        schedule.add(key("a"), now + Duration::from_secs(5));
        schedule.touch(key("a"), now);
        schedule.add(key("a"), now + Duration::from_secs(9));
        assert_eq!(schedule.next(), Some(now));
        assert_eq!(schedule.take(now), Some(key("a")));
        assert_eq!(schedule.take(now), None);
    }

    #[test]
    fn what_is_touched_while_it_runs_runs_once_more() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        schedule.touch(key("a"), now);
        schedule.take(now);
        schedule.touch(key("a"), now);
        schedule.touch(key("a"), now);
        assert_eq!(schedule.take(now), None, "never twice at a time");
        schedule.ended(key("a"), Ok(Some(Duration::from_secs(60))), now);
        assert_eq!(schedule.take(now), Some(key("a")));
        schedule.ended(key("a"), Ok(None), now);
        assert_eq!(schedule.next(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reconcile_without_an_answer_fails_in_time() {
        assert_eq!(in_time(key("a"), std::future::pending()).await, Err(()));
        assert_eq!(in_time(key("a"), std::future::ready(Ok(None))).await, Ok(None));
    }

    #[test]
    fn pauses_after_failures_grow_to_a_limit_and_are_forgotten() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        let mut pauses = Vec::new();
        schedule.touch(key("a"), now);
        let mut at = now;
        for _ in 0..8 {
            schedule.take(at);
            schedule.ended(key("a"), Err(()), at);
            let next = schedule.next().unwrap();
            pauses.push((next - at).as_millis());
            at = next;
        }
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        schedule.take(at);
        schedule.ended(key("a"), Ok(Some(Duration::ZERO)), at);
        schedule.take(at);
        schedule.ended(key("a"), Err(()), at);
        assert_eq!(schedule.next(), Some(at + Duration::from_millis(100)));
    }
}
