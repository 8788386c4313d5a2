//! Which servers there are: `NAME=URL` of a flag, and credentials in files, which are read anew for every question. Asked by `client.rs`.

use std::path::{Path, PathBuf};

use super::Reach;

/// A server that can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name in the configuration, or its URL: what status and messages call it.
    pub name: String,
    /// URL up to where `/api/v1` begins.
    pub url: String,
    /// Where its credentials are.
    pub credentials: Credentials,
    /// Where it may be.
    pub reach: Reach,
}

/// Where credentials are; a file that is not there is one that the server does not need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// A folder that may hold `token`, or `username` and `password`, and `ca.crt`: a mounted Secret.
    pub folder: Option<PathBuf>,
    /// A file with a bearer token; it must be there.
    pub token: Option<PathBuf>,
}

/// The servers of a configuration, the default one first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Servers(Vec<Server>);

/// Why a configuration of servers is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// Not `NAME=URL`.
    #[error("{0:?} is not NAME=URL, such as platform=http://prometheus.monitoring:9090")]
    Form(String),
    /// No name of a server.
    #[error("{0:?} is not the name of a server: use lower-case letters, digits and -")]
    Name(String),
    /// Two servers of one name.
    #[error("there are two servers named {0:?}: rename one")]
    Twice(String),
    /// No URL of a server.
    #[error("the URL of {name} {problem}")]
    Url {
        /// Which server.
        name: String,
        /// What is wrong, and the remedy.
        problem: String,
    },
    /// The default is none of them.
    #[error("the default server {0:?} is none of those that are configured")]
    Default(String),
}

impl Servers {
    /// Reads `NAME=URL` entries. Credentials of a server are in the folder of its name in `credentials`, if there is one; `default` names
    /// the server of tests that name none, otherwise it is the first.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub fn read<'a>(
        entries: impl IntoIterator<Item = &'a str>,
        credentials: Option<&Path>,
        default: Option<&str>,
    ) -> Result<Self, ServerError> {
        let mut servers: Vec<Server> = Vec::new();
        for entry in entries.into_iter().map(str::trim).filter(|entry| !entry.is_empty()) {
            let (name, url) = entry.split_once('=').ok_or_else(|| ServerError::Form(shown(entry)))?;
            if !is_name(name) {
                return Err(ServerError::Name(shown(name)));
            }
            if servers.iter().any(|server| server.name == name) {
                return Err(ServerError::Twice(name.to_owned()));
            }
            check(url).map_err(|problem| ServerError::Url { name: name.to_owned(), problem })?;
            let folder = credentials.map(|folder| folder.join(name));
            let credentials = Credentials { folder, token: None };
            servers.push(Server {
                name: name.to_owned(),
                url: url.trim_end_matches('/').to_owned(),
                credentials,
                reach: Reach::Anywhere,
            });
        }
        if let Some(default) = default.filter(|name| !name.is_empty()) {
            let at = servers.iter().position(|server| server.name == default);
            let at = at.ok_or_else(|| ServerError::Default(default.to_owned()))?;
            servers[..=at].rotate_right(1);
        }
        Ok(Self(servers))
    }

    /// The server of a name; the default one where none is named.
    #[must_use]
    pub fn get(&self, name: Option<&str>) -> Option<&Server> {
        match name {
            Some(name) => self.0.iter().find(|server| server.name == name),
            None => self.0.first(),
        }
    }

    /// Names of all servers, the default one first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|server| server.name.as_str())
    }

    /// Gives every server a file with a bearer token.
    #[must_use]
    pub fn with_token(mut self, file: &Path) -> Self {
        self.0.iter_mut().for_each(|server| server.credentials.token = Some(file.to_owned()));
        self
    }
}

impl Server {
    /// A server that is known by its URL alone, and has no credentials.
    ///
    /// # Errors
    /// If it is no URL of a server.
    pub fn at(url: &str, reach: Reach) -> Result<Self, ServerError> {
        check(url).map_err(|problem| ServerError::Url { name: shown(url), problem })?;
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { name: url.clone(), url, credentials: Credentials::default(), reach })
    }
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=63).contains(&name.len())
        && name.chars().all(|c| plain(c) || c == '-')
        && name.starts_with(plain)
        && name.ends_with(plain)
}

fn check(url: &str) -> Result<(), String> {
    let parsed = reqwest::Url::parse(url).map_err(|error| format!("cannot be read: {error}"))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err("must begin with http:// or https://".to_owned());
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err("holds credentials: put them into files".to_owned());
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return Err("has a query or a fragment: write it up to where /api/v1 begins".to_owned());
    }
    Ok(())
}

/// Text of a flag, of which a part may be a credential.
fn shown(text: &str) -> String {
    match text.rfind('@') {
        Some(at) => format!("…{}", &text[at..]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_have_names_urls_and_a_default() {
        let entries = ["platform=http://prometheus.monitoring:9090/", "", "eu=https://thanos.example/prom"];
        let servers = Servers::read(entries, Some(Path::new("/c")), Some("eu")).unwrap();
        assert_eq!(servers.names().collect::<Vec<_>>(), ["eu", "platform"]);
        assert_eq!(servers.get(None).unwrap().url, "https://thanos.example/prom");
        let platform = servers.get(Some("platform")).unwrap();
        assert_eq!(platform.url, "http://prometheus.monitoring:9090");
        assert_eq!(platform.credentials.folder.as_deref(), Some(Path::new("/c/platform")));
        assert!(servers.get(Some("us")).is_none());
        assert!(Servers::default().get(None).is_none());
    }

    #[test]
    fn what_is_no_server_is_refused_without_its_credentials() {
        let refused = |entries: &[&str], default| {
            Servers::read(entries.iter().copied(), None, default).unwrap_err().to_string()
        };
        assert!(refused(&["http://a"], None).contains("NAME=URL"));
        assert!(refused(&["A=http://a"], None).contains("lower-case"));
        assert!(refused(&["a=ftp://a"], None).contains("http:// or https://"));
        assert!(refused(&["a=http://a?b=c"], None).contains("/api/v1"));
        assert!(refused(&["a=http://a", "a=http://b"], None).contains("two servers"));
        assert!(refused(&["a=http://a"], Some("b")).contains("\"b\""));
        let secret = refused(&["a=http://u:hunter2@a"], None);
        assert!(secret.contains("holds credentials") && !secret.contains("hunter2"), "{secret}");
        let secret = refused(&["http://u:hunter2@a"], None);
        assert!(!secret.contains("hunter2"), "{secret}");
        assert!(Server::at("http://a:9090/x", Reach::NoMetadata).is_ok());
        assert!(Server::at("a:9090", Reach::NoMetadata).is_err());
    }
}
