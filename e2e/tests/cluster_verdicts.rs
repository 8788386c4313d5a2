//! Runs that end in every kind of verdict, each with a message that says why: in the status, in conditions as `kubectl wait` and
//! kstatus see them, and where it can be without a cluster, by `plimsoll run` too.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use e2e::namespace::{load_test, load_test_run};
use e2e::outcome::word;
use e2e::server::{AT_ONCE, Web};
use e2e::{Namespace, Outcome, Stage, kstatus, language, local, stage};
use serde_json::{Value, json};
use xtask::cluster::NODE_ADDRESS;

/// From apply to the verdict of a run of a few seconds, on a cluster that is busy with others: five times of what it should take.
const LIMIT: Duration = Duration::from_secs(90);

/// A test of four seconds at 20 requests a second, which passes against a healthy target. Other tests share the processors.
fn short(name: &str, url: &str) -> Value {
    load_test(
        name,
        &json!({
            "target": {"url": url},
            "profile": {"duration": "4s", "arrivals": {"rate": "20/s"}},
            "slos": [{"name": "p95", "latency": {"stat": "p95", "atMost": "3s"}}],
            "validity": {"maxLateness": "2s", "maxStartSkew": "5s", "minDelivered": "50%"},
        }),
    )
}

/// A port of the node that nobody listens on.
fn dead(stage: &Stage) -> String {
    format!("http://{NODE_ADDRESS}:{}", stage.next_port())
}

/// A finished test, which ended with this verdict and reason, and says so in every place.
fn ends(namespace: &Namespace<'_>, test: &str, verdict: &str) -> Result<Outcome> {
    let outcome = namespace.finished(test, LIMIT)?;
    assert_eq!(outcome.verdict(), verdict, "{}", outcome.message());
    assert!(outcome.message().len() > 10, "no message");
    let (word, reason) = verdict.split_once(' ').context("verdict and reason")?;
    let passed = match word {
        "Passed" => "True",
        "Failed" => "False",
        _ => "Unknown",
    };
    for object in [&outcome.run, &outcome.test] {
        let condition = |kind| Outcome::condition(object, kind);
        assert_eq!(condition("Passed"), Some(format!("{passed} {reason}")));
        assert_eq!(condition("Finished"), Some(format!("True {reason}")));
        assert_eq!(condition("Reconciling"), None);
        let (ready, stalled, kstatus) = match word {
            "Passed" => ("True", None, "Current"),
            _ => ("False", Some(format!("True {reason}")), "Failed"),
        };
        assert_eq!(condition("Ready"), Some(format!("{ready} {reason}")));
        assert_eq!(condition("Stalled"), stalled);
        assert_eq!(kstatus::of(object)?, kstatus, "{verdict} of a {}", object["kind"]);
    }
    Ok(outcome)
}

/// The same manifest without a cluster: verdict, reason and exit code.
fn agrees(stage: &Stage, manifest: &Value, outcome: &Outcome, code: i32) -> Result<()> {
    let local = local::run(stage, &[manifest], &[])?;
    assert_eq!(
        (local.outcome.verdict(), local.code),
        (outcome.verdict(), code),
        "{}",
        local.outcome.message()
    );
    Ok(())
}

#[test]
fn i_a_missed_slo_fails_the_run_and_says_by_how_much() -> Result<()> {
    let Some(stage) = stage()? else { return Ok(()) };
    let namespace = Namespace::make(stage, "missed")?;
    let web = Web::start(stage, "missed", "location / { proxy_pass http://{testbed}/delay/100; }")?;
    let mut test = short("missed", &web.url());
    test["spec"]["slos"][0]["latency"]["atMost"] = json!("50ms");
    test["spec"]["workers"] = json!({"count": 2});
    namespace.apply(&test)?;
    let outcome = ends(&namespace, "missed", "Failed SLOMissed")?;
    let slo = outcome.slo("p95")?;
    assert_eq!(
        (word(&slo["result"]), slo["bad"].as_u64(), slo["samples"].as_u64()),
        ("Missed", Some(80), Some(80)),
        "{slo:#}"
    );
    assert_eq!(word(&slo["share"]), "100%");
    for part in ["p95", "allowed 50 ms", "80"] {
        assert!(outcome.message().contains(part), "{part}: {}", outcome.message());
    }
    agrees(stage, &test, &outcome, 1)
}

