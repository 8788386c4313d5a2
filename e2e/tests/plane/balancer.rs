//! A stand-in for the operator's Service: forwards each connection to the first of its backends that takes it, in turn.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpListener, TcpStream};

/// Listens until the runtime ends.
pub(crate) async fn balance(address: SocketAddr, backends: Vec<SocketAddr>) {
    let listener = TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move {
        let turn = AtomicUsize::new(0);
        while let Ok((mut inbound, _)) = listener.accept().await {
            let first = turn.fetch_add(1, Ordering::Relaxed);
            let backends = backends.clone();
            tokio::spawn(async move {
                for at in 0..backends.len() {
                    let backend = backends[(first + at) % backends.len()];
                    if let Ok(mut outbound) = TcpStream::connect(backend).await {
                        // An end of either side ends the other, which is all that a proxy can do.
                        let _ = tokio::io::copy_bidirectional(&mut inbound, &mut outbound).await;
                        return;
                    }
                }
            });
        }
    });
}
