//! Polls: requests until a job is done, has failed, or took too long. Called by `elaborate.rs`.
//!
//! A poll that has begun may finish within `gracefulStop`, as a request may; one that does not counts as timed out.

use plimsoll_measure::Observation;
use plimsoll_scenario::{CompiledPoll, Needs, Note};

use crate::core::Core;
use crate::elaborate::{Done, sleep};
use crate::flight::Ended;
use crate::lane::Lane;
use crate::request::perform;
use crate::trace::TraceEvent;

/// One poll under way: its end is counted once, even if its user is dropped.
struct Job<'c> {
    core: &'c Core,
    metric: u16,
    /// Intended start of its first request, nanoseconds since the start of the run.
    begun: u64,
    outcome: Observation,
}

impl Job<'_> {
    /// Ends it at a moment.
    fn end(mut self, outcome: Observation, now: u64) {
        self.outcome = outcome;
        let how = match outcome {
            Observation::Done(_) => "Done",
            Observation::TimedOut => "TimedOut",
            _ => "Failed",
        };
        let length = now.saturating_sub(self.begun);
        self.core.trace(|tracer| TraceEvent::Ended { name: tracer.metric(self.metric), how, length });
    }
}

impl Drop for Job<'_> {
    fn drop(&mut self) {
        self.core.observe(self.metric, self.begun, self.outcome);
    }
}

/// Requests until the job has come to an end, or its time is over. Nothing if the load is over before the first one.
pub(crate) async fn poll(core: &Core, lane: &mut Lane, job: &CompiledPoll, needs: Needs) -> Option<Done> {
    let needs = needs.and(Needs { response: true, ..Needs::default() });
    let mut now = core.clock.now();
    let mut flight = lane.begin(core, job.http.request, now)?;
    let begun = flight.intended();
    let state = Job { core, metric: job.metric, begun, outcome: Observation::TimedOut };
    let over = begun.saturating_add(job.limit);
    lane.finishing = true;
    loop {
        let ended = Box::pin(perform(core, lane, &job.http, needs, flight, now)).await;
        let end = ended.at.saturating_add(ended.latency);
        let outcome = match judge(core, lane, job, &ended) {
            // What is done too late is not done in time.
            _ if end > over => Some(Observation::TimedOut),
            Verdict::Done => Some(Observation::Done(end.saturating_sub(begun))),
            Verdict::Failed => Some(Observation::NotDone),
            Verdict::Open => None,
        };
        if let Some(outcome) = outcome {
            state.end(outcome, end);
            return Some(Done::new(begun, !matches!(outcome, Observation::Done(_)), ended.status));
        }
        let left = over.saturating_sub(core.clock.now());
        core.trace(|_| TraceEvent::Pause { length: job.every.min(left), why: "poll" });
        if job.every >= left {
            sleep(core, left).await;
            state.end(Observation::TimedOut, over);
            return Some(Done::new(begun, true, ended.status));
        }
        sleep(core, job.every).await;
        now = core.clock.now();
        let Some(next) = lane.begin(core, job.http.request, now) else {
            state.end(Observation::TimedOut, now);
            return Some(Done::new(begun, true, ended.status));
        };
        flight = next;
    }
}

/// What a response says of the job.
enum Verdict {
    Done,
    Failed,
    Open,
}

/// A response that is an error is no word of the job unless it reads as one: it may not even have the form that is asked of it.
fn judge(core: &Core, lane: &mut Lane, job: &CompiledPoll, ended: &Ended) -> Verdict {
    if ended.status == 0 {
        return Verdict::Open;
    }
    let quiet = ended.error.is_some();
    let mut note = |note: Note<'_>| {
        if !quiet {
            core.note(ended.at, note);
        }
    };
    let mut env = lane.env(core);
    if job.done.holds(&mut env, &mut note) {
        return Verdict::Done;
    }
    match &job.failed {
        Some(failed) if failed.holds(&mut env, &mut note) => Verdict::Failed,
        _ => Verdict::Open,
    }
}
