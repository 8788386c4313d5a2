//! Conditions of runs and tests: the design's verdict table as functions. Called by `status/run.rs` and `status/mirror.rs`.
//!
//! `Reconciling` and `Stalled` are there only while they are true, so that kstatus computes InProgress, Failed or Current from them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use crate::v1alpha1::{Phase, Verdict};

/// The condition types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionType {
    /// True: every SLO that decides is met. False: one is missed. Unknown: there is no verdict yet, or the run cannot be judged.
    Passed,
    /// True: the verdict is there, whatever it is. False: the run goes on. On a LoadTest of which nothing is asked it is absent.
    Finished,
    /// True: the run that was asked for passed, or none is asked for. False: it goes on, is held back, or did not pass.
    Ready,
    /// True: the run goes on. Otherwise absent.
    Reconciling,
    /// True: the run ended and did not pass; nothing more happens by itself. Otherwise absent.
    Stalled,
}

impl ConditionType {
    /// As in `conditions[].type`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "Passed",
            Self::Finished => "Finished",
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
        }
    }
}

/// Reasons of conditions beside those of verdicts ([`verdict_reason`]) and those of workers that do not come.
pub mod reasons {
    /// The run waits for its turn. Passed Unknown; Finished, Ready False; Reconciling True.
    pub const QUEUED: &str = "Queued";
    /// Its workers are made and get ready. As `QUEUED`.
    pub const STARTING: &str = "Starting";
    /// It sends load. As `QUEUED`.
    pub const RUNNING: &str = "Running";
    /// Its last results come in. As `QUEUED`.
    pub const COLLECTING: &str = "Collecting";
    /// No run of the test has a verdict. Passed Unknown.
    pub const NOT_RUN: &str = "NotRun";
    /// The test asks for no run now: trigger Manual, or on a schedule. Ready True.
    pub const NOTHING_DUE: &str = "NothingDue";
    /// A run is due and `runPolicy.suspend` holds it back. Passed Unknown; Finished, Ready False.
    pub const SUSPENDED: &str = "Suspended";
}

/// The reason of a phase without a better one.
#[must_use]
pub fn phase_reason(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending => reasons::QUEUED,
        Phase::Starting => reasons::STARTING,
        Phase::Running => reasons::RUNNING,
        Phase::Collecting | Phase::Finished => reasons::COLLECTING,
    }
}

/// The reason of a verdict, as in `reason` of status, conditions and history.
///
/// Passed True: SLOsMet, PassedWithWarnings. Passed False: SLOMissed, SLOAborted, and WorkerLost where `validity.onWorkerLoss` is Fail.
/// Passed Unknown, the run is Inconclusive: TooFewSamples, NoData, GeneratorSaturated, RateNotDelivered, StartSkewed, WorkerLost,
/// NotJudged, Cancelled, Superseded, DeadlineExceeded. Passed Unknown, the run is an Error: StartTimeout, TargetUnreachable,
/// PolicyDenied, InvalidReference, DataDiffers, SetupFailed.
#[must_use]
pub fn verdict_reason(reason: plimsoll_slo::Reason) -> &'static str {
    use plimsoll_slo::Reason;
    match reason {
        Reason::SLOsMet => "SLOsMet",
        Reason::PassedWithWarnings => "PassedWithWarnings",
        Reason::SLOMissed => "SLOMissed",
        Reason::SLOAborted => "SLOAborted",
        Reason::TooFewSamples => "TooFewSamples",
        Reason::NoData => "NoData",
        Reason::GeneratorSaturated => "GeneratorSaturated",
        Reason::RateNotDelivered => "RateNotDelivered",
        Reason::StartSkewed => "StartSkewed",
        Reason::WorkerLost => "WorkerLost",
        Reason::NotJudged => "NotJudged",
        Reason::Cancelled => "Cancelled",
        Reason::Superseded => "Superseded",
        Reason::DeadlineExceeded => "DeadlineExceeded",
        Reason::StartTimeout => "StartTimeout",
        Reason::TargetUnreachable => "TargetUnreachable",
        Reason::PolicyDenied => "PolicyDenied",
        Reason::InvalidReference => "InvalidReference",
        Reason::DataDiffers => "DataDiffers",
        Reason::SetupFailed => "SetupFailed",
    }
}

