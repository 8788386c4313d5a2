//! What a newcomer does first: `plimsoll init`, `plimsoll try`, a first run, its report.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use plimsoll_testbed::{Config, Testbed};
use serde_json::Value;

mod support;

use support::{TEST, json, plimsoll, text};

/// A test with a secret, a login that captures a token, and a request that needs it.
const LOGIN: &str = "
apiVersion: plimsoll.dev/v1alpha1
kind: LoadTest
metadata: {name: login}
spec:
  target: {url: http://localhost:1}
  vars: [{name: password, valueFrom: {secretKeyRef: {name: load-user, key: password}}}]
  profile: {users: 1, duration: 1s}
  scenarios:
  - name: user
    onStart:
    - name: login
      http:
        method: POST
        path: /api/auth/login
        json: {email: \"${'u' + randString(6)}@load.test\", password: \"${vars.password}\"}
      capture: {token: body.access_token}
      onFailure: EndUser
    steps:
    - name: session
      http: {path: /api/auth/session, headers: {authorization: \"Bearer ${user.token}\", x-password: \"${vars.password}\"}}
      check: {is known: has(body.user)}
  slos: [{name: errors, errorRate: {atMost: 1%}}]
";

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn in_folder(folder: &PathBuf, args: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_plimsoll")).current_dir(folder).args(args).output().unwrap()
}

#[test]
fn the_starter_is_written_once_tried_and_passes() {
    let folder = folder("init");
    let first = in_folder(&folder, &["init"]);
    assert_eq!(first.status.code(), Some(0), "{}", text(&first.stderr));
    assert!(text(&first.stderr).contains("next: plimsoll try loadtest.yaml"), "{}", text(&first.stderr));
    let again = in_folder(&folder, &["init"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("loadtest.yaml exists already"), "{}", text(&again.stderr));
    assert_eq!(in_folder(&folder, &["init", "--force"]).status.code(), Some(0));
    assert_eq!(
        text(&in_folder(&folder, &["init", "-"]).stdout).lines().count(),
        fs::read_to_string(folder.join("loadtest.yaml")).unwrap().lines().count()
    );
    let tried = in_folder(&folder, &["try", "loadtest.yaml", "--testbed"]);
    let told = text(&tried.stdout);
    assert_eq!(tried.status.code(), Some(0), "{told}{}", text(&tried.stderr));
    assert!(told.ends_with("2 requests, 0 failed; 1 check, 0 failed\n"), "{told}");
    let run = in_folder(
        &folder,
        &[
            "run",
            "loadtest.yaml",
            "--testbed",
            "--shorten",
            "4s",
            "--set",
            "spec.validity={maxLateness: 10s, minSamples: 3}",
            "-o",
            "json",
        ],
    );
    let status = &json(&run)["status"];
    assert_eq!(run.status.code(), Some(0), "{status:#}");
    assert!(status["notices"][0].as_str().unwrap().starts_with("shortened from 30s to 4s"), "{status:#}");
}

#[test]
fn try_tells_every_request_reply_capture_and_check_and_no_secret() {
    let testbed = Testbed::start(Config::aragora()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_plimsoll"))
        .args([
            "try",
            "-",
            "--target",
            testbed.url().trim_end_matches('/'),
            "--secret",
            "load-user/password=env:PASSWORD",
        ])
        .env("PASSWORD", "hunter2hunter2")
        .stdin(fs::File::open(written("login.yaml", LOGIN)).unwrap())
        .output()
        .unwrap();
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{told}{}", text(&output.stderr));
    for wanted in [
        "login: user\n",
        "  onStart\n    login  spec.scenarios[0].onStart[0]\n      > POST /api/auth/login HTTP/1.1\n",
        "\"password\":\"***\"",
        "= user.token = \"access-",
        "  iteration 0\n    session  spec.scenarios[0].steps[0]\n",
        "> x-password: ***\n",
        "< 200 in ",
        "✓ check is known\n",
        "2 requests, 0 failed; 1 check, 0 failed\n",
    ] {
        assert!(told.contains(wanted), "{wanted:?} is missing in\n{told}");
    }
    assert!(!told.contains("hunter2"), "{told}");
    let stats = testbed.stats();
    assert_eq!(
        (stats.endpoints["POST /api/auth/login"].received, stats.endpoints["GET /api/auth/session"].received),
        (1, 1)
    );
}

#[test]
fn try_says_what_went_wrong() {
    let wrong = LOGIN.replace("Bearer ${user.token}", "Bearer of bad news").replace("${vars.password}", "x");
    let wrong = wrong.replace(
        "  vars: [{name: password, valueFrom: {secretKeyRef: {name: load-user, key: password}}}]\n",
        "",
    );
    let output = plimsoll(&["try", "-", "--testbed"], &wrong);
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{told}{}", text(&output.stderr));
    assert!(told.contains("✗ failed: Status: "), "{told}");
    let gone = plimsoll(&["try", "-"], &wrong);
    assert_eq!(gone.status.code(), Some(4), "{}", text(&gone.stdout));
    assert!(text(&gone.stdout).contains("target unreachable:"), "{}", text(&gone.stdout));
    let unknown = plimsoll(&["try", "-", "--testbed", "--scenario", "usr"], &wrong);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("did you mean \"user\"?"), "{}", text(&unknown.stderr));
}

#[test]
fn the_validation_report_has_the_order_and_units_of_the_suite() {
    let sets = ["--set", "spec.slos[name=p95].latency.atMost=1us"];
    let output = plimsoll(
        &[&["run", "-", "--testbed", "-q", "-o", "validation"], &sets[..]].concat(),
        &TEST.replace(
            "  slos:\n",
            "  slos:\n  - {name: p50, latency: {stat: p50, atMost: 1us}, severity: Warning}\n",
        ),
    );
    let report = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{report}{}", text(&output.stderr));
    let rule = "=".repeat(60);
    assert!(
        report.starts_with(&format!(
            "{rule}\nSLO VALIDATION REPORT\n{rule}\nResult: FAILED\n\nVIOLATIONS:\n  [ERROR] p95: "
        )),
        "{report}"
    );
    let mut at = 0;
    for wanted in [
        "VIOLATIONS:\n",
        "    Metric: http_response_time_p95\n    Threshold: ≤ 1us, Actual: ",
        "\nWARNINGS:\n  [WARNING] p50: ",
        "\nMETRICS SUMMARY:\n  response_time_p50_ms: ",
        "  response_time_p95_ms: ",
        "  response_time_p99_ms: ",
        "  response_time_avg_ms: ",
        "  error_rate: 0.0000\n",
        "  total_requests: ",
        "  failed_requests: 0\n",
        "  throughput_rps: ",
        "  duration_seconds: 2.00\n",
        rule.as_str(),
        "  request  ",
        "  GET /api/items  ",
        "  Aggregated  ",
    ] {
        let found = report[at..].find(wanted);
        at += found.unwrap_or_else(|| panic!("{wanted:?} is missing after {at} in\n{report}"));
    }
}

#[test]
fn values_change_the_environment_and_results_are_kept_whole() {
    let values = written(
        "values.yaml",
        "spec:\n  profile: {users: 2}\n  slos:\n  - {name: p95, latency: {stat: p95, atMost: 3s}}\n",
    );
    let out = folder("result").join("result.json");
    let output = plimsoll(
        &[
            "run",
            "-",
            "--testbed",
            "-q",
            "--values",
            values.to_str().unwrap(),
            "--result",
            out.to_str().unwrap(),
        ],
        TEST,
    );
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    let result: Value = serde_json::from_str(&fs::read_to_string(out).unwrap()).unwrap();
    assert_eq!(result["status"]["load"]["asked"], "2 users");
    assert_eq!(result["judgement"]["results"][0]["bound"], "≤ 3s");
    assert!(result["requests"][0]["latency"]["buckets"].as_array().unwrap().len() > 2);
    let wrong = written("wrong.yaml", "spec:\n  profile: {user: 2}\n");
    let refused = plimsoll(&["validate", "-", "--values", wrong.to_str().unwrap()], TEST);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused.stderr).contains("wrong.yaml:2:13: spec.profile.user: unknown field"),
        "{}",
        text(&refused.stderr)
    );
}

fn written(name: &str, content: &str) -> PathBuf {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&file, content).unwrap();
    file
}
