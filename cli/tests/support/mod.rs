//! The program as a child process; used by `run.rs` and `edges.rs`.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "not every test needs every helper; helpers of tests fail by panicking"
)]

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Two seconds of a few users; lateness is no concern here, since tests share the machine.
pub(crate) const TEST: &str = "
apiVersion: plimsoll.dev/v1alpha1
kind: LoadTest
metadata: {name: shop}
spec:
  target: {url: http://localhost:1/api/items}
  profile: {users: 4, duration: 2s, wait: {min: 20ms, max: 40ms}}
  validity: {maxLateness: 10s}
  slos:
  - {name: p95, latency: {stat: p95, atMost: 2s}}
  - {name: errors, errorRate: {atMost: 1%}}
";

pub(crate) fn plimsoll(args: &[&str], stdin: &str) -> Output {
    plimsoll_by(&[], args, stdin)
}

/// As [`plimsoll`], started by a command that becomes the program.
pub(crate) fn plimsoll_by(wrapper: &[&str], args: &[&str], stdin: &str) -> Output {
    let words = [wrapper, &[env!("CARGO_BIN_EXE_plimsoll")], args].concat();
    let mut child = Command::new(words[0])
        .args(&words[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub(crate) fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output.stdout)))
}
