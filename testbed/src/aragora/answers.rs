//! Pieces of answers that all Aragora endpoints share: documents, problems, times, and lists by `limit` and `offset`.

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Call;
use super::settings::Shape;
use crate::reply::Reply;

/// An answer with a document.
pub(super) fn ok(document: &Value) -> Reply {
    Reply::json(StatusCode::OK, document)
}

/// An answer that says what is wrong.
pub(crate) fn problem(status: StatusCode, error: &str) -> Reply {
    Reply::json(status, &json!({"error": error, "code": status.as_u16()}))
}

/// The refusal of an id that was not given out here.
pub(super) fn unknown(kind: &str, id: &str) -> Reply {
    problem(StatusCode::NOT_FOUND, &format!("there is no {kind} {id}"))
}

/// A moment of Unix time in microseconds, as a shape writes it: ISO 8601, or seconds with a fraction.
pub(crate) fn stamp(shape: Shape, unix_us: u64) -> Value {
    match shape {
        Shape::Real => json!(unix_us as f64 / 1e6),
        Shape::Test => {
            let time = i64::try_from(unix_us).ok().and_then(|us| Timestamp::from_microsecond(us).ok());
            json!(time.map(|time| format!("{time:.6}")))
        }
    }
}

/// `limit`, 1 to 100 and 20 if not given, and `offset` of a list.
pub(super) fn window(call: &Call<'_>) -> (usize, usize) {
    let number = |name| call.request.number(name).and_then(|value| usize::try_from(value).ok());
    (number("limit").unwrap_or(20).clamp(1, 100), number("offset").unwrap_or(0))
}

/// A field that is a text with something in it, or the refusal.
pub(super) fn text(body: &Value, field: &str) -> Result<String, Reply> {
    let found = body.get(field).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    found
        .map(str::to_owned)
        .ok_or_else(|| problem(StatusCode::BAD_REQUEST, &format!("{field} is missing or no text")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_shapes_say() {
        assert_eq!(stamp(Shape::Test, 1_700_000_000_123_456), json!("2023-11-14T22:13:20.123456Z"));
        assert_eq!(stamp(Shape::Test, 1_700_000_000_000_000), json!("2023-11-14T22:13:20.000000Z"));
        assert_eq!(stamp(Shape::Real, 1_700_000_000_123_456), json!(1_700_000_000.123_456));
    }
}
