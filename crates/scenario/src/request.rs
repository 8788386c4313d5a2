//! A request ready to be sent: [`CompiledHttp`] renders it as HTTP/1.1 bytes in one pass. Its form in parts, for HTTP/2 and
//! redirects, is in `parts.rs`.

use std::fmt;

use crate::compile::HttpProgram;
use crate::encode;
use crate::error::{BindError, RenderError};
use crate::model::{StatusRange, Vars};
use crate::parts::PartRows;
use crate::rng::Rng;
use crate::slot::Row;
use crate::{Origin, Parts};

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
    pub(crate) fn bind(
        program: &HttpProgram,
        vars: &Vars,
        origin: &Origin,
        ordinal: usize,
    ) -> Result<Self, BindError> {
        let parts = PartRows::bind(program, vars, origin)?;
        let (head, tail) = http1(&program.method, &parts);
        Ok(Self {
            request: program.request,
            ordinal,
            at: program.at.clone(),
            method: program.method.clone(),
            expect: Expect::new(&program.expect),
            timeout: program.timeout,
            redirects: program.redirects,
            head,
            tail,
            parts,
        })
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
    pub fn render_h1(&self, out: &mut Vec<u8>, rng: &mut Rng) -> Result<(), RenderError> {
        self.head.render(out, rng)?;
        match &self.tail {
            None => Ok(()),
            Some(tail) => tail.render(out, rng),
        }
    }

    /// The request in parts, for HTTP/2 and redirects. A clone of the generator taken before [`Self::render_h1`] gives the very
    /// request that was rendered.
    ///
    /// # Errors
    /// As [`Self::render_h1`].
    pub fn parts(&self, rng: &mut Rng) -> Result<Parts<'_>, RenderError> {
        self.parts.render(&self.method, rng)
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
    fn render(&self, out: &mut Vec<u8>, rng: &mut Rng) -> Result<(), RenderError> {
        let length_at = out.len();
        out.resize(length_at + self.digits, b'0');
        out.extend_from_slice(b"\r\n\r\n");
        let body_at = out.len();
        self.body.render(out, rng)?;
        let length = i64::try_from(out.len() - body_at).unwrap_or(i64::MAX);
        let mut digits = Vec::with_capacity(20);
        encode::int(length, &mut digits);
        if digits.len() == self.digits {
            out[length_at..length_at + digits.len()].copy_from_slice(&digits);
        } else {
            out.splice(length_at..length_at + self.digits, digits);
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
