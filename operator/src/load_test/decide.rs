//! Whether a LoadTest is due for a run, and which of its runs are too many. Pure; what is due is `plimsoll_api::due`, what was observed
//! comes from `load_test.rs`.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use k8s_openapi::jiff::Timestamp;
use kube::{Resource, ResourceExt};
use plimsoll_api::status::Cause;
use plimsoll_api::v1alpha1::{LoadTest, LoadTestRun, LoadTestRunSpec, LoadTestStatus, TestRef, Verdict};
use plimsoll_api::{Due, LastAsked, child_name, due, spec_hash};
use plimsoll_manifests::{SPEC_HASH_ANNOTATION, TEST_LABEL};

use crate::context::TestMemory;

/// Annotation of runs that the operator makes: the generation of the test that asked for it.
const GENERATION_ANNOTATION: &str = "plimsoll.dev/test-generation";
/// Finished runs that are kept where the run policy says nothing.
const KEPT: (u32, u32) = (3, 10);

/// What is known of a test.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    /// When it was looked at.
    pub(crate) now: Timestamp,
    /// The test.
    pub(crate) test: Arc<LoadTest>,
    /// Its UID.
    pub(crate) uid: String,
    /// All runs that refer to it.
    pub(crate) runs: Vec<Arc<LoadTestRun>>,
    /// Hashes of specs whose results came back from a backup.
    pub(crate) stored: BTreeSet<String>,
    /// What this process remembers.
    pub(crate) memory: TestMemory,
}

/// What to do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Decision {
    /// The run that is due.
    pub(crate) create: Option<LoadTestRun>,
    /// Why it could not be created; found out when it was tried.
    pub(crate) failed: Option<String>,
    /// Finished runs that are too many.
    pub(crate) prune: Vec<Arc<LoadTestRun>>,
    /// The run that the spec asked for last, the one that is due included: name, generation, hash.
    pub(crate) asked: Option<(String, LastAsked)>,
    /// Whether a run is due and `runPolicy.suspend` holds it back.
    pub(crate) suspended: bool,
}

/// Decides.
pub(crate) fn decide(observed: &Observed) -> Decision {
    let last = last_asked(observed);
    let stored: Vec<&str> = observed.stored.iter().map(String::as_str).collect();
    let due = due(&observed.test, last.as_ref().map(|(_, asked)| asked), &stored);
    let create = (due == Due::Now).then(|| new_run(observed));
    let asked = create.as_ref().map(|run| (run.name_any(), of_test(&observed.test))).or(last);
    let suspended = due == Due::Suspended;
    Decision { create, failed: None, prune: too_many(observed), asked, suspended }
}

/// Whether the operator made the run for this very test.
pub(crate) fn is_made_by(run: &LoadTestRun, uid: &str) -> bool {
    run.owner_references().iter().any(|owner| owner.uid == uid)
}

/// What the test's own status says of the run that its spec asked for last.
pub(crate) fn known(test: &LoadTest, memory: &TestMemory) -> Option<(String, LastAsked)> {
    let written = memory.written.as_ref().map(|(_, status, _)| status);
    let read = |status: &LoadTestStatus| {
        let asked = LastAsked { generation: status.run_generation?, spec_hash: status.spec_hash.clone()? };
        Some((status.run.clone()?, asked))
    };
    let ours = written.and_then(read);
    let theirs = test.status.as_ref().and_then(read);
    [ours, theirs].into_iter().flatten().max_by_key(|(_, asked)| asked.generation)
}

/// The run that the spec asked for last: one that exists, or the one that the status speaks of.
fn last_asked(observed: &Observed) -> Option<(String, LastAsked)> {
    let made = observed.runs.iter().filter(|run| is_made_by(run, &observed.uid));
    let newest = made.filter_map(|run| Some((run, asked_of(run)?))).max_by_key(|(_, asked)| asked.generation);
    // What was noted of a run while it seemed to wait is void once it turns out to have been accepted with another spec.
    let holds = |(name, known): &(String, LastAsked)| {
        let run = observed.runs.iter().find(|run| run.name_any() == *name);
        run.and_then(|run| accepted(run)).is_none_or(|hash| hash == known.spec_hash)
    };
    let known = known(&observed.test, &observed.memory).filter(holds);
    match (newest, known) {
        (Some((run, asked)), known)
            if known.as_ref().is_none_or(|(_, known)| asked.generation >= known.generation) =>
        {
            // What waits for its turn takes the spec as it is then; an edit until then asks for no second run.
            let asked = if is_waiting(run) { of_test(&observed.test) } else { asked };
            Some((run.name_any(), asked))
        }
        (_, known) => known,
    }
}

