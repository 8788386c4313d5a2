//! Reads a server's frames (RFC 6455 §5) out of whatever pieces arrive. Pure; the sockets are in `socket.rs`.
//!
//! A message that lies in one frame and one piece is handed out where it lies. Only what is cut is copied, into a buffer lent by
//! `stream/spares.rs`, and an idle session holds none.

use std::ops::ControlFlow;

use crate::stream::Spares;

use super::frame::{CONTROL, Opcode};

/// Longest message, bytes.
pub(crate) const MAX_MESSAGE: usize = 1 << 20;

/// Longest head of a server's frame: it is not masked.
const LONGEST_HEAD: usize = 10;

/// Something whole that the peer said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Incoming<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
    Ping(&'a [u8]),
    Pong(&'a [u8]),
    /// No code: the frame had none (1005).
    Close(Option<u16>, &'a str),
}

impl Incoming<'_> {
    pub(crate) fn is_message(self) -> bool {
        matches!(self, Self::Text(_) | Self::Binary(_))
    }

    /// The text of a message; what is not UTF-8 in a binary one is replaced.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Text(text) => text.to_owned(),
            Self::Binary(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Self::Ping(_) | Self::Pong(_) | Self::Close(..) => String::new(),
        }
    }
}

/// A rule of the protocol that the peer broke: the code to close with, and what to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct Breach {
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
}

const fn breach(reason: &'static str) -> Breach {
    Breach { code: 1002, reason }
}

const NOT_TEXT: Breach = Breach { code: 1007, reason: "a text message is not UTF-8" };
const TOO_BIG: Breach = Breach { code: 1009, reason: "a message is longer than 1 MiB" };

/// A frame whose payload is awaited.
#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: Opcode,
    last: bool,
    /// Bytes of the payload still to come.
    left: usize,
}

/// The state of one connection.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// Beginning of a head that is cut.
    head: [u8; LONGEST_HEAD],
    head_length: u8,
    frame: Option<Frame>,
    /// A fragmented message is under way: whether it is text.
    text: Option<bool>,
    /// What is there of a message that is fragmented or cut.
    message: Vec<u8>,
    /// What is there of a control frame that is cut.
    control: Vec<u8>,
}

