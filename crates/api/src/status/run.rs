//! Status of a LoadTestRun, while it goes on and at its end. Mirrored to the LoadTest by `mirror.rs`.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use plimsoll_slo::{Asked, Facts, Judgement, Outcome, Severity, SloResult, judge, text};

use super::fit::{MESSAGE, cut, fit_run, notices};
use super::summary::{delivery, summary};
use super::{Measured, RunView};
use crate::GoDuration;
use crate::conditions::{Stamp, Standing, of_run, phase_reason, verdict_reason, whole_second};
use crate::v1alpha1::{LoadTestRunStatus, Phase, QueryStatus, SloOutcome, SloStatus, Span, Verdict};

/// The status of a run as it is now. The same view gives the same status.
#[must_use]
pub fn run_status(view: &RunView) -> LoadTestRunStatus {
    if let Some(status) = latched(view) {
        return status;
    }
    let measured = view.begun();
    let results = results(view, measured);
    let standing = standing(view, measured);
    let previous = view.previous;
    let started = view.started_at.map(micro).or_else(|| previous?.started_at.clone());
    let finished = view.finished_at.or((view.phase == Phase::Finished).then_some(view.now));
    let kept_finish = previous.and_then(|status| status.finished_at.clone());
    let mut status = LoadTestRunStatus {
        observed_generation: view.generation,
        phase: Some(view.phase.as_str().to_owned()),
        verdict: standing.verdict,
        progress: measured.map(|measured| progress(&measured)),
        slos_met: slos_met(&results),
        queued_at: view.queued_at.map(second).or_else(|| previous?.queued_at.clone()),
        finished_at: kept_finish.filter(|_| view.finished_at.is_none()).or(finished.map(second)),
        window: measured.zip(started.as_ref()).and_then(|(measured, started)| window(&measured, started.0)),
        started_at: started,
        workers: view.workers,
        load: measured.map(|measured| delivery(view, measured)),
        start_skew: measured.and_then(|measured| skew(&measured)),
        summary: measured.map(|measured| summary(view, measured)),
        slos: results
            .iter()
            .map(|result| slo_status(result, measured.map_or(&[], |m| &m.facts.asked)))
            .collect(),
        slos_left_out: None,
        notices: notices(view.notices),
        results: Some(view.results.clone()).filter(|results| *results != Default::default()),
        conditions: Vec::new(),
        reason: Some(standing.reason.clone().into_owned()),
        message: Some(standing.message.clone()),
    };
    let Told { verdict, reason, message } = &standing;
    status.conditions = of_run(&Standing { verdict: *verdict, reason, message }, &stamp(view));
    fit_run(&mut status);
    status
}

/// The status of a run whose verdict was written before and is not brought again: it stays.
fn latched(view: &RunView) -> Option<LoadTestRunStatus> {
    let previous = view.previous.filter(|_| view.judgement.is_none() && view.phase == Phase::Finished)?;
    let text = |text: &'_ Option<String>| text.clone().unwrap_or_default();
    let (reason, message) = (text(&previous.reason), text(&previous.message));
    let verdict = Some(previous.verdict?);
    let conditions = of_run(&Standing { verdict, reason: &reason, message: &message }, &stamp(view));
    Some(LoadTestRunStatus { observed_generation: view.generation, conditions, ..previous.clone() })
}

fn stamp<'a>(view: &RunView<'a>) -> Stamp<'a> {
    let previous = view.previous.map_or(&[][..], |status| &status.conditions);
    Stamp { previous, generation: view.generation, now: view.now }
}

/// What a run is said to be.
struct Told<'a> {
    verdict: Option<Verdict>,
    reason: Cow<'a, str>,
    message: String,
}

fn standing<'a>(view: &RunView<'a>, measured: Option<Measured>) -> Told<'a> {
    let finished = view.phase == Phase::Finished;
    if let Some(judgement) = view.judgement.filter(|_| finished) {
        return Told {
            verdict: Some(judgement.verdict.into()),
            reason: verdict_reason(judgement.reason).into(),
            message: cut(&judgement.message, MESSAGE),
        };
    }
    if let Some(waiting) = view.waiting {
        return Told { verdict: None, reason: waiting.reason.into(), message: cut(waiting.message, MESSAGE) };
    }
    Told { verdict: None, reason: phase_reason(view.phase).into(), message: phase_message(view, measured) }
}

