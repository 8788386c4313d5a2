//! Shapes, all overrides merged, to the loads over time: that of the profile, and those of scenarios with a profile of their own. Their
//! stages become windows in `windows.rs`.

use plimsoll_plan::{Distribution, Load, LoadGroup, Ramp};
use plimsoll_scenario::Wait;

use super::error::Errors;
use super::{shape, steps};
use crate::v1alpha1::{self as api, LoadTestSpec, Shape};
use crate::{GoDuration, Users};

/// The path that errors of the merged shape name.
const AT: &str = "spec.profile";

/// All loads over time, in nanoseconds.
pub(super) struct Lowered {
    pub(super) groups: Vec<Group>,
    /// When the last of them ends.
    pub(super) duration: u64,
    pub(super) warmup: u64,
    pub(super) cooldown: u64,
    pub(super) graceful_stop: u64,
    pub(super) wait: Option<Wait>,
}

/// One load, and where it was written.
pub(super) struct Group {
    pub(super) load: LoadGroup,
    /// Path of its shape.
    pub(super) at: String,
    /// (length, window), one per stage; one nameless stage if there are none.
    pub(super) stages: Vec<(u64, Option<String>)>,
}

impl Lowered {
    /// Whether a scenario's load is of the open model.
    pub(super) fn is_open(&self, scenario: usize) -> bool {
        self.groups.iter().any(|group| group.load.is_open() && group.load.scenarios.contains(&scenario))
    }

    /// Whether all loads are.
    pub(super) fn is_all_open(&self) -> bool {
        !self.groups.is_empty() && self.groups.iter().all(|group| group.load.is_open())
    }

    /// When each window starts, the earliest first; warm-up and cool-down among them.
    pub(super) fn window_starts(&self) -> Vec<(String, u64)> {
        let mut starts = Vec::new();
        if self.warmup > 0 {
            starts.push(("warmup".to_owned(), 0));
        }
        if self.cooldown > 0 {
            starts.push(("cooldown".to_owned(), self.duration.saturating_sub(self.cooldown)));
        }
        for group in &self.groups {
            let mut start = group.load.start;
            for (length, window) in &group.stages {
                starts.extend(window.clone().map(|window| (window, start)));
                start = start.saturating_add(*length);
            }
        }
        starts.sort_by_key(|(_, start)| *start);
        starts
    }
}

pub(super) fn lower(spec: &LoadTestSpec, shape: &Shape, errors: &mut Errors) -> Lowered {
    let nanos = |duration: Option<GoDuration>, default: u64| duration.map_or(default, |d| d.nanos);
    let (warmup, cooldown) = (nanos(shape.warmup, 0), nanos(shape.cooldown, 0));
    let wait = shape.wait.map(|wait| steps::wait(wait, &format!("{AT}.wait"), errors));
    let groups = groups(spec, shape, errors);
    let duration = groups.iter().map(|group| group.load.end()).max().unwrap_or_default();
    if duration > 0 && warmup.saturating_add(cooldown) >= duration {
        let [duration, warmup, cooldown] = [duration, warmup, cooldown].map(|nanos| GoDuration { nanos });
        let field = if warmup.nanos >= duration.nanos || cooldown.nanos == 0 { "warmup" } else { "cooldown" };
        errors.add(
            format!("{AT}.{field}"),
            format!(
                "warmup {warmup} and cooldown {cooldown} leave nothing of {duration} to judge: shorten them"
            ),
        );
    }
    let graceful_stop = nanos(shape.graceful_stop, GoDuration::from_secs(30).nanos);
    Lowered { groups, duration, warmup, cooldown, graceful_stop, wait }
}

