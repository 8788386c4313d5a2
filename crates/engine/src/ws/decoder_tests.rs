//! The decoder against the RFC's examples, every breach, and any cut of any sequence of frames.

use proptest::prelude::*;

use super::*;

/// [`Incoming`], kept.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

fn said(incoming: Incoming<'_>) -> Said {
    match incoming {
        Incoming::Text(text) => Said::Text(text.into()),
        Incoming::Binary(bytes) => Said::Binary(bytes.into()),
        Incoming::Ping(bytes) => Said::Ping(bytes.into()),
        Incoming::Pong(bytes) => Said::Pong(bytes.into()),
        Incoming::Close(code, reason) => Said::Close(code, reason.into()),
    }
}

fn read(pieces: &[&[u8]]) -> Result<(Vec<Said>, Decoder), Breach> {
    let (mut decoder, mut all) = (Decoder::default(), Vec::new());
    for piece in pieces {
        let used = decoder.feed(piece, &Spares::default(), |incoming| {
            all.push(said(incoming));
            ControlFlow::Continue(())
        })?;
        assert_eq!(used, piece.len());
    }
    Ok((all, decoder))
}

fn whole(bytes: &[u8]) -> Result<Vec<Said>, Breach> {
    read(&[bytes]).map(|(all, _)| all)
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
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

#[test]
fn the_unmasked_examples_of_the_rfc() {
    let hello = || vec![Said::Text("Hello".into())];
    assert_eq!(whole(&[0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]), Ok(hello()));
    assert_eq!(whole(&[0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f]), Ok(hello()));
    assert_eq!(whole(&[0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]), Ok(vec![Said::Ping(b"Hello".into())]));
    let mut middle = vec![0x82, 0x7e, 0x01, 0x00];
    middle.extend([7; 256]);
    assert_eq!(whole(&middle), Ok(vec![Said::Binary(vec![7; 256])]));
    let mut long = vec![0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0];
    long.extend([9; 65_536]);
    assert_eq!(whole(&long), Ok(vec![Said::Binary(vec![9; 65_536])]));
}

#[test]
fn control_frames_may_come_between_fragments() {
    let parts =
        [frame(0x01, b"Hel"), frame(0x89, b"1"), frame(0x00, b""), frame(0x8a, b""), frame(0x80, b"lo")];
    let expected = vec![Said::Ping(b"1".into()), Said::Pong(vec![]), Said::Text("Hello".into())];
    assert_eq!(whole(&parts.concat()), Ok(expected));
}

#[test]
fn a_character_may_be_split_between_fragments_but_not_at_the_end() {
    let euro = "€".as_bytes();
    let parts = [frame(0x01, &euro[..1]), frame(0x80, &euro[1..])];
    assert_eq!(whole(&parts.concat()), Ok(vec![Said::Text("€".into())]));
    assert_eq!(whole(&frame(0x81, &euro[..2])), Err(NOT_TEXT));
    assert_eq!(whole(&frame(0x82, &euro[..2])), Ok(vec![Said::Binary(euro[..2].into())]));
}

#[test]
fn close_frames_have_a_code_or_none() {
    assert_eq!(whole(&[0x88, 0]), Ok(vec![Said::Close(None, String::new())]));
    let bye = frame(0x88, &[&4001_u16.to_be_bytes(), "bad token".as_bytes()].concat());
    assert_eq!(whole(&bye), Ok(vec![Said::Close(Some(4001), "bad token".into())]));
    for code in [0, 999, 1004, 1005, 1006, 1015, 1100, 2999, 5000, 65_535_u16] {
        let error = whole(&frame(0x88, &code.to_be_bytes())).unwrap_err();
        assert_eq!(error.code, 1002, "{code}");
    }
    assert_eq!(whole(&[0x88, 1, 3]).unwrap_err().code, 1002);
    assert_eq!(whole(&frame(0x88, &[0x03, 0xe8, 0xff])).unwrap_err().code, 1007);
}

#[test]
fn breaches_are_told_apart() {
    let reason = |bytes: &[u8]| {
        let breach = whole(bytes).unwrap_err();
        assert_eq!(breach.code, 1002);
        breach.reason
    };
    assert!(reason(&[0xc1, 0]).contains("reserved bit"));
    assert!(reason(&[0x83, 0]).contains("reserved opcode"));
    assert!(reason(&[0x81, 0x80]).contains("masked"));
    assert!(reason(&[0x80, 0]).contains("continues no message"));
    assert!(reason(&[0x01, 0, 0x81, 0]).contains("within another"));
    assert!(reason(&[0x09, 0]).contains("fragmented"));
    assert!(reason(&[0x89, 126, 0, 126]).contains("125"));
    assert!(reason(&[0x82, 126, 0, 125]).contains("shortest"));
    assert!(reason(&[0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff]).contains("shortest"));
    assert!(reason(&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]).contains("shortest"));
    assert!(reason(b"HTTP/1.1 400 Bad Request").contains("reserved"));
}

