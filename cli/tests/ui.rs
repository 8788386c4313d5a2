//! The live page in a real browser: headless Chromium draws it from a run's own figures.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

mod support;

use support::{TEST, plimsoll, text};

const BROWSER: &str = "chromium-headless-shell";

/// A run with its page.
struct Live {
    child: Child,
    address: String,
}

fn start(seconds: u32) -> Live {
    let duration = format!("spec.profile.duration={seconds}s");
    let mut child = Command::new(env!("CARGO_BIN_EXE_plimsoll"))
        .args(["run", "-", "--testbed", "--ui=127.0.0.1:0", "-o", "json", "--set", &duration])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(TEST.as_bytes()).unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let line = said.find(|line| line.starts_with("live page on ")).expect("the address of the page");
    // Whatever else it says must not block it.
    std::thread::spawn(move || said.count());
    let address = line.trim_start_matches("live page on http://").trim_end_matches('/').to_owned();
    Live { child, address }
}

impl Live {
    /// Asks as the page does; nothing once the program is gone.
    fn state(&self) -> Option<Value> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        let request =
            format!("GET /state.json HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).ok()?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply).ok()?;
        serde_json::from_str(reply.split_once("\r\n\r\n")?.1).ok()
    }

    /// Waits until the page has something to show.
    fn until_measured(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.state().is_none_or(|state| state["series"].as_array().unwrap().len() < 2) {
            assert!(Instant::now() < deadline, "the page shows nothing");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

#[test]
fn a_browser_draws_rates_latencies_requests_and_slos() {
    if Command::new(BROWSER).arg("--version").output().is_err() {
        return xtask::report::skip("the live page in a browser", &format!("{BROWSER} is not installed"))
            .unwrap();
    }
    let mut live = start(20);
    live.until_measured();
    let profile = concat!(env!("CARGO_TARGET_TMPDIR"), "/browser");
    let page = Command::new(BROWSER)
        .args(["--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000", "--dump-dom"])
        .arg(format!("--user-data-dir={profile}"))
        .arg(format!("http://{}/", live.address))
        .output()
        .unwrap();
    let dom = text(&page.stdout);
    live.child.kill().unwrap();
    live.child.wait().unwrap();
    assert!(dom.contains(r#"<span id="verdict" class="">Running</span>"#), "{dom}");
    for wanted in [
        "<td>GET /api/items</td>",
        "<td>errors</td>",
        "<td class=\"Met\">Met</td>",
        "<div class=\"strip\"><span class=",
        "<span class=\"Met\"></span>",
    ] {
        assert!(dom.contains(wanted), "{wanted} is missing in {dom}");
    }
    let drawn = |chart: &str| {
        let svg = dom.split(&format!("id=\"{chart}\"")).nth(1).unwrap().split("</svg>").next().unwrap();
        svg.matches("<path d=\"M").count()
    };
    assert_eq!((drawn("rate"), drawn("latency"), drawn("failed"), drawn("load")), (3, 3, 1, 1), "{dom}");
}

#[test]
fn the_last_state_is_the_result() {
    let mut live = start(3);
    let mut last = None;
    let deadline = Instant::now() + Duration::from_secs(60);
    // An open page asks every second; the program waits for it before it ends.
    while let Some(state) = live.state() {
        assert!(Instant::now() < deadline, "the run does not end");
        last = Some(state);
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut out = String::new();
    live.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert_eq!(live.child.wait().unwrap().code(), Some(0), "{out}");
    let (last, run): (Value, Value) = (last.unwrap(), serde_json::from_str(&out).unwrap());
    let summary = &run["status"]["summary"];
    assert_eq!((&last["verdict"], &last["progress"]), (&"Passed".into(), &1.0.into()));
    let figure = |name: &str| {
        let figures = last["figures"].as_array().unwrap();
        figures.iter().find(|pair| pair[0] == name).unwrap()[1].clone()
    };
    for name in ["rate", "p50", "p95", "p99", "max", "errors"] {
        assert_eq!(figure(name), summary[name], "{name}");
    }
    assert_eq!(last["requests"][0][0], "GET /api/items");
}

#[test]
fn the_page_is_for_this_machine_only() {
    let output = plimsoll(&["run", "-", "--testbed", "--ui=0.0.0.0:0"], TEST);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("use a loopback address such as 127.0.0.1:8089"), "{said}");
}
