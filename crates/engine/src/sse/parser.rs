//! Reads an event stream (WHATWG HTML, "Server-sent events", §9.2.6) out of whatever pieces arrive. Pure; `mod.rs` has the rest.
//!
//! Between two events it holds nothing but the last id; the parts of an event lie in buffers lent by `stream/spares.rs`.

use std::ops::ControlFlow;

use crate::stream::Spares;

/// Longest line and longest event, bytes.
pub(crate) const MAX_EVENT: usize = 1 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Something whole that the stream said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    Event {
        /// Its type: `message` unless it has one.
        event: &'a str,
        data: &'a str,
        /// The last id that the stream gave, empty before.
        id: &'a str,
    },
    /// A line that says nothing: servers send it to keep the connection open.
    Comment,
}

/// A line or an event is longer than [`MAX_EVENT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event is longer than 1 MiB")]
pub(crate) struct TooLong;

/// The state of one stream.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    /// Beginning of a line that is cut.
    line: Vec<u8>,
    /// What is there of the event: its lines of data, each with its end, its type.
    data: Vec<u8>,
    event: Vec<u8>,
    id: Vec<u8>,
    /// The byte order mark may only come first.
    begun: bool,
    /// The last line ended with CR: an LF that follows belongs to it.
    after_cr: bool,
}

impl Parser {
    /// Takes a piece and hands out what is whole, in order, until `each` breaks. Returns how many bytes it used.
    pub(crate) fn feed(
        &mut self,
        input: &[u8],
        spares: &Spares,
        mut each: impl FnMut(Item<'_>) -> ControlFlow<()>,
    ) -> Result<usize, TooLong> {
        let mut at = 0;
        while at < input.len() {
            if std::mem::take(&mut self.after_cr) && input[at] == b'\n' {
                at += 1;
                continue;
            }
            let rest = &input[at..];
            let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let piece = &rest[..end.unwrap_or(rest.len())];
            if self.line.len() + piece.len() > MAX_EVENT {
                return Err(TooLong);
            }
            let Some(end) = end else {
                spares.append(&mut self.line, piece);
                return Ok(input.len());
            };
            at += end + 1;
            self.after_cr = rest[end] == b'\r';
            let flow = if self.line.is_empty() {
                self.take_line(piece, spares, &mut each)
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(piece);
                let flow = self.take_line(&line, spares, &mut each);
                spares.reclaim(&mut line);
                flow
            };
            if flow?.is_break() {
                return Ok(at);
            }
        }
        Ok(at)
    }

    fn take_line(
        &mut self,
        line: &[u8],
        spares: &Spares,
        each: &mut impl FnMut(Item<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, TooLong> {
        let line = match line.strip_prefix(BYTE_ORDER_MARK) {
            Some(rest) if !self.begun => rest,
            _ => line,
        };
        self.begun = true;
        if line.is_empty() {
            return Ok(self.dispatch(spares, each));
        }
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(0) => return Ok(each(Item::Comment)),
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, b"".as_slice()),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => {
                if self.data.len() + value.len() > MAX_EVENT {
                    return Err(TooLong);
                }
                spares.append(&mut self.data, value);
                spares.append(&mut self.data, b"\n");
            }
            b"event" => {
                self.event.clear();
                spares.append(&mut self.event, value);
            }
            b"id" if !value.contains(&0) => {
                self.id.clear();
                self.id.extend_from_slice(value);
            }
            // `retry` is for clients that connect again by themselves; anything else is ignored, too.
            _ => {}
        }
        Ok(ControlFlow::Continue(()))
    }

    /// An empty line ends an event; one without data is none.
    fn dispatch(
        &mut self,
        spares: &Spares,
        each: &mut impl FnMut(Item<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let flow = match self.data.strip_suffix(b"\n") {
            None => ControlFlow::Continue(()),
            Some(data) => {
                let event = String::from_utf8_lossy(&self.event);
                each(Item::Event {
                    event: if event.is_empty() { "message" } else { &event },
                    data: &String::from_utf8_lossy(data),
                    id: &String::from_utf8_lossy(&self.id),
                })
            }
        };
        spares.reclaim(&mut self.data);
        spares.reclaim(&mut self.event);
        flow
    }
}

#[cfg(test)]
#[path = "parser_tests.rs"]
mod tests;
