//! The status of a LoadTest: the run that its spec asked for, mirrored, and its last runs. `plimsoll_api::status` finds the words; one
//! server-side apply writes them, if they differ. Other side: `reconcile/status.rs`.

use std::time::{Duration, Instant};

use kube::api::{Api, Patch, PatchParams};
use kube::{Resource, ResourceExt};
use plimsoll_api::status::{Asked, Cause, RunRecord, TestView, Waiting, test_status};
use plimsoll_api::v1alpha1::{LoadTest, LoadTestRun, LoadTestStatus, Trigger};
use serde_json::json;

use super::decide::{Decision, Observed, is_made_by};
use crate::context::Context;
use crate::reconcile::{MANAGER, PACE};

/// Reason of a LoadTest that is due for a run which the API server does not take.
const NOT_CREATED: &str = "RunNotCreated";

/// Writes the status, unless it says what is there, or it is not time yet; answers when it will be.
#[tracing::instrument(name = "write status", skip_all)]
pub(super) async fn write(
    context: &Context,
    observed: &Observed,
    decision: &Decision,
) -> kube::Result<Option<Duration>> {
    let Observed { test, uid, memory, .. } = observed;
    let newest = newest(test, memory.written.as_ref());
    let status = compute(observed, decision, newest);
    let now = Instant::now();
    let since = memory.written.as_ref().map_or(PACE, |(_, _, at)| now.duration_since(*at));
    match newest {
        Some(before) if *before == status => return Ok(None),
        Some(before) if !is_transition(before, &status) && since < PACE => return Ok(Some(PACE - since)),
        _ => {}
    }
    let name = test.name_any();
    let tests: Api<LoadTest> = Api::namespaced(context.client.clone(), &test.namespace().unwrap_or_default());
    let patch = json!({
        "apiVersion": LoadTest::api_version(&()), "kind": LoadTest::kind(&()),
        "metadata": {"name": name, "uid": uid},
        "status": status,
    });
    context.metrics.wrote("test-status");
    let params = PatchParams::apply(MANAGER).force();
    match tests.patch_status(&name, &params, &Patch::Apply(&patch)).await {
        Ok(written) => {
            context.remember_test(uid, |memory| {
                let version = written.metadata.resource_version.unwrap_or_default();
                memory.written = Some((version, written.status.unwrap_or(status), now));
            });
            Ok(None)
        }
        // Gone, or made anew: the watch brings what is there now.
        Err(kube::Error::Api(answer)) if matches!(answer.code, 404 | 409) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The store may lag behind what this process wrote itself: the newer of the two counts.
fn newest<'a>(
    test: &'a LoadTest,
    written: Option<&'a (String, LoadTestStatus, Instant)>,
) -> Option<&'a LoadTestStatus> {
    let number = |version: Option<&str>| version.and_then(|version| version.parse::<u64>().ok()).unwrap_or(0);
    let stored = number(test.metadata.resource_version.as_deref());
    let ours = written.filter(|(version, _, _)| number(Some(version)) > stored).map(|(_, status, _)| status);
    ours.or_else(|| test.status.as_ref().filter(|status| status.observed_generation >= 0))
}

/// The status of the test as it is now.
fn compute(observed: &Observed, decision: &Decision, previous: Option<&LoadTestStatus>) -> LoadTestStatus {
    let test = &observed.test;
    let runs: Vec<RunRecord<'_>> =
        observed.runs.iter().filter_map(|run| record(run, &observed.uid)).collect();
    let policy = test.spec.run_policy.as_ref();
    let is_manual = policy.is_some_and(|policy| policy.trigger == Some(Trigger::Manual));
    let asked = match (&decision.asked, &decision.failed) {
        _ if is_manual => Asked::Nothing,
        _ if decision.suspended => Asked::Suspended,
        (_, Some(message)) => Asked::Due(Waiting { reason: NOT_CREATED, message }),
        (Some((name, asked)), None) => {
            Asked::Run { name, generation: asked.generation, spec_hash: &asked.spec_hash }
        }
        // Restored from a backup together with its result: nothing is asked.
        (None, None) => Asked::Nothing,
    };
    test_status(&TestView {
        generation: test.metadata.generation.unwrap_or(0),
        previous,
        asked,
        runs: &runs,
        now: observed.now,
    })
}

fn record<'a>(run: &'a LoadTestRun, test_uid: &str) -> Option<RunRecord<'a>> {
    Some(RunRecord {
        name: run.metadata.name.as_deref()?,
        cause: if is_made_by(run, test_uid) { Cause::Spec } else { Cause::Manual },
        created: run.metadata.creation_timestamp.as_ref()?.0,
        status: run.status.as_ref().filter(|status| status.observed_generation >= 0),
    })
}

/// Whether somebody who watches wants to know at once.
fn is_transition(before: &LoadTestStatus, after: &LoadTestStatus) -> bool {
    let conditions = |status: &LoadTestStatus| {
        let told = status
            .conditions
            .iter()
            .map(|condition| (condition.type_.clone(), condition.status.clone(), condition.reason.clone()));
        told.collect::<Vec<_>>()
    };
    let history = |status: &LoadTestStatus| {
        status.history.iter().map(|entry| (entry.name.clone(), entry.verdict)).collect::<Vec<_>>()
    };
    (before.observed_generation, &before.phase, before.verdict, &before.reason, &before.run)
        != (after.observed_generation, &after.phase, after.verdict, &after.reason, &after.run)
        || conditions(before) != conditions(after)
        || history(before) != history(after)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use k8s_openapi::jiff::Timestamp;

    use super::*;
    use crate::context::TestMemory;

    #[test]
    fn a_run_that_cannot_be_created_is_told() {
        let test: LoadTest = serde_json::from_value(json!({
            "apiVersion": "plimsoll.dev/v1alpha1", "kind": "LoadTest",
            "metadata": {"name": "t", "namespace": "shop", "uid": "u", "generation": 1},
            "spec": {"target": {"url": "http://a"}, "profile": {"users": 1, "duration": "1m"}},
        }))
        .unwrap();
        let observed = Observed {
            now: Timestamp::UNIX_EPOCH,
            test: Arc::new(test),
            uid: "u".into(),
            runs: vec![],
            stored: BTreeSet::new(),
            memory: TestMemory::default(),
        };
        let mut decision = super::super::decide::decide(&observed);
        decision.failed = Some("create the run t-1: exceeded quota".into());
        let status = compute(&observed, &decision, None);
        assert_eq!(status.reason.as_deref(), Some("RunNotCreated"));
        assert_eq!(status.message.as_deref(), Some("create the run t-1: exceeded quota"));
        assert_eq!((status.observed_generation, status.run, status.run_generation), (1, None, None));
        let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready").unwrap();
        assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", "RunNotCreated"));
    }
}
