//! Names to addresses: literal addresses at once, others through hickory with the system's configuration and hosts file
//! (static binaries cannot use the C library's resolver). Used by `dial.rs`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
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
        let found = inner.lookup_ip(host).await.map_err(|error| error.to_string())?;
        let addresses: Addresses = found.iter().map(|ip| SocketAddr::new(ip, port)).collect();
        if addresses.is_empty() { Err("the name has no address".to_owned()) } else { Ok(addresses) }
    }
}

/// A machine without a resolver configuration still has its hosts file.
fn build() -> Result<TokioResolver, String> {
    let builder = TokioResolver::builder_tokio().unwrap_or_else(|error| {
        tracing::debug!(%error, "no resolver configuration; only the hosts file is used");
        TokioResolver::builder_with_config(ResolverConfig::default(), TokioRuntimeProvider::default())
            .with_options(ResolverOpts::default())
    });
    let mut builder = builder;
    let options = builder.options_mut();
    // One family at a time: addresses of both would share the load with a family that may not be served.
    options.ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
    // Whoever resolves per connection wants to see changes; others resolve once.
    options.cache_size = 0;
    builder.build().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
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
}
