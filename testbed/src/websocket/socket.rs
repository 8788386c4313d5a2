//! One WebSocket connection: frames put together to messages, control frames answered, and its end in order or not.
//! What is said on it is decided in `websocket.rs`.

use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::frame::{self, Frame, MAX_MESSAGE, Opcode};
use crate::core::Core;
use crate::streams::OpenStream;
use crate::transport::Transport;

/// How long the other side may take to answer a close frame.
const LINGER: Duration = Duration::from_secs(1);

/// Output after which a burst of messages is written before more are read.
const MAX_QUEUED: usize = 256 << 10;

/// A message of the client.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) is_text: bool,
    pub(super) payload: BytesMut,
}

/// What comes next on a connection.
#[derive(Debug)]
pub(super) enum Next {
    Message(Message),
    /// The time that was waited for.
    Due,
    /// The server stops.
    Stop,
    /// The connection is at its end; nothing is to be done.
    Ended,
}

/// A connection after its handshake.
pub(super) struct Socket<T> {
    pub(super) core: Rc<Core>,
    io: T,
    input: BytesMut,
    output: Vec<u8>,
    stream: OpenStream,
    /// The message whose last fragment is still to come.
    begun: Option<Message>,
}

impl<T: Transport> Socket<T> {
    /// A connection; `input` was read from it already.
    pub(super) fn new(core: Rc<Core>, io: T, input: &[u8], stream: OpenStream) -> Self {
        Socket { core, io, input: input.into(), output: Vec::new(), stream, begun: None }
    }

    /// The number under which the log knows the connection.
    pub(super) fn number(&self) -> u64 {
        self.stream.number
    }

    /// Messages sent so far.
    pub(super) fn sent_so_far(&self) -> u64 {
        self.stream.sent_so_far()
    }

    /// Waits for a message, at most until `due`. Control frames are answered on the way.
    pub(super) async fn next(&mut self, due: Option<Instant>) -> io::Result<Next> {
        loop {
            match frame::decode(&mut self.input) {
                Ok(Some(frame)) => {
                    if let Some(next) = self.take(frame).await? {
                        return Ok(next);
                    }
                    continue;
                }
                Ok(None) => {}
                Err(code) => return self.complain(code).await,
            }
            self.flush().await?;
            self.input.reserve(4096);
            let core = self.core.clone();
            let timed = async {
                match due {
                    Some(due) => core.answer_at(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                read = self.io.read_buf(&mut self.input) => match read {
                    Ok(0) | Err(_) => return Ok(Next::Ended),
                    Ok(_) => {}
                },
                () = timed => return Ok(Next::Due),
                () = core.drain_begins() => return Ok(Next::Stop),
            }
        }
    }

    /// Takes a frame; what comes next if that is decided by it.
    async fn take(&mut self, frame: Frame) -> io::Result<Option<Next>> {
        match frame.opcode {
            Opcode::Ping => {
                self.stream.ping();
                frame::encode(&mut self.output, Opcode::Pong, &frame.payload);
                Ok(None)
            }
            Opcode::Pong => Ok(None),
            Opcode::Close => match frame::close_code(&frame.payload) {
                Ok(code) => {
                    self.stream.closed(code);
                    let payload = if code == 1005 { Vec::new() } else { frame::close_payload(code, "") };
                    frame::encode(&mut self.output, Opcode::Close, &payload);
                    self.flush().await?;
                    self.io.shutdown().await?;
                    Ok(Some(Next::Ended))
                }
                Err(code) => self.complain(code).await.map(Some),
            },
            Opcode::Continuation => match self.begun.take() {
                Some(message) => self.grow(message, &frame).await,
                None => self.complain(1002).await.map(Some),
            },
            Opcode::Text | Opcode::Binary if self.begun.is_some() => self.complain(1002).await.map(Some),
            Opcode::Text | Opcode::Binary => {
                let message = Message { is_text: frame.opcode == Opcode::Text, payload: frame.payload };
                self.complete(message, frame.fin).await
            }
        }
    }

    async fn grow(&mut self, mut message: Message, frame: &Frame) -> io::Result<Option<Next>> {
        if message.payload.len() + frame.payload.len() > MAX_MESSAGE {
            return self.complain(1009).await.map(Some);
        }
        message.payload.extend_from_slice(&frame.payload);
        self.complete(message, frame.fin).await
    }

    async fn complete(&mut self, message: Message, fin: bool) -> io::Result<Option<Next>> {
        if !fin {
            self.begun = Some(message);
            return Ok(None);
        }
        if message.is_text && std::str::from_utf8(&message.payload).is_err() {
            return self.complain(1007).await.map(Some);
        }
        self.stream.read(message.payload.len(), Instant::now());
        Ok(Some(Next::Message(message)))
    }

    /// Ends the connection because of what the client sent.
    async fn complain(&mut self, code: u16) -> io::Result<Next> {
        self.close(code, "").await?;
        Ok(Next::Ended)
    }

    /// Queues a message that is counted as sent at this moment; it is written before the next wait at the latest.
    pub(super) async fn send(&mut self, is_text: bool, payload: &[u8], at: Instant) -> io::Result<()> {
        let opcode = if is_text { Opcode::Text } else { Opcode::Binary };
        frame::encode(&mut self.output, opcode, payload);
        self.stream.sent(payload.len(), at);
        if self.output.len() > MAX_QUEUED {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        self.io.write_all(&self.output).await?;
        self.io.flush().await?;
        self.output.clear();
        Ok(())
    }

    /// Sends a close frame, and waits for the client's end for a while.
    pub(super) async fn close(&mut self, code: u16, reason: &str) -> io::Result<()> {
        self.stream.closed(code);
        frame::encode(&mut self.output, Opcode::Close, &frame::close_payload(code, reason));
        self.flush().await?;
        self.io.shutdown().await?;
        let deadline = Instant::now() + LINGER;
        loop {
            self.input.clear();
            self.input.reserve(4096);
            let read = tokio::select! {
                read = self.io.read_buf(&mut self.input) => read?,
                () = self.core.timer.sleep_until(deadline) => 0,
            };
            if read == 0 {
                return Ok(());
            }
        }
    }

    /// Ends the connection without a close frame.
    pub(super) async fn vanish(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.io.shutdown().await
    }
}
