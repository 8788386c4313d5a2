//! The troubles that a team meets first (nobody listens, 401, 429, no answer), made for real, and what Plimsoll says of them.

#![allow(clippy::unwrap_used)]

use std::net::TcpListener;

use plimsoll_testbed::{Config, Testbed};
use serde_json::{Value, json};

mod support;

use support::{plimsoll, text};

const DEBATES: &str = "
apiVersion: plimsoll.dev/v1alpha1
kind: LoadTest
metadata: {name: trouble}
spec:
  target: {url: http://localhost:1}
  profile: {users: 2, duration: 2s, wait: {constant: 50ms}}
  validity: {maxLateness: 10s}
  scenarios:
  - name: reader
    steps:
    - name: GET /api/debates
      http: {path: /api/debates, headers: {authorization: Bearer expired}, timeout: 300ms}
  slos: [{name: errors, errorRate: {atMost: 1%}}]
";

/// Runs the test against a testbed in trouble; exit code and report.
fn run(trouble: &Value, set: &str) -> (Option<i32>, String) {
    let testbed = Testbed::start(Config::aragora()).unwrap();
    testbed.merge_fault(trouble).unwrap();
    let output = plimsoll(&["run", "-", "-q", "--target", &testbed.url(), "--set", set], DEBATES);
    (output.status.code(), text(&output.stdout))
}

/// The report in one line, however it is wrapped.
fn joined(report: &str) -> String {
    report.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_refused_connection_is_told_before_any_load() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let output = plimsoll(&["run", "-", "-q", "--target", &format!("http://127.0.0.1:{port}")], DEBATES);
    let report = joined(&text(&output.stdout));
    assert_eq!(output.status.code(), Some(4), "{report}");
    assert!(report.contains("Error (TargetUnreachable): ") && report.contains("refused"), "{report}");
    assert!(report.contains(&format!("127.0.0.1:{port}")), "{report}");
}

#[test]
fn a_refused_token_is_told_with_the_targets_own_words() {
    let trouble = json!({"aragora": {"auth": {"required": true}}});
    let (exit, report) = run(&trouble, "spec.profile.users=2");
    let report = joined(&report);
    assert_eq!(exit, Some(1), "{report}");
    assert!(report.contains("GET /api/debates: Status (status 401: "), "{report}");
    assert!(report.contains("the target refuses the credentials: check the secret behind vars"), "{report}");
    let (exit, report) =
        run(&trouble, "spec.scenarios[name=reader].steps[0].http.expect={status: [200, 401]}");
    assert_eq!(exit, Some(0), "an expected 401 is no failure: {report}");
    assert!(joined(&report).contains("Statuses 401: "), "{report}");
}

#[test]
fn a_rate_limit_is_told_and_can_be_expected_and_judged() {
    let trouble = json!({"limits": [{"path": "/api/debates", "rate": 0, "burst": 5, "by": "all"}]});
    let (exit, report) = run(&trouble, "spec.profile.users=2");
    let report = joined(&report);
    assert_eq!(exit, Some(1), "{report}");
    assert!(report.contains("GET /api/debates: Status (status 429: "), "{report}");
    assert!(report.contains("the target limits the rate: lower the load"), "{report}");
    assert!(report.contains(", 200: 5 "), "exactly the burst passes: {report}");
    let (exit, report) =
        run(&trouble, "spec.slos=[{name: limited, statusRate: {status: [429], atLeast: 50%}}]");
    assert_eq!(exit, Some(0), "{report}");
}

#[test]
fn a_target_that_does_not_answer_times_out() {
    let (exit, report) = run(&json!({"path": "/api/debates", "stall": true}), "spec.profile.users=2");
    let report = joined(&report);
    assert_eq!(exit, Some(1), "{report}");
    assert!(report.contains("GET /api/debates: Timeout (no complete response within 300ms)"), "{report}");
    assert!(report.contains("the target answers too late or not at all"), "{report}");
}
