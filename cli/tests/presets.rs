//! The suite's eight users (`examples/aragora/users.yaml`) driven by each of the six presets, shortened: as many users as the preset
//! says, no request that fails, no SLO that is missed. Six seconds are too few to judge every operation.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use plimsoll_testbed::{Config, Testbed};
use serde_json::Value;

/// Preset and its most users.
const PRESETS: [(&str, &str); 6] = [
    ("smoke", "5 users"),
    ("light", "20 users"),
    ("medium", "50 users"),
    ("heavy", "100 users"),
    ("spike", "200 users"),
    ("soak", "30 users"),
];

fn run(preset: &str) -> (Value, u64) {
    let testbed = Testbed::start(Config::aragora()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_plimsoll"))
        .args(["run", concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/aragora/users.yaml")])
        .args(["--quiet", "-o", "json", "--shorten", "6s", "--target", &testbed.url()])
        .args(["--set", &format!("spec.profile.preset={preset}"), "--set", "spec.validity.maxLateness=10s"])
        .args(["--secret", "aragora/token=env:TOKEN"])
        .env("TOKEN", "any")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let run: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{preset}: {error}: {told}"));
    (run, testbed.stats().received())
}

#[test]
fn every_preset_drives_the_eight_users() {
    let runs = PRESETS.map(|(preset, users)| (preset, users, std::thread::spawn(move || run(preset))));
    for (preset, users, run) in runs {
        let (run, received) = run.join().unwrap();
        let status = &run["status"];
        assert_eq!(status["load"]["asked"], users, "{preset}: {status:#}");
        let total = &status["summary"]["total"];
        assert_eq!((&total["failures"], &total["exact"]), (&0.into(), &true.into()), "{preset}: {total:#}");
        assert_eq!(total["sent"], received, "{preset}: {total:#}");
        let missed: Vec<&Value> = status["slos"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|slo| slo["result"] == "Missed" && slo["severity"] == "Error")
            .collect();
        assert!(missed.is_empty() && received > 3, "{preset}: {missed:#?}");
    }
}
