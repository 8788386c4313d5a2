//! What the API server itself says: it takes the examples, refuses mistakes with a message that helps, and explains the fields.

use std::path::Path;

use anyhow::{Context, Result, bail};
use e2e::namespace::{load_test, piped};
use e2e::{Namespace, Stage, stage};
use serde_json::{Value, json};
use xtask::paths;

/// `kubectl create --dry-run=server` with strict validation.
fn dry_run(stage: &Stage, text: &str, namespace: &str) -> Result<String> {
    let mut command = stage.cluster.kubectl()?;
    command.args(["create", "--dry-run=server", "--validate=strict", "--filename=-"]);
    if !namespace.is_empty() {
        command.args(["--namespace", namespace]);
    }
    piped(&mut command, text)
}

/// The examples' namespaces; made once and left, as they are empty.
fn make_namespace(stage: &Stage, name: &str) -> Result<()> {
    match stage.kubectl(&["create", "namespace", name]) {
        Err(error) if !format!("{error:#}").contains("AlreadyExists") => Err(error),
        _ => Ok(()),
    }
}

#[test]
fn every_example_is_accepted() -> Result<()> {
    let Some(stage) = stage()? else { return Ok(()) };
    let examples = paths::root().join("examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(&examples)?.chain(std::fs::read_dir(examples.join("aragora"))?) {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path)?;
        for namespace in text.split("namespace: ").skip(1) {
            let name: String =
                namespace.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
            make_namespace(stage, &name)?;
        }
        dry_run(stage, &text, "").with_context(|| path.display().to_string())?;
        seen += 1;
    }
    assert!(seen >= 28, "{seen} examples");
    Ok(())
}

#[test]
fn what_apply_prints_a_second_time_is_unchanged() -> Result<()> {
    let Some(stage) = stage()? else { return Ok(()) };
    let namespace = Namespace::make(stage, "again")?;
    // Nothing runs: it is started by hand only.
    let example = std::fs::read_to_string(paths::root().join("examples/08-nightly-soak.yaml"))?;
    let example = example.replace("namespace: shop", &format!("namespace: {}", namespace.name));
    let apply = || piped(stage.cluster.kubectl()?.args(["apply", "--filename=-"]), &example);
    apply()?;
    let again = apply();
    assert!(again?.ends_with("unchanged"));
    Ok(())
}

/// A valid test.
fn valid() -> Value {
    load_test(
        "refused",
        &json!({
            "target": {"url": "http://shop.shop:8080"},
            "profile": {"users": 5, "duration": "1m"},
            "slos": [{"name": "p95", "latency": {"stat": "p95", "atMost": "500ms"}}],
        }),
    )
}

