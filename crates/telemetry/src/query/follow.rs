//! Asks all questions of a run every ten seconds, and once more when it is over. A task of its own that nobody waits for: whoever wants
//! to know reads the last answers, and a server that does not answer delays nothing but itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures::StreamExt;
use plimsoll_slo::{Ask, Asked, Query};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::client::Client;
use super::round::{Found, Job, Moment};

/// How often questions are asked while a run goes on.
pub const EVERY: Duration = Duration::from_secs(10);
/// How long after the end of a run the last answers may take; what has none then is Unknown.
pub const DEADLINE: Duration = Duration::from_secs(10);
/// The same for our own series (`source: Prometheus`), which have to be scraped once more.
pub const OWN_DEADLINE: Duration = Duration::from_secs(45);
/// How long it may take until our own series say what was counted last.
const SETTLED: Duration = Duration::from_secs(2);
/// Between two attempts at the end.
const PAUSE: Duration = Duration::from_millis(500);
/// Questions that are asked of a server at once.
const AT_ONCE: usize = 8;

/// What is known so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    /// As for the judge.
    pub queries: Vec<(String, Query)>,
    /// As for people.
    pub asked: Vec<Asked>,
    /// The run is over, and nothing more will be asked.
    pub is_final: bool,
}

/// A run's questions being asked; dropping it ends that.
#[derive(Debug)]
pub struct Follower {
    shared: Arc<Mutex<State>>,
    over: watch::Sender<Option<End>>,
    finished: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    found: Vec<Found>,
    is_final: bool,
}

/// The end of a run.
#[derive(Clone, Copy, Debug)]
struct End {
    /// Nanoseconds of the run that were measured.
    measured: u64,
    /// When it was told, on both clocks.
    at: SystemTime,
    instant: Instant,
}

/// Whom to ask, or why nobody can be asked.
type Whom = Result<Arc<Client>, String>;

