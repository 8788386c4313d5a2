//! SLOs of profile, test and run to what is judged, and to the counters that workers keep for it.

use plimsoll_measure::{Layout, Objective, RequestId, WindowId};
use plimsoll_slo::Slo;

use super::conditions::{Condition, condition};
use super::error::{Errors, LowerError};
use super::{prometheus, unknown};
use crate::v1alpha1::{self as api, LoadTestSpec, Overrides};

/// An SLO and the path where it was written.
type Written = (String, api::Slo);

/// The SLOs of the profile, those of the test over them, those of the run over both; without those that one of them disables.
pub(super) fn merge(
    profile: &[api::Slo],
    spec: &LoadTestSpec,
    overrides: &Overrides,
    errors: &mut Errors,
) -> Vec<Written> {
    let mut merged: Vec<Written> =
        profile.iter().map(|slo| (format!("spec.profile.slos[name={}]", slo.name), slo.clone())).collect();
    let own = spec.slos.iter().enumerate().map(|(at, slo)| (format!("spec.slos[{at}]"), slo));
    let run = overrides.slos.iter().enumerate().map(|(at, slo)| (format!("spec.overrides.slos[{at}]"), slo));
    for (path, slo) in own.chain(run) {
        match merged.iter_mut().find(|(_, known)| known.name == slo.name) {
            Some(known) => *known = (path, slo.clone()),
            None if slo.disabled == Some(true) => {
                let known: Vec<&str> = merged.iter().map(|(_, slo)| slo.name.as_str()).collect();
                errors.add(format!("{path}.name"), unknown("SLO to disable named", &slo.name, &known));
            }
            None => merged.push((path, slo.clone())),
        }
    }
    merged.retain(|(_, slo)| slo.disabled != Some(true));
    merged
}

pub(super) fn lower(slos: &[Written], layout: &mut Layout, errors: &mut Errors) -> Vec<Slo> {
    let mut lowered = Vec::new();
    for (at, slo) in slos {
        let Some(Condition { kind, bad, population, metric }) = condition(slo, at, layout, errors) else {
            continue;
        };
        prometheus::check_source(slo, &kind, at, errors);
        let request = slo.request.as_ref().and_then(|name| request(name, at, layout, errors));
        let window = slo.window.as_ref().and_then(|name| window(name, at, layout, errors));
        let severity = severity(slo.severity.unwrap_or_default());
        if slo.abort.is_some() && severity < plimsoll_slo::Severity::Error {
            let message =
                format!("a miss of severity {severity:?} stops no run: remove abort, or make it Error");
            errors.add(format!("{at}.abort"), message);
        }
        let objective = bad.map(|bad| objective(Objective { population, request, window, bad }, layout));
        lowered.push(Slo {
            name: slo.name.clone(),
            severity,
            request,
            metric,
            window,
            kind,
            objective,
            abort_after: slo.abort.map(|abort| abort.after.nanos),
            min_samples: None,
        });
    }
    lowered
}

/// Resolves SLOs against the names that a run that is over had, to judge it again. Pairs of counters that it had not are added behind those
/// of the layout.
///
/// # Errors
/// Names that the run had not, and what the SLOs themselves have wrong.
pub fn relower(slos: &[api::Slo], layout: &Layout) -> Result<(Vec<Slo>, Layout), Vec<LowerError>> {
    let mut errors = Errors::default();
    let mut layout = layout.clone();
    let written: Vec<Written> = slos
        .iter()
        .enumerate()
        .filter(|(_, slo)| slo.disabled != Some(true))
        .map(|(at, slo)| (format!("spec.slos[{at}]"), slo.clone()))
        .collect();
    let lowered = lower(&written, &mut layout, &mut errors);
    errors.finish()?;
    Ok((lowered, layout))
}

/// Index of a pair of counters; SLOs that count the same share one.
fn objective(objective: Objective, layout: &mut Layout) -> usize {
    let known = layout.objectives.iter().position(|known| *known == objective);
    known.unwrap_or_else(|| {
        layout.objectives.push(objective);
        layout.objectives.len() - 1
    })
}

fn request(name: &str, at: &str, layout: &Layout, errors: &mut Errors) -> Option<RequestId> {
    let names = &layout.requests;
    let found = names.iter().position(|known| known == name).and_then(|at| u16::try_from(at).ok());
    if found.is_none() {
        errors.add(
            format!("{at}.request"),
            unknown("request", name, &names.iter().map(String::as_str).collect::<Vec<_>>()),
        );
    }
    found.map(RequestId)
}

fn window(name: &str, at: &str, layout: &Layout, errors: &mut Errors) -> Option<WindowId> {
    let windows = &layout.windows;
    let found = windows.iter().position(|known| known.name == name);
    match found.map(|at| (&windows[at], u16::try_from(at))) {
        Some((window, Ok(at))) if window.judged => return Some(WindowId(at)),
        Some(_) => errors.add(
            format!("{at}.window"),
            format!("{name} is recorded, but not judged: choose another window"),
        ),
        None => {
            let judged = windows.iter().filter(|window| window.judged).map(|window| window.name.as_str());
            let judged: Vec<&str> = judged.collect();
            errors.add(format!("{at}.window"), unknown("window", name, &judged));
        }
    }
    None
}

pub(super) fn severity(severity: api::Severity) -> plimsoll_slo::Severity {
    match severity {
        api::Severity::Info => plimsoll_slo::Severity::Info,
        api::Severity::Warning => plimsoll_slo::Severity::Warning,
        api::Severity::Error => plimsoll_slo::Severity::Error,
        api::Severity::Critical => plimsoll_slo::Severity::Critical,
    }
}
