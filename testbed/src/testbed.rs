//! A running testbed: starts the threads of a server and is the handle on it. `src/main.rs` holds one, and so
//! does every test that needs a target.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;

use crate::acceptor::{self, Door};
use crate::aragora;
use crate::config::{Config, ConfigError};
use crate::core;
use crate::fault::Fault;
use crate::log::Log;
use crate::pki::Pki;
use crate::server::Server;
use crate::stats::Stats;
use crate::streams::Messages;
use crate::timer::from_now;
use crate::tls::{self, TlsError};
use crate::websocket;

/// Tasks after which a busy thread looks at its sockets and its timer again. Small, because a deadline that
/// falls into a burst of requests waits so long.
const EVENT_INTERVAL: u32 = 16;

/// A server that could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A field of the configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// TLS cannot be served.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose a free port, or end what listens there")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The reason.
        source: io::Error,
    },
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

/// A running server. Dropping it stops it at once.
pub struct Testbed {
    server: Arc<Server>,
    plain: Vec<SocketAddr>,
    secure: Vec<SocketAddr>,
    stop: watch::Sender<Option<Duration>>,
    threads: Vec<JoinHandle<()>>,
}

impl Testbed {
    /// Starts a server; when this returns, it accepts connections.
    ///
    /// # Errors
    /// If the configuration names what cannot be done, or an address is taken.
    pub fn start(mut config: Config) -> Result<Self, StartError> {
        if config.listen.is_empty() && config.listen_tls.is_empty() {
            config.listen.push(SocketAddr::from(([127, 0, 0, 1], 0)));
        }
        let (tls, pki) = if config.listen_tls.is_empty() {
            (None, None)
        } else {
            let (acceptor, pki) = tls::acceptor(&config)?;
            (Some(acceptor), pki)
        };
        let server = Arc::new(Server::new(&config, pki)?);
        let mut doors = Vec::new();
        let plain = open(config.listen, None, &mut doors)?;
        let secure = open(config.listen_tls, tls.as_ref(), &mut doors)?;
        let (stop, _) = watch::channel(None);
        let mut testbed = Testbed { server, plain, secure, stop, threads: Vec::new() };
        testbed.spawn(doors, config.threads)?;
        Ok(testbed)
    }

    fn spawn(&mut self, doors: Vec<Door>, threads: usize) -> Result<(), StartError> {
        let available = thread::available_parallelism().map_or(1, usize::from);
        let count = if threads == 0 { available } else { threads };
        let mut cores = Vec::new();
        for i in 0..count {
            let (sender, inbox) = mpsc::unbounded_channel();
            cores.push(sender);
            let (server, stop) = (self.server.clone(), self.stop.subscribe());
            self.thread(format!("testbed-{i}"), move || core::start(server, inbox, stop))?;
        }
        let stop = self.stop.subscribe();
        self.thread("testbed-accept".into(), move || acceptor::start(doors, &cores.into(), &stop))
    }

    /// Makes a future on a thread of its own and runs it there; returns when it is made.
    fn thread<F: Future<Output = ()>>(
        &mut self,
        name: String,
        make: impl FnOnce() -> io::Result<F> + Send + 'static,
    ) -> Result<(), StartError> {
        let (made, is_made) = std::sync::mpsc::sync_channel(1);
        let body = move || {
            let mut builder = Builder::new_current_thread();
            builder.enable_all().event_interval(EVENT_INTERVAL);
            let runtime = match builder.build_local(LocalOptions::default()) {
                Ok(runtime) => runtime,
                Err(error) => return drop(made.send(Err(error))),
            };
            // Dropping the result of a send is right: nobody waits for a thread whose start was given up.
            runtime.block_on(async {
                match make() {
                    Ok(future) => {
                        drop(made.send(Ok(())));
                        future.await;
                    }
                    Err(error) => drop(made.send(Err(error))),
                }
            });
        };
        let thread = thread::Builder::new().name(name).spawn(body).map_err(StartError::Thread)?;
        self.threads.push(thread);
        is_made.recv().map_err(io::Error::other).flatten().map_err(StartError::Thread)
    }

    /// The first address, of clear text if there is one.
    pub fn addr(&self) -> SocketAddr {
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        self.plain.first().or(self.secure.first()).copied().unwrap_or(unknown)
    }

    /// The first address of TLS.
    pub fn tls_addr(&self) -> Option<SocketAddr> {
        self.secure.first().copied()
    }

    /// All addresses, of clear text and of TLS.
    pub fn addrs(&self) -> (&[SocketAddr], &[SocketAddr]) {
        (&self.plain, &self.secure)
    }

    /// The URL of the first address, without a path.
    pub fn url(&self) -> String {
        let scheme = if self.plain.is_empty() { "https" } else { "http" };
        format!("{scheme}://{}", self.addr())
    }

