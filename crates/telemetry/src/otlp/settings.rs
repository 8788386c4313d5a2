//! Where metrics, traces and logs go: the standard OTEL_* variables, over which an endpoint given by hand goes. Used by `pipeline.rs`; what is
//! sent beside them is in `resource.rs`.

use std::fmt;
use std::io;
use std::time::Duration;

use http::Uri;
use percent_encoding::percent_decode_str;

/// How long an export may take, attempts and pauses together, unless OTEL_EXPORTER_OTLP_TIMEOUT says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often metrics are sent unless OTEL_METRIC_EXPORT_INTERVAL says otherwise. The specification's 60 s are longer than many runs.
const INTERVAL: Duration = Duration::from_secs(10);
/// Port that receivers take gRPC on; decides the protocol where nobody names it.
const GRPC_PORT: u16 = 4317;

/// A kind of telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Counts and histograms.
    Metrics,
    /// Spans.
    Traces,
    /// Log records.
    Logs,
}

impl Signal {
    const ALL: [Self; 3] = [Self::Metrics, Self::Traces, Self::Logs];

    /// As it stands in variables and in the path of OTLP over HTTP.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Metrics => ("METRICS", "v1/metrics"),
            Self::Traces => ("TRACES", "v1/traces"),
            Self::Logs => ("LOGS", "v1/logs"),
        }
    }
}

/// How OTLP is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `grpc`.
    Grpc,
    /// `http/protobuf`.
    Http,
}

/// A receiver of one signal. Its `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Where; for HTTP with the signal's path.
    pub url: Uri,
    /// Sent with every request; values are secrets.
    pub headers: Vec<(String, String)>,
    /// Whether requests are compressed.
    pub gzip: bool,
    /// How long an export may take, attempts and pauses together.
    pub timeout: Duration,
    /// Authority of the receiver's certificate, PEM; absent for the public ones.
    pub ca_pem: Option<Vec<u8>>,
    /// Our certificate and its key, PEM.
    pub client_pem: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Target")
            .field("protocol", &self.protocol)
            .field("url", &self.shown())
            .field("headers", &names)
            .field("gzip", &self.gzip)
            .field("client_certificate", &self.client_pem.is_some())
            .finish_non_exhaustive()
    }
}

impl Target {
    /// The URL as a log may show it: without user, password and query.
    #[must_use]
    pub fn shown(&self) -> String {
        let authority = self.url.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        format!("{}://{host}{}", self.url.scheme_str().unwrap_or("http"), self.url.path())
    }
}

/// Which signals go where.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Receiver of metrics.
    pub metrics: Option<Target>,
    /// Receiver of spans.
    pub traces: Option<Target>,
    /// Receiver of log records.
    pub logs: Option<Target>,
    /// How often metrics are sent.
    pub interval: Duration,
}

/// A variable or flag that cannot be used. Never holds a value that may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {problem}")]
pub struct SettingsError {
    /// The variable or flag.
    pub name: String,
    /// What is wrong, and what would do.
    pub problem: String,
}

/// What settings are read from.
pub struct Sources<'a> {
    /// The environment.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// Files that it names.
    pub file: &'a dyn Fn(&str) -> io::Result<Vec<u8>>,
    /// The flag's name and its URL: goes over every endpoint of the environment.
    pub endpoint: Option<(&'a str, &'a str)>,
}

impl Sources<'_> {
    /// A variable that says something: an empty one counts as not set.
    fn get(&self, name: &str) -> Option<String> {
        (self.variable)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The signal's own variable, or else the general one.
    fn of(&self, signal: Signal, what: &str) -> Option<(String, String)> {
        let names =
            [format!("OTEL_EXPORTER_OTLP_{}_{what}", signal.words().0), format!("OTEL_EXPORTER_OTLP_{what}")];
        names.into_iter().find_map(|name| self.get(&name).map(|value| (name, value)))
    }
}

