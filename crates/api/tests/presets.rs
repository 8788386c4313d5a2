//! Each preset with all its figures, as a plan, and shortened.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod support;

use plimsoll_measure::Bad;
use plimsoll_plan::Load;
use plimsoll_slo::{Kind, Severity, Stat};
use support::spec;

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;
const PPM: u64 = 1_000;

/// name, users, spawn rate, seconds, warm-up, cool-down, wait in ms, (p95, p99) in ms, errors and timeouts in ppm, floor in 1/s
type Row = (&'static str, u64, u64, u64, u64, u64, (u64, u64), (u64, u64), u64, u64, u64);

const TABLE: [Row; 6] = [
    ("smoke", 5, 1, 60, 10, 10, (500, 2000), (1000, 2000), 50_000, 5_000, 10),
    ("light", 20, 2, 300, 30, 30, (1000, 5000), (500, 1000), 10_000, 5_000, 10),
    ("medium", 50, 5, 600, 60, 60, (500, 3000), (500, 1500), 20_000, 5_000, 20),
    ("heavy", 100, 10, 900, 120, 120, (100, 1000), (1000, 3000), 50_000, 5_000, 50),
    ("spike", 200, 50, 300, 30, 60, (50, 500), (2000, 5000), 100_000, 20_000, 10),
    ("soak", 30, 2, 3600, 120, 120, (1000, 5000), (500, 1000), 10_000, 5_000, 15),
];

/// Stages of those that have some: (seconds, users at the end).
fn stages(name: &str) -> Option<Vec<(u64, u64)>> {
    Some(match name {
        "medium" => vec![(60, 10), (120, 30), (180, 50), (180, 50), (60, 20)],
        "heavy" => vec![(60, 20), (120, 50), (180, 100), (300, 100), (120, 50), (60, 0), (60, 0)],
        "spike" => {
            vec![(30, 10), (10, 200), (60, 200), (10, 50), (60, 50), (30, 10), (10, 200), (60, 200), (30, 0)]
        }
        _ => return None,
    })
}

#[test]
fn every_figure() {
    for (name, users, spawn, duration, warmup, cooldown, wait, (p95, p99), errors, timeouts, floor) in TABLE {
        let resolved =
            spec(&format!("  target: {{url: http://a}}\n  profile: {{preset: {name}}}\n")).unwrap();
        let plan = &resolved.plan;
        assert_eq!(plan.duration, duration * S, "{name}");
        let Load::Closed { users: ramps } = &plan.loads[0].load else { panic!("{name}") };
        let ends: Vec<_> = ramps.iter().map(|ramp| (ramp.duration / S, ramp.to)).collect();
        let spawning = users / spawn;
        assert_eq!(
            ends,
            stages(name).unwrap_or(vec![(spawning, users), (duration - spawning, users)]),
            "{name}"
        );
        assert_eq!(plan.peak_users(), users, "{name}");
        assert_eq!(ramps[0].from, 0);
        assert!(ramps.windows(2).all(|pair| pair[0].to == pair[1].from), "{name}");

        let judged = plan.layout.judged_spans(None);
        assert_eq!(judged, [(warmup * S, (duration - cooldown) * S)], "{name}");
        let between = plimsoll_scenario::Wait::Uniform { min: wait.0 * MS, max: wait.1 * MS };
        assert_eq!(plan.script.scenarios[0].wait, Some(between), "{name}");

        let latency = |hundredths, millis: u64| Kind::Latency {
            stat: Stat::Percentile(hundredths),
            at_most: millis * MS,
            succeeded_only: false,
        };
        let expected = [
            ("p50", Severity::Warning, latency(5000, 200)),
            ("p95", Severity::Error, latency(9500, p95)),
            ("p99", Severity::Error, latency(9900, p99)),
            (
                "errors",
                Severity::Error,
                Kind::ErrorRate { at_most: errors * PPM, classes: vec![], within: None },
            ),
            ("timeouts", Severity::Error, Kind::TimeoutRate { at_most: timeouts * PPM }),
            (
                "throughput",
                Severity::Warning,
                Kind::Throughput { at_least: Some(floor * 60_000), at_most: None },
            ),
        ];
        let found: Vec<_> =
            resolved.slos.iter().map(|slo| (slo.name.as_str(), slo.severity, slo.kind.clone())).collect();
        assert_eq!(found, expected, "{name}");
        assert!(resolved.slos.iter().all(|slo| slo.request.is_none() && slo.window.is_none()), "{name}");
        let counted: Vec<_> = plan.layout.objectives.iter().map(|objective| &objective.bad).collect();
        assert_eq!(counted.len(), 5, "{name}: three latencies, errors, timeouts");
        assert_eq!(counted[0], &Bad::Slower { nanos: 200 * MS, succeeded_only: false }, "{name}");
        assert_eq!(resolved.notices, Vec::<String>::new(), "{name}");
    }
}

#[test]
fn every_preset_can_be_shortened_and_scaled() {
    for (name, users, _, duration, warmup, cooldown, ..) in TABLE {
        let text =
            format!("  target: {{url: http://a}}\n  profile: {{preset: {name}, duration: 45s, users: 10}}\n");
        let plan = spec(&text).unwrap().plan;
        assert_eq!(plan.duration, 45 * S, "{name}");
        assert_eq!(plan.peak_users(), 10, "{name}");
        let (from, to) = plan.layout.judged_spans(None)[0];
        assert_eq!(from, warmup * 45 * S / duration, "{name}");
        assert_eq!(45 * S - to, cooldown * 45 * S / duration, "{name}");
        let Load::Closed { users: ramps } = &plan.loads[0].load else { panic!("{name}") };
        if let Some(stages) = stages(name) {
            let expected: Vec<u64> =
                stages.iter().map(|(_, n)| ((n * 10 + users / 2) / users).max((*n > 0).into())).collect();
            assert_eq!(ramps.iter().map(|ramp| ramp.to).collect::<Vec<_>>(), expected, "{name}");
            assert_eq!(ramps.iter().map(|ramp| ramp.duration).sum::<u64>(), 45 * S, "{name}");
        }
    }
}

#[test]
fn presets_are_profiles_that_the_api_takes() {
    for preset in plimsoll_api::presets::ALL {
        let profile = plimsoll_api::v1alpha1::LoadProfile::new("p", plimsoll_api::presets::profile(preset));
        let text = plimsoll_api::to_yaml(&profile).unwrap();
        let documents =
            plimsoll_api::read("p.yaml", &text).unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"));
        assert_eq!(documents.len(), 1);
        let test = "---\napiVersion: plimsoll.dev/v1alpha1\nkind: LoadTest\nmetadata: {name: t}\nspec:\n  target: {url: http://a}\n  profile: {ref: {kind: LoadProfile, name: p}}\n";
        let shared = support::resolve(&format!("{text}{test}")).remove(0).unwrap();
        let name = plimsoll_api::presets::figures(preset).name;
        let built_in =
            spec(&format!("  target: {{url: http://a}}\n  profile: {{preset: {name}}}\n")).unwrap();
        assert_eq!((shared.plan, shared.slos), (built_in.plan, built_in.slos), "{name}");
    }
}