#[test]
fn a_dead_port_is_an_error_within_seconds() -> Result<()> {
    let Some(stage) = stage()? else { return Ok(()) };
    let namespace = Namespace::make(stage, "dead")?;
    let url = dead(stage);
    let test = short("dead", &url);
    let applied = Instant::now();
    namespace.apply(&test)?;
    let outcome = ends(&namespace, "dead", "Error TargetUnreachable")?;
    let took = applied.elapsed();
    assert!(took < Duration::from_secs(20), "it took {took:?}");
    assert!(outcome.message().contains(url.trim_start_matches("http://")), "{}", outcome.message());
    agrees(stage, &test, &outcome, 4)
}

#[test]
fn an_image_that_cannot_be_pulled_is_named() -> Result<()> {
    let Some(stage) = stage()? else { return Ok(()) };
    let namespace = Namespace::make(stage, "image")?;
    let web = Web::start(stage, "image", AT_ONCE)?;
    let mut test = short("image", &web.url());
    test["spec"]["runPolicy"] = json!({"startTimeout": "30s"});
    test["spec"]["workers"] = json!({"template": {"spec": {"containers": [{"name": "worker", "image": "nowhere.invalid/worker:none"}]}}});
    namespace.apply(&test)?;
    let outcome = ends(&namespace, "image", "Error StartTimeout")?;
    for part in ["1 of 1 workers cannot pull", "nowhere.invalid/worker:none", "startTimeout"] {
        assert!(outcome.message().contains(part), "{part}: {}", outcome.message());
    }
    assert_eq!(web.stop()?.len(), 0);
    Ok(())
}

#[test]
fn a_worker_that_no_node_takes_is_told_while_it_waits_and_at_the_end() -> Result<()> {
    let Some(stage) = stage()? else { return Ok(()) };
    let namespace = Namespace::make(stage, "unschedulable")?;
    let web = Web::start(stage, "unschedulable", AT_ONCE)?;
    let mut test = short("unschedulable", &web.url());
    test["spec"]["runPolicy"] = json!({"startTimeout": "20s"});
    test["spec"]["workers"] = json!({"count": 2, "template": {"spec": {"nodeSelector": {"pool": "nobody"}}}});
    namespace.apply(&test)?;
    let read = || namespace.json(&["get", "loadtest", "unschedulable"]);
    xtask::process::wait_until("both pods to be told of", LIMIT, || {
        Ok(word(&read()?["status"]["message"]).contains("2 of 2 workers unschedulable"))
    })?;
    let waiting = read()?;
    assert_eq!(word(&waiting["status"]["reason"]), "Unschedulable", "{:#}", waiting["status"]);
    assert_eq!(kstatus::of(&waiting)?, "InProgress");
    let outcome = ends(&namespace, "unschedulable", "Error StartTimeout")?;
    for part in ["2 of 2 workers unschedulable", "0/1 nodes"] {
        assert!(outcome.message().contains(part), "{part}: {}", outcome.message());
    }
    Ok(())
}

#[test]
fn without_slos_nothing_is_judged() -> Result<()> {
    let Some(stage) = stage()? else { return Ok(()) };
    let namespace = Namespace::make(stage, "unjudged")?;
    let web = Web::start(stage, "unjudged", AT_ONCE)?;
    let mut test = short("unjudged", &web.url());
    test["spec"]["slos"] = json!([]);
    namespace.apply(&test)?;
    let outcome = ends(&namespace, "unjudged", "Inconclusive NotJudged")?;
    assert_eq!(outcome.total("sent")?, web.nginx.access_log()?.len() as u64);
    agrees(stage, &test, &outcome, 3)
}

#[test]
fn v_a_run_without_requests_never_passes() -> Result<()> {
    let Some(stage) = stage()? else { return Ok(()) };
    let namespace = Namespace::make(stage, "nothing")?;
    let web = Web::start(stage, "nothing", AT_ONCE)?;
    let mut test = short("nothing", &web.url());
    test["spec"]["profile"] = json!({"duration": "4s", "users": 1});
    test["spec"]["scenarios"] = json!([{"name": "idle", "steps": [
        {"pause": {"min": "1m", "max": "1m"}}, {"http": {"path": "/"}},
    ]}]);
    namespace.apply(&test)?;
    let outcome = ends(&namespace, "nothing", "Inconclusive NoData")?;
    assert_eq!(outcome.slo("p95")?["result"], "Unknown");
    assert_eq!(web.nginx.access_log()?.len(), 0);
    agrees(stage, &test, &outcome, 3)
}

