//! Every LoadTest of `examples/` as the objects that its run would get, held against `golden/`. `UPDATE=1` writes them.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::path::{Path, PathBuf};

use plimsoll_api::v1alpha1::{LoadTest, LoadTestRun, ProfileKind, ProfileRef};
use plimsoll_api::{Document, Object, References, lower, read};
use plimsoll_manifests::{Frozen, Settings, build, network_policy};
use plimsoll_plan::RunId;
use serde_json::{Value, json};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The documents of an example.
fn documents(file: &Path) -> Vec<Document> {
    let text = std::fs::read_to_string(file).unwrap();
    read(&file.display().to_string(), &text).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// The run that the operator would make of a test.
fn run_of(test: &LoadTest) -> LoadTestRun {
    let name = test.metadata.name.clone().unwrap();
    serde_json::from_value(json!({
        "apiVersion": "plimsoll.dev/v1alpha1", "kind": "LoadTestRun",
        "metadata": {"name": format!("{name}-1a2b3c4d"), "namespace": test.metadata.namespace, "uid": "00000000-0000-4000-8000-000000000001"},
        "spec": {"testRef": {"name": name}},
    }))
    .unwrap()
}

fn run_id(run: &LoadTestRun) -> RunId {
    RunId {
        namespace: run.metadata.namespace.clone().unwrap_or_default(),
        test: run.spec.test_ref.name.clone(),
        name: run.metadata.name.clone().unwrap(),
    }
}

fn settings() -> Settings {
    Settings {
        operator_ca_pem: "PEM".into(),
        worker_image: "plimsoll-worker:test".into(),
        ..Settings::default()
    }
}

/// Job and network policy in full, and the ConfigMap without the texts that other crates' tests hold.
fn rendered(test: &LoadTest, references: &References) -> String {
    let run = run_of(test);
    let resolved =
        lower(test, None, references, run_id(&run), 1).unwrap_or_else(|errors| panic!("{errors:?}"));
    let objects = build(&run, &resolved, "hash-of-the-spec".into(), &settings()).unwrap();
    let again = Frozen::read(&objects.plan).unwrap();
    assert_eq!(*again.plan, resolved.plan, "the plan comes back as it was");
    assert_eq!((&*again.slos, &again.validity), (&resolved.slos, &resolved.validity));
    let mut plan = serde_json::to_value(&objects.plan).unwrap();
    plan["metadata"]["annotations"]["plimsoll.dev/plan-hash"] = json!("…");
    for (_, text) in plan["data"].as_object_mut().unwrap() {
        *text = json!("…");
    }
    let policy = serde_json::to_value(network_policy(&resolved.plan, &resolved.spec, &settings())).unwrap();
    let parts: [Value; 3] = [plan, objects.job, policy];
    parts.map(|part| plimsoll_api::to_yaml(&part).unwrap()).join("---\n")
}

#[test]
fn every_example_gets_the_objects_of_its_golden_file() {
    let mut examples: Vec<PathBuf> =
        std::fs::read_dir(root().join("examples")).unwrap().map(|entry| entry.unwrap().path()).collect();
    examples.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    examples.sort();
    assert!(!examples.is_empty());
    let mut seen = 0;
    for example in examples {
        let documents = documents(&example);
        let mut references = References::default();
        for document in &documents {
            let (kind, meta, spec) = match &document.object {
                Object::LoadProfile(profile) => (ProfileKind::LoadProfile, &profile.metadata, &profile.spec),
                Object::ClusterLoadProfile(profile) => {
                    (ProfileKind::ClusterLoadProfile, &profile.metadata, &profile.spec.0)
                }
                _ => continue,
            };
            let name = meta.name.clone().unwrap();
            references.profiles.insert(ProfileRef { kind, name }, spec.clone());
        }
        for document in &documents {
            let Object::LoadTest(test) = &document.object else { continue };
            seen += 1;
            let stem = example.file_stem().unwrap().to_str().unwrap();
            let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{stem}.yaml"));
            let found = rendered(test, &references);
            if std::env::var_os("UPDATE").is_some() {
                std::fs::write(&golden, &found).unwrap();
            }
            let wanted = std::fs::read_to_string(&golden).unwrap_or_default();
            assert_eq!(found, wanted, "{} differs; UPDATE=1 writes it", golden.display());
        }
    }
    assert!(seen > 0);
}

#[test]
fn a_run_that_is_too_large_names_its_largest_part() {
    let example = root().join("examples/01-smoke.yaml");
    let documents = documents(&example);
    let Object::LoadTest(test) = &documents[0].object else { panic!("a LoadTest") };
    let run = run_of(test);
    let mut resolved = lower(test, None, &References::default(), run_id(&run), 1).unwrap();
    resolved.plan.target.host = "x".repeat(1 << 20);
    let error = build(&run, &resolved, String::new(), &settings()).unwrap_err().to_string();
    assert!(error.contains("plan.json") && error.contains("vars[].valueFrom"), "{error}");
}

#[test]
fn a_plan_that_was_changed_is_not_read() {
    let example = root().join("examples/01-smoke.yaml");
    let documents = documents(&example);
    let Object::LoadTest(test) = &documents[0].object else { panic!("a LoadTest") };
    let run = run_of(test);
    let resolved = lower(test, None, &References::default(), run_id(&run), 1).unwrap();
    let mut plan = build(&run, &resolved, String::new(), &settings()).unwrap().plan;
    plan.data.as_mut().unwrap().get_mut("plan.json").unwrap().push(' ');
    let error = Frozen::read(&plan).unwrap_err().to_string();
    assert!(error.contains("checkout-smoke-1a2b3c4d-plan") && error.contains("hash"), "{error}");
}
