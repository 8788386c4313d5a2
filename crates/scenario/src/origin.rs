//! Scheme and authority of a target, as requests and redirects name them.

/// Scheme and authority of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    authority: String,
}

impl Origin {
    /// The origin of a host (an address without brackets) and port; the port is left out where it is the scheme's own.
    #[must_use]
    pub fn new(scheme: &str, host: &str, port: u16) -> Self {
        let scheme = scheme.to_ascii_lowercase();
        let host = host.to_ascii_lowercase();
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let own = matches!((scheme.as_str(), port), ("http", 80) | ("https", 443));
        let authority = if own { host } else { format!("{host}:{port}") };
        Self { scheme, authority }
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// `host[:port]`, as the `host` header has it.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }
}
