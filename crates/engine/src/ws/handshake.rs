//! What the handshake of a WebSocket says (RFC 6455 §4): the client's headers, and whether the server's answer agrees with them.
//! Pure; sent and read by `open.rs`.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use plimsoll_measure::ErrorClass;
use plimsoll_scenario::{Parts, Rng};
use ring::digest;

use crate::fault::Fault;

/// What a server appends to a key before it hashes it.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Headers that are the protocol's own; a step's are replaced.
const OWN: [&str; 5] =
    ["upgrade", "connection", "sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions"];

const PROTOCOL: &str = "sec-websocket-protocol";

/// What the server's answer must agree with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    /// What `sec-websocket-accept` must be.
    accept: String,
    subprotocols: Vec<String>,
}

/// Makes an upgrade of a request. Without `subprotocols` those of the step's own header are offered. No extension is.
pub(crate) fn offer(parts: &mut Parts<'_>, subprotocols: &[String], rng: &mut Rng) -> Offer {
    let mut nonce = [0; 16];
    nonce[..8].copy_from_slice(&rng.bits().to_le_bytes());
    nonce[8..].copy_from_slice(&rng.bits().to_le_bytes());
    offer_key(parts, subprotocols, STANDARD.encode(nonce))
}

fn offer_key(parts: &mut Parts<'_>, subprotocols: &[String], key: String) -> Offer {
    let mut subprotocols = subprotocols.to_vec();
    parts.headers.retain(|(name, value)| {
        if &**name == PROTOCOL && subprotocols.is_empty() {
            subprotocols.extend(tokens(&String::from_utf8_lossy(value)).map(str::to_owned));
        }
        &**name != PROTOCOL && !OWN.contains(&&**name)
    });
    let accept = accept(&key);
    let mut add = |name: &'static str, value: Vec<u8>| {
        parts.headers.push((Cow::Borrowed(name), Cow::Owned(value)));
    };
    add("upgrade", b"websocket".to_vec());
    add("connection", b"Upgrade".to_vec());
    add("sec-websocket-key", key.into_bytes());
    add("sec-websocket-version", b"13".to_vec());
    if !subprotocols.is_empty() {
        add(PROTOCOL, subprotocols.join(", ").into_bytes());
    }
    Offer { accept, subprotocols }
}

fn accept(key: &str) -> String {
    let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key.as_bytes());
    hash.update(GUID);
    STANDARD.encode(hash.finish())
}

/// Whether an answer of status 101 agrees with the offer; names are in lower case.
pub(crate) fn agree(offer: &Offer, headers: &[(String, String)]) -> Result<(), Fault> {
    let has = |name, wanted| all(headers, name).any(|token| token.eq_ignore_ascii_case(wanted));
    if !has("upgrade", "websocket") {
        return Err(breach("status 101 without `upgrade: websocket`"));
    }
    if !has("connection", "upgrade") {
        return Err(breach("status 101 without `connection: upgrade`"));
    }
    if !all(headers, "sec-websocket-accept").eq([offer.accept.as_str()]) {
        return Err(breach("status 101 whose sec-websocket-accept does not belong to this handshake"));
    }
    if let Some(extension) = all(headers, "sec-websocket-extensions").next() {
        return Err(told(format_args!("the server chose the extension {extension}; none was offered")));
    }
    let mut chosen = all(headers, PROTOCOL);
    match (chosen.next(), chosen.next()) {
        (None, _) => Ok(()),
        (Some(one), None) if offer.subprotocols.iter().any(|offered| offered == one) => Ok(()),
        (Some(one), _) => {
            Err(told(format_args!("the server chose the subprotocol {one}; it was not offered")))
        }
    }
}

/// All tokens of a header, however many lines it has.
fn all<'h>(headers: &'h [(String, String)], name: &'static str) -> impl Iterator<Item = &'h str> {
    headers.iter().filter(move |(n, _)| n == name).flat_map(|(_, value)| tokens(value))
}

fn breach(cause: &'static str) -> Fault {
    Fault::new(ErrorClass::Protocol, cause)
}

fn told(cause: std::fmt::Arguments<'_>) -> Fault {
    Fault::told(ErrorClass::Protocol, cause)
}

