//! A shape, all overrides merged, to the load over time. Its stages become windows in `windows.rs`.

use plimsoll_plan::{Distribution, Load, Ramp};
use plimsoll_scenario::Wait;

use super::error::Errors;
use super::shape;
use crate::v1alpha1::{self as api, Shape};
use crate::{GoDuration, Users};

/// The path that errors of the merged shape name.
const AT: &str = "spec.profile";

/// The load over time, in nanoseconds.
pub(super) struct Lowered {
    pub(super) load: Load,
    pub(super) duration: u64,
    pub(super) warmup: u64,
    pub(super) cooldown: u64,
    /// (length, window, index of the stage); one nameless stage if there are none.
    pub(super) stages: Vec<(u64, Option<String>)>,
    pub(super) iterations: Option<u64>,
    pub(super) graceful_stop: u64,
    pub(super) graceful_ramp_down: u64,
    pub(super) wait: Option<Wait>,
}

impl Lowered {
    pub(super) fn is_open(&self) -> bool {
        matches!(self.load, Load::Open { .. })
    }
}

pub(super) fn lower(shape: &Shape, errors: &mut Errors) -> Lowered {
    let nanos = |duration: Option<GoDuration>, default: u64| duration.map_or(default, |d| d.nanos);
    let duration = shape::total(shape).unwrap_or_else(|| {
        let why =
            if shape.iterations.is_some() { " (iterations end the run earlier, never later)" } else { "" };
        errors.add(
            format!("{AT}.duration"),
            format!("required, but missing{why}: set how long the load takes"),
        );
        0
    });
    let (warmup, cooldown) = (nanos(shape.warmup, 0), nanos(shape.cooldown, 0));
    if shape::total(shape) == Some(0) {
        errors.add(format!("{AT}.duration"), "a load of 0s: set a longer duration");
    } else if duration > 0 && warmup.saturating_add(cooldown) >= duration {
        let [duration, warmup, cooldown] = [duration, warmup, cooldown].map(|nanos| GoDuration { nanos });
        let field = if warmup.nanos >= duration.nanos || cooldown.nanos == 0 { "warmup" } else { "cooldown" };
        errors.add(
            format!("{AT}.{field}"),
            format!(
                "warmup {warmup} and cooldown {cooldown} leave nothing of {duration} to judge: shorten them"
            ),
        );
    }
    let (load, stages) = match &shape.arrivals {
        Some(arrivals) => open(arrivals, duration, errors),
        None => closed(shape, duration, errors),
    };
    Lowered {
        load,
        duration,
        warmup,
        cooldown,
        stages,
        iterations: shape.iterations,
        graceful_stop: nanos(shape.graceful_stop, GoDuration::from_secs(30).nanos),
        graceful_ramp_down: nanos(shape.graceful_ramp_down, GoDuration::from_secs(30).nanos),
        wait: shape.wait.map(wait),
    }
}

pub(super) fn wait(wait: api::Wait) -> Wait {
    Wait { min: wait.min.nanos, max: wait.max.nanos }
}

/// Linear stretches from 0, one per stage.
fn ramps(ends: impl Iterator<Item = (u64, u64)>) -> Vec<Ramp> {
    let mut from = 0;
    ends.map(|(duration, to)| {
        let ramp = Ramp { duration, from, to };
        from = to;
        ramp
    })
    .collect()
}

type Stages = Vec<(u64, Option<String>)>;

fn closed(shape: &Shape, duration: u64, errors: &mut Errors) -> (Load, Stages) {
    let Some(stages) = &shape.stages else {
        let Some(users) = shape.users else {
            errors.add(
                format!("{AT}.users"),
                "required, but missing: set users, stages, arrivals, a preset or a ref",
            );
            return (Load::Closed { users: Vec::new() }, vec![(duration, None)]);
        };
        return (Load::Closed { users: constant(users, shape.spawn_rate, duration) }, vec![(duration, None)]);
    };
    let mut ends = Vec::new();
    for (at, stage) in stages.iter().enumerate() {
        let users = match (stage.users, shape.users) {
            (Users::Count(count), _) => count,
            (Users::Percent(share), Some(users)) => shape::portion(users.into(), share.ppb, 1_000_000_000),
            (Users::Percent(share), None) => {
                let message = format!("{share} of what? set {AT}.users, which it is a share of");
                errors.add(format!("{AT}.stages[{at}].users"), message);
                0
            }
        };
        ends.push((stage.duration.nanos, u64::from(users)));
    }
    let windows = stages.iter().map(|stage| (stage.duration.nanos, stage.window.clone())).collect();
    (Load::Closed { users: ramps(ends.into_iter()) }, windows)
}

/// All users at once, or so many per second.
fn constant(users: u32, spawn_rate: Option<u32>, duration: u64) -> Vec<Ramp> {
    let users = u64::from(users);
    let hold = |duration| Ramp { duration, from: users, to: users };
    let Some(rate) = spawn_rate else { return vec![hold(duration)] };
    let spawning = users * 1_000_000_000 / u64::from(rate.max(1));
    vec![Ramp { duration: spawning, from: 0, to: users }, hold(duration.saturating_sub(spawning))]
}

fn open(arrivals: &api::Arrivals, duration: u64, errors: &mut Errors) -> (Load, Stages) {
    let (rate, windows) = match (&arrivals.stages, arrivals.rate) {
        (Some(stages), _) => (
            ramps(stages.iter().map(|stage| (stage.duration.nanos, stage.rate.per_1000_min))),
            stages.iter().map(|stage| (stage.duration.nanos, stage.window.clone())).collect(),
        ),
        (None, Some(rate)) => {
            if rate.per_1000_min == 0 {
                errors
                    .add(format!("{AT}.arrivals.rate"), format!("{rate} sends nothing: set a rate over 0/s"));
            }
            (vec![Ramp { duration, from: rate.per_1000_min, to: rate.per_1000_min }], vec![(duration, None)])
        }
        (None, None) => (Vec::new(), vec![(duration, None)]),
    };
    let distribution = match arrivals.distribution.unwrap_or_default() {
        api::Distribution::Uniform => Distribution::Uniform,
        api::Distribution::Poisson => Distribution::Poisson,
    };
    (Load::Open { rate, distribution, max_in_flight: arrivals.max_in_flight.unwrap_or(10_000) }, windows)
}
