//! Runs to each verdict, against a real etcd, API server and Job controller, with worker processes in place of pods.
//! One operator serves all tests; each has a namespace of its own.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod plane;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use e2e::language;
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use plane::operator::Operator;
use plane::{PATIENCE, Space, Stage, able, block_on, spec, target, until};
use plimsoll_api::v1alpha1::{LoadTestRun, LoadTestRunStatus, Verdict};
use plimsoll_testbed::{Config, Errors, Latency, Route, Testbed, When};
use serde_json::{Value, json};

/// The control plane and its operator.
fn stage() -> Option<Arc<Stage>> {
    static STAGE: OnceLock<Option<(Arc<Stage>, Mutex<Operator>)>> = OnceLock::new();
    let started = STAGE.get_or_init(|| {
        able("the operator's verdicts").then(|| {
            let stage = Stage::new("verdicts");
            let operator = stage.operator("only", &[]);
            (stage, Mutex::new(operator))
        })
    });
    started.as_ref().map(|(stage, _)| Arc::clone(stage))
}

/// Runs the test in a namespace of its own.
fn play(namespace: &str, test: impl AsyncFnOnce(Space)) {
    let Some(stage) = stage() else { return };
    block_on(async { test(stage.namespace(namespace).await).await });
}

fn with(mut spec: Value, pointer: &str, value: Value) -> Value {
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    if spec.pointer(parent).is_none() {
        spec[parent.trim_start_matches('/')] = json!({});
    }
    spec.pointer_mut(parent).unwrap()[field] = value;
    spec
}

#[track_caller]
fn assert_told(status: &LoadTestRunStatus, verdict: Verdict, reason: &str, words: &[&str]) {
    let message = status.message.clone().unwrap_or_default();
    assert_eq!((status.verdict, status.reason.as_deref()), (Some(verdict), Some(reason)), "{message}");
    for word in words {
        assert!(message.contains(word), "{word:?} is not in {message:?}");
    }
}

fn slow(millis: f64) -> Testbed {
    let routes = vec![Route { latency: Latency::Constant(millis), ..Route::under("/") }];
    Testbed::start(Config { routes, ..Config::default() }).unwrap()
}

fn failing() -> Testbed {
    let errors = Some(Errors { when: When::Every(1), status: 503 });
    let routes = vec![Route { errors, ..Route::under("/") }];
    Testbed::start(Config { routes, ..Config::default() }).unwrap()
}

#[test]
fn a_healthy_target_passes_and_every_request_is_counted() {
    play("passes", async |space| {
        let target = target();
        space.apply("web", spec(&target.url(), 4, 3, 2)).await;
        let status = space.finished("web").await;
        assert_told(&status, Verdict::Passed, "SLOsMet", &["2 of 2 SLOs met"]);
        let total = status.summary.unwrap().total.unwrap();
        assert!(total.exact);
        assert_eq!(total.sent, target.stats().received());
        let mirrored = space.mirrored("web").await;
        assert_eq!((mirrored.verdict, mirrored.slos_met.as_deref()), (Some(Verdict::Passed), Some("2/2")));
        assert_eq!(space.result().await.snapshot.total().sent, total.sent);
        // The last event follows the verdict.
        for reason in ["RunCreated", "Accepted", "Started", "Finished"] {
            until(reason, PATIENCE, async || {
                space.events().await.iter().any(|(told, _)| told == reason).then_some(())
            })
            .await;
        }
    });
}

#[test]
fn a_missed_slo_fails_and_names_its_figures() {
    play("fails", async |space| {
        let target = slow(40.0);
        let spec = with(
            spec(&target.url(), 2, 3, 2),
            "/slos",
            json!([
                {"name": "p95", "latency": {"stat": "p95", "atMost": "5ms"}},
            ]),
        );
        space.apply("web", spec).await;
        let status = space.finished("web").await;
        assert_told(&status, Verdict::Failed, "SLOMissed", &["p95", "allowed 5 ms", "0 of 1 SLO met"]);
    });
}

