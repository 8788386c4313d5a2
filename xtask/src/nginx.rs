//! nginx as the target of tests: a server that nobody here wrote, whose access log is what counters are compared with.
//! It runs on loopback, or in the network of the cluster (`cluster/`), where pods reach it.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::cluster::Cluster;
use crate::process::{self, Guarded};
use crate::tools;

/// What to serve and where.
#[derive(Debug)]
pub struct Site<'a> {
    /// Receives configuration, logs and temporary files; is made, and should be empty.
    pub folder: &'a Path,
    /// The address to listen on.
    pub listen: SocketAddr,
    /// What stands inside of nginx' `server { }`: locations, for the most part.
    pub server: &'a str,
    /// What stands beside it inside of `http { }`, such as an `upstream`.
    pub http: &'a str,
    /// The cluster whose network to listen in; without one it is the host's.
    pub inside: Option<&'a Cluster>,
}

/// A running nginx; it ends with this value and with this process.
#[derive(Debug)]
pub struct Nginx {
    folder: PathBuf,
    listen: SocketAddr,
    process: Guarded,
}

/// A line of the access log: one request that nginx has answered, or whose client went away (status 499).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When the request was logged, which is at its end: milliseconds since 1970.
    pub at_ms: u64,
    /// From the first byte of the request to the last of the response handed to the kernel, in milliseconds.
    pub took_ms: u64,
    /// The client's address.
    pub client: String,
    /// Method and target, as sent.
    pub request: String,
    /// The target's path, normalised and without its query.
    pub path: String,
    /// The status.
    pub status: u16,
    /// The number of the connection, and of the request on it from 1.
    pub connection: (u64, u64),
}

/// Starts nginx and waits until it accepts connections.
///
/// # Errors
/// If there is no nginx, or it does not start; the text quotes its error log.
pub fn start(site: &Site<'_>) -> Result<Nginx> {
    let mut command = prepare(site)?;
    let folder = site.folder.canonicalize()?;
    let mut process = Guarded::start("nginx", &mut command, &folder.join("error.log"))?;
    // Its workers write the file once they all run; listening it does before.
    let pid_file = folder.join("nginx.pid");
    process::wait_until("nginx", Duration::from_secs(20), || {
        process.check()?;
        Ok(pid_file.exists() && (site.inside.is_some() || TcpStream::connect(site.listen).is_ok()))
    })?;
    Ok(Nginx { folder, listen: site.listen, process })
}

/// Writes the configuration and returns the command that serves it; [`start`] does the rest, for whoever wants nginx to
/// end with him.
///
/// # Errors
/// If there is no nginx, or the folder cannot be written.
pub fn prepare(site: &Site<'_>) -> Result<Command> {
    std::fs::create_dir_all(site.folder).with_context(|| format!("make {}", site.folder.display()))?;
    let folder = site.folder.canonicalize()?;
    let config = folder.join("nginx.conf");
    std::fs::write(&config, configuration(site, &folder))
        .with_context(|| format!("write {}", config.display()))?;
    let program = tools::find("nginx")?;
    let mut command = match site.inside {
        Some(cluster) => cluster.inside(&program)?,
        None => Command::new(&program),
    };
    command.arg("-p").arg(&folder).arg("-c").arg(&config).arg("-e").arg(folder.join("error.log"));
    Ok(command)
}

impl Nginx {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listen
    }

    /// The access log so far. nginx writes a line when the response is done.
    ///
    /// # Errors
    /// If it cannot be read, or has a line that is not ours.
    pub fn access_log(&self) -> Result<Vec<Line>> {
        read_log(&self.folder.join("access.log"))
    }

    /// Ends it after the requests in flight are answered, so that the log is complete, and returns the log.
    ///
    /// # Errors
    /// As [`Self::access_log`].
    pub fn stop(self) -> Result<Vec<Line>> {
        self.process.stop("QUIT", Duration::from_secs(10))?;
        read_log(&self.folder.join("access.log"))
    }
}

fn configuration(site: &Site<'_>, folder: &Path) -> String {
    let Site { listen, server, http, .. } = site;
    let folder = folder.display();
    // Started by root its workers would become another user, who may not enter the folder; others may not choose.
    let user = if tools::apt::is_root() { "user root;" } else { "" };
    format!(
        r#"{user}
daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 8192; }}
http {{
    log_format plimsoll '$msec\t$request_time\t$remote_addr\t$status\t$connection\t$connection_requests\t$uri\t$request';
    access_log {folder}/access.log plimsoll;
    client_body_temp_path {folder}/client_body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 10000000;
    tcp_nodelay on;
    {http}
    server {{
        listen {listen} backlog=8192;
        {server}
    }}
}}
"#
    )
}

fn read_log(path: &Path) -> Result<Vec<Line>> {
    let text = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    let text = String::from_utf8_lossy(&text);
    let line =
        |(index, line)| parse(line).with_context(|| format!("{}:{}: {line}", path.display(), index + 1));
    text.lines().enumerate().map(line).collect()
}

fn parse(line: &str) -> Result<Line> {
    let fields: Vec<&str> = line.splitn(8, '\t').collect();
    let [at, took, client, status, connection, request_number, path, request] = fields[..] else {
        bail!("expected 8 fields");
    };
    Ok(Line {
        at_ms: millis(at)?,
        took_ms: millis(took)?,
        client: client.to_owned(),
        request: request.to_owned(),
        path: path.to_owned(),
        status: status.parse().context("status")?,
        connection: (
            connection.parse().context("connection")?,
            request_number.parse().context("request number")?,
        ),
    })
}

/// Seconds with exactly three digits behind the point, as nginx writes them, to milliseconds without rounding.
fn millis(text: &str) -> Result<u64> {
    match text.split_once('.') {
        Some((seconds, fraction)) if fraction.len() == 3 => {
            format!("{seconds}{fraction}").parse().with_context(|| format!("time {text}"))
        }
        _ => bail!("time {text}: expected three digits behind the point"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_exactly() {
        let line =
            parse("1700000000.007\t0.150\t10.244.0.7\t200\t42\t3\t/a b\tGET /a%20b?x=1 HTTP/1.1").unwrap();
        assert_eq!((line.at_ms, line.took_ms, line.status), (1_700_000_000_007, 150, 200));
        assert_eq!((line.path.as_str(), line.connection), ("/a b", (42, 3)));
        assert!(parse("1700000000.007\t0.15\t::1\t200\t1\t1\t/\tGET / HTTP/1.1").is_err());
    }
}
