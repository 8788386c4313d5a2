//! What functions compute of their arguments; their signatures are in `signatures.rs`. No failure holds a value.

use std::fmt::Write;

use super::failure::{Failure, article};
use super::json;
use super::ops::{self, Op};
use super::time::{parse_duration, parse_timestamp, write_duration, write_timestamp};
use super::value::Value;
use super::view::View;

/// Most arguments of a function, the object of a method included.
pub(super) const MOST_ARGUMENTS: usize = 4;

/// Nanoseconds of a second.
const SECOND: i64 = 1_000_000_000;

/// 2⁶³: the least double that is over every int. Its negation is the least int.
const BEYOND: f64 = 9_223_372_036_854_775_808.0;

/// A function of its arguments alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub(crate) enum Function {
    Size,
    Type,
    Int,
    Double,
    String,
    Bool,
    Duration,
    Timestamp,
    Contains,
    StartsWith,
    EndsWith,
    LowerAscii,
    UpperAscii,
    Trim,
    Split,
    Join,
    Replace,
    Substring,
    IndexOf,
    GetSeconds,
    GetMilliseconds,
    Min,
    Max,
    Json,
    Base64,
    UrlEncode,
}

/// The value of a function.
pub(super) fn call(function: Function, args: &[View<'_>]) -> Result<Value, Failure> {
    let (first, rest) = match args.split_first() {
        Some((first, rest)) => (first, rest),
        None => return Err(Failure::new("too few arguments")),
    };
    match function {
        Function::Size => size(first),
        Function::Type => Ok(Value::Type(first.type_name())),
        Function::Int => int(first),
        Function::Double => double(first),
        Function::String => string(first),
        Function::Bool => boolean(first),
        Function::Duration => duration(first),
        Function::Timestamp => timestamp(first),
        Function::Join => join(first, rest.first()),
        Function::GetSeconds | Function::GetMilliseconds => part(function, first),
        Function::Min | Function::Max => extreme(function, first, rest),
        _ => text(function, first, rest),
    }
}

/// Functions whose first argument is a text.
fn text(function: Function, first: &View<'_>, rest: &[View<'_>]) -> Result<Value, Failure> {
    let text = text_of(first)?;
    let other = |index: usize| rest.get(index).ok_or_else(missing).and_then(text_of);
    match function {
        Function::Contains => Ok(Value::Bool(text.contains(other(0)?))),
        Function::StartsWith => Ok(Value::Bool(text.starts_with(other(0)?))),
        Function::EndsWith => Ok(Value::Bool(text.ends_with(other(0)?))),
        Function::LowerAscii => ops::text(text.to_ascii_lowercase()),
        Function::UpperAscii => ops::text(text.to_ascii_uppercase()),
        Function::Trim => Ok(Value::text(text.trim())),
        Function::Split => split(text, other(0)?, number_of(rest.get(1))?),
        Function::Replace => replace(text, other(0)?, other(1)?, number_of(rest.get(2))?),
        Function::Substring => substring(text, number_of(rest.first())?, number_of(rest.get(1))?),
        Function::IndexOf => index_of(text, other(0)?, number_of(rest.get(1))?),
        Function::Json => json::parse(text).ok_or_else(|| Failure::new("json(text): the text is not JSON")),
        Function::Base64 => ops::text(base64(text.as_bytes())),
        _ => ops::text(url_encode(text)),
    }
}

#[cold]
fn missing() -> Failure {
    Failure::new("too few arguments")
}

#[cold]
fn not(wanted: &str, view: &View<'_>) -> Failure {
    Failure::new(format!("expected {wanted}, got {}", article(view.type_name())))
}

fn text_of<'v>(view: &'v View<'_>) -> Result<&'v str, Failure> {
    view.text().ok_or_else(|| not("a string", view))
}

fn number_of(view: Option<&View<'_>>) -> Result<Option<i64>, Failure> {
    view.map(|view| view.int().ok_or_else(|| not("an int", view))).transpose()
}

fn size(of: &View<'_>) -> Result<Value, Failure> {
    let size = match (of, of.value()) {
        (View::Raw(raw), _) => json::size_of(raw).unwrap_or(0),
        (_, Some(Value::List(items))) => items.len(),
        (_, Some(Value::Map(map))) => map.len(),
        _ => of.text().ok_or_else(|| not("a string, list or map", of))?.chars().count(),
    };
    Ok(Value::Int(i64::try_from(size).unwrap_or(i64::MAX)))
}

