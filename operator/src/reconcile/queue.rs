//! Whose turn it is: runs of one test go one after the other, oldest first, and a namespace has so many at once. Pure, and the same
//! for every run that asks: the older of two never waits for the younger.

use std::sync::Arc;

use kube::ResourceExt;
use plimsoll_api::v1alpha1::{LoadTestRun, Phase};

/// Whether a run may begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It may.
    Now,
    /// It waits, and for what.
    Wait(String),
}

/// Whether `run` may begin among `all` runs of the cluster. `has_turn` knows the runs that were told so before, of which the copies in
/// `all` need not know yet.
pub(crate) fn turn(
    run: &LoadTestRun,
    all: &[Arc<LoadTestRun>],
    per_namespace: u32,
    has_turn: impl Fn(&LoadTestRun) -> bool,
) -> Turn {
    let has_begun = |run: &LoadTestRun| is_accepted(run) || has_turn(run);
    let goes_first = |one: &LoadTestRun, other: &LoadTestRun| {
        (has_begun(one) && !has_begun(other)) || (has_begun(one) == has_begun(other) && age(one) < age(other))
    };
    let others = || {
        let here = |other: &&Arc<LoadTestRun>| {
            other.metadata.namespace == run.metadata.namespace && other.metadata.uid != run.metadata.uid
        };
        all.iter().filter(here).filter(|other| is_open(other))
    };
    let mut before: Vec<_> =
        others().filter(|other| same_test(run, other) && goes_first(other, run)).collect();
    before.sort_by_key(|other| age(other));
    if let Some(first) = before.first() {
        return Turn::Wait(format!("waits for run {} of the same test", first.name_any()));
    }
    // Runs that wait for another run of their own test take no place.
    let takes_place = |other: &Arc<LoadTestRun>| {
        let blocked = || {
            others().any(|third| {
                same_test(third, other)
                    && third.metadata.uid != other.metadata.uid
                    && goes_first(third, other)
            })
        };
        goes_first(other, run) && (has_begun(other) || !blocked())
    };
    let busy = others().filter(|other| takes_place(other)).count();
    let allowed = usize::try_from(per_namespace).unwrap_or(usize::MAX);
    if busy >= allowed {
        return Turn::Wait(format!(
            "{busy} runs of this namespace are in progress, allowed {per_namespace} (limits.maxRunsPerNamespace)"
        ));
    }
    Turn::Now
}

fn same_test(one: &LoadTestRun, other: &LoadTestRun) -> bool {
    one.spec.test_ref.name == other.spec.test_ref.name
}

/// Neither finished nor on its way out.
fn is_open(run: &LoadTestRun) -> bool {
    run.status.as_ref().is_none_or(|status| status.verdict.is_none())
        && run.metadata.deletion_timestamp.is_none()
}

/// It has begun: its phase is past Pending.
fn is_accepted(run: &LoadTestRun) -> bool {
    let phase = run.status.as_ref().and_then(|status| status.phase.as_deref());
    phase.is_some_and(|phase| phase != Phase::Pending.as_str())
}

fn age(run: &LoadTestRun) -> (Option<k8s_openapi::jiff::Timestamp>, Option<&str>) {
    (run.metadata.creation_timestamp.as_ref().map(|time| time.0), run.metadata.name.as_deref())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn turn(run: &LoadTestRun, all: &[Arc<LoadTestRun>], per_namespace: u32) -> Turn {
        super::turn(run, all, per_namespace, |_| false)
    }

    fn run(
        name: &str,
        test: &str,
        second: u32,
        phase: Option<&str>,
        verdict: Option<&str>,
    ) -> Arc<LoadTestRun> {
        let mut object = json!({
            "apiVersion": "plimsoll.dev/v1alpha1", "kind": "LoadTestRun",
            "metadata": {"name": name, "namespace": "shop", "uid": name, "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z")},
            "spec": {"testRef": {"name": test}},
            "status": {"phase": phase, "verdict": verdict},
        });
        if phase.is_none() {
            object["status"] = json!(null);
        }
        Arc::new(serde_json::from_value(object).unwrap())
    }

    #[test]
    fn runs_of_a_test_go_one_after_the_other() {
        let all = [
            run("a", "t", 1, Some("Running"), None),
            run("b", "t", 2, None, None),
            run("c", "u", 3, None, None),
        ];
        assert_eq!(turn(&all[0], &all, 4), Turn::Now);
        assert_eq!(turn(&all[1], &all, 4), Turn::Wait("waits for run a of the same test".into()));
        assert_eq!(turn(&all[2], &all, 4), Turn::Now, "another test");
        let done = [run("a", "t", 1, Some("Finished"), Some("Passed")), all[1].clone()];
        assert_eq!(turn(&done[1], &done, 4), Turn::Now);
    }

    #[test]
    fn of_two_new_runs_exactly_one_begins() {
        let all = [run("b", "t", 1, None, None), run("a", "t", 1, None, None)];
        assert_eq!(turn(&all[1], &all, 4), Turn::Now, "same second: by name");
        assert_ne!(turn(&all[0], &all, 4), Turn::Now);
    }

    #[test]
    fn a_run_that_may_begin_goes_first_before_the_watch_shows_it() {
        let all = [run("b", "t", 1, None, None), run("a", "t", 1, None, None), run("c", "u", 2, None, None)];
        let b_has_turn = |run: &LoadTestRun| run.name_any() == "b";
        assert_eq!(super::turn(&all[0], &all, 1, b_has_turn), Turn::Now);
        assert_eq!(
            super::turn(&all[1], &all, 4, b_has_turn),
            Turn::Wait("waits for run b of the same test".into())
        );
        assert!(matches!(super::turn(&all[2], &all, 1, b_has_turn), Turn::Wait(_)), "it takes a place");
    }

    #[test]
    fn a_namespace_has_so_many_at_once() {
        let all = [
            run("a", "t", 1, Some("Running"), None),
            run("b", "t", 2, None, None),
            run("c", "u", 3, None, None),
            run("d", "v", 4, None, None),
        ];
        assert_eq!(turn(&all[2], &all, 2), Turn::Now, "b waits for a anyway and takes no place");
        assert!(
            matches!(turn(&all[3], &all, 2), Turn::Wait(why) if why.starts_with("2 runs of this namespace"))
        );
        assert_eq!(turn(&all[3], &all, 3), Turn::Now);
    }
}
