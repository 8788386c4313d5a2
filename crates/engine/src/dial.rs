//! Opens one connection: name, TCP, TLS, each timed. Used by `pool.rs` for requests and sessions, by `preflight.rs` before the start.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use plimsoll_measure::{ErrorClass, Split};
use plimsoll_plan::HttpVersion;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::clock::nanos;
use crate::core::Core;
use crate::fault::Fault;
use crate::io::Io;
use crate::resolve::{Addresses, Resolver};

/// Where a connection goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    /// Name or address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The name to send and to verify; no TLS when absent.
    pub(crate) server_name: Option<ServerName<'static>>,
    /// Which HTTP to speak.
    pub(crate) http: HttpVersion,
}

/// An open connection and what opening it took.
#[derive(Debug)]
pub(crate) struct Dialed {
    pub(crate) io: Io,
    /// HTTP/2 is to be spoken.
    pub(crate) h2: bool,
    pub(crate) split: Split,
}

/// Why a connection could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    /// The name did not resolve.
    #[error("the name {host} does not resolve ({cause})")]
    Dns { host: String, cause: String },
    /// No address took the connection; the last one's cause.
    #[error("connecting to {address}: {cause}")]
    Connect { address: SocketAddr, cause: io::Error },
    /// The handshake failed.
    #[error("TLS handshake with {address}: {cause}")]
    Tls { address: SocketAddr, cause: io::Error },
    /// HTTP/2 was asked for, and the server does not choose it.
    #[error("{host} does not speak HTTP/2 over TLS; set target.http to Auto or HTTP/1.1")]
    NoHttp2 { host: String },
    /// The connection broke before HTTP/2 could be begun on it.
    #[error("beginning HTTP/2 with {host}: {cause}")]
    NoPreface { host: String, cause: String },
}

/// What the generator itself ran out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exhausted {
    Ports,
    Descriptors,
}

impl DialError {
    pub(crate) fn class(&self) -> ErrorClass {
        match self {
            Self::Dns { .. } => ErrorClass::Dns,
            Self::Connect { .. } => ErrorClass::Connect,
            Self::Tls { .. } => ErrorClass::Tls,
            Self::NoHttp2 { .. } => ErrorClass::Protocol,
            Self::NoPreface { .. } => ErrorClass::Reset,
        }
    }

    /// The generator's own fault, if it is one.
    pub(crate) fn exhausted(&self) -> Option<Exhausted> {
        let Self::Connect { cause, .. } = self else { return None };
        match rustix::io::Errno::from_io_error(cause)? {
            rustix::io::Errno::ADDRNOTAVAIL => Some(Exhausted::Ports),
            rustix::io::Errno::MFILE | rustix::io::Errno::NFILE => Some(Exhausted::Descriptors),
            _ => None,
        }
    }
}

/// Counts what the generator ran out of, and shows the first failures of a core.
pub(crate) fn count_failure(core: &Core, error: &DialError) {
    tracing::debug!(%error, "no connection");
    match error.exhausted() {
        Some(Exhausted::Ports) => core.recorder().health().no_ports += 1,
        Some(Exhausted::Descriptors) => core.recorder().health().no_descriptors += 1,
        None => {}
    }
}

impl From<DialError> for Fault {
    fn from(error: DialError) -> Self {
        // The report tells these from the target's by how they begin.
        let ran_out = match error.exhausted() {
            None => return Self::told(error.class(), error),
            Some(Exhausted::Ports) => "local ports",
            Some(Exhausted::Descriptors) => "file descriptors",
        };
        Self::told(error.class(), format_args!("the generator ran out of {ran_out}: {error}"))
    }
}

/// Opens connections of one core.
#[derive(Debug)]
pub(crate) struct Dialer {
    resolver: Resolver,
    tls: Arc<ClientConfig>,
    /// The same for connections on which only HTTP/1.1 will do.
    http1: Arc<ClientConfig>,
    /// Successive connections begin at successive addresses, so that all endpoints behind a name get their share.
    turn: Cell<usize>,
}

impl Dialer {
    /// `turn` should differ from core to core.
    pub(crate) fn new(resolver: Resolver, tls: Arc<ClientConfig>, turn: usize) -> Self {
        let mut http1 = ClientConfig::clone(&tls);
        http1.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { resolver, tls, http1: Arc::new(http1), turn: Cell::new(turn) }
    }

    /// Opens a connection to the run's target, whose addresses may be remembered.
    pub(crate) async fn target(&self, to: &Destination) -> Result<Dialed, DialError> {
        self.target_over(to, to.http).await
    }

