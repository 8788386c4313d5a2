//! One run in this process: the worker's own code behind the door in memory, watched and stopped like the operator does it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use plimsoll_engine::Materials;
use plimsoll_measure::{Gauges, Snapshot};
use plimsoll_plan::Plan;
use plimsoll_session::{LocalRun, Progress, Stop, local};
use plimsoll_slo::{Facts, Query, Question, Reason, Slo, Validity};
use plimsoll_telemetry::Identity;
use plimsoll_telemetry::query::{Answers, Client, Follower, Job as Asks};
use plimsoll_worker::{ExecuteError, execute};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What is to be run.
pub(super) struct Job<'a> {
    pub(super) plan: Arc<Plan>,
    pub(super) slos: &'a [Slo],
    pub(super) validity: &'a Validity,
    pub(super) materials: Materials,
    pub(super) threads: Option<usize>,
    pub(super) inquiry: Option<Inquiry>,
}

/// What is asked of Prometheus, and whom; or why nobody.
pub(super) struct Inquiry {
    pub(super) client: Result<Arc<Client>, String>,
    pub(super) questions: Vec<Question>,
}

/// What became of it.
pub(super) struct Outcome {
    pub(super) merged: Arc<Snapshot>,
    pub(super) facts: Facts,
    /// When the load began; absent if it never did.
    pub(super) started: Option<SystemTime>,
    /// Why a part of the load is missing, if one is: a core could not run.
    pub(super) fault: Option<String>,
}

/// The run as it is now, for whoever shows it.
pub(super) struct Now<'a> {
    pub(super) merged: &'a Snapshot,
    pub(super) facts: &'a Facts,
    /// Since the start; absent before it.
    pub(super) elapsed: Option<Duration>,
    /// What the engine does at this moment.
    pub(super) gauges: Option<Gauges>,
}

/// Signals that end a run: the first one gracefully, the second one at once.
pub(crate) struct Interrupts {
    int: Signal,
    term: Signal,
}

impl Interrupts {
    /// Takes Ctrl-C and SIGTERM from now on.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self { int: signal(SignalKind::interrupt())?, term: signal(SignalKind::terminate())? })
    }

    /// The next of them.
    pub(crate) async fn next(&mut self) {
        tokio::select! { _ = self.int.recv() => (), _ = self.term.recv() => () }
    }
}

/// Executes a run to its end; `show` sees it about four times a second. `None` if it was interrupted twice.
pub(super) async fn drive(
    job: Job<'_>,
    interrupts: &mut Interrupts,
    mut show: impl FnMut(Now<'_>),
) -> anyhow::Result<Option<Outcome>> {
    let Job { plan, slos, validity, materials, threads, inquiry } = job;
    let (doors, mut run) = local(&plan);
    let mut door = doors.into_iter().next().ok_or_else(|| anyhow::anyhow!("the plan has no share"))?;
    let share = Arc::clone(&plan).share(0)?;
    let mut watch = Watch {
        plan: &plan,
        slos,
        validity,
        inquiry,
        follower: None,
        answers: Answers::default(),
        began: None,
        cut: None,
        stopped: None,
    };
    let work = execute(share, materials, threads, &mut door);
    tokio::pin!(work);
    let mut tick = tokio::time::interval(Duration::from_millis(250));
    let failure = loop {
        tokio::select! {
            done = &mut work => break done.err(),
            () = run.changed() => {
                if watch.look(&run) { run.ack(); }
            }
            () = interrupts.next() => {
                if watch.stopped == Some(Reason::Cancelled) { return Ok(None); }
                watch.stop(&run, Reason::Cancelled, "interrupted".to_owned());
            }
            _ = tick.tick() => {
                watch.show(&run, &mut show);
            }
        }
    };
    watch.look(&run);
    if let Some(follower) = watch.follower.take().filter(|_| failure.is_none()) {
        watch.ask_last(follower, &run, interrupts, &mut show).await;
    }
    let progress = run.observe();
    let mut facts = watch.facts(&progress);
    facts.error = failure.and_then(could_not_run);
    let began = watch.began.is_some() && facts.error.is_none();
    let started = progress.start.filter(|_| began);
    let fault = fault(&progress).map(str::to_owned);
    Ok(Some(Outcome { merged: Arc::clone(progress.gather.merged()), facts, started, fault }))
}

/// Follows a run and decides when it stops.
struct Watch<'a> {
    plan: &'a Plan,
    slos: &'a [Slo],
    validity: &'a Validity,
    /// What is asked of Prometheus, until it is.
    inquiry: Option<Inquiry>,
    follower: Option<Follower>,
    /// What Prometheus said last.
    answers: Answers,
    began: Option<Instant>,
    /// Nanoseconds of load when it was stopped.
    cut: Option<u64>,
    stopped: Option<Reason>,
}

