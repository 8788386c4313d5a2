//! A request ready to be sent: [`CompiledHttp`] renders it as HTTP/1.1 bytes in one pass. Its form in parts, for HTTP/2 and
//! redirects, is in `parts.rs`.

use std::fmt;

use crate::after::Placed;
use crate::build::live;
use crate::compiled::Needs;
use crate::encode;
use crate::error::RenderError;
use crate::model::{HttpStep, StatusRange};
use crate::parts::PartRows;
use crate::slot::Row;
use crate::{Env, Parts};

/// One HTTP request with the constants of the run put in. Holds secrets; its `Debug` form does not show them.
#[derive(Clone)]
pub struct CompiledHttp {
    /// Index into the plan's request names.
    pub request: u16,
    /// Number of this request among all of the [`crate::Bound`], from 0 without gaps, for tables beside it.
    pub ordinal: usize,
    /// Where the step stands in the manifest, for messages.
    pub at: String,
    /// The method, as sent.
    pub method: String,
    /// Expected statuses.
    pub expect: Expect,
    /// Nanoseconds for the whole exchange, connect included.
    pub timeout: u64,
    /// Redirects followed.
    pub redirects: u16,
    /// Whether it has an `upgrade` header: 101 is then its response, and the connection is of no further use.
    pub upgrades: bool,
    /// What must hold of the response, and its text.
    that: Option<(Placed, Box<str>)>,
    /// HTTP/1.1 bytes; with a body that varies, only up to the value of `content-length`.
    head: Row,
    tail: Option<Tail>,
    parts: PartRows,
}

/// A body whose length is known only when it is made.
#[derive(Clone)]
struct Tail {
    body: Row,
    /// Digits kept free for the length; the body is moved if that was wrong.
    digits: usize,
}

impl CompiledHttp {
    pub(crate) fn new(
        step: &HttpStep,
        ordinal: usize,
        expect: Expect,
        that: Option<(Placed, Box<str>)>,
        parts: PartRows,
    ) -> Self {
        let (head, tail) = http1(&step.method, &parts);
        Self {
            request: step.request,
            ordinal,
            at: step.at.clone(),
            method: step.method.clone(),
            expect,
            timeout: step.timeout,
            redirects: step.redirects,
            upgrades: parts.headers.iter().any(|(name, _)| name == "upgrade"),
            that,
            head,
            tail,
            parts,
        }
    }

    /// Whether the content of a complete response is as expected; says why not. Its status is judged by [`Self::expect`].
    ///
    /// # Errors
    /// `expect.that` is not true, or cannot be computed.
    #[inline]
    pub fn that(&self, env: &mut Env<'_>) -> Result<(), String> {
        match &self.that {
            None => Ok(()),
            Some((expr, text)) => match expr.holds(env) {
                Ok(true) => Ok(()),
                Ok(false) => Err(format!("expect.that is not true: {text}")),
                Err(why) => Err(why),
            },
        }
    }

    /// Whether there is an `expect.that`: the response must then be kept to be judged.
    #[inline]
    #[must_use]
    pub fn has_that(&self) -> bool {
        self.that.is_some()
    }

    /// What [`Self::that`] needs of a response.
    #[must_use]
    pub fn needs(&self) -> Needs {
        let needs = self.that.as_ref().map_or_else(Needs::default, |(expr, _)| live::placed(expr));
        Needs { response: self.that.is_some(), ..needs }
    }

    /// The HTTP/1.1 bytes, if nothing in the request varies: they can be sent as they are.
    #[inline]
    #[must_use]
    pub fn as_static(&self) -> Option<&[u8]> {
        if self.tail.is_some() { None } else { self.head.as_static() }
    }

    /// Appends the HTTP/1.1 bytes of the request, head and body.
    ///
    /// # Errors
    /// An expression failed or gave a header value that may not be sent; `out` then ends with an incomplete request.
    #[inline]
    pub fn render_h1(&self, out: &mut Vec<u8>, env: &mut Env<'_>) -> Result<(), RenderError> {
        self.head.render(out, env)?;
        match &self.tail {
            None => Ok(()),
            Some(tail) => tail.render(out, env),
        }
    }

