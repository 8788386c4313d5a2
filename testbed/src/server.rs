//! What all threads of a server share. `core.rs` is what each has of its own.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::builtin::{self, Builtin};
use crate::config::{Config, ConfigError};
use crate::fault::Faults;
use crate::ledger::Ledger;
use crate::pki::Pki;
use crate::plan::{Handler, Resolved};
use crate::stats::Stats;
use crate::table::Table;

/// The compiled configuration, the counts and the faults.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) faults: Faults,
    pub(crate) http2: bool,
    pub(crate) keep_alive_requests: u64,
    pub(crate) pki: Option<Pki>,
    table: Table,
    builtins: bool,
    started_at_us: u64,
}

impl Server {
    /// Checks and compiles a configuration.
    pub(crate) fn new(config: &Config, pki: Option<Pki>) -> Result<Self, ConfigError> {
        config.check()?;
        let origin = Instant::now();
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Server {
            ledger: Arc::new(Ledger::new(origin, config.log_entries)),
            faults: Faults::new(origin, &config.freezes),
            http2: config.http2,
            keep_alive_requests: config.keep_alive_requests,
            pki,
            table: Table::compile(config)?,
            builtins: config.builtins,
            started_at_us: unix.as_micros() as u64,
        })
    }

    /// The account and the answerer of a path; the flag says whether they are the path's own and may be kept.
    pub(crate) fn resolve(&self, path: &str) -> (Resolved, bool) {
        let configured = self.table.find(path);
        let built_in = || builtin::find(path).filter(|_| self.builtins);
        let (handler, name) = match configured {
            Some(route) => (Handler::Route(route.clone()), route.name.as_str()),
            None => match built_in() {
                Some(Builtin::Fixed(delay, reply)) => (Handler::Fixed(delay, reply), "*"),
                Some(Builtin::Echo) => (Handler::Echo, "*"),
                None => (Handler::Route(self.table.fallback.clone()), "*"),
            },
        };
        let (account, own) = self.ledger.account(path, name);
        (Resolved { account, handler }, own)
    }

    /// The counts of all paths that begin with the prefix.
    pub(crate) fn stats(&self, prefix: &str) -> Stats {
        self.ledger.stats(self.started_at_us, prefix)
    }

    /// Empties counts and log and lets every sequence begin anew.
    pub(crate) fn reset(&self) {
        self.table.restart();
        self.faults.forget_first();
        self.ledger.reset();
    }
}
