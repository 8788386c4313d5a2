//! Exact counts and the log of durations, per path. Threads find a path's account once and keep it (`core.rs`);
//! `stats.rs` and `log.rs` are what is shown of it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::Method;

use crate::clock::{Clock, micros};
use crate::log::{Entry, Log};
use crate::stats::{Connections, PathStats, Stats};

/// Paths with an account of their own.
const MAX_PATHS: usize = 10_000;

/// Methods of one path with counts of their own; what comes later counts under the last of them.
const MAX_METHODS: usize = 16;

/// Upper bounds of the buckets of durations, in seconds.
pub(crate) const BUCKETS_S: [f64; 9] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// All accounts. A reset replaces them; requests in flight then end in the old ones.
#[derive(Debug)]
pub(crate) struct Ledger {
    clock: Clock,
    log_entries: i64,
    generation: AtomicU64,
    open: AtomicU64,
    accounts: Mutex<Accounts>,
}

#[derive(Debug, Default)]
struct Accounts {
    paths: HashMap<String, Arc<Account>>,
    log_room: Arc<AtomicI64>,
    accepted: u64,
    peak: u64,
    resumed: u64,
    bad_requests: u64,
}

/// The counts and the log of one path.
#[derive(Debug)]
pub(crate) struct Account {
    clock: Clock,
    log_room: Arc<AtomicI64>,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    whole: Tally,
    methods: Vec<(Method, Tally)>,
    log: Log,
}

/// Counts of a path, or of one of its methods.
#[derive(Debug, Default)]
struct Tally {
    stats: PathStats,
    answered: Vec<(u16, Histogram)>,
}

/// Answers with one status, by their durations.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Histogram {
    pub(crate) count: u64,
    pub(crate) sum_us: u64,
    /// By `BUCKETS_S`, each without those below; longer ones are in `count` only.
    pub(crate) buckets: [u64; BUCKETS_S.len()],
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    Answered(u16),
    Reset,
    Dropped,
    Truncated,
}

/// A poisoned lock guards plain counts that are consistent after every statement, so it is taken all the same.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ledger {
    /// Empty accounts; the clock's origin is the zero of the log's arrivals.
    pub(crate) fn new(clock: Clock, log_entries: usize) -> Self {
        let log_entries = i64::try_from(log_entries).unwrap_or(i64::MAX);
        let ledger = Ledger {
            clock,
            log_entries,
            generation: AtomicU64::new(0),
            open: AtomicU64::new(0),
            accounts: Mutex::default(),
        };
        ledger.reset();
        ledger
    }

    /// Grows with every reset; an account found before belongs to the past.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The account of a path, or of its route if there are too many paths. The flag says whether it is the path's own.
    pub(crate) fn account(&self, path: &str, route: &str) -> (Arc<Account>, bool) {
        let mut accounts = lock(&self.accounts);
        if let Some(known) = accounts.paths.get(path) {
            return (known.clone(), true);
        }
        let own = accounts.paths.len() < MAX_PATHS;
        let name = if own { path } else { route };
        let log_room = accounts.log_room.clone();
        let new = || Arc::new(Account { clock: self.clock, log_room, book: Mutex::default() });
        (accounts.paths.entry(name.to_owned()).or_insert_with(new).clone(), own)
    }

    /// Counts a connection as open until the guard goes.
    pub(crate) fn connect(self: &Arc<Self>) -> OpenConnection {
        let mut accounts = lock(&self.accounts);
        let open = self.open.fetch_add(1, Ordering::Relaxed) + 1;
        accounts.accepted += 1;
        accounts.peak = accounts.peak.max(open);
        OpenConnection(self.clone())
    }

    /// Counts a TLS handshake that took up an earlier session.
    pub(crate) fn resume(&self) {
        lock(&self.accounts).resumed += 1;
    }

    /// Counts a request that could not be read.
    pub(crate) fn bad_request(&self) {
        lock(&self.accounts).bad_requests += 1;
    }

    /// Begins anew with empty counts and an empty log.
    pub(crate) fn reset(&self) {
        let mut accounts = lock(&self.accounts);
        let peak = self.open.load(Ordering::Relaxed);
        let log_room = Arc::new(AtomicI64::new(self.log_entries));
        *accounts = Accounts { log_room, peak, ..Accounts::default() };
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// The counts of every path that received something and begins with the prefix.
    pub(crate) fn stats(&self, prefix: &str) -> Stats {
        let accounts = lock(&self.accounts);
        let open = self.open.load(Ordering::Relaxed);
        let mut stats = Stats {
            started_at_us: self.clock.started_at_us,
            connections: Connections {
                accepted: accounts.accepted,
                open,
                peak: accounts.peak,
                resumed: accounts.resumed,
            },
            bad_requests: accounts.bad_requests,
            log_truncated: accounts.log_room.load(Ordering::Relaxed) < 0,
            ..Stats::default()
        };
        for (path, account) in accounts.paths.iter().filter(|(path, _)| path.starts_with(prefix)) {
            let book = lock(&account.book);
            if book.whole.stats.received > 0 {
                stats.paths.insert(path.clone(), book.whole.shown());
            }
            for (method, tally) in &book.methods {
                stats.endpoints.insert(format!("{method} {path}"), tally.shown());
            }
        }
        stats
    }

    /// The durations of all answers by method, path and status, in this order.
    pub(crate) fn histograms(&self) -> Vec<(String, String, u16, Histogram)> {
        let accounts = lock(&self.accounts);
        let mut all = Vec::new();
        for (path, account) in &accounts.paths {
            for (method, tally) in &lock(&account.book).methods {
                let of = |(status, histogram): &(u16, Histogram)| {
                    (method.to_string(), path.clone(), *status, *histogram)
                };
                all.extend(tally.answered.iter().map(of));
            }
        }
        all.sort_by(|a, b| (&a.1, &a.0, a.2).cmp(&(&b.1, &b.0, b.2)));
        all
    }

    /// Requests in progress on all paths.
    pub(crate) fn in_flight(&self) -> u64 {
        lock(&self.accounts).paths.values().map(|account| lock(&account.book).whole.stats.in_flight).sum()
    }

    /// The log of all paths that the filter takes, in the order of arrival.
    pub(crate) fn log(&self, takes: impl Fn(&str) -> bool) -> Log {
        let mut log = Log::default();
        for (_, account) in lock(&self.accounts).paths.iter().filter(|(path, _)| takes(path)) {
            let book = lock(&account.book);
            log.entries.extend_from_slice(&book.log.entries);
            log.truncated |= book.log.truncated;
        }
        log.entries.sort_by_key(|entry| entry.arrival_us);
        log
    }
}