impl Decoder {
    /// Takes a piece and hands out what is whole, in order, until `each` breaks. Returns how many bytes it used: all of them, or
    /// those up to the end of the frame at which `each` broke.
    pub(crate) fn feed(
        &mut self,
        input: &[u8],
        spares: &Spares,
        mut each: impl FnMut(Incoming<'_>) -> ControlFlow<()>,
    ) -> Result<usize, Breach> {
        let mut at = 0;
        loop {
            let frame = match self.frame {
                Some(frame) => frame,
                None => match self.take_head(input, &mut at)? {
                    Some(frame) => frame,
                    None => return Ok(at),
                },
            };
            let rest = &input[at..];
            if rest.len() < frame.left {
                let into = if frame.opcode.is_control() { &mut self.control } else { &mut self.message };
                spares.append(into, rest);
                self.frame = Some(Frame { left: frame.left - rest.len(), ..frame });
                return Ok(input.len());
            }
            at += frame.left;
            self.frame = None;
            if self.complete(frame, &rest[..frame.left], spares, &mut each)?.is_break() {
                return Ok(at);
            }
        }
    }

    /// Whether nothing is cut: the peer may end here.
    #[cfg(test)]
    fn is_idle(&self) -> bool {
        self.head_length == 0 && self.frame.is_none() && self.text.is_none() && self.message.capacity() == 0
    }

    /// The head of the next frame, once it is whole and admissible; moves `at` behind what it took.
    fn take_head(&mut self, input: &[u8], at: &mut usize) -> Result<Option<Frame>, Breach> {
        loop {
            let have = usize::from(self.head_length);
            let wanted = if have < 2 { 2 } else { head_length(self.head[1]) };
            if have == wanted {
                self.head_length = 0;
                let frame = self.admit(parse(&self.head)?)?;
                return Ok(Some(frame));
            }
            let take = (wanted - have).min(input.len() - *at);
            if take == 0 {
                return Ok(None);
            }
            self.head[have..have + take].copy_from_slice(&input[*at..*at + take]);
            self.head_length += take as u8;
            *at += take;
        }
    }

    /// Whether a frame may follow what came before.
    fn admit(&self, (frame, length): (Frame, u64)) -> Result<Frame, Breach> {
        match frame.opcode {
            Opcode::Continuation if self.text.is_none() => {
                return Err(breach("a continuation continues no message"));
            }
            Opcode::Text | Opcode::Binary if self.text.is_some() => {
                return Err(breach("a message begins within another"));
            }
            opcode if opcode.is_control() && !frame.last => {
                return Err(breach("a control frame is fragmented"));
            }
            opcode if opcode.is_control() && length > CONTROL as u64 => {
                return Err(breach("a control frame is longer than 125 bytes"));
            }
            opcode if opcode.is_control() => {}
            _ if length.saturating_add(self.message.len() as u64) > MAX_MESSAGE as u64 => {
                return Err(TOO_BIG);
            }
            _ => {}
        }
        // Within the limit above, whatever a usize is.
        Ok(Frame { left: length as usize, ..frame })
    }

    /// The last bytes of a frame's payload are there.
    fn complete(
        &mut self,
        frame: Frame,
        piece: &[u8],
        spares: &Spares,
        each: &mut impl FnMut(Incoming<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Breach> {
        if frame.opcode.is_control() {
            let payload = if self.control.is_empty() {
                piece
            } else {
                self.control.extend_from_slice(piece);
                &self.control
            };
            let flow = each(match frame.opcode {
                Opcode::Ping => Incoming::Ping(payload),
                Opcode::Pong => Incoming::Pong(payload),
                _ => closing(payload)?,
            });
            spares.reclaim(&mut self.control);
            return Ok(flow);
        }
        let text = self.text.take().unwrap_or(frame.opcode == Opcode::Text);
        if !frame.last {
            self.text = Some(text);
            spares.append(&mut self.message, piece);
            return Ok(ControlFlow::Continue(()));
        }
        let payload = if self.message.is_empty() {
            piece
        } else {
            self.message.extend_from_slice(piece);
            &self.message
        };
        let flow = each(if text {
            Incoming::Text(std::str::from_utf8(payload).map_err(|_| NOT_TEXT)?)
        } else {
            Incoming::Binary(payload)
        });
        spares.reclaim(&mut self.message);
        Ok(flow)
    }
}

/// Bytes of a head whose second byte this is.
fn head_length(second: u8) -> usize {
    match second & 0x7f {
        126 => 4,
        127 => LONGEST_HEAD,
        _ => 2,
    }
}

/// A frame without its length, which may be too long for the machine, and that.
fn parse(head: &[u8; LONGEST_HEAD]) -> Result<(Frame, u64), Breach> {
    let [first, second, ..] = *head;
    if first & 0x70 != 0 {
        return Err(breach("a reserved bit is set, and no extension was agreed on"));
    }
    if second & 0x80 != 0 {
        return Err(breach("a frame of the server is masked"));
    }
    let opcode = Opcode::of(first & 0x0f).ok_or(breach("a frame has a reserved opcode"))?;
    let length = match second {
        126 => u64::from(u16::from_be_bytes([head[2], head[3]])),
        127 => head[2..].iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
        short => u64::from(short),
    };
    let least = match second {
        126 => 126,
        127 => 65_536,
        _ => 0,
    };
    if length < least || length >> 63 != 0 {
        return Err(breach("a frame's length is not in its shortest form"));
    }
    Ok((Frame { opcode, last: first & 0x80 != 0, left: 0 }, length))
}

fn closing(payload: &[u8]) -> Result<Incoming<'_>, Breach> {
    match payload {
        [] => Ok(Incoming::Close(None, "")),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !may_be_sent(code) {
                return Err(breach("a close frame has a code that may not be sent"));
            }
            let reason = std::str::from_utf8(reason)
                .map_err(|_| Breach { code: 1007, reason: "a close frame's reason is not UTF-8" })?;
            Ok(Incoming::Close(Some(code), reason))
        }
        [_] => Err(breach("a close frame has half a code")),
    }
}

/// Codes that an endpoint may send (RFC 6455 §7.4 and its registry).
fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
#[path = "decoder_tests.rs"]
mod tests;
