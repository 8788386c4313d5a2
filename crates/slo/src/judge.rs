//! The verdict of a run: Error, then Inconclusive by validity, then Failed, then Unknown, then Passed. Each SLO is judged in `evaluate.rs`.

use plimsoll_measure::{Layout, Snapshot};

use crate::evaluate::evaluate;
use crate::live::abort_after;
use crate::scope::{Evidence, Finding};
use crate::text;
use crate::validity::{Fault, faults, loss};
use crate::{
    Facts, Judgement, Outcome, Reason, Severity, Slo, SloResult, Validity, Verdict, WorkerLossPolicy,
};

/// Most SLOs that a message quotes.
const QUOTED: usize = 3;

/// Judges a run that has ended, or could not take place.
#[must_use]
pub fn judge(
    slos: &[Slo],
    validity: &Validity,
    layout: &Layout,
    merged: &Snapshot,
    facts: &Facts,
) -> Judgement {
    let evidence = Evidence { validity, layout, merged, facts, until: facts.measured };
    let findings: Vec<Finding> = slos.iter().map(|slo| evaluate(slo, &evidence)).collect();
    let (verdict, reason, message) = verdict(slos, &findings, &evidence);
    let results = findings.into_iter().map(|finding| finding.result).collect();
    Judgement { verdict, reason, message, results }
}

pub(crate) fn verdict(slos: &[Slo], findings: &[Finding], evidence: &Evidence) -> (Verdict, Reason, String) {
    if let Some((reason, message)) = &evidence.facts.error {
        return (Verdict::Error, *reason, message.clone());
    }
    let (faults, stop) = (faults(evidence), stopped(evidence));
    let missed_critical = findings.iter().any(|f| is_missed(f) && f.result.severity == Severity::Critical);
    // A Critical miss is a result that a later stop does not take back.
    let stop = stop.filter(|_| !(faults.is_empty() && missed_critical));
    let invalid: Vec<Fault> = stop.into_iter().chain(faults).collect();
    if let Some((reason, _)) = invalid.first() {
        let causes: Vec<String> = invalid.iter().map(|(_, message)| message.clone()).collect();
        let told = invalid.iter().any(|(reason, _)| *reason == Reason::WorkerLost);
        return (
            Verdict::Inconclusive,
            *reason,
            sentence(causes, findings, loss(evidence).filter(|_| !told)),
        );
    }
    let (verdict, reason, causes) = judged(slos, findings, evidence);
    (verdict, reason, sentence(causes, findings, loss(evidence).filter(|_| reason != Reason::WorkerLost)))
}

/// The verdict of a valid run, and what to say of it.
fn judged(slos: &[Slo], findings: &[Finding], evidence: &Evidence) -> (Verdict, Reason, Vec<String>) {
    let binding = |finding: &&Finding| finding.result.severity >= Severity::Error;
    let missed: Vec<&Finding> = findings.iter().filter(binding).filter(|f| is_missed(f)).collect();
    if evidence.facts.stopped == Some(Reason::SLOAborted) {
        let aborting =
            slos.iter().zip(findings).filter(|(slo, f)| abort_after(slo).is_some() && is_missed(f));
        let mut causes = quoted(aborting.map(|(_, finding)| finding));
        let at = format!("stopped on an SLO after {}", text::spaced(&text::duration(evidence.until)));
        causes.push(at);
        return (Verdict::Failed, Reason::SLOAborted, causes);
    }
    if let Some(loss) = loss(evidence).filter(|_| evidence.validity.on_worker_loss == WorkerLossPolicy::Fail)
    {
        let causes = [vec![loss], quoted(missed.into_iter())].concat();
        return (Verdict::Failed, Reason::WorkerLost, causes);
    }
    if !missed.is_empty() {
        return (Verdict::Failed, Reason::SLOMissed, quoted(missed.into_iter()));
    }
    let unknown = findings.iter().filter(binding).filter(|f| f.result.outcome == Outcome::Unknown);
    let unknown: Vec<&Finding> = unknown.collect();
    if let Some(first) = unknown.first() {
        return (Verdict::Inconclusive, first.unknown.unwrap_or(Reason::NoData), quoted(unknown.into_iter()));
    }
    if !findings.iter().any(|finding| binding(&finding)) {
        let cause = "nothing was judged: add an SLO of severity Error or Critical".to_owned();
        return (Verdict::Inconclusive, Reason::NotJudged, vec![cause]);
    }
    let warnings = findings.iter().filter(|f| f.result.severity == Severity::Warning && is_missed(f));
    let warnings = quoted(warnings);
    let reason = if warnings.is_empty() { Reason::SLOsMet } else { Reason::PassedWithWarnings };
    (Verdict::Passed, reason, warnings)
}

fn is_missed(finding: &Finding) -> bool {
    finding.result.outcome == Outcome::Missed
}

/// Why the run ended before its time, unless an SLO stopped it.
fn stopped(evidence: &Evidence) -> Option<Fault> {
    let reason = evidence.facts.stopped?;
    let after = text::spaced(&text::duration(evidence.until));
    let message = match reason {
        Reason::SLOAborted => return None,
        Reason::Cancelled => format!("cancelled after {after}"),
        Reason::Superseded => format!("replaced by a newer run after {after}"),
        Reason::DeadlineExceeded => format!("stopped after {after}: runPolicy.deadline had passed"),
        _ => format!("stopped after {after}"),
    };
    Some((reason, message))
}

/// Messages of the first few findings, and how many there are more.
fn quoted<'a>(findings: impl Iterator<Item = &'a Finding>) -> Vec<String> {
    let mut messages: Vec<String> = findings.map(|finding| finding.result.message.clone()).collect();
    let more = messages.len().saturating_sub(QUOTED);
    if more > 0 {
        messages.truncate(QUOTED);
        messages.push(format!("{more} more"));
    }
    messages
}

/// `cause; cause; 3 of 4 SLOs met; the summary is a lower bound`.
fn sentence(causes: Vec<String>, findings: &[Finding], loss: Option<String>) -> String {
    let results: Vec<&SloResult> = findings.iter().map(|finding| &finding.result).collect();
    let met = results.iter().filter(|result| result.outcome == Outcome::Met).count();
    let tally = match results.len() {
        0 => None,
        1 => Some(format!("{met} of 1 SLO met")),
        all => Some(format!("{met} of {all} SLOs met")),
    };
    causes.into_iter().chain(tally).chain(loss).collect::<Vec<_>>().join("; ")
}
