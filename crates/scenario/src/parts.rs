//! A request in parts: what HTTP/2 sends, and what a redirect changes. `request.rs` has the same request as HTTP/1.1 bytes.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::encode::{self, Encoding};
use crate::error::RenderError;
use crate::request::needs_length;
use crate::slot::Row;
use crate::{Env, Origin};

/// A rendered request. Holds secrets; its `Debug` form does not show them.
#[derive(Clone, PartialEq, Eq)]
pub struct Parts<'a> {
    /// The method.
    pub method: Cow<'a, str>,
    /// `http` or `https`: HTTP/2's `:scheme`.
    pub scheme: Cow<'a, str>,
    /// HTTP/2's `:authority`, HTTP/1.1's `host`.
    pub authority: Cow<'a, [u8]>,
    /// HTTP/2's `:path`: path and query, percent-encoded ASCII.
    pub target: Cow<'a, [u8]>,
    /// Names in lower case; `content-length` included, `host` not. [`Parts::for_h2`] leaves out what HTTP/2 forbids.
    pub headers: Vec<(Cow<'a, str>, Cow<'a, [u8]>)>,
    /// The body.
    pub body: Cow<'a, [u8]>,
}

/// Headers about one HTTP/1.1 connection; HTTP/2 forbids them (RFC 9113 §8.2.2).
const CONNECTION: [&str; 5] = ["connection", "keep-alive", "proxy-connection", "upgrade", "te"];

/// Headers that are not sent to another origin after a redirect.
const CREDENTIALS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// Headers about a body; they go with it.
const CONTENT: [&str; 5] =
    ["content-length", "content-type", "content-encoding", "content-language", "content-location"];

impl Parts<'_> {
    /// Headers that HTTP/2 allows.
    pub fn for_h2(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.headers.iter().map(|(n, v)| (&**n, &**v)).filter(|(name, _)| !CONNECTION.contains(name))
    }

    /// Appends the HTTP/1.1 bytes.
    pub fn write_h1(&self, out: &mut Vec<u8>) {
        for part in [self.method.as_bytes(), b" ", &self.target, b" HTTP/1.1\r\nhost: ", &self.authority] {
            out.extend_from_slice(part);
        }
        for (name, value) in &self.headers {
            for part in [b"\r\n", name.as_bytes(), b": ", value] {
                out.extend_from_slice(part);
            }
        }
        out.extend_from_slice(b"\r\n\r\n");
        out.extend_from_slice(&self.body);
    }

    /// Turns this request, made to `from`, into the one that follows a redirect to `target` at `to`.
    ///
    /// 303, and 301 or 302 after a POST, become a GET without a body (a HEAD stays one); any other status repeats method and body
    /// (RFC 9110 §15.4). Credentials do not go to another origin, and its `host` is its own.
    pub fn redirect(&mut self, status: u16, from: &Origin, to: &Origin, target: &str) {
        let drops_body = match status {
            303 => &*self.method != "HEAD",
            301 | 302 => &*self.method == "POST",
            _ => false,
        };
        if drops_body {
            self.method = Cow::Borrowed("GET");
            self.body = Cow::Borrowed(b"");
            self.headers.retain(|(name, _)| !CONTENT.contains(&&**name));
        }
        if from != to {
            self.headers.retain(|(name, _)| !CREDENTIALS.contains(&&**name));
            self.scheme = Cow::Owned(to.scheme().to_owned());
            self.authority = Cow::Owned(to.authority().as_bytes().to_vec());
        }
        let mut encoded = Vec::with_capacity(target.len() + 1);
        if !target.starts_with('/') {
            encoded.push(b'/');
        }
        // A fragment stays with the client; only headers refuse a text.
        let _ = encode::text(target.split('#').next().unwrap_or(""), Encoding::Target, &mut encoded);
        self.target = Cow::Owned(encoded);
    }
}

impl fmt::Debug for Parts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("method", &self.method)
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}

/// The parts of a request before it is rendered.
#[derive(Clone)]
pub(crate) struct PartRows {
    pub(crate) target: Row,
    pub(crate) authority: Row,
    /// Names in lower case, `host` and `content-length` not among them.
    pub(crate) headers: Vec<(String, Row)>,
    pub(crate) body: Row,
    pub(crate) scheme: Arc<str>,
}

impl PartRows {
    /// Evaluates in the order of an HTTP/1.1 message, so that both forms make the same choices.
    pub(crate) fn render<'a>(&'a self, method: &'a str, env: &mut Env<'_>) -> Result<Parts<'a>, RenderError> {
        let target = part(&self.target, env)?;
        let authority = part(&self.authority, env)?;
        let mut headers = Vec::with_capacity(self.headers.len() + 1);
        for (name, value) in &self.headers {
            headers.push((Cow::Borrowed(name.as_str()), part(value, env)?));
        }
        let body = part(&self.body, env)?;
        if self.body.as_static().is_none() || needs_length(method, &body) {
            headers.push((Cow::Borrowed("content-length"), Cow::Owned(body.len().to_string().into_bytes())));
        }
        let (method, scheme) = (Cow::Borrowed(method), Cow::Borrowed(&*self.scheme));
        Ok(Parts { method, scheme, authority, target, headers, body })
    }
}

fn part<'a>(row: &'a Row, env: &mut Env<'_>) -> Result<Cow<'a, [u8]>, RenderError> {
    if let Some(text) = row.as_static() {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = Vec::new();
    row.render(&mut out, env)?;
    Ok(Cow::Owned(out))
}
