//! A WebSocket client for the tests, by an implementation that is not the server's.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::net::SocketAddr;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

/// How anything may take before a test fails.
const LIMIT: Duration = Duration::from_secs(20);

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// What a client reads next.
#[derive(Debug, PartialEq)]
pub enum Read {
    Text(String),
    Binary(Vec<u8>),
    Pong(Vec<u8>),
    /// A close frame with its code; 1005 without one.
    Closed(u16),
    /// The end of the connection without a close frame.
    Gone,
}

/// An open connection.
pub struct Socket {
    pub stream: WebSocketStream<TcpStream>,
    /// The server's number of it.
    pub number: u64,
}

/// The status of a refused handshake.
#[derive(Debug, PartialEq)]
pub struct Refused(pub u16);

impl Socket {
    pub async fn open(address: SocketAddr, path: &str) -> Result<Self, Refused> {
        Socket::open_with(address, path, &[]).await
    }

    pub async fn open_with(
        address: SocketAddr,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Refused> {
        let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let tcp = TcpStream::connect(address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        match timeout(LIMIT, client_async(request, tcp)).await.unwrap() {
            Ok((stream, response)) => {
                let number = response.headers()["x-socket"].to_str().unwrap().parse().unwrap();
                Ok(Socket { stream, number })
            }
            Err(Error::Http(response)) => Err(Refused(response.status().as_u16())),
            Err(error) => panic!("{error}"),
        }
    }

    pub async fn send(&mut self, message: &Value) {
        self.stream.send(Message::text(message.to_string())).await.unwrap();
    }

    pub async fn read(&mut self) -> Read {
        loop {
            match timeout(LIMIT, self.stream.next()).await.expect("nothing comes") {
                Some(Ok(Message::Text(text))) => return Read::Text(text.to_string()),
                Some(Ok(Message::Binary(bytes))) => return Read::Binary(bytes.to_vec()),
                Some(Ok(Message::Pong(bytes))) => return Read::Pong(bytes.to_vec()),
                Some(Ok(Message::Close(frame))) => {
                    return Read::Closed(frame.map_or(1005, |frame| frame.code.into()));
                }
                Some(Ok(Message::Ping(_) | Message::Frame(_))) => {}
                Some(Err(_)) | None => return Read::Gone,
            }
        }
    }

    /// Reads a message that has to be JSON.
    pub async fn json(&mut self) -> Value {
        match self.read().await {
            Read::Text(text) => serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}")),
            other => panic!("{other:?}"),
        }
    }

    /// Reads messages until one of this type, which is the last of the result.
    pub async fn until(&mut self, kind: &str) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            all.push(self.json().await);
            if all.last().is_some_and(|last| last["type"] == kind) {
                return all;
            }
        }
    }
}

/// One field of every message.
pub fn all<'a>(messages: &'a [Value], field: &str) -> Vec<&'a Value> {
    messages.iter().map(|message| &message[field]).collect()
}
