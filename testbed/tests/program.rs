//! The program: its configuration file, its certificates, and its end by a signal.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod client;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};

use client::Client;

/// A running program that is killed when a test fails.
struct Program {
    child: Child,
    lines: BufReader<ChildStderr>,
}

impl Program {
    fn start(args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_testbed"));
        let mut child = command.args(args).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        Program { child, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn address(&mut self) -> SocketAddr {
        let line = self.line();
        line.rsplit('/').next().unwrap().parse().unwrap_or_else(|_| panic!("{line}"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory of its own for a test.
fn directory(name: &str) -> PathBuf {
    let path =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("testbed-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    path
}

#[test]
fn it_serves_its_file_and_stops_in_order_on_a_signal() {
    let file = directory("serve").join("routes.json");
    std::fs::write(&file, r#"{"routes": [{"path": "/x", "status": 201}], "fallback": {"status": 404}}"#)
        .unwrap();
    let mut program =
        Program::start(&["--listen", "127.0.0.1:0", "--threads", "1", "--config", file.to_str().unwrap()]);
    let address = program.address();
    let mut client = Client::connect(address);
    assert_eq!(client.get("/x").unwrap().status, 201);
    assert_eq!(client.get("/y").unwrap().status, 404);
    let pid = program.child.id().to_string();
    assert!(Command::new("sh").args(["-c", &format!("kill -TERM {pid}")]).status().unwrap().success());
    assert!(client.is_ended());
    assert!(program.child.wait().unwrap().success());
    assert_eq!(program.line(), "testbed: SIGTERM, stopping");
    assert_eq!(program.line(), "testbed: 2 requests on 1 connections");
    assert_eq!(program.line(), "testbed:   /x: 1 received, answered 1 x 201");
}

#[test]
fn it_serves_the_aragora_endpoints_alone_with_a_token_in_the_real_shape() {
    let args = ["--listen", "127.0.0.1:0", "--aragora", "--token", "secret", "--shape", "real"];
    let mut program = Program::start(&args);
    let mut client = Client::connect(program.address());
    let mut status = |path: &str, token| client.call("GET", path, token, &serde_json::Value::Null).status;
    assert_eq!((status("/api/debates", None), status("/api/debates", Some("secret"))), (401, 200));
    assert_eq!((status("/api/debatte", None), status("/status/204", None)), (404, 204));
    assert_eq!(client.get("/api/health").unwrap().text("shape"), "real");
}

#[test]
fn it_writes_certificates_and_serves_with_them_again() {
    let certificates = directory("tls").join("certs");
    let out = certificates.to_str().unwrap();
    let mut program =
        Program::start(&["--listen-tls", "127.0.0.1:0", "--tls-name", "a.example", "--tls-out", out]);
    assert!(program.line().starts_with("testbed: wrote certificates to "));
    assert!(program.line().starts_with("testbed: listening on https://127.0.0.1:"));
    let file = |name: &str| certificates.join(name).to_str().unwrap().to_owned();
    let mut again = Program::start(&[
        "--listen-tls",
        "127.0.0.1:0",
        "--tls-certificate",
        &file("server.pem"),
        "--tls-key",
        &file("server-key.pem"),
        "--tls-client-ca",
        &file("ca.pem"),
        "--require-client-certificate",
    ]);
    assert!(again.line().starts_with("testbed: listening on https://127.0.0.1:"));
}

#[test]
fn mistakes_are_told_and_end_with_2() {
    let file = directory("wrong").join("routes.json");
    std::fs::write(&file, r#"{"routes": [{"path": "/x", "latency": "slow"}]}"#).unwrap();
    for (args, told) in [
        (vec!["--config", file.to_str().unwrap()], "a latency is a number of milliseconds"),
        (vec!["--config", "/does/not/exist"], "cannot read /does/not/exist"),
        (vec!["--listen", "127.0.0.1:0", "--tls-out", "/proc/x"], "--tls-out: no certificate was made"),
        (vec!["--listen", "nowhere"], "invalid value 'nowhere'"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_testbed")).args(&args).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(told), "{args:?}: {text}");
        assert_eq!(output.status.code(), Some(2));
    }
}
