//! The six built-in profiles: load shapes with SLOs for the usual purposes. Resolved like any profile by `lower/profile.rs`.

use plimsoll_measure::RATE_SECONDS;

use crate::v1alpha1::{
    ErrorRate, Latency, LoadProfileSpec, Preset, Severity, Shape, Slo, Stage, Throughput, TimeoutRate, Wait,
};
use crate::{GoDuration, LatencyBound, Rate, Share, Statistic, Users};

/// All presets, in the order of their size.
pub const ALL: [Preset; 6] =
    [Preset::Smoke, Preset::Light, Preset::Medium, Preset::Heavy, Preset::Spike, Preset::Soak];

/// The figures of a preset; `profile` makes a profile of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// Its name in a manifest.
    pub name: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// Virtual users.
    pub users: u32,
    /// Users that start per second; with stages, they say it.
    pub spawn_rate: u32,
    /// Seconds in all.
    pub duration: u64,
    /// Seconds of it at the beginning that are not judged.
    pub warmup: u64,
    /// Seconds of it at the end that are not judged.
    pub cooldown: u64,
    /// (seconds, users at their end); none for a constant load. They may be shorter than the duration.
    pub stages: &'static [(u64, u32)],
    /// Milliseconds of the pause after an iteration, from and to.
    pub wait: (u64, u64),
    /// Milliseconds at the 50th percentile (a warning only).
    pub p50: u64,
    /// Milliseconds at the 95th percentile.
    pub p95: u64,
    /// Milliseconds at the 99th percentile.
    pub p99: u64,
    /// Failed requests, in tenths of a percent.
    pub errors: u64,
    /// Timeouts, in tenths of a percent.
    pub timeouts: u64,
    /// Requests per second (a warning only: with the waits above some presets cannot reach it).
    pub throughput: u64,
}

/// The figures of a preset.
#[must_use]
pub fn figures(preset: Preset) -> Figures {
    match preset {
        Preset::Smoke => SMOKE,
        Preset::Light => LIGHT,
        Preset::Medium => MEDIUM,
        Preset::Heavy => HEAVY,
        Preset::Spike => SPIKE,
        Preset::Soak => SOAK,
    }
}

const SMOKE: Figures = Figures {
    name: "smoke",
    purpose: "Quick check that the service works under a little load, for CI",
    users: 5,
    spawn_rate: 1,
    duration: 60,
    warmup: 10,
    cooldown: 10,
    stages: &[],
    wait: (500, 2000),
    p50: 200,
    p95: 1000,
    p99: 2000,
    errors: 50,
    timeouts: 5,
    throughput: 10,
};

const LIGHT: Figures = Figures {
    name: "light",
    purpose: "An ordinary day",
    users: 20,
    spawn_rate: 2,
    duration: 300,
    warmup: 30,
    cooldown: 30,
    wait: (1000, 5000),
    p95: 500,
    p99: 1000,
    errors: 10,
    ..SMOKE
};

const MEDIUM: Figures = Figures {
    name: "medium",
    purpose: "Peak hours, for planning capacity",
    users: 50,
    spawn_rate: 5,
    duration: 600,
    warmup: 60,
    cooldown: 60,
    stages: &[(60, 10), (120, 30), (180, 50), (180, 50), (60, 20)],
    wait: (500, 3000),
    p95: 500,
    p99: 1500,
    errors: 20,
    throughput: 20,
    ..SMOKE
};

const HEAVY: Figures = Figures {
    name: "heavy",
    purpose: "More than the service is made for, to find its limit",
    users: 100,
    spawn_rate: 10,
    duration: 900,
    warmup: 120,
    cooldown: 120,
    stages: &[(60, 20), (120, 50), (180, 100), (300, 100), (120, 50), (60, 0)],
    wait: (100, 1000),
    p95: 1000,
    p99: 3000,
    errors: 50,
    throughput: 50,
    ..SMOKE
};