#[test]
fn a_lost_worker_is_told_and_what_it_delivered_stays_counted() {
    play("loses", async |space| {
        let target = target();
        // Longer than the Job controller's back-off, so that a replacement comes and is refused.
        space.apply("web", spec(&target.url(), 4, 16, 2)).await;
        space.phase("web", "Running").await;
        until("traffic", PATIENCE, async || (target.stats().received() > 100).then_some(())).await;
        space.stage.kubelet.kill("loses/web").await;
        let status = space.finished("web").await;
        assert_told(&status, Verdict::Inconclusive, "WorkerLost", &["1 of 2 workers lost", "lower bound"]);
        assert_eq!(status.workers.unwrap().lost, 1);
        let total = status.summary.unwrap().total.unwrap();
        let received = target.stats().received();
        // Four users that pause 20 ms send at most 200 a second, half of them by the lost worker.
        assert!(
            !total.exact && received >= total.sent && received - total.sent <= 200,
            "{received} {total:?}"
        );
        let told = space.events().await;
        assert!(
            told.iter().any(|(reason, note)| reason == "WorkerLost" && note.contains("exit code 137")),
            "{told:?}"
        );
    });
}

#[test]
fn a_changed_spec_runs_again_and_nothing_else_does() {
    play("reruns", async |space| {
        let target = target();
        let first = spec(&target.url(), 1, 1, 1);
        space.apply("web", first.clone()).await;
        space.mirrored("web").await;
        let suspended = with(first.clone(), "/runPolicy/suspend", json!(true));
        space.apply("web", suspended).await;
        space.apply("web", first.clone()).await;
        let second = with(first, "/profile/users", json!(2));
        let generation = space.apply("web", second).await.metadata.generation.unwrap();
        let status = until("the verdict of the second run", PATIENCE, async || {
            let status = space.test("web").await?.status?;
            (status.verdict.is_some() && status.run_generation == Some(generation)).then_some(status)
        })
        .await;
        assert_eq!((status.verdict, status.history.len()), (Some(Verdict::Passed), 2), "{status:?}");
        assert_eq!(status.observed_generation, generation);
        assert_eq!(space.runs().list(&ListParams::default()).await.unwrap().items.len(), 2);
    });
}

#[test]
fn no_request_in_the_judged_part_is_no_pass() {
    play("silent", async |space| {
        let target = target();
        let mut spec = with(spec(&target.url(), 1, 3, 1), "/profile/warmup", json!("2s"));
        spec["scenarios"][0]["wait"] = json!({"min": "10s", "max": "10s"});
        space.apply("web", spec).await;
        let status = space.finished("web").await;
        assert_told(&status, Verdict::Inconclusive, "NoData", &["no request fell into the judged part"]);
    });
}

#[test]
fn what_cannot_be_compiled_is_told_with_its_path() {
    play("invalid", async |space| {
        let mut spec = spec("http://127.0.0.1:1", 1, 1, 1);
        spec["scenarios"][0]["steps"][0]["http"]["path"] = json!("/${nope(}");
        space.apply("web", spec).await;
        let status = space.finished("web").await;
        assert_told(&status, Verdict::Error, "InvalidReference", &["spec.scenarios[0].steps[0].http.path"]);
    });
}

#[test]
fn a_dead_port_is_told_before_the_start() {
    play("unreachable", async |space| {
        let begun = Instant::now();
        space.apply("web", spec("http://127.0.0.1:1", 2, 60, 2)).await;
        let status = space.finished("web").await;
        assert_told(&status, Verdict::Error, "TargetUnreachable", &["127.0.0.1:1"]);
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
        assert_eq!(status.started_at, None);
        // Workers that are not wanted any more go.
        until("the end of the workers", PATIENCE, async || {
            space.stage.kubelet.pid_of("unreachable/web").is_none().then_some(())
        })
        .await;
    });
}

