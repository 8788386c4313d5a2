//! Status of a LoadTest: what it mirrors, what it keeps, and its history.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use plimsoll_api::status::{Asked, Cause, LARGEST_STATUS, RunRecord, TestView, Waiting, test_status};
use plimsoll_api::v1alpha1::{LoadTestRunStatus, LoadTestStatus, Phase, Verdict};

use crate::support::{SHOP, later, run, samples};

const ASKED: Asked = Asked::Run { name: "shop-1", generation: 2, spec_hash: "abc" };

fn record<'a>(name: &'a str, cause: Cause, created: i64, status: &'a LoadTestRunStatus) -> RunRecord<'a> {
    RunRecord { name, cause, created: later(created), status: Some(status) }
}

fn view<'a>(asked: Asked<'a>, runs: &'a [RunRecord<'a>]) -> TestView<'a> {
    TestView { generation: 2, previous: None, asked, runs, now: later(100) }
}

fn condition(status: &LoadTestStatus, kind: &str) -> String {
    let found = status.conditions.iter().find(|c| c.type_ == kind);
    found.map_or("absent".into(), |c| format!("{} ({})", c.status, c.reason))
}

fn phase(status: &LoadTestStatus) -> (Option<&str>, Option<Verdict>, Option<&str>) {
    (status.phase.as_deref(), status.verdict, status.reason.as_deref())
}

#[test]
fn a_finished_run_is_mirrored_whole_and_one_that_goes_on_by_its_columns() {
    let run = run(SHOP, samples(6_000, 30, 4));
    let finished = run.finished();
    let runs = [record("shop-1", Cause::Spec, 0, &finished)];
    let status = test_status(&view(ASKED, &runs));
    assert_eq!(phase(&status), (Some("Finished"), Some(Verdict::Passed), Some("SLOsMet")));
    assert_eq!(
        (&status.summary, &status.slos, &status.slos_met),
        (&finished.summary, &finished.slos, &finished.slos_met)
    );
    assert_eq!(
        (status.run.as_deref(), status.run_generation, status.spec_hash.as_deref()),
        (Some("shop-1"), Some(2), Some("abc"))
    );
    assert_eq!(status.observed_generation, 2);
    assert_eq!(condition(&status, "Ready"), "True (SLOsMet)");

    let live = plimsoll_api::status::run_status(&run.view(Phase::Running));
    let runs = [record("shop-1", Cause::Spec, 0, &live)];
    let status = test_status(&view(ASKED, &runs));
    assert_eq!(phase(&status), (Some("Running"), None, Some("Running")));
    let (shown, whole) = (status.summary.clone().unwrap(), live.summary.clone().unwrap());
    assert_eq!((&shown.p95, &shown.rate, &shown.errors), (&whole.p95, &whole.rate, &whole.errors));
    assert_eq!((&shown.p50, &shown.total, status.slos.len()), (&None, &None, 0));
    assert_eq!(status.progress, live.progress);
    assert_eq!(condition(&status, "Reconciling"), "True (Running)");
}

#[test]
fn before_there_is_a_run() {
    let due = Waiting { reason: "Queued", message: "3 runs of this namespace go on" };
    let status = test_status(&view(Asked::Due(due), &[]));
    assert_eq!(phase(&status), (Some("Pending"), None, Some("Queued")));
    assert_eq!(condition(&status, "Reconciling"), "True (Queued)");
    let new = [RunRecord { name: "shop-1", cause: Cause::Spec, created: later(0), status: None }];
    let status = test_status(&view(ASKED, &new));
    assert_eq!((phase(&status), status.history.len()), ((Some("Pending"), None, Some("Queued")), 1));
    assert_eq!(condition(&status, "Ready"), "False (Queued)");
    let made = test_status(&view(ASKED, &[]));
    assert_eq!(phase(&made), (Some("Pending"), None, Some("Queued")), "made, but not seen yet");
    let unseen = test_status(&TestView { previous: Some(&made), ..view(ASKED, &[]) });
    assert_eq!(unseen, made, "still not seen, and not taken for deleted");
    let status = test_status(&view(Asked::Suspended, &[]));
    assert_eq!(
        (phase(&status), condition(&status, "Ready")),
        ((None, None, Some("Suspended")), "False (Suspended)".into())
    );
    let status = test_status(&view(Asked::Nothing, &[]));
    assert_eq!(
        (phase(&status), condition(&status, "Ready")),
        ((None, None, Some("NothingDue")), "True (NothingDue)".into())
    );
    assert_eq!(
        (condition(&status, "Passed"), condition(&status, "Finished")),
        ("Unknown (NotRun)".into(), "absent".into())
    );
}

#[test]
fn runs_by_hand_and_on_schedule_set_passed_and_history_only() {
    let good = run(SHOP, samples(6_000, 30, 4)).finished();
    let bad = run(SHOP, samples(6_000, 30, 40)).finished();
    let live = plimsoll_api::status::run_status(&run(SHOP, samples(600, 30, 0)).view(Phase::Running));
    let runs = [
        record("shop-1", Cause::Spec, 0, &good),
        record("by-hand", Cause::Manual, 60, &bad),
        record("nightly", Cause::Schedule, 90, &live),
    ];
    let status = test_status(&view(ASKED, &runs));
    assert_eq!(phase(&status), (Some("Finished"), Some(Verdict::Passed), Some("SLOsMet")));
    assert_eq!(
        (condition(&status, "Ready"), condition(&status, "Stalled")),
        ("True (SLOsMet)".into(), "absent".into())
    );
    assert_eq!(condition(&status, "Passed"), "False (SLOMissed)", "of the last run that has a verdict");
    let history: Vec<_> =
        status.history.iter().map(|e| (e.name.as_str(), e.cause.as_deref().unwrap(), e.verdict)).collect();
    assert_eq!(
        history,
        [
            ("nightly", "Schedule", None),
            ("by-hand", "Manual", Some(Verdict::Failed)),
            ("shop-1", "Spec", Some(Verdict::Passed))
        ]
    );
    assert_eq!((&status.history[1].p95, &status.history[0].p95), (&bad.summary.as_ref().unwrap().p95, &None));

    let status = test_status(&view(Asked::Nothing, &runs));
    assert_eq!(
        (condition(&status, "Ready"), condition(&status, "Passed")),
        ("True (NothingDue)".into(), "False (SLOMissed)".into())
    );
    assert_eq!(status.verdict, None);
    assert!(status.message.unwrap().ends_with("nightly is Running"));
}

