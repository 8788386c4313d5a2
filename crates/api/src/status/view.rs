//! What is known of a run, or of a test, at one moment; filled by the operator and by `plimsoll run`, read by `run.rs` and `mirror.rs`.

use k8s_openapi::jiff::Timestamp;
use plimsoll_measure::Snapshot;
use plimsoll_plan::Plan;
use plimsoll_slo::{Facts, Judgement, Slo, Validity};

use crate::v1alpha1::{LoadTestRunStatus, LoadTestStatus, Phase, RunResults, WorkerCounts};

/// A run at one moment. Make it with [`RunView::new`] and fill in what is known.
#[derive(Clone, Debug)]
pub struct RunView<'a> {
    /// Generation of the LoadTestRun.
    pub generation: i64,
    /// Where the run stands.
    pub phase: Phase,
    /// The status written last. Times that the caller does not know, and a verdict that is there, are kept from it.
    pub previous: Option<&'a LoadTestRunStatus>,
    /// When the run was accepted.
    pub queued_at: Option<Timestamp>,
    /// The agreed instant, once there is one; without it nothing counts as measured.
    pub started_at: Option<Timestamp>,
    /// When the verdict was there; the present, if it is new.
    pub finished_at: Option<Timestamp>,
    /// When the run gives up waiting for its workers: shown as the time left.
    pub start_by: Option<Timestamp>,
    /// Its workers, once they are wanted.
    pub workers: Option<WorkerCounts>,
    /// The plan and what was measured, once there is a plan.
    pub measured: Option<Measured<'a>>,
    /// The judgement, once the run is over.
    pub judgement: Option<&'a Judgement>,
    /// Why the run does not go on, if the caller knows it better than the phase says.
    pub waiting: Option<Waiting<'a>>,
    /// Requests that lost workers can have sent at most beyond what they reported, if that is known (their rate × the gap).
    pub unseen: Option<u64>,
    /// What the run does not do as its spec might suggest.
    pub notices: &'a [String],
    /// Where plan and results are.
    pub results: RunResults,
    /// The present.
    pub now: Timestamp,
}

impl<'a> RunView<'a> {
    /// A run of which nothing more is known.
    #[must_use]
    pub fn new(generation: i64, phase: Phase, now: Timestamp) -> Self {
        Self {
            generation,
            phase,
            previous: None,
            queued_at: None,
            started_at: None,
            finished_at: None,
            start_by: None,
            workers: None,
            measured: None,
            judgement: None,
            waiting: None,
            unseen: None,
            notices: &[],
            results: RunResults::default(),
            now,
        }
    }

    /// What was measured; nothing before the start.
    pub(super) fn begun(&self) -> Option<Measured<'a>> {
        let started =
            self.started_at.is_some() || self.previous.is_some_and(|status| status.started_at.is_some());
        self.measured.filter(|_| started && self.phase >= Phase::Running)
    }
}

/// A plan and what was measured of it.
#[derive(Clone, Copy, Debug)]
pub struct Measured<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// What is judged.
    pub slos: &'a [Slo],
    /// When the run is valid.
    pub validity: &'a Validity,
    /// The sum of all workers' snapshots so far.
    pub merged: &'a Snapshot,
    /// As for the judge; `measured` is how much of the run is over, in nanoseconds.
    pub facts: &'a Facts,
}

/// Why a run does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting<'a> {
    /// In one word, such as Unschedulable: the reason of status and conditions.
    pub reason: &'a str,
    /// In a sentence.
    pub message: &'a str,
}

/// A test at one moment.
#[derive(Clone, Copy, Debug)]
pub struct TestView<'a> {
    /// Generation of the LoadTest.
    pub generation: i64,
    /// The status written last.
    pub previous: Option<&'a LoadTestStatus>,
    /// What the test asks for now.
    pub asked: Asked<'a>,
    /// Its runs that exist, or whose result does; in any order.
    pub runs: &'a [RunRecord<'a>],
    /// The present.
    pub now: Timestamp,
}

/// What a test asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked<'a> {
    /// Nothing: trigger Manual, or on a schedule.
    Nothing,
    /// A run, which `runPolicy.suspend` holds back.
    Suspended,
    /// A run that is not made yet, and why.
    Due(Waiting<'a>),
    /// The run that was made for its spec. It may not be among the runs yet; if it is not any more, what was known of it stays.
    Run {
        /// Its name.
        name: &'a str,
        /// Generation of the LoadTest that it was made for.
        generation: i64,
        /// Hash of that spec without `runPolicy`.
        spec_hash: &'a str,
    },
}

/// One run of a test.
#[derive(Clone, Copy, Debug)]
pub struct RunRecord<'a> {
    /// Its name.
    pub name: &'a str,
    /// What started it.
    pub cause: Cause,
    /// When it was made.
    pub created: Timestamp,
    /// Its status, once it has one.
    pub status: Option<&'a LoadTestRunStatus>,
}

/// What starts a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A new spec of the LoadTest.
    Spec,
    /// `runPolicy.schedule`.
    Schedule,
    /// `runPolicy.onRollout`.
    Rollout,
    /// Somebody created the LoadTestRun.
    Manual,
}

impl Cause {
    /// As in `history[].cause`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Spec => "Spec",
            Self::Schedule => "Schedule",
            Self::Rollout => "Rollout",
            Self::Manual => "Manual",
        }
    }
}