#[test]
fn limits_are_told_with_figure_and_remedy() {
    play("denied", async |space| {
        space.apply("public", spec("http://example.com", 1, 1, 1)).await;
        let status = space.finished("public").await;
        assert_told(&status, Verdict::Error, "PolicyDenied", &["example.com", "limits.allowedHosts"]);
        space.apply("many", spec("http://127.0.0.1:1", 1000, 1, 99)).await;
        let status = space.finished("many").await;
        assert_told(
            &status,
            Verdict::Error,
            "PolicyDenied",
            &["spec.workers.count is 99", "allows 50", "limits.maxWorkers"],
        );
    });
}

#[test]
fn a_missing_secret_is_named_while_it_is_waited_for_and_at_the_end() {
    play("secretless", async |space| {
        let mut spec = with(spec("http://127.0.0.1:1", 1, 1, 1), "/runPolicy/startTimeout", json!("8s"));
        spec["vars"] =
            json!([{"name": "key", "valueFrom": {"secretKeyRef": {"name": "nowhere", "key": "k"}}}]);
        space.apply("web", spec).await;
        let told = space
            .run_until("web", "the missing secret", |status| {
                status.message.clone().filter(|message| {
                    status.phase.as_deref() == Some("Starting") && message.contains("nowhere")
                })
            })
            .await;
        assert!(
            told.contains("1 of 1 workers lack a Secret or ConfigMap: secret \"nowhere\" not found"),
            "{told}"
        );
        let status = space.finished("web").await;
        assert_told(
            &status,
            Verdict::Error,
            "InvalidReference",
            &["secret \"nowhere\" not found", "runPolicy.startTimeout"],
        );
    });
}

#[test]
fn an_image_that_cannot_be_pulled_is_told() {
    play("imageless", async |space| {
        let mut spec = with(spec("http://127.0.0.1:1", 1, 1, 1), "/runPolicy/startTimeout", json!("4s"));
        spec["workers"]["template"] =
            json!({"spec": {"containers": [{"name": "worker", "image": "does-not-exist:1"}]}});
        space.apply("web", spec).await;
        let status = space.finished("web").await;
        assert_told(
            &status,
            Verdict::Error,
            "StartTimeout",
            &["cannot pull their image", "does-not-exist:1", "4s"],
        );
    });
}

#[test]
fn a_quota_is_told() {
    play("quota", async |space| {
        let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}});
        let quotas = kube::Api::<k8s_openapi::api::core::v1::ResourceQuota>::namespaced(
            space.stage.client.clone(),
            "quota",
        );
        quotas.create(&PostParams::default(), &serde_json::from_value(quota).unwrap()).await.unwrap();
        until("the quota", PATIENCE, async || quotas.get("none").await.ok()?.status?.hard.map(drop)).await;
        let spec = with(spec("http://127.0.0.1:1", 1, 1, 1), "/runPolicy/startTimeout", json!("8s"));
        space.apply("web", spec).await;
        let status = space.finished("web").await;
        assert_told(&status, Verdict::Error, "StartTimeout", &["exceeded quota: none"]);
    });
}

#[test]
fn a_template_that_claims_what_is_the_operators_is_refused() {
    play("template", async |space| {
        let mut spec = spec("http://127.0.0.1:1", 1, 1, 1);
        spec["workers"]["template"] =
            json!({"spec": {"containers": [{"name": "worker", "command": ["sh"]}]}});
        space.apply("web", spec.clone()).await;
        let status = space.finished("web").await;
        assert_told(&status, Verdict::Error, "InvalidReference", &["spec.workers.template", "command"]);
        spec["workers"]["template"] = json!({"spec": {"priorityClassName": 7}});
        space.apply("typo", spec).await;
        let status = space.finished("typo").await;
        assert_told(&status, Verdict::Error, "InvalidReference", &["template", "PodTemplateSpec"]);
    });
}

