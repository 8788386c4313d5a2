//! A request that has arrived, as the planning of its answer (`plan.rs`) sees it, whatever protocol carried it.

use std::net::IpAddr;
use std::time::Instant;

use http::Method;

use crate::target::parameter;

/// A request with its body.
pub(crate) struct Incoming<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    /// `HTTP/1.1` or `HTTP/2`.
    pub(crate) protocol: &'static str,
    /// Who sent it.
    pub(crate) peer: IpAddr,
    /// The body, if the answerer of the path wants it kept.
    pub(crate) body: &'a [u8],
    /// When its last byte was read.
    pub(crate) at: Instant,
    /// Reads the header lines, with names in lower case; most requests are answered without a look at them.
    pub(crate) headers: &'a dyn Fn() -> Vec<(String, String)>,
}

impl Incoming<'_> {
    /// The first value of a header, named in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        (self.headers)().into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The token of the `authorization` header.
    pub(crate) fn bearer(&self) -> Option<String> {
        let value = self.header("authorization")?;
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    }

    /// A number in the query, if it is there and one.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        parameter(self.query, name)?.parse().ok()
    }

    /// A text in the query.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        parameter(self.query, name).map(|value| value.into_owned())
    }
}