#[test]
fn every_request_failing_is_a_failure() -> Result<()> {
    let Some(stage) = stage()? else { return Ok(()) };
    let namespace = Namespace::make(stage, "failing")?;
    let web = Web::start(stage, "failing", "location / { return 503; }")?;
    let mut test = short("failing", &web.url());
    test["spec"]["slos"] = json!([{"name": "errors", "errorRate": {"atMost": "1%"}}]);
    namespace.apply(&test)?;
    let outcome = ends(&namespace, "failing", "Failed SLOMissed")?;
    assert_eq!(outcome.status()["summary"]["failuresByClass"], json!({"Status": 80}));
    assert_eq!(word(&outcome.status()["summary"]["errors"]), "100%");
    agrees(stage, &test, &outcome, 1)
}

#[test]
fn vi_an_expression_that_does_not_compile_is_named_with_its_field() -> Result<()> {
    let Some(stage) = stage()? else { return Ok(()) };
    let namespace = Namespace::make(stage, "expression")?;
    let mut test = short("expression", &dead(stage));
    test["spec"]["scenarios"] =
        json!([{"name": "s", "steps": [{"http": {"path": "/items/${pick(['a', 'b'}"}}]}]);
    namespace.apply(&test)?;
    let outcome = ends(&namespace, "expression", "Error InvalidReference")?;
    assert!(outcome.message().contains("spec.scenarios[0].steps[0].http.path"), "{}", outcome.message());
    let job = namespace.kubectl(&["get", "jobs", "--output=name"])?;
    assert_eq!(job, "", "nothing is started for a test that cannot run");
    Ok(())
}

#[test]
fn vi_a_misspelt_field_is_refused_at_once() -> Result<()> {
    let Some(stage) = stage()? else { return Ok(()) };
    let namespace = Namespace::make(stage, "misspelt")?;
    let mut test = short("misspelt", &dead(stage));
    test["spec"]["slos"][0]["latency"] = json!({"stat": "p95", "atmost": "1s"});
    match namespace.apply(&test) {
        Ok(_) => bail!("accepted"),
        Err(error) => assert!(format!("{error:#}").contains("spec.slos[0].latency.atmost"), "{error:#}"),
    }
    assert_eq!(namespace.kubectl(&["get", "loadtests", "--output=name"])?, "");
    Ok(())
}

#[test]
fn what_is_not_there_is_named() -> Result<()> {
    let Some(stage) = stage()? else { return Ok(()) };
    let namespace = Namespace::make(stage, "missing")?;
    let mut profile = short("profile", &dead(stage));
    profile["spec"]["profile"] = json!({"ref": {"kind": "LoadProfile", "name": "no-such-profile"}});
    namespace.apply(&profile)?;
    let outcome = ends(&namespace, "profile", "Error InvalidReference")?;
    assert!(outcome.message().contains("no-such-profile"), "{}", outcome.message());

    let mut secret = short("secret", &dead(stage));
    secret["spec"]["vars"] =
        json!([{"name": "key", "valueFrom": {"secretKeyRef": {"name": "no-such-secret", "key": "k"}}}]);
    secret["spec"]["runPolicy"] = json!({"startTimeout": "30s"});
    namespace.apply(&secret)?;
    // The kubelet does not say in which ConfigMap it misses a key.
    namespace.apply(&language::rows())?;
    let table = |test: &str, map: &str, key: &str| -> Result<()> {
        let mut test = short(test, &dead(stage));
        test["spec"]["data"] = json!([{"name": "rows", "configMapKeyRef": {"name": map, "key": key}}]);
        test["spec"]["scenarios"] =
            json!([{"name": "s", "steps": [{"http": {"path": "/${data.rows.row}"}}]}]);
        test["spec"]["runPolicy"] = json!({"startTimeout": "30s"});
        namespace.apply(&test).map(drop)
    };
    table("mapless", "no-such-map", "rows.csv")?;
    table("keyless", "rows", "no-such-key.csv")?;
    let outcome = ends(&namespace, "mapless", "Error InvalidReference")?;
    assert!(outcome.message().contains("no-such-map"), "{}", outcome.message());
    let outcome = ends(&namespace, "keyless", "Error InvalidReference")?;
    for part in ["ConfigMap rows", "no-such-key.csv"] {
        assert!(outcome.message().contains(part), "{part}: {}", outcome.message());
    }
    let outcome = ends(&namespace, "secret", "Error InvalidReference")?;
    assert!(outcome.message().contains("no-such-secret"), "{}", outcome.message());
    Ok(())
}