#[test]
fn cancelling_stops_and_keeps_what_was_measured() {
    play("cancels", async |space| {
        let target = target();
        let teardown = json!([{"name": "clean up", "http": {"method": "DELETE", "path": "/made"}}]);
        space.apply("web", with(spec(&target.url(), 2, 60, 2), "/teardown", teardown)).await;
        until("traffic", PATIENCE, async || (target.stats().received() > 50).then_some(())).await;
        let run = space.newest("web").await;
        let cancel = json!({"spec": {"cancel": true}});
        space.runs().patch(&run.name_any(), &PatchParams::default(), &Patch::Merge(&cancel)).await.unwrap();
        let status = space.finished("web").await;
        assert_told(&status, Verdict::Inconclusive, "Cancelled", &["spec.cancel was set"]);
        let total = status.summary.unwrap().total.unwrap();
        assert!(total.exact);
        let stats = target.stats();
        assert_eq!(total.sent, stats.received());
        assert_eq!(stats.endpoints["DELETE /made"].received, 1, "what was made is cleaned up");
    });
}

#[test]
fn a_critical_slo_stops_the_run() {
    play("aborts", async |space| {
        let target = failing();
        let spec = with(
            spec(&target.url(), 2, 60, 2),
            "/slos",
            json!([
                {"name": "errors", "errorRate": {"atMost": "1%"}, "severity": "Critical"},
            ]),
        );
        let teardown = json!([{"name": "clean up", "http": {"method": "DELETE", "path": "/made"}}]);
        let spec = with(spec, "/teardown", teardown);
        let begun = Instant::now();
        space.apply("web", spec).await;
        let status = space.finished("web").await;
        assert_told(&status, Verdict::Failed, "SLOAborted", &["errors", "stopped on an SLO"]);
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
        let stats = target.stats();
        assert_eq!(status.summary.unwrap().total.unwrap().sent, stats.received());
        assert_eq!(stats.endpoints["DELETE /made"].received, 1, "what was made is cleaned up");
    });
}

#[test]
fn deleting_the_test_stops_the_traffic_within_two_seconds() {
    play("deletes", async |space| {
        let target = target();
        space.apply("web", spec(&target.url(), 4, 120, 2)).await;
        until("traffic", PATIENCE, async || (target.stats().received() > 100).then_some(())).await;
        let deleted = Instant::now();
        space.delete("web").await;
        // Half a second without a request is the end: the users pause 20 ms.
        let mut last = (target.stats().received(), Instant::now());
        until("the end of the traffic", PATIENCE, async || {
            let now = target.stats().received();
            if now != last.0 {
                last = (now, Instant::now());
            }
            (last.1.elapsed() > Duration::from_millis(500)).then_some(())
        })
        .await;
        let lasted = last.1.duration_since(deleted);
        assert!(lasted < Duration::from_secs(2), "{lasted:?}");
        until("the end of the run", PATIENCE, async || {
            space.runs().list(&ListParams::default()).await.unwrap().items.is_empty().then_some(())
        })
        .await;
        until("the end of the workers", PATIENCE, async || {
            space.stage.kubelet.pid_of("deletes/web").is_none().then_some(())
        })
        .await;
    });
}

#[test]
fn a_namespace_in_deletion_is_let_go() {
    play("vanishes", async |space| {
        let target = target();
        space.apply("web", spec(&target.url(), 2, 120, 1)).await;
        until("traffic", PATIENCE, async || (target.stats().received() > 50).then_some(())).await;
        let namespaces = kube::Api::<k8s_openapi::api::core::v1::Namespace>::all(space.stage.client.clone());
        namespaces.delete("vanishes", &kube::api::DeleteParams::default()).await.unwrap();
        // The namespace itself goes when its controller looks again, which takes as long as a pod may.
        let pods =
            kube::Api::<k8s_openapi::api::core::v1::Pod>::namespaced(space.stage.client.clone(), "vanishes");
        let all = ListParams::default();
        until("the end of run and pod", PATIENCE, async || {
            let (runs, pods) = (space.runs().list(&all).await.unwrap(), pods.list(&all).await.unwrap());
            (runs.items.is_empty() && pods.items.is_empty()).then_some(())
        })
        .await;
        let before = target.stats().received();
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(target.stats().received(), before, "no traffic is left");
    });
}

