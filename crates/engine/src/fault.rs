//! Why a request failed, for counts (its class) and for people (its cause). Made by `h1/`, `h2.rs`, `dial.rs` and `request.rs`,
//! counted by `flight.rs`.

use std::borrow::Cow;
use std::fmt;

use plimsoll_measure::ErrorClass;

/// A failure with its cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) class: ErrorClass,
    /// In lower case; may hold texts of the target, which are redacted where they are shown.
    pub(crate) cause: Cow<'static, str>,
}

impl Fault {
    /// A failure that is always the same.
    pub(crate) const fn new(class: ErrorClass, cause: &'static str) -> Self {
        Self { class, cause: Cow::Borrowed(cause) }
    }

    /// A failure whose cause says more.
    pub(crate) fn told(class: ErrorClass, cause: impl fmt::Display) -> Self {
        Self { class, cause: Cow::Owned(cause.to_string()) }
    }
}

/// How expressions name a class: as `errorRate.class` does.
pub(crate) fn class_name(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Dns => "DNS",
        ErrorClass::Connect => "Connect",
        ErrorClass::Tls => "TLS",
        ErrorClass::Timeout => "Timeout",
        ErrorClass::Reset => "Reset",
        ErrorClass::Protocol => "Protocol",
        ErrorClass::Status => "Status",
        ErrorClass::Body => "Body",
    }
}

/// The beginning of a body as one line of text: at most this many bytes of it, and no control characters.
pub(crate) const EXCERPT: usize = 200;

/// A complete response in one line: its status and how its body begins.
pub(crate) fn excerpt(status: u16, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(EXCERPT)]);
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = line.trim();
    // A letter that the limit cut is not shown.
    let line = if body.len() > EXCERPT { line.trim_end_matches('\u{fffd}') } else { line };
    match (line.is_empty(), body.len() > EXCERPT) {
        (true, _) => format!("status {status}, no body"),
        (false, false) => format!("status {status}: {line}"),
        (false, true) => format!("status {status}: {line}…"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_named_as_in_a_manifest() {
        for class in ErrorClass::ALL {
            assert_eq!(serde_json::to_value(class).unwrap(), class_name(class));
        }
    }

    #[test]
    fn excerpts_are_one_short_line() {
        assert_eq!(excerpt(503, b"{\"error\":\n \"busy\"}\n"), "status 503: {\"error\":  \"busy\"}");
        assert_eq!(excerpt(404, b"\r\n"), "status 404, no body");
        let long = "ä".repeat(150);
        assert_eq!(excerpt(500, long.as_bytes()), format!("status 500: {}…", "ä".repeat(100)));
        let odd = format!("x{long}");
        assert_eq!(excerpt(500, odd.as_bytes()), format!("status 500: x{}…", "ä".repeat(99)));
    }
}