/// What asked for a run: its annotations, and the hash of the spec that it was then accepted with.
fn asked_of(run: &LoadTestRun) -> Option<LastAsked> {
    let annotations = run.annotations();
    let spec_hash =
        accepted(run).map(str::to_owned).or_else(|| annotations.get(SPEC_HASH_ANNOTATION).cloned())?;
    Some(LastAsked { generation: annotations.get(GENERATION_ANNOTATION)?.parse().ok()?, spec_hash })
}

/// Hash of the spec that a run was accepted with.
fn accepted(run: &LoadTestRun) -> Option<&str> {
    run.status.as_ref()?.results.as_ref()?.spec_hash.as_deref()
}

fn of_test(test: &LoadTest) -> LastAsked {
    LastAsked { generation: test.metadata.generation.unwrap_or(0), spec_hash: spec_hash(&test.spec) }
}

/// Nothing of it exists yet.
fn is_waiting(run: &LoadTestRun) -> bool {
    let phase = run.status.as_ref().and_then(|status| status.phase.as_deref());
    phase.is_none_or(|phase| phase == plimsoll_api::v1alpha1::Phase::Pending.as_str())
}

fn new_run(observed: &Observed) -> LoadTestRun {
    let test = &observed.test;
    let asked = of_test(test);
    let name = test.name_any();
    let child = child_name(&name, &observed.uid, Cause::Spec, asked.generation);
    let spec = LoadTestRunSpec { test_ref: TestRef { name: name.clone() }, ..LoadTestRunSpec::default() };
    let mut run = LoadTestRun::new(&child, spec);
    run.metadata.namespace = test.namespace();
    run.metadata.owner_references = Some(vec![OwnerReference {
        api_version: LoadTest::api_version(&()).into_owned(),
        kind: LoadTest::kind(&()).into_owned(),
        name: name.clone(),
        uid: observed.uid.clone(),
        controller: Some(true),
        block_owner_deletion: None,
    }]);
    run.labels_mut().insert(TEST_LABEL.to_owned(), name);
    run.annotations_mut().insert(SPEC_HASH_ANNOTATION.to_owned(), asked.spec_hash);
    run.annotations_mut().insert(GENERATION_ANNOTATION.to_owned(), asked.generation.to_string());
    run
}

