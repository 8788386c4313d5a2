//! A WebSocket server of a few lines that says whatever a test tells it to, byte by byte if need be.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest;

/// One connection of it, after the head of the handshake was read.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    pub(crate) head: String,
    /// Read behind the head or a frame, and not yet used.
    rest: Vec<u8>,
}

/// A frame that the client sent: opcode and unmasked payload. Nothing at the end of the connection.
pub(crate) type Heard = Option<(u8, Vec<u8>)>;

/// Serves one connection with `talk`, whose result the handle gives.
pub(crate) fn serve<T: Send + 'static>(
    talk: impl FnOnce(&mut Peer) -> T + Send + 'static,
) -> (SocketAddr, JoinHandle<T>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let handle = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut peer = Peer { stream, head: String::new(), rest: Vec::new() };
        let end = loop {
            if let Some(at) = peer.rest.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(peer.read_more(), "the client left within the head");
        };
        peer.head = String::from_utf8(peer.rest.drain(..end).collect()).unwrap();
        talk(&mut peer)
    });
    (address, handle)
}

/// A frame as a server sends it; `first` is its first byte.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        short @ 0..=125 => out.push(short as u8),
        middle @ 126..=65_535 => {
            out.push(126);
            out.extend_from_slice(&(middle as u16).to_be_bytes());
        }
        long => {
            out.push(127);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
    out
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    frame(0x81, text.as_bytes())
}

pub(crate) fn closing(code: u16) -> Vec<u8> {
    frame(0x88, &code.to_be_bytes())
}

impl Peer {
    /// The head that accepts the handshake.
    pub(crate) fn acceptance(&self) -> Vec<u8> {
        let key = self.header("sec-websocket-key").expect("a key");
        let hashed = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
        let accept = STANDARD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, hashed.as_bytes()));
        let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
        format!("{head}Sec-WebSocket-Accept: {accept}\r\n\r\n").into_bytes()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (n, value) = line.split_once(": ")?;
            n.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// Writes bytes; that the client has left is no failure of the test.
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Accepts and says bytes in the same write.
    pub(crate) fn accept_and(&mut self, bytes: &[u8]) {
        let all = [self.acceptance(), bytes.to_vec()].concat();
        self.say(&all);
    }

    fn read_more(&mut self) -> bool {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(count) => {
                self.rest.extend_from_slice(&buffer[..count]);
                count > 0
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("the client says nothing"),
            Err(_) => false,
        }
    }

    /// The next frame; it must be masked.
    pub(crate) fn hear(&mut self) -> Heard {
        loop {
            if let Some(heard) = self.parse() {
                return Some(heard);
            }
            if !self.read_more() {
                return None;
            }
        }
    }

    fn parse(&mut self) -> Heard {
        let rest = &self.rest;
        let [first, second, ..] = rest[..] else { return None };
        assert_eq!(second & 0x80, 0x80, "a client's frame is masked");
        let (length, at) = match second & 0x7f {
            126 => (usize::from(u16::from_be_bytes(rest.get(2..4)?.try_into().unwrap())), 4),
            127 => (u64::from_be_bytes(rest.get(2..10)?.try_into().unwrap()) as usize, 10),
            short => (usize::from(short), 2),
        };
        let key: [u8; 4] = rest.get(at..at + 4)?.try_into().unwrap();
        let payload = rest.get(at + 4..at + 4 + length)?;
        let payload = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        self.rest.drain(..at + 4 + length);
        Some((first & 0x0f, payload))
    }

    /// The code of the client's close frame, after whatever else it said.
    pub(crate) fn hear_close(&mut self) -> Option<u16> {
        while let Some((opcode, payload)) = self.hear() {
            if opcode == 8 {
                return payload.first_chunk().map(|code| u16::from_be_bytes(*code));
            }
        }
        None
    }

    /// Ends the connection with a reset.
    pub(crate) fn reset(&mut self) {
        rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO)).unwrap();
    }
}
