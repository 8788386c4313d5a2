//! How many WebSockets each client address has open and opens: the limits of the real service on connections.
//! `websocket/handshake.rs` asks at every handshake.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::aragora::Sockets;

const MINUTE: Duration = Duration::from_secs(60);

/// All client addresses that have sockets open or opened some lately.
#[derive(Debug, Default)]
pub(crate) struct Peers(Mutex<HashMap<IpAddr, Peer>>);

#[derive(Debug, Default)]
struct Peer {
    open: u64,
    /// When sockets were opened in the last minute, while that is limited.
    opened: VecDeque<Instant>,
}

/// An open socket's place among those of its address.
#[derive(Debug)]
pub(super) struct Place {
    peers: Arc<Peers>,
    address: IpAddr,
}

impl Peers {
    fn peers(&self) -> MutexGuard<'_, HashMap<IpAddr, Peer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a socket its place; the reason if its address has too many already.
    pub(super) fn enter(
        self: &Arc<Self>,
        address: IpAddr,
        settings: &Sockets,
        now: Instant,
    ) -> Result<Place, &'static str> {
        let mut peers = self.peers();
        let peer = peers.entry(address).or_default();
        while peer.opened.front().is_some_and(|at| now.saturating_duration_since(*at) >= MINUTE) {
            peer.opened.pop_front();
        }
        let (most, per_minute) = (settings.connections_per_ip, settings.connects_per_minute);
        if per_minute > 0 && peer.opened.len() >= per_minute as usize {
            return Err("too many connections in a minute; rate limit exceeded");
        }
        if most > 0 && peer.open >= most {
            return Err("too many open connections; rate limit exceeded");
        }
        if per_minute > 0 {
            peer.opened.push_back(now);
        }
        peer.open += 1;
        Ok(Place { peers: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut peers = self.peers.peers();
        let Some(peer) = peers.get_mut(&self.address) else { return };
        peer.open = peer.open.saturating_sub(1);
        if peer.open == 0 && peer.opened.is_empty() {
            peers.remove(&self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn an_address_has_so_many_sockets_and_opens_so_many_in_a_minute() {
        let (peers, now) = (Arc::new(Peers::default()), Instant::now());
        let (here, there) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::BROADCAST));
        let settings = Sockets { connections_per_ip: 2, connects_per_minute: 3, ..Sockets::default() };
        let enter = |address, at| peers.enter(address, &settings, at);
        let (a, b) = (enter(here, now).unwrap(), enter(here, now).unwrap());
        assert!(enter(here, now).unwrap_err().contains("open"));
        let elsewhere = enter(there, now).unwrap();
        drop(a);
        let c = enter(here, now).unwrap();
        drop((b, c, elsewhere));
        assert!(enter(here, now + Duration::from_secs(59)).unwrap_err().contains("minute"));
        assert!(enter(here, now + MINUTE).is_ok());
    }
}
