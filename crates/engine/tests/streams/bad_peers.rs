//! Servers that break the rules: each breach has its class, its example, and the close code that the RFC asks for.

use plimsoll_measure::ErrorClass;
use plimsoll_scenario::WebSocketAction;

use crate::peer::{self, Peer, closing, frame, text};
use crate::support::*;

/// What a session of one long receive makes of a server that says these bytes behind its acceptance: close code, class, example.
fn after(bytes: Vec<u8>) -> (Option<u16>, ErrorClass, String) {
    let (address, server) = peer::serve(move |peer| {
        peer.accept_and(&bytes);
        peer.hear_close()
    });
    let script = vec![receive(Some("message == 'never'"), 10 * SECOND)];
    let measured = run(once(address, vec![session(socket("/", script))]));
    let code = server.join().unwrap();
    assert_eq!((measured.sessions(), measured.counts().failed), ((0, 1, 0), 0));
    let (class, status, example) = measured.failure();
    assert_eq!(status, Some(101));
    (code, class, example.to_owned())
}

#[test]
fn breaches_of_the_protocol_are_answered_with_their_codes() {
    let _shared = among_others();
    for (bytes, code, told) in [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), 1002, "reserved bit"),
        (frame(0xc1, b"x"), 1002, "reserved bit"),
        (vec![0x81, 0x81, 1, 2, 3, 4, 5], 1002, "masked"),
        (frame(0x09, b"x"), 1002, "fragmented"),
        ([frame(0x01, b"x"), text("y")].concat(), 1002, "within another"),
        (frame(0x81, b"\xff\xfe"), 1007, "UTF-8"),
        (frame(0x88, &1005_u16.to_be_bytes()), 1002, "may not be sent"),
        (vec![0x82, 127, 0, 0, 0, 0, 0, 0x10, 0, 1], 1009, "1 MiB"),
    ] {
        let (said, class, example) = after([text("1"), bytes].concat());
        assert_eq!((said, class), (Some(code), ErrorClass::Protocol), "{told}: {example}");
        assert!(example.contains(told) && example.contains(&code.to_string()), "{example}");
    }
}

#[test]
fn a_reset_within_a_frame_is_a_reset() {
    let _shared = among_others();
    let (address, server) = peer::serve(|peer| {
        peer.accept_and(&text("1"));
        assert_eq!(peer.hear().unwrap().0, 1, "the client has read the message");
        peer.say(&frame(0x82, &[0; 1000])[..500]);
        peer.reset();
    });
    let script = vec![receive(None, SECOND), send_text("go"), hold(5 * SECOND)];
    let measured = run(once(address, vec![session(socket("/", script))]));
    server.join().unwrap();
    assert_eq!((measured.sessions(), measured.metric(RECEIVED).sum), ((0, 1, 0), 1));
    let (class, _, example) = measured.failure();
    assert_eq!(class, ErrorClass::Reset);
    assert!(example.contains("script[2] hold: no close frame (1006)"), "{example}");
}

#[test]
fn a_server_that_drips_is_read_all_the_same() {
    let _shared = among_others();
    let (address, server) = peer::serve(|peer| {
        let head = peer.acceptance();
        let talk = [frame(0x01, b"\"dr"), frame(0x89, b"p"), frame(0x80, b"ip\""), text("\"end\"")].concat();
        drip(peer, &[head, talk].concat());
        let pong = peer.hear();
        let code = peer.hear_close();
        drip(peer, &closing(1000));
        (pong, code)
    });
    let script = vec![
        receive(Some("message == 'drip'"), 10 * SECOND),
        receive(Some("message == 'end'"), SECOND),
        close(1000),
    ];
    let measured = run(once(address, vec![session(socket("/", script))]));
    assert_eq!(server.join().unwrap(), (Some((10, b"p".to_vec())), Some(1000)));
    assert_eq!(measured.sessions(), (1, 0, 0), "{:?}", measured.snapshot.failures);
}

/// Byte by byte, each in a segment of its own as far as the kernel lets it be.
fn drip(peer: &mut Peer, bytes: &[u8]) {
    for byte in bytes {
        peer.say(std::slice::from_ref(byte));
        std::thread::yield_now();
    }
}

#[test]
fn an_answer_that_does_not_agree_with_the_handshake_is_no_session() {
    let _shared = among_others();
    for (from, to, told) in [
        ("Sec-WebSocket-Accept: ", "Sec-WebSocket-Accept: x", "sec-websocket-accept"),
        ("Upgrade: websocket", "Upgrade: h2c", "upgrade: websocket"),
        ("HTTP/1.1", "SSH-2.0", "not an HTTP/1.1 response"),
    ] {
        let (address, server) = peer::serve(move |peer| {
            let head = String::from_utf8(peer.acceptance()).unwrap().replace(from, to);
            peer.say(head.as_bytes());
            assert_eq!(peer.hear(), None, "nothing is said on it");
        });
        let measured = run(once(address, vec![session(socket("/", vec![send_text("x")]))]));
        server.join().unwrap();
        assert_eq!((measured.sessions(), measured.counts().incomplete), ((0, 0, 0), 1), "{told}");
        let (class, status, example) = measured.failure();
        assert_eq!((class, status), (ErrorClass::Protocol, None), "{told}");
        assert!(example.contains(told), "{example}");
    }
}

#[test]
fn a_handshake_without_an_answer_times_out() {
    let _shared = among_others();
    let (address, server) = peer::serve(|peer| peer.hear());
    let mut step = socket("/", vec![send_text("x")]);
    step.handshake.timeout = 150 * MILLI;
    let measured = run(once(address, vec![session(step)]));
    assert_eq!(server.join().unwrap(), None);
    let (class, status, example) = measured.failure();
    assert_eq!((class, status), (ErrorClass::Timeout, None));
    assert!(example.contains("within 150ms"), "{example}");
}

#[test]
fn a_server_that_never_stops_talking_stops_neither_the_clock_nor_the_script() {
    let _shared = among_others();
    let flood = text("{\"n\": 1}").repeat(1000);
    let (address, server) = peer::serve(move |peer| {
        peer.accept_and(&[]);
        peer.stream.set_nonblocking(false).unwrap();
        let mut clone = peer.stream.try_clone().unwrap();
        let writer =
            std::thread::spawn(move || while std::io::Write::write_all(&mut clone, &flood).is_ok() {});
        let code = peer.hear_close();
        let _ = peer.stream.shutdown(std::net::Shutdown::Both);
        writer.join().unwrap();
        code
    });
    let script = vec![
        hold(300 * MILLI),
        WebSocketAction::Receive {
            until: Some(condition("message.n == 2")),
            within: 200 * MILLI,
            optional: true,
            reading: reading(None, Some("message.n == 1")),
            captures: vec![],
        },
    ];
    let measured = run(once(address, vec![session(socket("/", script))]));
    assert_eq!((server.join().unwrap(), measured.sessions()), (Some(1000), (1, 0, 0)));
    assert!(measured.metric(RECEIVED).sum > 1000);
    assert!(measured.metric(CHECK).good > 0);
}
