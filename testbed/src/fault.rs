//! Faults set while the server runs, and freezes. `control.rs` and `testbed.rs` set them, `plan.rs` applies them
//! to requests, `core.rs` waits for their end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::config::{ConfigError, Freeze};
use crate::law::{When, delay};
use crate::reply::{self, Reply};
use crate::route::unavailable;
use crate::table::injected;

/// A disturbance of the running service, on top of its routes. A new one replaces the one before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Fault {
    /// Only requests whose path begins like this; all if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The share of requests, between 0 and 1, answered with an error; spread evenly, never random.
    pub error_rate: f64,
    /// The status of these errors.
    pub status: u16,
    /// Milliseconds on top of the latency of the route.
    pub latency_ms: f64,
    /// Leaves requests unanswered until the fault is cleared or replaced; then they are answered.
    pub stall: bool,
    /// Requests whose connection is reset (HTTP/2: whose stream is reset).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset: Option<When>,
    /// Holds back every answer of the server, whatever its path, for so many milliseconds from now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freeze_ms: Option<f64>,
}

impl Default for Fault {
    fn default() -> Self {
        Fault {
            path: None,
            error_rate: 0.0,
            status: unavailable(),
            latency_ms: 0.0,
            stall: false,
            reset: None,
            freeze_ms: None,
        }
    }
}

/// A checked fault and its own count of the requests it covers.
#[derive(Debug)]
pub(crate) struct Armed {
    pub(crate) fault: Fault,
    pub(crate) latency: Duration,
    pub(crate) errors: When,
    pub(crate) error: Reply,
    freeze: Option<Duration>,
    next: AtomicU64,
}

impl Armed {
    fn new(fault: Fault) -> Result<Self, ConfigError> {
        let at = |field: &'static str| move |problem: String| ConfigError::at(field, problem);
        let errors = When::Rate(fault.error_rate);
        errors.check().map_err(at("errorRate"))?;
        fault.reset.map_or(Ok(()), When::check).map_err(at("reset"))?;
        Ok(Armed {
            latency: delay(fault.latency_ms).map_err(at("latencyMs"))?,
            errors,
            error: injected(reply::status(fault.status).map_err(at("status"))?),
            freeze: fault.freeze_ms.map(delay).transpose().map_err(at("freezeMs"))?,
            next: AtomicU64::new(0),
            fault,
        })
    }

    /// Whether the fault concerns this path.
    pub(crate) fn covers(&self, path: &str) -> bool {
        self.fault.path.as_deref().is_none_or(|prefix| path.starts_with(prefix))
    }

    /// Takes the number of the next request covered, counted from 0.
    pub(crate) fn take_number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

/// What disturbs the server now.
#[derive(Debug)]
pub(crate) struct Faults {
    /// False while nothing can disturb, which spares requests the look at the state.
    any: AtomicBool,
    state: watch::Sender<State>,
    freezes: Box<[(Duration, Duration)]>,
    origin: Instant,
    /// Nanoseconds from the origin to the first request, plus one; 0 before it.
    first: AtomicU64,
}

#[derive(Clone, Debug, Default)]
struct State {
    fault: Option<Arc<Armed>>,
    frozen_until: Option<Instant>,
}

impl Faults {
    /// No fault, and the freezes of a checked configuration.
    pub(crate) fn new(origin: Instant, freezes: &[Freeze]) -> Self {
        let time = |ms: f64| delay(ms).unwrap_or_default();
        let span = |freeze: &Freeze| (time(freeze.after_ms), time(freeze.after_ms) + time(freeze.for_ms));
        let freezes: Box<[_]> = freezes.iter().map(span).collect();
        let any = AtomicBool::new(!freezes.is_empty());
        let state = watch::Sender::new(State::default());
        Faults { any, state, freezes, origin, first: AtomicU64::new(0) }
    }

    /// Sets a fault in place of the one before; its freeze, if it has one, begins at `now`.
    pub(crate) fn set(&self, fault: Fault, now: Instant) -> Result<(), ConfigError> {
        let armed = Armed::new(fault)?;
        let frozen_until = armed.freeze.map(|time| now + time);
        self.change(|state| *state = State { fault: Some(Arc::new(armed)), frozen_until });
        Ok(())
    }

    /// Ends the fault and the freeze that was set with `set` or `freeze_until`.
    pub(crate) fn clear(&self) {
        self.change(|state| *state = State::default());
    }

    /// Holds back every answer until then.
    pub(crate) fn freeze_until(&self, end: Instant) {
        self.change(|state| state.frozen_until = Some(end));
    }