/// What happens now, in a sentence.
fn phase_message(view: &RunView, measured: Option<Measured>) -> String {
    let workers = view.workers.unwrap_or_default();
    let message = match view.phase {
        Phase::Pending => "waits for its turn".to_owned(),
        Phase::Starting => {
            let ready =
                format!("{} of {} ready", workers.ready, text::counted(workers.desired.into(), "worker"));
            let left =
                view.start_by.map(|by| by.duration_since(view.now).max(SignedDuration::ZERO).as_secs());
            let left = left.and_then(|secs| u64::try_from(secs).ok());
            left.map_or(ready.clone(), |secs| format!("{ready} ({} left)", GoDuration::from_secs(secs)))
        }
        Phase::Running => measured.map_or_else(
            || "is about to send load".to_owned(),
            |Measured { facts, plan, .. }| {
                let over = GoDuration::from_secs(facts.measured / 1_000_000_000);
                format!("{over} of {} measured", GoDuration { nanos: plan.duration })
            },
        ),
        Phase::Collecting | Phase::Finished => "the load is over, the last results come in".to_owned(),
    };
    let lost = format!("; {} of {} lost", workers.lost, text::counted(workers.desired.into(), "worker"));
    if workers.lost > 0 { message + &lost } else { message }
}

/// Results of the SLOs: those of the judgement, or, while the run goes on, on what was measured so far.
fn results<'a>(view: &RunView<'a>, measured: Option<Measured>) -> Cow<'a, [SloResult]> {
    match (view.judgement, measured) {
        (Some(Judgement { results, .. }), _) => Cow::Borrowed(results),
        (None, Some(Measured { plan, slos, validity, merged, facts })) => {
            // That it was stopped, or failed, does not matter to single SLOs.
            let facts = Facts { stopped: None, error: None, ..facts.clone() };
            Cow::Owned(judge(slos, validity, &plan.layout, merged, &facts).results)
        }
        (None, None) => Cow::Borrowed(&[]),
    }
}

pub(super) fn slos_met(results: &[SloResult]) -> Option<String> {
    let met = results.iter().filter(|result| result.outcome == Outcome::Met).count();
    (!results.is_empty()).then(|| format!("{met}/{}", results.len()))
}

/// The result of an SLO, with what was asked of Prometheus for it.
pub(super) fn slo_status(result: &SloResult, asked: &[Asked]) -> SloStatus {
    SloStatus {
        name: cut(&result.name, 63),
        result: result.outcome.into(),
        severity: severity(result.severity).to_owned(),
        value: result.value.as_deref().map(|value| cut(value, 64)),
        bound: cut(&result.bound, 128),
        share: result.share.clone(),
        bad: result.tally.map(|tally| tally.bad),
        samples: result.samples,
        message: cut(&result.message, 1024),
        query: asked.iter().find(|asked| asked.question.slo == result.name).map(query_status),
    }
}

fn query_status(asked: &Asked) -> QueryStatus {
    let at = i64::try_from(asked.end).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok());
    QueryStatus {
        server: cut(&asked.server, 256),
        query: cut(&asked.query, 1024),
        at: at.map(micro),
        raw: asked.raw.as_deref().map(|raw| cut(raw, 256)),
        series: asked.series,
    }
}

/// Part of the planned duration that is over, or of the iterations, whichever is more.
fn progress(measured: &Measured) -> String {
    let Measured { plan, merged, facts, .. } = measured;
    let percent = |part: u64, whole: u64| u128::from(part.min(whole)) * 100 / u128::from(whole.max(1));
    let iterations = plan.iterations().map_or(0, |whole| percent(merged.health.iterations, whole));
    format!("{}%", percent(facts.measured, plan.duration).max(iterations))
}

/// How far apart the workers began; one alone is not apart.
fn skew(measured: &Measured) -> Option<String> {
    if measured.plan.workers < 2 {
        return None;
    }
    Some(text::duration_beside(measured.facts.start_skew?, measured.validity.max_start_skew))
}

/// The judged part, as far as the run has come.
fn window(measured: &Measured, started: Timestamp) -> Option<Span> {
    let spans = measured.plan.layout.judged_spans(None);
    let (start, end) = (spans.first()?.0, spans.last()?.1.min(measured.facts.measured));
    let at = |nanos: u64| started.checked_add(SignedDuration::from_nanos(i64::try_from(nanos).ok()?)).ok();
    (start < end).then_some(Span { start: micro(at(start)?), end: micro(at(end)?) })
}

/// As the API server keeps it.
fn second(time: Timestamp) -> Time {
    Time(whole_second(time))
}

/// As the API server keeps it.
fn micro(time: Timestamp) -> MicroTime {
    MicroTime(Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time))
}

/// As written in manifests and status.
pub(super) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "Critical",
        Severity::Error => "Error",
        Severity::Warning => "Warning",
        Severity::Info => "Info",
    }
}

impl From<plimsoll_slo::Verdict> for Verdict {
    fn from(verdict: plimsoll_slo::Verdict) -> Self {
        match verdict {
            plimsoll_slo::Verdict::Passed => Self::Passed,
            plimsoll_slo::Verdict::Failed => Self::Failed,
            plimsoll_slo::Verdict::Inconclusive => Self::Inconclusive,
            plimsoll_slo::Verdict::Error => Self::Error,
        }
    }
}

impl From<Outcome> for SloOutcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Met => Self::Met,
            Outcome::Missed => Self::Missed,
            Outcome::Unknown => Self::Unknown,
        }
    }
}
