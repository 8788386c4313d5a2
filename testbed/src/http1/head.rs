//! The head of an HTTP/1.1 request, parsed in place. Used by `http1.rs`.

use std::mem::MaybeUninit;
use std::ops::Range;

use http::{Method, StatusCode};

/// The largest head, in bytes.
const MAX_HEAD: usize = 64 << 10;

/// The most header lines.
const MAX_HEADERS: usize = 128;

/// What serving needs to know of a head; the bytes stay in the buffer it was parsed from.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) method: Method,
    /// Its length in bytes, with the empty line.
    pub(super) len: usize,
    pub(super) body: BodyLength,
    pub(super) keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub(super) expects_continue: bool,
    target: Range<usize>,
}

/// How a request's body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyLength {
    Known(u64),
    Chunked,
}

impl Head {
    /// The request target in the buffer that the head was parsed from.
    pub(super) fn target<'a>(&self, input: &'a [u8]) -> &'a str {
        input.get(self.target.clone()).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or("/")
    }
}

/// Parses the head at the beginning of the buffer: nothing if it is not complete, the status of the refusal if
/// it is wrong.
pub(super) fn parse(input: &[u8]) -> Result<Option<Head>, StatusCode> {
    let mut space = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut []);
    let len = match request.parse_with_uninit_headers(input, &mut space) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) if input.len() < MAX_HEAD => return Ok(None),
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        }
        Err(httparse::Error::Version) => return Err(StatusCode::HTTP_VERSION_NOT_SUPPORTED),
        Err(_) => return Err(StatusCode::BAD_REQUEST),
    };
    let (Some(method), Some(path)) = (request.method, request.path) else {
        return Err(StatusCode::BAD_REQUEST);
    };
    let start = path.as_ptr().addr() - input.as_ptr().addr();
    let mut head = Head {
        method: Method::from_bytes(method.as_bytes()).map_err(|_| StatusCode::BAD_REQUEST)?,
        len,
        body: BodyLength::Known(0),
        keep_alive: request.version == Some(1),
        expects_continue: false,
        target: start..start + path.len(),
    };
    let mut lengths = None;
    for header in request.headers.iter() {
        read_header(&mut head, &mut lengths, header)?;
    }
    // A chunked body wins over a length (RFC 9112, 6.3).
    if let (BodyLength::Known(_), Some(length)) = (head.body, lengths) {
        head.body = BodyLength::Known(length);
    }
    Ok(Some(head))
}

fn read_header(
    head: &mut Head,
    lengths: &mut Option<u64>,
    header: &httparse::Header<'_>,
) -> Result<(), StatusCode> {
    let has = |token: &str| list(header.value).any(|item| item.eq_ignore_ascii_case(token.as_bytes()));
    // The length tells the few names that matter apart from most others.
    match header.name.len() {
        6 if header.name.eq_ignore_ascii_case("expect") => head.expects_continue = has("100-continue"),
        10 if header.name.eq_ignore_ascii_case("connection") => {
            if has("close") {
                head.keep_alive = false;
            } else if has("keep-alive") {
                head.keep_alive = true;
            }
        }
        14 if header.name.eq_ignore_ascii_case("content-length") => {
            let text = std::str::from_utf8(header.value).map_err(|_| StatusCode::BAD_REQUEST)?;
            if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(StatusCode::BAD_REQUEST);
            }
            let length = text.parse().map_err(|_| StatusCode::BAD_REQUEST)?;
            if lengths.is_some_and(|other| other != length) {
                return Err(StatusCode::BAD_REQUEST);
            }
            *lengths = Some(length);
        }
        17 if header.name.eq_ignore_ascii_case("transfer-encoding") => {
            if !has("chunked") {
                return Err(StatusCode::NOT_IMPLEMENTED);
            }
            head.body = BodyLength::Chunked;
        }
        _ => {}
    }
    Ok(())
}

/// The items of a header value that is a list.
fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// The header lines of a complete head, in their order.
pub(super) fn headers(head: &[u8]) -> Vec<(String, String)> {
    let mut space = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut []);
    // The head was parsed before, so this finds the same headers again.
    let _ = request.parse_with_uninit_headers(head, &mut space);
    let text = |header: &httparse::Header<'_>| {
        (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned())
    };
    request.headers.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(text: &str) -> Head {
        parse(text.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn a_head_is_read_where_it_ends() {
        let text = "\r\nPOST /a?b=c HTTP/1.1\r\nhost: x\r\nContent-Length: 5\r\n\r\nhello";
        let head = complete(text);
        assert_eq!((head.len, head.target(text.as_bytes())), (text.len() - 5, "/a?b=c"));
        assert_eq!((head.method.as_str(), head.body, head.keep_alive), ("POST", BodyLength::Known(5), true));
        for end in 0..head.len {
            assert!(parse(&text.as_bytes()[..end]).unwrap().is_none(), "{end}");
        }
        assert_eq!(headers(&text.as_bytes()[..head.len])[1], ("content-length".into(), "5".into()));
    }

    #[test]
    fn connections_are_kept_as_the_version_and_the_header_say() {
        let keep = |version: &str, header: &str| {
            complete(&format!("GET / HTTP/{version}\r\n{header}\r\n")).keep_alive
        };
        assert!(keep("1.1", "") && !keep("1.0", ""));
        assert!(!keep("1.1", "connection: upgrade, Close\r\n") && keep("1.0", "Connection: Keep-Alive\r\n"));
    }

    #[test]
    fn wrong_heads_are_refused_with_a_status() {
        let status = |text: &str| parse(text.as_bytes()).err().map(|status| status.as_u16());
        let with = |header: &str| status(&format!("GET / HTTP/1.1\r\n{header}\r\n\r\n"));
        assert_eq!(status("nonsense\x00"), Some(400));
        assert_eq!(status("GET / HTTP/3.0\r\n\r\n"), Some(505));
        assert_eq!(with("content-length: -1"), Some(400));
        assert_eq!(with("content-length: +1"), Some(400));
        assert_eq!(with("content-length: 1\r\ncontent-length: 2"), Some(400));
        assert_eq!(with("transfer-encoding: gzip"), Some(501));
        assert_eq!(with(&"a: b\r\n".repeat(200)), Some(431));
        assert_eq!(status(&format!("GET /{} HTTP/1.1\r\n", "x".repeat(MAX_HEAD))), Some(431));
        assert_eq!(
            complete("GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n").body,
            BodyLength::Chunked
        );
    }
}
