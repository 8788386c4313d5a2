//! A response as the laws describe it, before HTTP/1.1 (`http1/write.rs`) or HTTP/2 (`http2.rs`) gives it a form.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::feed::Feed;
use crate::request::Incoming;

/// The largest body of filler, in bytes.
pub(crate) const MAX_FILLER: usize = 16 << 20;

/// One response.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: Arc<[(HeaderName, HeaderValue)]>,
    pub(crate) body: Bytes,
    /// Whether the body is sent without its length.
    pub(crate) chunked: bool,
    /// Into how many pieces the body is cut, at least one.
    pub(crate) pieces: usize,
    /// The time between two pieces.
    pub(crate) gap: Duration,
    /// A body that comes event by event, in place of `body`; it goes with `chunked`.
    pub(crate) feed: Option<Box<Feed>>,
}

impl Reply {
    /// A response with a body sent at once.
    pub(crate) fn new(status: StatusCode, content_type: &'static str, body: Bytes) -> Self {
        let headers = [(CONTENT_TYPE, HeaderValue::from_static(content_type))];
        let (chunked, pieces, gap, feed) = (false, 1, Duration::ZERO, None);
        Reply { status, headers: headers.into(), body, chunked, pieces, gap, feed }
    }

    /// A response without a body and with headers that are known to be good.
    pub(crate) fn with_constants<const N: usize>(
        status: StatusCode,
        headers: [(&'static str, &'static str); N],
    ) -> Self {
        let headers = headers
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .into();
        Reply { headers, ..Reply::new(status, "text/plain", Bytes::new()) }
    }

    /// The same with headers that are numbers.
    pub(crate) fn with_numbers(mut self, numbers: &[(&'static str, u64)]) -> Self {
        let more =
            numbers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from(*value)));
        self.headers = self.headers.iter().cloned().chain(more).collect();
        self
    }

    /// A JSON document.
    pub(crate) fn json(status: StatusCode, document: &Value) -> Self {
        Reply::new(status, "application/json", Bytes::from(document.to_string()))
    }

    /// The same with a header set. The error says which name or value is not one.
    pub(crate) fn with_header(mut self, name: &str, value: &str) -> Result<Self, String> {
        let key = HeaderName::try_from(name).map_err(|_| format!("{name:?} is not a header name"))?;
        let value = HeaderValue::try_from(value).map_err(|_| format!("{value:?} is not a header value"))?;
        let others = self.headers.iter().filter(|(known, _)| *known != key).cloned();
        self.headers = others.chain([(key.clone(), value)]).collect();
        Ok(self)
    }

    /// The first value of a header.
    #[cfg(test)]
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let found = self.headers.iter().find(|(known, _)| known == name)?;
        found.1.to_str().ok().map(str::to_owned)
    }

    /// Whether a response with this status has a body at all (RFC 9110, 6.4.1).
    pub(crate) fn may_have_body(&self) -> bool {
        let without = [StatusCode::SWITCHING_PROTOCOLS, StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED];
        !without.contains(&self.status)
    }

    /// The pieces of the body, cut as equal as can be; none is empty unless the body is.
    pub(crate) fn cut(&self) -> impl Iterator<Item = Bytes> + '_ {
        let pieces = self.pieces.clamp(1, self.body.len().max(1));
        let bound = move |i: usize| i * self.body.len() / pieces;
        (0..pieces).map(move |i| self.body.slice(bound(i)..bound(i + 1)))
    }
}

/// A request told back: what was understood of it, as JSON.
pub(crate) fn echo(request: &Incoming<'_>) -> Reply {
    let mut named: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in (request.headers)() {
        // Lines of one name are one list (RFC 9110, 5.3).
        named.entry(name).and_modify(|known| *known = format!("{known}, {value}")).or_insert(value);
    }
    let document = json!({
        "method": request.method.as_str(),
        "path": request.path,
        "query": request.query,
        "protocol": request.protocol,
        "headers": named,
        "body": String::from_utf8_lossy(request.body),
        "bodyBytes": request.body.len(),
    });
    Reply::json(StatusCode::OK, &document)
}

/// A final status from its number.
pub(crate) fn status(code: u16) -> Result<StatusCode, String> {
    match StatusCode::from_u16(code) {
        Ok(status) if (200..600).contains(&code) => Ok(status),
        _ => Err(format!("{code} is not a final status; use 200 to 599")),
    }
}

/// So many bytes of printable filler, all from one block that the process shares.
pub(crate) fn filler(count: usize) -> Result<Bytes, String> {
    const SMALL: usize = 64 << 10;
    static FIRST: OnceLock<Bytes> = OnceLock::new();
    static WHOLE: OnceLock<Bytes> = OnceLock::new();
    if count > MAX_FILLER {
        return Err(format!("{count} bytes are too many; {MAX_FILLER} is the most"));
    }
    let (block, size) = if count <= SMALL { (&FIRST, SMALL) } else { (&WHOLE, MAX_FILLER) };
    Ok(block.get_or_init(|| pattern(size)).slice(..count))
}

/// Lines of 64 bytes: the alphabet in both cases, digits, a dash and a line end.
fn pattern(size: usize) -> Bytes {
    const LINE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-\n";
    Bytes::from(LINE.repeat(size.div_ceil(LINE.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_add_up_to_the_body() {
        let whole = Reply::new(StatusCode::OK, "text/plain", filler(1000).unwrap());
        for pieces in [1, 3, 7, 1000, 5000] {
            let reply = Reply { pieces, ..whole.clone() };
            let cut: Vec<Bytes> = reply.cut().collect();
            assert_eq!(cut.concat(), whole.body);
            assert_eq!(cut.len(), pieces.min(1000));
        }
        let empty = Reply { body: Bytes::new(), pieces: 4, ..whole };
        assert_eq!(empty.cut().count(), 1);
    }

    #[test]
    fn filler_is_as_long_as_asked() {
        for count in [0, 1, 65_536, 65_537, MAX_FILLER] {
            assert_eq!(filler(count).unwrap().len(), count);
        }
        assert!(filler(MAX_FILLER + 1).is_err());
    }
}
