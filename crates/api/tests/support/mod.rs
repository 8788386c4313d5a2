//! Tests read texts; this lowers them. Used by `lower.rs`, `presets.rs` and `golden.rs` beside it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use plimsoll_api::v1alpha1::{LoadProfileSpec, LoadTest, ProfileKind, ProfileRef};
use plimsoll_api::{Object, Problem, References, Resolved, lower, read};
use plimsoll_plan::RunId;

/// Names and texts of the example manifests.
#[allow(dead_code)]
pub(crate) fn examples() -> Vec<(String, String)> {
    manifests_in("../../examples")
}

fn manifests_in(folder: &str) -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "yaml"));
    files.sort();
    let name = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    files.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// Names and texts of the manifests in `examples/` and `examples/aragora/`.
#[allow(dead_code)]
pub(crate) fn all_examples() -> Vec<(String, String)> {
    let mut all = examples();
    all.extend(
        manifests_in("../../examples/aragora")
            .into_iter()
            .map(|(name, text)| (format!("aragora/{name}"), text)),
    );
    all
}

/// Every LoadTest of a manifest, resolved with the profiles in it; a run in it brings its overrides.
pub(crate) fn resolve(text: &str) -> Vec<Result<Resolved, Vec<Problem>>> {
    let documents = match read("m.yaml", text) {
        Ok(documents) => documents,
        Err(problems) => return vec![Err(problems)],
    };
    let mut profiles: BTreeMap<ProfileRef, LoadProfileSpec> = BTreeMap::new();
    let mut overrides = None;
    for document in &documents {
        let (kind, name, spec) = match &document.object {
            Object::LoadProfile(p) => (ProfileKind::LoadProfile, &p.metadata.name, &p.spec),
            Object::ClusterLoadProfile(p) => (ProfileKind::ClusterLoadProfile, &p.metadata.name, &p.spec.0),
            Object::LoadTestRun(run) => {
                overrides = run.spec.overrides.clone();
                continue;
            }
            _ => continue,
        };
        profiles.insert(ProfileRef { kind, name: name.clone().unwrap() }, spec.clone());
    }
    let refs = References { profiles };
    let tests = documents.iter().filter_map(|document| match &document.object {
        Object::LoadTest(test) => Some((&**test, &document.source)),
        _ => None,
    });
    tests
        .map(|(test, source)| {
            lower(test, overrides.as_ref(), &refs, run_id(test), 7).map_err(|errors| {
                errors.iter().map(|error| source.problem(error.path(), error.message())).collect()
            })
        })
        .collect()
}

fn run_id(test: &LoadTest) -> RunId {
    let test_name = test.metadata.name.clone().unwrap();
    RunId {
        namespace: test.metadata.namespace.clone().unwrap_or_default(),
        name: format!("{test_name}-run"),
        test: test_name,
    }
}

/// The one LoadTest of a manifest whose spec, from line 5 on, is given.
#[allow(dead_code)]
pub(crate) fn spec(spec: &str) -> Result<Resolved, Vec<Problem>> {
    let head = "apiVersion: plimsoll.dev/v1alpha1\nkind: LoadTest\nmetadata: {name: t}\nspec:\n";
    resolve(&format!("{head}{spec}")).remove(0)
}
