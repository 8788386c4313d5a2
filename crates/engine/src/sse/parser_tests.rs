//! The parser against the standard's examples and any cut of any stream.

use proptest::prelude::*;

use super::*;

/// [`Item`], kept; `None` is a comment.
type Kept = Option<(String, String, String)>;

fn read(pieces: &[&[u8]]) -> Result<(Vec<Kept>, Parser), TooLong> {
    let (mut parser, spares, mut all) = (Parser::default(), Spares::default(), Vec::new());
    for piece in pieces {
        let used = parser.feed(piece, &spares, |item| {
            all.push(match item {
                Item::Comment => None,
                Item::Event { event, data, id } => Some((event.into(), data.into(), id.into())),
            });
            ControlFlow::Continue(())
        })?;
        assert_eq!(used, piece.len());
    }
    Ok((all, parser))
}

fn whole(text: &str) -> Vec<Kept> {
    read(&[text.as_bytes()]).unwrap().0
}

fn event(event: &str, data: &str, id: &str) -> Kept {
    Some((event.into(), data.into(), id.into()))
}

#[test]
fn the_examples_of_the_standard() {
    assert_eq!(whole("data: YHOO\ndata: +2\ndata: 10\n\n"), [event("message", "YHOO\n+2\n10", "")]);
    let stream =
        ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n";
    let expected = [
        None,
        event("message", "first event", "1"),
        event("message", "second event", ""),
        event("message", " third event", ""),
    ];
    assert_eq!(whole(stream), expected);
    // The last block has no empty line after it: discarded.
    assert_eq!(whole("data\n\ndata\ndata\n\ndata:"), [event("message", "", ""), event("message", "\n", "")]);
    assert_eq!(
        whole("data:test\n\ndata: test\n\n"),
        [event("message", "test", ""), event("message", "test", "")]
    );
}

#[test]
fn types_do_not_outlive_their_event_and_ids_do() {
    let stream = "event: add\ndata: 73857293\nid: 7\n\nevent: gone\n\ndata: x\n\n";
    assert_eq!(whole(stream), [event("add", "73857293", "7"), event("message", "x", "7")]);
    assert_eq!(whole("id: a\0b\ndata: x\n\n"), [event("message", "x", "")]);
    assert_eq!(whole("event: a\nevent: b\ndata: x\nretry: 10\nother: y\n\n"), [event("b", "x", "")]);
}

#[test]
fn every_line_end_counts_and_the_mark_only_at_the_beginning() {
    assert_eq!(
        whole("data: 1\r\n\r\ndata: 2\r\rdata: 3\n\n:\r\n"),
        [event("message", "1", ""), event("message", "2", ""), event("message", "3", ""), None]
    );
    assert_eq!(whole("\u{feff}data: 1\n\n\u{feff}data: 2\n\n"), [event("message", "1", "")]);
}

#[test]
fn a_cr_ends_an_event_without_waiting_for_more() {
    let (mut parser, spares, mut count) = (Parser::default(), Spares::default(), 0);
    parser
        .feed(b"data: 1\r\n\r", &spares, |_| {
            count += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(count, 1);
}

#[test]
fn breaking_off_leaves_the_rest_to_the_next_call() {
    let (mut parser, spares) = (Parser::default(), Spares::default());
    let stream = b"data: 1\n\n: c\ndata: 2\n\n";
    let (mut at, mut stops) = (0, Vec::new());
    while at < stream.len() {
        at += parser.feed(&stream[at..], &spares, |_| ControlFlow::Break(())).unwrap();
        stops.push(at);
    }
    assert_eq!(stops, [9, 13, stream.len()]);
}

#[test]
fn what_is_not_utf8_is_replaced_and_what_is_too_long_refused() {
    let (all, _) = read(&[b"data: a\xffb\n\n"]).unwrap();
    assert_eq!(all, [event("message", "a\u{fffd}b", "")]);
    let most = format!("data:{}\n\n", "x".repeat(MAX_EVENT - 5));
    assert_eq!(whole(&most).len(), 1);
    assert_eq!(read(&[&[b'x'; MAX_EVENT], b"x"]).unwrap_err(), TooLong);
    let lines = format!("data:{}\n", "x".repeat(1000)).repeat(1100);
    assert_eq!(read(&[lines.as_bytes()]).unwrap_err(), TooLong);
}

#[test]
fn an_idle_parser_holds_only_the_last_id() {
    let (_, parser) = read(&[b"da", b"ta: 1\nid: 5\neve", b"nt: x\n\n: beat\n"]).unwrap();
    assert_eq!((parser.line.capacity(), parser.data.capacity(), parser.event.capacity()), (0, 0, 0));
    assert_eq!(parser.id, b"5");
}

fn a_line_end() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("\n"), Just("\r\n"), Just("\r")]
}

proptest! {
    /// Events and comments with any line ends, cut anywhere.
    #[test]
    fn any_cut_of_any_stream_gives_the_same_events(
        events in prop::collection::vec(
            ("[a-z€]{0,6}", prop::collection::vec("[ a-z:€]{0,12}", 1..4), any::<bool>(), a_line_end()), 0..8),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..24),
    ) {
        let (mut bytes, mut expected) = (String::new(), Vec::new());
        for (name, lines, beat, end) in events {
            if beat {
                bytes += &format!(":{name}{end}");
                expected.push(None);
            }
            bytes += &format!("event: {name}{end}");
            for line in &lines {
                bytes += &format!("data: {line}{end}");
            }
            bytes += end;
            expected.push(event(if name.is_empty() { "message" } else { &name }, &lines.join("\n"), ""));
        }
        let bytes = bytes.as_bytes();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(read(&pieces).unwrap().0, expected);
    }

    #[test]
    fn garbage_is_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let singly: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(read(&[&bytes]).unwrap().0, read(&singly).unwrap().0);
    }
}
