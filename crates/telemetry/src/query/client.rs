//! One server's HTTP API: instant and range queries. Follows no redirects, takes no answer that is too large or too slow, and reads the
//! credentials anew for each question, so that they may change. What is answered is read by `answer.rs`.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use plimsoll_slo::template;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Request, Response, Url};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::answer::{self, Answer};
use super::guard::Guard;
use super::{AskError, Server};

/// How long one question may take.
pub const TIMEOUT: Duration = Duration::from_secs(5);
/// Of that, to connect.
const CONNECT: Duration = Duration::from_secs(3);
/// Bytes of an answer.
const LARGEST: usize = 4 << 20;
/// Bytes of an error's text that are read.
const EXCERPT: usize = 300;
/// URLs up to this length are sent by GET, so that proxies that allow nothing else can be asked.
const LONGEST_GET: usize = 2000;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Time {
    /// One instant, in Unix milliseconds.
    At(u64),
    /// From one to the other in steps, all milliseconds.
    Range { start: u64, end: u64, step: u64 },
}

/// A server that can be asked.
#[derive(Debug)]
pub struct Client {
    server: Server,
    timeout: Duration,
    /// The connections, and the authority that they trust.
    http: Mutex<Option<(Option<Vec<u8>>, reqwest::Client)>>,
}

impl Client {
    /// Nothing is sent yet.
    #[must_use]
    pub fn new(server: Server) -> Arc<Self> {
        Self::with_timeout(server, TIMEOUT)
    }

    /// The same with another limit of time for one question.
    #[must_use]
    pub fn with_timeout(server: Server, timeout: Duration) -> Arc<Self> {
        Arc::new(Self { server, timeout, http: Mutex::default() })
    }

