//! What came back from the target, as expressions see it: JSON is read only when one asks for it, whole at most once.

use std::cell::{Cell, OnceCell};
use std::fmt;

use super::json;
use super::value::{Key, Map, Value};
use super::view::Document;

/// A response. Its `Debug` form shows no content.
#[derive(Clone, Default)]
pub struct Response {
    /// The status; 0 without a complete response.
    pub status: u16,
    /// Names in lower case, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// The body, decoded. Not to be changed once an expression has seen it.
    pub body: Vec<u8>,
    /// Nanoseconds of the whole exchange.
    pub latency: u64,
    /// Class of the error, such as `Timeout`; nothing for a success.
    pub error: Option<&'static str>,
    /// What can be read of a body that is not UTF-8.
    lossy: OnceCell<Box<str>>,
    parsed: OnceCell<Option<Value>>,
    /// Whether the text is known to be JSON though it is not parsed.
    known: Cell<bool>,
}

impl Response {
    /// A response that nothing has been read of. Header names must be in lower case.
    #[must_use]
    pub fn new(
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
        latency: u64,
        error: Option<&'static str>,
    ) -> Self {
        Self {
            status,
            headers,
            body,
            latency,
            error,
            lossy: OnceCell::new(),
            parsed: OnceCell::new(),
            known: Cell::new(false),
        }
    }

    /// The body as a text; bytes that are not UTF-8 become U+FFFD.
    #[must_use]
    pub fn text(&self) -> &str {
        match std::str::from_utf8(&self.body) {
            Ok(text) => text,
            Err(_) => self.lossy.get_or_init(|| String::from_utf8_lossy(&self.body).into()),
        }
    }

    /// The value of a header (name in lower case); several are joined with a comma. The second is there only if they are.
    pub(super) fn header(&self, name: &str) -> Option<(&str, Option<String>)> {
        let mut values = self.headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str());
        let first = values.next()?;
        let joined = values.next().map(|second| {
            let rest = [first, second].into_iter().chain(values).collect::<Vec<_>>();
            rest.join(", ")
        });
        Some((first, joined))
    }

    /// All headers as a map.
    pub(super) fn header_map(&self) -> Value {
        let entry = |(name, _): &(String, String)| {
            let (first, joined) = self.header(name)?;
            let value = Value::text(joined.as_deref().unwrap_or(first));
            Some((Key::String(name.as_str().into()), value))
        };
        Value::Map(Map::new(self.headers.iter().filter_map(entry).collect()).into())
    }

    #[inline]
    pub(super) fn document(&self) -> Document<'_> {
        Document { text: std::str::from_utf8(&self.body).ok(), parsed: &self.parsed, known: &self.known }
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("status", &self.status).finish_non_exhaustive()
    }
}

/// A WebSocket message or a server-sent event. Its `Debug` form shows no content.
#[derive(Clone)]
pub struct Message {
    text: String,
    parsed: OnceCell<Option<Value>>,
    /// Whether the text is known to be JSON though it is not parsed.
    known: Cell<bool>,
}

impl Message {
    /// A WebSocket message: `message` is its JSON value, or the text itself if it is not JSON.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self { text, parsed: OnceCell::new(), known: Cell::new(false) }
    }

    /// A server-sent event: `message` is `{event, data, id}`, `data` its JSON value, or the text itself if it is not JSON.
    #[must_use]
    pub fn event(event: &str, data: String, id: &str) -> Self {
        let entry = |key: &str, value: Value| (Key::String(key.into()), value);
        let map = Map::new(vec![
            entry("event", Value::text(event)),
            entry("id", Value::text(id)),
            entry("data", json::parse(&data).unwrap_or_else(|| Value::text(&data))),
        ]);
        Self { text: data, parsed: OnceCell::from(Some(Value::Map(map.into()))), known: Cell::new(false) }
    }

    /// The text as it came; of an event, its data.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    #[inline]
    pub(super) fn document(&self) -> Document<'_> {
        Document { text: Some(&self.text), parsed: &self.parsed, known: &self.known }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("bytes", &self.text.len()).finish_non_exhaustive()
    }
}