    /// Changes the state and, under the same lock, the flag that speaks of it.
    fn change(&self, change: impl FnOnce(&mut State)) {
        self.state.send_modify(|state| {
            change(state);
            let any = state.fault.is_some() || state.frozen_until.is_some() || !self.freezes.is_empty();
            self.any.store(any, Ordering::Release);
        });
    }

    /// The fault that is set.
    pub(crate) fn active(&self) -> Option<Arc<Armed>> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        self.state.borrow().fault.clone()
    }

    /// Takes the time of a counted request; configured freezes count from the first one.
    pub(crate) fn note_request(&self, at: Instant) {
        if !self.freezes.is_empty() && self.first.load(Ordering::Relaxed) == 0 {
            let nanos = at.saturating_duration_since(self.origin).as_nanos() as u64 + 1;
            // Only the first of several wins; the others change nothing.
            let _ = self.first.compare_exchange(0, nanos, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Lets configured freezes count from the next request.
    pub(crate) fn forget_first(&self) {
        self.first.store(0, Ordering::Relaxed);
    }

    /// The end of the freeze that holds at this instant, if one does.
    pub(crate) fn frozen_until(&self, now: Instant) -> Option<Instant> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let set = self.state.borrow().frozen_until.filter(|end| *end > now);
        set.max(self.configured_freeze(now))
    }

    fn configured_freeze(&self, now: Instant) -> Option<Instant> {
        let nanos = self.first.load(Ordering::Relaxed).checked_sub(1)?;
        let first = self.origin + Duration::from_nanos(nanos);
        let since = now.saturating_duration_since(first);
        let holds = self.freezes.iter().filter(|(from, to)| (*from..*to).contains(&since));
        holds.map(|(_, to)| first + *to).max()
    }

    /// Tells of every change from now on.
    pub(crate) fn changes(&self) -> Changes {
        Changes(self.state.subscribe())
    }
}

/// Changes of the faults since it was made.
pub(crate) struct Changes(watch::Receiver<State>);

impl Changes {
    /// Waits for the next change.
    pub(crate) async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            // The server is gone and with it whoever could change anything.
            std::future::pending::<()>().await;
        }
    }

    /// Waits until this fault is no longer the one that is set.
    pub(crate) async fn end_of(&mut self, fault: &Arc<Armed>) {
        let ended = |state: &State| !state.fault.as_ref().is_some_and(|set| Arc::ptr_eq(set, fault));
        if self.0.wait_for(ended).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The JSON of the fault that is set, `{}` without one.
pub(crate) fn describe(faults: &Faults) -> Reply {
    let document = faults.active().map(|armed| serde_json::to_value(&armed.fault).unwrap_or_default());
    Reply::json(StatusCode::OK, &document.unwrap_or_else(|| serde_json::json!({})))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configured_freezes_count_from_the_first_request() {
        let origin = Instant::now();
        let at = |ms: u64| origin + Duration::from_millis(ms);
        let faults = Faults::new(origin, &[Freeze { after_ms: 100.0, for_ms: 50.0 }]);
        assert_eq!(faults.frozen_until(at(120)), None);
        faults.note_request(at(1000));
        faults.note_request(at(1010));
        let held = [1099, 1100, 1149, 1150].map(|ms| faults.frozen_until(at(ms)).is_some());
        assert_eq!(held, [false, true, true, false]);
        assert_eq!(
            faults.frozen_until(at(1120)).map(|end| end.duration_since(origin).as_millis()),
            Some(1150)
        );
        faults.forget_first();
        assert_eq!(faults.frozen_until(at(1120)), None);
    }

    #[test]
    fn a_new_fault_replaces_the_old_one_and_wrong_ones_change_nothing() {
        let now = Instant::now();
        let faults = Faults::new(now, &[]);
        assert!(faults.active().is_none());
        faults.set(Fault { freeze_ms: Some(10.0), ..Fault::default() }, now).unwrap();
        assert!(faults.frozen_until(now).is_some());
        faults.set(Fault { path: Some("/a".into()), stall: true, ..Fault::default() }, now).unwrap();
        assert_eq!(faults.frozen_until(now), None);
        let error = faults.set(Fault { error_rate: 2.0, ..Fault::default() }, now).unwrap_err();
        assert_eq!(error.field, "errorRate");
        let active = faults.active().unwrap();
        assert!(active.covers("/a/b") && !active.covers("/b"));
        faults.clear();
        assert!(faults.active().is_none());
    }
}