impl Settings {
    /// Reads them. Without an endpoint nothing is sent, and neither with OTEL_SDK_DISABLED=true.
    ///
    /// # Errors
    /// If a variable says something that cannot be used, or a file cannot be read.
    pub fn read(sources: &Sources<'_>) -> Result<Self, SettingsError> {
        let mut settings = Self { interval: INTERVAL, ..Self::default() };
        if sources.get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(settings);
        }
        let name = "OTEL_METRIC_EXPORT_INTERVAL";
        if let Some(text) = sources.get(name) {
            settings.interval = milliseconds(name, &text)?;
        }
        for signal in Signal::ALL {
            let target = target(sources, signal)?;
            match signal {
                Signal::Metrics => settings.metrics = target,
                Signal::Traces => settings.traces = target,
                Signal::Logs => settings.logs = target,
            }
        }
        Ok(settings)
    }

    /// From this process' environment and files, and the flag's name and URL if it was given.
    ///
    /// # Errors
    /// As [`Settings::read`].
    pub fn from_environment(endpoint: Option<(&str, &str)>) -> Result<Self, SettingsError> {
        let variable = |name: &str| std::env::var(name).ok();
        Self::read(&Sources { variable: &variable, file: &|path| std::fs::read(path), endpoint })
    }

    /// Whether nothing is sent.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.metrics.is_none() && self.traces.is_none() && self.logs.is_none()
    }
}

fn target(sources: &Sources<'_>, signal: Signal) -> Result<Option<Target>, SettingsError> {
    let (word, path) = signal.words();
    // A list such as `prometheus,otlp`, or `none`.
    let exporters = sources.get(&format!("OTEL_{word}_EXPORTER"));
    if exporters.is_some_and(|list| !list.split(',').any(|name| name.trim() == "otlp")) {
        return Ok(None);
    }
    let own = format!("OTEL_EXPORTER_OTLP_{word}_ENDPOINT");
    let endpoint = match sources.endpoint {
        Some((flag, url)) => Some((flag.to_owned(), url.to_owned())),
        None => sources.of(signal, "ENDPOINT"),
    };
    let Some((name, text)) = endpoint else { return Ok(None) };
    let insecure =
        sources.of(signal, "INSECURE").is_some_and(|(_, value)| value.eq_ignore_ascii_case("true"));
    let url = url(&name, &text, insecure)?;
    let protocol = match sources.of(signal, "PROTOCOL") {
        Some((name, text)) => protocol(&name, &text)?,
        None if url.port_u16() == Some(GRPC_PORT) => Protocol::Grpc,
        None => Protocol::Http,
    };
    // The signal's own endpoint is used as it is; to a general one the signal's path is appended.
    let url = if protocol == Protocol::Http && name != own { extended(&name, &url, path)? } else { url };
    let (headers, timeout) = (sources.of(signal, "HEADERS"), sources.of(signal, "TIMEOUT"));
    let read = |what: &str| -> Result<Option<Vec<u8>>, SettingsError> {
        let Some((name, path)) = sources.of(signal, what) else { return Ok(None) };
        (sources.file)(&path).map(Some).map_err(|error| wrong(&name, format!("cannot read {path}: {error}")))
    };
    Ok(Some(Target {
        protocol,
        url,
        headers: headers.map(|(name, text)| pairs(&name, &text, true)).transpose()?.unwrap_or_default(),
        gzip: match sources.of(signal, "COMPRESSION") {
            Some((name, text)) => compression(&name, &text)?,
            None => false,
        },
        timeout: timeout.map(|(name, text)| milliseconds(&name, &text)).transpose()?.unwrap_or(TIMEOUT),
        ca_pem: read("CERTIFICATE")?,
        client_pem: match (read("CLIENT_CERTIFICATE")?, read("CLIENT_KEY")?) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => return Err(alone("CLIENT_CERTIFICATE", "CLIENT_KEY")),
            (None, Some(_)) => return Err(alone("CLIENT_KEY", "CLIENT_CERTIFICATE")),
        },
    }))
}

fn wrong(name: &str, problem: String) -> SettingsError {
    SettingsError { name: name.to_owned(), problem }
}

fn alone(given: &str, missing: &str) -> SettingsError {
    wrong(
        &format!("OTEL_EXPORTER_OTLP_{given}"),
        format!("is of no use without OTEL_EXPORTER_OTLP_{missing}; set both"),
    )
}