    /// What status and messages call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.server.name
    }

    /// Asks one question.
    pub(super) async fn ask(&self, query: &str, time: &Time) -> Result<Answer, AskError> {
        let http = self.http()?;
        let mut request = self.request(query, time)?;
        if let Some(value) = self.authorization()? {
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let answered = tokio::time::timeout(self.timeout, async {
            let response = http.execute(request).await.map_err(|error| self.unreachable(&error))?;
            let (status, location) = (response.status(), self.location(&response));
            let body = self.body(response).await?;
            Ok((status, location, body))
        });
        let (status, location, body) = answered.await.unwrap_or_else(|_| Err(self.late()))?;
        if let Some(location) = location.filter(|_| status.is_redirection()) {
            return Err(AskError::Redirected { server: self.named(), location });
        }
        if !status.is_success() {
            let message = answer::error_in(&body).unwrap_or_else(|| excerpt(&body));
            return Err(AskError::Status { server: self.named(), status: status.as_u16(), message });
        }
        let answer =
            answer::read(&body).map_err(|cause| AskError::NotPrometheus { server: self.named(), cause })?;
        match answer.warnings.first() {
            Some(warning) => Err(AskError::Warned { server: self.named(), warning: warning.clone() }),
            None => Ok(answer),
        }
    }

    fn named(&self) -> String {
        self.server.name.clone()
    }

    fn late(&self) -> AskError {
        AskError::TimedOut { server: self.named(), after: self.timeout }
    }

    fn credentials(&self, cause: String) -> AskError {
        AskError::Credentials { server: self.named(), cause }
    }

    /// The innermost cause; the outer ones repeat the URL with the whole query.
    fn unreachable(&self, error: &reqwest::Error) -> AskError {
        if error.is_timeout() {
            return self.late();
        }
        let mut cause: &dyn std::error::Error = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        AskError::Unreachable { server: self.named(), cause: cause.to_string() }
    }

    fn request(&self, query: &str, time: &Time) -> Result<Request, AskError> {
        let wrong = |cause: String| AskError::Unreachable { server: self.named(), cause };
        let path = if matches!(time, Time::At(_)) { "query" } else { "query_range" };
        let mut url =
            Url::parse(&format!("{}/api/v1/{path}", self.server.url)).map_err(|e| wrong(e.to_string()))?;
        // A literal address is not resolved, so the guard is asked here.
        let literal = url.host_str().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
        if let Some(refused) = literal.and_then(|address| self.server.reach.refuses(address)) {
            return Err(wrong(refused.to_string()));
        }
        let limit = format!("{}ms", self.timeout.as_millis());
        let mut pairs = vec![("query", query.to_owned()), ("timeout", limit)];
        match time {
            Time::At(at) => pairs.push(("time", template::seconds(*at))),
            Time::Range { start, end, step } => pairs.extend([
                ("start", template::seconds(*start)),
                ("end", template::seconds(*end)),
                ("step", template::seconds(*step)),
            ]),
        }
        url.query_pairs_mut().extend_pairs(pairs);
        if url.as_str().len() <= LONGEST_GET {
            return Ok(Request::new(reqwest::Method::GET, url));
        }
        let form = url.query().unwrap_or_default().to_owned();
        url.set_query(None);
        let mut request = Request::new(reqwest::Method::POST, url);
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, kind);
        *request.body_mut() = Some(form.into());
        Ok(request)
    }

    fn location(&self, response: &Response) -> Option<String> {
        let location = response.headers().get(LOCATION)?;
        Some(String::from_utf8_lossy(location.as_bytes()).chars().take(EXCERPT).collect())
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, AskError> {
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            if body.len() + part.len() > LARGEST {
                return Err(AskError::TooLarge { server: self.named(), limit: LARGEST });
            }
            body.extend_from_slice(&part);
        }
        Ok(body)
    }

    /// The connections; new ones if the authority's file has changed.
    fn http(&self) -> Result<reqwest::Client, AskError> {
        let ca = self.file("ca.crt")?;
        let mut kept = self.http.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, http)) = &*kept
            && *of == ca
        {
            return Ok(http.clone());
        }
        let tls = tls(ca.as_deref()).map_err(|cause| self.credentials(format!("ca.crt {cause}")))?;
        let built = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT.min(self.timeout))
            .user_agent(concat!("plimsoll/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Guard(self.server.reach))
            .build();
        let http = built.map_err(|error| self.unreachable(&error))?;
        *kept = Some((ca, http.clone()));
        Ok(http)
    }

    fn authorization(&self) -> Result<Option<HeaderValue>, AskError> {
        let token = match &self.server.credentials.token {
            Some(file) => Some(
                self.read(file)?
                    .ok_or_else(|| self.credentials(format!("{} is not there", file.display())))?,
            ),
            None => self.file("token")?,
        };
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim().to_owned();
        let value = match (token, self.file("username")?, self.file("password")?) {
            (Some(token), ..) => format!("Bearer {}", text(token)),
            (None, Some(name), password) => {
                let pair = format!("{}:{}", text(name), text(password.unwrap_or_default()));
                format!("Basic {}", base64(pair.as_bytes()))
            }
            (None, None, _) => return Ok(None),
        };
        let mut value = HeaderValue::from_str(&value)
            .map_err(|_| self.credentials("hold a character that no header may have".to_owned()))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// A file of the credentials' folder; nothing if it is not there.
    fn file(&self, name: &str) -> Result<Option<Vec<u8>>, AskError> {
        let Some(folder) = &self.server.credentials.folder else { return Ok(None) };
        self.read(&folder.join(name))
    }

    fn read(&self, file: &Path) -> Result<Option<Vec<u8>>, AskError> {
        match std::fs::read(file) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.credentials(format!("{} cannot be read: {error}", file.display()))),
        }
    }
}

/// Trusts an authority of the server's own, or the public ones.
fn tls(ca: Option<&[u8]>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    match ca {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| format!("is no PEM: {error}"))?;
                roots.add(certificate).map_err(|error| format!("cannot be used: {error}"))?;
            }
            if roots.is_empty() {
                return Err("holds no certificate".to_owned());
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(builder.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth())
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// The beginning of a text that is no error in Prometheus' form, on one line.
fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * EXCERPT)]).into_owned();
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() { "no more than that".to_owned() } else { line.chars().take(EXCERPT).collect() }
}