/// A text does not read as what it should become.
#[cold]
fn unreadable(what: &'static str) -> Failure {
    Failure::new(format!("the string is not {what}"))
}

fn int(of: &View<'_>) -> Result<Value, Failure> {
    if let Some(text) = of.text() {
        return text.parse().map(Value::Int).map_err(|_| unreadable("an int"));
    }
    match of.value() {
        Some(Value::Int(int)) => Ok(Value::Int(*int)),
        Some(Value::Double(double)) if (-BEYOND..BEYOND).contains(double) => Ok(Value::Int(*double as i64)),
        Some(Value::Double(_)) => Err(ops::overflow()),
        Some(Value::Timestamp(nanos)) => Ok(Value::Int(nanos.div_euclid(SECOND))),
        _ => Err(not("a number, string or timestamp", of)),
    }
}

fn double(of: &View<'_>) -> Result<Value, Failure> {
    if let Some(text) = of.text() {
        return text.parse().map(Value::Double).map_err(|_| unreadable("a number"));
    }
    match of.value() {
        Some(Value::Int(int)) => Ok(Value::Double(*int as f64)),
        Some(Value::Double(double)) => Ok(Value::Double(*double)),
        Some(Value::Timestamp(nanos)) => {
            // Whole seconds apart, because a double does not hold all nanoseconds since the epoch.
            let fraction = nanos.rem_euclid(SECOND) as f64 / SECOND as f64;
            Ok(Value::Double(nanos.div_euclid(SECOND) as f64 + fraction))
        }
        _ => Err(not("a number, string or timestamp", of)),
    }
}

fn string(of: &View<'_>) -> Result<Value, Failure> {
    if let Some(text) = of.text() {
        return Ok(match of.value() {
            Some(value) => value.clone(),
            None => Value::text(text),
        });
    }
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = match of.value() {
        Some(Value::Bool(value)) => write!(out, "{value}"),
        Some(Value::Int(value)) => write!(out, "{value}"),
        Some(Value::Double(value)) if *value == 0.0 || (1e-5..1e17).contains(&value.abs()) => {
            write!(out, "{value}")
        }
        Some(Value::Double(value)) if value.is_finite() => write!(out, "{value:e}"),
        Some(Value::Double(value)) => write!(out, "{value}"),
        Some(Value::Duration(nanos)) => {
            write_duration(*nanos, &mut out);
            Ok(())
        }
        Some(Value::Timestamp(nanos)) => {
            write_timestamp(*nanos, &mut out);
            Ok(())
        }
        _ => return Err(not("a number, bool, duration or timestamp", of)),
    };
    Ok(Value::String(out.into()))
}

fn boolean(of: &View<'_>) -> Result<Value, Failure> {
    match (of.text(), of.value()) {
        (Some("1" | "t" | "true" | "TRUE" | "True"), _) => Ok(Value::Bool(true)),
        (Some("0" | "f" | "false" | "FALSE" | "False"), _) => Ok(Value::Bool(false)),
        (Some(_), _) => Err(unreadable("true or false")),
        (None, Some(Value::Bool(value))) => Ok(Value::Bool(*value)),
        _ => Err(not("a string or bool", of)),
    }
}

fn duration(of: &View<'_>) -> Result<Value, Failure> {
    match (of.text(), of.value()) {
        (Some(text), _) => parse_duration(text)
            .map(Value::Duration)
            .ok_or_else(|| unreadable("a duration; write one like 100ms, 1.5s or 1h30m")),
        (None, Some(Value::Duration(nanos))) => Ok(Value::Duration(*nanos)),
        _ => Err(not("a string or duration", of)),
    }
}

fn timestamp(of: &View<'_>) -> Result<Value, Failure> {
    match (of.text(), of.value()) {
        (Some(text), _) => parse_timestamp(text)
            .map(Value::Timestamp)
            .ok_or_else(|| unreadable("a timestamp; write one like 2026-01-31T12:00:00Z")),
        (None, Some(Value::Timestamp(nanos))) => Ok(Value::Timestamp(*nanos)),
        (None, Some(Value::Int(seconds))) => {
            seconds.checked_mul(SECOND).map(Value::Timestamp).ok_or_else(ops::overflow)
        }
        _ => Err(not("a string, int or timestamp", of)),
    }
}