#[test]
fn a_public_target_is_denied() -> Result<()> {
    let Some(stage) = stage()? else { return Ok(()) };
    let namespace = Namespace::make(stage, "public")?;
    namespace.apply(&short("public", "http://www.example.com"))?;
    let outcome = ends(&namespace, "public", "Error PolicyDenied")?;
    for part in ["www.example.com", "limits.allow"] {
        assert!(outcome.message().contains(part), "{part}: {}", outcome.message());
    }
    assert_eq!(namespace.kubectl(&["get", "jobs", "--output=name"])?, "");
    Ok(())
}

#[test]
fn a_critical_miss_stops_the_run() -> Result<()> {
    let Some(stage) = stage()? else { return Ok(()) };
    let namespace = Namespace::make(stage, "critical")?;
    let web = Web::start(stage, "critical", "location / { return 500; }")?;
    let mut test = short("critical", &web.url());
    test["spec"]["profile"]["duration"] = json!("60s");
    test["spec"]["slos"] = json!([{"name": "errors", "errorRate": {"atMost": "1%"}, "severity": "Critical"}]);
    namespace.apply(&test)?;
    let outcome = ends(&namespace, "critical", "Failed SLOAborted")?;
    let log = web.stop()?;
    assert_eq!(outcome.total("sent")?, log.len() as u64);
    assert!(log.len() < 30 * 20, "it went on for {} requests", log.len());
    assert!(outcome.message().contains("errors"), "{}", outcome.message());
    Ok(())
}

#[test]
fn a_cancelled_run_is_inconclusive_and_keeps_what_was_measured() -> Result<()> {
    let Some(stage) = stage()? else { return Ok(()) };
    let namespace = Namespace::make(stage, "cancelled")?;
    let web = Web::start(stage, "cancelled", AT_ONCE)?;
    let mut test = short("cancelled", &web.url());
    test["spec"]["profile"]["duration"] = json!("60s");
    namespace.apply(&test)?;
    namespace.phase("cancelled", "Running", LIMIT)?;
    xtask::process::wait_until("a second of traffic", LIMIT, || Ok(web.nginx.access_log()?.len() > 20))?;
    let run = namespace.run_of("cancelled")?;
    namespace.kubectl(&[
        "patch",
        "loadtestrun",
        &run,
        "--type=merge",
        "--patch",
        r#"{"spec":{"cancel":true}}"#,
    ])?;
    let outcome = ends(&namespace, "cancelled", "Inconclusive Cancelled")?;
    let log = web.stop()?;
    assert_eq!(outcome.total("sent")?, log.len() as u64);
    assert!(log.len() < 30 * 20, "it went on for {} requests", log.len());
    Ok(())
}

#[test]
fn fewer_users_than_workers_lowers_the_workers_and_says_so() -> Result<()> {
    let Some(stage) = stage()? else { return Ok(()) };
    let namespace = Namespace::make(stage, "lowered")?;
    let web = Web::start(stage, "lowered", AT_ONCE)?;
    let mut test = short("lowered", &web.url());
    test["spec"]["profile"] = json!({"duration": "4s", "users": 1, "wait": {"min": "20ms", "max": "40ms"}});
    test["spec"]["workers"] = json!({"count": 4});
    namespace.apply(&test)?;
    let outcome = ends(&namespace, "lowered", "Passed SLOsMet")?;
    assert_eq!(outcome.status()["workers"]["desired"], 1);
    let notices = serde_json::to_string(&outcome.status()["notices"])?;
    assert!(notices.contains("workers.count 4 is lowered to 1"), "{notices}");
    Ok(())
}

#[test]
fn iv_a_changed_spec_runs_again_and_an_unchanged_one_does_not() -> Result<()> {
    let Some(stage) = stage()? else { return Ok(()) };
    let namespace = Namespace::make(stage, "changed")?;
    let web = Web::start(stage, "changed", AT_ONCE)?;
    let mut test = short("changed", &web.url());
    namespace.apply(&test)?;
    let first = ends(&namespace, "changed", "Passed SLOsMet")?;

    // The run policy is not what is tested.
    test["spec"]["runPolicy"] = json!({"historyLimit": {"passed": 5}});
    namespace.apply(&test)?;
    namespace.wait("loadtest/changed", "jsonpath={.status.observedGeneration}=2", LIMIT)?;
    assert_eq!(namespace.run_of("changed")?, first.name());

    test["spec"]["slos"][0]["latency"]["atMost"] = json!("1us");
    namespace.apply(&test)?;
    // The conditions carry the generation, so waiting does not end on the old verdict.
    let second = ends(&namespace, "changed", "Failed SLOMissed")?;
    assert_ne!(second.name(), first.name());
    let log = web.stop()?;
    assert_eq!(first.total("sent")? + second.total("sent")?, log.len() as u64, "each ran once");
    let history = second.test["status"]["history"].as_array().context("history")?;
    let verdicts: Vec<&str> = history.iter().map(|run| word(&run["verdict"])).collect();
    assert_eq!(verdicts, ["Failed", "Passed"], "newest first");
    Ok(())
}

