//! The fault that is set while the server runs, freezes, and what of the configuration a fault may change. `control.rs`
//! and `testbed.rs` set faults (`fault.rs`), `plan.rs` asks for them, `core.rs` waits for their end.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::aragora::Live;
use crate::config::{Config, ConfigError, Freeze};
use crate::fault::{Armed, Fault};
use crate::law::delay;
use crate::limit::{Limit, Limiter};
use crate::patch::merge;
use crate::reply::Reply;

/// The most that requests under a leaking fault make the process keep, in bytes.
const MAX_LEAK: usize = 1 << 30;

/// What disturbs the server now, and what of its configuration can be changed while it runs.
#[derive(Debug)]
pub(crate) struct Faults {
    /// False while nothing can disturb, which spares requests the look at the state.
    any: AtomicBool,
    state: watch::Sender<State>,
    freezes: Box<[(Duration, Duration)]>,
    origin: Instant,
    /// Nanoseconds from the origin to the first request, plus one; 0 before it.
    first: AtomicU64,
    base: Base,
    /// What a leak keeps; also the lock under which faults are set, one after the other.
    leaked: Mutex<Vec<Box<[u8]>>>,
}

/// What the configuration says and a fault may change.
#[derive(Clone, Debug)]
struct Base {
    live: Arc<Live>,
    limiter: Option<Arc<Limiter>>,
}

#[derive(Clone, Debug)]
struct State {
    fault: Option<Arc<Armed>>,
    frozen_until: Option<Instant>,
    now: Base,
}

impl Faults {
    /// No fault, and what a configuration says.
    pub(crate) fn new(origin: Instant, config: &Config) -> Result<Self, ConfigError> {
        let time = |ms: f64| delay(ms).unwrap_or_default();
        let span = |freeze: &Freeze| (time(freeze.after_ms), time(freeze.after_ms) + time(freeze.for_ms));
        let freezes: Box<[_]> = config.freezes.iter().map(span).collect();
        let live = Live::new(config.aragora.clone())?;
        let base = Base { live: Arc::new(live), limiter: limiter(&config.limits)? };
        let any = AtomicBool::new(!freezes.is_empty() || base.limiter.is_some());
        let state = watch::Sender::new(State { fault: None, frozen_until: None, now: base.clone() });
        Ok(Faults { any, state, freezes, origin, first: AtomicU64::new(0), base, leaked: Mutex::default() })
    }

    fn setting(&self) -> MutexGuard<'_, Vec<Box<[u8]>>> {
        self.leaked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets a fault in place of the one before; its freeze, if it has one, begins at `now`.
    pub(crate) fn set(&self, fault: Fault, now: Instant) -> Result<(), ConfigError> {
        let _setting = self.setting();
        let frozen_until = fault.freeze_ms.map(delay).transpose();
        let frozen_until = frozen_until.map_err(|problem| ConfigError::at("freezeMs", problem))?;
        self.arm(fault, frozen_until.map(|time| now + time), now)
    }

    /// Changes the fault by a merge patch (RFC 7396). A freeze that holds goes on unless the patch has one.
    pub(crate) fn merge(&self, patch: &Value, now: Instant) -> Result<(), ConfigError> {
        let _setting = self.setting();
        let mut document = self.document();
        let begun = document.as_object_mut().and_then(|fields| fields.remove("freezeMs")).is_some();
        if !patch.is_object() {
            return Err(ConfigError::at("fault", "a fault is an object, such as {\"errorRate\": 0.3}"));
        }
        merge(&mut document, patch);
        let fault: Fault =
            serde_json::from_value(document).map_err(|error| ConfigError::at("fault", error.to_string()))?;
        let length = fault.freeze_ms.map(delay).transpose();
        let length = length.map_err(|problem| ConfigError::at("freezeMs", problem))?;
        let ends = patch.get("freezeMs").is_some() && begun;
        let held = self.state.borrow().frozen_until.filter(|_| !ends);
        self.arm(fault, length.map(|time| now + time).or(held), now)
    }

    fn arm(&self, fault: Fault, frozen_until: Option<Instant>, now: Instant) -> Result<(), ConfigError> {
        let live = match &fault.aragora {
            Some(patch) => Arc::new(self.base.live.patched(patch)?),
            None => self.base.live.clone(),
        };
        let before = self.state.borrow().now.limiter.clone();
        let limiter = match &fault.limits {
            // Buckets go on as long as their limits stay.
            Some(limits) if before.as_ref().is_some_and(|before| before.limits == *limits) => before,
            Some(limits) => limiter(limits)?,
            None => self.base.limiter.clone(),
        };
        let armed = Some(Arc::new(Armed::new(fault, now)?));
        self.change(|state| *state = State { fault: armed, frozen_until, now: Base { live, limiter } });
        Ok(())
    }

    /// Ends the fault and the freeze that was set with `set` or `freeze_until`.
    pub(crate) fn clear(&self) {
        let mut leaked = self.setting();
        *leaked = Vec::new();
        let now = self.base.clone();
        self.change(|state| *state = State { fault: None, frozen_until: None, now });
    }

    /// Holds back every answer until then.
    pub(crate) fn freeze_until(&self, end: Instant) {
        self.change(|state| state.frozen_until = Some(end));
    }