const SPIKE: Figures = Figures {
    name: "spike",
    purpose: "Sudden bursts, for autoscaling and recovery",
    users: 200,
    spawn_rate: 50,
    duration: 300,
    warmup: 30,
    cooldown: 60,
    stages: &[(30, 10), (10, 200), (60, 200), (10, 50), (60, 50), (30, 10), (10, 200), (60, 200), (30, 0)],
    wait: (50, 500),
    p95: 2000,
    p99: 5000,
    errors: 100,
    timeouts: 20,
    ..SMOKE
};

const SOAK: Figures = Figures {
    name: "soak",
    purpose: "Steady load for an hour, to find leaks and drift",
    users: 30,
    spawn_rate: 2,
    duration: 3600,
    warmup: 120,
    cooldown: 120,
    wait: (1000, 5000),
    p95: 500,
    p99: 1000,
    errors: 10,
    throughput: 15,
    ..SMOKE
};

/// A preset as a profile, as `plimsoll profiles show` prints it: the last stage is spelt out to the whole duration.
#[must_use]
pub fn profile(preset: Preset) -> LoadProfileSpec {
    let figures = figures(preset);
    let stages = stages(&figures);
    let constant = stages.is_empty();
    let shape = Shape {
        users: Some(figures.users),
        spawn_rate: constant.then_some(figures.spawn_rate),
        stages: (!constant).then_some(stages),
        wait: Some(Wait::between(
            GoDuration::from_millis(figures.wait.0),
            GoDuration::from_millis(figures.wait.1),
        )),
        duration: constant.then_some(GoDuration::from_secs(figures.duration)),
        warmup: Some(GoDuration::from_secs(figures.warmup)),
        cooldown: Some(GoDuration::from_secs(figures.cooldown)),
        ..Shape::default()
    };
    LoadProfileSpec { description: Some(figures.purpose.to_owned()), shape, slos: slos(&figures) }
}

fn stages(figures: &Figures) -> Vec<Stage> {
    let stage = |(secs, users): (u64, u32)| Stage {
        duration: GoDuration::from_secs(secs),
        users: Users::Count(users),
        window: None,
    };
    let mut stages: Vec<Stage> = figures.stages.iter().copied().map(stage).collect();
    let sum: u64 = figures.stages.iter().map(|(secs, _)| secs).sum();
    if let Some((_, last)) = figures.stages.last().filter(|_| sum < figures.duration) {
        stages.push(stage((figures.duration - sum, *last)));
    }
    stages
}

fn slos(figures: &Figures) -> Vec<Slo> {
    let latency = |name: &str, hundredths: u32, millis: u64| Slo {
        name: name.to_owned(),
        latency: Some(Latency {
            stat: Statistic(plimsoll_slo::Stat::Percentile(hundredths)),
            at_most: LatencyBound::Absolute(GoDuration::from_millis(millis)),
            of: None,
            relative_to: None,
        }),
        ..Slo::default()
    };
    let warning = |slo: Slo| Slo { severity: Some(Severity::Warning), ..slo };
    let named = |name: &str| Slo { name: name.to_owned(), ..Slo::default() };
    let errors =
        ErrorRate { at_most: Share::from_per_mille(figures.errors), class: Vec::new(), within: None };
    let timeouts = TimeoutRate { at_most: Share::from_per_mille(figures.timeouts) };
    let floor = Rate { per_1000_min: figures.throughput * RATE_SECONDS };
    let throughput = Throughput { at_least: Some(floor), at_most: None };
    vec![
        warning(latency("p50", 5000, figures.p50)),
        latency("p95", 9500, figures.p95),
        latency("p99", 9900, figures.p99),
        Slo { error_rate: Some(errors), ..named("errors") },
        Slo { timeout_rate: Some(timeouts), ..named("timeouts") },
        warning(Slo { throughput: Some(throughput), ..named("throughput") }),
    ]
}
