//! `plimsoll` as a person uses it: the program itself, real traffic to the built-in testbed, exit codes and output.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

mod support;

use support::{TEST, json, plimsoll, text};

#[test]
fn a_healthy_target_passes_and_standard_output_is_the_run() {
    let output = plimsoll(&["run", "-", "--testbed", "-o", "json"], TEST);
    let run = json(&output);
    assert_eq!(output.status.code(), Some(0), "{run:#}");
    assert_eq!(run["kind"], "LoadTestRun");
    assert_eq!(run["spec"]["testRef"]["name"], "shop");
    let status = &run["status"];
    assert_eq!((&status["verdict"], &status["phase"]), (&"Passed".into(), &"Finished".into()));
    assert_eq!(status["slosMet"], "2/2");
    assert_eq!(status["summary"]["total"]["exact"], true);
    assert!(status["summary"]["total"]["sent"].as_u64().unwrap() > 50, "{status:#}");
}

#[test]
fn a_missed_slo_fails_and_is_named() {
    let output =
        plimsoll(&["run", "-", "--testbed", "--set", "spec.slos[name=p95].latency.atMost=1us"], TEST);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    let report = text(&output.stdout);
    assert!(report.contains("Failed") && report.contains("p95"), "{report}");
}

#[test]
fn a_misspelt_field_is_refused_with_its_place_and_the_closest_name() {
    let output =
        plimsoll(&["run", "-", "--testbed"], &TEST.replace("{stat: p95, atMost", "{stat: p95, atmost"));
    assert_eq!(output.status.code(), Some(2));
    let problem = text(&output.stderr);
    assert!(problem.contains("<stdin>:10:38: spec.slos[0].latency.atmost: unknown field"), "{problem}");
    assert!(problem.contains("did you mean \"atMost\"?"), "{problem}");
}

#[test]
fn without_slos_nothing_is_claimed() {
    let (head, _) = TEST.split_once("  slos:").unwrap();
    let output = plimsoll(&["run", "-", "--testbed", "-o", "json"], head);
    let run = json(&output);
    assert_eq!(output.status.code(), Some(3), "{run:#}");
    assert_eq!(run["status"]["reason"], "NotJudged");
}

#[test]
fn a_dead_port_is_an_error_at_once() {
    let began = Instant::now();
    let output = plimsoll(&["run", "-", "-o", "json"], TEST);
    let run = json(&output);
    assert_eq!(output.status.code(), Some(4), "{run:#}");
    assert_eq!(run["status"]["reason"], "TargetUnreachable");
    let message = run["status"]["message"].as_str().unwrap();
    assert!(message.contains("localhost"), "{message}");
    // The bound is two seconds.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[test]
fn a_missing_secret_is_an_error_that_says_how_to_give_it() {
    let test = TEST.replace(
        "  profile:",
        "  vars: [{name: key, valueFrom: {secretKeyRef: {name: api, key: token}}}]\n  profile:",
    );
    let output = plimsoll(&["run", "-", "--testbed"], &test);
    assert_eq!(output.status.code(), Some(4));
    let report = text(&output.stdout);
    let words = report.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("--secret api/token=env:VAR"), "{report}");
}

#[test]
fn a_secret_reaches_the_target_and_no_output() {
    let test = TEST.replace(
        "/api/items}",
        "/api/items, headers: {x-api-key: \"${vars.key}\"}}\n  vars: [{name: key, valueFrom: {secretKeyRef: {name: api, key: token}}}]",
    );
    for form in ["json", "text"] {
        let output = Command::new(env!("CARGO_BIN_EXE_plimsoll"))
            .args(["run", "-", "--testbed", "-o", form, "--secret", "api/token=env:PLIMSOLL_TEST_TOKEN"])
            .env("PLIMSOLL_TEST_TOKEN", "hunter2-hunter2")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .and_then(|mut child| {
                child.stdin.take().unwrap().write_all(test.as_bytes())?;
                child.wait_with_output()
            })
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
        assert!(!text(&output.stdout).contains("hunter2") && !text(&output.stderr).contains("hunter2"));
    }
}

#[test]
fn an_interrupt_judges_what_was_measured_as_cancelled() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_plimsoll"))
        .args(["run", "-", "--testbed", "-o", "json", "--set", "spec.profile.duration=1h"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(TEST.as_bytes()).unwrap();
    // Progress on standard error says that load is being sent.
    let mut progress = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("0s of 3600s") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut progress, &mut line).unwrap() > 0, "it ended by itself");
    }
    let signalled = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    let output = child.wait_with_output().unwrap();
    let run = json(&output);
    assert_eq!(output.status.code(), Some(3), "{run:#}");
    assert_eq!(run["status"]["reason"], "Cancelled");
}

#[test]
fn several_tests_run_in_order_and_the_worst_counts() {
    let second = TEST.replace("name: shop", "name: strict").replace("atMost: 2s", "atMost: 1us");
    let output = plimsoll(&["run", "-", "--testbed", "-o", "yaml"], &format!("{TEST}\n---\n{second}"));
    assert_eq!(output.status.code(), Some(1));
    let all = text(&output.stdout);
    let runs = plimsoll_api::read("runs.yaml", &all).unwrap_or_else(|problems| panic!("{problems:?}\n{all}"));
    assert_eq!(runs.len(), 2);
}

#[test]
fn a_quick_test_prints_the_manifest_it_stands_for() {
    let output =
        plimsoll(&["run", "--url", "http://localhost:1/", "--rate", "200/s", "--print-manifest"], "");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let manifest = text(&output.stdout);
    assert!(plimsoll_api::read("quick.yaml", &manifest).is_ok(), "{manifest}");
    assert!(manifest.contains("200/s"), "{manifest}");
}

#[test]
fn what_cannot_be_checked_alone_is_listed_and_no_refusal() {
    let test = TEST.replace(
        "{users: 4, duration: 2s, wait: {min: 20ms, max: 40ms}}",
        "{ref: {kind: LoadProfile, name: elsewhere}}",
    );
    let output = plimsoll(&["validate", "-"], &test);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(said.contains("unchecked") && said.contains("elsewhere"), "{said}");
}

#[test]
fn every_preset_passes_against_a_healthy_target() {
    // Shortened like a person would, all at once; too few requests for the default number of samples of p99.
    let presets = ["smoke", "light", "medium", "heavy", "spike", "soak"].map(|preset| {
        let (head, _) = TEST.split_once("  profile:").unwrap();
        let test = format!(
            "{head}  profile: {{preset: {preset}, duration: 12s}}\n  validity: {{minSamples: 1, maxLateness: 10s}}\n"
        );
        std::thread::spawn(move || (preset, plimsoll(&["run", "-", "--testbed", "-o", "json"], &test)))
    });
    for preset in presets {
        let (preset, output) = preset.join().unwrap();
        assert_eq!(output.status.code(), Some(0), "{preset}: {}", text(&output.stdout));
    }
}
