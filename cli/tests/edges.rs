//! `plimsoll` where something is amiss: readers that go away, flags that contradict the manifest, a core that cannot run.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use plimsoll_testbed::{Config, Testbed};
use support::{TEST, json, plimsoll, text};

/// A run of the test `shop` that sends its load to a port where nobody listens.
const RUN: &str = "
---
apiVersion: plimsoll.dev/v1alpha1
kind: LoadTestRun
metadata: {name: now}
spec:
  testRef: {name: shop}
  overrides: {target: {url: \"http://localhost:1/other\"}}
";

fn start(program: &mut Command, stdin: &str) -> Child {
    let pipes = program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child
}

fn cargo_bin() -> Command {
    Command::new(env!("CARGO_BIN_EXE_plimsoll"))
}

#[test]
fn a_core_that_cannot_run_is_no_pass() {
    // Too few descriptors for the event loops of sixteen cores.
    let testbed = Testbed::start(Config::default()).unwrap();
    let script = format!("ulimit -n 32; exec {} run - -o json --threads 16", env!("CARGO_BIN_EXE_plimsoll"));
    let test = TEST
        .replace("users: 4", "users: 16")
        .replace("http://localhost:1", testbed.url().trim_end_matches('/'));
    let output = start(Command::new("sh").args(["-c", &script]), &test).wait_with_output().unwrap();
    let run = json(&output);
    assert_eq!(output.status.code(), Some(3), "{run:#}");
    assert_eq!(run["status"]["reason"], "WorkerLost");
    let message = run["status"]["message"].as_str().unwrap();
    assert!(message.contains("could not run"), "{message}");
}

#[test]
fn the_rate_is_over_the_planned_time_when_the_last_arrival_is_long_done() {
    let open = TEST.replace(
        "{users: 4, duration: 2s, wait: {min: 20ms, max: 40ms}}",
        "{arrivals: {rate: 1/s}, duration: 3s}",
    );
    let (head, _) = open.split_once("  slos:").unwrap();
    let test = format!("{head}  slos: [{{name: rate, throughput: {{atMost: 1/s}}}}]\n");
    let run = json(&plimsoll(&["run", "-", "--testbed", "-o", "json"], &test));
    assert_eq!(run["status"]["slos"][0]["value"], "1/s", "{run:#}");
    assert_eq!(run["status"]["verdict"], "Passed");
}

#[test]
fn flags_win_over_the_target_of_a_run() {
    let input = format!("{TEST}{RUN}");
    let output = plimsoll(&["run", "-", "--testbed"], &input);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    let output = plimsoll(&["render", "-", "--plan", "--target", "http://localhost:2/given"], &input);
    assert!(text(&output.stdout).contains("http://localhost:2/given"), "{}", text(&output.stdout));
}

#[test]
fn what_a_run_overrides_is_refused_where_the_run_says_it() {
    let output =
        plimsoll(&["validate", "-"], &format!("{TEST}{RUN}").replace("localhost:1/other", "localhost:0/"));
    assert_eq!(output.status.code(), Some(2));
    let problem = text(&output.stderr);
    assert!(problem.starts_with("<stdin>:19:29: spec.overrides.target.url: "), "{problem}");
}

#[test]
fn a_reader_that_goes_away_changes_no_verdict() {
    let mut run = start(cargo_bin().args(["run", "-", "--testbed"]), TEST);
    drop((run.stdout.take(), run.stderr.take()));
    assert_eq!(run.wait().unwrap().code(), Some(0));
    let mut show = start(cargo_bin().args(["profiles", "list"]), "");
    drop(show.stdout.take());
    let output = show.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
}

#[test]
fn an_interrupt_ends_the_whole_command() {
    let long = TEST.replace("duration: 2s", "duration: 1h");
    let both = format!("{long}\n---\n{}", long.replace("name: shop", "name: later"));
    let mut child = start(cargo_bin().args(["run", "-", "--testbed", "-o", "json"]), &both);
    let mut progress = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("0s of 3600s") {
        line.clear();
        assert!(progress.read_line(&mut line).unwrap() > 0, "it ended by itself");
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let rest = progress.lines().map_while(Result::ok).collect::<Vec<_>>().join("\n");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{rest}");
    assert_eq!(json(&output)["spec"]["testRef"]["name"], "shop", "one run, and no second one");
    assert!(rest.contains("later: not run"), "{rest}");
}

#[test]
fn a_quick_test_can_be_changed_like_any_other() {
    let quick =
        ["run", "--url", "http://localhost:1/", "--set", "spec.slos[name=errors].errorRate.atmost=5%"];
    let output = plimsoll(&quick, "");
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains("did you mean \"atMost\"?"), "{}", text(&output.stderr));
}

#[test]
fn nothing_is_no_valid_manifest() {
    for nothing in ["", "---\n---\n", "# nothing\n"] {
        let output = plimsoll(&["validate", "-"], nothing);
        assert_eq!(output.status.code(), Some(2), "{nothing:?}");
        assert!(text(&output.stderr).contains("nothing to check"), "{}", text(&output.stderr));
    }
}

#[test]
fn a_plan_in_words_ends_with_the_run() {
    let test = TEST.replace("duration: 2s", "spawnRate: 1, duration: 2s");
    let said = text(&plimsoll(&["render", "-", "--plan"], &test).stdout);
    assert!(said.contains("0s to 2s: from 0 users towards 4 users at 4s\n"), "{said}");
    assert!(!said.contains("4s to"), "{said}");
}

#[test]
fn help_tells_quick_options_from_the_others() {
    let help = text(&plimsoll(&["run", "--help"], "").stdout);
    let (all, quick) = help.split_once("Quick test without a manifest:").unwrap();
    assert!(all.contains("--threads") && all.contains("--quiet") && all.contains("--output"), "{help}");
    assert!(quick.contains("--print-manifest") && !quick.contains("--threads"), "{help}");
}