#[test]
fn a_run_made_by_a_user_waits_its_turn_overrides_and_expires() {
    play("manual", async |space| {
        let target = target();
        let manual = with(spec(&target.url(), 1, 2, 1), "/runPolicy/trigger", json!("Manual"));
        space.apply("web", manual).await;
        let create = async |name: &str, users: u32, ttl: Option<&str>| {
            let run: LoadTestRun = serde_json::from_value(json!({
                "apiVersion": "plimsoll.dev/v1alpha1", "kind": "LoadTestRun", "metadata": {"name": name},
                "spec": {"testRef": {"name": "web"}, "overrides": {"profile": {"users": users}}, "ttlAfterFinished": ttl},
            }))
            .unwrap();
            space.runs().create(&PostParams::default(), &run).await.unwrap();
        };
        create("first", 1, Some("1s")).await;
        create("second", 3, None).await;
        let second = async || space.runs().get("second").await.unwrap().status.unwrap_or_default();
        until("the queue", PATIENCE, async || {
            second().await.message.filter(|message| message.contains("waits for run first"))
        })
        .await;
        let status = until("the second verdict", PATIENCE, async || {
            Some(second().await).filter(|status| status.verdict.is_some())
        })
        .await;
        assert_told(&status, Verdict::Passed, "SLOsMet", &[]);
        until("the end of the first run", PATIENCE, async || {
            space.runs().get_opt("first").await.unwrap().is_none().then_some(())
        })
        .await;
        let test =
            until("the history", PATIENCE, async || {
                space.test("web").await?.status.filter(|status| {
                    status.history.iter().filter(|entry| entry.verdict.is_some()).count() == 2
                })
            })
            .await;
        let ready = test.conditions.iter().find(|condition| condition.type_ == "Ready").unwrap();
        assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("True", "NothingDue"));
        let names: BTreeSet<&str> = test.history.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, BTreeSet::from(["first", "second"]));
    });
}

#[test]
fn a_run_of_no_test_says_so() {
    play("testless", async |space| {
        let run: LoadTestRun = serde_json::from_value(json!({
            "apiVersion": "plimsoll.dev/v1alpha1", "kind": "LoadTestRun", "metadata": {"name": "alone"},
            "spec": {"testRef": {"name": "nobody"}},
        }))
        .unwrap();
        space.runs().create(&PostParams::default(), &run).await.unwrap();
        let status = space.finished("nobody").await;
        assert_told(&status, Verdict::Error, "InvalidReference", &["spec.testRef.name", "nobody"]);
    });
}

#[test]
fn writes_do_not_depend_on_the_number_of_workers() {
    play("writes-1", async |one| {
        let four = one.stage.namespace("writes-4").await;
        let target = target();
        for (space, workers) in [(&one, 1), (&four, 4)] {
            space.apply("web", spec(&target.url(), 4, 8, workers)).await;
            space.mirrored("web").await;
            until("the last event", PATIENCE, async || {
                space.events().await.iter().any(|(reason, _)| reason == "Finished").then_some(())
            })
            .await;
        }
        let writes = |name: &str| one.stage.writes(name);
        let (few, many) = (writes("writes-1"), writes("writes-4"));
        // One more or less by the moment at which the status was due.
        assert!(many.len().abs_diff(few.len()) <= 2, "{few:#?}\n{many:#?}");
        assert!(many.len() <= 26, "{many:#?}");
    });
}

