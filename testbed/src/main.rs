//! The testbed as a program: flags, a configuration file, and the end by a signal. All else is the library's; what
//! `--help` says of it is in `help.rs`.

mod help;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use plimsoll_testbed::{Config, Shape, Stats, Testbed};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long requests in progress may go on after a signal.
const GRACE: Duration = Duration::from_secs(5);

/// A stand-in service for load tests: answers by fixed sequences of latencies, errors and faults, and keeps exact
/// counts (GET /__stats) and its own log of durations (GET /__log?path=/x).
#[derive(Debug, Parser)]
#[command(name = "testbed", version, after_long_help = help::TEXT)]
struct Args {
    /// Serves clear text (HTTP/1.1 and HTTP/2) on this address; may be given several times. Without any address
    /// 127.0.0.1:8080 is taken.
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<SocketAddr>,

    /// Serves TLS on this address; may be given several times.
    #[arg(long, value_name = "ADDRESS")]
    listen_tls: Vec<SocketAddr>,

    /// Reads routes and laws from a JSON file. Flags win over it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Serves the Aragora endpoints and the built-in paths alone: every other path is answered with 404.
    #[arg(long)]
    aragora: bool,

    /// Lets the Aragora endpoints answer as their load tests read them (test) or as the service itself does (real)
    /// [default: test].
    #[arg(long, value_name = "SHAPE", value_parser = ["test", "real"])]
    shape: Option<String>,

    /// Lets the Aragora endpoints ask for a token: one of a login, or this one. May be given several times.
    #[arg(long, value_name = "TOKEN")]
    token: Vec<String>,

    /// Serves with so many threads [default: one for each CPU].
    #[arg(long, value_name = "N")]
    threads: Option<usize>,

    /// A name or IP address of the certificate that is made at the start; may be given several times [default:
    /// localhost, 127.0.0.1, ::1].
    #[arg(long, value_name = "NAME")]
    tls_name: Vec<String>,

    /// Writes the certificates that are made at the start (authority, server, client) into this directory.
    #[arg(long, value_name = "DIRECTORY")]
    tls_out: Option<PathBuf>,

    /// Serves with this certificate (PEM) instead of one made at the start.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,

    /// The key of --tls-certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,

    /// Takes client certificates of these authorities (PEM) [default: the authority made at the start].
    #[arg(long, value_name = "FILE")]
    tls_client_ca: Option<PathBuf>,

    /// Refuses TLS clients without a certificate.
    #[arg(long)]
    require_client_certificate: bool,

    /// Closes every connection after so many requests.
    #[arg(long, value_name = "N")]
    keep_alive_requests: Option<u64>,
}

fn main() -> ExitCode {
    match serve(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("testbed: {problem}");
            ExitCode::from(2)
        }
    }
}

/// Serves until a signal comes.
fn serve(args: Args) -> Result<(), String> {
    // Signals are caught before anybody can know that the server listens.
    let mut signals = Signals::catch().map_err(|error| format!("cannot wait for signals: {error}"))?;
    let tls_out = args.tls_out.clone();
    let testbed = Testbed::start(configure(args)?).map_err(|error| error.to_string())?;
    if let Some(directory) = tls_out {
        let pki =
            testbed.pki().ok_or("--tls-out: no certificate was made; use --listen-tls without files")?;
        pki.write(&directory).map_err(|error| error.to_string())?;
        eprintln!("testbed: wrote certificates to {}", directory.display());
    }
    let (plain, secure) = testbed.addrs();
    for address in plain {
        eprintln!("testbed: listening on http://{address}");
    }
    for address in secure {
        eprintln!("testbed: listening on https://{address}");
    }
    let name = signals.wait();
    eprintln!("testbed: {name}, stopping");
    report(&testbed.stats());
    testbed.shutdown(GRACE);
    Ok(())
}

/// The configuration of the file, with the flags on top.
fn configure(args: Args) -> Result<Config, String> {
    let mut config = match &args.config {
        Some(path) => {
            let name = path.display();
            let text =
                std::fs::read_to_string(path).map_err(|error| format!("cannot read {name}: {error}"))?;
            Config::from_json(&text).map_err(|error| format!("{name}: {error}"))?
        }
        None if args.aragora => Config::aragora(),
        None => Config::default(),
    };
    if args.aragora && args.config.is_some() {
        let Config { routes, fallback, .. } = Config::aragora();
        (config.routes, config.fallback) = (routes, fallback);
    }
    match args.shape.as_deref() {
        Some("real") => config.aragora.shape = Shape::Real,
        Some(_) => config.aragora.shape = Shape::Test,
        None => {}
    }
    config.aragora.auth.required |= !args.token.is_empty();
    config.aragora.auth.tokens.extend(args.token);
    // Flags that name addresses replace all of the file's, so that `--listen-tls` alone serves no clear text.
    if !args.listen.is_empty() || !args.listen_tls.is_empty() {
        config.listen = args.listen;
        config.listen_tls = args.listen_tls;
    } else if config.listen.is_empty() && config.listen_tls.is_empty() {
        config.listen = vec![SocketAddr::from(([127, 0, 0, 1], 8080))];
    }
    config.threads = args.threads.unwrap_or(config.threads);
    config.keep_alive_requests = args.keep_alive_requests.unwrap_or(config.keep_alive_requests);
    let tls = &mut config.tls;
    if !args.tls_name.is_empty() {
        tls.names = args.tls_name;
    }
    tls.require_client_certificate |= args.require_client_certificate;
    tls.certificate = args.tls_certificate.or_else(|| tls.certificate.take());
    tls.key = args.tls_key.or_else(|| tls.key.take());
    tls.client_ca = args.tls_client_ca.or_else(|| tls.client_ca.take());
    Ok(config)
}

/// The signals that end the program.
struct Signals {
    runtime: Runtime,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn catch() -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let inside = runtime.enter();
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        drop(inside);
        Ok(Signals { runtime, terminate, interrupt })
    }

    /// Waits for one of them and tells which came.
    fn wait(&mut self) -> &'static str {
        let Signals { runtime, terminate, interrupt } = self;
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            }
        })
    }
}

/// Says what was received, path by path.
fn report(stats: &Stats) {
    eprintln!("testbed: {} requests on {} connections", stats.received(), stats.connections.accepted);
    if stats.ws.opened > 0 {
        let ws = &stats.ws;
        eprintln!(
            "testbed: {} WebSockets, {} at once, {} messages in and {} out",
            ws.opened, ws.peak, ws.messages_in, ws.messages_out
        );
    }
    for (path, counts) in stats.paths.iter().take(20) {
        let answered: Vec<String> =
            counts.answered.iter().map(|(status, count)| format!("{count} x {status}")).collect();
        eprintln!("testbed:   {path}: {} received, answered {}", counts.received, answered.join(", "));
    }
    if stats.paths.len() > 20 {
        eprintln!("testbed:   and {} more paths", stats.paths.len() - 20);
    }
}
