//! Decides whether a run can be judged at all: what was lost, late, throttled or never sent. Used by `judge.rs`; arrivals are in
//! `arrivals.rs`.

use plimsoll_measure::{Health, Histogram};

use crate::arrivals::{MARGIN, behind};
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
    let own = [exhausted(evidence), throttled(evidence), behind(evidence), late_waits(evidence)];
    let mut faults: Vec<Fault> =
        [lost(evidence), skewed(evidence)].into_iter().chain(own).flatten().collect();
    let saturated = faults.iter().any(|(reason, _)| *reason == Reason::GeneratorSaturated);
    faults.extend([queued(evidence, saturated), silent(evidence)].into_iter().flatten());
    faults
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

fn late_waits(evidence: &Evidence) -> Option<Fault> {
    let (health, allowed) = (&evidence.merged.health, evidence.validity.max_lateness);
    let p99 = judged_lateness(&health.waits).filter(|nanos| *nanos > allowed)?;
    let message = format!(
        "waits ended {} late at p99, allowed {}: give workers more CPU, {}, or lower the users",
        text::spaced(&text::duration_beside(p99, allowed)),
        text::spaced(&text::duration_exact(allowed)),
        more_workers(evidence, 1, 1),
    );
    Some((Reason::GeneratorSaturated, message))
}

/// What was ready waited for the generator: that is part of every latency, whatever the model. What to do about it is not told twice.
fn queued(evidence: &Evidence, told: bool) -> Option<Fault> {
    let (health, allowed) = (&evidence.merged.health, evidence.validity.max_lateness);
    let p99 = lag(health).filter(|nanos| *nanos > allowed)?;
    let most = text::spaced(&text::duration(health.lag.max().unwrap_or(p99)));
    let queue = format!("latencies include up to {most} of the generator's own queue");
    let message = if told {
        queue
    } else {
        format!(
            "the workers' cores came {} late at p99 to what was ready, allowed {}, {queue}: give workers more CPU, {}, or lower the load",
            text::spaced(&text::duration_beside(p99, allowed)),
            text::spaced(&text::duration_exact(allowed)),
            more_workers(evidence, 1, 1),
        )
    };
    Some((Reason::GeneratorSaturated, message))
}

/// How late the generator's cores came to what was ready, as it is judged, in nanoseconds: so much of its own queue latencies may
/// include at the 99th percentile.
#[must_use]
pub fn lag(health: &Health) -> Option<u64> {
    judged_lateness(&health.lag)
}

/// How late the generator itself was, as it is judged, in nanoseconds: the 99th percentile of sent minus intended without opening a connection (open model) or of the
/// waits that ended late (closed model), whichever is worse where a run has both.
#[must_use]
pub fn lateness(health: &Health, open_model: bool) -> Option<u64> {
    let arrivals = judged_lateness(&health.lateness).filter(|_| open_model);
    arrivals.max(judged_lateness(&health.waits))
}

/// The 99th percentile, but never the single latest sample: of fewer than 100, one hiccup does not make the generator saturated.
pub(crate) fn judged_lateness(lateness: &Histogram) -> Option<u64> {
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

/// `raise workers.count to N`, where a worker carries `carried` of the `wanted` that it should, with a margin; at least one more than
/// there are.
pub(crate) fn more_workers(evidence: &Evidence, wanted: u64, carried: u64) -> String {
    let workers = u128::from(evidence.facts.workers.max(1));
    let all = workers * u128::from(wanted) * MARGIN.0;
    let needed = all.div_ceil(u128::from(carried.max(1)) * MARGIN.1).max(workers + 1);
    if carried == 0 || needed > workers * 100 || wanted == carried {
        return format!("raise workers.count above {workers}");
    }
    format!("raise workers.count from {workers} to {needed}")
}
