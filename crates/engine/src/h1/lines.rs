//! The lines of a response's head (RFC 9112): status line and header fields, checked byte by byte and not copied. What they mean is
//! found out by `reader.rs`.
//!
//! As lenient as recipients may be (empty lines before the status line, a bare LF, a missing reason) and no more: a bare CR, NUL or any
//! other control character, a folded line and a blank before a colon are breaches, since others may read them differently.

/// More header lines than any server sends on purpose.
const MAX_LINES: usize = 128;

/// Eight bytes of 1, and eight whose top bit alone is set: bytes are looked at eight at a time.
const ONES: u64 = u64::from_le_bytes([1; 8]);
const TOPS: u64 = u64::from_le_bytes([0x80; 8]);

/// The status line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StatusLine {
    /// HTTP/1.1, not HTTP/1.0.
    pub(super) is_1_1: bool,
    pub(super) status: u16,
}

/// A header field: its name as it was sent, its value without blanks around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'b> {
    pub(super) name: &'b [u8],
    pub(super) value: &'b [u8],
}

impl Line<'_> {
    /// Whether the name is this one, which is to be in lower case.
    #[inline]
    pub(super) fn is<const N: usize>(&self, name: &[u8; N]) -> bool {
        // Of the bytes that a name may have, no other becomes a lower-case letter or a hyphen by this.
        let differs = |differs, (ours, theirs): (&u8, &u8)| differs | ((ours | 0x20) ^ theirs);
        self.name.len() == N && self.name.iter().zip(name).fold(0, differs) == 0
    }
}

/// Why there is no head to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// It is not there to its end.
    Incomplete,
    /// It is no head of HTTP/1.1; says why.
    Malformed(&'static str),
}

/// The status line that a text begins with, and its length with what may be before it.
pub(super) fn status_line(bytes: &[u8]) -> Result<(StatusLine, usize), Stopped> {
    const BAD: Stopped = Stopped::Malformed("it does not begin with HTTP/1.1 and a status");
    let mut at = 0;
    while matches!(peek(bytes, at)?, b'\r' | b'\n') {
        at = line_end(bytes, at)?;
    }
    let rest = &bytes[at..];
    let Some((first, _)) = rest.split_first_chunk::<12>() else {
        // Is it going to be one?
        let begun = rest.iter().zip(b"HTTP/1.v ddd").all(|(byte, shape)| match shape {
            b'v' => matches!(byte, b'0' | b'1'),
            b'd' => byte.is_ascii_digit(),
            shape => byte == shape,
        });
        return Err(if begun { Stopped::Incomplete } else { BAD });
    };
    let [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ (b'0' | b'1'), b' ', digits @ ..] = first else {
        return Err(BAD);
    };
    let digit = |status: u16, byte: &u8| byte.is_ascii_digit().then(|| status * 10 + u16::from(byte - b'0'));
    let status = digits.iter().try_fold(0, digit).ok_or(BAD)?;
    at += 12;
    // The reason, if there is one, says nothing.
    if peek(bytes, at)? == b' ' {
        at += 1 + plain(&bytes[at + 1..]);
    }
    Ok((StatusLine { is_1_1: *minor == b'1', status }, line_end(bytes, at)?))
}

/// The header fields that a text begins with, up to the empty line, and the length of it all.
pub(super) fn fields<'b>(bytes: &'b [u8], mut each: impl FnMut(Line<'b>)) -> Result<usize, Stopped> {
    let mut at = 0;
    for _ in 0..=MAX_LINES {
        let start = at;
        at += name_length(&bytes[start..]);
        let name = &bytes[start..at];
        match (peek(bytes, at)?, name) {
            (b':', [_, ..]) => at += 1,
            (b'\r' | b'\n', []) => return line_end(bytes, at),
            _ => return Err(Stopped::Malformed("a header line without a name and a colon")),
        }
        let start = at;
        at += plain(&bytes[start..]);
        let value = trim(&bytes[start..at]);
        at = line_end(bytes, at)?;
        each(Line { name, value });
    }
    Err(Stopped::Malformed("more than 128 header lines"))
}

#[inline]
fn peek(bytes: &[u8], at: usize) -> Result<u8, Stopped> {
    bytes.get(at).copied().ok_or(Stopped::Incomplete)
}

/// Where the line ends whose end is here.
#[inline]
fn line_end(bytes: &[u8], at: usize) -> Result<usize, Stopped> {
    match peek(bytes, at)? {
        b'\n' => Ok(at + 1),
        b'\r' if peek(bytes, at + 1)? == b'\n' => Ok(at + 2),
        _ => Err(Stopped::Malformed("a control character in a line")),
    }
}

/// Without blanks around it.
#[inline]
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// How many bytes, from the first on, may be in the name of a header.
#[inline]
fn name_length(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        while let Some((eight, _)) = bytes[at..].split_first_chunk() {
            let letters = letters(u64::from_le_bytes(*eight));
            at += letters;
            if letters < 8 {
                break;
            }
        }
        match bytes.get(at) {
            Some(byte) if TOKEN[usize::from(*byte)] => at += 1,
            _ => return at,
        }
    }
}

/// How many of eight bytes come before the first that is neither a letter nor a hyphen, which most names are made of.
#[inline]
fn letters(eight: u64) -> usize {
    // All sums stay within their bytes.
    let low = (eight | (ONES * 0x20)) & !TOPS;
    let from_a = low + ONES * (0x80 - 0x61);
    let over_z = low + ONES * (0x7f - 0x7a);
    let no_hyphen = ((eight ^ (ONES * 0x2d)) & !TOPS) + ONES * 0x7f;
    let good = ((from_a & !over_z) | !no_hyphen) & !eight & TOPS;
    ((good ^ TOPS).trailing_zeros() / 8) as usize
}

/// Bytes of a token (RFC 9110 §5.6.2).
const TOKEN: [bool; 256] = {
    let mut token = [false; 256];
    let mut byte = 0;
    while byte < 128_u8 {
        token[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        byte += 1;
    }
    token
};

/// How many bytes, from the first on, may be in the value of a header: all but control characters, of which a tab is none.
#[inline]
fn plain(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        while let Some((eight, _)) = bytes[at..].split_first_chunk() {
            let control = first_control(u64::from_le_bytes(*eight));
            at += control;
            if control < 8 {
                break;
            }
        }
        match bytes.get(at) {
            Some(b'\t' | b' '..=b'~' | 0x80..) => at += 1,
            _ => return at,
        }
    }
}

/// How many of eight bytes come before the first control character.
#[inline]
fn first_control(eight: u64) -> usize {
    // All sums stay within their bytes.
    let low = eight & !TOPS;
    let from_blank = low + ONES * (0x80 - 0x20);
    let delete = low + ONES;
    ((!from_blank | delete) & !eight & TOPS).trailing_zeros() as usize / 8
}
