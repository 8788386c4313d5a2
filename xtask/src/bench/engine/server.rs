//! What the clients of the benchmark talk to, all of it on the second core: nginx with every kind of reply, and the testbed's
//! WebSocket. Both count what they served; `measure.rs` reads the counts.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::pki::Pki;
use crate::process::{self, Guarded};
use crate::tools;

/// The core of the servers, by its number.
pub(super) const SERVER_CORE: usize = 1;

/// The reply that most rows ask for, 34 bytes.
const REPLY: &str = "abcdefghijklmnopqrstuvwxyz01234567";

/// What a login gives and an order asks for.
const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJl";

/// Connections that nginx takes: memory is measured with ten thousand.
const CONNECTIONS: u32 = 20_000;

/// The servers; they end with this value.
#[derive(Debug)]
pub(super) struct Server {
    plain: SocketAddr,
    tls: SocketAddr,
    http2: SocketAddr,
    status: SocketAddr,
    sockets: SocketAddr,
    _nginx: Guarded,
    _testbed: Guarded,
}

/// Who counts the requests of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counter {
    /// nginx, requests.
    Requests,
    /// The testbed, messages received over WebSockets.
    Messages,
}

impl Server {
    /// Starts nginx and the testbed with one worker each on the second core.
    pub(super) fn start(folder: &Path, testbed: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        let folder = folder.canonicalize()?;
        let ports = process::free_ports::<5>()?;
        let [plain, tls, http2, status, sockets] = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let pki = Pki::make(&folder.join("pki"), &["127.0.0.1"])?;
        std::fs::write(folder.join("body"), "0123456789abcdef".repeat(5 * 1024 / 16))?;
        let config = folder.join("nginx.conf");
        let text = configuration(&folder, &pki, [plain, tls, http2, status]);
        std::fs::write(&config, text).with_context(|| format!("write {}", config.display()))?;
        let mut command = pinned(&tools::find("nginx")?, &[SERVER_CORE]);
        command.arg("-p").arg(&folder).arg("-c").arg(&config).arg("-e").arg(folder.join("error.log"));
        let nginx = Guarded::start("nginx", &mut command, &folder.join("error.log"))?;
        let mut command = pinned(testbed, &[SERVER_CORE]);
        command.args(["--threads", "1", "--listen", &sockets.to_string()]);
        let testbed = Guarded::start("testbed", &mut command, &folder.join("testbed.log"))?;
        let mut server = Self { plain, tls, http2, status, sockets, _nginx: nginx, _testbed: testbed };
        process::wait_until("nginx and the testbed", Duration::from_secs(20), || {
            server._nginx.check()?;
            server._testbed.check()?;
            Ok([plain, sockets].iter().all(|address| TcpStream::connect(address).is_ok()))
        })?;
        Ok(server)
    }

    /// `http://` in clear text.
    pub(super) fn plain(&self) -> String {
        format!("http://{}", self.plain)
    }

    /// `https://` with a certificate of nobody's.
    pub(super) fn tls(&self) -> String {
        format!("https://{}", self.tls)
    }

    /// `http://` for clients that speak HTTP/2 from the first byte.
    pub(super) fn http2(&self) -> String {
        format!("http://{}", self.http2)
    }

    /// `host:port` of the WebSocket server.
    pub(super) fn sockets(&self) -> SocketAddr {
        self.sockets
    }

    /// What was served so far, without the requests that ask.
    pub(super) fn count(&self, counter: Counter) -> Result<u64> {
        match counter {
            Counter::Requests => {
                let text = get(self.status, "/")?;
                // The third number of the third line; it counts the question, too, which `measure.rs` allows for.
                let numbers = text.lines().find(|line| line.starts_with(' ')).unwrap_or_default();
                let count = numbers.split_whitespace().nth(2).context("nginx says no count of requests")?;
                Ok(count.parse()?)
            }
            Counter::Messages => {
                let stats: Value = serde_json::from_str(&get(self.sockets, "/__stats")?)?;
                stats["ws"]["messagesIn"].as_u64().context("the testbed says no count of messages")
            }
        }
    }

    /// Connections open at nginx now, without the one that asks.
    pub(super) fn open_connections(&self) -> Result<u64> {
        let text = get(self.status, "/")?;
        let line = text.lines().find_map(|line| line.strip_prefix("Active connections: "));
        let open: u64 = line.context("nginx says no count of connections")?.trim().parse()?;
        Ok(open.saturating_sub(1))
    }
}

/// A command that runs on these cores only.
pub(super) fn pinned(program: &Path, cores: &[usize]) -> Command {
    let list: Vec<String> = cores.iter().map(usize::to_string).collect();
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &list.join(",")]).arg(program);
    command
}

/// The body of a reply to a request on a connection of its own.
fn get(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).with_context(|| format!("connect to {address}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    let (_, body) = reply.split_once("\r\n\r\n").context("a reply without an end of its head")?;
    Ok(body.to_owned())
}

fn configuration(folder: &Path, pki: &Pki, [plain, tls, http2, status]: [SocketAddr; 4]) -> String {
    // Started by root its worker would become another user, who may not enter the folder; others may not choose.
    let user = if tools::apt::is_root() { "user root;" } else { "" };
    let file = |name: &str| -> PathBuf { pki.file(name) };
    format!(
        r#"{user}
daemon off;
worker_processes 1;
worker_rlimit_nofile 65536;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections {CONNECTIONS}; }}
http {{
    access_log off;
    client_body_temp_path {folder}/client_body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    tcp_nodelay on;
    sendfile on;
    open_file_cache max=10;
    default_type application/json;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.3;
    server {{
        listen {plain} backlog=16384;
        listen {tls} ssl backlog=16384;
        listen {http2} http2 backlog=16384;
        location / {{ return 200 "{REPLY}"; }}
        location = /varied {{ add_header X-Request-Id $request_id; return 200 "{REPLY}"; }}
        location = /body {{ root {folder}; }}
        location = /login {{ return 200 '{{"token":"{TOKEN}","id":42}}'; }}
        location = /orders {{
            if ($http_authorization != "Bearer {TOKEN}") {{ return 401; }}
            return 200 '{{"status":"open","items":[{{"id":1,"name":"tea"}},{{"id":2,"name":"cup"}}]}}';
        }}
    }}
    server {{
        listen {status};
        location / {{ stub_status; }}
    }}
}}
"#,
        folder = folder.display(),
        certificate = file("apiserver.crt").display(),
        key = file("apiserver.key").display(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reply_has_the_length_of_the_goals() {
        assert_eq!(REPLY.len(), 34);
    }
}