impl Follower {
    /// Begins to ask; without a server every question stays unanswered, and says why.
    ///
    /// Must be called within a runtime of tokio.
    #[must_use]
    pub fn start(whom: Whom, job: Job) -> Self {
        let (over, end) = watch::channel(None);
        let (finish, finished) = watch::channel(false);
        let (server, why) = match &whom {
            Ok(client) => (client.name().to_owned(), "it was not asked yet"),
            Err(why) => (String::new(), why.as_str()),
        };
        let now = job.until(SystemTime::now());
        let found = job.questions().iter().map(|question| job.unasked(question, &server, why, now)).collect();
        let shared = Arc::new(Mutex::new(State { found, is_final: false }));
        let state = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            follow(&whom, &job, &state, end).await;
            lock(&state).is_final = true;
            finish.send_replace(true);
        });
        Self { shared, over, finished, task }
    }

    /// Asks once about a run that ended some time ago ([`Job::past`]).
    ///
    /// Must be called within a runtime of tokio.
    #[must_use]
    pub fn ask_again(client: Arc<Client>, job: Job, measured: u64) -> Self {
        let follower = Self::start(Ok(client), job);
        follower.end(measured);
        follower
    }

    /// The load is over and everything was counted: the last questions are asked, for the judged part as far as it was measured, in
    /// nanoseconds since the start. Only the first call counts.
    pub fn end(&self, measured: u64) {
        self.over.send_if_modified(|end| {
            let is_new = end.is_none();
            end.get_or_insert(End { measured, at: SystemTime::now(), instant: Instant::now() });
            is_new
        });
    }

    /// What is known by now.
    #[must_use]
    pub fn answers(&self) -> Answers {
        let state = lock(&self.shared);
        let found = || state.found.iter();
        Answers {
            queries: found().map(|found| (found.asked.question.slo.clone(), found.query.clone())).collect(),
            asked: found().map(|found| found.asked.clone()).collect(),
            is_final: state.is_final || self.task.is_finished(),
        }
    }

    /// Resolves when nothing more will be asked, at the latest [`DEADLINE`] or [`OWN_DEADLINE`] after [`Follower::end`].
    pub async fn finished(&mut self) {
        // An end of the sender is an end of the task.
        let _ = self.finished.wait_for(|finished| *finished).await;
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(shared: &Mutex<State>) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn follow(whom: &Whom, job: &Job, state: &Mutex<State>, mut end: watch::Receiver<Option<End>>) {
    let told = async |end: &mut watch::Receiver<Option<End>>| {
        end.wait_for(Option::is_some).await.ok().and_then(|end| *end)
    };
    let Ok(client) = whom else {
        told(&mut end).await;
        return;
    };
    let mut watched = end.clone();
    let over = tokio::select! {
        over = told(&mut end) => over,
        // It ends with the judged part, after which nothing new can be learnt until the run is over.
        () = live(client, job, state) => told(&mut watched).await,
    };
    if let Some(over) = over {
        last(client, job, state, over).await;
    }
}

/// Asks while the judged part goes on.
async fn live(client: &Client, job: &Job, state: &Mutex<State>) {
    let (start, end) = job.judged();
    let judged = end.duration_since(start).unwrap_or_default();
    let mut next = start + EVERY.min(judged / 2);
    loop {
        tokio::time::sleep(next.duration_since(SystemTime::now()).unwrap_or_default()).await;
        let moment = job.until(SystemTime::now());
        futures::stream::iter(0..job.questions().len())
            .for_each_concurrent(AT_ONCE, async |at| {
                let found = job.ask(client, &job.questions()[at], moment, None).await;
                keep(state, at, found);
            })
            .await;
        // A round that took long leaves the next ones out.
        next = (next + EVERY).max(SystemTime::now());
        if next > end {
            return;
        }
    }
}

/// Asks at the end, until all have answered or their time is up.
async fn last(client: &Client, job: &Job, state: &Mutex<State>, end: End) {
    let moment = job.whole(end.measured);
    futures::stream::iter(0..job.questions().len())
        .for_each_concurrent(AT_ONCE, async |at| {
            let question = &job.questions()[at];
            let limit = if question.ask == Ask::Own { OWN_DEADLINE } else { DEADLINE };
            let reached =
                tokio::time::timeout_at(end.instant + limit, insist(client, job, state, (at, moment), end))
                    .await;
            if reached.is_err() {
                give_up(job, client, state, (at, moment), limit);
            }
        })
        .await;
}

/// Asks one question until the answer is one that will not change.
async fn insist(client: &Client, job: &Job, state: &Mutex<State>, (at, moment): (usize, Moment), end: End) {
    loop {
        if moment.end <= moment.start {
            let why = "the run ended before its judged part began";
            return keep(state, at, job.unasked(&job.questions()[at], client.name(), why, moment));
        }
        let found = job.ask(client, &job.questions()[at], moment, Some(end.at + SETTLED)).await;
        let may_pass = found.may_pass;
        keep(state, at, found);
        if !may_pass {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The time for the last answer is up. What was answered while the run went on is not the answer for its end.
fn give_up(job: &Job, client: &Client, state: &Mutex<State>, (at, moment): (usize, Moment), limit: Duration) {
    let mut state = lock(state);
    let Some(kept) = state.found.get_mut(at) else { return };
    let late = format!("no answer within {}s of the end of the run", limit.as_secs());
    let why = match &kept.query {
        Query::Missing(why) if kept.asked.evaluations > 0 => format!("{why}; {late}"),
        _ => late,
    };
    let evaluations = kept.asked.evaluations;
    *kept = job.unasked(&job.questions()[at], client.name(), &why, moment);
    kept.asked.evaluations = evaluations;
}

fn keep(state: &Mutex<State>, at: usize, mut found: Found) {
    let mut state = lock(state);
    if let Some(kept) = state.found.get_mut(at) {
        found.asked.evaluations = kept.asked.evaluations.saturating_add(1);
        *kept = found;
    }
}
