//! The worker's door to the operator: connects again whenever it must, and never makes the engine wait. Other side: `server.rs`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use plimsoll_measure::{Gauges, Layout, Snapshot};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::carry::carry;
use crate::door::ACK_PATIENCE;
use crate::outbox::Outbox;
use crate::reach::{Endpoint, Link, Unreached, reach};
use crate::wire::MAX_MESSAGE;
use crate::{Door, Final, HelloInfo, LastWords, Readiness, SessionError, Start, StartFailure, Stop};

/// A worker that gets no answer for this long before its session begins gives up.
const DIAL_PATIENCE: Duration = Duration::from_secs(15);
/// How long a worker lets itself be told "not yet" before its session begins.
const TURN_PATIENCE: Duration = Duration::from_secs(600);
/// How long a failure to start is reported for.
const FAILED_PATIENCE: Duration = Duration::from_secs(15);
/// Pauses between attempts double from the first to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// The door of a worker in a pod.
pub struct GrpcDoor {
    shared: Arc<Shared>,
    heard: watch::Receiver<Heard>,
    /// The stop that was last handed out by `stop_asked`.
    stop: Option<Stop>,
    last_words: Option<(PathBuf, Arc<Layout>)>,
    hello: HelloInfo,
    carrier: JoinHandle<()>,
}

/// What the door and the task that carries its messages share.
pub(crate) struct Shared {
    said: Mutex<Said>,
    /// Something new was said.
    pub(crate) news: Notify,
    pub(crate) heard: watch::Sender<Heard>,
}

/// What the worker has said; all of it is repeated on a new connection as far as the operator lacks it.
pub(crate) struct Said {
    pub(crate) outbox: Outbox,
    pub(crate) ready: Option<Readiness>,
    pub(crate) failed: Option<StartFailure>,
    pub(crate) skew: Option<u64>,
    pub(crate) gauges: Option<Gauges>,
    pub(crate) last: Option<Final>,
}

/// What the worker was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    pub(crate) start: Option<Start>,
    pub(crate) stop: Option<Stop>,
    pub(crate) noted: bool,
    pub(crate) acked: bool,
    /// The session is over for good.
    pub(crate) over: Option<SessionError>,
    /// Why there is no connection, while there is none.
    pub(crate) trouble: Option<String>,
}

impl Shared {
    pub(crate) fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the harsher of two stops.
    pub(crate) fn stop(&self, stop: Stop) {
        self.heard.send_if_modified(|heard| {
            let harsher = heard.stop.as_ref().is_none_or(|now| stop.at_once && !now.at_once);
            if harsher {
                heard.stop = Some(stop);
            }
            harsher
        });
    }

    /// The session is over for good, and with it this worker's load.
    pub(crate) fn over(&self, error: SessionError) {
        self.stop(Stop { reason: error.to_string(), at_once: true });
        self.heard.send_modify(|heard| heard.over = Some(error));
    }
}

/// Opens a worker's session.
///
/// # Errors
/// When nobody answers for 15 s, naming the address and the likely cause; when the operator refuses this worker; when token, CA
/// or address cannot be used.
pub async fn dial(endpoint: Endpoint, hello: HelloInfo) -> Result<GrpcDoor, SessionError> {
    let mut route = Route::new(&endpoint, &hello);
    let link = first(&mut route, &endpoint, &hello).await?;
    let said = Said {
        outbox: Outbox::new(MAX_MESSAGE),
        ready: None,
        failed: None,
        skew: None,
        gauges: None,
        last: None,
    };
    let (sender, heard) = watch::channel(Heard::default());
    let shared = Arc::new(Shared { said: Mutex::new(said), news: Notify::new(), heard: sender });
    let carrier = tokio::spawn(keep(Arc::clone(&shared), endpoint, hello.clone(), route, link));
    Ok(GrpcDoor { shared, heard, stop: None, last_words: None, hello, carrier })
}

/// Where to try next, and after which pause.
pub(crate) struct Route {
    home: String,
    address: String,
    pause: Duration,
    /// Spreads workers that lost the same operator.
    spread: Duration,
}

