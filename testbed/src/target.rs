//! Request targets: where the path ends, and what a query says. Read by the protocols and by `control.rs`.

use std::borrow::Cow;

/// Splits a request target into path and query; of an absolute target the scheme and authority are dropped.
pub(crate) fn split(target: &str) -> (&str, Option<&str>) {
    let local = match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => rest.find('/').map_or("/", |i| &rest[i..]),
        _ => target,
    };
    match local.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (local, None),
    }
}

/// The decoded value of a query parameter.
pub(crate) fn parameter<'a>(query: Option<&'a str>, name: &str) -> Option<Cow<'a, str>> {
    let pairs = query?.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let (_, value) = pairs.into_iter().find(|(key, _)| *key == name)?;
    Some(decode(value))
}

/// Undoes percent-encoding; what is not one is left as it is.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let digits = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let encoded = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        let (byte, after) = match (first, encoded) {
            (b'%', Some(byte)) => (byte, &tail[2..]),
            (b'+', _) => (b' ', tail),
            _ => (first, tail),
        };
        out.push(byte);
        rest = after;
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_split() {
        assert_eq!(split("/a/b"), ("/a/b", None));
        assert_eq!(split("/a?x=1?2"), ("/a", Some("x=1?2")));
        assert_eq!(split("http://host:1/a?x"), ("/a", Some("x")));
        assert_eq!(split("http://host"), ("/", None));
        assert_eq!(split("/a/b://c"), ("/a/b://c", None));
        assert_eq!(split("*"), ("*", None));
    }

    #[test]
    fn parameters_are_decoded() {
        let query = Some("path=%2Fapi%2Fitems+1%zz&empty&x=1");
        assert_eq!(parameter(query, "path").unwrap(), "/api/items 1%zz");
        assert_eq!(parameter(query, "empty").unwrap(), "");
        assert_eq!(parameter(query, "y"), None);
        assert_eq!(parameter(Some("a=%C3"), "a").unwrap(), "\u{fffd}");
    }
}
