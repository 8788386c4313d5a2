//! `plimsoll profiles`: the built-in load shapes, for people, as a LoadProfile, and as options of k6 and Locust.

use anyhow::{Result, bail};
use plimsoll_api::presets::{ALL, Figures, figures, profile};
use plimsoll_api::to_yaml;
use plimsoll_api::v1alpha1::{API_VERSION, Preset};
use serde_json::{Value, json};

use crate::args::{ProfileOutput, ProfilesArgs, ProfilesCommand};
use crate::exit::Exit;
use crate::out::print;

/// Lists or shows profiles.
pub(crate) fn profiles(args: &ProfilesArgs) -> Result<Exit> {
    match &args.command {
        ProfilesCommand::List => print(&list())?,
        ProfilesCommand::Show { name, output } => print(&show(find(name)?, *output)?)?,
    }
    Ok(Exit::Passed)
}

fn find(name: &str) -> Result<Preset> {
    let wanted = name.to_lowercase();
    match ALL.into_iter().find(|preset| figures(*preset).name == wanted) {
        Some(preset) => Ok(preset),
        None => {
            let names: Vec<&str> = ALL.iter().map(|preset| figures(*preset).name).collect();
            bail!("there is no built-in profile {name:?}; choose one of {}", names.join(", "))
        }
    }
}

fn list() -> String {
    let mut text = format!("{:8} {:>5} {:>8}  {}\n", "NAME", "USERS", "DURATION", "PURPOSE");
    for preset in ALL {
        let f = figures(preset);
        text.push_str(&format!("{:8} {:>5} {:>8}  {}\n", f.name, f.users, clock(f.duration), f.purpose));
    }
    text
}

fn show(preset: Preset, output: ProfileOutput) -> Result<String> {
    let figures = figures(preset);
    Ok(match output {
        ProfileOutput::Table => table(preset, &figures),
        ProfileOutput::Yaml => to_yaml(&object(preset, &figures))?,
        ProfileOutput::Json => pretty(&object(preset, &figures))?,
        ProfileOutput::K6 => pretty(&k6(preset, &figures))?,
        ProfileOutput::Locust => pretty(&locust(&figures))?,
    })
}

fn pretty(value: &Value) -> Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

/// The profile as an object that `kubectl apply` takes.
fn object(preset: Preset, figures: &Figures) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": "LoadProfile",
        "metadata": {"name": figures.name},
        "spec": profile(preset),
    })
}

fn table(preset: Preset, f: &Figures) -> String {
    let mut rows = vec![
        ("users", f.users.to_string()),
        (
            "duration",
            format!(
                "{}, of it {} warm-up and {} cool-down",
                clock(f.duration),
                clock(f.warmup),
                clock(f.cooldown)
            ),
        ),
    ];
    match profile(preset).shape.stages {
        None => rows.push(("ramp", format!("{} users per second", f.spawn_rate))),
        Some(stages) => {
            let stages: Vec<String> =
                stages.iter().map(|s| format!("{} → {}", s.duration, s.users)).collect();
            rows.push(("stages", format!("{} users", stages.join(", "))));
        }
    }
    rows.push(("wait", format!("{} to {} ms after every iteration", f.wait.0, f.wait.1)));
    rows.push(("p50", format!("≤ {} ms (warning)", f.p50)));
    rows.push(("p95", format!("≤ {} ms", f.p95)));
    rows.push(("p99", format!("≤ {} ms", f.p99)));
    rows.push(("errors", format!("≤ {}%", percent(f.errors))));
    rows.push(("timeouts", format!("≤ {}%", percent(f.timeouts))));
    rows.push(("throughput", format!("≥ {}/s (warning)", f.throughput)));
    let rows: String = rows.iter().map(|(name, value)| format!("  {name:11} {value}\n")).collect();
    format!("{}: {}\n{rows}", f.name, f.purpose)
}

/// k6 `options`: ramping VUs where the profile has stages, a constant number otherwise.
fn k6(preset: Preset, f: &Figures) -> Value {
    let mut options = match profile(preset).shape.stages {
        None => json!({"vus": f.users, "duration": format!("{}s", f.duration)}),
        Some(stages) => {
            let stages: Vec<Value> = stages
                .iter()
                .map(|s| json!({"duration": s.duration.to_string(), "target": s.users}))
                .collect();
            let scenario = json!({"executor": "ramping-vus", "startVUs": 0, "stages": stages});
            json!({"scenarios": {f.name: scenario}})
        }
    };
    options["thresholds"] = json!({
        "http_req_duration": [format!("p(95)<{}", f.p95), format!("p(99)<{}", f.p99)],
        "http_req_failed": [format!("rate<{}", ratio(f.errors))],
    });
    options
}

/// Locust's command line options, and the limits that Locust itself does not judge.
fn locust(f: &Figures) -> Value {
    json!({
        "users": f.users,
        "spawn-rate": f.spawn_rate,
        "run-time": format!("{}s", f.duration),
        "thresholds": {"p95_ms": f.p95, "p99_ms": f.p99, "error_rate": ratio(f.errors)},
    })
}

/// Tenths of a percent in percent.
fn percent(per_mille: u64) -> String {
    plimsoll_slo::text::share_exact(per_mille * 1_000_000).trim_end_matches('%').to_owned()
}

/// Tenths of a percent as a number from 0 to 1.
fn ratio(per_mille: u64) -> f64 {
    f64::from(u32::try_from(per_mille).unwrap_or(u32::MAX)) / 1000.0
}

fn clock(seconds: u64) -> String {
    plimsoll_api::GoDuration::from_secs(seconds).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_found_and_a_typo_lists_them() {
        for preset in ALL {
            assert_eq!(find(figures(preset).name).unwrap(), preset);
        }
        let problem = find("smok").unwrap_err().to_string();
        assert!(problem.contains("smoke, light, medium, heavy, spike, soak"), "{problem}");
    }

    #[test]
    fn what_is_shown_as_a_manifest_is_one() {
        for preset in ALL {
            let yaml = show(preset, ProfileOutput::Yaml).unwrap();
            let read = plimsoll_api::read("profile.yaml", &yaml)
                .unwrap_or_else(|problems| panic!("{yaml}\n{problems:?}"));
            assert_eq!(read.len(), 1);
        }
    }

    #[test]
    fn k6_gets_stages_and_thresholds() {
        let options = k6(Preset::Spike, &figures(Preset::Spike));
        let stages = options["scenarios"]["spike"]["stages"].as_array().unwrap();
        assert_eq!(stages[1], json!({"duration": "10s", "target": 200}));
        assert_eq!(options["thresholds"]["http_req_failed"][0], "rate<0.1");
        let options = k6(Preset::Smoke, &figures(Preset::Smoke));
        assert_eq!((&options["vus"], &options["duration"]), (&json!(5), &json!("60s")));
    }
}
