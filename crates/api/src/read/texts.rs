//! Checks texts against the patterns of the CRDs, in words instead of regular expressions.

use crate::lower::without_credentials;
use crate::quantity::{bound, duration, rate, share};
use crate::v1alpha1::patterns;
use crate::{GoDuration, LatencyBound, Rate, Share, Statistic, StatusMatch};

/// What is wrong with a text that must match a pattern; nothing if the pattern is not one of ours.
pub(super) fn check(pattern: &str, text: &str) -> Option<String> {
    let quantity = match pattern {
        duration::PATTERN => text.parse::<GoDuration>().err(),
        rate::PATTERN => text.parse::<Rate>().err(),
        share::PATTERN => text.parse::<Share>().err(),
        bound::STATISTIC => text.parse::<Statistic>().err(),
        bound::BOUND => text.parse::<LatencyBound>().err(),
        bound::STATUS => text.parse::<StatusMatch>().err(),
        patterns::URL => return url(text),
        patterns::PLAIN_URL => return url(text).or_else(|| plain_url(text)),
        _ => {
            let (holds, wanted) = word(pattern, text)?;
            return (!holds).then(|| format!("{text:?} is not {wanted}"));
        }
    };
    quantity.map(|wrong| wrong.to_string())
}

/// Whether a text matches, and what would.
fn word(pattern: &str, text: &str) -> Option<(bool, &'static str)> {
    let all = |allowed: fn(char) -> bool| !text.is_empty() && text.chars().all(allowed);
    let ends = |allowed: fn(char) -> bool| text.starts_with(allowed) && text.ends_with(allowed);
    let plain = |c: char| c.is_ascii_alphanumeric();
    Some(match pattern {
        patterns::VARIABLE => (
            all(|c| c.is_ascii_alphanumeric() || c == '_') && !text.starts_with(|c: char| c.is_ascii_digit()),
            "a name of letters, digits and _ that does not begin with a digit",
        ),
        patterns::KEY => {
            (all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)), "a key of letters, digits, -, . and _")
        }
        patterns::WINDOW => (
            all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') && ends(plain),
            "a name of lower-case letters, digits and -",
        ),
        patterns::SLO => (
            all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)) && ends(plain),
            "a name of letters, digits, -, . and _ that begins and ends with a letter or digit",
        ),
        patterns::METHOD => (all(|c| c.is_ascii_uppercase()), "a method in capitals, such as GET"),
        patterns::PATH => (text.starts_with('/') && !text.contains(['\n', '\r']), "a path; it begins with /"),
        patterns::WORKLOAD => (
            ["Deployment", "StatefulSet", "DaemonSet"].contains(&text),
            "one of Deployment, StatefulSet, DaemonSet",
        ),
        patterns::QUANTITY => (is_quantity(text), "a Kubernetes quantity such as 500m or 256Mi"),
        _ => return None,
    })
}

/// What keeps a text from being a URL of a service. What its host and port must be is for `lower/target.rs`.
fn url(text: &str) -> Option<String> {
    let shown = without_credentials(text);
    let wrong =
        |what: &str| Some(format!("{shown:?} is not a URL such as http://checkout.shop:8080: {what}"));
    if text.contains(char::is_whitespace) {
        return wrong("it has a space or a line break in it; in a path, write a space as %20");
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return wrong("it must begin with http:// or https://");
    };
    match scheme {
        "http" | "https" if rest.is_empty() || rest.starts_with(['/', '?', '#']) => {
            wrong("it has no host after ://")
        }
        "http" | "https" => None,
        _ if ["http", "https"].contains(&&*scheme.to_ascii_lowercase()) => {
            wrong(&format!("write {} in lower case", scheme.to_ascii_lowercase()))
        }
        _ => wrong("only http:// and https:// are spoken"),
    }
}

/// What a URL has that only a named server may have, or none.
fn plain_url(text: &str) -> Option<String> {
    let shown = without_credentials(text);
    if text.contains('@') {
        return Some(format!(
            "{shown:?} holds credentials, which a manifest must not: name the server in the operator's configuration, or take them from a Secret"
        ));
    }
    let extra = text.contains(['?', '#']);
    extra.then(|| format!("{shown:?} has a query or a fragment: write it without, up to where the server's own paths (/api/v1, /v1) begin"))
}

fn is_quantity(text: &str) -> bool {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &text[number.len()..];
    let units = ["", "m", "k", "M", "G", "T", "P", "Ki", "Mi", "Gi", "Ti", "Pi"];
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits =
        |s: &str, most: usize| (1..=most).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit());
    units.contains(&unit) && digits(whole, 15) && digits(fraction, 9)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns_of(schema: &serde_json::Value, found: &mut Vec<String>) {
        match schema {
            serde_json::Value::Object(map) => {
                found.extend(map.get("pattern").and_then(|p| p.as_str()).map(str::to_owned));
                map.values().for_each(|v| patterns_of(v, found));
            }
            serde_json::Value::Array(items) => items.iter().for_each(|v| patterns_of(v, found)),
            _ => {}
        }
    }

    #[test]
    fn every_pattern_of_the_crds_is_checked() {
        let mut found = Vec::new();
        for crd in crate::crds() {
            patterns_of(&serde_json::to_value(crd.spec.versions).unwrap(), &mut found);
        }
        assert!(found.len() > 20);
        for pattern in found {
            // No pattern of ours matches a line end.
            assert!(check(&pattern, "\n").is_some(), "{pattern}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said() {
        for (text, what) in [
            ("HTTP://x", "write http in lower case"),
            ("http://a/b c", "it has a space"),
            ("a.b:80", "it must begin with http://"),
            ("http:///x", "it has no host"),
            ("ftp://a", "only http:// and https:// are spoken"),
        ] {
            let said = check(patterns::URL, text).unwrap();
            assert!(said.starts_with(&format!("{text:?} is not a URL such as ")), "{said}");
            assert!(said.contains(what), "{said}");
        }
        let said = check(patterns::URL, "HTTP://u:hunter2@a").unwrap();
        assert!(!said.contains("hunter2"), "{said}");
    }

    #[test]
    fn words() {
        for (pattern, good, bad) in [
            (patterns::URL, "https://a.b/c?d", "ftp://a"),
            (patterns::URL, "http://[::1]:80", "http:///x"),
            (patterns::PLAIN_URL, "http://prometheus.monitoring:9090/prom", "http://u:p@prometheus"),
            (patterns::PLAIN_URL, "https://[::1]:80", "http://prometheus?a=b"),
            (patterns::VARIABLE, "a_1", "1a"),
            (patterns::KEY, "users.csv", "a/b"),
            (patterns::WINDOW, "burst-2", "Burst"),
            (patterns::SLO, "p99-9", "-p99"),
            (patterns::METHOD, "PATCH", "get"),
            (patterns::PATH, "/a b", "a"),
            (patterns::WORKLOAD, "DaemonSet", "Job"),
            (patterns::QUANTITY, "1.5Gi", "1.5 Gi"),
            (patterns::QUANTITY, "2", "Mi"),
        ] {
            assert_eq!(check(pattern, good), None, "{good}");
            assert!(check(pattern, bad).is_some(), "{bad}");
        }
    }
}
