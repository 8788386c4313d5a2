//! Decides whether a run can be judged at all: what was lost, late, throttled or never sent. Used by `judge.rs`.

use plimsoll_measure::{Health, Histogram};

use crate::scope::Evidence;
use crate::text;
use crate::{Reason, WorkerLossPolicy};

/// Why a run cannot be judged, with figures and remedy.
pub(crate) type Fault = (Reason, String);

/// Lateness is judged at its 99th percentile, in hundredths of a percent.
const LATENESS: u32 = 9_900;

/// The run may have been throttled for one part in this many.
const THROTTLED: u64 = 100;

/// Everything that makes the measurement itself worthless, the likely cause first.
pub(crate) fn faults(evidence: &Evidence) -> Vec<Fault> {
    let checks =
        [lost(evidence), skewed(evidence), exhausted(evidence), throttled(evidence), undelivered(evidence)];
    let late = [late(evidence, Schedule::Arrivals), late(evidence, Schedule::Waits)];
    checks.into_iter().chain(late).chain([silent(evidence)]).flatten().collect()
}

/// What lost workers mean for the figures, if any were lost.
pub(crate) fn loss(evidence: &Evidence) -> Option<String> {
    let (lost, workers) = (evidence.facts.workers_lost, evidence.facts.workers);
    (lost > 0).then(|| {
        format!("{lost} of {} lost, the summary is a lower bound", text::counted(workers.into(), "worker"))
    })
}

fn lost(evidence: &Evidence) -> Option<Fault> {
    let (facts, policy) = (evidence.facts, evidence.validity.on_worker_loss);
    let all = facts.workers_lost >= facts.workers;
    if policy != WorkerLossPolicy::Inconclusive && !all {
        return None;
    }
    Some((Reason::WorkerLost, loss(evidence)?))
}

fn skewed(evidence: &Evidence) -> Option<Fault> {
    let (skew, allowed) = (evidence.facts.start_skew?, evidence.validity.max_start_skew);
    if skew <= allowed {
        return None;
    }
    let message = format!(
        "workers started {} apart, allowed {}: check the nodes' clocks and load, or raise validity.maxStartSkew",
        text::spaced(&text::duration_beside(skew, allowed)),
        text::spaced(&text::duration_exact(allowed)),
    );
    Some((Reason::StartSkewed, message))
}

fn exhausted(evidence: &Evidence) -> Option<Fault> {
    let health = &evidence.merged.health;
    let message = match (health.no_ports, health.no_descriptors) {
        (0, 0) => return None,
        (0, n) => format!(
            "{} failed for want of file descriptors: raise the workers' limit of open files, or {}",
            text::counted(n, "connection"),
            more_workers(evidence, 1, 1)
        ),
        (n, _) => format!(
            "{} failed for want of local ports: keep connections alive, lower target.connections, or {}",
            text::counted(n, "connection"),
            more_workers(evidence, 1, 1)
        ),
    };
    Some((Reason::GeneratorSaturated, message))
}

fn throttled(evidence: &Evidence) -> Option<Fault> {
    let health = &evidence.merged.health;
    if health.throttled.saturating_mul(THROTTLED) <= health.wall {
        return None;
    }
    let at_most = |share: text::Ratio| share.at_most(text::Ratio(1, 1));
    let message = format!(
        "workers were throttled for {} of the time, allowed 1%: raise workers.resources.limits.cpu, or {}",
        text::percent(health.throttled, health.wall, 1, at_most),
        more_workers(evidence, health.wall, health.wall.saturating_sub(health.throttled)),
    );
    Some((Reason::GeneratorSaturated, message))
}

fn undelivered(evidence: &Evidence) -> Option<Fault> {
    let (health, min) = (&evidence.merged.health, evidence.validity.min_delivered);
    let enough = u128::from(health.delivered) * 1_000_000_000 >= u128::from(min) * u128::from(health.due);
    if !evidence.facts.open_model || enough {
        return None;
    }
    let limit = text::ppb_percent(min);
    let message = format!(
        "{} of {} due requests were sent, {}, wanted at least {}: raise arrivals.maxInFlight if the target is slow, otherwise {}",
        text::count(health.delivered),
        text::count(health.due),
        text::percent(health.delivered, health.due, 1, |share| limit.at_most(share)),
        text::share_exact(min),
        more_workers(evidence, health.due, health.delivered),
    );
    Some((Reason::RateNotDelivered, message))
}

/// What the generator can be late for.
#[derive(Clone, Copy)]
enum Schedule {
    /// Open model.
    Arrivals,
    /// Closed model.
    Waits,
}

fn late(evidence: &Evidence, schedule: Schedule) -> Option<Fault> {
    let (health, allowed) = (&evidence.merged.health, evidence.validity.max_lateness);
    let (histogram, what, remedy) = match schedule {
        Schedule::Arrivals => {
            let remedy = "lower the rate, or raise profile.arrivals.maxInFlight if the target is slow";
            (&health.lateness, "requests were sent", remedy)
        }
        Schedule::Waits => (&health.waits, "waits ended", "or lower the users"),
    };
    if matches!(schedule, Schedule::Arrivals) && !evidence.facts.open_model {
        return None;
    }
    let p99 = judged_lateness(histogram).filter(|nanos| *nanos > allowed)?;
    let message = format!(
        "{what} {} late at p99, allowed {}: give workers more CPU, {}, {remedy}",
        text::spaced(&text::duration_beside(p99, allowed)),
        text::spaced(&text::duration_exact(allowed)),
        more_workers(evidence, 1, 1),
    );
    Some((Reason::GeneratorSaturated, message))
}

/// How late the generator itself was, as it is judged, in nanoseconds: the 99th percentile of sent minus intended without opening a connection (open model) or of the
/// waits that ended late (closed model), whichever is worse where a run has both.
#[must_use]
pub fn lateness(health: &Health, open_model: bool) -> Option<u64> {
    let arrivals = judged_lateness(&health.lateness).filter(|_| open_model);
    arrivals.max(judged_lateness(&health.waits))
}

/// The 99th percentile, but never the single latest sample: of fewer than 100, one hiccup does not make the generator saturated.
fn judged_lateness(lateness: &Histogram) -> Option<u64> {
    let n = lateness.count();
    lateness.at_rank(plimsoll_measure::rank(LATENESS, n).min(n.saturating_sub(1)))
}

fn silent(evidence: &Evidence) -> Option<Fault> {
    let counts = evidence.merged.counts(evidence.layout, None, None);
    let message = || {
        "no request fell into the judged part: lengthen the run, or shorten warmup and cooldown".to_owned()
    };
    (counts.requests() == 0).then(|| (Reason::NoData, message()))
}

/// `raise workers.count to N`, where a worker carries `carried` of the `wanted` that it should; at least one more than there are.
fn more_workers(evidence: &Evidence, wanted: u64, carried: u64) -> String {
    let workers = u128::from(evidence.facts.workers.max(1));
    let needed = (workers * u128::from(wanted)).div_ceil(u128::from(carried.max(1))).max(workers + 1);
    if carried == 0 || needed > workers * 100 || wanted == carried {
        return format!("raise workers.count above {workers}");
    }
    format!("raise workers.count from {workers} to {needed}")
}