impl Account {
    /// Counts a request that has arrived, and as being served until the guard ends.
    pub(crate) fn arrive(self: &Arc<Self>, method: &Method, at: Instant, bytes_in: u64) -> InFlight {
        let mut book = lock(&self.book);
        let known = book.methods.iter().position(|(known, _)| known == method);
        let index = known.unwrap_or(book.methods.len()).min(MAX_METHODS - 1);
        if index == book.methods.len() {
            book.methods.push((method.clone(), Tally::default()));
        }
        book.both(index, |tally| {
            let stats = &mut tally.stats;
            stats.received += 1;
            stats.bytes_in += bytes_in;
            stats.in_flight += 1;
            stats.peak_in_flight = stats.peak_in_flight.max(stats.in_flight);
        });
        drop(book);
        InFlight { account: self.clone(), method: index, at, bytes_out: 0, outcome: None }
    }
}

impl Tally {
    fn shown(&self) -> PathStats {
        let answered = self.answered.iter().map(|(status, histogram)| (*status, histogram.count)).collect();
        PathStats { answered, ..self.stats.clone() }
    }

    fn answer(&mut self, status: u16, duration_us: u32) {
        let known = self.answered.iter().position(|(known, _)| *known == status);
        let index = known.unwrap_or_else(|| {
            self.answered.push((status, Histogram::default()));
            self.answered.len() - 1
        });
        let Some((_, histogram)) = self.answered.get_mut(index) else { return };
        histogram.count += 1;
        histogram.sum_us += u64::from(duration_us);
        let seconds = f64::from(duration_us) / 1e6;
        if let Some(bucket) = BUCKETS_S.iter().position(|bound| seconds <= *bound) {
            histogram.buckets[bucket] += 1;
        }
    }
}

impl Book {
    /// Changes the counts of the path and of one of its methods.
    fn both(&mut self, method: usize, change: impl Fn(&mut Tally)) {
        change(&mut self.whole);
        if let Some((_, tally)) = self.methods.get_mut(method) {
            change(tally);
        }
    }

    fn write(&mut self, entry: Entry, log_room: &AtomicI64) {
        // The room goes below zero exactly when an entry was refused.
        if !self.log.truncated && log_room.fetch_sub(1, Ordering::Relaxed) > 0 {
            self.log.entries.push(entry);
        } else {
            self.log.truncated = true;
        }
    }
}

/// A request being served; without an outcome it ends as abandoned.
#[derive(Debug)]
pub(crate) struct InFlight {
    account: Arc<Account>,
    method: usize,
    at: Instant,
    /// Bytes written so far.
    pub(crate) bytes_out: u64,
    outcome: Option<(Outcome, Duration)>,
}

