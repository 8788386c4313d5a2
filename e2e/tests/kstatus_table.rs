//! Every row of the table of verdicts and conditions, as the status functions write it, through Kubernetes' own kstatus. The rows that
//! come about on a cluster are asked again there, with the objects of real runs (`cluster_*.rs`).

use anyhow::{Context, Result};
use e2e::kstatus;
use k8s_openapi::jiff::Timestamp;
use plimsoll_api::conditions::{
    Stamp, Standing, TestStanding, of_run, of_test, phase_reason, verdict_reason,
};
use plimsoll_api::v1alpha1::{Phase, Verdict};
use plimsoll_slo::Reason;
use serde_json::{Value, json};
use xtask::{report, tools};

/// Whether kstatus is there; if not, that is said loudly.
fn can_ask() -> Result<bool> {
    match tools::find("kstatus") {
        Ok(_) => Ok(true),
        Err(why) => report::skip("kstatus", &format!("{why:#}")).map(|()| false),
    }
}

fn stamp() -> Stamp<'static> {
    Stamp { previous: &[], generation: 3, now: Timestamp::UNIX_EPOCH }
}

fn object(kind: &str, observed: i64, conditions: impl serde::Serialize) -> Result<Value> {
    let status = json!({"observedGeneration": observed, "conditions": serde_json::to_value(conditions)?});
    let metadata = json!({"name": "x", "namespace": "y", "generation": 3});
    Ok(json!({"apiVersion": "plimsoll.dev/v1alpha1", "kind": kind, "metadata": metadata, "status": status}))
}

/// What the table says of a standing, for the run and for the LoadTest that asked for it.
fn holds(standing: &Standing<'_>, expected: &str) -> Result<()> {
    let run = object("LoadTestRun", 3, of_run(standing, &stamp()))?;
    let test = object("LoadTest", 3, of_test(&TestStanding::Run(*standing), Some(standing), &stamp()))?;
    for object in [run, test] {
        let computed = kstatus::of(&object).with_context(|| format!("{object:#}"))?;
        assert_eq!(computed, expected, "{standing:?} of a {}", object["kind"]);
    }
    Ok(())
}

#[test]
fn a_run_that_goes_on_is_in_progress() -> Result<()> {
    if !can_ask()? {
        return Ok(());
    }
    for phase in [Phase::Pending, Phase::Starting, Phase::Running, Phase::Collecting] {
        holds(&Standing { verdict: None, reason: phase_reason(phase), message: "goes on" }, "InProgress")?;
    }
    holds(&Standing { verdict: None, reason: "Unschedulable", message: "no node" }, "InProgress")
}

#[test]
fn a_run_that_passed_is_current_and_every_other_failed() -> Result<()> {
    if !can_ask()? {
        return Ok(());
    }
    let table: [(Verdict, &str, &[Reason]); 4] = [
        (Verdict::Passed, "Current", &[Reason::SLOsMet, Reason::PassedWithWarnings]),
        (Verdict::Failed, "Failed", &[Reason::SLOMissed, Reason::SLOAborted, Reason::WorkerLost]),
        (
            Verdict::Inconclusive,
            "Failed",
            &[
                Reason::TooFewSamples,
                Reason::NoData,
                Reason::GeneratorSaturated,
                Reason::RateNotDelivered,
                Reason::StartSkewed,
                Reason::WorkerLost,
                Reason::NotJudged,
                Reason::Cancelled,
                Reason::Superseded,
                Reason::DeadlineExceeded,
            ],
        ),
        (
            Verdict::Error,
            "Failed",
            &[
                Reason::StartTimeout,
                Reason::TargetUnreachable,
                Reason::PolicyDenied,
                Reason::InvalidReference,
                Reason::DataDiffers,
                Reason::SetupFailed,
            ],
        ),
    ];
    for (verdict, expected, reasons) in table {
        for reason in reasons {
            let standing =
                Standing { verdict: Some(verdict), reason: verdict_reason(*reason), message: "says why" };
            holds(&standing, expected)?;
        }
    }
    Ok(())
}

#[test]
fn a_test_of_which_nothing_is_asked_is_current_whatever_its_last_run_was() -> Result<()> {
    if !can_ask()? {
        return Ok(());
    }
    let failed = Standing { verdict: Some(Verdict::Failed), reason: "SLOMissed", message: "missed" };
    for last in [None, Some(&failed)] {
        let test = object("LoadTest", 3, of_test(&TestStanding::NothingDue, last, &stamp()))?;
        assert_eq!(kstatus::of(&test)?, "Current", "{last:?}");
    }
    Ok(())
}

#[test]
fn a_suspended_test_that_never_ran_is_not_ready() -> Result<()> {
    if !can_ask()? {
        return Ok(());
    }
    let test = object("LoadTest", 3, of_test(&TestStanding::Suspended, None, &stamp()))?;
    assert_eq!(kstatus::of(&test)?, "InProgress");
    Ok(())
}

#[test]
fn a_test_that_was_not_looked_at_yet_is_in_progress() -> Result<()> {
    if !can_ask()? {
        return Ok(());
    }
    // The default of the schema, before the operator has written anything.
    assert_eq!(kstatus::of(&object("LoadTest", -1, json!([]))?)?, "InProgress");
    // An edit of a test that passed.
    let passed = Standing { verdict: Some(Verdict::Passed), reason: "SLOsMet", message: "met" };
    assert_eq!(kstatus::of(&object("LoadTest", 2, of_run(&passed, &stamp()))?)?, "InProgress");
    Ok(())
}