fn tokens(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(headers: &[(&'static str, &'static str)]) -> Parts<'static> {
        let headers = headers.iter().map(|(n, v)| (Cow::Borrowed(*n), Cow::Borrowed(v.as_bytes())));
        Parts {
            method: "GET".into(),
            scheme: "http".into(),
            authority: Cow::Borrowed(b"server.example.com"),
            target: Cow::Borrowed(b"/chat"),
            headers: headers.collect(),
            body: Cow::Borrowed(b""),
        }
    }

    fn offered(parts: &mut Parts<'_>, subprotocols: &[&str]) -> Offer {
        let subprotocols: Vec<String> = subprotocols.iter().map(|name| (*name).to_owned()).collect();
        offer_key(parts, &subprotocols, "dGhlIHNhbXBsZSBub25jZQ==".to_owned())
    }

    fn bytes(parts: &Parts<'_>) -> String {
        let mut out = Vec::new();
        parts.write_h1(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_example_of_the_rfc() {
        let mut request = parts(&[("origin", "http://example.com")]);
        let offer = offered(&mut request, &["chat", "superchat"]);
        let expected = "GET /chat HTTP/1.1\r\nhost: server.example.com\r\norigin: http://example.com\r\n\
            upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
            sec-websocket-version: 13\r\nsec-websocket-protocol: chat, superchat\r\n\r\n";
        assert_eq!(bytes(&request), expected);
        assert_eq!(offer.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn headers_of_the_protocol_are_its_own_but_subprotocols_may_be_a_header() {
        let mut request = parts(&[
            ("connection", "close"),
            ("sec-websocket-key", "mine"),
            ("sec-websocket-extensions", "permessage-deflate"),
            ("sec-websocket-protocol", "graphql-ws , v2"),
        ]);
        let offer = offered(&mut request, &[]);
        assert_eq!(offer.subprotocols, ["graphql-ws", "v2"]);
        let text = bytes(&request);
        assert!(!text.contains("mine") && !text.contains("deflate") && !text.contains("close"), "{text}");
        assert!(text.contains("sec-websocket-protocol: graphql-ws, v2\r\n"), "{text}");
    }

    #[test]
    fn keys_are_sixteen_random_bytes() {
        let key = |seed| {
            let mut request = parts(&[]);
            offer(&mut request, &[], &mut Rng::new(seed, plimsoll_scenario::Stream::Member, 0));
            let key = request.headers.iter().find(|(name, _)| name == "sec-websocket-key").unwrap();
            STANDARD.decode(&key.1).unwrap()
        };
        assert_eq!(key(1).len(), 16);
        assert_ne!(key(1), key(2));
    }

    type Change<'a> = &'a dyn Fn(&mut Vec<(&'static str, &'static str)>);

    #[test]
    fn an_answer_must_agree() {
        let offer = offered(&mut parts(&[]), &["chat"]);
        let good = [
            ("upgrade", "WebSocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ];
        let answer = |change: Change<'_>| {
            let mut headers = good.to_vec();
            change(&mut headers);
            let headers: Vec<_> = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            agree(&offer, &headers).map_err(|fault| {
                assert_eq!(fault.class, ErrorClass::Protocol);
                fault.cause.into_owned()
            })
        };
        assert_eq!(answer(&|_| {}), Ok(()));
        assert_eq!(answer(&|headers| headers.push((PROTOCOL, "chat"))), Ok(()));
        let fails = |wanted: &str, change: Change<'_>| {
            let cause = answer(change).unwrap_err();
            assert!(cause.contains(wanted), "{cause}");
        };
        fails("upgrade: websocket", &|headers| headers[0].1 = "h2c");
        fails("connection: upgrade", &|headers| headers[1].1 = "close");
        fails("accept", &|headers| headers[2].1 = "s3pplmbitxaq9kygzzhzrbk+xoo=");
        fails("accept", &|headers| headers.truncate(2));
        fails("permessage-deflate", &|h| h.push(("sec-websocket-extensions", "permessage-deflate")));
        fails("superchat", &|headers| headers.push((PROTOCOL, "superchat")));
        fails("chat", &|headers| headers.push((PROTOCOL, "chat, chat")));
    }
}
