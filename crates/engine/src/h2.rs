//! HTTP/2 over the `h2` crate: one task per connection moves its frames, users open streams. Connections come from `pool.rs`.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderName, HeaderValue, Request, Response, Uri};
use plimsoll_measure::ErrorClass;
use plimsoll_scenario::Parts;

use crate::fault::Fault;
use crate::flight::Flight;
use crate::h1::{Broken, Expecting, Head, Headers};
use crate::io::Io;
use crate::keep::Keep;

/// Large enough that flow control never slows a response that is being drained.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 64 << 20;

/// An open connection.
#[derive(Debug)]
pub(crate) struct H2 {
    send: SendRequest<Bytes>,
    closed: Rc<Cell<bool>>,
}

impl H2 {
    /// Speaks the preface and leaves the connection to a task of its own. Does not wait for the server's settings.
    pub(crate) async fn open(io: Io) -> Result<Self, h2::Error> {
        let mut builder = Builder::new();
        builder
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .enable_push(false);
        let (send, connection) = builder.handshake::<_, Bytes>(io).await?;
        let closed = Rc::new(Cell::new(false));
        let mark = Rc::clone(&closed);
        tokio::task::spawn_local(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an HTTP/2 connection ended");
            }
            mark.set(true);
        });
        Ok(Self { send, closed })
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Marks it as not to be used for new streams.
    pub(crate) fn retire(&self) {
        self.closed.set(true);
    }

    /// Streams that the server allows at once.
    pub(crate) fn capacity(&self) -> usize {
        self.send.current_max_send_streams()
    }
}

/// Requests without a body that are the same every time, by their ordinal: made once per core, not once per stream. Holds secrets; its
/// `Debug` form does not show them.
#[derive(Default)]
pub(crate) struct Repeated(RefCell<Vec<Option<Request<()>>>>);

impl Repeated {
    /// A copy of a request that was kept.
    pub(crate) fn get(&self, ordinal: usize) -> Option<Request<()>> {
        self.0.borrow().get(ordinal)?.clone()
    }

    /// Keeps a copy.
    pub(crate) fn keep(&self, ordinal: usize, request: &Request<()>) {
        let mut kept = self.0.borrow_mut();
        if kept.len() <= ordinal {
            kept.resize(ordinal + 1, None);
        }
        kept[ordinal] = Some(request.clone());
    }
}

impl fmt::Debug for Repeated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repeated").finish_non_exhaustive()
    }
}

/// Sends a request with its body on a stream of its own and reads the response to its end; of its body is kept what `keep` asks for.
/// Returns the head and the time of the end.
pub(crate) async fn exchange(
    connection: &H2,
    (request, body): (Request<()>, &[u8]),
    expecting: Expecting,
    keep: &mut Keep<'_>,
    flight: &mut Flight<'_>,
) -> Result<(Head, u64), Broken> {
    let response = send(connection, (request, body), flight).await?;
    let head = head_of(&response, expecting);
    read(connection, head.status, response.into_body(), keep, flight).await?;
    Ok((head, flight.core().clock.now()))
}

/// Sends a request with its body on a stream of its own; returns when the head of the response is there.
pub(crate) async fn send(
    connection: &H2,
    (request, body): (Request<()>, &[u8]),
    flight: &mut Flight<'_>,
) -> Result<Response<RecvStream>, Broken> {
    let core = flight.core();
    let Ok(mut send) = connection.send.clone().ready().await else {
        connection.retire();
        return Err(Broken::Unsent);
    };
    let now = core.clock.now();
    let Ok((mut response, stream)) = send.send_request(request, body.is_empty()) else {
        connection.retire();
        return Err(Broken::Unsent);
    };
    flight.sent(now);
    flight.written(now);
    let mut upload = pin!(upload(stream, body));
    let mut uploading = !body.is_empty();
    // The server may answer before it has read the whole body.
    let response = poll_fn(|cx| {
        if uploading && upload.as_mut().poll(cx).is_ready() {
            uploading = false;
            flight.written(core.clock.now());
        }
        Pin::new(&mut response).poll(cx)
    })
    .await;
    let response = response.map_err(|error| lost(connection, &error))?;
    flight.read(|| core.clock.now(), 0);
    Ok(response)
}

/// The head of a request in the form of HTTP/2.
pub(crate) fn request(parts: &Parts<'_>) -> Result<Request<()>, Broken> {
    const UNFIT: Fault = Fault::new(
        ErrorClass::Protocol,
        "the request cannot be said in HTTP/2: its method, path or a header",
    );
    head(parts).ok_or(Broken::Lost(UNFIT))
}

fn head(parts: &Parts<'_>) -> Option<Request<()>> {
    let uri = Uri::builder()
        .scheme(&*parts.scheme)
        .authority(&*parts.authority)
        .path_and_query(&*parts.target)
        .build()
        .ok()?;
    let mut request = Request::new(());
    *request.method_mut() = parts.method.parse().ok()?;
    *request.uri_mut() = uri;
    *request.version_mut() = http::Version::HTTP_2;
    for (name, value) in parts.for_h2() {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        request.headers_mut().append(name, HeaderValue::from_bytes(value).ok()?);
    }
    Some(request)
}

/// Ends early without a word if the stream does: the response, or its absence, says why.
async fn upload(mut stream: SendStream<Bytes>, body: &[u8]) {
    let mut left = Bytes::copy_from_slice(body);
    while !left.is_empty() {
        stream.reserve_capacity(left.len());
        let Some(Ok(capacity)) = poll_fn(|cx| stream.poll_capacity(cx)).await else { return };
        let piece = left.split_to(capacity.min(left.len()));
        if stream.send_data(piece, left.is_empty()).is_err() {
            return;
        }
    }
}

fn head_of(response: &Response<RecvStream>, expecting: Expecting) -> Head {
    let location = if expecting.location && response.status().is_redirection() {
        response.headers().get(http::header::LOCATION).and_then(|value| value.to_str().ok()).map(Box::from)
    } else {
        None
    };
    let headers = if expecting.headers { headers_of(response.headers()) } else { Headers::new() };
    Head { status: response.status().as_u16(), keep_alive: true, location, headers }
}

/// Header lines in the form that HTTP/1.1 gives them.
pub(crate) fn headers_of(headers: &http::HeaderMap) -> Headers {
    let kept = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    headers.iter().map(kept).collect()
}

async fn read(
    connection: &H2,
    status: u16,
    mut body: RecvStream,
    keep: &mut Keep<'_>,
    flight: &mut Flight<'_>,
) -> Result<(), Broken> {
    while let Some(piece) = body.data().await {
        let piece = piece.map_err(|error| lost(connection, &error))?;
        flight.read(|| 0, piece.len());
        keep.take(status, &piece).map_err(Broken::Lost)?;
        body.flow_control().release_capacity(piece.len()).map_err(|error| lost(connection, &error))?;
    }
    Ok(())
}

/// A breach found here is the protocol's; a stream or connection that the peer or the network ended is a reset.
pub(crate) fn lost(connection: &H2, error: &h2::Error) -> Broken {
    if error.is_io() || error.is_go_away() {
        connection.retire();
    }
    let class = if error.is_library() { ErrorClass::Protocol } else { ErrorClass::Reset };
    Broken::Lost(Fault::told(class, error))
}
