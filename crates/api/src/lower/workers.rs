//! How many workers there are, what their pods may look like, and when a run of theirs is valid.

use k8s_openapi::api::core::v1::PodTemplateSpec;
use plimsoll_slo::{Validity, WorkerLossPolicy};

use super::error::Errors;
use super::load::Lowered;
use super::{scenarios, target};
use crate::v1alpha1::{LoadTestSpec, OnWorkerLoss};
use crate::{GoDuration, Share};

/// Number of workers: as many as asked for, but no more than users; every one of them needs a part of each limit.
pub(super) fn count(
    spec: &LoadTestSpec,
    load: &Lowered,
    target: &target::Lowered,
    script: &scenarios::Lowered,
    notices: &mut Vec<String>,
    errors: &mut Errors,
) -> u32 {
    let asked = spec.workers.as_ref().and_then(|workers| workers.count).unwrap_or(1);
    let mut count = asked;
    if load.groups.iter().all(|group| !group.load.is_open()) {
        let most = load.groups.iter().fold(0_u64, |sum, group| sum.saturating_add(group.load.peak_users()));
        if u64::from(count) > most && most > 0 {
            count = u32::try_from(most).unwrap_or(count);
            notices.push(format!("workers.count {asked} is lowered to {count}: there are no more users"));
        }
    }
    let mut enough = |max: u64, at: &str| {
        if max < u64::from(count) {
            let remedy = format!("raise it to {count}, or lower workers.count to {max}");
            errors.add(at, format!("{max} is fewer than the {count} workers that share it: {remedy}"));
        }
    };
    for group in &load.groups {
        if let Some(max) = group.load.max_in_flight() {
            enough(max, &format!("{}.arrivals.maxInFlight", group.at));
        }
    }
    if let Some(max) = target.plan.connections.max {
        enough(max, "spec.target.connections.max");
    }
    for (limit, at) in script.script.limits.iter().zip(&script.limits_at) {
        enough(limit.max, at);
    }
    count
}

/// The template must be one; whether the API server takes it is seen when the Job is made.
pub(super) fn check_template(spec: &LoadTestSpec, errors: &mut Errors) {
    let Some(template) = spec.workers.as_ref().and_then(|workers| workers.template.as_ref()) else { return };
    if let Err(wrong) = serde_json::from_value::<PodTemplateSpec>(template.clone()) {
        errors.add("spec.workers.template", format!("not a core/v1 PodTemplateSpec: {wrong}"));
    }
}

pub(super) fn validity(spec: &LoadTestSpec) -> Validity {
    let given = spec.validity.clone().unwrap_or_default();
    Validity {
        min_samples: given.min_samples,
        min_delivered: given.min_delivered.unwrap_or(Share::from_per_mille(950)).ppb,
        max_lateness: given.max_lateness.unwrap_or(GoDuration::from_millis(10)).nanos,
        max_start_skew: given.max_start_skew.unwrap_or(GoDuration::from_millis(100)).nanos,
        on_worker_loss: match given.on_worker_loss.unwrap_or_default() {
            OnWorkerLoss::Inconclusive => WorkerLossPolicy::Inconclusive,
            OnWorkerLoss::Fail => WorkerLossPolicy::Fail,
            OnWorkerLoss::Continue => WorkerLossPolicy::Continue,
        },
    }
}
