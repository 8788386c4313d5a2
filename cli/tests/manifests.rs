//! The other manifests of `examples/`, as their readers run them, shortened by one flag: what is sent is what the testbed counts, path
//! by path. Those that show the scenario language are in `aragora.rs`.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::fs;
use std::path::{Path, PathBuf};

use plimsoll_api::v1alpha1::{LoadTest, ProfileKind, ProfileRef};
use plimsoll_api::{Object, References, lower, read};
use plimsoll_plan::{Plan, RunId};
use plimsoll_testbed::{Config, Testbed};
use serde_json::Value;

#[path = "support/counts.rs"]
mod counts;
mod support;

use counts::compare;
use support::{plimsoll, text};

/// A manifest, how it ends in three seconds, and why if it is not 0.
const MANIFESTS: [(&str, i32); 9] = [
    ("01-smoke.yaml", 0),
    ("02-gitops-postsync.yaml", 0),
    ("03-spike.yaml", 0),
    ("04-open-poisson.yaml", 0),
    ("07-loadprofile-shared.yaml", 0),
    ("08-nightly-soak.yaml", 0),
    // Nobody answers its query.
    ("09-promql-cpu.yaml", 3),
    ("10-secrets-mtls.yaml", 0),
    ("quickstart.yaml", 0),
];

/// What they refer to, a target without TLS among it, and bounds for a busy machine.
const BESIDE: &str = "\
---
apiVersion: v1
kind: Secret
metadata: {name: payments-api}
stringData: {api-key: secret}
";
const VALUES: &str =
    "spec: {target: {tls: null}, validity: {minSamples: 1, maxLateness: 30s, minDelivered: 50%}}\n";

/// The plan of a manifest, and the path of its target, which stays what it is.
fn plan_of(file: &Path) -> (Plan, String) {
    let documents = read(&file.display().to_string(), &fs::read_to_string(file).unwrap()).unwrap();
    let (mut refs, mut test) = (References::default(), None::<LoadTest>);
    for document in documents {
        match document.object {
            Object::LoadTest(found) => test = Some(*found),
            Object::ClusterLoadProfile(profile) => {
                let reference = ProfileRef {
                    kind: ProfileKind::ClusterLoadProfile,
                    name: profile.metadata.name.unwrap(),
                };
                refs.profiles.insert(reference, profile.spec.0);
            }
            _ => {}
        }
    }
    let test = test.unwrap();
    let (_, rest) = test.spec.target.url.split_once("://").unwrap();
    let path = rest.find('/').map_or("", |at| &rest[at..]).to_owned();
    (lower(&test, None, &refs, RunId::default(), 1).unwrap().plan, path)
}

/// Runs a manifest; what is wrong with the outcome.
fn run(name: &str, exit: i32) -> Result<(), String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
    let testbed = Testbed::start(Config::default()).unwrap();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let (result, values) = (folder.join(format!("{name}.json")), folder.join(format!("{name}.values")));
    fs::write(&values, VALUES).unwrap();
    let paths = [&file, &values, &result].map(|path| path.to_str().unwrap().to_owned());
    let (plan, path) = plan_of(&file);
    let url = format!("{}{path}", testbed.url().trim_end_matches('/'));
    let arguments = [
        "run",
        &paths[0],
        "-",
        "-q",
        "--values",
        &paths[1],
        "--result",
        &paths[2],
        "--target",
        &url,
        "--shorten",
        "3s",
    ];
    let output = plimsoll(&arguments, BESIDE);
    let told = || format!("{name}: {}{}", text(&output.stdout), text(&output.stderr));
    if output.status.code() != Some(exit) {
        return Err(told());
    }
    let result: Value =
        serde_json::from_str(fs::read_to_string(&result).unwrap().trim()).map_err(|_| told())?;
    compare(&plan, &result, &testbed.stats()).map_err(|wrong| format!("{name}: {wrong}\n{}", told()))
}

#[test]
fn every_manifest_sends_what_the_target_counts() {
    let runs = MANIFESTS.map(|(name, exit)| std::thread::spawn(move || run(name, exit)));
    let wrong: Vec<String> = runs.into_iter().filter_map(|run| run.join().unwrap().err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_manifest_is_left_out() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let shown = ["00-syntax-full.yaml", "05-checkout-flow.yaml", "06-aragora-debate-user.yaml"];
    let left: Vec<String> = files
        .filter(|name| name.ends_with(".yaml") && !shown.contains(&name.as_str()))
        .filter(|name| MANIFESTS.iter().all(|(known, _)| known != name))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
