//! One attempt to reach the operator: name, TCP, TLS, hello, welcome. Repeated by `client.rs`; answered by `attend.rs`.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use tonic::{Request, Streaming};

use crate::proto::from_operator::Message as Say;
use crate::proto::from_worker::Message as Heard;
use crate::proto::session_client::SessionClient;
use crate::proto::{self, FromOperator, FromWorker};
use crate::wire::MAX_MESSAGE;
use crate::{HelloInfo, protocol};

/// Longest time for each step of one attempt.
const STEP: Duration = Duration::from_secs(4);
/// Messages to the operator that may wait; more than the outbox lets go at once.
const QUEUE: usize = 64;

/// Where the operator is and how both prove themselves.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Host and port; the host may be an address (IPv6 in brackets).
    pub address: String,
    /// CA that signed the operator's certificate, PEM.
    pub ca_pem: Vec<u8>,
    /// Name in the operator's certificate.
    pub server_name: String,
    /// File with this worker's token; read anew at each connect, since it is renewed.
    pub token_file: PathBuf,
    /// This machine's wall clock: `SystemTime::now`.
    pub wall: fn() -> SystemTime,
}

/// An open session.
pub(crate) struct Link {
    pub(crate) out: mpsc::Sender<FromWorker>,
    pub(crate) inbound: Streaming<FromOperator>,
    /// What the operator has of us.
    pub(crate) last_seq: u64,
    /// Round trips it wants.
    pub(crate) probes: u32,
}

/// Why there is no session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unreached {
    /// No answer; the text names what was seen and what is likely wrong.
    Silence(String),
    /// Another replica leads.
    Elsewhere(String),
    /// Not now.
    Later(String),
    /// Not at all.
    Refused(String),
    /// Nothing that another attempt could mend.
    Settings(String),
}

/// Tries once to open a session at `address`.
pub(crate) async fn reach(endpoint: &Endpoint, address: &str, hello: &HelloInfo) -> Result<Link, Unreached> {
    let token = token(endpoint)?;
    let (host, port) = split(address)?;
    let mut last = None;
    for ip in resolve(host).await? {
        match open(endpoint, SocketAddr::new(ip, port)).await {
            Ok(channel) => return attach(channel, hello, token).await,
            Err(silence) => last = Some(silence),
        }
    }
    Err(last.unwrap_or_else(|| Unreached::Silence(format!("{host} has no addresses"))))
}

fn token(endpoint: &Endpoint) -> Result<MetadataValue<Ascii>, Unreached> {
    let path = endpoint.token_file.display();
    let text = std::fs::read_to_string(&endpoint.token_file)
        .map_err(|error| Unreached::Settings(format!("cannot read the worker's token {path}: {error}")))?;
    let mut value = MetadataValue::try_from(format!("Bearer {}", text.trim()))
        .map_err(|_| Unreached::Settings(format!("{path} holds no token")))?;
    value.set_sensitive(true);
    Ok(value)
}

fn split(address: &str) -> Result<(&str, u16), Unreached> {
    let parts = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) =
        parts.ok_or_else(|| Unreached::Settings(format!("operator address {address} must be host:port")))?;
    Ok((host.trim_start_matches('[').trim_end_matches(']'), port))
}

/// Addresses of a host, without the C library's resolver, which a static binary cannot use.
async fn resolve(host: &str) -> Result<Vec<IpAddr>, Unreached> {
    if let Ok(ip) = host.parse() {
        return Ok(vec![ip]);
    }
    let hint = "is the operator's Service there, and may this pod reach the cluster's DNS?";
    let fail = |error: &dyn std::fmt::Display| {
        Unreached::Silence(format!("{host} does not resolve: {error}; {hint}"))
    };
    let builder = hickory_resolver::TokioResolver::builder_tokio().map_err(|error| fail(&error))?;
    let resolver = builder.build().map_err(|error| fail(&error))?;
    match tokio::time::timeout(STEP, resolver.lookup_ip(host)).await {
        Ok(Ok(found)) => Ok(found.iter().collect()),
        Ok(Err(error)) => Err(fail(&error)),
        Err(_) => Err(fail(&"no answer from DNS within 4s")),
    }
}