#[test]
fn mistakes_are_refused_with_what_to_do() -> Result<()> {
    let Some(stage) = stage()? else { return Ok(()) };
    dry_run(stage, &valid().to_string(), "default")?;
    let cases: [(&str, Value, &str); 12] = [
        ("/spec/slos/0/latency/atmost", json!("1s"), "unknown field \"spec.slos[0].latency.atmost\""),
        (
            "/spec/profile/preset",
            json!("smok"),
            "supported values: \"smoke\", \"light\", \"medium\", \"heavy\", \"spike\", \"soak\"",
        ),
        ("/spec/profile/arrivals", json!({"rate": "10/s"}), "arrivals (open model) excludes users"),
        (
            "/spec/profile/stages",
            json!([{"duration": "10s", "users": 5}, {"duration": "20s", "users": 5}]),
            "whose sum is 30",
        ),
        (
            "/spec/profile",
            json!({"duration": "1m"}),
            "a profile needs a preset, a ref, users, stages or arrivals",
        ),
        ("/spec/profile/duration", json!("1 minute"), "spec.profile.duration"),
        ("/spec/target/url", json!("shop:8080"), "spec.target.url"),
        ("/spec/target/tls", json!({"serverName": "x"}), "tls needs an https url"),
        ("/spec/slos/0/errorRate", json!({"atMost": "1%"}), "an SLO has exactly one of latency, errorRate"),
        ("/spec/scenarios", json!([{"name": "a"}]), "a scenario has either tasks"),
        ("/spec/workers", json!({"count": 0}), "spec.workers.count"),
        (
            "/metadata/name",
            json!("a-name-that-is-much-too-long-to-name-a-pod-after"),
            "longer than 40 characters",
        ),
    ];
    for (path, value, message) in cases {
        let mut test = valid();
        let (parent, field) = path.rsplit_once('/').context("a path")?;
        test.pointer_mut(parent).context("a parent")?[field] = value;
        match dry_run(stage, &test.to_string(), "default") {
            Ok(_) => bail!("{path} is accepted"),
            Err(error) => {
                let said = format!("{error:#}");
                assert!(said.contains(message), "{path}: {said}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_run_is_frozen_but_for_its_cancellation() -> Result<()> {
    let Some(stage) = stage()? else { return Ok(()) };
    make_namespace(stage, "shop")?;
    let run = json!({"apiVersion": "plimsoll.dev/v1alpha1", "kind": "LoadTestRun", "metadata": {"name": "frozen"},
        "spec": {"testRef": {"name": "nobody"}}});
    let mut create = stage.cluster.kubectl()?;
    piped(create.args(["create", "--namespace=shop", "--filename=-"]), &run.to_string())?;
    let patch = |spec: &str| {
        let patch = format!("{{\"spec\":{spec}}}");
        stage.kubectl(&[
            "patch",
            "loadtestrun",
            "frozen",
            "--namespace=shop",
            "--type=merge",
            "--patch",
            &patch,
        ])
    };
    let answers = [
        patch(r#"{"testRef":{"name":"other"}}"#),
        patch(r#"{"overrides":{"profile":{"users":1}}}"#),
        patch(r#"{"cancel":true}"#),
        patch(r#"{"cancel":false}"#),
    ];
    stage.kubectl(&["delete", "loadtestrun", "frozen", "--namespace=shop", "--wait=false"])?;
    let refused = |answer: &Result<String>, why: &str| {
        let said = answer.as_ref().err().map(|error| format!("{error:#}")).unwrap_or_default();
        assert!(said.contains(why), "{said}");
    };
    refused(&answers[0], "testRef is frozen: create another LoadTestRun");
    refused(&answers[1], "overrides is frozen");
    assert!(answers[2].is_ok(), "{:?}", answers[2]);
    refused(&answers[3], "a cancelled run stays cancelled");
    Ok(())
}

#[test]
fn explain_is_worth_reading() -> Result<()> {
    let Some(stage) = stage()? else { return Ok(()) };
    for path in [
        "loadtest",
        "loadtest.spec",
        "loadtest.spec.profile",
        "loadtest.spec.profile.arrivals",
        "loadtest.spec.slos",
        "loadtest.spec.slos.latency",
        "loadtest.spec.target",
        "loadtest.spec.data",
        "loadtest.spec.setup",
        "loadtest.spec.timeline",
        "loadtest.spec.flows.steps",
        "loadtest.spec.scenarios.tasks",
        "loadtest.spec.scenarios.tasks.steps",
        "loadtest.spec.scenarios.steps.http",
        "loadtest.spec.scenarios.steps.poll",
        "loadtest.spec.scenarios.steps.retry",
        "loadtest.spec.scenarios.steps.sse",
        "loadtest.spec.scenarios.steps.websocket",
        "loadtest.spec.scenarios.steps.websocket.script",
        "loadtest.spec.validity",
        "loadtest.spec.runPolicy",
        "loadtest.status",
        "loadtestrun.spec",
        "loadtestrun.status",
        "loadprofile.spec",
        "clusterloadprofile.spec",
    ] {
        let text = stage.kubectl(&["explain", path, "--api-version=plimsoll.dev/v1alpha1"])?;
        let fields = text
            .split_once("FIELDS:")
            .map(|(_, fields)| fields)
            .with_context(|| format!("{path}: no fields"))?;
        assert!(!text.contains("<empty>"), "{path} has no description");
        assert!(!fields.contains("<no description>"), "{path}:\n{fields}");
    }
    // What is said of a step in a scenario is not said again wherever steps stand, but where to find it is.
    for steps in ["setup", "teardown", "flows.steps", "scenarios.onStart", "scenarios.tasks.steps"] {
        let text = stage.kubectl(&["explain", &format!("loadtest.spec.{steps}")])?;
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("See spec.scenarios.steps for their fields"), "{steps}:\n{text}");
    }
    let profile = stage.kubectl(&["explain", "loadtest.spec.profile"])?;
    for word in ["preset", "smoke", "spawnRate", "warmup", "arrivals", "start per second", "gracefulStop"] {
        assert!(profile.contains(word), "{word} is not in\n{profile}");
    }
    Ok(())
}

#[test]
fn the_committed_crds_are_what_the_cluster_has() -> Result<()> {
    let Some(stage) = stage()? else { return Ok(()) };
    for entry in std::fs::read_dir(paths::root().join("crds"))? {
        let path = entry?.path();
        let size = std::fs::metadata(&path)?.len();
        assert!(size < 200 * 1024, "{} has {size} bytes", path.display());
        let name = Path::file_stem(&path).and_then(|name| name.to_str()).context("a name")?;
        let there = stage.json(&["get", "customresourcedefinition", name])?;
        let conditions = there["status"]["conditions"].as_array().context("conditions")?;
        let holds =
            |kind: &str| conditions.iter().any(|found| found["type"] == kind && found["status"] == "True");
        assert!(
            holds("Established") && holds("NamesAccepted") && !holds("NonStructuralSchema"),
            "{conditions:#?}"
        );
    }
    Ok(())
}