    /// What was counted since the start or the last reset.
    pub fn stats(&self) -> Stats {
        self.server.stats("")
    }

    /// The server's own durations of the requests to one path.
    pub fn log(&self, path: &str) -> Log {
        self.server.ledger.log(|known| known == path)
    }

    /// The server's own durations of the requests to all paths that begin like this.
    pub fn log_under(&self, prefix: &str) -> Log {
        self.server.ledger.log(|known| known.starts_with(prefix))
    }

    /// The messages on WebSockets and event streams of one path or pattern, such as `/ws/debates/{id}`.
    pub fn messages(&self, path: &str) -> Messages {
        self.server.messages(|known| known == path)
    }

    /// Forgets all that the Aragora endpoints remember, as a restart would: no id and no token is good any more.
    pub fn forget_state(&self) {
        self.server.world.forget();
    }

    /// Waits until no request is in progress; false if some still are after `timeout`. An answer reaches its client a
    /// moment before it stands in the counts and the log, so this comes between the traffic and a look at them.
    pub fn wait_until_idle(&self, timeout: Duration) -> bool {
        let deadline = from_now(timeout);
        while self.server.ledger.in_flight() > 0 {
            if Instant::now() > deadline {
                return false;
            }
            thread::sleep(Duration::from_micros(100));
        }
        true
    }

    /// Empties counts and log and lets all sequences begin anew.
    pub fn reset_stats(&self) {
        self.server.reset();
    }

    /// Disturbs the service, in place of the fault before.
    ///
    /// # Errors
    /// Names the field of the fault that cannot be used; the fault before stays then.
    pub fn set_fault(&self, fault: Fault) -> Result<(), ConfigError> {
        self.server.faults.set(fault, Instant::now())
    }

    /// Changes the fault by a merge patch (RFC 7396), as `POST /__fault` does: fields that are not named stay, `null`
    /// removes one. The sequences of its rules begin anew.
    ///
    /// # Errors
    /// Names the field that cannot be used; the fault before stays then.
    pub fn merge_fault(&self, patch: &serde_json::Value) -> Result<(), ConfigError> {
        self.server.faults.merge(patch, Instant::now())
    }

    /// Ends the fault and the freeze that were set.
    pub fn clear_fault(&self) {
        self.server.faults.clear();
    }

    /// Holds back every answer for so long from now.
    pub fn freeze(&self, time: Duration) {
        self.server.faults.freeze_until(from_now(time));
    }

    /// The authority of the certificates made at the start, in PEM.
    pub fn ca_pem(&self) -> Option<&str> {
        self.server.pki.as_ref().map(|pki| pki.ca_pem.as_str())
    }

    /// The certificates made at the start, one for a client among them.
    pub fn pki(&self) -> Option<&Pki> {
        self.server.pki.as_ref()
    }

    /// Takes no more connections, lets requests in progress end for at most `grace`, and stops.
    pub fn shutdown(mut self, grace: Duration) {
        self.end(grace);
    }

    fn end(&mut self, grace: Duration) {
        self.stop.send_if_modified(|stop| stop.is_none() && stop.replace(grace).is_none());
        for thread in self.threads.drain(..) {
            // What went wrong in a thread ended its connections, which is all that stopping would do.
            let _ = thread.join();
        }
    }
}

impl Drop for Testbed {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

impl std::fmt::Debug for Testbed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Testbed")
            .field("plain", &self.plain)
            .field("secure", &self.secure)
            .finish_non_exhaustive()
    }
}

/// The paths and patterns that are served without any configuration beside the default routes: HTTP ones with their
/// methods, and WebSockets as `WS`.
pub fn endpoints() -> Vec<(&'static str, &'static str)> {
    let http = aragora::TABLE.iter();
    let http =
        http.flat_map(|endpoint| endpoint.methods.iter().map(|(method, _)| (*method, endpoint.pattern)));
    let sockets = websocket::DOORS.iter().map(|door| ("WS", door.pattern));
    let builtin = [&websocket::ECHO, &websocket::ORDER].map(|door| ("WS", door.pattern));
    http.chain([("GET", "/sse")]).chain(sockets).chain(builtin).collect()
}

/// Listens on all addresses; the result has the ports that were given out.
fn open(
    addresses: Vec<SocketAddr>,
    tls: Option<&TlsAcceptor>,
    doors: &mut Vec<Door>,
) -> Result<Vec<SocketAddr>, StartError> {
    let mut opened = Vec::new();
    for address in addresses {
        let failed = |source| StartError::Bind { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        opened.push(listener.local_addr().map_err(failed)?);
        doors.push(Door { listener, tls: tls.cloned() });
    }
    Ok(opened)
}