/// Where a run stands, as far as its conditions need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing<'a> {
    /// Its verdict; absent until it is finished.
    pub verdict: Option<Verdict>,
    /// Why verdict or phase is what it is, in one word.
    pub reason: &'a str,
    /// The same in a sentence.
    pub message: &'a str,
}

/// What a LoadTest asks for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestStanding<'a> {
    /// The run that its spec asked for, be it not made yet (then as one that is queued).
    Run(Standing<'a>),
    /// Nothing: trigger Manual, or on a schedule.
    NothingDue,
    /// A run, which `runPolicy.suspend` holds back.
    Suspended,
}

/// What conditions are written with.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    /// Those written last: an unchanged status keeps its time.
    pub previous: &'a [Condition],
    /// Generation of the spec that they speak of.
    pub generation: i64,
    /// The present.
    pub now: Timestamp,
}

/// Conditions of a LoadTestRun.
#[must_use]
pub fn of_run(run: &Standing, stamp: &Stamp) -> Vec<Condition> {
    stamped(&run_rows(run), stamp)
}

/// Conditions of a LoadTest. `last` is its last run of whatever cause: `Passed` speaks of that, the others of what the spec asked for.
#[must_use]
pub fn of_test(test: &TestStanding, last: Option<&Standing>, stamp: &Stamp) -> Vec<Condition> {
    use ConditionType::{Finished, Passed, Ready};
    let rows = match test {
        TestStanding::Run(run) => {
            let mut rows = run_rows(run);
            if run.verdict.is_some()
                && let Some(last) = last.filter(|last| last.verdict.is_some())
            {
                rows[0] = passed(last);
            }
            rows
        }
        TestStanding::NothingDue => {
            let none = Row(Passed, "Unknown", reasons::NOT_RUN, "no run has taken place");
            let nothing = "no run is asked for now: create a LoadTestRun to start one";
            vec![last.map_or(none, passed), Row(Ready, "True", reasons::NOTHING_DUE, nothing)]
        }
        TestStanding::Suspended => {
            let held = "a run is due, but runPolicy.suspend holds it back";
            let row = |kind, status| Row(kind, status, reasons::SUSPENDED, held);
            vec![row(Passed, "Unknown"), row(Finished, "False"), row(Ready, "False")]
        }
    };
    stamped(&rows, stamp)
}

/// Type, status, reason, message.
#[derive(Clone)]
struct Row<'a>(ConditionType, &'static str, &'a str, &'a str);

fn passed<'a>(run: &Standing<'a>) -> Row<'a> {
    let status = match run.verdict {
        Some(Verdict::Passed) => "True",
        Some(Verdict::Failed) => "False",
        Some(Verdict::Inconclusive | Verdict::Error) | None => "Unknown",
    };
    Row(ConditionType::Passed, status, run.reason, run.message)
}

/// The verdict table, row by row; `Passed` comes first.
fn run_rows<'a>(run: &Standing<'a>) -> Vec<Row<'a>> {
    use ConditionType::{Finished, Ready, Reconciling, Stalled};
    let row = |kind, status| Row(kind, status, run.reason, run.message);
    let others = match run.verdict {
        None => vec![row(Finished, "False"), row(Ready, "False"), row(Reconciling, "True")],
        Some(Verdict::Passed) => vec![row(Finished, "True"), row(Ready, "True")],
        Some(Verdict::Failed | Verdict::Inconclusive | Verdict::Error) => {
            vec![row(Finished, "True"), row(Ready, "False"), row(Stalled, "True")]
        }
    };
    [vec![passed(run)], others].concat()
}

fn stamped(rows: &[Row], stamp: &Stamp) -> Vec<Condition> {
    let condition = |Row(kind, status, reason, message): &Row| {
        let known = stamp.previous.iter().find(|known| known.type_ == kind.as_str());
        let since =
            known.filter(|known| known.status == *status).map(|known| known.last_transition_time.clone());
        Condition {
            last_transition_time: since.unwrap_or_else(|| Time(whole_second(stamp.now))),
            message: (*message).to_owned(),
            observed_generation: Some(stamp.generation),
            // The API demands a word.
            reason: if reason.is_empty() { "Unknown" } else { *reason }.to_owned(),
            status: (*status).to_owned(),
            type_: kind.as_str().to_owned(),
        }
    };
    rows.iter().map(condition).collect()
}

/// As the API server keeps it: what is read back equals what was written.
pub(crate) fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
