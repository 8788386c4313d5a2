//! Heads that repeat: a target that answers a request as it did last time, `date` and all, need not be read anew. Used by `mod.rs`;
//! what a head says is found out by `reader.rs`.

use super::reader::{Reader, Said};
use crate::fault::Fault;

/// Longer heads are not remembered.
const LONGEST: usize = 1024;

/// The head of the last response to one request, and what it said.
#[derive(Debug, Default)]
pub(crate) struct Known {
    head: Vec<u8>,
    said: Option<Said>,
}

impl Known {
    /// As [`Reader::feed`] of a reader that always expects the same. A piece that begins with the very head that is remembered says
    /// the very same.
    #[inline]
    pub(crate) fn feed(
        &mut self,
        reader: &mut Reader,
        piece: &[u8],
        body: &mut impl FnMut(u16, &[u8]) -> Result<(), Fault>,
    ) -> Result<usize, Fault> {
        if !reader.is_fresh() {
            return reader.feed(piece, body);
        }
        let used = match self.said {
            Some(said) if piece.starts_with(&self.head) => {
                reader.hear(said);
                self.head.len()
            }
            _ => self.learn(reader, piece)?,
        };
        Ok(used + reader.feed(&piece[used..], body)?)
    }

    #[cold]
    fn learn(&mut self, reader: &mut Reader, piece: &[u8]) -> Result<usize, Fault> {
        let used = reader.take_head(piece)?;
        self.said = reader.said().filter(|_| used <= LONGEST);
        if self.said.is_some() {
            self.head.clear();
            self.head.extend_from_slice(&piece[..used]);
        }
        Ok(used)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Expecting;
    use super::*;

    const HEADS: [&str; 8] = [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc",
        "HTTP/1.1 500 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nab",
    ];

    /// What a reader makes of a response in two pieces: its head, whether it is complete, and its body.
    fn read(mut known: Option<&mut Known>, expecting: Expecting, text: &[u8], cut: usize) -> String {
        let (mut reader, mut body) = (Reader::new(expecting), Vec::new());
        let mut sink = |_: u16, piece: &[u8]| {
            body.extend_from_slice(piece);
            Ok(())
        };
        for piece in [&text[..cut], &text[cut..]].into_iter().filter(|piece| !piece.is_empty()) {
            let taken = match &mut known {
                Some(known) => known.feed(&mut reader, piece, &mut sink),
                None => reader.feed(piece, &mut sink),
            };
            taken.unwrap();
        }
        let done = reader.is_done();
        format!("{:?} {done} {body:?}", reader.into_head())
    }

    #[test]
    fn what_is_remembered_says_what_would_be_read() {
        for expecting in [
            Expecting { location: true, ..Expecting::default() },
            Expecting { no_body: true, ..Expecting::default() },
            Expecting { headers: true, ..Expecting::default() },
        ] {
            let mut known = Known::default();
            for (first, second) in HEADS.iter().flat_map(|first| HEADS.map(|second| (*first, second))) {
                for text in [first, first, second] {
                    for cut in [0, 9, text.len() / 2, text.len() - 2] {
                        let fresh = read(None, expecting, text.as_bytes(), cut);
                        assert_eq!(
                            read(Some(&mut known), expecting, text.as_bytes(), cut),
                            fresh,
                            "{text:?} {cut}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn only_a_plain_head_is_remembered() {
        let remembers = |expecting, text: &str| {
            let mut known = Known::default();
            read(Some(&mut known), expecting, text.as_bytes(), 0);
            known.said.is_some()
        };
        let plain = Expecting { location: true, ..Expecting::default() };
        assert!(remembers(plain, HEADS[0]));
        assert!(!remembers(plain, HEADS[6]), "a location is not");
        assert!(!remembers(Expecting { headers: true, ..plain }, HEADS[0]), "nor are headers");
        let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 0\r\n\r\n", "y".repeat(LONGEST));
        assert!(!remembers(plain, &long));
    }
}
