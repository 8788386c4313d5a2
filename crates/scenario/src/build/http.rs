//! Requests: method, target, headers and body, each part a row.

use super::Builder;
use super::expression::{Sight, Wanted};
use crate::encode::{self, Encoding};
use crate::model::{Body, Field, HttpStep};
use crate::parts::PartRows;
use crate::request::{CompiledHttp, Expect};
use crate::slot::Row;

/// Sent unless the user gives a header of the same name.
const USER_AGENT: &str = concat!("plimsoll/", env!("CARGO_PKG_VERSION"));

/// Headers that frame the message; a wrong one would make the connection unusable.
const FRAMING: [&str; 2] = ["content-length", "transfer-encoding"];

impl Builder<'_> {
    /// A request whose fields stand at `at`; `accept` is the default of that header.
    pub(super) fn http(&mut self, step: &HttpStep, at: &str, accept: &str) -> CompiledHttp {
        if !encode::is_token(&step.method) {
            self.fault(
                &format!("{at}.method"),
                format!("{:?} is no HTTP method; use one like GET or POST", step.method),
            );
        }
        let target = self.target(at, step);
        let (host, headers) = self.headers(at, step, accept);
        let body = match &step.body {
            Body::Empty => Row::default(),
            Body::Text(text) => self.template(&format!("{at}.body"), text, Encoding::Plain),
            Body::Json(value) => {
                let mut body = Row::default();
                self.json(&format!("{at}.json"), value, &mut body);
                body
            }
        };
        let that = step.that.as_ref().map(|that| {
            let at = format!("{at}.expect.that");
            (self.expression(&at, that, Wanted::Bool, Sight::RESPONSE), that.as_str().into())
        });
        // Without values nothing is ever sent.
        let (scheme, authority) = match &self.values {
            Some(values) => (values.origin.scheme().into(), values.origin.authority()),
            None => ("http".into(), ""),
        };
        let authority = host.unwrap_or_else(|| Row::of(authority.as_bytes()));
        let ordinal = self.requests;
        self.requests += 1;
        CompiledHttp::new(
            step,
            ordinal,
            Expect::new(&step.expect),
            that,
            PartRows { target, authority, headers, body, scheme },
        )
    }

    /// Path and query parameters.
    fn target(&mut self, at: &str, step: &HttpStep) -> Row {
        let path_at = format!("{at}.path");
        let mut target = self.template(&path_at, &step.path, Encoding::Target);
        if !step.path.starts_with('/') {
            self.fault(&path_at, format!("{:?} does not begin with \"/\"; a path begins with it", step.path));
        }
        // Also one from a value that is known.
        let mut separator = if target.has_literal(b'?') { b'&' } else { b'?' };
        for Field { name, value } in &step.query {
            let mut text = vec![separator];
            // Only headers refuse a text.
            let _ = encode::text(name, Encoding::Query, &mut text);
            text.push(b'=');
            target.literal(&text);
            let value = self.template(&format!("{at}.query.{name}"), value, Encoding::Query);
            target.append(&value);
            separator = b'&';
        }
        target
    }

    /// The user's `host`, if any, and all other headers: defaults, then the user's.
    fn headers(&mut self, at: &str, step: &HttpStep, accept: &str) -> (Option<Row>, Vec<(String, Row)>) {
        let mut host = None;
        let mut headers = Vec::new();
        let given = |name: &str| step.headers.iter().any(|h| h.name.eq_ignore_ascii_case(name));
        let json = matches!(step.body, Body::Json(_));
        let defaults = [("user-agent", USER_AGENT), ("accept", accept), ("content-type", "application/json")];
        for (name, value) in defaults {
            if !given(name) && (json || name != "content-type") {
                headers.push((name.to_owned(), Row::of(value.as_bytes())));
            }
        }
        for Field { name, value } in &step.headers {
            let header_at = format!("{at}.headers.{name}");
            let name = name.to_ascii_lowercase();
            if !encode::is_token(&name) {
                self.fault(&header_at, format!("{name:?} is no header name; use letters, digits and \"-\""));
            } else if FRAMING.contains(&name.as_str()) {
                self.fault(&header_at, format!("{name} follows from the body and cannot be set; remove it"));
            }
            let value = self.template(&header_at, value, Encoding::Header);
            if name == "host" {
                host = Some(value);
            } else {
                headers.push((name, value));
            }
        }
        (host, headers)
    }
}