fn url(name: &str, text: &str, insecure: bool) -> Result<Uri, SettingsError> {
    let whole = match text.split_once("://") {
        Some(_) => text.to_owned(),
        None if insecure => format!("http://{text}"),
        None => format!("https://{text}"),
    };
    // What it says is not repeated: it may hold a password.
    let problem = || wrong(name, "is no URL; write e.g. http://otel-collector.monitoring:4317".to_owned());
    let url: Uri = whole.parse().map_err(|_| problem())?;
    match (url.scheme_str(), url.host()) {
        (Some("http" | "https"), Some(host)) if !host.is_empty() => Ok(url),
        _ => Err(problem()),
    }
}

fn extended(name: &str, url: &Uri, path: &str) -> Result<Uri, SettingsError> {
    let mut parts = url.clone().into_parts();
    let whole = format!("{}/{path}", url.path().trim_end_matches('/'));
    parts.path_and_query = whole.parse().ok();
    Uri::from_parts(parts).map_err(|error| wrong(name, error.to_string()))
}

fn protocol(name: &str, text: &str) -> Result<Protocol, SettingsError> {
    match text {
        "grpc" => Ok(Protocol::Grpc),
        "http/protobuf" => Ok(Protocol::Http),
        _ => Err(wrong(name, format!("`{text}` is not spoken here; use grpc or http/protobuf"))),
    }
}

fn compression(name: &str, text: &str) -> Result<bool, SettingsError> {
    match text {
        "gzip" => Ok(true),
        "none" => Ok(false),
        _ => Err(wrong(name, format!("`{text}` is not known here; use gzip or none"))),
    }
}

fn milliseconds(name: &str, text: &str) -> Result<Duration, SettingsError> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(Duration::from_millis(number)),
        _ => Err(wrong(name, format!("`{text}` is no number of milliseconds above 0"))),
    }
}

