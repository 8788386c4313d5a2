//! Reads one HTTP/1.1 response out of whatever pieces arrive: head, interim responses, body framing, keep-alive. The head is taken
//! apart by `lines.rs`. Sockets and clocks are in `mod.rs`; the pieces live in one buffer per core, so nothing is allocated unless a
//! head is cut.

use plimsoll_measure::ErrorClass;

use super::chunked::Chunked;
use super::lines::{Line, StatusLine, Stopped, fields, status_line};
use crate::fault::Fault;

/// Longest head, bytes.
const MAX_HEAD: usize = 256 * 1024;

/// What the response said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// The connection may be used again.
    pub(crate) keep_alive: bool,
    /// `Location`, if it was asked for.
    pub(crate) location: Option<Box<str>>,
    /// Names in lower case and values in their order, if they were asked for.
    pub(crate) headers: Headers,
}

/// Header lines of a response.
pub(crate) type Headers = Vec<(String, String)>;

/// What the reader must know of the request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Expecting {
    /// The request was HEAD: no body whatever the header says.
    pub(crate) no_body: bool,
    /// Keep `Location` of a redirect.
    pub(crate) location: bool,
    /// It asks for another protocol: 101 is a response, and there is no HTTP after it.
    pub(crate) upgrade: bool,
    /// Keep all headers.
    pub(crate) headers: bool,
}

/// What a plain head said: all that follows from it is here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said {
    status: u16,
    keep_alive: bool,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Head,
    Length(u64),
    Chunked(Chunked),
    UntilClose,
    Done,
}

/// The state of one response.
#[derive(Debug)]
pub(crate) struct Reader {
    expecting: Expecting,
    phase: Phase,
    /// Beginning of a head that came in several pieces.
    partial: Vec<u8>,
    head: Head,
}

