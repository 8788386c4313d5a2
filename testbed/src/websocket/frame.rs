//! Frames of RFC 6455 as a server reads and writes them, and the accept key of the handshake.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, BytesMut};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// The largest message that is read, in bytes, over all its fragments.
pub(super) const MAX_MESSAGE: usize = 16 << 20;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

/// A frame of a client, unmasked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// Whether it is the last of its message.
    pub(super) fin: bool,
    pub(super) opcode: Opcode,
    pub(super) payload: BytesMut,
}

/// Takes the frame at the beginning of the input; nothing if it is not complete, the close code if it is wrong.
pub(super) fn decode(input: &mut BytesMut) -> Result<Option<Frame>, u16> {
    let &[first, second, ..] = &input[..] else { return Ok(None) };
    let opcode = match first & 0x0f {
        0 => Opcode::Continuation,
        1 => Opcode::Text,
        2 => Opcode::Binary,
        8 => Opcode::Close,
        9 => Opcode::Ping,
        10 => Opcode::Pong,
        _ => return Err(1002),
    };
    let (fin, short) = (first & 0x80 != 0, usize::from(second & 0x7f));
    let is_control = matches!(opcode, Opcode::Close | Opcode::Ping | Opcode::Pong);
    // No extension was agreed on, so the reserved bits mean nothing; a client has to mask.
    if first & 0x70 != 0 || second & 0x80 == 0 || (is_control && (!fin || short > 125)) {
        return Err(1002);
    }
    let wide = match short {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let start = 2 + wide + 4;
    let Some(header) = input.get(2..start) else { return Ok(None) };
    let (length, mask) = header.split_at(wide);
    let length = match wide {
        0 => short,
        _ => {
            let number = length.iter().fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
            usize::try_from(number).unwrap_or(usize::MAX)
        }
    };
    if length > MAX_MESSAGE {
        return Err(1009);
    }
    let mask = [mask[0], mask[1], mask[2], mask[3]];
    if input.len() < start + length {
        input.reserve(start + length - input.len());
        return Ok(None);
    }
    input.advance(start);
    let mut payload = input.split_to(length);
    unmask(&mut payload, mask);
    Ok(Some(Frame { fin, opcode, payload }))
}

/// Applies a mask, eight bytes at a time.
fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

/// Writes a whole message, or a control frame, as one frame.
pub(super) fn encode(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    let code = match opcode {
        Opcode::Continuation => 0,
        Opcode::Text => 1,
        Opcode::Binary => 2,
        Opcode::Close => 8,
        Opcode::Ping => 9,
        Opcode::Pong => 10,
    };
    out.push(0x80 | code);
    match payload.len() {
        short @ 0..=125 => out.push(short as u8),
        medium @ 126..=0xffff => {
            out.push(126);
            out.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            out.push(127);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

/// The payload of a close frame.
pub(super) fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    // A control frame carries at most 125 bytes.
    let mut end = reason.len().min(123);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    [&code.to_be_bytes()[..], &reason.as_bytes()[..end]].concat()
}

/// The code of a received close frame: 1005 if it has none, and the code of the complaint if it has a wrong one.
pub(super) fn close_code(payload: &[u8]) -> Result<u16, u16> {
    let [high, low, reason @ ..] = payload else {
        return if payload.is_empty() { Ok(1005) } else { Err(1002) };
    };
    let code = u16::from_be_bytes([*high, *low]);
    let known = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    if !known {
        return Err(1002);
    }
    if std::str::from_utf8(reason).is_err() {
        return Err(1007);
    }
    Ok(code)
}

/// The value of `sec-websocket-accept` for a client's key; nothing if the key is not 16 bytes in base64.
pub(super) fn accept(key: &str) -> Option<String> {
    const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    let nonce = STANDARD.decode(key).ok()?;
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes());
    (nonce.len() == 16).then(|| STANDARD.encode(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(first: u8, payload: &[u8]) -> BytesMut {
        let (mut bytes, mask) = (vec![first], [1, 2, 3, 4]);
        let mut plain = Vec::new();
        encode(&mut plain, Opcode::Binary, payload);
        let header = plain.len() - payload.len();
        bytes.push(plain[1] | 0x80);
        bytes.extend_from_slice(&plain[2..header]);
        bytes.extend_from_slice(&mask);
        bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        bytes[..].into()
    }

    #[test]
    fn frames_of_every_length_are_read_byte_by_byte() {
        for length in [0, 1, 7, 8, 9, 125, 126, 65_535, 65_536] {
            let payload: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let whole = masked(0x82, &payload);
            let ends: Vec<usize> = (0..whole.len()).filter(|end| *end < 16 || end % 997 == 0).collect();
            for end in ends {
                let mut part = BytesMut::from(&whole[..end]);
                assert_eq!(decode(&mut part), Ok(None), "{length} {end}");
            }
            let mut input = [&whole[..], b"rest"].concat()[..].into();
            let frame = decode(&mut input).unwrap().unwrap();
            assert_eq!((frame.fin, frame.opcode, &frame.payload[..]), (true, Opcode::Binary, &payload[..]));
            assert_eq!(&input[..], b"rest");
        }
    }

    #[test]
    fn wrong_frames_have_a_close_code() {
        let code = |mut bytes: BytesMut| decode(&mut bytes).unwrap_err();
        assert_eq!(code(masked(0x83, b"")), 1002);
        assert_eq!(code(masked(0xc1, b"")), 1002);
        assert_eq!(code(masked(0x09, b"")), 1002);
        assert_eq!(code(masked(0x89, &[0; 126])), 1002);
        assert_eq!(code(BytesMut::from(&[0x81, 0x01, b'a'][..])), 1002);
        assert_eq!(code(BytesMut::from(&[&[0x82, 0xff][..], &[0x7f; 12]].concat()[..])), 1009);
        assert_eq!(close_code(&close_payload(4029, "over")), Ok(4029));
        assert_eq!((close_code(b""), close_code(b"x")), (Ok(1005), Err(1002)));
        assert_eq!(close_code(&1006u16.to_be_bytes()), Err(1002));
        assert_eq!(close_payload(1000, &"é".repeat(100)).len(), 124);
    }

    #[test]
    fn the_accept_key_is_that_of_the_standard() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ==").as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert_eq!((accept("c2hvcnQ="), accept("%")), (None, None));
    }
}