#[test]
fn of_runs_made_in_the_same_second_the_one_that_started_last_is_the_newest() {
    let mut first = run(SHOP, samples(6_000, 30, 4)).finished();
    let mut second = run(SHOP, samples(6_000, 30, 40)).finished();
    first.started_at = Some(MicroTime(later(1)));
    second.started_at = Some(MicroTime(later(30)));
    let runs = [record("a", Cause::Manual, 0, &first), record("shop-1", Cause::Spec, 0, &second)];
    for runs in [runs, [runs[1], runs[0]]] {
        let status = test_status(&view(ASKED, &runs));
        let names: Vec<_> = status.history.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["shop-1", "a"]);
        assert_eq!(condition(&status, "Passed"), "False (SLOMissed)");
    }
}

#[test]
fn what_is_known_of_a_removed_run_stays() {
    let finished = run(SHOP, samples(6_000, 30, 4)).finished();
    let runs = [record("shop-1", Cause::Spec, 0, &finished)];
    let before = test_status(&view(ASKED, &runs));
    let after = test_status(&TestView { previous: Some(&before), now: later(9_000), ..view(ASKED, &[]) });
    assert_eq!(after, before, "its time to live is over");

    let manual = test_status(&TestView { previous: Some(&before), ..view(Asked::Nothing, &[]) });
    assert_eq!((condition(&manual, "Passed"), manual.history.len()), ("True (SLOsMet)".into(), 1));
    let message = |status: &LoadTestStatus| status.conditions[0].message.clone();
    assert_eq!(message(&manual), message(&before));
    assert_eq!(manual.spec_hash.as_deref(), Some("abc"), "it still answers for that spec");

    let hand = RunRecord { created: later(-500), ..record("by-hand", Cause::Manual, 0, &finished) };
    let live = plimsoll_api::status::run_status(&run(SHOP, samples(600, 30, 0)).view(Phase::Running));
    let before = test_status(&view(ASKED, &[hand, record("shop-1", Cause::Spec, 0, &live)]));
    let after = test_status(&TestView { previous: Some(&before), ..view(ASKED, &[hand]) });
    assert_eq!(phase(&after), (Some("Finished"), Some(Verdict::Inconclusive), Some("Cancelled")));
    assert_eq!(condition(&after, "Stalled"), "True (Cancelled)");
    assert_eq!(condition(&after, "Passed"), "Unknown (Cancelled)", "not of the run before it");
    let listed: Vec<_> = after.history.iter().map(|e| (e.name.as_str(), e.verdict)).collect();
    assert_eq!(listed, [("shop-1", Some(Verdict::Inconclusive)), ("by-hand", Some(Verdict::Passed))]);
    let again = test_status(&TestView { previous: Some(&after), now: later(900), ..view(ASKED, &[hand]) });
    assert_eq!(again, after);
}

#[test]
fn the_history_holds_the_last_ten() {
    let finished = run(SHOP, samples(600, 30, 0)).finished();
    let names: Vec<String> = (0..14).map(|n| format!("run-{n:02}")).collect();
    let runs: Vec<_> =
        names.iter().zip(0..).map(|(name, n)| record(name, Cause::Schedule, n * 100, &finished)).collect();
    let listed = |status: &LoadTestStatus| status.history.iter().map(|e| e.name.clone()).collect::<Vec<_>>();
    let newest: Vec<String> = names.iter().rev().take(10).cloned().collect();
    let before = test_status(&view(Asked::Nothing, &runs));
    assert_eq!(listed(&before), newest);
    // The older ones are removed from the cluster, and the order of those that are there does not matter.
    let mut few = [runs[13], runs[12]];
    few.reverse();
    let after = test_status(&TestView { previous: Some(&before), ..view(Asked::Nothing, &few) });
    assert_eq!(after.history.len(), 10);
    assert_eq!(listed(&after)[..2], newest[..2]);
}

#[test]
fn a_test_fits_too() {
    let mut finished = run(SHOP, samples(6_000, 30, 4)).finished();
    let slo = finished.slos[0].clone();
    finished.slos = (0..100)
        .map(|n| plimsoll_api::v1alpha1::SloStatus {
            name: format!("{n:063}"),
            message: "m".repeat(400),
            ..slo.clone()
        })
        .collect();
    finished.message = Some("≤".repeat(600));
    let names: Vec<String> = (0..10).map(|n| format!("{}-{n}", "r".repeat(50))).collect();
    let mut runs: Vec<_> = names.iter().map(|name| record(name, Cause::Manual, 0, &finished)).collect();
    runs.push(record("shop-1", Cause::Spec, 1, &finished));
    let status = test_status(&view(ASKED, &runs));
    let size = serde_json::to_string(&status).unwrap().len();
    assert!(size <= LARGEST_STATUS, "{size}");
    assert_eq!(status.slos.len() + status.slos_left_out.unwrap() as usize, 100);
}