impl InFlight {
    /// Ends the request; the duration goes from its arrival to `now`.
    pub(crate) fn finish(mut self, outcome: Outcome, now: Instant) {
        self.outcome = Some((outcome, now.saturating_duration_since(self.at)));
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let account = &self.account;
        let mut book = lock(&account.book);
        let duration_us = |took| u32::try_from(micros(took)).unwrap_or(u32::MAX);
        book.both(self.method, |tally| {
            let stats = &mut tally.stats;
            stats.in_flight = stats.in_flight.saturating_sub(1);
            stats.bytes_out += self.bytes_out;
            match self.outcome {
                Some((Outcome::Answered(status), took)) => tally.answer(status, duration_us(took)),
                Some((Outcome::Reset, _)) => stats.reset += 1,
                Some((Outcome::Dropped, _)) => stats.dropped += 1,
                Some((Outcome::Truncated, _)) => stats.truncated += 1,
                None => stats.abandoned += 1,
            }
        });
        if let Some((Outcome::Answered(status), took)) = self.outcome {
            let arrival_us = account.clock.us(self.at);
            book.write(Entry { arrival_us, duration_us: duration_us(took), status }, &account.log_room);
        }
    }
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct OpenConnection(Arc<Ledger>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_says_so_and_counting_goes_on() {
        let clock = Clock::start();
        let (origin, ledger) = (clock.origin, Ledger::new(clock, 3));
        let (account, own) = ledger.account("/a", "*");
        assert!(own);
        for i in 0..5 {
            let at = origin + Duration::from_micros(10 * i);
            account.arrive(&Method::GET, at, 7).finish(Outcome::Answered(200), at + Duration::from_micros(i));
        }
        let (stats, log) = (ledger.stats(""), ledger.log(|path| path == "/a"));
        assert_eq!((stats.received(), stats.paths["/a"].answered[&200], stats.log_truncated), (5, 5, true));
        assert_eq!(
            log.entries.iter().map(|e| (e.arrival_us, e.duration_us)).collect::<Vec<_>>(),
            [(0, 0), (10, 1), (20, 2)]
        );
        assert!(log.truncated);
    }

    #[test]
    fn a_reset_forgets_and_what_was_in_flight_stays_in_the_past() {
        let ledger = Ledger::new(Clock::start(), 10);
        let before = ledger.generation();
        let request = ledger.account("/a", "*").0.arrive(&Method::GET, Instant::now(), 1);
        ledger.reset();
        assert_ne!(ledger.generation(), before);
        request.finish(Outcome::Answered(200), Instant::now());
        assert_eq!(ledger.stats("").received(), 0);
        assert!(ledger.log(|_| true).entries.is_empty());
    }

    #[test]
    fn paths_beyond_the_limit_are_counted_under_their_route() {
        let ledger = Ledger::new(Clock::start(), 0);
        for i in 0..MAX_PATHS + 50 {
            let (account, own) = ledger.account(&format!("/item/{i}"), "/item/*");
            assert_eq!(own, i < MAX_PATHS);
            account.arrive(&Method::GET, Instant::now(), 0).finish(Outcome::Reset, Instant::now());
        }
        let stats = ledger.stats("");
        assert_eq!(stats.received(), MAX_PATHS as u64 + 50);
        assert_eq!(stats.paths["/item/*"].reset, 50);
    }

    #[test]
    fn methods_and_durations_are_told_apart() {
        let clock = Clock::start();
        let (at, ledger) = (clock.origin, Ledger::new(clock, 10));
        let (account, _) = ledger.account("/a", "*");
        for (method, ms) in [(Method::GET, 10), (Method::GET, 11), (Method::POST, 20_000)] {
            let end = at + Duration::from_millis(ms);
            account.arrive(&method, at, 1).finish(Outcome::Answered(200), end);
        }
        let stats = ledger.stats("");
        assert_eq!((stats.paths["/a"].received, stats.endpoints["GET /a"].received), (3, 2));
        let all = ledger.histograms();
        let shown: Vec<_> = all.iter().map(|(method, ..)| method.as_str()).collect();
        assert_eq!(shown, ["GET", "POST"]);
        assert_eq!((&all[0].3.buckets[..3], all[0].3.sum_us), (&[1, 1, 0][..], 21_000));
        assert_eq!((all[1].3.count, all[1].3.buckets.iter().sum::<u64>()), (1, 0));
    }

    #[test]
    fn a_dropped_request_is_abandoned() {
        let ledger = Ledger::new(Clock::start(), 10);
        drop(ledger.account("/a", "*").0.arrive(&Method::GET, Instant::now(), 1));
        let path = ledger.stats("").paths["/a"].clone();
        assert_eq!((path.abandoned, path.in_flight, path.peak_in_flight), (1, 0, 1));
    }
}