    /// Changes the state and, under the same lock, the flag that speaks of it.
    fn change(&self, change: impl FnOnce(&mut State)) {
        self.state.send_modify(|state| {
            change(state);
            let disturbed = state.fault.is_some() || state.frozen_until.is_some();
            let any = disturbed || state.now.limiter.is_some() || !self.freezes.is_empty();
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

    /// The rate limits that hold.
    pub(crate) fn limiter(&self) -> Option<Arc<Limiter>> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        self.state.borrow().now.limiter.clone()
    }

    /// The settings of the Aragora endpoints that hold.
    pub(crate) fn live(&self) -> Arc<Live> {
        self.state.borrow().now.live.clone()
    }

    /// Keeps so many bytes more, written once so that they are resident.
    pub(crate) fn leak(&self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        let mut leaked = self.setting();
        let kept: usize = leaked.iter().map(|block| block.len()).sum();
        if kept.saturating_add(bytes) <= MAX_LEAK {
            leaked.push(vec![0x5a; bytes].into());
        }
    }

    /// The fault that is set as JSON, `{}` without one.
    fn document(&self) -> Value {
        let armed = self.active();
        armed.and_then(|armed| serde_json::to_value(&armed.fault).ok()).unwrap_or_else(|| json!({}))
    }

    /// Takes the time of a counted request; configured freezes count from the first one.
    pub(crate) fn note_request(&self, at: Instant) {
        if !self.freezes.is_empty() && self.first.load(Ordering::Relaxed) == 0 {
            let nanos = at.saturating_duration_since(self.origin).as_nanos() as u64 + 1;
            // Only the first of several wins; the others change nothing.
            let _ = self.first.compare_exchange(0, nanos, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Lets configured freezes count from the next request, and fills the buckets of all limits.
    pub(crate) fn restart(&self) {
        self.first.store(0, Ordering::Relaxed);
        if let Some(limiter) = self.limiter() {
            limiter.refill();
        }
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

/// Limits with full buckets; nothing for none.
fn limiter(limits: &[Limit]) -> Result<Option<Arc<Limiter>>, ConfigError> {
    let made = || Limiter::new(limits).map_err(|problem| ConfigError::at("limits", problem));
    (!limits.is_empty()).then(|| made().map(Arc::new)).transpose()
}

/// The JSON of the fault that is set, `{}` without one.
pub(crate) fn describe(faults: &Faults) -> Reply {
    Reply::json(StatusCode::OK, &faults.document())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(freezes: &[Freeze], origin: Instant) -> Faults {
        Faults::new(origin, &Config { freezes: freezes.to_vec(), ..Config::default() }).unwrap()
    }

    #[test]
    fn configured_freezes_count_from_the_first_request() {
        let origin = Instant::now();
        let at = |ms: u64| origin + Duration::from_millis(ms);
        let faults = faults(&[Freeze { after_ms: 100.0, for_ms: 50.0 }], origin);
        assert_eq!(faults.frozen_until(at(120)), None);
        faults.note_request(at(1000));
        faults.note_request(at(1010));
        let held = [1099, 1100, 1149, 1150].map(|ms| faults.frozen_until(at(ms)).is_some());
        assert_eq!(held, [false, true, true, false]);
        assert_eq!(
            faults.frozen_until(at(1120)).map(|end| end.duration_since(origin).as_millis()),
            Some(1150)
        );
        faults.restart();
        assert_eq!(faults.frozen_until(at(1120)), None);
    }

    #[test]
    fn a_new_fault_replaces_the_old_one_and_wrong_ones_change_nothing() {
        let now = Instant::now();
        let faults = faults(&[], now);
        assert!(faults.active().is_none());
        faults.set(Fault { freeze_ms: Some(10.0), ..Fault::default() }, now).unwrap();
        assert!(faults.frozen_until(now).is_some());
        faults.set(Fault { path: Some("/a".into()), stall: true, ..Fault::default() }, now).unwrap();
        assert_eq!(faults.frozen_until(now), None);
        let error = faults.set(Fault { error_rate: 2.0, ..Fault::default() }, now).unwrap_err();
        assert_eq!(error.field, "errorRate");
        let active = faults.active().unwrap();
        let stalls = |path| active.disturb((path, "GET"), path, now).instead.is_some();
        assert!(stalls("/a/b") && !stalls("/b"));
        faults.clear();
        assert!(faults.active().is_none());
    }

    #[test]
    fn a_patch_changes_what_it_names() {
        let now = Instant::now();
        let faults = faults(&[], now);
        let later = now + Duration::from_millis(5);
        faults.merge(&json!({"errorRate": 0.5, "freezeMs": 10.0}), now).unwrap();
        faults.merge(&json!({"status": 500, "aragora": {"auth": {"required": true}}}), later).unwrap();
        assert_eq!(faults.frozen_until(now), Some(now + Duration::from_millis(10)));
        assert!(faults.live().settings.auth.required);
        faults.merge(&json!({"aragora": {"deepMs": 1.0}, "limits": [{"burst": 1}]}), now).unwrap();
        assert!(faults.live().settings.auth.required && faults.live().settings.deep_ms == 1.0);
        let limiter = faults.limiter().unwrap();
        faults.merge(&json!({"errorRate": null}), now).unwrap();
        assert!(Arc::ptr_eq(&limiter, &faults.limiter().unwrap()));
        let fault = &faults.active().unwrap().fault;
        assert_eq!((fault.error_rate, fault.status), (0.0, 500));
        let wrong = |patch: Value| faults.merge(&patch, now).unwrap_err().to_string();
        assert!(wrong(json!({"aragora": {"auth": {"needed": true}}})).contains("`needed`"));
        assert!(wrong(json!({"limits": [{"burst": 0}]})).starts_with("limits: [0]"));
        assert!(wrong(json!(3)).contains("an object"));
        assert!(faults.live().settings.auth.required, "a wrong patch changes nothing");
        faults.clear();
        assert!(!faults.live().settings.auth.required && faults.limiter().is_none());
    }
}