    /// Opens a connection to the run's target on which HTTP/1.1 is spoken, whatever is spoken on others: only that can be upgraded.
    pub(crate) async fn target_http1(&self, to: &Destination) -> Result<Dialed, DialError> {
        self.target_over(to, HttpVersion::Http1).await
    }

    async fn target_over(&self, to: &Destination, http: HttpVersion) -> Result<Dialed, DialError> {
        if let Some(addresses) = self.resolver.known() {
            return self.open(to, http, &addresses, 0).await;
        }
        Box::pin(self.resolved(to, http, self.resolver.target(&to.host, to.port))).await
    }

    /// Opens a connection to another host, where a redirect leads.
    pub(crate) async fn elsewhere(&self, to: &Destination) -> Result<Dialed, DialError> {
        self.resolved(to, to.http, self.resolver.lookup(&to.host, to.port)).await
    }

    async fn resolved(
        &self,
        to: &Destination,
        http: HttpVersion,
        lookup: impl Future<Output = Result<Addresses, String>>,
    ) -> Result<Dialed, DialError> {
        let begun = Instant::now();
        let addresses = lookup.await.map_err(|cause| DialError::Dns { host: to.host.clone(), cause })?;
        // A literal address is no name: nothing was resolved.
        let literal = to.host.parse::<IpAddr>().is_ok();
        self.open(to, http, &addresses, if literal { 0 } else { nanos(begun.elapsed()).max(1) }).await
    }

    async fn open(
        &self,
        to: &Destination,
        http: HttpVersion,
        addresses: &[SocketAddr],
        dns: u64,
    ) -> Result<Dialed, DialError> {
        let mut split = Split { dns, ..Split::default() };
        let connecting = Instant::now();
        let (stream, address) = self.connect(addresses).await?;
        split.connect = nanos(connecting.elapsed()).max(1);
        let Some(name) = &to.server_name else {
            return Ok(Dialed { io: Io::Plain(stream), h2: http == HttpVersion::Http2, split });
        };
        let shaking = Instant::now();
        let config = if http == HttpVersion::Http1 { &self.http1 } else { &self.tls };
        // Boxed, so that connections in clear text do not carry a handshake's state; nor a look-up's, above.
        let stream = Box::pin(TlsConnector::from(Arc::clone(config)).connect(name.clone(), stream)).await;
        let stream = stream.map_err(|cause| DialError::Tls { address, cause })?;
        split.tls = nanos(shaking.elapsed()).max(1);
        let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        if http == HttpVersion::Http2 && !h2 {
            return Err(DialError::NoHttp2 { host: to.host.clone() });
        }
        Ok(Dialed { io: Io::Tls(Box::new(stream)), h2, split })
    }

    async fn connect(&self, addresses: &[SocketAddr]) -> Result<(TcpStream, SocketAddr), DialError> {
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        let mut last = None;
        for step in 0..addresses.len() {
            let address = addresses[turn.wrapping_add(step) % addresses.len()];
            match TcpStream::connect(address)
                .await
                .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
            {
                Ok(stream) => return Ok((stream, address)),
                Err(cause) => last = Some(DialError::Connect { address, cause }),
            }
        }
        Err(last.unwrap_or_else(|| DialError::Dns { host: String::new(), cause: "no address".to_owned() }))
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn a_name_that_does_not_resolve_says_so() {
        let error = DialError::Dns { host: "checkout.shop".to_owned(), cause: "no such host".to_owned() };
        assert_eq!(error.to_string(), "the name checkout.shop does not resolve (no such host)");
    }

    #[test]
    fn what_the_generator_ran_out_of_is_not_the_targets_fault() {
        let failed = |errno: Errno| DialError::Connect {
            address: SocketAddr::from(([127, 0, 0, 1], 80)),
            cause: io::Error::from_raw_os_error(errno.raw_os_error()),
        };
        assert_eq!(failed(Errno::ADDRNOTAVAIL).exhausted(), Some(Exhausted::Ports));
        assert_eq!(failed(Errno::MFILE).exhausted(), Some(Exhausted::Descriptors));
        assert_eq!(failed(Errno::NFILE).exhausted(), Some(Exhausted::Descriptors));
        let refused = failed(Errno::CONNREFUSED);
        assert_eq!((refused.exhausted(), refused.class()), (None, ErrorClass::Connect));
        assert!(refused.to_string().starts_with("connecting to 127.0.0.1:80: "), "{refused}");
    }
}