    /// The request in parts, for HTTP/2 and redirects. With the generator as it was before [`Self::render_h1`], and the same
    /// memory and time, this is the very request that was rendered.
    ///
    /// # Errors
    /// As [`Self::render_h1`].
    pub fn parts(&self, env: &mut Env<'_>) -> Result<Parts<'_>, RenderError> {
        self.parts.render(&self.method, env)
    }

    /// Without the headers named, in any case.
    pub(crate) fn without(mut self, names: &[&str]) -> Self {
        self.parts.headers.retain(|(name, _)| !names.contains(&name.as_str()));
        (self.head, self.tail) = http1(&self.method, &self.parts);
        self
    }

    /// Names of its headers, in lower case.
    pub(crate) fn header_names(&self) -> impl Iterator<Item = &str> {
        self.parts.headers.iter().map(|(name, _)| name.as_str())
    }

    /// Whether the response has no body whatever its headers say.
    #[must_use]
    pub fn is_head(&self) -> bool {
        self.method == "HEAD"
    }
}

impl fmt::Debug for CompiledHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompiledHttp")
            .field("request", &self.request)
            .field("at", &self.at)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

impl Tail {
    fn render(&self, out: &mut Vec<u8>, env: &mut Env<'_>) -> Result<(), RenderError> {
        let length_at = out.len();
        out.resize(length_at + self.digits, b'0');
        out.extend_from_slice(b"\r\n\r\n");
        let body_at = out.len();
        self.body.render(out, env)?;
        let mut buffer = [0; 20];
        let digits = encode::decimal((out.len() - body_at) as u64, &mut buffer);
        if digits.len() == self.digits {
            out[length_at..body_at - 4].copy_from_slice(digits);
        } else {
            out.splice(length_at..body_at - 4, digits.iter().copied());
        }
        Ok(())
    }
}

/// Lays the parts out as an HTTP/1.1 message.
fn http1(method: &str, parts: &PartRows) -> (Row, Option<Tail>) {
    let mut row = Row::default();
    row.literal(method.as_bytes());
    row.literal(b" ");
    row.append(&parts.target);
    row.literal(b" HTTP/1.1\r\nhost: ");
    row.append(&parts.authority);
    for (name, value) in &parts.headers {
        row.literal(format!("\r\n{name}: ").as_bytes());
        row.append(value);
    }
    let Some(body) = parts.body.as_static() else {
        row.literal(b"\r\ncontent-length: ");
        let digits = parts.body.expected_len().max(1).to_string().len();
        return (row, Some(Tail { body: parts.body.clone(), digits }));
    };
    if needs_length(method, body) {
        row.literal(format!("\r\ncontent-length: {}", body.len()).as_bytes());
    }
    row.literal(b"\r\n\r\n");
    row.literal(body);
    (row, None)
}

/// Whether a message says how long its body is: with a body, and where a method expects one (RFC 9110 §8.6).
pub(crate) fn needs_length(method: &str, body: &[u8]) -> bool {
    !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH")
}

/// A set of statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expect([u64; 16]);

impl Expect {
    /// The statuses in any of these ranges; what is over 999 is left out.
    #[must_use]
    pub fn new(ranges: &[StatusRange]) -> Self {
        let mut bits = [0; 16];
        for status in ranges.iter().flat_map(|(from, to)| *from..=(*to).min(999)) {
            bits[usize::from(status / 64)] |= 1 << (status % 64);
        }
        Self(bits)
    }

    /// Whether a status is expected.
    #[inline]
    #[must_use]
    pub fn contains(&self, status: u16) -> bool {
        self.0.get(usize::from(status / 64)).is_some_and(|word| word >> (status % 64) & 1 == 1)
    }
}