/// `name=value,name=value`, percent-encoded. `header` checks that they can be headers.
pub(super) fn pairs(name: &str, text: &str, header: bool) -> Result<Vec<(String, String)>, SettingsError> {
    let mut pairs = Vec::new();
    for (index, entry) in text.split(',').map(str::trim).enumerate().filter(|(_, entry)| !entry.is_empty()) {
        let number = index + 1;
        let Some((key, value)) = entry.split_once('=') else {
            return Err(wrong(name, format!("entry {number} has no `=`; write name=value,name=value")));
        };
        let key = key.trim();
        let not_text = |_| wrong(name, format!("the value of {key} is not UTF-8 when percent-decoded"));
        let value = percent_decode_str(value.trim()).decode_utf8().map_err(not_text)?.into_owned();
        let fits = !header
            || (key.parse::<http::HeaderName>().is_ok() && value.parse::<http::HeaderValue>().is_ok());
        if key.is_empty() || !fits {
            return Err(wrong(
                name,
                format!("entry {number} cannot be a header; write name=value,name=value"),
            ));
        }
        pairs.push((if header { key.to_ascii_lowercase() } else { key.to_owned() }, value));
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)], endpoint: Option<&str>) -> Result<Settings, SettingsError> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let file = |path: &str| match path {
            "/ca" | "/crt" | "/key" => Ok(path.as_bytes().to_vec()),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        };
        let endpoint = endpoint.map(|url| ("--otlp", url));
        Settings::read(&Sources { variable: &variable, file: &file, endpoint })
    }

    #[test]
    fn without_an_endpoint_nothing_is_sent() {
        assert!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")], None).unwrap().is_off());
        let disabled = [("OTEL_SDK_DISABLED", "true"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4317")];
        assert!(read(&disabled, Some("http://b:4317")).unwrap().is_off());
    }

    #[test]
    fn the_protocol_is_that_of_the_port_unless_it_is_named() {
        let of = |url, protocol: &[(&str, &str)]| read(protocol, Some(url)).unwrap().metrics.unwrap();
        let target = of("http://c:4317", &[]);
        assert_eq!((target.protocol, target.url.path()), (Protocol::Grpc, "/"));
        let target = of("http://c:4318/base/", &[]);
        assert_eq!(
            (target.protocol, target.url.to_string()),
            (Protocol::Http, "http://c:4318/base/v1/metrics".into())
        );
        let target = of("https://c", &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
        assert_eq!(target.protocol, Protocol::Grpc);
        let error = read(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")], Some("http://c")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "OTEL_EXPORTER_OTLP_PROTOCOL: `http/json` is not spoken here; use grpc or http/protobuf"
        );
    }

    #[test]
    fn a_signals_own_variables_go_over_the_general_ones() {
        let settings = read(
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4318"),
                ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://logs:9/in"),
                ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
                ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "Authorization=Bearer%20x, b=2"),
                ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "250"),
                ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
                ("OTEL_TRACES_EXPORTER", "none"),
                ("OTEL_METRIC_EXPORT_INTERVAL", "5000"),
            ],
            None,
        )
        .unwrap();
        let (metrics, logs) = (settings.metrics.unwrap(), settings.logs.unwrap());
        assert_eq!(metrics.url, "http://all:4318/v1/metrics");
        assert_eq!(metrics.headers, [("a".to_owned(), "1".to_owned())]);
        assert_eq!((metrics.timeout, metrics.gzip), (TIMEOUT, true));
        assert_eq!(logs.url, "http://logs:9/in");
        assert_eq!(logs.headers[0], ("authorization".to_owned(), "Bearer x".to_owned()));
        assert_eq!(logs.timeout, Duration::from_millis(250));
        assert!(settings.traces.is_none());
        assert_eq!(settings.interval, Duration::from_secs(5));
    }

    #[test]
    fn an_endpoint_by_hand_goes_over_all_of_the_environment() {
        let variables = [("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://logs:9/in")];
        let settings = read(&variables, Some("http://here:4318")).unwrap();
        assert_eq!(settings.logs.unwrap().url, "http://here:4318/v1/logs");
    }

    #[test]
    fn certificates_are_read_and_their_keys_go_with_them() {
        let certificates = [
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca"),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/crt"),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/key"),
        ];
        let target = read(&certificates, Some("https://c:4317")).unwrap().traces.unwrap();
        assert_eq!(target.ca_pem.as_deref(), Some(&b"/ca"[..]));
        assert_eq!(target.client_pem, Some((b"/crt".to_vec(), b"/key".to_vec())));
        let error = read(&certificates[..2], Some("https://c:4317")).unwrap_err().to_string();
        assert!(error.contains("CLIENT_KEY; set both"), "{error}");
        let error = read(&[("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no")], Some("https://c")).unwrap_err();
        assert!(error.to_string().starts_with("OTEL_EXPORTER_OTLP_CERTIFICATE: cannot read /no"), "{error}");
    }

    #[test]
    fn secrets_are_neither_shown_nor_repeated_in_errors() {
        let headers = [("OTEL_EXPORTER_OTLP_HEADERS", "authorization=hush")];
        let settings = read(&headers, Some("https://user:hush@c/p?key=hush")).unwrap();
        let shown = format!("{settings:?}");
        assert!(
            !shown.contains("hush") && shown.contains("authorization") && shown.contains("https://c/p"),
            "{shown}"
        );
        for wrong in ["hush", "a=1,hush", "hush bad=1"] {
            let error =
                read(&[("OTEL_EXPORTER_OTLP_HEADERS", wrong)], Some("http://c")).unwrap_err().to_string();
            assert!(error.contains("OTEL_EXPORTER_OTLP_HEADERS") && !error.contains("hush"), "{error}");
        }
        let error = read(&[], Some("hush://hush")).unwrap_err().to_string();
        assert!(error.starts_with("--otlp: is no URL") && !error.contains("hush"), "{error}");
    }

    #[test]
    fn an_endpoint_without_a_scheme_is_encrypted_unless_it_is_called_insecure() {
        assert_eq!(read(&[], Some("c:4317")).unwrap().logs.unwrap().url, "https://c:4317/");
        let insecure = [("OTEL_EXPORTER_OTLP_INSECURE", "true")];
        assert_eq!(read(&insecure, Some("c:4317")).unwrap().logs.unwrap().url, "http://c:4317/");
    }
}
