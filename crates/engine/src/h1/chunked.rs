//! The chunked transfer coding of RFC 9112 §7.1, decoded in passing: what is in the chunks is handed on. Fed by `reader.rs`.

use plimsoll_measure::ErrorClass;

use crate::fault::Fault;

/// Where in the coding the next byte belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chunked {
    /// In the digits of a chunk's size; `digits` seen so far.
    Size { size: u64, digits: u8 },
    /// In the extension after a size.
    Extension { size: u64 },
    /// After the CR that ends a size line.
    SizeLf { size: u64 },
    /// In a chunk.
    Data { left: u64 },
    /// Before the CR after a chunk.
    DataCr,
    /// Before the LF after a chunk.
    DataLf,
    /// At the beginning of a trailer line.
    Trailer,
    /// Within a trailer line.
    TrailerLine,
    /// After the CR of the empty line that ends it all.
    EndLf,
    /// Complete.
    Done,
}

/// Not the chunked coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadChunk;

impl From<BadChunk> for Fault {
    fn from(_: BadChunk) -> Self {
        Self::new(ErrorClass::Body, "the body is not in the chunked coding that its header announces")
    }
}

impl Chunked {
    pub(crate) const START: Self = Self::Size { size: 0, digits: 0 };

    /// Takes what belongs to the body, hands on what is in its chunks, and returns how many bytes it took.
    pub(crate) fn feed(
        &mut self,
        input: &[u8],
        body: &mut impl FnMut(&[u8]) -> Result<(), Fault>,
    ) -> Result<usize, Fault> {
        let mut at = 0;
        while at < input.len() && *self != Self::Done {
            if let Self::Data { left } = *self {
                let rest = input.len() - at;
                let take = usize::try_from(left).map_or(rest, |left| left.min(rest));
                body(&input[at..at + take])?;
                at += take;
                let left = left - take as u64;
                *self = if left == 0 { Self::DataCr } else { Self::Data { left } };
            } else {
                *self = self.step(input[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    fn step(self, byte: u8) -> Result<Self, BadChunk> {
        Ok(match (self, byte) {
            (Self::Size { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < 15 => {
                let digit = char::from(byte).to_digit(16).ok_or(BadChunk)?;
                Self::Size { size: size * 16 + u64::from(digit), digits: digits + 1 }
            }
            (Self::Size { digits: 0, .. }, _) => return Err(BadChunk),
            (Self::Size { size, .. } | Self::Extension { size }, b'\r') => Self::SizeLf { size },
            // A bare LF ends a line, as lenient recipients allow.
            (Self::Size { size: 0, .. } | Self::Extension { size: 0 } | Self::SizeLf { size: 0 }, b'\n') => {
                Self::Trailer
            }
            (Self::Size { size, .. } | Self::Extension { size } | Self::SizeLf { size }, b'\n') => {
                Self::Data { left: size }
            }
            (Self::Size { size, .. }, b';' | b' ' | b'\t') | (Self::Extension { size }, _) => {
                Self::Extension { size }
            }
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataCr | Self::DataLf, b'\n') => Self::START,
            (Self::Trailer, b'\r') => Self::EndLf,
            (Self::Trailer | Self::EndLf, b'\n') => Self::Done,
            (Self::TrailerLine, b'\n') => Self::Trailer,
            (Self::Trailer | Self::TrailerLine, _) => Self::TrailerLine,
            _ => return Err(BadChunk),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(input: &[u8]) -> Result<(usize, bool, String), Fault> {
        let (mut state, mut text) = (Chunked::START, Vec::new());
        let taken = state.feed(input, &mut |piece| {
            text.extend_from_slice(piece);
            Ok(())
        })?;
        Ok((taken, state == Chunked::Done, String::from_utf8(text).unwrap()))
    }

    #[test]
    fn decodes_sizes_extensions_and_trailers_and_leaves_the_rest() {
        let body =
            b"4\r\nWiki\r\n6;name=value\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\nX-Sum: 1\r\n\r\nrest";
        let text = "Wikipedia in \r\n\r\nchunks.".to_owned();
        assert_eq!(whole(body), Ok((body.len() - 4, true, text)));
        assert_eq!(whole(b"0\r\n\r\n"), Ok((5, true, String::new())));
        assert_eq!(whole(b"2\nab\n0\n\n"), Ok((8, true, "ab".into())));
    }

    #[test]
    fn any_cut_gives_the_same_result() {
        let body = b"a\r\n0123456789\r\n1F ; x\r\n0123456789012345678901234567890\r\n0\r\nA: b\r\n\r\n";
        for cut in 0..body.len() {
            let (mut state, mut length) = (Chunked::START, 0);
            let mut sink = |piece: &[u8]| {
                length += piece.len();
                Ok(())
            };
            assert_eq!(state.feed(&body[..cut], &mut sink), Ok(cut));
            assert_ne!(state, Chunked::Done, "cut at {cut}");
            assert_eq!(state.feed(&body[cut..], &mut sink), Ok(body.len() - cut));
            assert_eq!((state, length), (Chunked::Done, 41));
        }
    }

    #[test]
    fn refuses_what_is_no_chunk() {
        for bad in [b"\r\n".as_slice(), b"xyz\r\n", b"2\r\nabc", b"-1\r\n", b"1\rX", b"1234567890123456\r\n"]
        {
            assert_eq!(whole(bad), Err(BadChunk.into()), "{bad:?}");
        }
    }
}