/// The oldest finished runs of the operator's making beyond the limit; what people created is theirs.
fn too_many(observed: &Observed) -> Vec<Arc<LoadTestRun>> {
    let policy = observed.test.spec.run_policy.as_ref();
    let limit = policy.and_then(|policy| policy.history_limit).unwrap_or_default();
    let verdict = |run: &LoadTestRun| run.status.as_ref().and_then(|status| status.verdict);
    let mut finished: Vec<_> = observed
        .runs
        .iter()
        .filter(|run| {
            is_made_by(run, &observed.uid)
                && verdict(run).is_some()
                && run.metadata.deletion_timestamp.is_none()
        })
        .cloned()
        .collect();
    finished
        .sort_by_key(|run| std::cmp::Reverse(run.metadata.creation_timestamp.as_ref().map(|time| time.0)));
    let (passed, not): (Vec<_>, Vec<_>) =
        finished.into_iter().partition(|run| verdict(run) == Some(Verdict::Passed));
    let beyond = |runs: Vec<Arc<LoadTestRun>>, kept: u32| {
        runs.into_iter().skip(usize::try_from(kept).unwrap_or(usize::MAX))
    };
    let not = beyond(not, limit.not_passed.unwrap_or(KEPT.1));
    beyond(passed, limit.passed.unwrap_or(KEPT.0)).chain(not).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[allow(clippy::needless_pass_by_value, reason = "json! makes values")]
    fn test(generation: i64, users: u32, policy: serde_json::Value) -> Arc<LoadTest> {
        Arc::new(
            serde_json::from_value(json!({
                "apiVersion": "plimsoll.dev/v1alpha1", "kind": "LoadTest",
                "metadata": {"name": "t", "namespace": "shop", "uid": "test-uid", "generation": generation},
                "spec": {"target": {"url": "http://a"}, "profile": {"users": users, "duration": "1m"}, "runPolicy": policy},
            }))
            .unwrap(),
        )
    }

    fn observed(test: Arc<LoadTest>, runs: Vec<LoadTestRun>) -> Observed {
        Observed {
            now: Timestamp::UNIX_EPOCH,
            test,
            uid: "test-uid".into(),
            runs: runs.into_iter().map(Arc::new).collect(),
            stored: BTreeSet::new(),
            memory: TestMemory::default(),
        }
    }

    fn run(made: &LoadTestRun, second: u32, phase: &str, verdict: Option<&str>) -> LoadTestRun {
        let mut run = serde_json::to_value(made).unwrap();
        run["metadata"]["creationTimestamp"] = json!(format!("2026-01-01T00:00:{second:02}Z"));
        run["status"] = json!({"phase": phase, "verdict": verdict});
        serde_json::from_value(run).unwrap()
    }

    #[test]
    fn a_spec_asks_for_one_run() {
        let first = decide(&observed(test(1, 5, json!({})), vec![]));
        let made = first.create.unwrap();
        assert!(is_made_by(&made, "test-uid"));
        let again = decide(&observed(test(1, 5, json!({})), vec![made.clone()]));
        assert_eq!(again.create, None, "it exists");
        assert_eq!(again.asked.unwrap().0, made.name_any());
    }

    #[test]
    fn an_edit_asks_for_another_and_edits_of_a_waiting_run_do_not() {
        let first = decide(&observed(test(1, 5, json!({})), vec![])).create.unwrap();
        let running = run(&first, 1, "Running", None);
        let second = decide(&observed(test(2, 6, json!({})), vec![running.clone()])).create.unwrap();
        assert_ne!(second.name_any(), first.name_any());
        let waiting = run(&second, 2, "Pending", None);
        let third = decide(&observed(test(3, 7, json!({})), vec![running, waiting]));
        assert_eq!(third.create, None);
        assert_eq!(third.asked.unwrap().1.generation, 3);
    }

    #[test]
    fn what_the_run_was_accepted_with_counts() {
        let first = decide(&observed(test(1, 5, json!({})), vec![])).create.unwrap();
        let mut running = run(&first, 1, "Running", None);
        let newer = test(2, 6, json!({}));
        let results = json!({"specHash": spec_hash(&newer.spec)});
        running.status.as_mut().unwrap().results = serde_json::from_value(results).unwrap();
        assert_eq!(
            decide(&observed(newer, vec![running])).create,
            None,
            "it was edited before the run was accepted"
        );
    }

    #[test]
    fn an_edit_after_the_run_was_accepted_asks_for_another() {
        let first = decide(&observed(test(1, 5, json!({})), vec![])).create.unwrap();
        let mut edited = test(2, 6, json!({}));
        // Accepted already, but the watch still shows it waiting: the edit is noted as what the run will take.
        let waits = decide(&observed(Arc::clone(&edited), vec![run(&first, 1, "Pending", None)]));
        let (name, asked) = waits.asked.unwrap();
        assert_eq!((waits.create, asked.generation), (None, 2));
        Arc::make_mut(&mut edited).status = Some(LoadTestStatus {
            run: Some(name),
            run_generation: Some(asked.generation),
            spec_hash: Some(asked.spec_hash),
            ..LoadTestStatus::default()
        });
        let mut started = run(&first, 1, "Starting", None);
        let results = json!({"specHash": spec_hash(&test(1, 5, json!({})).spec)});
        started.status.as_mut().unwrap().results = serde_json::from_value(results).unwrap();
        let decision = decide(&observed(edited, vec![started]));
        assert_ne!(decision.create.unwrap().name_any(), first.name_any());
        assert_eq!(decision.asked.unwrap().1.generation, 2);
    }

    #[test]
    fn a_test_that_was_made_anew_has_a_run_of_its_own() {
        let first = decide(&observed(test(1, 5, json!({})), vec![])).create.unwrap();
        let mut anew = observed(test(1, 5, json!({})), vec![run(&first, 1, "Finished", Some("Passed"))]);
        anew.uid = "other-uid".into();
        let second = decide(&anew).create.unwrap();
        assert_ne!(second.name_any(), first.name_any());
    }

    #[test]
    fn manual_suspended_and_restored_tests_start_nothing() {
        for policy in [json!({"trigger": "Manual"}), json!({"suspend": true})] {
            assert_eq!(decide(&observed(test(1, 5, policy), vec![])).create, None);
        }
        let mut restored = observed(test(1, 5, json!({})), vec![]);
        restored.stored.insert(spec_hash(&restored.test.spec));
        assert_eq!(decide(&restored).create, None);
    }

    #[test]
    fn old_runs_go_by_outcome_and_what_people_made_stays() {
        let made = decide(&observed(test(1, 5, json!({})), vec![])).create.unwrap();
        let mut runs: Vec<_> = (0..5).map(|second| run(&made, second, "Finished", Some("Passed"))).collect();
        runs.push(run(&made, 9, "Finished", Some("Failed")));
        let mut theirs = run(&made, 0, "Finished", Some("Passed"));
        theirs.metadata.owner_references = None;
        runs.push(theirs);
        let gone = |policy| {
            let decision = decide(&observed(test(1, 5, policy), runs.clone()));
            decision
                .prune
                .iter()
                .map(|run| run.metadata.creation_timestamp.as_ref().unwrap().0.as_second() % 60)
                .collect::<Vec<_>>()
        };
        assert_eq!(gone(json!({})), [1, 0], "three passed are kept by default");
        assert_eq!(gone(json!({"historyLimit": {"passed": 5, "notPassed": 0}})), [9]);
    }
}
