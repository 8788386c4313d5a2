//! The routes of a configuration (`route.rs`), checked and compiled, and how a path finds its route.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde_json::json;

use crate::config::{Config, ConfigError};
use crate::law::{self, When};
use crate::reply::{self, Reply};
use crate::route::{Body, Route};

/// A route ready to serve.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// The path, the prefix with `*`, or `*`: the name under which paths beyond the limit are counted.
    pub(crate) name: String,
    next: AtomicU64,
    latency: Box<[Duration]>,
    replies: Box<[Reply]>,
    pub(crate) errors: Option<(When, Reply)>,
    pub(crate) reset: Option<When>,
    pub(crate) stall: Option<When>,
    pub(crate) truncate: Option<When>,
}

impl Compiled {
    /// Takes the number of the next request, counted from 0.
    pub(crate) fn take_number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// The delay of the request with this number.
    pub(crate) fn latency(&self, number: u64) -> Duration {
        *in_cycle(&self.latency, number)
    }

    /// The usual answer to the request with this number.
    pub(crate) fn reply(&self, number: u64) -> &Reply {
        in_cycle(&self.replies, number)
    }
}

/// The item of a cycle, which `compile` never leaves empty.
fn in_cycle<T>(cycle: &[T], number: u64) -> &T {
    &cycle[(number % cycle.len() as u64) as usize]
}

/// All routes of a server.
#[derive(Debug)]
pub(crate) struct Table {
    exact: HashMap<String, Arc<Compiled>>,
    /// Prefixes with their routes, the longest first.
    prefixes: Vec<(String, Arc<Compiled>)>,
    /// Serves every other path.
    pub(crate) fallback: Arc<Compiled>,
}

impl Table {
    /// Checks and compiles the routes. The error names the field.
    pub(crate) fn compile(config: &Config) -> Result<Self, ConfigError> {
        let (mut exact, mut prefixes) = (HashMap::new(), Vec::new());
        for (i, route) in config.routes.iter().enumerate() {
            let field = format!("routes[{i}]");
            let problem = |text: String| ConfigError::at(field.as_str(), text);
            let (pattern, name) = match (&route.path, &route.prefix) {
                (Some(path), None) => (path.clone(), path.clone()),
                (None, Some(prefix)) => (prefix.clone(), format!("{prefix}*")),
                _ => return Err(problem("a route has either a path or a prefix".into())),
            };
            if !pattern.starts_with('/') || pattern.starts_with("/__") || pattern.contains('?') {
                return Err(problem(format!(
                    "{pattern:?} cannot be routed; a path begins with '/', not with '/__', and has no query"
                )));
            }
            let compiled = Arc::new(compile(route, name.clone(), &field)?);
            let known = if route.path.is_some() {
                exact.insert(pattern, compiled).is_some()
            } else {
                let known = prefixes.iter().any(|(other, _)| *other == pattern);
                prefixes.push((pattern, compiled));
                known
            };
            if known {
                return Err(problem(format!("{name} has a route already; remove one of them")));
            }
        }
        if config.fallback.path.is_some() || config.fallback.prefix.is_some() {
            return Err(ConfigError::at("fallback", "it serves every other path; remove its path or prefix"));
        }
        prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        let fallback = Arc::new(compile(&config.fallback, "*".to_owned(), "fallback")?);
        Ok(Table { exact, prefixes, fallback })
    }

    /// The configured route of a path.
    pub(crate) fn find(&self, path: &str) -> Option<&Arc<Compiled>> {
        let under = || self.prefixes.iter().find(|(prefix, _)| path.starts_with(prefix.as_str()));
        self.exact.get(path).or_else(|| under().map(|(_, route)| route))
    }

    /// Lets every sequence begin anew.
    pub(crate) fn restart(&self) {
        let routes = self.exact.values().chain(self.prefixes.iter().map(|(_, route)| route));
        for route in routes.chain([&self.fallback]) {
            route.next.store(0, Ordering::Relaxed);
        }
    }
}

