//! The suite in `examples/aragora` and the page about it, `docs/aragora.md`: every demand has its row, everything that is named is
//! there, and every manifest runs, shortened, against the stand-in service, which counts the same requests.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use plimsoll_api::v1alpha1::LoadTest;
use plimsoll_api::{Object, References, crds, lower, read};
use plimsoll_plan::RunId;
use plimsoll_testbed::{Config, Route, Testbed};
use serde_json::Value;

#[path = "support/counts.rs"]
mod counts;
#[path = "support/shorten.rs"]
mod shorten;
mod support;

use counts::compare;
use shorten::shorten;
use support::{plimsoll, text};

/// Flags of the suite's own tools, which the page mentions.
const FLAGS_OF_THE_SUITE: [&str; 2] = ["--vus", "--strict"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page() -> String {
    fs::read_to_string(root().join("docs/aragora.md")).unwrap()
}

/// The manifests of a folder below `examples`, by file name.
fn manifests(folder: &str) -> BTreeMap<String, String> {
    let files =
        fs::read_dir(root().join("examples").join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let manifests = files.filter(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    manifests.map(|path| (name(&path), fs::read_to_string(&path).unwrap())).collect()
}

/// Rows of the page's tables, as cells.
fn rows(page: &str) -> Vec<Vec<String>> {
    let rows = page.lines().filter(|line| line.starts_with('|') && !line.starts_with("|---"));
    rows.map(|row| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// What stands between backticks on a line.
fn code(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

#[test]
fn every_demand_has_a_row() {
    let page = page();
    let numbered = rows(&page).into_iter().filter_map(|row| Some((row[0].parse::<u32>().ok()?, row)));
    let mut found: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for (number, row) in numbered {
        assert!(found.insert(number, row).is_none(), "two rows for {number}");
    }
    let missing: Vec<_> = (1..=100).filter(|number| !found.contains_key(number)).collect();
    assert!(missing.is_empty(), "no row for {missing:?}");
    assert_eq!(found.len(), 100);
    for (number, row) in found {
        assert!(
            row.len() == 3 && row.iter().all(|cell| !cell.is_empty()),
            "row {number} is not whole: {row:?}"
        );
    }
}

#[test]
fn every_variable_profile_and_file_of_the_suite_has_a_row() {
    let page = page();
    let first_cells: String = rows(&page).into_iter().map(|row| format!("{}\n", row[0])).collect();
    for wanted in [
        "ARAGORA_API_URL",
        "ARAGORA_API_TOKEN",
        "ARAGORA_LOAD_PROFILE",
        "ARAGORA_ENABLE_SLO_VALIDATION",
        "ARAGORA_LOAD_TEST_ENABLED",
        "ARAGORA_TEST_AGENT",
        "ARAGORA_WS_URL",
        "ARAGORA_CONCURRENT_WS",
        "ARAGORA_AUTH_CONCURRENT",
        "ARAGORA_KM_CONCURRENT",
        "smoke:",
        "light:",
        "medium:",
        "heavy:",
        "spike:",
        "soak:",
        "locustfile.py",
        "auth_load.py",
        "knowledge_load.py",
        "websocket_load.py",
        "test_concurrent_debates.py",
        "test_resilience_load.py",
        "gauntlet_load.py",
        "test_bridge_load.py",
        "profiles.py",
        "slo_validator.py",
        "api-baseline.js",
        "stress-test.js",
        "websocket-streaming.js",
        "pipeline-load.js",
        "api_load.js",
        "k6_api_test.js",
        "rate_limit_test.js",
        "websocket_burst.js",
        "Health check user",
        "API browsing user",
        "Debate user",
        "Authentication user",
        "Knowledge user",
        "Heavy load user",
        "load-tests.yml",
        "benchmark.yml",
        "deploy-canary.yml",
        "production-smoke.yml",
    ] {
        assert!(first_cells.contains(wanted), "no row for {wanted}");
    }
}

/// Whether the schema of LoadTests has a field; `[…]` steps into a list.
fn has_field(schema: &Value, path: &str) -> bool {
    let mut at = schema;
    for part in path.split('.') {
        let (name, item) = part.split_once('[').map_or((part, false), |(name, _)| (name, true));
        let Some(next) = at["properties"].get(name).or_else(|| at.get("additionalProperties")) else {
            return at["x-kubernetes-preserve-unknown-fields"] == true;
        };
        at = if item || next["type"] == "array" { &next["items"] } else { next };
    }
    true
}

/// Flags of `plimsoll` that its help texts name, and their values.
fn help() -> String {
    let commands: [&[&str]; 6] =
        [&["run"], &["validate"], &["render"], &["try"], &["init"], &["profiles", "show"]];
    commands.iter().map(|command| text(&plimsoll(&[*command, &["--help"]].concat(), "").stdout)).collect()
}

/// Paths of fields that a piece of code names: of LoadTests below `spec`, or of an item of one of its lists.
fn field_of(code: &str) -> Option<String> {
    let path: String = code.split([' ', '=', ':']).next()?.to_owned();
    let (head, rest) = path.split_once('.')?;
    match head {
        "spec" => Some(path),
        "scenarios[]" | "slos[]" => Some(format!("spec.{path}")),
        "stages[]" => Some(format!("spec.profile.stages[].{rest}")),
        _ => None,
    }
}

#[test]
fn what_the_page_names_is_there() {
    let (page, help) = (page(), help());
    let schema = serde_json::to_value(&crds()[0]).unwrap();
    let schema = schema.pointer("/spec/versions/0/schema/openAPIV3Schema").unwrap();
    let (mut wrong, mut files, mut flags, mut fields) = (Vec::new(), 0, BTreeSet::new(), 0);
    for line in page.lines() {
        for word in line
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
            .filter(|word| word.starts_with("--"))
        {
            if word.trim_matches('-').is_empty() || FLAGS_OF_THE_SUITE.contains(&word) {
                continue;
            }
            flags.insert(word.to_owned());
            if !help.contains(&format!("{word} "))
                && !help.contains(&format!("{word}\n"))
                && !help.contains(&format!("{word}["))
            {
                wrong.push(format!("there is no flag {word}: {line}"));
            }
        }
        for code in code(line) {
            let is_file = |word: &&str| {
                Path::new(word).extension().is_some_and(|ending| ending == "yaml" || ending == "rs")
            };
            for file in code.split_whitespace().filter(is_file).filter(|file| !file.starts_with(['$', '*'])) {
                files += 1;
                let places = [root().join(file), root().join("examples/aragora").join(file)];
                if !places.iter().any(|place| place.exists()) && file != "my-user.yaml" {
                    wrong.push(format!("there is no file {file}: {line}"));
                }
            }
            let of_set = code.split("--set ").skip(1).map(|set| set.trim_matches('\'').to_owned());
            for path in of_set.chain([code.to_owned()]).filter_map(|code| field_of(&code)) {
                fields += 1;
                let place = bare(&path);
                if !has_field(schema, &place) {
                    wrong.push(format!("there is no field {place}: {line}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // A rule that finds nothing would hold for ever.
    assert!(
        files > 60 && flags.len() > 4 && fields > 40,
        "found only {files} files, {flags:?}, {fields} fields"
    );
}

/// A path of `--set` without what picks an item: `spec.slos[name=p95].latency` is `spec.slos[].latency`.
fn bare(path: &str) -> String {
    let mut depth = 0;
    let keep = path.chars().filter(|c| {
        depth -= i32::from(*c == ']');
        let keep = depth == 0 || *c == '[';
        depth += i32::from(*c == '[');
        keep
    });
    keep.collect()
}

/// The changes that a manifest's own comment proposes.
fn proposed(manifest: &str) -> Vec<String> {
    let comments = manifest.lines().filter(|line| line.trim_start().starts_with('#'));
    let sets = comments.flat_map(|line| line.split("--set ").skip(1));
    sets.map(|rest| match rest.strip_prefix('\'') {
        Some(quoted) => quoted.split('\'').next().unwrap().to_owned(),
        None => rest.split_whitespace().next().unwrap().to_owned(),
    })
    .collect()
}

#[test]
fn every_manifest_is_valid_with_every_change_that_it_proposes_and_in_every_environment() {
    let folder = root().join("examples/aragora");
    let (mut wrong, mut changes) = (Vec::new(), 0);
    for (name, manifest) in manifests("aragora") {
        let file = folder.join(&name).display().to_string();
        let mut try_with = |more: &[&str]| {
            let output = plimsoll(&[&["validate", file.as_str()], more].concat(), "");
            if output.status.code() != Some(0) {
                wrong.push(format!("{name} {more:?}: {}", text(&output.stderr)));
            }
        };
        try_with(&[]);
        for set in proposed(&manifest) {
            changes += 1;
            try_with(&["--set", &set]);
        }
        for values in ["local.yaml", "staging.yaml"] {
            try_with(&["--values", &folder.join("values").join(values).display().to_string()]);
        }
    }
    let users = folder.join("users.yaml").display().to_string();
    let production = folder.join("values/production.yaml").display().to_string();
    let output = plimsoll(&["validate", &users, "--values", &production], "");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(changes > 10, "found only {changes} proposed changes");
}

/// The LoadTest of a manifest.
fn load_test(name: &str, manifest: &str) -> LoadTest {
    let documents = read(name, manifest).unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
    let mut tests = documents.into_iter().filter_map(|document| match document.object {
        Object::LoadTest(test) => Some(*test),
        _ => None,
    });
    tests.next().unwrap()
}

/// What the manifests of `examples` refer to beside themselves.
const BESIDE: &str = "\
---
apiVersion: v1
kind: ConfigMap
metadata: {name: load-users}
data:
  users.csv: |
    email,basket
    ada@load.test,1
    alan@load.test,2
---
apiVersion: v1
kind: Secret
metadata: {name: load-user}
stringData: {password: secret}
---
apiVersion: v1
kind: Secret
metadata: {name: aragora}
stringData: {token: static}
";

/// Manifests with an operation of which so short a run may do none.
const RARE: [&str; 2] = ["api-load.yaml", "k6-api-test.yaml"];
/// Manifests that run at once.
const AT_ONCE: usize = 3;

/// Runs a manifest, shortened, against a stand-in of its own; what is wrong with the outcome.
fn run(name: &str, manifest: &str, config: Config) -> Result<(), String> {
    let short = shorten(&load_test(name, manifest));
    let plan = lower(&load_test(name, &short), None, &References::default(), RunId::default(), 1)
        .map_err(|errors| format!("{name}: {errors:?}"))?
        .plan;
    let testbed = Testbed::start(config).unwrap();
    let file = std::env::temp_dir().join(format!("plimsoll-{}-{name}.json", std::process::id()));
    let arguments = ["run", "-", "-q", "--target", &testbed.url(), "--result", file.to_str().unwrap()];
    let output = plimsoll(&arguments, &[&short, BESIDE].concat());
    let result = fs::read(&file);
    drop(fs::remove_file(&file));
    let told = || format!("{name}: {}{}", text(&output.stdout), text(&output.stderr));
    let result: Value = serde_json::from_slice(&result.map_err(|_| told())?).unwrap();
    // One operation in twenty may not be drawn at all.
    let not_drawn = RARE.contains(&name) && result["status"]["reason"] == "NoData";
    if output.status.code() != Some(0) && !not_drawn {
        return Err(told());
    }
    compare(&plan, &result, &testbed.stats()).map_err(|wrong| format!("{name}: {wrong}"))
}

#[test]
fn every_manifest_runs_and_the_target_counts_the_same_requests() {
    let manifests = manifests("aragora");
    assert!(manifests.len() >= 17, "{:?}", manifests.keys());
    let wanted = std::env::var("ONLY").unwrap_or_default();
    let left = Mutex::new(manifests.iter().filter(|(name, _)| name.contains(&wanted)));
    let wrong = Mutex::new(Vec::new());
    let work = || {
        loop {
            let Some((name, manifest)) = left.lock().unwrap().next() else { return };
            // The tutorials' path is not one of the service's.
            let config = Config { routes: vec![Route::at("/api/custom")], ..Config::aragora() };
            wrong.lock().unwrap().extend(run(name, manifest, config).err());
        }
    };
    std::thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(work))));
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_manifests_that_show_the_language_run_likewise() {
    let manifests = manifests("");
    let shown = ["00-syntax-full.yaml", "05-checkout-flow.yaml", "06-aragora-debate-user.yaml"];
    let wrong: Vec<String> =
        shown.iter().filter_map(|name| run(name, &manifests[*name], Config::default()).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
