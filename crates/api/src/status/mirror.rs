//! Status of a LoadTest: the run that its spec asked for, mirrored from `run.rs`, and the last runs.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::fit::fit_test;
use super::history::{history, turn};
use super::{Asked, RunRecord, TestView};
use crate::conditions::{Stamp, Standing, TestStanding, of_test, reasons, verdict_reason, whole_second};
use crate::v1alpha1::{HistoryEntry, LoadTestRunStatus, LoadTestStatus, Phase, Summary, Verdict};

/// The status of a test as it is now. The same view gives the same status.
#[must_use]
pub fn test_status(view: &TestView) -> LoadTestStatus {
    let unknown = LoadTestStatus::default();
    let before = view.previous.unwrap_or(&unknown);
    let mut status = mirrored(view, before);
    status.observed_generation = view.generation;
    status.history = history(view.runs, &remembered(view, &status, before));
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (reason, message) = (text(&status.reason), text(&status.message));
    let asked = match view.asked {
        Asked::Nothing => TestStanding::NothingDue,
        Asked::Suspended => TestStanding::Suspended,
        Asked::Due(_) | Asked::Run { .. } => {
            TestStanding::Run(Standing { verdict: status.verdict, reason: &reason, message: &message })
        }
    };
    let last = last(view, &status, before);
    let last =
        last.as_ref().map(|(verdict, reason, message)| Standing { verdict: *verdict, reason, message });
    let stamp = Stamp { previous: &before.conditions, generation: view.generation, now: view.now };
    status.conditions = of_test(&asked, last.as_ref(), &stamp);
    fit_test(&mut status);
    status
}

/// Everything but generation, history and conditions.
fn mirrored(view: &TestView, before: &LoadTestStatus) -> LoadTestStatus {
    let kept = LoadTestStatus {
        spec_hash: before.spec_hash.clone(),
        run_generation: before.run_generation,
        ..LoadTestStatus::default()
    };
    let told = |reason: &str, message: String| LoadTestStatus {
        reason: Some(reason.to_owned()),
        message: Some(message),
        ..kept.clone()
    };
    match view.asked {
        Asked::Nothing => told(reasons::NOTHING_DUE, nothing_due(view)),
        Asked::Suspended => {
            let held = "a run is due, but runPolicy.suspend holds it back: set it to false".to_owned();
            told(reasons::SUSPENDED, held)
        }
        Asked::Due(why) => LoadTestStatus {
            phase: Some(Phase::Pending.as_str().to_owned()),
            ..told(why.reason, why.message.to_owned())
        },
        Asked::Run { name, generation, spec_hash } => LoadTestStatus {
            run: Some(name.to_owned()),
            spec_hash: Some(spec_hash.to_owned()),
            run_generation: Some(generation),
            ..match view.runs.iter().find(|run| run.name == name) {
                Some(run) => mirror(run),
                None => absent(name, before),
            }
        },
    }
}

/// What the test shows of a run: all of it at its end, and only its columns while it goes on.
fn mirror(run: &RunRecord) -> LoadTestStatus {
    let Some(status) = run.status.filter(|status| status.phase.is_some()) else { return queued(run.name) };
    let over = status.verdict.is_some();
    LoadTestStatus {
        phase: status.phase.clone(),
        verdict: status.verdict,
        reason: status.reason.clone(),
        message: status.message.clone(),
        slos_met: status.slos_met.clone(),
        progress: status.progress.clone(),
        summary: if over { status.summary.clone() } else { status.summary.as_ref().map(columns) },
        slos: if over { status.slos.clone() } else { Vec::new() },
        slos_left_out: status.slos_left_out.filter(|_| over),
        notices: status.notices.clone(),
        ..LoadTestStatus::default()
    }
}

fn columns(summary: &Summary) -> Summary {
    Summary {
        requests: summary.requests,
        failures: summary.failures,
        errors: summary.errors.clone(),
        rate: summary.rate.clone(),
        p95: summary.p95.clone(),
        ..Summary::default()
    }
}

