//! What one run does differently from its test: fields of a LoadTestRun over those of the LoadTest. Profile and SLOs merge elsewhere.

use super::error::Errors;
use crate::v1alpha1::{LoadTestSpec, Overrides, Workers};

/// The test's spec with the run's target, variables and number of workers.
pub(super) fn merge(spec: &LoadTestSpec, overrides: &Overrides, errors: &mut Errors) -> LoadTestSpec {
    let mut spec = spec.clone();
    if let Some(target) = &overrides.target {
        spec.target.url.clone_from(&target.url);
    }
    for (at, var) in overrides.vars.iter().enumerate() {
        if var.value_from.is_some() {
            // Whoever may make runs of a test need not be allowed to use every Secret of its namespace.
            errors.add(
                format!("spec.overrides.vars[{at}].valueFrom"),
                format!("{}: overrides.vars have values: valueFrom belongs into the LoadTest", var.name),
            );
            continue;
        }
        match spec.vars.iter_mut().find(|known| known.name == var.name) {
            Some(known) => known.clone_from(var),
            None => spec.vars.push(var.clone()),
        }
    }
    if let Some(workers) = &overrides.workers {
        spec.workers = Some(Workers { count: Some(workers.count), ..spec.workers.unwrap_or_default() });
    }
    spec
}
