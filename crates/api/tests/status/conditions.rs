//! Every row of the verdict table, for runs and tests, and what kstatus computes from it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use plimsoll_api::conditions::{Stamp, Standing, TestStanding, of_run, of_test, reasons, verdict_reason};
use plimsoll_api::v1alpha1::Verdict;
use plimsoll_slo::Reason;

use crate::support::{later, time};

/// `Passed=True(SLOsMet) …` in the order of the list.
fn shown(conditions: &[Condition]) -> String {
    let each = |c: &Condition| format!("{}={}({})", c.type_, c.status, c.reason);
    conditions.iter().map(each).collect::<Vec<_>>().join(" ")
}

/// The rules of sigs.k8s.io/cli-utils/pkg/kstatus for resources that it does not know: generation, Reconciling, Stalled, Ready.
fn kstatus(conditions: &[Condition], generation: i64, observed: i64) -> &'static str {
    let is = |kind: &str, status: &str| conditions.iter().any(|c| c.type_ == kind && c.status == status);
    let has = |kind: &str| conditions.iter().any(|c| c.type_ == kind);
    match () {
        () if generation != observed || is("Reconciling", "True") => "InProgress",
        () if is("Stalled", "True") => "Failed",
        () if has("Ready") && !is("Ready", "True") => "InProgress",
        () => "Current",
    }
}

fn stamp(previous: &[Condition]) -> Stamp<'_> {
    Stamp { previous, generation: 3, now: later(0) }
}

fn standing(verdict: Option<Verdict>, reason: &str) -> Standing<'_> {
    Standing { verdict, reason, message: "why" }
}

#[test]
fn the_verdict_table_for_runs() {
    use Verdict::{Error, Failed, Inconclusive, Passed};
    let going = |reason: &str| {
        format!(
            "Passed=Unknown({reason}) Finished=False({reason}) Ready=False({reason}) Reconciling=True({reason})"
        )
    };
    for reason in [reasons::QUEUED, reasons::STARTING, reasons::RUNNING, reasons::COLLECTING, "Unschedulable"]
    {
        let conditions = of_run(&standing(None, reason), &stamp(&[]));
        assert_eq!(shown(&conditions), going(reason));
        assert_eq!(kstatus(&conditions, 3, 3), "InProgress");
    }
    for (verdict, reason, passed) in [
        (Passed, Reason::SLOsMet, "True"),
        (Passed, Reason::PassedWithWarnings, "True"),
        (Failed, Reason::SLOMissed, "False"),
        (Failed, Reason::SLOAborted, "False"),
        (Failed, Reason::WorkerLost, "False"),
        (Inconclusive, Reason::TooFewSamples, "Unknown"),
        (Inconclusive, Reason::NoData, "Unknown"),
        (Inconclusive, Reason::GeneratorSaturated, "Unknown"),
        (Inconclusive, Reason::RateNotDelivered, "Unknown"),
        (Inconclusive, Reason::StartSkewed, "Unknown"),
        (Inconclusive, Reason::WorkerLost, "Unknown"),
        (Inconclusive, Reason::NotJudged, "Unknown"),
        (Inconclusive, Reason::Cancelled, "Unknown"),
        (Inconclusive, Reason::Superseded, "Unknown"),
        (Inconclusive, Reason::DeadlineExceeded, "Unknown"),
        (Error, Reason::StartTimeout, "Unknown"),
        (Error, Reason::TargetUnreachable, "Unknown"),
        (Error, Reason::PolicyDenied, "Unknown"),
        (Error, Reason::InvalidReference, "Unknown"),
        (Error, Reason::DataDiffers, "Unknown"),
        (Error, Reason::SetupFailed, "Unknown"),
    ] {
        let word = verdict_reason(reason);
        assert_eq!(word, format!("{reason:?}"), "the words of the design");
        let conditions = of_run(&standing(Some(verdict), word), &stamp(&[]));
        let (ready, stalled, computed) = match verdict {
            Passed => ("True", String::new(), "Current"),
            _ => ("False", format!(" Stalled=True({word})"), "Failed"),
        };
        assert_eq!(
            shown(&conditions),
            format!("Passed={passed}({word}) Finished=True({word}) Ready={ready}({word}){stalled}")
        );
        assert_eq!(kstatus(&conditions, 3, 3), computed);
        assert_eq!(kstatus(&conditions, 4, 3), "InProgress", "a new generation is not looked at yet");
        assert!(conditions.iter().all(|c| c.observed_generation == Some(3) && c.message == "why"));
    }
}