/// The load of the profile, which scenarios share, and those of scenarios with one of their own.
fn groups(spec: &LoadTestSpec, shape: &Shape, errors: &mut Errors) -> Vec<Group> {
    let is_own =
        |index: &usize| spec.scenarios.get(*index).is_some_and(|scenario| scenario.profile.is_some());
    let shared: Vec<usize> = (0..spec.scenarios.len().max(1)).filter(|index| !is_own(index)).collect();
    let mut groups = Vec::new();
    if shared.is_empty() {
        refuse_unshared(shape, errors);
    } else {
        groups.push(group(shape, shared, 0, AT, errors));
    }
    for (index, scenario) in spec.scenarios.iter().enumerate() {
        let at = format!("spec.scenarios[{index}]");
        let start = scenario.start_after.map_or(0, |start| start.nanos);
        let Some(profile) = &scenario.profile else {
            if scenario.start_after.is_some() {
                let message = "the load of spec.profile starts with the run: give the scenario a profile of its own, or remove startAfter";
                errors.add(format!("{at}.startAfter"), message);
            }
            continue;
        };
        if scenario.weight.is_some() {
            let message = "a scenario with a profile of its own shares its load with no other: remove weight";
            errors.add(format!("{at}.weight"), message);
        }
        let (shape, at) = (profile.shape(), format!("{at}.profile"));
        shape::check(&shape, &at, errors);
        shape::check_duration(&shape, &at, errors);
        groups.push(group(&shape, vec![index], start, &at, errors));
    }
    groups
}

/// A load in the profile that no scenario would make.
fn refuse_unshared(shape: &Shape, errors: &mut Errors) {
    let rest = Shape { wait: None, warmup: None, cooldown: None, graceful_stop: None, ..shape.clone() };
    if rest != Shape::default() {
        let message = "every scenario has a profile of its own, so nobody makes this load: remove it (wait, warmup, cooldown and gracefulStop may stay), or the profile of a scenario";
        errors.add(AT, message);
    }
}

fn group(shape: &Shape, scenarios: Vec<usize>, start: u64, at: &str, errors: &mut Errors) -> Group {
    let total = shape::total(shape);
    let duration = total.unwrap_or_else(|| {
        let why =
            if shape.iterations.is_some() { " (iterations end the run earlier, never later)" } else { "" };
        errors.add(
            format!("{at}.duration"),
            format!("required, but missing{why}: set how long the load takes"),
        );
        0
    });
    if total == Some(0) {
        errors.add(format!("{at}.duration"), "a load of 0s: set a longer duration");
    }
    let (load, stages) = match &shape.arrivals {
        Some(arrivals) => open(arrivals, duration, at, errors),
        None => closed(shape, duration, at, errors),
    };
    let ramps = match &load {
        Load::Closed { users: ramps } | Load::Open { rate: ramps, .. } => ramps,
    };
    if errors.is_empty() && ramps.iter().all(|ramp| ramp.from == 0 && ramp.to == 0) {
        errors.add(at, "the load is 0 all the time; set users or a rate");
    }
    let graceful_ramp_down = shape.graceful_ramp_down.unwrap_or(GoDuration::from_secs(30)).nanos;
    let iterations = shape.iterations;
    let load = LoadGroup { load, start, duration, graceful_ramp_down, iterations, scenarios };
    Group { load, at: at.to_owned(), stages }
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

fn closed(shape: &Shape, duration: u64, at: &str, errors: &mut Errors) -> (Load, Stages) {
    let Some(stages) = &shape.stages else {
        let Some(users) = shape.users else {
            let remedy = if at == AT {
                "users, stages, arrivals, a preset or a ref"
            } else {
                "users, stages or arrivals"
            };
            errors.add(format!("{at}.users"), format!("required, but missing: set {remedy}"));
            return (Load::Closed { users: Vec::new() }, vec![(duration, None)]);
        };
        return (Load::Closed { users: constant(users, shape.spawn_rate, duration) }, vec![(duration, None)]);
    };
    let mut ends = Vec::new();
    for (i, stage) in stages.iter().enumerate() {
        let users = match (stage.users, shape.users) {
            (Users::Count(count), _) => count,
            (Users::Percent(share), Some(users)) => shape::portion(users.into(), share.ppb, 1_000_000_000),
            (Users::Percent(share), None) => {
                let message = format!("{share} of what? set {at}.users, which it is a share of");
                errors.add(format!("{at}.stages[{i}].users"), message);
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

fn open(arrivals: &api::Arrivals, duration: u64, at: &str, errors: &mut Errors) -> (Load, Stages) {
    let (rate, windows) = match (&arrivals.stages, arrivals.rate) {
        (Some(stages), _) => (
            ramps(stages.iter().map(|stage| (stage.duration.nanos, stage.rate.per_1000_min))),
            stages.iter().map(|stage| (stage.duration.nanos, stage.window.clone())).collect(),
        ),
        (None, Some(rate)) => {
            if rate.per_1000_min == 0 {
                errors
                    .add(format!("{at}.arrivals.rate"), format!("{rate} sends nothing: set a rate over 0/s"));
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