async fn open(endpoint: &Endpoint, at: SocketAddr) -> Result<Channel, Unreached> {
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&endpoint.ca_pem))
        .domain_name(&endpoint.server_name);
    let settings =
        |error| Unreached::Settings(format!("the operator's CA or name cannot be used: {}", chain(&error)));
    let channel = Channel::from_shared(format!("https://{at}"))
        .map_err(|error| Unreached::Settings(format!("operator address {at} is no address: {error}")))?
        .tls_config(tls)
        .map_err(settings)?
        .tcp_nodelay(true)
        .http2_keep_alive_interval(protocol::PING_EVERY)
        .keep_alive_timeout(protocol::PING_PATIENCE)
        .keep_alive_while_idle(true);
    match tokio::time::timeout(STEP, channel.connect()).await {
        Ok(Ok(channel)) => Ok(channel),
        Ok(Err(error)) => Err(Unreached::Silence(format!("{at}: {}", likely(&error)))),
        Err(_) => Err(Unreached::Silence(format!(
            "{at} does not answer; a NetworkPolicy may forbid egress from workers to the operator (`plimsoll render --network-policy` prints the rule)"
        ))),
    }
}

/// What was seen, with what is likely wrong.
fn likely(error: &tonic::transport::Error) -> String {
    let io = sources(error).find_map(|source| source.downcast_ref::<io::Error>());
    let hint = match io.map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => "the operator is not running or not ready",
        Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
            "there is no route to it; a NetworkPolicy or firewall may forbid it"
        }
        Some(io::ErrorKind::InvalidData) => {
            "it does not hold a certificate of the operator's CA; is the address that of the operator?"
        }
        _ => "the operator may be starting or ending",
    };
    format!("{}; {hint}", chain(error))
}

fn sources<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
}

/// The texts of an error and its sources, each once.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = sources(error).map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}

async fn attach(channel: Channel, hello: &HelloInfo, token: MetadataValue<Ascii>) -> Result<Link, Unreached> {
    let (out, queue) = mpsc::channel(QUEUE);
    let hello = proto::Hello {
        protocol: protocol::PROTOCOL,
        namespace: hello.run.namespace.clone(),
        run: hello.run.name.clone(),
        index: hello.index,
        pod_uid: hello.pod_uid.clone(),
        plan_hash: hello.plan_hash.clone(),
    };
    let silence =
        |text: String| Unreached::Silence(format!("{text}; the operator may be starting or ending"));
    let first = FromWorker { message: Some(Heard::Hello(hello)) };
    out.send(first).await.map_err(|_| silence("the session ended".to_owned()))?;
    let mut request = Request::new(ReceiverStream::new(queue));
    request.metadata_mut().insert("authorization", token);
    let mut client = SessionClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let answer = async {
        let mut inbound = client.attach(request).await?.into_inner();
        let first = inbound.message().await?;
        Ok::<_, tonic::Status>((first.and_then(|first| first.message), inbound))
    };
    let (first, inbound) = match tokio::time::timeout(STEP * 3, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(status)) => return Err(silence(format!("the session was not opened: {}", status.message()))),
        Err(_) => return Err(silence("no answer to hello".to_owned())),
    };
    match first {
        Some(Say::Welcome(welcome)) => {
            let probes = if welcome.probes == 0 { protocol::PROBES } else { welcome.probes };
            Ok(Link { out, inbound, last_seq: welcome.last_seq, probes })
        }
        Some(Say::Redirect(redirect)) => Err(Unreached::Elsewhere(redirect.leader)),
        Some(Say::Refuse(refuse)) if refuse.retry => Err(Unreached::Later(refuse.reason)),
        Some(Say::Refuse(refuse)) => Err(Unreached::Refused(refuse.reason)),
        Some(_) => Err(silence("the first answer was no welcome".to_owned())),
        None => Err(silence("the session ended before an answer".to_owned())),
    }
}