/// Of a duration the whole, of a timestamp the part below a minute or a second.
fn part(function: Function, of: &View<'_>) -> Result<Value, Failure> {
    let milliseconds = function == Function::GetMilliseconds;
    match of.value() {
        Some(Value::Duration(nanos)) => Ok(Value::Int(nanos / if milliseconds { 1_000_000 } else { SECOND })),
        Some(Value::Timestamp(nanos)) if milliseconds => Ok(Value::Int(nanos.rem_euclid(SECOND) / 1_000_000)),
        Some(Value::Timestamp(nanos)) => Ok(Value::Int(nanos.div_euclid(SECOND).rem_euclid(60))),
        _ => Err(not("a duration or timestamp", of)),
    }
}

fn extreme(function: Function, first: &View<'_>, rest: &[View<'_>]) -> Result<Value, Failure> {
    let second = rest.first().ok_or_else(missing)?;
    let op = if function == Function::Min { Op::LessOrEqual } else { Op::GreaterOrEqual };
    let winner = if first.ordered(op, second)? { first } else { second };
    Ok(winner.clone().into_value())
}

/// The parts of a text; at most so many, the last then has the rest.
fn split(text: &str, separator: &str, most: Option<i64>) -> Result<Value, Failure> {
    let string = |part: &str| Value::text(part);
    let parts: Vec<Value> = match most {
        Some(0) => Vec::new(),
        Some(most) if most > 0 => {
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            if separator.is_empty() {
                let at = text.char_indices().nth(most - 1).map_or(text.len(), |(at, _)| at);
                let (letters, rest) = text.split_at(at);
                let rest = Some(rest).filter(|rest| !rest.is_empty()).map(string);
                letters.chars().map(|c| string(c.encode_utf8(&mut [0; 4]))).chain(rest).collect()
            } else {
                text.splitn(most, separator).map(string).collect()
            }
        }
        _ if separator.is_empty() => text.chars().map(|c| string(c.encode_utf8(&mut [0; 4]))).collect(),
        _ => text.split(separator).map(string).collect(),
    };
    ops::list(parts)
}

fn join(list: &View<'_>, separator: Option<&View<'_>>) -> Result<Value, Failure> {
    let separator = separator.map_or(Ok(""), text_of)?;
    let built = list.clone().built();
    let Some(Value::List(items)) = built.value() else { return Err(not("a list", list)) };
    let mut out = String::new();
    for (i, item) in items.iter().enumerate() {
        let Value::String(item) = item else {
            let kind = article(item.type_name());
            return Err(Failure::new(format!("join needs a list of strings; one of its elements is {kind}")));
        };
        if i > 0 {
            out.push_str(separator);
        }
        out.push_str(item);
        ops::fits(out.len())?;
    }
    Ok(Value::String(out.into()))
}

fn replace(text: &str, old: &str, new: &str, most: Option<i64>) -> Result<Value, Failure> {
    let most = most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    let times = text.matches(old).count().min(most);
    ops::fits(text.len().saturating_add(times.saturating_mul(new.len())))?;
    ops::text(text.replacen(old, new, most))
}

/// Byte offset of a character.
fn offset(text: &str, character: i64) -> Result<usize, Failure> {
    let wanted = usize::try_from(character).ok();
    wanted
        .and_then(|wanted| text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(wanted))
        .ok_or_else(|| Failure::new("the position is out of the string's range"))
}

fn substring(text: &str, from: Option<i64>, to: Option<i64>) -> Result<Value, Failure> {
    let from = offset(text, from.unwrap_or(0))?;
    let to = to.map_or(Ok(text.len()), |to| offset(text, to))?;
    match text.get(from..to) {
        Some(part) => Ok(Value::text(part)),
        None => Err(Failure::new("substring(from, to): from is over to")),
    }
}

/// Where a part begins, in characters; -1 if nowhere.
fn index_of(text: &str, part: &str, from: Option<i64>) -> Result<Value, Failure> {
    let from = offset(text, from.unwrap_or(0))?;
    let found = text[from..].find(part).map(|at| text[..from + at].chars().count());
    Ok(Value::Int(found.map_or(-1, |at| i64::try_from(at).unwrap_or(i64::MAX))))
}

/// Base64 with padding (RFC 4648 §4).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            out.push(if place > group.len() { '=' } else { char::from(letter) });
        }
    }
    out
}

/// Everything but unreserved characters (RFC 3986 §2.3) percent-encoded.
fn url_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
