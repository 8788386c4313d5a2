//! One connection from its acceptance: the TLS handshake if it has one, the choice of the protocol, and serving.

use std::io;
use std::rc::Rc;

use rustls::HandshakeKind;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;

use crate::acceptor::Accepted;
use crate::core::Core;
use crate::transport::{Rewound, Transport};
use crate::{http1, http2};

/// What an HTTP/2 client sends first (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Serves a connection to its end. Its errors are the client's business, who sees them as well.
pub(crate) async fn serve(core: Rc<Core>, accepted: Accepted) {
    let _open = core.server.ledger.connect();
    // An error ends this connection and no other: a client that went away, or one that speaks no HTTP.
    let _ = try_serve(&core, accepted).await;
}

async fn try_serve(core: &Rc<Core>, accepted: Accepted) -> io::Result<()> {
    let stream = TcpStream::from_std(accepted.stream)?;
    stream.set_nodelay(true)?;
    let peer = stream.peer_addr()?.ip();
    match accepted.tls {
        Some(acceptor) => {
            let stream = acceptor.accept(stream).await?;
            if stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed) {
                core.server.ledger.resume();
            }
            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                return http2::serve(core, stream, peer).await.map_err(io::Error::other);
            }
            by_preface(core, stream).await
        }
        None => by_preface(core, stream).await,
    }
}

async fn by_preface<T: Transport>(core: &Rc<Core>, mut stream: T) -> io::Result<()> {
    if !core.server.http2 {
        return http1::serve(core, stream, Vec::new()).await;
    }
    let first = read_ahead(&mut stream).await?;
    if first.starts_with(PREFACE) {
        let peer = stream.tcp().peer_addr()?.ip();
        let stream = Rewound { first, at: 0, stream };
        return http2::serve(core, stream, peer).await.map_err(io::Error::other);
    }
    http1::serve(core, stream, first).await
}

/// Reads until the first bytes are the preface or are not its beginning.
async fn read_ahead(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut first = Vec::with_capacity(4096);
    while first.len() < PREFACE.len() && PREFACE.starts_with(&first) {
        if stream.read_buf(&mut first).await? == 0 {
            break;
        }
    }
    Ok(first)
}