#[test]
fn the_language_is_the_same_over_two_workers() {
    play("language", async |space| {
        let target = target();
        space.create_config_map(&language::rows()).await;
        space.apply("language", language::test(&target.url())["spec"].clone()).await;
        let status = space.finished("language").await;
        let stats = target.stats();
        assert_told(&status, Verdict::Passed, "SLOsMet", &["8 of 8 SLOs met"]);
        let total = status.summary.clone().unwrap().total.unwrap();
        // The testbed does not count what it is told at /__fault: once by setup, twice by the timeline, once by the teardown.
        assert_eq!((total.sent, total.exact), (stats.received() + 4, true));

        let rows = stats.paths.iter().filter(|(path, _)| path.starts_with("/rows/"));
        let rows: Vec<u64> = rows.map(|(_, counts)| counts.received).collect();
        assert_eq!(rows, [1; language::ROWS]);
        // The setup's stranger is the only one; both workers have the token of the one login.
        assert_eq!((stats.aragora.logins, stats.aragora.unauthorized), (1, 1));
        let slow = target.log("/delay/150").entries;
        let arrived = slow.iter().map(|entry| entry.arrival_us / 1000).collect();
        assert_eq!(language::peak(arrived), language::PLACES);
        let sockets = &stats.ws.paths["/ws/debates/{id}"];
        assert_eq!((sockets.opened, sockets.refused), (stats.aragora.debates_created, 0));
        assert!(sockets.opened > 20, "{sockets:?}");
        assert_eq!(sockets.closes, BTreeMap::from([(1000, sockets.opened)]));
        // The teardown ended the want of tokens, and then tried.
        assert_eq!(stats.endpoints["GET /api/debates"].answered, BTreeMap::from([(200, 1), (401, 1)]));

        let slo = |name: &str| status.slos.iter().find(|slo| slo.name == name).unwrap();
        // The fault ends two seconds into the window; what began before is answered a little later.
        let took = slo("recovers").value.clone().unwrap();
        assert!(["2 s", "2s", "3 s", "3s"].contains(&took.as_str()), "{took}");
        let result = space.result().await;
        let hooks = result.layout.hooks.unwrap();
        let sent = |name: &str| -> u64 {
            let request = result.layout.requests.iter().position(|request| request == name).unwrap();
            let cells = result.snapshot.cells.iter();
            cells.filter(|cell| usize::from(cell.request.0) == request).map(|cell| cell.counts.sent).sum()
        };
        let cells = result.snapshot.cells.iter().filter(|cell| cell.window == hooks);
        assert_eq!(
            cells.map(|cell| cell.counts.sent).sum::<u64>(),
            8,
            "4 of setup, 2 of the timeline, 2 of the teardown"
        );
        assert_eq!(sent("slow"), stats.endpoints["GET /delay/150"].received);
        assert_eq!(sent("node"), stats.endpoints["GET /api/knowledge/nodes/{id}"].received);
        assert_eq!(sent("events"), sockets.opened);
    });
}

#[test]
fn a_failing_setup_is_told_at_once_with_its_step() {
    play("setup", async |space| {
        let target = target();
        let step = json!([{"name": "log in", "http": {"method": "POST", "path": "/status/503"}}]);
        let begun = Instant::now();
        space.apply("web", with(spec(&target.url(), 2, 60, 2), "/setup", step)).await;
        let status = space.finished("web").await;
        assert_told(&status, Verdict::Error, "SetupFailed", &["log in", "503"]);
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
        assert_eq!(target.stats().received(), 1);
    });
}

#[test]
fn data_that_are_not_there_are_named_with_their_config_map_and_key() {
    play("dataless", async |space| {
        let mut spec = with(spec("http://127.0.0.1:1", 1, 1, 1), "/runPolicy/startTimeout", json!("8s"));
        spec["data"] = json!([{"name": "rows", "configMapKeyRef": {"name": "nowhere", "key": "rows.csv"}}]);
        spec["scenarios"][0]["steps"][0]["http"]["path"] = json!("/${data.rows.row}");
        space.apply("absent", spec.clone()).await;
        space.create_config_map(&language::rows()).await;
        spec["data"][0]["configMapKeyRef"] = json!({"name": "rows", "key": "other.csv"});
        space.apply("keyless", spec).await;
        let status = space.finished("absent").await;
        assert_told(&status, Verdict::Error, "InvalidReference", &["configmap \"nowhere\" not found"]);
        let status = space.finished("keyless").await;
        assert_told(&status, Verdict::Error, "InvalidReference", &["ConfigMap rows", "other.csv"]);
    });
}