#[test]
fn a_message_over_the_limit_is_refused_by_its_head() {
    let limit = MAX_MESSAGE as u64;
    let head = |first: u8, length: u64| [&[first, 127], length.to_be_bytes().as_slice()].concat();
    assert_eq!(whole(&head(0x82, limit + 1)), Err(TOO_BIG));
    assert_eq!(whole(&head(0x82, u64::MAX >> 1)), Err(TOO_BIG));
    let most = frame(0x82, &vec![0; MAX_MESSAGE]);
    assert_eq!(whole(&most).unwrap().len(), 1);
    let mut in_two = frame(0x02, &vec![0; MAX_MESSAGE]);
    in_two.extend([0x80, 1]);
    assert_eq!(whole(&in_two), Err(TOO_BIG));
}

#[test]
fn breaking_off_leaves_the_rest_to_the_next_call() {
    let bytes = [frame(0x81, b"one"), frame(0x81, b"two"), frame(0x81, b"three")].concat();
    let (mut decoder, spares, mut all) = (Decoder::default(), Spares::default(), Vec::new());
    let mut at = 0;
    while at < bytes.len() {
        at += decoder
            .feed(&bytes[at..], &spares, |incoming| {
                all.push((at, said(incoming)));
                ControlFlow::Break(())
            })
            .unwrap();
    }
    let text = |text: &str| Said::Text(text.into());
    assert_eq!(all, [(0, text("one")), (5, text("two")), (10, text("three"))]);
}

#[test]
fn an_idle_decoder_is_small_and_holds_no_buffer() {
    let bytes = [frame(0x01, b"a"), frame(0x80, b"b")].concat();
    let (all, decoder) = read(&[&bytes[..2], &bytes[2..4], &bytes[4..]]).unwrap();
    assert_eq!(all, [Said::Text("ab".into())]);
    assert!(decoder.is_idle());
    assert!(size_of::<Decoder>() <= 96, "{}", size_of::<Decoder>());
}

fn a_message() -> impl Strategy<Value = (Vec<Vec<u8>>, Said)> {
    let text = proptest::string::string_regex("[a-z€𝄞]{0,60}").unwrap();
    let fragments = |first: u8, bytes: Vec<u8>, cuts: Vec<prop::sample::Index>| {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let last = cuts.len() - 2;
        let piece = |at: usize| {
            let opcode = if at == 0 { first } else { 0 };
            frame(if at == last { 0x80 | opcode } else { opcode }, &bytes[cuts[at]..cuts[at + 1]])
        };
        (0..=last).map(piece).collect::<Vec<_>>()
    };
    let cuts = || prop::collection::vec(any::<prop::sample::Index>(), 0..4);
    let bytes = prop::collection::vec(any::<u8>(), 0..300);
    prop_oneof![
        (text, cuts()).prop_map(move |(text, cuts)| {
            (fragments(1, text.clone().into_bytes(), cuts), Said::Text(text))
        }),
        (bytes, cuts())
            .prop_map(move |(bytes, cuts)| (fragments(2, bytes.clone(), cuts), Said::Binary(bytes))),
    ]
}

proptest! {
    /// Messages in fragments, pings strewn between them, the whole in pieces cut anywhere: what comes out is what went in.
    #[test]
    fn any_cut_of_any_sequence_gives_the_same_messages(
        messages in prop::collection::vec((a_message(), prop::option::of(prop::collection::vec(any::<u8>(), 0..126))), 0..8),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for ((mut fragments, message), ping) in messages {
            if let Some(ping) = ping {
                let place = fragments.len() / 2;
                fragments.insert(place, frame(0x89, &ping));
                expected.push(Said::Ping(ping));
            }
            expected.push(message);
            bytes.extend(fragments.concat());
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        let (all, decoder) = read(&pieces).unwrap();
        prop_assert_eq!(all, expected);
        prop_assert!(decoder.is_idle());
    }

    #[test]
    fn garbage_is_refused_or_read_but_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let together = whole(&bytes);
        let singly: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(together.is_ok(), read(&singly).is_ok());
    }
}
