//! Reads one HTTP/1.1 response out of whatever pieces arrive: head, interim responses, body framing, keep-alive.
//! Sockets and clocks are in `mod.rs`; the pieces live in one buffer per core, so nothing is allocated unless a head is cut.

use std::mem::MaybeUninit;

use plimsoll_measure::ErrorClass;

use super::chunked::Chunked;

/// More header lines than any server sends on purpose.
const MAX_HEADERS: usize = 128;
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
}

/// What the reader must know of the request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Expecting {
    /// The request was HEAD: no body whatever the header says.
    pub(crate) no_body: bool,
    /// Keep `Location` of a redirect.
    pub(crate) location: bool,
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

    /// The head, once [`Self::is_done`]. Bytes after the response end its connection.
    pub(crate) fn into_head(self) -> Head {
        self.head
    }

    /// Takes a piece; what is left of it after the end of the response is a breach that only costs the connection.
    pub(crate) fn feed(&mut self, mut input: &[u8]) -> Result<(), ErrorClass> {
        while self.phase == Phase::Head && !input.is_empty() {
            let taken = self.take_head(input)?;
            input = &input[taken..];
        }
        match &mut self.phase {
            Phase::Length(left) => {
                let take = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
                *left -= take as u64;
                input = &input[take..];
                if *left == 0 {
                    self.phase = Phase::Done;
                }
            }
            Phase::Chunked(state) => {
                let taken = state.feed(input).map_err(|_| ErrorClass::Body)?;
                input = &input[taken..];
                if *state == Chunked::Done {
                    self.phase = Phase::Done;
                }
            }
            Phase::UntilClose => input = &[],
            Phase::Head | Phase::Done => {}
        }
        if !input.is_empty() {
            self.head.keep_alive = false;
        }
        Ok(())
    }

    /// The peer closed its side in an orderly way.
    pub(crate) fn eof(&mut self) -> Result<(), ErrorClass> {
        match self.phase {
            Phase::UntilClose | Phase::Done => {
                self.phase = Phase::Done;
                Ok(())
            }
            Phase::Head => Err(ErrorClass::Reset),
            Phase::Length(_) | Phase::Chunked(_) => Err(ErrorClass::Body),
        }
    }

    /// Returns how many bytes of `input` it used; the phase changes when a final head is complete.
    fn take_head(&mut self, input: &[u8]) -> Result<usize, ErrorClass> {
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
            return Err(ErrorClass::Protocol);
        }
        self.partial = joined;
        Ok(input.len())
    }

    /// Parses a head from the beginning; `None` if it is not complete.
    fn parse(&mut self, bytes: &[u8]) -> Result<Option<usize>, ErrorClass> {
        let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut []);
        let parsed = httparse::ParserConfig::default()
            .parse_response_with_uninit_headers(&mut response, bytes, &mut headers)
            .map_err(|_| ErrorClass::Protocol)?;
        let httparse::Status::Complete(used) = parsed else { return Ok(None) };
        let (Some(status), Some(version)) = (response.code, response.version) else {
            return Err(ErrorClass::Protocol);
        };
        if status < 200 {
            // An upgrade was not asked for; other interim responses are passed over.
            return if status < 100 || status == 101 { Err(ErrorClass::Protocol) } else { Ok(Some(used)) };
        }
        let framing = Framing::of(response.headers, self.expecting.location && (300..400).contains(&status))?;
        let no_body = self.expecting.no_body || status == 204 || status == 304;
        self.phase = match framing {
            _ if no_body => Phase::Done,
            Framing { chunked: true, .. } => Phase::Chunked(Chunked::START),
            Framing { unframed: true, .. } | Framing { length: None, .. } => Phase::UntilClose,
            Framing { length: Some(0), .. } => Phase::Done,
            Framing { length: Some(length), .. } => Phase::Length(length),
        };
        let wished = if version == 1 { !framing.close } else { framing.keep_alive };
        self.head = Head {
            status,
            keep_alive: wished && self.phase != Phase::UntilClose,
            location: framing.location,
        };
        Ok(Some(used))
    }
}

/// What the header says about the body and the connection.
#[derive(Debug, Default)]
struct Framing {
    length: Option<u64>,
    chunked: bool,
    /// A transfer coding whose end is not known.
    unframed: bool,
    close: bool,
    keep_alive: bool,
    location: Option<Box<str>>,
}

impl Framing {
    fn of(headers: &[httparse::Header<'_>], location: bool) -> Result<Self, ErrorClass> {
        let mut framing = Self::default();
        for header in headers {
            // The length tells most names apart before any letter is compared.
            match header.name.len() {
                14 if header.name.eq_ignore_ascii_case("content-length") => {
                    let length = decimal(header.value).ok_or(ErrorClass::Protocol)?;
                    if framing.length.is_some_and(|earlier| earlier != length) {
                        return Err(ErrorClass::Protocol);
                    }
                    framing.length = Some(length);
                }
                17 if header.name.eq_ignore_ascii_case("transfer-encoding") => {
                    let last = tokens(header.value).last().unwrap_or(b"");
                    framing.chunked = last.eq_ignore_ascii_case(b"chunked");
                    framing.unframed = !framing.chunked;
                }
                10 if header.name.eq_ignore_ascii_case("connection") => {
                    for token in tokens(header.value) {
                        framing.close |= token.eq_ignore_ascii_case(b"close");
                        framing.keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
                    }
                }
                8 if location && header.name.eq_ignore_ascii_case("location") => {
                    framing.location = std::str::from_utf8(header.value).ok().map(Box::from);
                }
                _ => {}
            }
        }
        Ok(framing)
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

    const PLAIN: Expecting = Expecting { no_body: false, location: true };

    fn read(expecting: Expecting, input: &[u8]) -> Result<(Head, bool), ErrorClass> {
        let mut reader = Reader::new(expecting);
        reader.feed(input)?;
        let done = reader.is_done();
        Ok((reader.into_head(), done))
    }

    fn head(status: u16, keep_alive: bool) -> Head {
        Head { status, keep_alive, location: None }
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
        let ask_head = Expecting { no_body: true, location: false };
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
        // Bytes that nobody asked for: the next response could not be told from them.
        assert_eq!(keep("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), Ok(false));
    }

    #[test]
    fn interim_responses_are_passed_over() {
        let input = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(read(PLAIN, input), Ok((head(201, true), true)));
        for cut in 1..input.len() {
            let mut reader = Reader::new(PLAIN);
            reader.feed(&input[..cut]).unwrap();
            assert!(!reader.is_done());
            reader.feed(&input[cut..]).unwrap();
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
        let class = |text: &str| read(PLAIN, text.as_bytes()).unwrap_err();
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
        reader.feed(&long.as_bytes()[..10]).unwrap();
        assert_eq!(reader.feed(&long.as_bytes()[10..]), Err(ErrorClass::Protocol));
    }

    #[test]
    fn an_early_end_of_the_stream_is_told_apart() {
        let end = |text: &str| {
            let mut reader = Reader::new(PLAIN);
            reader.feed(text.as_bytes()).unwrap();
            reader.eof()
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
}