impl Route {
    fn new(endpoint: &Endpoint, hello: &HelloInfo) -> Self {
        let spread = Duration::from_millis(u64::from(hello.index) * 37 % 100);
        Self { home: endpoint.address.clone(), address: endpoint.address.clone(), pause: PAUSES.0, spread }
    }

    fn arrived(&mut self) {
        self.pause = PAUSES.0;
    }

    /// Goes where another replica pointed; the pause only grows, so two that point at each other do no harm.
    pub(crate) fn turn(&mut self, leader: String) {
        self.address = leader;
    }

    fn failed(&mut self) {
        self.address.clone_from(&self.home);
    }

    async fn wait(&mut self) {
        tokio::time::sleep(self.pause + self.spread).await;
        self.pause = (self.pause * 2).min(PAUSES.1);
    }
}

/// The first connection: impatient with silence, since a worker that never reaches its operator is of no use; patient with "not
/// yet", since an operator that changes its leader says that for a while.
async fn first(route: &mut Route, endpoint: &Endpoint, hello: &HelloInfo) -> Result<Link, SessionError> {
    let begun = Instant::now();
    let mut answered = begun;
    let mut cause = "the operator may be starting or ending".to_owned();
    loop {
        let left = DIAL_PATIENCE.saturating_sub(answered.elapsed());
        let attempt = tokio::time::timeout(left, reach(endpoint, &route.address, hello)).await;
        match attempt {
            Ok(Ok(link)) => return Ok(link),
            Ok(Err(Unreached::Refused(reason))) => return Err(SessionError::Refused(reason)),
            Ok(Err(Unreached::Settings(reason))) => return Err(SessionError::Settings(reason)),
            Ok(Err(Unreached::Silence(silence))) => {
                cause = silence;
                route.failed();
            }
            Ok(Err(Unreached::Later(reason))) => {
                answered = Instant::now();
                cause = reason;
                route.failed();
            }
            Ok(Err(Unreached::Elsewhere(leader))) => {
                answered = Instant::now();
                cause = format!("{} names {leader} as the leader", route.address);
                route.turn(leader);
            }
            Err(_) => {}
        }
        let address = endpoint.address.clone();
        if answered.elapsed() >= DIAL_PATIENCE {
            return Err(SessionError::Unreachable { address, cause, within: DIAL_PATIENCE });
        }
        if begun.elapsed() >= TURN_PATIENCE {
            return Err(SessionError::Unreachable { address, cause, within: TURN_PATIENCE });
        }
        route.wait().await;
    }
}

/// Carries messages, connection after connection, until the session is over.
async fn keep(shared: Arc<Shared>, endpoint: Endpoint, hello: HelloInfo, mut route: Route, first: Link) {
    let mut link = Some(first);
    loop {
        if let Some(link) = link.take() {
            shared.heard.send_modify(|heard| heard.trouble = None);
            route.arrived();
            match carry(&shared, endpoint.wall, link).await {
                Unreached::Refused(reason) => return shared.over(SessionError::Refused(reason)),
                Unreached::Elsewhere(leader) => route.turn(leader),
                Unreached::Later(reason) | Unreached::Silence(reason) | Unreached::Settings(reason) => {
                    tracing::warn!(reason, "session interrupted; connecting again");
                    shared.heard.send_modify(|heard| heard.trouble = Some(reason));
                    route.failed();
                }
            }
        }
        route.wait().await;
        match reach(&endpoint, &route.address, &hello).await {
            Ok(again) => {
                tracing::info!(address = route.address, last_seq = again.last_seq, "session resumed");
                link = Some(again);
            }
            Err(Unreached::Refused(reason)) => return shared.over(SessionError::Refused(reason)),
            Err(Unreached::Elsewhere(leader)) => route.turn(leader),
            Err(Unreached::Silence(reason) | Unreached::Later(reason) | Unreached::Settings(reason)) => {
                tracing::debug!(reason, "operator not reached");
                shared.heard.send_modify(|heard| heard.trouble = Some(reason));
                route.failed();
            }
        }
    }
}

/// Stops a worker from outside its session, for signals.
#[derive(Clone)]
pub struct Stopper(Arc<Shared>);

