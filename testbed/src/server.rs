//! What all threads of a server share. `core.rs` is what each has of its own.

use std::sync::Arc;

use crate::aragora::{self, World};
use crate::builtin::{self, Builtin};
use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::faults::Faults;
use crate::ledger::Ledger;
use crate::pki::Pki;
use crate::plan::{Handler, Resolved};
use crate::stats::Stats;
use crate::streams::{Messages, Streams};
use crate::table::Table;
use crate::websocket::{self, Peers};

/// The compiled configuration, the counts, the faults, and what is remembered.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) clock: Clock,
    pub(crate) ledger: Arc<Ledger>,
    /// WebSockets.
    pub(crate) sockets: Arc<Streams>,
    /// Event streams.
    pub(crate) events: Arc<Streams>,
    pub(crate) faults: Faults,
    pub(crate) world: World,
    pub(crate) peers: Arc<Peers>,
    pub(crate) http2: bool,
    pub(crate) keep_alive_requests: u64,
    pub(crate) pki: Option<Pki>,
    table: Table,
    builtins: bool,
    aragora: bool,
}

impl Server {
    /// Checks and compiles a configuration.
    pub(crate) fn new(config: &Config, pki: Option<Pki>) -> Result<Self, ConfigError> {
        config.check()?;
        let (clock, numbers) = (Clock::start(), Arc::default());
        Ok(Server {
            clock,
            ledger: Arc::new(Ledger::new(clock, config.log_entries)),
            sockets: Streams::new(clock, config.log_entries, &numbers),
            events: Streams::new(clock, config.log_entries, &numbers),
            faults: Faults::new(clock.origin, config)?,
            world: World::new(),
            peers: Arc::default(),
            http2: config.http2,
            keep_alive_requests: config.keep_alive_requests,
            pki,
            table: Table::compile(config)?,
            builtins: config.builtins,
            aragora: config.aragora.enabled,
        })
    }

    /// The pattern that stands for a path which has an id in it, if nothing else answers it.
    pub(crate) fn pattern(&self, path: &str) -> Option<&'static str> {
        match self.handler(path).0 {
            Handler::Aragora(endpoint) => Some(endpoint.pattern),
            Handler::Socket(door) => Some(door.pattern),
            _ => None,
        }
    }

    /// Who answers a path, and the name under which it counts when there are too many paths.
    fn handler(&self, path: &str) -> (Handler, &str) {
        if let Some(route) = self.table.find(path) {
            return (Handler::Route(route.clone()), route.name.as_str());
        }
        let handler = match builtin::find(path).filter(|_| self.builtins) {
            Some(Builtin::Fixed(delay, reply)) => Handler::Fixed(delay, reply),
            Some(Builtin::Echo) => Handler::Echo,
            Some(Builtin::Sse) => Handler::Sse,
            Some(Builtin::Socket(door)) => Handler::Socket(door),
            None => match (aragora::find(path), websocket::find(path)) {
                (Some(endpoint), _) if self.aragora => Handler::Aragora(endpoint),
                (_, Some(door)) if self.aragora => Handler::Socket(door),
                _ => Handler::Route(self.table.fallback.clone()),
            },
        };
        (handler, "*")
    }

    /// The account and the answerer of a path; the flag says whether they are the path's own and may be kept.
    pub(crate) fn resolve(&self, path: &str) -> (Resolved, bool) {
        let (handler, route) = self.handler(path);
        let name = match &handler {
            Handler::Aragora(endpoint) => endpoint.pattern,
            Handler::Socket(door) => door.pattern,
            _ => path,
        };
        let (account, own) = self.ledger.account(name, route);
        (Resolved { account, handler, name: name.into() }, own)
    }

    /// The counts of all paths that begin with the prefix.
    pub(crate) fn stats(&self, prefix: &str) -> Stats {
        Stats {
            ws: self.sockets.stats(prefix),
            sse: self.events.stats(prefix),
            aragora: self.world.books().counts.clone(),
            ..self.ledger.stats(prefix)
        }
    }

    /// The messages of all streams on the paths that the filter takes, sockets before event streams.
    pub(crate) fn messages(&self, takes: impl Fn(&str) -> bool) -> Messages {
        let mut messages = self.sockets.messages(&takes);
        let events = self.events.messages(&takes);
        messages.entries.extend(events.entries);
        messages.truncated |= events.truncated;
        messages
    }

    /// Empties counts and logs and lets every sequence begin anew.
    pub(crate) fn reset(&self) {
        self.table.restart();
        self.faults.restart();
        self.world.restart();
        self.ledger.reset();
        self.sockets.reset();
        self.events.reset();
    }
}