#[test]
fn the_verdict_table_for_tests() {
    let passed = standing(Some(Verdict::Passed), "SLOsMet");
    let failed = standing(Some(Verdict::Failed), "SLOMissed");
    let running = standing(None, "Running");
    use TestStanding::{NothingDue, Run, Suspended};
    for (name, asked, last, expected, computed) in [
        (
            "its run passed",
            Run(passed),
            Some(passed),
            "Passed=True(SLOsMet) Finished=True(SLOsMet) Ready=True(SLOsMet)",
            "Current",
        ),
        (
            "its run failed",
            Run(failed),
            Some(failed),
            "Passed=False(SLOMissed) Finished=True(SLOMissed) Ready=False(SLOMissed) Stalled=True(SLOMissed)",
            "Failed",
        ),
        (
            "its run passed, a later one by hand or on schedule did not",
            Run(passed),
            Some(failed),
            "Passed=False(SLOMissed) Finished=True(SLOsMet) Ready=True(SLOsMet)",
            "Current",
        ),
        (
            "its run failed, a later one passed",
            Run(failed),
            Some(passed),
            "Passed=True(SLOsMet) Finished=True(SLOMissed) Ready=False(SLOMissed) Stalled=True(SLOMissed)",
            "Failed",
        ),
        (
            "its run goes on, whatever an earlier one came to",
            Run(running),
            Some(passed),
            "Passed=Unknown(Running) Finished=False(Running) Ready=False(Running) Reconciling=True(Running)",
            "InProgress",
        ),
        (
            "nothing is asked and nothing ran",
            NothingDue,
            None,
            "Passed=Unknown(NotRun) Ready=True(NothingDue)",
            "Current",
        ),
        (
            "nothing is asked, the last run failed",
            NothingDue,
            Some(failed),
            "Passed=False(SLOMissed) Ready=True(NothingDue)",
            "Current",
        ),
        (
            "nothing is asked, the first run goes on",
            NothingDue,
            Some(running),
            "Passed=Unknown(Running) Ready=True(NothingDue)",
            "Current",
        ),
        (
            "a run is due and held back",
            Suspended,
            None,
            "Passed=Unknown(Suspended) Finished=False(Suspended) Ready=False(Suspended)",
            "InProgress",
        ),
    ] {
        let conditions = of_test(&asked, last.as_ref(), &stamp(&[]));
        assert_eq!(shown(&conditions), expected, "{name}");
        assert_eq!(kstatus(&conditions, 3, 3), computed, "{name}");
    }
}

#[test]
fn times_are_kept_while_the_status_is() {
    let first = of_run(&standing(None, "Starting"), &stamp(&[]));
    let at = |conditions: &[Condition], kind: &str| {
        conditions.iter().find(|c| c.type_ == kind).map(|c| c.last_transition_time.0)
    };
    let began = time("2030-01-02T03:04:05Z");
    assert!(
        first.iter().all(|c| c.last_transition_time.0 == began),
        "whole seconds, as the API server keeps them"
    );
    let stamp = |previous, seconds| Stamp { previous, generation: 4, now: later(seconds) };
    let second = of_run(&standing(None, "Running"), &stamp(&first, 10));
    assert!(second.iter().all(|c| c.last_transition_time.0 == began && c.reason == "Running"));
    let last = of_run(&standing(Some(Verdict::Inconclusive), "NoData"), &stamp(&second, 20));
    let ended = time("2030-01-02T03:04:25Z");
    assert_eq!(at(&last, "Passed"), Some(began), "still Unknown");
    assert_eq!(at(&last, "Ready"), Some(began), "still False");
    assert_eq!((at(&last, "Finished"), at(&last, "Stalled")), (Some(ended), Some(ended)));
    assert_eq!(at(&last, "Reconciling"), None);
}
