//! The configuration of a testbed: a Rust struct and, the same, a JSON file. `table.rs` compiles its routes,
//! `tls.rs` its certificates, `testbed.rs` starts what it describes.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::aragora::Aragora;
use crate::builtin;
use crate::law::delay;
use crate::limit::Limit;
use crate::route::{Body, Route};

/// What the server listens on and how it answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Config {
    /// Addresses for clear text; HTTP/1.1, or HTTP/2 for a client that begins with its preface. With no address
    /// here and none in `listen_tls`, the server listens on 127.0.0.1 and a free port.
    pub listen: Vec<SocketAddr>,
    /// Addresses for TLS; HTTP/2 or HTTP/1.1 by ALPN.
    pub listen_tls: Vec<SocketAddr>,
    /// Certificates for `listenTls`.
    pub tls: Tls,
    /// Threads that serve connections; 0 means one for each CPU that the process may use.
    pub threads: usize,
    /// Whether HTTP/2 is offered.
    pub http2: bool,
    /// Requests after which a connection is closed by the server; 0 means never.
    pub keep_alive_requests: u64,
    /// Most entries of the log of durations, over all paths; what comes later is counted, not logged.
    pub log_entries: usize,
    /// Times in which no answer leaves, counted from the first request.
    pub freezes: Vec<Freeze>,
    /// Whether `/status/{code}`, `/delay/{ms}`, `/bytes/{n}`, `/redirect/{n}`, `/echo`, `/sse`, `/ws/echo` and
    /// `/ws/orders/{id}` are served.
    pub builtins: bool,
    /// The Aragora endpoints.
    pub aragora: Aragora,
    /// Rate limits, whatever the path.
    pub limits: Vec<Limit>,
    /// The routes; they win over the built-in paths.
    pub routes: Vec<Route>,
    /// The answer to every other path.
    pub fallback: Route,
}

impl Default for Config {
    /// A small healthy service in clear text on 127.0.0.1 and a free port.
    fn default() -> Self {
        Config {
            listen: Vec::new(),
            listen_tls: Vec::new(),
            tls: Tls::default(),
            threads: 0,
            http2: true,
            keep_alive_requests: 0,
            log_entries: 2_000_000,
            freezes: Vec::new(),
            builtins: true,
            aragora: Aragora::default(),
            limits: Vec::new(),
            routes: builtin::default_routes(),
            fallback: builtin::default_fallback(),
        }
    }
}

/// The certificates of the TLS listeners: made at the start under an authority of their own, or read from files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Tls {
    /// DNS names and IP addresses of a certificate made at the start.
    pub names: Vec<String>,
    /// Whether a client must show a certificate of the authority, or of `clientCa`.
    pub require_client_certificate: bool,
    /// A PEM file with the certificate and its chain, in place of one made at the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// The PEM file with the key of `certificate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// A PEM file with the authorities whose client certificates are taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
}

impl Default for Tls {
    fn default() -> Self {
        Tls {
            names: ["localhost", "127.0.0.1", "::1"].map(String::from).to_vec(),
            require_client_certificate: false,
            certificate: None,
            key: None,
            client_ca: None,
        }
    }
}

/// A time in which requests are read and no answer leaves; all that are due are sent at its end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Freeze {
    /// Milliseconds from the first counted request after the start or the last reset of the counts.
    pub after_ms: f64,
    /// Its length in milliseconds.
    pub for_ms: f64,
}

/// A field of the configuration that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct ConfigError {
    /// The path of the field, such as `routes[2].latency`.
    pub field: String,
    /// What is wrong, and what to do.
    pub problem: String,
}

impl ConfigError {
    /// An error at a field.
    pub(crate) fn at(field: impl Into<String>, problem: impl Into<String>) -> Self {
        ConfigError { field: field.into(), problem: problem.into() }
    }
}

impl Config {
    /// The Aragora endpoints and the built-in paths alone; every other path is answered with 404, so that a client's
    /// misspelt path is seen.
    pub fn aragora() -> Self {
        let fallback = Route {
            status: Some(404),
            body: Body::Json(serde_json::json!({"error": "no such path", "code": 404})),
            ..Route::default()
        };
        Config { routes: Vec::new(), fallback, ..Config::default() }
    }

    /// Reads a configuration from JSON. What is not given is as in `Config::default`.
    ///
    /// # Errors
    /// Names line, column and field of what cannot be read.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// Checks what no route and no certificate is concerned with.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        for (i, freeze) in self.freezes.iter().enumerate() {
            let at = |name: &str| format!("freezes[{i}].{name}");
            delay(freeze.after_ms).map_err(|problem| ConfigError::at(at("afterMs"), problem))?;
            delay(freeze.for_ms).map_err(|problem| ConfigError::at(at("forMs"), problem))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_the_default_service() {
        assert_eq!(Config::from_json("{}").unwrap(), Config::default());
    }

    #[test]
    fn a_configuration_survives_json() {
        let config = Config::default();
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(Config::from_json(&text).unwrap(), config);
    }

    #[test]
    fn the_example_of_the_readme_is_valid() {
        let readme = include_str!("../README.md");
        let example = readme.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let config = Config::from_json(example).unwrap();
        config.check().unwrap();
        crate::table::Table::compile(&config).unwrap();
    }

    #[test]
    fn a_misspelt_field_is_named() {
        let error =
            Config::from_json(r#"{"routes": [{"path": "/", "latencyMs": 3}]}"#).unwrap_err().to_string();
        assert!(error.contains("latencyMs"), "{error}");
    }
}
