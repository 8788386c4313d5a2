//! Names to addresses: literal addresses at once, others through hickory with the system's configuration and hosts file
//! (static binaries cannot use the C library's resolver). Used by `dial.rs`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hickory_resolver::config::{LookupIpStrategy, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::{ResolverBuilder, TokioResolver};
use tokio::sync::OnceCell;

/// The addresses of one name and port; never empty.
pub(crate) type Addresses = Arc<[SocketAddr]>;

/// Filled by whoever resolves the target first, for all cores of the worker.
pub(crate) type Remembered = Arc<OnceCell<Addresses>>;

/// One core's resolver.
#[derive(Debug)]
pub(crate) struct Resolver {
    /// Built when the first name must be looked up; its sockets belong to this thread's event loop.
    inner: OnceCell<TokioResolver>,
    /// `None`: resolve for every connection.
    remembered: Option<Remembered>,
}

impl Resolver {
    pub(crate) fn new(remembered: Option<Remembered>) -> Self {
        Self { inner: OnceCell::new(), remembered }
    }

    /// Addresses of the target, if they are remembered.
    pub(crate) fn known(&self) -> Option<Addresses> {
        self.remembered.as_ref()?.get().cloned()
    }

    /// Addresses of the target, to be remembered if that is the policy. Errors are texts for people.
    pub(crate) async fn target(&self, host: &str, port: u16) -> Result<Addresses, String> {
        match &self.remembered {
            Some(cell) => cell.get_or_try_init(|| self.lookup(host, port)).await.cloned(),
            None => self.lookup(host, port).await,
        }
    }

    /// Addresses of any host (a redirect's), not remembered.
    pub(crate) async fn lookup(&self, host: &str, port: u16) -> Result<Addresses, String> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(Arc::from([SocketAddr::new(ip, port)]));
        }
        let inner = self.inner.get_or_try_init(|| std::future::ready(build())).await?;
        let found = inner.lookup_ip(host).await.map_err(|error| words(&error))?;
        let addresses: Addresses = found.iter().map(|ip| SocketAddr::new(ip, port)).collect();
        if addresses.is_empty() { Err(NO_ADDRESS.to_owned()) } else { Ok(addresses) }
    }
}

const NO_ADDRESS: &str = "it has no address";

/// Why a name has no address, without what only the resolver knows it by.
fn words(error: &NetError) -> String {
    match error {
        error if error.is_nx_domain() => "no such host".to_owned(),
        error if error.is_no_records_found() => NO_ADDRESS.to_owned(),
        NetError::Dns(DnsError::ResponseCode(code)) => {
            format!("the name server answered: {}", code.to_str().to_lowercase())
        }
        NetError::Timeout => "no answer from the name server".to_owned(),
        NetError::NoConnections => "no name server can be reached".to_owned(),
        NetError::Io(cause) => format!("asking the name server: {cause}"),
        other => other.to_string(),
    }
}

/// A machine without a resolver configuration still has its hosts file.
fn build() -> Result<TokioResolver, String> {
    let builder = TokioResolver::builder_tokio().unwrap_or_else(|error| {
        tracing::debug!(%error, "no resolver configuration; only the hosts file is used");
        TokioResolver::builder_with_config(ResolverConfig::default(), TokioRuntimeProvider::default())
    });
    with_options(builder)
}

fn with_options(mut builder: ResolverBuilder<TokioRuntimeProvider>) -> Result<TokioResolver, String> {
    let options = builder.options_mut();
    // One family at a time: addresses of both would share the load with a family that may not be served.
    options.ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
    // Whoever resolves per connection wants to see changes; others resolve once.
    options.cache_size = 0;
    builder.build().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use hickory_resolver::config::{ConnectionConfig, NameServerConfig};
    use tokio::runtime::LocalOptions;

    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn literal_addresses_need_no_resolver() {
        let resolver = Resolver::new(None);
        let v4 = run(resolver.target("127.0.0.1", 80)).unwrap();
        assert_eq!(*v4, ["127.0.0.1:80".parse().unwrap()]);
        let v6 = run(resolver.target("::1", 443)).unwrap();
        assert_eq!(*v6, ["[::1]:443".parse().unwrap()]);
    }

    #[test]
    fn localhost_comes_from_the_hosts_file_and_is_remembered() {
        let resolver = Resolver::new(Some(Remembered::default()));
        let found = run(resolver.target("localhost", 8080)).unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 8080));
        assert!(resolver.known().is_some_and(|kept| Arc::ptr_eq(&kept, &found)));
    }
    /// A name server on a port of its own that gives every name a new address: 10.0.0.1, 10.0.0.2 …
    fn name_server() -> SocketAddr {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut query = [0; 512];
            for n in 1..=2 {
                let (length, from) = socket.recv_from(&mut query).unwrap();
                // The question ends with the name's empty label, type and class; what follows is not repeated.
                let end = 12 + query[12..length].iter().position(|byte| *byte == 0).unwrap() + 5;
                let mut answer = query[..2].to_vec();
                answer.extend([0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
                answer.extend(&query[12..end]);
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, n]);
                socket.send_to(&answer, from).unwrap();
            }
        });
        address
    }

    /// A name server that answers every question with this code and no record.
    fn name_server_without_names(code: u8) -> SocketAddr {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut query) {
                let end = 12 + query[12..length].iter().position(|byte| *byte == 0).unwrap() + 5;
                let mut answer = query[..2].to_vec();
                answer.extend([0x81, 0x80 | code, 0, 1, 0, 0, 0, 0, 0, 0]);
                answer.extend(&query[12..end]);
                socket.send_to(&answer, from).unwrap();
            }
        });
        address
    }

    /// What a resolver of that name server alone does in an event loop of the kind that cores have, since it spawns tasks on it.
    fn asking<T>(server: SocketAddr, ask: impl AsyncFnOnce(&Resolver) -> T) -> T {
        let mut connection = ConnectionConfig::udp();
        connection.port = server.port();
        let server = NameServerConfig::new(server.ip(), true, vec![connection]);
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build_local(LocalOptions::default()).unwrap();
        runtime.block_on(async {
            let config = ResolverConfig::from_name_servers(vec![server]);
            let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
            let resolver = Resolver::new(None);
            resolver.inner.set(with_options(builder).unwrap()).unwrap();
            ask(&resolver).await
        })
    }

    #[test]
    fn why_a_name_does_not_resolve_is_said_in_words() {
        for (code, expected) in [
            (0, "it has no address"),
            (2, "the name server answered: server failure"),
            (3, "no such host"),
            (5, "the name server answered: query refused"),
        ] {
            let server = name_server_without_names(code);
            let error = asking(server, async |resolver| resolver.target("checkout.shop.", 80).await);
            assert_eq!(error.unwrap_err(), expected);
        }
    }

    #[test]
    fn names_are_asked_of_the_name_server_for_every_connection_if_that_is_the_policy() {
        let found: Vec<IpAddr> = asking(name_server(), async |resolver| {
            let mut found = Vec::new();
            for _ in 0..2 {
                found.extend(resolver.target("shop.test.", 80).await.unwrap().iter().map(SocketAddr::ip));
            }
            found
        });
        assert_eq!(found, [IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2])]);
    }
}