impl Reader {
    pub(crate) fn new(expecting: Expecting) -> Self {
        Self { expecting, phase: Phase::Head, partial: Vec::new(), head: Head::default() }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    /// The head, as soon as it is complete.
    pub(crate) fn head(&self) -> Option<&Head> {
        (self.phase != Phase::Head).then_some(&self.head)
    }

    /// Whether nothing of the head has been read, nor any interim response, and no header is to be kept.
    #[inline]
    pub(super) fn is_fresh(&self) -> bool {
        self.phase == Phase::Head && self.partial.is_empty() && !self.expecting.headers
    }

    /// What the head said, if it is complete and nothing but this is kept of it.
    pub(super) fn said(&self) -> Option<Said> {
        let Head { status, keep_alive, ref location, ref headers } = self.head;
        let plain = self.phase != Phase::Head && location.is_none() && headers.is_empty();
        plain.then_some(Said { status, keep_alive, phase: self.phase })
    }

    /// Goes on as after a head that said so.
    #[inline]
    pub(super) fn hear(&mut self, said: Said) {
        self.head.status = said.status;
        self.head.keep_alive = said.keep_alive;
        self.phase = said.phase;
    }

    /// The head, once [`Self::is_done`]. Bytes after the response end its connection.
    pub(crate) fn into_head(self) -> Head {
        self.head
    }

    /// Takes a piece, hands on what of it is body, with the status, and returns how much it took; what is left of it after the end
    /// of the response is a breach that only costs the connection.
    #[inline]
    pub(crate) fn feed(
        &mut self,
        piece: &[u8],
        body: &mut impl FnMut(u16, &[u8]) -> Result<(), Fault>,
    ) -> Result<usize, Fault> {
        let mut input = piece;
        while self.phase == Phase::Head && !input.is_empty() {
            let taken = self.take_head(input)?;
            input = &input[taken..];
        }
        let status = self.head.status;
        match &mut self.phase {
            Phase::Length(left) => {
                let take = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
                body(status, &input[..take])?;
                *left -= take as u64;
                input = &input[take..];
                if *left == 0 {
                    self.phase = Phase::Done;
                }
            }
            Phase::Chunked(state) => {
                let taken = state.feed(input, &mut |piece| body(status, piece))?;
                input = &input[taken..];
                if *state == Chunked::Done {
                    self.phase = Phase::Done;
                }
            }
            Phase::UntilClose => {
                body(status, input)?;
                input = &[];
            }
            Phase::Head | Phase::Done => {}
        }
        if !input.is_empty() {
            self.head.keep_alive = false;
        }
        Ok(piece.len() - input.len())
    }

    /// The peer closed its side in an orderly way.
    pub(crate) fn eof(&mut self) -> Result<(), Fault> {
        match self.phase {
            Phase::UntilClose | Phase::Done => {
                self.phase = Phase::Done;
                Ok(())
            }
            Phase::Head => {
                Err(Fault::new(ErrorClass::Reset, "the connection was closed before there was a response"))
            }
            Phase::Length(_) | Phase::Chunked(_) => {
                Err(Fault::new(ErrorClass::Body, "the connection was closed before the end of the body"))
            }
        }
    }

    /// Returns how many bytes of `input` it used; the phase changes when a final head is complete.
    pub(super) fn take_head(&mut self, input: &[u8]) -> Result<usize, Fault> {
        if self.partial.is_empty() {
            if let Some(used) = self.parse(input)? {
                return Ok(used);
            }
            self.partial.extend_from_slice(input);
            return Ok(input.len());
        }
        let before = self.partial.len();
        let mut joined = std::mem::take(&mut self.partial);
        joined.extend_from_slice(input);
        if let Some(used) = self.parse(&joined)? {
            return Ok(used - before);
        }
        if joined.len() > MAX_HEAD {
            return Err(breach("the head of the response is longer than 256 KiB"));
        }
        self.partial = joined;
        Ok(input.len())
    }

    /// Parses a head from the beginning; `None` if it is not complete.
    fn parse(&mut self, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        let Some((StatusLine { is_1_1, status }, start)) = complete(status_line(bytes))? else {
            return Ok(None);
        };
        let (mut framing, mut headers) = (Framing::default(), Headers::new());
        let fields = fields(&bytes[start..], |line| {
            framing.learn(line);
            if self.expecting.headers {
                headers.push(kept(line));
            }
        });
        let Some(used) = complete(fields)?.map(|used| start + used) else { return Ok(None) };
        let upgraded = status == 101 && self.expecting.upgrade;
        if status < 200 && !upgraded {
            // Interim responses are passed over.
            return match status {
                101 => Err(breach("status 101 without an upgrade header in the request")),
                100.. => Ok(Some(used)),
                _ => Err(breach("a status below 100")),
            };
        }
        if let Some(cause) = framing.breach {
            return Err(breach(cause));
        }
        let no_body = self.expecting.no_body || matches!(status, 101 | 204 | 304);
        self.phase = match framing {
            _ if no_body => Phase::Done,
            Framing { chunked: true, .. } => Phase::Chunked(Chunked::START),
            Framing { unframed: true, .. } | Framing { length: None, .. } => Phase::UntilClose,
            Framing { length: Some(0), .. } => Phase::Done,
            Framing { length: Some(length), .. } => Phase::Length(length),
        };
        // In HTTP/1.0 a transfer coding may have been passed on by who does not know any: where the body ends is not certain.
        let wished = !framing.close && (is_1_1 || (framing.keep_alive && !framing.is_coded()));
        // Field by field: what is empty need not be dropped.
        self.head.status = status;
        self.head.keep_alive = wished && self.phase != Phase::UntilClose && !upgraded;
        if self.expecting.location && (300..400).contains(&status) {
            self.head.location = framing.location();
        }
        if self.expecting.headers {
            self.head.headers = headers;
        }
        Ok(Some(used))
    }
}

/// What was found, or nothing if it is not there to its end.
#[inline]
fn complete<T>(found: Result<T, Stopped>) -> Result<Option<T>, Fault> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Stopped::Incomplete) => Ok(None),
        Err(Stopped::Malformed(why)) => {
            Err(Fault::told(ErrorClass::Protocol, format_args!("not an HTTP/1.1 response: {why}")))
        }
    }
}

fn kept(line: Line<'_>) -> (String, String) {
    let name = String::from_utf8_lossy(line.name).to_ascii_lowercase();
    (name, String::from_utf8_lossy(line.value).into_owned())
}

const fn breach(cause: &'static str) -> Fault {
    Fault::new(ErrorClass::Protocol, cause)
}

