//! Where a redirect leads: `Location` resolved against the request it answers (RFC 3986 §5). Followed by `request.rs`; what
//! becomes of method, body and headers is in `plimsoll_scenario::Parts::redirect`.

use plimsoll_scenario::Origin;

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// `http` or `https`.
    pub(crate) scheme: String,
    /// Without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Path and query.
    pub(crate) target: String,
}

impl Place {
    pub(crate) fn origin(&self) -> Origin {
        Origin::new(&self.scheme, &self.host, self.port)
    }

    /// The place that a `Location` names from here; `None` if it cannot be followed (another scheme, no host, a bad port).
    pub(crate) fn follow(&self, location: &str) -> Option<Self> {
        let location = location.trim().split('#').next().unwrap_or("");
        if let Some(rest) = location.strip_prefix("//") {
            return authority(&self.scheme, rest);
        }
        if let Some((scheme, rest)) = scheme_of(location) {
            let scheme = scheme.to_ascii_lowercase();
            let known = scheme == "http" || scheme == "https";
            return if known { authority(&scheme, rest.strip_prefix("//")?) } else { None };
        }
        let (path, _) = split(&self.target);
        let target = match location.as_bytes().first() {
            None => self.target.clone(),
            Some(b'/') => normal(location),
            Some(b'?') => format!("{path}{location}"),
            Some(_) => {
                let folder = path.rfind('/').map_or("/", |slash| &path[..=slash]);
                normal(&format!("{folder}{location}"))
            }
        };
        Some(Self { target, ..self.clone() })
    }
}

/// A scheme is a letter, then letters, digits, `+`, `-`, `.`, before any `/` or `?`.
fn scheme_of(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let first = scheme.as_bytes().first()?;
    (first.is_ascii_alphabetic() && scheme.bytes().all(letters)).then_some((scheme, rest))
}

fn authority(scheme: &str, rest: &str) -> Option<Place> {
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = match authority.strip_prefix('[') {
        Some(inner) => {
            let (host, port) = inner.split_once(']')?;
            (host, port.strip_prefix(':').unwrap_or(port))
        }
        None => authority.split_once(':').unwrap_or((authority, "")),
    };
    let own = if scheme == "https" { 443 } else { 80 };
    let port = if port.is_empty() { own } else { port.parse().ok()? };
    if host.is_empty() {
        return None;
    }
    let target = if target.starts_with('/') { normal(target) } else { format!("/{target}") };
    Some(Place { scheme: scheme.to_owned(), host: host.to_ascii_lowercase(), port, target })
}

fn split(target: &str) -> (&str, &str) {
    target.find('?').map_or((target, ""), |at| target.split_at(at))
}

/// Removes `.` and `..` segments of the path (RFC 3986 §5.2.4).
fn normal(target: &str) -> String {
    let (path, query) = split(target);
    let mut kept: Vec<&str> = Vec::new();
    let mut open = false;
    for segment in path.trim_start_matches('/').split('/') {
        open = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            name => kept.push(name),
        }
    }
    let end = if open && !kept.is_empty() { "/" } else { "" };
    format!("/{}{end}{query}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Place {
        let (scheme, rest) = scheme_of(text).unwrap();
        authority(scheme, rest.strip_prefix("//").unwrap()).unwrap()
    }

    #[test]
    fn locations_resolve_as_references_do() {
        let base = place("http://a.test:8080/b/c/d?q");
        for (location, expected) in [
            ("/x?y", "http://a.test:8080/x?y"),
            ("g", "http://a.test:8080/b/c/g"),
            ("./g/.", "http://a.test:8080/b/c/g/"),
            ("../../../g", "http://a.test:8080/g"),
            ("..", "http://a.test:8080/b/"),
            ("?z", "http://a.test:8080/b/c/d?z"),
            ("", "http://a.test:8080/b/c/d?q"),
            ("#top", "http://a.test:8080/b/c/d?q"),
            ("//B.test/x", "http://b.test:80/x"),
            ("HTTPS://b.test", "https://b.test:443/"),
            ("https://b.test?x=1", "https://b.test:443/?x=1"),
            ("http://user:pw@[::1]:81/x", "http://[::1]:81/x"),
        ] {
            assert_eq!(base.follow(location), Some(place(expected)), "{location}");
        }
    }

    #[test]
    fn what_names_no_server_cannot_be_followed() {
        let base = place("http://a.test/");
        for location in
            ["ftp://a.test/", "http:///x", "http://a.test:99999/", "http:x", "mailto:a@b", "x:y/z"]
        {
            assert_eq!(base.follow(location), None, "{location}");
        }
    }
}
