//! `plimsoll validate`: everything that can be said of manifests without a cluster and without traffic.

use anyhow::{Result, bail};
use plimsoll_api::v1alpha1::LoadTestSpec;
use plimsoll_api::{LowerError, questions};

use crate::args::ValidateArgs;
use crate::exit::Exit;
use crate::input::{Asked, Refused, load};
use crate::out::print;

/// Checks all documents; what they refer to outside of the input is listed as unchecked.
pub(crate) fn validate(args: &ValidateArgs) -> Result<Exit> {
    let input = load(&args.input)?;
    let mut problems = Vec::new();
    let mut lines = Vec::new();
    let asked = if input.tests.is_empty() && input.runs.is_empty() { Vec::new() } else { input.asked()? };
    for asked in asked {
        match asked.lower(&input.references) {
            Ok(resolved) => {
                let values = match input.values.materials(&resolved.plan) {
                    Ok(_) => Vec::new(),
                    Err(missing) => vec![format!("unchecked: {missing}")],
                };
                let queries = queries(&resolved.spec);
                lines.push(verdict(&asked, &[resolved.notices, values, queries].concat()));
            }
            Err(errors) => {
                let (missing, wrong): (Vec<_>, Vec<_>) =
                    errors.into_iter().partition(|error| matches!(error, LowerError::MissingProfile { .. }));
                problems.extend(asked.refused(&wrong).0);
                let unchecked: Vec<String> =
                    missing.iter().map(|error| format!("unchecked: {error}")).collect();
                lines.push(verdict(&asked, &unchecked));
            }
        }
    }
    if !problems.is_empty() {
        return Err(Refused(problems).into());
    }
    for profile in input.references.profiles.keys() {
        lines.push(format!("{:?} {}: valid", profile.kind, profile.name));
    }
    lines.extend(input.others.iter().map(|other| format!("{other}: not ours, unchecked")));
    if lines.is_empty() {
        bail!(
            "nothing to check: the input holds no LoadTest, LoadTestRun, LoadProfile or ClusterLoadProfile"
        );
    }
    print(&(lines.join("\n") + "\n"))?;
    Ok(Exit::Passed)
}

/// What only a Prometheus can say of a test.
fn queries(spec: &LoadTestSpec) -> Vec<String> {
    let questions = questions(spec);
    if questions.is_empty() {
        return Vec::new();
    }
    let names: Vec<&str> = questions.iter().map(|question| question.slo.as_str()).collect();
    let wanted = spec.prometheus.clone().unwrap_or_default();
    let server = match (&wanted.server, &wanted.url) {
        (Some(name), _) => format!("a Prometheus server named {name}"),
        (None, Some(url)) => url.clone(),
        (None, None) => "a default Prometheus server".to_owned(),
    };
    vec![format!("unchecked: what {} answers to {}", server, names.join(", "))]
}

fn verdict(asked: &Asked<'_>, notes: &[String]) -> String {
    let kind = if asked.run.is_some() { "LoadTestRun of" } else { "LoadTest" };
    let mut text = format!("{kind} {}/{}: valid", asked.namespace(), asked.name());
    for note in notes {
        text.push_str("\n  ");
        text.push_str(note);
    }
    text
}
