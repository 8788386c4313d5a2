//! A run that is not accepted yet: is it its turn, is it allowed, and what does it come to? Pure. The answer is frozen in the run's
//! ConfigMap, and from then on `starting.rs` decides.

use std::sync::Arc;
use std::time::Duration;

use plimsoll_api::v1alpha1::Phase;
use plimsoll_api::{Resolved, lower};
use plimsoll_manifests::Frozen;
use plimsoll_plan::RunId;
use plimsoll_slo::{Reason, text};

use super::decide::{Decision, Policy, Say, is_guarded, progress_of, stop_wanted};
use super::ended;
use super::observe::Observed;
use super::queue::Turn;
use super::step::Step;
use crate::events::News;
use crate::{limits, queries};

/// How long a run waits for a LoadTest that is applied together with it.
const TEST_PATIENCE: Duration = Duration::from_secs(10);
/// How often a queued run looks whether it is its turn: finished runs of other tests do not tell it.
const QUEUE_POLL: Duration = Duration::from_secs(2);

pub(super) fn decide(observed: &Observed, policy: &Policy<'_>) -> Decision {
    if observed.test.is_none() && age(observed) < TEST_PATIENCE {
        return wait(
            format!("waits for LoadTest {}", observed.run.spec.test_ref.name),
            Duration::from_secs(1),
        );
    }
    if observed.test.is_none() {
        let message = format!(
            "spec.testRef.name: there is no LoadTest {} in namespace {}; create it, then create this run again",
            observed.run.spec.test_ref.name, observed.key.namespace
        );
        return ended::error(observed, Reason::InvalidReference, message);
    }
    match stop_wanted(observed, policy) {
        // What is halted stays queued: taking the halt back lets it run.
        Some((Reason::Cancelled, message, _)) if policy.halt && observed.run.spec.cancel != Some(true) => {
            return wait(message, QUEUE_POLL);
        }
        Some((reason, message, _)) => return ended::stopped_early(observed, reason, &message),
        None => {}
    }
    if let Turn::Wait(message) = &observed.turn {
        return wait(message.clone(), QUEUE_POLL);
    }
    match resolve(observed, policy) {
        Ok(resolved) => accept(observed, &resolved, policy),
        Err((reason, message)) => ended::error(observed, reason, message),
    }
}

fn wait(message: String, again: Duration) -> Decision {
    Decision { say: Some(Say::Queued { message }), again: Some(again), ..Decision::default() }
}

fn age(observed: &Observed) -> Duration {
    let made = observed.run.metadata.creation_timestamp.as_ref().map_or(observed.now.stamp, |time| time.0);
    Duration::try_from(observed.now.stamp.duration_since(made)).unwrap_or_default()
}

/// Hash of the test's spec as it is now.
fn spec_hash(observed: &Observed) -> String {
    observed.test.as_ref().map(|test| plimsoll_api::spec_hash(&test.spec)).unwrap_or_default()
}

/// Lowers the test and holds it against the limits.
fn resolve(observed: &Observed, policy: &Policy<'_>) -> Result<Resolved, (Reason, String)> {
    let test = observed.test.as_ref().ok_or((Reason::InvalidReference, String::new()))?;
    let run = RunId {
        namespace: observed.key.namespace.clone(),
        test: observed.run.spec.test_ref.name.clone(),
        name: observed.key.name.clone(),
    };
    let overrides = observed.run.spec.overrides.as_ref();
    let resolved =
        lower(test, overrides, &observed.references, run, seed(&observed.uid)).map_err(|errors| {
            let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
            (Reason::InvalidReference, texts.join("; "))
        })?;
    limits::check(&resolved.plan, policy.limits, |_| observed.target_inside)
        .map_err(|denial| (Reason::PolicyDenied, denial.to_string()))?;
    queries::check(&resolved.spec, policy.servers, policy.limits.prometheus_urls)?;
    Ok(resolved)
}

/// The same run makes the same choices however often it is lowered.
fn seed(uid: &str) -> u64 {
    let digits: String = uid.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    u64::from_str_radix(&digits, 16).unwrap_or(1)
}

fn accept(observed: &Observed, resolved: &Resolved, policy: &Policy<'_>) -> Decision {
    let frozen = match Frozen::new(resolved, spec_hash(observed)) {
        Ok(frozen) => Arc::new(frozen),
        Err(error) => return ended::error(observed, Reason::InvalidReference, error.to_string()),
    };
    // What cannot be built is told now, before anything exists.
    let settings = policy.settings;
    let built = frozen
        .config_map(&observed.run, &settings.operator_ca_pem)
        .and_then(|_| plimsoll_manifests::job(&observed.run, &frozen, settings));
    if let Err(error) = built {
        return ended::error(observed, Reason::InvalidReference, error.to_string());
    }
    let workers = frozen.plan.workers;
    let mut before = Vec::new();
    if !is_guarded(observed) {
        before.push(Step::Guard);
    }
    before.extend([Step::Freeze(Arc::clone(&frozen)), Step::Open(Arc::clone(&frozen))]);
    let notices = resolved.notices.iter().map(|notice| format!("; {notice}")).collect::<String>();
    let note = format!(
        "{}, {}{notices}",
        text::counted(workers.into(), "worker"),
        crate::waiting::span(Duration::from_nanos(frozen.plan.duration))
    );
    let say = Say::Now {
        phase: Phase::Starting,
        waiting: None,
        start: None,
        progress: Box::new(progress_of(observed, &frozen)),
    };
    Decision {
        before,
        say: Some(say),
        after: vec![Step::Tell(News::good("Accepted", note))],
        // The Job comes next: whatever becomes of it, the status tells that the run waits for it.
        again: Some(Duration::ZERO),
    }
}
