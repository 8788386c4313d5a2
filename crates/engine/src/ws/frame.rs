//! Frames that a client writes (RFC 6455 §5.2): always masked, never fragmented. The other direction is in `decoder.rs`.

/// Room to leave before a payload for the longest head of a client's frame.
pub(crate) const ROOM: usize = 14;

/// Most payload bytes of a control frame.
pub(crate) const CONTROL: usize = 125;

/// What a frame is; the numbers are the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl Opcode {
    /// `None` for the reserved numbers.
    pub(crate) fn of(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    pub(crate) fn is_control(self) -> bool {
        self as u8 >= Self::Close as u8
    }
}

/// Turns `room` bytes of room and the payload behind them into one final frame: the head ends where the payload begins, and the
/// payload is masked in place. Returns the frame; `bytes` must have at least [`ROOM`] bytes.
pub(crate) fn seal(bytes: &mut [u8], opcode: Opcode, key: [u8; 4]) -> &[u8] {
    let Some((room, payload)) = bytes.split_at_mut_checked(ROOM) else { return &[] };
    mask(payload, key);
    let mut head = [0_u8; ROOM];
    let length = payload.len();
    head[0] = 0x80 | opcode as u8;
    let extended = if length <= CONTROL {
        head[1] = 0x80 | length as u8;
        0
    } else if let Ok(short) = u16::try_from(length) {
        head[1] = 0x80 | 126;
        head[2..4].copy_from_slice(&short.to_be_bytes());
        2
    } else {
        head[1] = 0x80 | 127;
        head[2..10].copy_from_slice(&(length as u64).to_be_bytes());
        8
    };
    head[2 + extended..6 + extended].copy_from_slice(&key);
    let start = ROOM - 6 - extended;
    room[start..].copy_from_slice(&head[..6 + extended]);
    &bytes[start..]
}

/// Appends a control frame; what exceeds the protocol's limit of a payload is left out.
pub(crate) fn control(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], key: [u8; 4]) {
    let payload = &payload[..payload.len().min(CONTROL)];
    out.extend_from_slice(&[0x80 | opcode as u8, 0x80 | payload.len() as u8]);
    out.extend_from_slice(&key);
    let start = out.len();
    out.extend_from_slice(payload);
    mask(&mut out[start..], key);
}

/// Appends a close frame; the reason is cut at a character's boundary if it is too long.
pub(crate) fn close(out: &mut Vec<u8>, code: u16, reason: &str, key: [u8; 4]) {
    let mut payload = [0_u8; CONTROL];
    let reason = &reason[..reason.floor_char_boundary(CONTROL - 2)];
    payload[..2].copy_from_slice(&code.to_be_bytes());
    payload[2..2 + reason.len()].copy_from_slice(reason.as_bytes());
    control(out, Opcode::Close, &payload[..2 + reason.len()], key);
}

/// Masks or unmasks (RFC 6455 §5.3), eight bytes at a time.
fn mask(payload: &mut [u8], key: [u8; 4]) {
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (eights, rest) = payload.as_chunks_mut::<8>();
    for eight in eights {
        *eight = (u64::from_ne_bytes(*eight) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(opcode: Opcode, payload: &[u8], key: [u8; 4]) -> Vec<u8> {
        let mut bytes = vec![0xee; ROOM];
        bytes.extend_from_slice(payload);
        seal(&mut bytes, opcode, key).to_vec()
    }

    #[test]
    fn the_masked_examples_of_the_rfc() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        let hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(sealed(Opcode::Text, b"Hello", key), hello);
        let pong = [0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        let mut out = vec![1];
        control(&mut out, Opcode::Pong, b"Hello", key);
        assert_eq!(out[1..], pong);
    }

    #[test]
    fn lengths_take_the_shortest_form() {
        for (length, head) in [
            (0, vec![0x82, 0x80]),
            (125, vec![0x82, 0xfd]),
            (126, vec![0x82, 0xfe, 0, 126]),
            (65_535, vec![0x82, 0xfe, 0xff, 0xff]),
            (65_536, vec![0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let frame = sealed(Opcode::Binary, &vec![0; length], [1, 2, 3, 4]);
            assert_eq!(frame[..head.len()], head, "{length}");
            assert_eq!(frame[head.len()..head.len() + 4], [1, 2, 3, 4], "{length}");
            assert_eq!(frame.len(), head.len() + 4 + length, "{length}");
        }
        assert_eq!(seal(&mut [0; ROOM - 1], Opcode::Text, [0; 4]), b"");
    }

    #[test]
    fn masking_is_the_rfcs_at_every_length_and_undoes_itself() {
        let key = [0x12, 0x34, 0x56, 0x78];
        for length in 0..40_usize {
            let plain: Vec<u8> = (0..length).map(|i| (i * 7) as u8).collect();
            let mut masked = plain.clone();
            mask(&mut masked, key);
            let slow: Vec<u8> = plain.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect();
            assert_eq!(masked, slow, "{length}");
            mask(&mut masked, key);
            assert_eq!(masked, plain, "{length}");
        }
    }

    #[test]
    fn a_close_frame_has_code_and_a_reason_cut_between_characters() {
        let mut out = Vec::new();
        close(&mut out, 1000, "", [0; 4]);
        assert_eq!(out, [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]);
        out.clear();
        close(&mut out, 4001, &"é".repeat(70), [0; 4]);
        assert_eq!(out.len(), 6 + 2 + 122, "61 whole characters of two bytes");
        assert_eq!(std::str::from_utf8(&out[8..]).unwrap(), "é".repeat(61));
    }
}
