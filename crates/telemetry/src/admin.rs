//! What only somebody inside of the pod may ask of a process, over HTTP on loopback: `GET /log` says what is logged, `PUT /log` with a filter
//! as its body changes it. In a cluster `kubectl port-forward` leads there, so that the right to forward ports is the right to do this.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::log::Level;

/// An address that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Others could reach it.
    #[error("{0} is not a loopback address: whoever reaches it may change the log; use e.g. 127.0.0.1:6060")]
    Open(SocketAddr),
    /// It cannot be listened on.
    #[error("listen on {0}: {1}; choose another port")]
    Listen(SocketAddr, #[source] std::io::Error),
}

/// Listens on a loopback address.
///
/// # Errors
/// If the address is not one, or cannot be listened on.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, AdminError> {
    if !address.ip().is_loopback() {
        return Err(AdminError::Open(address));
    }
    TcpListener::bind(address).await.map_err(|error| AdminError::Listen(address, error))
}

/// Serves until the future is dropped.
///
/// # Errors
/// If the listener fails.
pub async fn serve(listener: TcpListener, level: Level) -> std::io::Result<()> {
    let routes = Router::new().route("/log", get(show).put(change)).with_state(level);
    axum::serve(listener, routes).await
}

async fn show(State(level): State<Level>) -> String {
    level.get() + "\n"
}

async fn change(State(level): State<Level>, body: String) -> (StatusCode, String) {
    match level.set(&body) {
        Ok(()) => (StatusCode::OK, level.get() + "\n"),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::log::{Format, start};

    async fn ask(address: SocketAddr, request: &str, body: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let length = body.len();
        let head = format!(
            "{request} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// The only test here that starts this process' log.
    #[tokio::test]
    async fn what_is_logged_is_changed_while_the_process_runs() {
        let level = start("warn", Format::Json, None).unwrap();
        let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(serve(listener, level));
        assert!(ask(address, "GET /log", "").await.ends_with("\r\n\r\nwarn\n"));
        assert!(!tracing::enabled!(target: "plimsoll_test", tracing::Level::DEBUG));
        let answer = ask(address, "PUT /log", "info,plimsoll_test=debug\n").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(tracing::enabled!(target: "plimsoll_test", tracing::Level::DEBUG));
        assert!(!tracing::enabled!(target: "other", tracing::Level::DEBUG));
        let answer = ask(address, "PUT /log", "plimsoll=loud").await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("use e.g. info"), "{answer}");
        assert!(ask(address, "GET /log", "").await.ends_with("\r\n\r\ninfo,plimsoll_test=debug\n"));
        serving.abort();
    }

    #[tokio::test]
    async fn only_loopback_is_listened_on() {
        let error = listen("0.0.0.0:0".parse().unwrap()).await.unwrap_err();
        assert!(error.to_string().contains("not a loopback address"), "{error}");
    }
}