#[test]
fn a_test_that_is_run_by_hand_is_ready_and_a_run_of_it_is_a_gate() -> Result<()> {
    let Some(stage) = stage()? else { return Ok(()) };
    let namespace = Namespace::make(stage, "gate")?;
    let web = Web::start(stage, "gate", AT_ONCE)?;
    let mut test = short("gate", &web.url());
    test["spec"]["runPolicy"] = json!({"trigger": "Manual"});
    namespace.apply(&test)?;
    namespace.wait("loadtest/gate", "condition=Ready", LIMIT)?;
    let idle = namespace.json(&["get", "loadtest", "gate"])?;
    assert_eq!(Outcome::condition(&idle, "Ready").as_deref(), Some("True NothingDue"));
    assert_eq!(Outcome::condition(&idle, "Passed").as_deref(), Some("Unknown NotRun"));
    assert_eq!(kstatus::of(&idle)?, "Current");

    // As a pipeline does it.
    let run = namespace.create(&load_test_run("by-hand", "gate"))?;
    namespace.wait(&run, "jsonpath={.status.phase}=Running", LIMIT)?;
    assert_eq!(kstatus::of(&namespace.json(&["get", &run])?)?, "InProgress");
    assert_eq!(
        kstatus::of(&namespace.json(&["get", "loadtest", "gate"])?)?,
        "Current",
        "an app's health does not flap"
    );
    namespace.wait(&run, "condition=Finished", LIMIT)?;
    namespace.kubectl(&["wait", &run, "--for=condition=Passed", "--timeout=0s"])?;
    assert_eq!(kstatus::of(&namespace.json(&["get", &run])?)?, "Current");
    namespace.wait("loadtest/gate", "condition=Passed", LIMIT)?;
    assert_eq!(web.stop()?.len(), 80);
    Ok(())
}

#[test]
fn a_suspended_test_is_not_ready_and_starts_when_it_is_let_go() -> Result<()> {
    let Some(stage) = stage()? else { return Ok(()) };
    let namespace = Namespace::make(stage, "suspended")?;
    let web = Web::start(stage, "suspended", AT_ONCE)?;
    let mut test = short("suspended", &web.url());
    test["spec"]["runPolicy"] = json!({"suspend": true});
    namespace.apply(&test)?;
    namespace.wait("loadtest/suspended", "jsonpath={.status.observedGeneration}=1", LIMIT)?;
    let held = namespace.json(&["get", "loadtest", "suspended"])?;
    assert_eq!(Outcome::condition(&held, "Ready").as_deref(), Some("False Suspended"));
    assert_eq!(kstatus::of(&held)?, "InProgress");
    assert_eq!(namespace.kubectl(&["get", "loadtestruns", "--output=name"])?, "");

    test["spec"]["runPolicy"] = json!({"suspend": false});
    namespace.apply(&test)?;
    ends(&namespace, "suspended", "Passed SLOsMet")?;
    Ok(())
}

#[test]
fn requests_by_name_of_a_service_reach_it() -> Result<()> {
    let Some(stage) = stage()? else { return Ok(()) };
    let namespace = Namespace::make(stage, "service")?;
    let web = Web::start(stage, "service", AT_ONCE)?;
    let (host, port) = (NODE_ADDRESS.to_string(), web.nginx.address().port());
    namespace.apply(&json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "shop"},
        "spec": {"ports": [{"name": "http", "port": 8080}]}}))?;
    namespace.apply(
        &json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "shop", "labels": {"kubernetes.io/service-name": "shop"}},
        "endpoints": [{"addresses": [host]}], "ports": [{"name": "http", "port": port}]}),
    )?;
    stage.cluster.wait_for_name(&format!("shop.{}.svc.cluster.local", namespace.name))?;
    namespace.apply(&short("service", &format!("http://shop.{}:8080/hello", namespace.name)))?;
    let outcome = ends(&namespace, "service", "Passed SLOsMet")?;
    let log = web.stop()?;
    assert_eq!((outcome.total("sent")?, log.len()), (80, 80));
    assert!(log.iter().all(|line| line.path == "/hello"), "{:?}", log.first());
    Ok(())
}
