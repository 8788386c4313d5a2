//! Why arrivals were not sent, or late: the generator, the target, a cap, or the data. Used by `validity.rs`.
//!
//! Decided by what arrivals waited for while they did (`Held` of `crates/measure`): a core that has no time left and a target that
//! takes all places look alike in every count of requests. CPU use alone decides nothing: only while an arrival waits does it count.

use plimsoll_measure::{Health, Held, RATE_SECONDS};

use crate::scope::Evidence;
use crate::validity::{Fault, judged_lateness, more_workers};
use crate::{Reason, text};

/// Workers that are named as enough have a quarter more to give than they were seen to.
pub(crate) const MARGIN: (u128, u128) = (5, 4);

/// What held arrivals up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    Generator,
    Target,
    Connections,
    Limits,
    Data,
    /// Nothing was seen of it.
    Unseen,
}

/// Arrivals that were not sent, or too late, and why.
pub(crate) fn behind(evidence: &Evidence) -> Option<Fault> {
    if !evidence.facts.open_model {
        return None;
    }
    let (unsent, late) = (undelivered(evidence), late(evidence));
    let cause = cause(&evidence.merged.health, unsent.is_some());
    let figures: Vec<String> = unsent.into_iter().chain(late).collect();
    if figures.is_empty() {
        return None;
    }
    let reason =
        if cause == Cause::Generator { Reason::GeneratorSaturated } else { Reason::RateNotDelivered };
    Some((reason, format!("{}: {}", figures.join(", "), told(cause, evidence))))
}

fn undelivered(evidence: &Evidence) -> Option<String> {
    let (health, min) = (&evidence.merged.health, evidence.validity.min_delivered);
    let enough = u128::from(health.delivered) * 1_000_000_000 >= u128::from(min) * u128::from(health.due);
    let limit = text::ppb_percent(min);
    (!enough).then(|| {
        format!(
            "{} of {} due requests were sent, {}, wanted at least {}",
            text::count(health.delivered),
            text::count(health.due),
            text::percent(health.delivered, health.due, 1, |share| limit.at_most(share)),
            text::share_exact(min),
        )
    })
}

fn late(evidence: &Evidence) -> Option<String> {
    let allowed = evidence.validity.max_lateness;
    let p99 = judged_lateness(&evidence.merged.health.lateness).filter(|nanos| *nanos > allowed)?;
    Some(format!(
        "requests were sent {} late at p99, allowed {}",
        text::spaced(&text::duration_beside(p99, allowed)),
        text::spaced(&text::duration_exact(allowed)),
    ))
}

/// What arrivals waited for most of the time that some did.
fn cause(health: &Health, undelivered: bool) -> Cause {
    let missing = health.due.saturating_sub(health.delivered);
    if undelivered && health.no_data > missing / 2 {
        return Cause::Data;
    }
    let Held { generator, target, connections, limits } = health.held;
    let causes = [
        (limits, Cause::Limits),
        (connections, Cause::Connections),
        (target, Cause::Target),
        (generator, Cause::Generator),
    ];
    match causes.into_iter().max_by_key(|(time, _)| *time) {
        Some((1.., cause)) => cause,
        // Nothing stood in the way of what was late: it was begun late all the same.
        _ if !undelivered => Cause::Generator,
        _ => Cause::Unseen,
    }
}

fn told(cause: Cause, evidence: &Evidence) -> String {
    let answers = answers(evidence);
    match cause {
        Cause::Generator => format!(
            "the workers' cores had no time left; {}, or give them more CPU, or lower the rate",
            enough_workers(evidence)
        ),
        Cause::Target => format!(
            "all places of arrivals.maxInFlight were taken by arrivals under way{answers}: the target is too slow for this rate and so many; raise arrivals.maxInFlight, or lower the rate"
        ),
        Cause::Connections => format!(
            "requests waited for a connection, all that target.connections allows were in use{answers}: raise target.connections.max (HTTP/2: or the target's limit of streams), or lower the rate"
        ),
        Cause::Limits => format!(
            "all places of arrivals.maxInFlight were taken, most of them by arrivals that waited for a place in a step with concurrency{answers}: raise concurrency.max, or lower the rate"
        ),
        Cause::Data => format!(
            "{} no row of data left: give the table more rows, or leave out data[].onEnd: EndUser",
            match evidence.merged.health.no_data {
                1 => "1 arrival found".to_owned(),
                n => format!("{} arrivals found", text::count(n)),
            }
        ),
        Cause::Unseen => format!(
            "raise arrivals.maxInFlight if the target is slow, otherwise {}",
            more_workers(evidence, evidence.merged.health.due, evidence.merged.health.delivered)
        ),
    }
}

/// How fast the target answers, from the send on, if it does.
fn answers(evidence: &Evidence) -> String {
    let service = evidence.merged.histogram(evidence.layout, None, None, |cell| &cell.service);
    let median = service.at_rank(plimsoll_measure::rank(5_000, service.count()));
    let complete = evidence.merged.counts(evidence.layout, None, None).complete;
    match median.filter(|_| complete > 0) {
        Some(median) => format!(" (median response {})", text::spaced(&text::duration(median))),
        None => " (no response was complete)".to_owned(),
    }
}

/// `3 workers would carry this rate`, by what one carried while it had no time left.
fn enough_workers(evidence: &Evidence) -> String {
    let (health, workers) = (&evidence.merged.health, evidence.facts.workers.max(1));
    let peak = evidence.facts.peak_rate;
    let capacity = capacity(health).filter(|_| peak > 0);
    let Some(capacity) = capacity else {
        return more_workers(evidence, health.due, health.delivered);
    };
    let wanted = u128::from(peak) * MARGIN.0;
    let needed = wanted.div_ceil(u128::from(capacity) * MARGIN.1).max(u128::from(workers) + 1);
    format!(
        "one worker carried {} of {}: {} workers would carry this rate (workers.count is {workers})",
        text::rate(capacity, RATE_SECONDS * 1_000_000_000),
        text::rate_exact(peak),
        text::count(u64::try_from(needed).unwrap_or(u64::MAX)),
    )
}

/// Arrivals per [`RATE_SECONDS`] that a worker began while its cores had no time left, if that was seen for long enough to tell.
fn capacity(health: &Health) -> Option<u64> {
    const ENOUGH: u64 = 100_000_000;
    let busy = health.held.generator;
    if busy < ENOUGH || health.carried == 0 || health.wall == 0 {
        return None;
    }
    // A worker has as many cores as their time is of its own.
    let each = u128::from(health.carried) * u128::from(RATE_SECONDS) * 1_000_000_000;
    let worker = each.checked_mul(health.cores.into())? / (u128::from(busy) * u128::from(health.wall));
    u64::try_from(worker).ok().filter(|rate| *rate > 0)
}
