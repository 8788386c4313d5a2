//! Accepts connections on one thread and deals them to the serving threads in turn, so that few connections
//! spread evenly as well. The other side is `core.rs`.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// A connection and how it is to be served.
pub(crate) struct Accepted {
    pub(crate) stream: TcpStream,
    pub(crate) tls: Option<TlsAcceptor>,
}

/// One address that is listened on.
pub(crate) struct Door {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<TlsAcceptor>,
}

/// Makes the listeners part of the runtime it is called in; the future accepts at all of them until the server
/// stops.
pub(crate) fn start(
    doors: Vec<Door>,
    cores: &Arc<[mpsc::UnboundedSender<Accepted>]>,
    stop: &watch::Receiver<Option<Duration>>,
) -> io::Result<impl Future<Output = ()> + use<>> {
    let mut tasks = JoinSet::new();
    for door in doors {
        let listener = tokio::net::TcpListener::from_std(door.listener)?;
        tasks.spawn_local(accept(listener, door.tls, cores.clone(), stop.clone()));
    }
    Ok(async move { while tasks.join_next().await.is_some() {} })
}

async fn accept(
    listener: tokio::net::TcpListener,
    tls: Option<TlsAcceptor>,
    cores: Arc<[mpsc::UnboundedSender<Accepted>]>,
    mut stop: watch::Receiver<Option<Duration>>,
) {
    let mut turn = cores.iter().cycle();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(Option::is_some) => return,
        };
        match accepted.and_then(|(stream, _)| stream.into_std()) {
            Ok(stream) => {
                let sent = turn.next().map(|core| core.send(Accepted { stream, tls: tls.clone() }));
                if !matches!(sent, Some(Ok(()))) {
                    return;
                }
            }
            // Out of descriptors, most likely, or a client that is gone already: the next try may do.
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}
