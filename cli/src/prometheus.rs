//! `--prometheus`: whom the SLOs of a local run may ask. In a cluster it is `operator/src/queries.rs` that knows.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use plimsoll_api::v1alpha1::PrometheusServer;
use plimsoll_telemetry::query::{Client, Reach, Server, Servers};

use crate::args::PrometheusArgs;

/// The name of a server that was given none.
const UNNAMED: &str = "prometheus";

/// The servers of the command line.
#[derive(Debug)]
pub(crate) struct Prometheus {
    servers: Servers,
    /// A server without a name stands for every name.
    is_unnamed: bool,
}

impl Prometheus {
    /// Reads the flags.
    pub(crate) fn read(args: &PrometheusArgs) -> Result<Self> {
        let has_name = |entry: &str| entry.find('=') < entry.find("://");
        let named = |entry: &String| match entry.contains('=') && has_name(entry) {
            true => entry.clone(),
            false => format!("{UNNAMED}={entry}"),
        };
        let entries: Vec<String> = args.prometheus.iter().map(named).collect();
        let servers =
            Servers::read(entries.iter().map(String::as_str), args.prometheus_credentials.as_deref(), None)
                .context("--prometheus")?;
        let is_unnamed = servers.get(None).is_some_and(|server| server.name == UNNAMED);
        let servers = match &args.prometheus_token_file {
            Some(file) => servers.with_token(Path::new(file)),
            None => servers,
        };
        Ok(Self { servers, is_unnamed })
    }

    /// Whom to ask for a test; why nobody, if so.
    pub(crate) fn client(
        &self,
        wanted: Option<&PrometheusServer>,
    ) -> std::result::Result<Arc<Client>, String> {
        let (name, url) =
            wanted.map_or((None, None), |wanted| (wanted.server.as_deref(), wanted.url.as_deref()));
        let given = self.servers.get(name).or_else(|| self.servers.get(None).filter(|_| self.is_unnamed));
        match (given, url) {
            (Some(server), None) => Ok(Client::new(server.clone())),
            (_, Some(url)) => {
                let server = Server::at(url, Reach::NoMetadata).map_err(|error| error.to_string())?;
                Ok(Client::new(server))
            }
            (None, None) => {
                let name = name.unwrap_or("NAME");
                Err(format!("no Prometheus server was given: name one by --prometheus {name}=URL"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(entries: &[&str]) -> Prometheus {
        let args = PrometheusArgs {
            prometheus: entries.iter().map(ToString::to_string).collect(),
            prometheus_token_file: None,
            prometheus_credentials: None,
        };
        Prometheus::read(&args).unwrap()
    }

    fn asked(prometheus: &Prometheus, server: Option<&str>, url: Option<&str>) -> Option<String> {
        let [server, url] = [server, url].map(|text| text.map(str::to_owned));
        let client = prometheus.client(Some(&PrometheusServer { server, url })).ok()?;
        Some(client.name().to_owned())
    }

    #[test]
    fn a_test_is_given_the_server_that_it_names() {
        let two = given(&["platform=http://a:9090", "eu=http://b:9090"]);
        assert_eq!(asked(&two, Some("eu"), None).as_deref(), Some("eu"));
        assert_eq!(asked(&two, None, None).as_deref(), Some("platform"));
        assert_eq!(asked(&two, Some("us"), None), None);
        assert_eq!(asked(&two, None, Some("http://c")).as_deref(), Some("http://c"));
        let why = given(&[]).client(Some(&PrometheusServer { server: Some("platform".into()), url: None }));
        assert!(why.unwrap_err().contains("--prometheus platform=URL"));
    }

    #[test]
    fn a_server_without_a_name_is_every_server() {
        let any = given(&["http://a:9090"]);
        assert_eq!(asked(&any, Some("platform"), None).as_deref(), Some("prometheus"));
        assert_eq!(asked(&any, None, None).as_deref(), Some("prometheus"));
    }
}