impl Watch<'_> {
    /// Looks at what changed; true when all is measured.
    fn look(&mut self, run: &LocalRun) -> bool {
        let progress = run.observe();
        if self.began.is_none() {
            self.began = progress.start.map(|start| {
                let lead = start.duration_since(SystemTime::now()).unwrap_or_default();
                Instant::now() + lead
            });
            self.follower = progress.start.and_then(|start| self.follow(start));
        }
        if let Some(follower) = &self.follower {
            self.answers = follower.answers();
        }
        let facts = self.facts(&progress);
        let merged = progress.gather.merged();
        if self.stopped.is_none() && progress.stop.is_none() {
            let elapsed = self.elapsed();
            let missed =
                plimsoll_slo::live(self.slos, self.validity, &self.plan.layout, merged, &facts, elapsed);
            if let Some((_, message)) = missed {
                self.stop(run, Reason::SLOAborted, message);
            }
        }
        progress.gather.all_done()
    }

    /// Begins to ask Prometheus, if there is anything to ask.
    fn follow(&mut self, start: SystemTime) -> Option<Follower> {
        let Inquiry { client, questions } = self.inquiry.take()?;
        let run = &self.plan.run;
        let identity = Identity {
            namespace: run.namespace.clone(),
            test: run.test.clone(),
            run: run.name.clone(),
            worker: None,
        };
        let asks = Asks::new(identity, start, questions, self.slos, &self.plan.layout);
        Some(Follower::start(client, asks))
    }

    /// Shows the run as it is now.
    fn show(&self, run: &LocalRun, show: &mut impl FnMut(Now<'_>)) {
        let progress = run.observe();
        let facts = self.facts(&progress);
        let elapsed = self.began.map(|began| began.elapsed());
        let gauges = progress.gather.gauges();
        show(Now { merged: progress.gather.merged(), facts: &facts, elapsed, gauges });
    }

    /// Asks for the end of the run, as long as Prometheus may take for it. Ctrl-C ends that.
    async fn ask_last(
        &mut self,
        mut follower: Follower,
        run: &LocalRun,
        interrupts: &mut Interrupts,
        show: &mut impl FnMut(Now<'_>),
    ) {
        follower.end(self.facts(&run.observe()).measured);
        let mut tick = tokio::time::interval(Duration::from_millis(250));
        loop {
            tokio::select! {
                () = follower.finished() => break,
                () = interrupts.next() => {
                    self.answers = follower.answers();
                    let why = Query::Missing("interrupted before its last answer".to_owned());
                    self.answers.queries.iter_mut().for_each(|(_, query)| *query = why.clone());
                    return;
                }
                _ = tick.tick() => self.show(run, show),
            }
        }
        self.answers = follower.answers();
    }

    fn stop(&mut self, run: &LocalRun, reason: Reason, message: String) {
        self.stopped = Some(reason);
        self.cut = Some(self.elapsed());
        run.stop(Stop { reason: message, at_once: false });
    }

    /// Nanoseconds of load so far, at most the plan's duration.
    fn elapsed(&self) -> u64 {
        let elapsed = self.began.map_or(0, |began| began.elapsed().as_nanos());
        u64::try_from(elapsed).unwrap_or(u64::MAX).min(self.plan.duration)
    }

    fn facts(&self, progress: &Progress) -> Facts {
        let measured = if progress.gather.all_done() {
            progress.gather.measured(self.stopped.is_some())
        } else {
            self.cut.unwrap_or_else(|| self.elapsed())
        };
        Facts {
            open_model: self.plan.has_arrivals(),
            peak_rate: self.plan.peak_rate(),
            workers: self.plan.workers,
            workers_lost: fault(progress).is_some().into(),
            start_skew: progress.gather.start_skew(),
            measured,
            stopped: self.stopped,
            queries: self.answers.queries.clone(),
            asked: self.answers.asked.clone(),
            ..Facts::default()
        }
    }
}

/// What the worker says that kept a part of its share from being executed.
fn fault(progress: &Progress) -> Option<&str> {
    progress.gather.workers().iter().find_map(|worker| worker.last.as_ref()?.fault.as_deref())
}

/// Why a run could not take place, if that is what happened.
fn could_not_run(error: ExecuteError) -> Option<(Reason, String)> {
    match error {
        ExecuteError::Unreachable(cause) => Some((Reason::TargetUnreachable, cause.to_string())),
        ExecuteError::Prepare(cause) => Some((Reason::InvalidReference, cause.to_string())),
        ExecuteError::Setup(cause) => Some((Reason::SetupFailed, cause.to_string())),
        ExecuteError::NotStarted(_) | ExecuteError::NotConfirmed(_) => None,
    }
}