impl Stopper {
    /// Asks this worker to stop, as if the operator had.
    pub fn stop(&self, stop: Stop) {
        self.0.stop(stop);
    }
}

impl GrpcDoor {
    /// A handle that stops this worker.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.shared))
    }

    /// Lets [`Door::finish`] leave counts and SLO counters in a file until the outcome is stored: the pod's termination message.
    pub fn leave_last_words(&mut self, file: PathBuf, layout: Arc<Layout>) {
        self.last_words = Some((file, layout));
    }

    async fn heard(&mut self, wanted: impl Fn(&Heard) -> bool) -> Heard {
        let heard = self.heard.wait_for(|heard| wanted(heard)).await.ok().map(|heard| heard.clone());
        match heard {
            Some(heard) => heard,
            // The sender lives in what this door shares.
            None => std::future::pending().await,
        }
    }

    /// Whatever happens from here on, the counts are written down.
    fn write_last_words(&self, last: &Final) {
        let Some((file, layout)) = &self.last_words else { return };
        let total = self.shared.said().outbox.total().clone();
        let words = LastWords::of(&self.hello, &total, layout, last);
        if let Err(error) = std::fs::write(file, words.render()) {
            tracing::warn!(file = %file.display(), %error, "cannot write the termination message");
        }
    }

    fn withdraw_last_words(&self) {
        if let Some((file, _)) = &self.last_words
            && let Err(error) = std::fs::write(file, "")
        {
            tracing::warn!(file = %file.display(), %error, "cannot empty the termination message");
        }
    }
}

impl Drop for GrpcDoor {
    fn drop(&mut self) {
        self.carrier.abort();
    }
}

impl Door for GrpcDoor {
    async fn ready(&mut self, readiness: Readiness) -> Result<Start, SessionError> {
        self.shared.said().ready = Some(readiness);
        self.shared.news.notify_one();
        let settled = |heard: &Heard| heard.over.is_some() || heard.stop.is_some() || heard.start.is_some();
        let heard = self.heard(settled).await;
        match (heard.over, heard.stop, heard.start) {
            (Some(error), _, _) => Err(error),
            (None, None, Some(start)) => Ok(start),
            (None, Some(stop), _) => Err(SessionError::Stopped(stop)),
            (None, None, None) => Err(SessionError::GivenUp("the session ended".to_owned())),
        }
    }

    async fn failed(&mut self, cause: StartFailure) {
        self.shared.said().failed = Some(cause);
        self.shared.news.notify_one();
        let told = self.heard(|heard| heard.noted || heard.over.is_some());
        if tokio::time::timeout(FAILED_PATIENCE, told).await.is_err() {
            tracing::warn!("the operator did not take note of the failure to start");
        }
    }

    async fn stop_asked(&mut self) -> Stop {
        let seen = self.stop.clone();
        let heard = self.heard(|heard| heard.stop.is_some() && heard.stop != seen).await;
        match heard.stop {
            Some(stop) => {
                self.stop = Some(stop.clone());
                stop
            }
            None => std::future::pending().await,
        }
    }

    fn began(&mut self, skew: u64) {
        self.shared.said().skew = Some(skew);
    }

    fn gauges(&mut self, now: Gauges) {
        self.shared.said().gauges = Some(now);
    }

    fn push(&mut self, delta: Snapshot) {
        self.shared.said().outbox.add(delta);
        self.shared.news.notify_one();
    }

    async fn finish(&mut self, last: Final) -> Result<(), SessionError> {
        self.write_last_words(&last);
        self.shared.said().last = Some(last);
        self.shared.news.notify_one();
        let settled = self.heard(|heard| heard.acked || heard.over.is_some());
        let settled = tokio::time::timeout(ACK_PATIENCE, settled).await;
        match settled {
            Ok(Heard { acked: true, .. }) => {
                self.withdraw_last_words();
                Ok(())
            }
            Ok(Heard { over: Some(error), .. }) => Err(error),
            Ok(_) | Err(_) => {
                let trouble = self.heard.borrow().trouble.clone();
                let cause = trouble.unwrap_or_else(|| "the operator has not stored it".to_owned());
                Err(SessionError::NotAcknowledged { within: ACK_PATIENCE, cause })
            }
        }
    }
}
