//! TLS sessions that later connections resume, shared by all users of a worker: whoever connects next takes up what the last handshake
//! left. Put into the client's configuration by `tls.rs` if the plan asks for it.
//!
//! The library's own cache keeps eight tickets of TLS 1.3 per server, fewer than users that reconnect at once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls_pki_types::ServerName;

/// Tickets kept per server, each a few KiB at most. A handshake usually leaves two and takes one.
const MOST_TICKETS: usize = 4096;

/// Servers remembered: beside the target only those that redirects lead to.
const MOST_SERVERS: usize = 64;

/// What is remembered of every server.
#[derive(Debug, Default)]
pub(crate) struct Tickets(Mutex<HashMap<ServerName<'static>, Sessions>>);

#[derive(Debug, Default)]
struct Sessions {
    group: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    /// Each is used once, the newest first.
    tls13: VecDeque<Tls13ClientSessionValue>,
}

impl Tickets {
    fn servers(&self) -> MutexGuard<'_, HashMap<ServerName<'static>, Sessions>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, server: &ServerName<'_>, read: impl FnOnce(&mut Sessions) -> Option<T>) -> Option<T> {
        self.servers().get_mut(&server.to_owned()).and_then(read)
    }

    fn edit(&self, server: ServerName<'static>, write: impl FnOnce(&mut Sessions)) {
        let mut servers = self.servers();
        if servers.len() < MOST_SERVERS || servers.contains_key(&server) {
            write(servers.entry(server).or_default());
        }
    }
}

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, server: ServerName<'static>, group: NamedGroup) {
        self.edit(server, |sessions| sessions.group = Some(group));
    }

    fn kx_hint(&self, server: &ServerName<'_>) -> Option<NamedGroup> {
        self.with(server, |sessions| sessions.group)
    }

    fn set_tls12_session(&self, server: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.edit(server, |sessions| sessions.tls12 = Some(session));
    }

    fn tls12_session(&self, server: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.with(server, |sessions| sessions.tls12.clone())
    }

    fn remove_tls12_session(&self, server: &ServerName<'_>) {
        self.with(server, |sessions| sessions.tls12.take());
    }

    fn insert_tls13_ticket(&self, server: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.edit(server, |sessions| {
            if sessions.tls13.len() == MOST_TICKETS {
                sessions.tls13.pop_front();
            }
            sessions.tls13.push_back(ticket);
        });
    }

    fn take_tls13_ticket(&self, server: &ServerName<'_>) -> Option<Tls13ClientSessionValue> {
        self.with(server, |sessions| sessions.tls13.pop_back())
    }
}
