//! The presets' stages as a server sees them: every user holds one connection, and at every moment as many are open as the
//! suite's table says.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use plimsoll_testbed::{Config, Testbed};

mod support;

use support::{TEST, json};

/// Seconds and users at the end of each stage, linear from the one before, the first from 0.
type Stages = &'static [(f64, f64)];

const MEDIUM: Stages = &[(60., 10.), (120., 30.), (180., 50.), (180., 50.), (60., 20.)];
const HEAVY: Stages =
    &[(60., 20.), (120., 50.), (180., 100.), (300., 100.), (120., 50.), (60., 0.), (60., 0.)];
const SPIKE: Stages = &[
    (30., 10.),
    (10., 200.),
    (60., 200.),
    (10., 50.),
    (60., 50.),
    (30., 10.),
    (10., 200.),
    (60., 200.),
    (30., 0.),
];

/// Seconds that the shortened run takes.
const SHORT: f64 = 15.;
/// How late a sample may see a change: connecting, closing, being scheduled on a busy machine.
const LAG: f64 = 0.25;

fn users(stages: Stages, at: f64) -> f64 {
    let (mut from, mut start) = (0., 0.);
    for (length, to) in stages {
        if at < start + length {
            return from + (to - from) * (at - start).max(0.) / length;
        }
        (from, start) = (*to, start + length);
    }
    0.
}

/// Runs a preset, shortened, and samples the connections that are open; fails where they leave the table by more than one.
fn assert_followed(preset: &str, stages: Stages) {
    let testbed = Testbed::start(Config::default()).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_plimsoll"))
        .args(["run", "-", "-q", "-o", "json", "--target", &testbed.url(), "--shorten", "15s"])
        .args(["--set", &format!("spec.profile={{preset: {preset}, wait: {{min: 300ms, max: 500ms}}}}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(TEST.as_bytes()).unwrap();
    let mut samples = Vec::new();
    while child.try_wait().unwrap().is_none() {
        samples.push((SystemTime::now(), testbed.stats().connections.open));
        std::thread::sleep(Duration::from_millis(20));
    }
    let run = json(&child.wait_with_output().unwrap());
    let started = run["status"]["startedAt"].as_str().unwrap_or_else(|| panic!("{run:#}"));
    let started: k8s_openapi::jiff::Timestamp = started.parse().unwrap();
    let started = SystemTime::from(started);
    let whole: f64 = stages.iter().map(|(length, _)| length).sum();
    let mut compared = 0;
    for (at, open) in samples {
        let Ok(since) = at.duration_since(started) else { continue };
        let since = since.as_secs_f64();
        // Before it begins and after it ends there is nothing to follow.
        if since > SHORT {
            continue;
        }
        let table = |shift: f64| users(stages, (since + shift) / SHORT * whole);
        let steps = (0..=50).map(|step| table(-LAG * f64::from(step) / 50.));
        let (low, high) = steps.fold((f64::MAX, f64::MIN), |(low, high), n| (low.min(n), high.max(n)));
        let open = f64::from(u32::try_from(open).unwrap());
        assert!(
            (low - 1. ..=high + 1.).contains(&open),
            "{preset}, {since:.2} s of {SHORT} s: {open} users, the table has {low:.1} to {high:.1}"
        );
        compared += 1;
    }
    assert!(compared > 300, "{preset}: only {compared} samples");
}

#[test]
fn medium_heavy_and_spike_are_followed() {
    let followed = [("medium", MEDIUM), ("heavy", HEAVY), ("spike", SPIKE)]
        .map(|(preset, stages)| std::thread::spawn(move || assert_followed(preset, stages)));
    followed.into_iter().for_each(|run| run.join().unwrap());
}
