//! How each load generator is told to do a work: the same requests on as many connections, for so many seconds. Plimsoll's part is
//! in `manifests.rs`, scripts of others in `xtask/tools/k6` and `xtask/tools/locust`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::manifests::{self, MESSAGES, USERS};
use super::measure::CLIENT_CORE;
use super::server::{Counter, Server, pinned};
use crate::paths;
use crate::tools::peers::{Found, Peer};

/// What is asked of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// GET of 34 bytes.
    Static,
    /// The same with a header that is never the same twice.
    Varied,
    /// A login whose reply has a token, and a request that needs it and whose reply is checked.
    TwoStep,
    /// GET of 5 KiB.
    Body,
    /// [`Work::Static`] over TLS 1.3.
    Tls,
    /// [`Work::Static`] over HTTP/2 in clear text.
    Http2,
    /// Messages of 34 bytes that are echoed.
    WebSocket,
    /// [`Work::Static`] under so many names of requests.
    Names(u32),
}

/// Connections and streams on each of them for HTTP/2; together as many as [`USERS`].
pub(super) const HTTP2: (u32, u32) = (5, 10);

/// Who does it.
#[derive(Debug, Clone)]
pub(super) enum Who {
    /// Ours, on these cores.
    Plimsoll(PathBuf, Vec<usize>),
    /// Somebody else's.
    Peer(Found),
}

/// A load generator with its work.
#[derive(Debug, Clone)]
pub(super) struct Client {
    /// How the table calls it.
    pub(super) name: String,
    pub(super) who: Who,
    pub(super) work: Work,
}

impl Work {
    /// Who counts it.
    pub(super) fn counter(self) -> Counter {
        if self == Self::WebSocket { Counter::Messages } else { Counter::Requests }
    }
}

impl Client {
    /// Ours on the core of the clients.
    pub(super) fn ours(plimsoll: &Path, work: Work) -> Self {
        Self { name: "plimsoll".to_owned(), who: Who::Plimsoll(plimsoll.to_owned(), vec![CLIENT_CORE]), work }
    }

    /// Somebody else's.
    pub(super) fn theirs(found: &Found, work: Work) -> Self {
        Self { name: found.peer.name().to_owned(), who: Who::Peer(found.clone()), work }
    }

    /// The command that does the work for so many seconds; files that it needs go to `folder`.
    pub(super) fn command(&self, server: &Server, seconds: u64, folder: &Path) -> Result<Command> {
        match &self.who {
            Who::Plimsoll(program, cores) => {
                plimsoll(program, cores, &manifests::closed(self.work, server, seconds), folder)
            }
            Who::Peer(found) => {
                let mut command = pinned(&found.program, &[CLIENT_CORE]);
                their_work(&mut command, found.peer, self.work, server, seconds, folder)?;
                Ok(command)
            }
        }
    }
}

/// `plimsoll run` of a manifest, with the result as JSON; with as many threads as cores.
pub(super) fn plimsoll(program: &Path, cores: &[usize], manifest: &Value, folder: &Path) -> Result<Command> {
    let path = folder.join("manifest.json");
    std::fs::write(&path, manifest.to_string()).with_context(|| format!("write {}", path.display()))?;
    let mut command = pinned(program, cores);
    command.arg("run").arg(path).args(["--quiet", "--output=json", "--threads", &cores.len().to_string()]);
    Ok(command)
}

/// Where a work's requests go.
fn url(work: Work, server: &Server) -> String {
    match work {
        Work::Static | Work::Names(_) => format!("{}/", server.plain()),
        Work::Varied => format!("{}/varied", server.plain()),
        Work::Body => format!("{}/body", server.plain()),
        Work::Tls => format!("{}/", server.tls()),
        Work::Http2 => format!("{}/", server.http2()),
        Work::TwoStep => server.plain(),
        Work::WebSocket => format!("ws://{}/ws/echo", server.sockets()),
    }
}

fn their_work(
    command: &mut Command,
    peer: Peer,
    work: Work,
    server: &Server,
    seconds: u64,
    folder: &Path,
) -> Result<()> {
    let (url, time, users) = (url(work, server), format!("{seconds}s"), USERS.to_string());
    let (connections, streams) = (HTTP2.0.to_string(), HTTP2.1.to_string());
    match peer {
        Peer::Wrk => command.args(["-t1", "-c", &users, "-d", &time, &url]),
        Peer::H2load => {
            command.args(["-t1", "-c", &connections, "-m", &streams, "-D", &seconds.to_string(), &url])
        }
        Peer::Oha if work == Work::Http2 => {
            command.args(["--no-tui", "--http2", "-c", &connections, "-p", &streams, "-z", &time, &url])
        }
        Peer::Oha => command.args(["--no-tui", "--insecure", "-c", &users, "-z", &time, &url]),
        Peer::Vegeta => {
            let targets = folder.join("targets");
            std::fs::write(&targets, format!("GET {url}\n"))?;
            command.arg("attack").arg("-targets").arg(targets);
            // As fast as so many workers get it.
            command.args(["-rate=0", "-workers", &users, "-max-workers", &users, "-connections", &users]);
            command.args(["-duration", &time, "-output", "/dev/null"])
        }
        Peer::K6 => {
            let script = match work {
                Work::TwoStep => "two-step.js",
                Work::WebSocket => "websocket.js",
                _ => "static.js",
            };
            command.args([
                "run",
                "--quiet",
                "--no-usage-report",
                "--no-summary",
                "--insecure-skip-tls-verify",
            ]);
            command.args(["--vus", &users, "--duration", &time, "--env", &format!("URL={url}")]);
            command.args(["--env", &format!("MESSAGES={MESSAGES}")]);
            command.arg(paths::root().join("xtask/tools/k6").join(script))
        }
        Peer::Locust => {
            let class = if work == Work::TwoStep { "TwoStep" } else { "Static" };
            command.arg("--locustfile").arg(paths::root().join("xtask/tools/locust/locustfile.py"));
            command.args(["--headless", "--only-summary", "--stop-timeout", "2"]);
            command.args([
                "--users",
                &users,
                "--spawn-rate",
                &users,
                "--run-time",
                &time,
                "--host",
                &url,
                class,
            ])
        }
    };
    Ok(())
}
