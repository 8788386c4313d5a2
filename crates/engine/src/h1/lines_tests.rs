//! `lines.rs` against an independent parser: on every text both find the same head, or both want more, or both refuse.

use proptest::prelude::*;

use super::lines::{Line, StatusLine, Stopped, fields, status_line};

/// What is made of a text: the head and its length, or why there is none.
#[derive(Debug, PartialEq, Eq)]
enum Made {
    Head { used: usize, is_1_1: bool, status: u16, lines: Vec<(Vec<u8>, Vec<u8>)> },
    Incomplete,
    Malformed,
}

fn ours(bytes: &[u8]) -> Made {
    let whole = |bytes| -> Result<Made, Stopped> {
        let (StatusLine { is_1_1, status }, start) = status_line(bytes)?;
        let mut lines = Vec::new();
        let used =
            fields(&bytes[start..], |Line { name, value }| lines.push((name.to_vec(), value.to_vec())))?;
        Ok(Made::Head { used: start + used, is_1_1, status, lines })
    };
    whole(bytes).unwrap_or_else(|stopped| match stopped {
        Stopped::Incomplete => Made::Incomplete,
        Stopped::Malformed(_) => Made::Malformed,
    })
}

fn theirs(bytes: &[u8]) -> Made {
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(httparse::Status::Partial) => Made::Incomplete,
        Err(_) => Made::Malformed,
        Ok(httparse::Status::Complete(used)) => Made::Head {
            used,
            is_1_1: response.version == Some(1),
            status: response.code.unwrap(),
            lines: response.headers.iter().map(|h| (h.name.into(), h.value.into())).collect(),
        },
    }
}

/// Every text that this one begins with, and the text itself.
fn agree(text: &[u8]) {
    for cut in 0..=text.len() {
        let text = &text[..cut];
        assert_eq!(ours(text), theirs(text), "{:?}", String::from_utf8_lossy(text));
    }
}

/// Texts of heads are made of these, and of any bytes.
const PIECES: [&str; 26] = [
    "\r\n",
    "\r\n",
    "\r\n",
    "\n",
    "\r",
    ": ",
    ": ",
    ":",
    " ",
    "\t",
    "\0",
    "\x7f",
    "\x1f",
    "é",
    "HTTP/1.1 200 OK",
    "HTTP/1.0 404",
    "HTTP/2",
    "Date",
    "Content-Length",
    "transfer-encoding",
    "Connection",
    "x_!#$%&'*+-.^`|~",
    "0123456789",
    "close, keep-alive",
    "a b\tc",
    "(",
];

fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        12 => (0..PIECES.len()).prop_map(|piece| PIECES[piece].as_bytes().to_vec()),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ]
}

#[test]
fn agrees_on_what_servers_say() {
    for text in [
        "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Tue, 24 Nov 2026 13:00:00 GMT\r\nContent-Length: 34\r\n\r\nbody",
        "\r\n\r\nHTTP/1.1 204\r\n\r\n",
        "HTTP/1.0 200 \nA:b\nC:\n\n",
        "HTTP/1.1 200 OK\r\nX:  \t two words \t \r\nEmpty:\r\nBlank: \r\n\r\n",
        "HTTP/1.1 200 OK\r\nFolded: a\r\n b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: b\r\n\r\n",
        "HTTP/1.1 200 O\x01K\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.2 200 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
    ] {
        agree(text.as_bytes());
    }
}

#[test]
fn agrees_on_how_many_lines_there_may_be() {
    for lines in [127, 128, 129] {
        let text = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(lines));
        assert_eq!(ours(text.as_bytes()), theirs(text.as_bytes()), "{lines}");
        assert_eq!(ours(text.as_bytes()) == Made::Malformed, lines > 128);
    }
}

#[test]
fn names_are_told_apart_whatever_their_case() {
    let is = |name: &str| Line { name: name.as_bytes(), value: b"" }.is(b"content-length");
    assert!(is("Content-Length") && is("content-length") && is("CONTENT-LENGTH"));
    assert!(!is("content_length") && !is("content-lengti") && !is("content-lengt"));
}

proptest! {
    #[test]
    fn agrees_on_any_text(begun in any::<bool>(), pieces in prop::collection::vec(piece(), 0..16), ended in any::<bool>()) {
        let begin: &[u8] = if begun { b"HTTP/1.1 200 OK\r\n" } else { b"" };
        let end: &[u8] = if ended { b"\r\n\r\n" } else { b"" };
        agree(&[begin, &pieces.concat(), end].concat());
    }

    #[test]
    fn agrees_on_any_change_of_a_head(at in 0_usize..120, byte in any::<u8>()) {
        let mut text = b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Tue, 24 Nov 2026 13:00:00 GMT\r\nConnection: keep-alive\r\nContent-Length: 34\r\n\r\n".to_vec();
        let at = at % text.len();
        text[at] = byte;
        agree(&text);
    }
}
