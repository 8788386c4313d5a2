//! The target: its URL taken apart, TLS, connections. The path joins those of the steps in `scenarios.rs`.

use plimsoll_plan::{Connections, ConnectionsPer, HttpVersion, Preflight, Target, Tls};
use plimsoll_scenario::{Field, VarSource};

use super::error::Errors;
use crate::v1alpha1::{self as api, LoadTestSpec};

/// The target, and what the plan does not keep of its URL.
pub(super) struct Lowered {
    pub(super) plan: Target,
    /// Path and query as they were written; at least `/`.
    pub(super) path_and_query: String,
    /// Whether there is a query.
    pub(super) has_query: bool,
    /// The path where the URL was written.
    pub(super) url_at: &'static str,
}

pub(super) fn lower(spec: &LoadTestSpec, url_at: &'static str, open: bool, errors: &mut Errors) -> Lowered {
    let target = &spec.target;
    let url = Url::parse(&target.url).unwrap_or_else(|message| {
        errors.add(url_at, format!("{:?} {message}", without_credentials(&target.url)));
        Url::default()
    });
    let https = url.scheme == "https";
    if target.tls.is_some() && url.scheme == "http" {
        errors.add("spec.target.tls", "tls needs an https url: write target.url as https://…, or remove tls");
    }
    let path = url.rest.split('?').next().unwrap_or_default();
    let plan = Target {
        scheme: url.scheme.to_owned(),
        host: url.host,
        port: url.port,
        base_path: path.trim_end_matches('/').to_owned(),
        http: match target.http.unwrap_or_default() {
            api::HttpVersion::Auto => HttpVersion::Auto,
            api::HttpVersion::Http1 => HttpVersion::Http1,
            api::HttpVersion::Http2 => HttpVersion::Http2,
        },
        tls: https.then(|| tls(target.tls.as_ref())),
        connections: connections(target.connections.as_ref(), open),
        preflight: match target.preflight.unwrap_or_default() {
            api::Preflight::Connect => Preflight::Connect,
            api::Preflight::Skip => Preflight::Skip,
        },
        headers: target.headers.iter().map(|(name, value)| field(name, value)).collect(),
    };
    let has_query = url.rest.contains('?');
    let path_and_query = if url.rest.starts_with('/') { url.rest } else { format!("/{}", url.rest) };
    Lowered { plan, path_and_query, has_query, url_at }
}

/// A URL as it may be shown.
pub(crate) fn without_credentials(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    match url[start..end].rfind('@') {
        Some(at) => format!("{}…{}", &url[..start], &url[start + at..]),
        None => url.to_owned(),
    }
}

pub(super) fn field(name: &str, value: &str) -> Field {
    Field { name: name.to_owned(), value: value.to_owned() }
}

fn tls(tls: Option<&api::Tls>) -> Tls {
    let Some(tls) = tls else { return Tls::default() };
    Tls {
        server_name: tls.server_name.clone(),
        ca: tls.ca.as_ref().map(|ca| VarSource::ConfigMap {
            name: ca.config_map_key_ref.name.clone(),
            key: ca.config_map_key_ref.key.clone(),
        }),
        client_secret: tls.client_certificate.as_ref().map(|certificate| certificate.secret_ref.name.clone()),
        insecure_skip_verify: tls.insecure_skip_verify.unwrap_or_default(),
        resumption: tls.resumption.unwrap_or_default(),
    }
}

fn connections(connections: Option<&api::Connections>, open: bool) -> Connections {
    let connections = connections.cloned().unwrap_or_default();
    Connections {
        per: match (connections.per, open) {
            (Some(api::ConnectionsPer::User), _) | (None, false) => ConnectionsPer::User,
            (Some(api::ConnectionsPer::Worker), _) | (None, true) => ConnectionsPer::Worker,
        },
        max: connections.max,
        max_age: connections.max_age.map(|age| age.nanos),
        max_requests: connections.max_requests,
        resolve_per_connection: connections.resolve == Some(api::Resolve::PerConnection),
    }
}

/// Host of a target's URL, name or address without brackets, as a plan would have it; none if [`crate::lower`] refuses the URL.
#[must_use]
pub fn target_host(url: &str) -> Option<String> {
    Url::parse(url).ok().map(|url| url.host)
}

#[derive(Debug, Default, PartialEq)]
struct Url<'a> {
    scheme: &'a str,
    host: String,
    port: u16,
    /// Path and query.
    rest: String,
}

impl<'a> Url<'a> {
    fn parse(text: &'a str) -> Result<Self, String> {
        let (scheme, rest) =
            text.split_once("://").ok_or("is not a URL such as http://checkout.shop:8080")?;
        let default = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return Err("is neither http nor https".to_owned()),
        };
        if rest.contains('#') {
            return Err("has a fragment (#…), which is never sent: remove it".to_owned());
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        if authority.contains('@') {
            return Err("holds credentials: put them into a Secret and a header, with vars".to_owned());
        }
        let (host, port) = host_and_port(authority)?;
        let port = match port {
            None => default,
            Some(port) => Some(port)
                .filter(|port| port.bytes().all(|b| b.is_ascii_digit()))
                .and_then(|port| port.parse().ok())
                .filter(|port| *port > 0)
                .ok_or_else(|| format!("has the port {port:?}, which is not from 1 to 65535"))?,
        };
        Ok(Self { scheme, host, port, rest: rest.to_owned() })
    }
}

fn host_and_port(authority: &str) -> Result<(String, Option<&str>), String> {
    if let Some(inside) = authority.strip_prefix('[') {
        let (address, rest) = inside.split_once(']').ok_or("has a [ without a ]")?;
        if address.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(format!("has the address {address:?}, which is not one of IPv6"));
        }
        let port =
            if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or("has text after ]")?) };
        return Ok((address.to_owned(), port));
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let good = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if host.is_empty() || !host.chars().all(good) {
        return Err(format!("has the host {host:?}, which is not a name or an address"));
    }
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        for (text, scheme, host, port, rest) in [
            ("http://checkout.shop:8080/healthz", "http", "checkout.shop", 8080, "/healthz"),
            ("https://a", "https", "a", 443, ""),
            ("http://a?x=1", "http", "a", 80, "?x=1"),
            ("http://[::1]:81/b/", "http", "::1", 81, "/b/"),
            ("http://[::1]", "http", "::1", 80, ""),
        ] {
            assert_eq!(
                Url::parse(text),
                Ok(Url { scheme, host: host.into(), port, rest: rest.into() }),
                "{text}"
            );
        }
        for (text, message) in [
            ("a.b", "is not a URL"),
            ("ftp://a", "is neither http nor https"),
            ("http://u:p@a", "holds credentials"),
            ("http://a#b", "has a fragment"),
            ("http://a:0", "has the port"),
            ("http://a:99999", "has the port"),
            ("http://a:+80", "has the port"),
            ("http://a b", "has the host"),
            ("http://:80", "has the host"),
            ("http://[x]", "has the address"),
            ("http://[::1]80", "has text after"),
        ] {
            assert!(Url::parse(text).unwrap_err().starts_with(message), "{text}");
        }
    }

    #[test]
    fn no_message_shows_credentials() {
        for (url, shown) in [
            ("http://u:hunter2@a.test/x@y", "http://…@a.test/x@y"),
            ("u:hunter2@a.test", "…@a.test"),
            ("http://a.test/x@y", "http://a.test/x@y"),
        ] {
            assert_eq!(without_credentials(url), shown);
        }
    }
}