fn compile(route: &Route, name: String, field: &str) -> Result<Compiled, ConfigError> {
    let at = |part: &'static str| move |problem: String| ConfigError::at(format!("{field}.{part}"), problem);
    for (part, when) in [("reset", route.reset), ("stall", route.stall), ("truncate", route.truncate)] {
        when.map_or(Ok(()), When::check).map_err(at(part))?;
    }
    let errors = match route.errors {
        Some(errors) => {
            errors.when.check().map_err(at("errors.when"))?;
            Some((errors.when, injected(reply::status(errors.status).map_err(at("errors.status"))?)))
        }
        None => None,
    };
    let usual = if route.redirect.is_some() { 302 } else { 200 };
    let statuses = match route.statuses.as_slice() {
        [] => Cow::Owned(vec![route.status.unwrap_or(usual)]),
        _ if route.status.is_some() => {
            return Err(at("statuses")("status is given as well; remove one of them".into()));
        }
        list => Cow::Borrowed(list),
    };
    let usual = answer(route, field)?;
    let replies = statuses
        .iter()
        .map(|code| Ok(Reply { status: reply::status(*code)?, ..usual.clone() }))
        .collect::<Result<_, String>>()
        .map_err(at("status"))?;
    Ok(Compiled {
        name,
        next: AtomicU64::new(0),
        latency: route.latency.cycle().map_err(at("latency"))?,
        replies,
        errors,
        reset: route.reset,
        stall: route.stall,
        truncate: route.truncate,
    })
}

/// The usual answer of a route, whatever its status.
fn answer(route: &Route, field: &str) -> Result<Reply, ConfigError> {
    let at = |part: &'static str| move |problem: String| ConfigError::at(format!("{field}.{part}"), problem);
    let (content_type, body) = match &route.body {
        Body::Text(text) => ("text/plain; charset=utf-8", Bytes::from(text.clone())),
        Body::Bytes(count) => ("application/octet-stream", reply::filler(*count).map_err(at("body"))?),
        Body::Json(document) => ("application/json", Bytes::from(document.to_string())),
    };
    let mut reply = Reply::new(StatusCode::OK, content_type, body);
    reply.chunked = route.chunked;
    for (name, value) in &route.headers {
        if matches!(name.to_ascii_lowercase().as_str(), "content-length" | "transfer-encoding" | "connection")
        {
            return Err(at("headers")(format!("{name} is the server's own; remove it")));
        }
        reply = reply.with_header(name, value).map_err(at("headers"))?;
    }
    if let Some(location) = &route.redirect {
        reply = reply.with_header("location", location).map_err(at("redirect"))?;
    }
    if let Some(slow) = route.slow {
        if slow.pieces == 0 {
            return Err(at("slow.pieces")("0 pieces carry no body; use 1 or more".into()));
        }
        reply.pieces = slow.pieces;
        reply.gap = law::delay(slow.every_ms).map_err(at("slow.everyMs"))?;
    }
    Ok(reply)
}

/// The answer of an injected error.
pub(crate) fn injected(status: StatusCode) -> Reply {
    Reply::json(status, &json!({"error": "injected by the testbed", "status": status.as_u16()}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::Latency;
    use crate::route::{Errors, Slow};

    fn table(routes: Vec<Route>) -> Result<Table, ConfigError> {
        Table::compile(&Config { routes, ..Config::default() })
    }

    #[test]
    fn exact_paths_win_over_longer_prefixes_over_shorter_ones() {
        let routes = vec![Route::under("/a"), Route::under("/a/b"), Route::at("/a/b/c")];
        let table = table(routes).unwrap();
        let found = |path| table.find(path).map(|route| route.name.as_str());
        assert_eq!(found("/a/x"), Some("/a*"));
        assert_eq!(found("/a/b/x"), Some("/a/b*"));
        assert_eq!(found("/a/b/c"), Some("/a/b/c"));
        assert_eq!(found("/z"), None);
    }

    #[test]
    fn every_mistake_is_named_with_its_field() {
        let at = Route::at("/x");
        for (route, field) in [
            (Route::default(), "routes[0]"),
            (Route::at("x"), "routes[0]"),
            (Route::at("/__stats"), "routes[0]"),
            (Route { status: Some(99), ..at.clone() }, "routes[0].status"),
            (Route { status: Some(200), statuses: vec![200], ..at.clone() }, "routes[0].statuses"),
            (Route { latency: Latency::Sequence(vec![]), ..at.clone() }, "routes[0].latency"),
            (Route { reset: Some(When::Every(0)), ..at.clone() }, "routes[0].reset"),
            (Route { body: Body::Bytes(usize::MAX), ..at.clone() }, "routes[0].body"),
            (Route { slow: Some(Slow { pieces: 0, every_ms: 1.0 }), ..at.clone() }, "routes[0].slow.pieces"),
            (
                Route { errors: Some(Errors { when: When::Every(1), status: 700 }), ..at.clone() },
                "routes[0].errors.status",
            ),
            (
                Route { headers: [("Content-Length".into(), "1".into())].into(), ..at.clone() },
                "routes[0].headers",
            ),
        ] {
            assert_eq!(table(vec![route]).unwrap_err().field, field);
        }
        assert!(table(vec![at.clone(), at]).unwrap_err().problem.contains("already"));
    }
}
