//! How texts and values are written into the parts of a request, so that no value can break out of its place.

use std::io::Write;

use crate::expr::{Failure, Value, write_duration, write_timestamp};

/// Where a text or value goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Path and query as given: bytes that may not stand in a request target are percent-encoded, the rest is kept.
    Target,
    /// One value of a query parameter: everything but unreserved characters (RFC 3986 §2.3) is percent-encoded.
    Query,
    /// A header value: control characters are refused.
    Header,
    /// A text body: as it is.
    Plain,
    /// Within the quotes of a JSON string.
    JsonString,
    /// A whole JSON value, with its type.
    Json,
}

/// Appends a text.
pub(crate) fn text(text: &str, encoding: Encoding, out: &mut Vec<u8>) -> Result<(), Failure> {
    match encoding {
        Encoding::Target => target(text.as_bytes(), out),
        Encoding::Query => {
            text.bytes().for_each(|b| if unreserved(b) { out.push(b) } else { percent(b, out) });
        }
        Encoding::Header => {
            if let Some(control) = text.bytes().find(|b| (*b < b' ' && *b != b'\t') || *b == 0x7f) {
                let what =
                    if matches!(control, b'\n' | b'\r') { "a line break" } else { "a control character" };
                return Err(Failure::new(format!("a header value may not hold {what}; remove it")));
            }
            out.extend_from_slice(text.as_bytes());
        }
        Encoding::Plain => out.extend_from_slice(text.as_bytes()),
        Encoding::JsonString => json_string(text, out),
        Encoding::Json => {
            out.push(b'"');
            json_string(text, out);
            out.push(b'"');
        }
    }
    Ok(())
}

/// Appends a value.
pub(crate) fn value(value: &Value, encoding: Encoding, out: &mut Vec<u8>) -> Result<(), Failure> {
    match value {
        Value::String(string) => return text(string, encoding, out),
        Value::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::Int(value) => int(*value, out),
        Value::Double(number) if number.is_finite() => {
            let mut digits = Vec::new();
            // Writing to a vector does not fail; JSON's form of a double has no character that needs encoding but `+`.
            let _ = serde_json::to_writer(&mut digits, number);
            match encoding {
                Encoding::Query => return text(&String::from_utf8_lossy(&digits), encoding, out),
                _ => out.extend_from_slice(&digits),
            }
        }
        Value::Double(_) => return Err(Failure::new("the number is not finite")),
        Value::Null if encoding == Encoding::Json => out.extend_from_slice(b"null"),
        Value::List(items) if encoding == Encoding::Json => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                self::value(item, encoding, out)?;
            }
            out.push(b']');
        }
        Value::Map(map) if encoding == Encoding::Json => {
            out.push(b'{');
            for (i, (key, item)) in map.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                out.push(b'"');
                self::value(&key.value(), Encoding::JsonString, out)?;
                out.extend_from_slice(b"\":");
                self::value(item, encoding, out)?;
            }
            out.push(b'}');
        }
        Value::Duration(_) | Value::Timestamp(_) => {
            let mut written = String::new();
            match value {
                Value::Duration(nanos) => write_duration(*nanos, &mut written),
                Value::Timestamp(nanos) => write_timestamp(*nanos, &mut written),
                _ => {}
            }
            return text(&written, encoding, out);
        }
        Value::Null | Value::List(_) | Value::Map(_) | Value::Type(_) => {
            let kind = value.type_name();
            return Err(Failure::new(format!("a value of type {kind} cannot be put into a text")));
        }
    }
    Ok(())
}

impl Value {
    /// The value as compact JSON; none if JSON has no form for it.
    #[must_use]
    pub fn json(&self) -> Option<String> {
        let mut out = Vec::new();
        value(self, Encoding::Json, &mut out).ok()?;
        String::from_utf8(out).ok()
    }
}

/// Appends a decimal integer; its characters need no encoding anywhere.
#[inline]
pub(crate) fn int(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    let mut digits = [0; 20];
    out.extend_from_slice(decimal(value.unsigned_abs(), &mut digits));
}

/// The decimal digits of a number, at the end of the buffer.
#[inline]
pub(crate) fn decimal(value: u64, digits: &mut [u8; 20]) -> &[u8] {
    let (mut rest, mut at) = (value, digits.len());
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            return &digits[at..];
        }
    }
}

/// Whether a header or method name consists of the characters that HTTP allows (RFC 9110 §5.6.2).
pub(crate) fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

fn unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// A `%` is kept only where it begins an escape.
fn target(bytes: &[u8], out: &mut Vec<u8>) {
    for (i, byte) in bytes.iter().enumerate() {
        let keep = match byte {
            b'%' => bytes.get(i + 1..i + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)),
            _ => unreserved(*byte) || b"/?:@!$&'()*+,;=[]".contains(byte),
        };
        if keep { out.push(*byte) } else { percent(*byte, out) }
    }
}

fn percent(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
}

fn json_string(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..b' ' => {
                // Writing to a vector does not fail.
                let _ = write!(out, "\\u{byte:04x}");
            }
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(text: &str, encoding: Encoding) -> String {
        let mut out = Vec::new();
        super::text(text, encoding, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn targets_keep_what_may_stand_there() {
        assert_eq!(encoded("/a b/%41%4?x=1&y=[2]#z", Encoding::Target), "/a%20b/%41%254?x=1&y=[2]%23z");
        assert_eq!(encoded("/\r\nx: y/ü", Encoding::Target), "/%0D%0Ax:%20y/%C3%BC");
        assert_eq!(encoded("a&b=c/d%41", Encoding::Query), "a%26b%3Dc%2Fd%2541");
    }

    #[test]
    fn headers_refuse_line_breaks() {
        let error = super::text("a\r\nx: y", Encoding::Header, &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "a header value may not hold a line break; remove it");
        assert!(super::text("a\0", Encoding::Header, &mut Vec::new()).is_err());
        assert_eq!(encoded("tab\tü", Encoding::Header), "tab\tü");
    }

    #[test]
    fn numbers_are_written_in_full() {
        let show = |value| {
            let mut out = Vec::new();
            super::value(&value, Encoding::Json, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(show(Value::Int(i64::MIN)), "-9223372036854775808");
        assert_eq!(show(Value::Int(0)), "0");
        assert_eq!(show(Value::Double(1.5)), "1.5");
        assert_eq!(show(Value::List([Value::Null, Value::Bool(true)].into())), "[null,true]");
        assert!(super::value(&Value::Double(f64::INFINITY), Encoding::Json, &mut Vec::new()).is_err());
        assert!(super::value(&Value::Null, Encoding::Plain, &mut Vec::new()).is_err());
    }

    proptest! {
        #[test]
        fn json_strings_read_back(text in any::<String>()) {
            prop_assert_eq!(serde_json::from_str::<String>(&encoded(&text, Encoding::Json)).unwrap(), text);
        }

        #[test]
        fn targets_hold_only_visible_ascii(text in any::<String>()) {
            for encoding in [Encoding::Target, Encoding::Query] {
                prop_assert!(encoded(&text, encoding).bytes().all(|b| b.is_ascii_graphic() && b != b'#'));
            }
        }
    }
}
