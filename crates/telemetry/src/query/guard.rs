//! Which addresses a server may have. A named one may be anywhere; a URL that a test brings must not lead to what a cloud or a node keeps
//! on link-local addresses. Held against the addresses that a name resolves to, which are the ones that are connected to.

use std::net::IpAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Where a server may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Anywhere: whoever configured it knows what it is.
    #[default]
    Anywhere,
    /// Not at a link-local address or a metadata service.
    NoMetadata,
    /// Neither there nor on this very host.
    NoMetadataNorHost,
}

impl Reach {
    /// Why an address is refused, if it is.
    pub(super) fn refuses(self, address: IpAddr) -> Option<Refused> {
        let is_host = address.to_canonical().is_loopback() || address.to_canonical().is_unspecified();
        match self {
            Self::Anywhere => None,
            _ if is_metadata_address(address) => {
                Some(Refused(address, "a link-local address or a metadata service"))
            }
            Self::NoMetadataNorHost if is_host => Some(Refused(address, "the operator's own host")),
            Self::NoMetadata | Self::NoMetadataNorHost => None,
        }
    }
}

/// An address that must not be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is {1}, which prometheus.url must not lead to")]
pub(super) struct Refused(IpAddr, &'static str);

/// Whether an address is where clouds tell a node who it is and hand out its credentials, or whatever else is link-local.
#[must_use]
pub fn is_metadata_address(address: IpAddr) -> bool {
    // Metadata services that are not link-local: of one cloud in 100.64.0.0/10, of two among the unique local addresses.
    const OTHERS: [&str; 3] = ["100.100.100.200", "fd00:ec2::254", "fd20:ce::254"];
    let address = address.to_canonical();
    let is_link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    is_link_local || OTHERS.iter().any(|other| other.parse() == Ok(address))
}

/// Resolves names and refuses those of which one address is refused.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guard(pub(super) Reach);

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if let Some(refused) = found.iter().find_map(|address| reach.refuses(address.ip())) {
                return Err(refused.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_free_url_must_not_lead_to() {
        let refused = |reach: Reach, address: &str| reach.refuses(address.parse().unwrap()).is_some();
        for metadata in [
            "169.254.169.254",
            "169.254.1.1",
            "::ffff:169.254.169.254",
            "fe80::1",
            "fd00:ec2::254",
            "100.100.100.200",
        ] {
            assert!(refused(Reach::NoMetadata, metadata), "{metadata}");
            assert!(refused(Reach::NoMetadataNorHost, metadata), "{metadata}");
            assert!(!refused(Reach::Anywhere, metadata), "{metadata}");
        }
        for host in ["127.0.0.1", "127.3.2.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::"] {
            assert!(refused(Reach::NoMetadataNorHost, host), "{host}");
            assert!(!refused(Reach::NoMetadata, host), "{host}");
        }
        for other in ["10.0.0.7", "192.0.2.1", "100.100.100.201", "2001:db8::1"] {
            assert!(!refused(Reach::NoMetadataNorHost, other), "{other}");
        }
    }
}