/// The run is not there. If it was, what was mirrored of it stays, and without a verdict it will get none; otherwise it is just being made.
fn absent(name: &str, before: &LoadTestStatus) -> LoadTestStatus {
    if before.run.as_deref() == Some(name) && before.verdict.is_some() {
        return LoadTestStatus { history: Vec::new(), conditions: Vec::new(), ..before.clone() };
    }
    if before.history.iter().all(|entry| entry.name != name) {
        return queued(name);
    }
    LoadTestStatus {
        phase: Some(Phase::Finished.as_str().to_owned()),
        verdict: Some(Verdict::Inconclusive),
        reason: Some(verdict_reason(plimsoll_slo::Reason::Cancelled).to_owned()),
        message: Some(format!(
            "{name} was deleted before it had a verdict: create a LoadTestRun to run the test again"
        )),
        ..LoadTestStatus::default()
    }
}

fn queued(name: &str) -> LoadTestStatus {
    LoadTestStatus {
        phase: Some(Phase::Pending.as_str().to_owned()),
        reason: Some(reasons::QUEUED.to_owned()),
        message: Some(format!("{name} waits for its turn")),
        ..LoadTestStatus::default()
    }
}

/// The history so far, with what became of the run that was asked for if it was deleted without a verdict.
fn remembered(view: &TestView, status: &LoadTestStatus, before: &LoadTestStatus) -> Vec<HistoryEntry> {
    let mut entries = before.history.clone();
    let Asked::Run { name, .. } = view.asked else { return entries };
    let entry = entries.iter_mut().find(|entry| entry.name == name && entry.verdict.is_none());
    if let Some(entry) = entry.filter(|_| view.runs.iter().all(|run| run.name != name)) {
        entry.verdict = status.verdict;
        entry.reason.clone_from(&status.reason);
        entry.finished_at = Some(Time(whole_second(view.now)));
    }
    entries
}

fn newest<'a>(view: &TestView<'a>, of: impl Fn(&LoadTestRunStatus) -> bool) -> Option<&'a RunRecord<'a>> {
    let runs = view.runs.iter().filter(|run| run.status.is_some_and(&of));
    runs.max_by_key(|run| {
        let started = run.status.and_then(|status| status.started_at.as_ref());
        (run.created, turn(started), run.name)
    })
}

fn nothing_due(view: &TestView) -> String {
    let nothing = "no run is asked for now: create a LoadTestRun to start one";
    let Some(run) = newest(view, |_| true) else { return nothing.to_owned() };
    let status = run.status.map(|status| (status.verdict, status.reason.as_deref(), status.phase.as_deref()));
    match status {
        Some((Some(verdict), Some(reason), _)) => {
            format!("{nothing}; the last one, {}, is {verdict:?} ({reason})", run.name)
        }
        Some((None, _, Some(phase))) => format!("{nothing}; {} is {phase}", run.name),
        _ => nothing.to_owned(),
    }
}

/// Verdict, reason and message of the last run that has a verdict; of the last run, if none has.
type Last = (Option<Verdict>, String, String);

fn last(view: &TestView, status: &LoadTestStatus, before: &LoadTestStatus) -> Option<Last> {
    let told = |status: &LoadTestRunStatus| -> Last {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        (status.verdict, text(&status.reason), text(&status.message))
    };
    // The history knows runs that do not exist any more.
    if let Some(entry) = status.history.iter().find(|entry| entry.verdict.is_some()) {
        let run = view.runs.iter().find(|run| run.name == entry.name);
        if let Some(found) = run.and_then(|run| run.status) {
            return Some(told(found));
        }
        let reason = entry.reason.clone().unwrap_or_default();
        let passed = before.conditions.iter().find(|known| known.type_ == "Passed" && known.reason == reason);
        let message = passed.map_or_else(|| format!("run {}", entry.name), |known| known.message.clone());
        return Some((entry.verdict, reason, message));
    }
    newest(view, |status| status.reason.is_some()).and_then(|run| run.status).map(told)
}
