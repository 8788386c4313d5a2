//! Summary of the judged part, counts of the whole run, and asked and delivered load. Used by `run.rs`.

use plimsoll_measure::RATE_SECONDS;
use plimsoll_plan::{Load, Plan};
use plimsoll_slo::{Stat, Validity, class_name, lateness, text};

use super::figures::{Figures, Source};
use super::{Measured, RunView};
use crate::v1alpha1::{Delivery, Phase, Summary, Total};

impl<'a> From<Measured<'a>> for Source<'a> {
    fn from(measured: Measured<'a>) -> Self {
        let Measured { plan, slos, merged, facts, .. } = measured;
        Self { layout: &plan.layout, slos, merged, until: facts.measured }
    }
}

/// Results of the judged part so far.
pub(super) fn summary(view: &RunView, measured: Measured) -> Summary {
    let figures = Figures::new(measured.into(), None, None);
    let counts = &figures.counts;
    Summary {
        requests: counts.requests(),
        failures: counts.failed,
        failures_by_class: counts
            .classes
            .iter()
            .map(|(class, n)| (class_name(*class).to_owned(), *n))
            .collect(),
        errors: figures.errors(),
        rate: figures.rate(),
        p50: figures.percentile(5_000),
        p90: figures.percentile(9_000),
        p95: figures.percentile(9_500),
        p99: figures.percentile(9_900),
        max: figures.latency(Stat::Max),
        total: Some(total(view, measured)),
    }
}

/// Counts of the whole run. While it goes on, requests are on their way: what was sent is then known from below only.
fn total(view: &RunView, measured: Measured) -> Total {
    let counts = measured.merged.total();
    let lost = view.workers.map_or(measured.facts.workers_lost, |workers| workers.lost);
    let over = view.phase == Phase::Finished;
    let exact = over && lost == 0 && measured.merged.is_exact();
    let unseen = if lost == 0 { Some(0) } else { view.unseen };
    Total {
        requests: counts.requests(),
        sent: counts.sent,
        exact,
        // What was in flight at the end may have reached the target or not.
        sent_at_least: (!exact).then(|| counts.sent.saturating_sub(counts.unfinished)),
        sent_at_most: unseen.filter(|_| over && !exact).map(|unseen| counts.sent.saturating_add(unseen)),
        not_sent: counts.not_sent,
        unfinished: counts.unfinished,
        failures: counts.failed,
    }
}

/// Asked and delivered load.
pub(super) fn delivery(view: &RunView, measured: Measured) -> Delivery {
    let Measured { plan, validity, merged, facts, .. } = measured;
    let health = &merged.health;
    let delivered = facts.open_model && health.due > 0;
    let delivered =
        delivered.then(|| text::share_among(health.delivered, health.due, &[validity.min_delivered], &[]));
    let at = (view.phase == Phase::Running).then_some(facts.measured);
    Delivery { asked: Some(asked_load(plan, at)), delivered, lateness: late(measured, validity) }
}

fn late(measured: Measured, validity: &Validity) -> Option<String> {
    let nanos = lateness(&measured.merged.health, measured.facts.open_model)?;
    Some(text::duration_beside(nanos, validity.max_lateness))
}

/// The load that is asked for at a moment (nanoseconds since the start), or at the most: `100 users`, `2000/s`, `10 users and 5/s`.
#[must_use]
pub fn asked_load(plan: &Plan, at: Option<u64>) -> String {
    let at = at.map(|at| at.min(plan.duration.saturating_sub(1)));
    let users = plan.has_users().then(|| {
        let users = at.map_or_else(|| plan.peak_users(), |at| plan.users_at(at));
        format!("{users} user{}", if users == 1 { "" } else { "s" })
    });
    let rate = plan
        .has_arrivals()
        .then(|| at.map_or_else(|| text::rate_exact(plan.peak_rate()), |at| asked_rate(plan, at)));
    users.into_iter().chain(rate).collect::<Vec<_>>().join(" and ")
}

/// The rate of arrivals that is asked for at a moment: one that a profile names has all its digits, one on the way between two is
/// rounded.
fn asked_rate(plan: &Plan, at: u64) -> String {
    let now = plan.rate_at(at);
    let ramps = plan.loads.iter().flat_map(|group| match &group.load {
        Load::Open { rate, .. } => rate.as_slice(),
        Load::Closed { .. } => &[],
    });
    let mut named = ramps.flat_map(|ramp| [ramp.from, ramp.to]);
    if named.any(|named| named == now) {
        text::rate_exact(now)
    } else {
        text::rate(now, RATE_SECONDS * 1_000_000_000)
    }
}