/// What the header says about the body and the connection.
#[derive(Debug, Default)]
struct Framing<'b> {
    length: Option<u64>,
    chunked: bool,
    /// A transfer coding whose end is not known.
    unframed: bool,
    close: bool,
    keep_alive: bool,
    location: Option<&'b [u8]>,
    /// It contradicts itself.
    breach: Option<&'static str>,
}

impl<'b> Framing<'b> {
    #[inline]
    fn learn(&mut self, line: Line<'b>) {
        // The length tells most names apart before any letter is compared.
        match line.name.len() {
            14 if line.is(b"content-length") => match (decimal(line.value), self.length) {
                (None, _) => self.breach = Some("the content-length of the response is no number"),
                (length, Some(earlier)) if length != Some(earlier) => {
                    self.breach = Some("the response has two content-lengths");
                }
                (length, _) => self.length = length,
            },
            17 if line.is(b"transfer-encoding") => {
                let last = tokens(line.value).last().unwrap_or(b"");
                self.chunked = last.eq_ignore_ascii_case(b"chunked");
                self.unframed = !self.chunked;
            }
            10 if line.value == b"keep-alive" && line.is(b"connection") => self.keep_alive = true,
            10 if line.is(b"connection") => {
                for token in tokens(line.value) {
                    self.close |= token.eq_ignore_ascii_case(b"close");
                    self.keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            8 if line.is(b"location") => self.location = Some(line.value),
            _ => {}
        }
    }

    /// There is a transfer coding.
    fn is_coded(&self) -> bool {
        self.chunked || self.unframed
    }

    fn location(&self) -> Option<Box<str>> {
        std::str::from_utf8(self.location?).ok().map(Box::from)
    }
}

fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// Digits only: `+1` and the empty text are breaches. A repeated equal value (`5, 5`) is one, too.
fn decimal(value: &[u8]) -> Option<u64> {
    let value = value.trim_ascii();
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Expecting = Expecting { no_body: false, location: true, upgrade: false, headers: false };

    fn drain(_: u16, _: &[u8]) -> Result<(), Fault> {
        Ok(())
    }

    fn read(expecting: Expecting, input: &[u8]) -> Result<(Head, bool), Fault> {
        let mut reader = Reader::new(expecting);
        reader.feed(input, &mut drain)?;
        let done = reader.is_done();
        Ok((reader.into_head(), done))
    }

    fn head(status: u16, keep_alive: bool) -> Head {
        Head { status, keep_alive, ..Head::default() }
    }

    #[test]
    fn bodies_end_where_their_framing_says() {
        let done = |text: &str| read(PLAIN, text.as_bytes());
        assert_eq!(done("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"), Ok((head(200, true), true)));
        assert_eq!(done("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"), Ok((head(200, true), false)));
        assert_eq!(
            done("HTTP/1.1 200 OK\r\ncontent-length: 9\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n0\r\n\r\n"),
            Ok((head(200, true), true))
        );
        assert_eq!(done("HTTP/1.1 204 No Content\r\n\r\n"), Ok((head(204, true), true)));
        assert_eq!(
            done("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"),
            Ok((head(304, true), true))
        );
        assert_eq!(done("HTTP/1.1 200\r\n\r\nuntil close"), Ok((head(200, false), false)));
        let ask_head = Expecting { no_body: true, ..Expecting::default() };
        assert_eq!(
            read(ask_head, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
            Ok((head(200, true), true))
        );
    }

    #[test]
    fn keep_alive_follows_version_and_connection() {
        let keep = |text: &str| read(PLAIN, text.as_bytes()).map(|(head, _)| head.keep_alive);
        assert_eq!(
            keep("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Upgrade, Close\r\n\r\n"),
            Ok(false)
        );
        assert_eq!(keep("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"), Ok(false));
        assert_eq!(keep("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"), Ok(true));
        // Close prevails, in one line and in several, and so does doubt about the end of the body.
        for old in [
            "Content-Length: 0\r\nConnection: keep-alive, close\r\n\r\n",
            "Content-Length: 0\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n",
            "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ] {
            assert_eq!(keep(&format!("HTTP/1.0 200 OK\r\n{old}")), Ok(false), "{old:?}");
        }
        // Bytes that nobody asked for: the next response could not be told from them.
        assert_eq!(keep("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), Ok(false));
    }

    #[test]
    fn interim_responses_are_passed_over() {
        let input = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(read(PLAIN, input), Ok((head(201, true), true)));
        for cut in 1..input.len() {
            let mut reader = Reader::new(PLAIN);
            reader.feed(&input[..cut], &mut drain).unwrap();
            assert!(!reader.is_done());
            reader.feed(&input[cut..], &mut drain).unwrap();
            assert!(reader.is_done(), "cut at {cut}");
            assert_eq!(reader.into_head(), head(201, true));
        }
    }

    #[test]
    fn location_is_kept_only_of_redirects_and_only_if_wanted() {
        let input = b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(read(PLAIN, input).unwrap().0.location.as_deref(), Some("/next"));
        assert_eq!(read(Expecting::default(), input).unwrap().0.location, None);
        let created = b"HTTP/1.1 201 Created\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(read(PLAIN, created).unwrap().0.location, None);
    }

    #[test]
    fn breaches_have_their_classes() {
        let class = |text: &str| read(PLAIN, text.as_bytes()).unwrap_err().class;
        assert_eq!(class("SSH-2.0-OpenSSH\r\n"), ErrorClass::Protocol);
        assert_eq!(
            class("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
            ErrorClass::Protocol
        );
        assert_eq!(class("HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n"), ErrorClass::Protocol);
        assert_eq!(class("HTTP/1.1 101 Switching Protocols\r\n\r\n"), ErrorClass::Protocol);
        assert_eq!(class("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), ErrorClass::Body);
        let long = "HTTP/1.1 200 OK\r\nX: ".to_owned() + &"y".repeat(MAX_HEAD);
        let mut reader = Reader::new(PLAIN);
        reader.feed(&long.as_bytes()[..10], &mut drain).unwrap();
        assert_eq!(reader.feed(&long.as_bytes()[10..], &mut drain).unwrap_err().class, ErrorClass::Protocol);
    }

    #[test]
    fn an_early_end_of_the_stream_is_told_apart() {
        let end = |text: &str| {
            let mut reader = Reader::new(PLAIN);
            reader.feed(text.as_bytes(), &mut drain).unwrap();
            reader.eof().map_err(|fault| fault.class)
        };
        assert_eq!(end(""), Err(ErrorClass::Reset));
        assert_eq!(end("HTTP/1.1 200 OK\r\nContent-"), Err(ErrorClass::Reset));
        assert_eq!(end("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"), Err(ErrorClass::Body));
        assert_eq!(
            end("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
            Err(ErrorClass::Body)
        );
        assert_eq!(end("HTTP/1.1 200 OK\r\n\r\nab"), Ok(()));
    }

    #[test]
    fn a_body_is_handed_on_with_its_status_whatever_its_framing() {
        for (input, end) in [
            ("HTTP/1.1 500 No\r\nContent-Length: 5\r\n\r\nhello", false),
            ("HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", false),
            ("HTTP/1.1 500 No\r\n\r\nhello", true),
        ] {
            for cut in 0..input.len() {
                let mut body = Vec::new();
                let mut sink = |status: u16, piece: &[u8]| {
                    assert_eq!(status, 500);
                    body.extend_from_slice(piece);
                    Ok(())
                };
                let mut reader = Reader::new(PLAIN);
                reader.feed(&input.as_bytes()[..cut], &mut sink).unwrap();
                reader.feed(&input.as_bytes()[cut..], &mut sink).unwrap();
                if end {
                    reader.eof().unwrap();
                }
                assert!(reader.is_done() && body == b"hello", "{input:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn an_upgrade_that_was_asked_for_is_a_response() {
        let expecting = Expecting { upgrade: true, headers: true, ..Expecting::default() };
        let input = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nSec-Y: 1\r\n\r\n\x81\x01";
        let (head, done) = read(expecting, input).unwrap();
        assert!(done && head.status == 101 && !head.keep_alive);
        let headers: Vec<(&str, &str)> = head.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(headers, [("upgrade", "x"), ("sec-y", "1")]);
        let refused = read(expecting, b"HTTP/1.1 426 No\r\nContent-Length: 0\r\n\r\n").unwrap();
        assert!(refused.1 && refused.0.status == 426 && refused.0.keep_alive);
    }
}
