//! Manifests that are read, and what is said of those that cannot be.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::fs;
use std::path::PathBuf;

use plimsoll_api::{Changes, Object, read, read_with};

fn examples() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "yaml"));
    files.sort();
    files
        .into_iter()
        .map(|path| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())
        })
        .collect()
}

#[test]
fn every_example_is_read() {
    assert!(examples().len() >= 8);
    for (file, text) in examples() {
        match read(&file, &text) {
            Ok(documents) => assert!(!documents.is_empty(), "{file}"),
            Err(problems) => panic!("{}", problems.iter().map(|p| format!("{p}\n")).collect::<String>()),
        }
    }
}

const HEAD: &str = "apiVersion: plimsoll.dev/v1alpha1\nkind: LoadTest\nmetadata: {name: checkout}\nspec:\n";

fn problems(text: &str) -> Vec<String> {
    read("checkout.yaml", text).expect_err("has problems").iter().map(ToString::to_string).collect()
}

/// Problems of a spec, whose first line is line 5.
fn of_spec(spec: &str) -> Vec<String> {
    problems(&format!("{HEAD}{spec}"))
}

#[test]
fn a_misspelt_field_is_named_with_file_line_path_and_the_closest_one() {
    let spec = "  target: {url: http://a}\n  profile: {preset: smoke}\n  slos:\n  - name: p95\n    latency: {stat: p95, atmost: 500ms}\n";
    assert_eq!(
        of_spec(spec),
        [
            "checkout.yaml:9:14: spec.slos[0].latency.atMost: required, but missing",
            "checkout.yaml:9:26: spec.slos[0].latency.atmost: unknown field; did you mean \"atMost\"?",
        ]
    );
    let spec = "  target: {url: http://a}\n  profile: {preset: smoke}\n  plots: []\n";
    let known = "data, flows, profile, prometheus, results, runPolicy, scenarios, setup, slos, target, teardown, telemetry, timeline, validity, vars, workers";
    assert_eq!(of_spec(spec), [format!("checkout.yaml:7:3: spec.plots: unknown field; there are {known}")]);
}

#[test]
fn every_kind_of_problem_has_its_words() {
    let good = "  target: {url: http://a}\n";
    for (spec, expected) in [
        (
            "  profile: {preset: smok}\n",
            "6:21: spec.profile.preset: \"smok\" is not one of smoke, light, medium, heavy, spike, soak; did you mean \"smoke\"?",
        ),
        (
            "  profile: {users: many}\n",
            "6:20: spec.profile.users: must be a whole number, not the string \"many\"",
        ),
        ("  profile: {users: 0}\n", "6:20: spec.profile.users: 0 is less than 1"),
        (
            "  profile: {users: 1, duration: 1d}\n",
            "6:33: spec.profile.duration: \"1d\" is not a duration such as 500ms, 90s or 1h30m (whole numbers of h, m, s, ms, us)",
        ),
        (
            "  profile: {arrivals: {rate: 10}}\n",
            "6:30: spec.profile.arrivals.rate: \"10\" is not a rate such as 2000/s, 0.5/s or 30/m",
        ),
        (
            "  profile: {arrivals: {rate: 10/h}}\n",
            "6:30: spec.profile.arrivals.rate: \"10/h\" is not a rate such as 2000/s, 0.5/s or 30/m",
        ),
        (
            "  profile: {stages: [{duration: 1s, users: 20 %}]}\n",
            "6:44: spec.profile.stages[0].users: \"20 %\" is not a share such as 1%, 0.1% or 99.9%, nor a whole number",
        ),
        (
            "  profile: {preset: smoke}\n  slos: [{name: a}, {name: a}]\n",
            "7:28: spec.slos[1].name: \"a\" is there twice: each name once",
        ),
        (
            "  profile: {preset: smoke}\n  runPolicy: {suspend: yes}\n",
            "7:24: spec.runPolicy.suspend: yes without quotes is true for kubectl: write true, or \"yes\" if you mean the word",
        ),
        (
            "  profile: {preset: smoke}\n  vars: [{name: Off, value: 'off'}]\n",
            "7:17: spec.vars[0].name: Off without quotes is false for kubectl: write false, or \"Off\" if you mean the word",
        ),
        (
            "  profile: {preset: smoke}\n  runPolicy: {suspend: \"yes\"}\n",
            "7:24: spec.runPolicy.suspend: must be true or false, not the string \"yes\"",
        ),
        (
            "  profile: {preset: smoke}\n  scenarios: [{name: a, steps: [{http: {path: /, query: {n: x}}}]}]\n",
            "7:58: spec.scenarios[0].steps[0].http.query.n: n without quotes is false for kubectl: write false, or \"n\" if you mean the word",
        ),
        ("  profile:\n", "6:3: spec.profile: must be a map, not empty"),
        (
            "  profile: {preset: smoke}\n  vars: {name: a}\n",
            "7:9: spec.vars: must be a list, not a map: begin each item with \"- \"",
        ),
        (
            "  profile: {preset: smoke}\n  scenarios: [{name: a, wait: 1s, steps: [{http: {path: /}}]}]\n",
            "7:31: spec.scenarios[0].wait: must be a map, not the string \"1s\": its fields are constant, exponential, max, min",
        ),
        (
            "  profile: {preset: smoke}\n  scenarios: [{name: a, steps: [{http: {path: /, expect: {status: 200}}}]}]\n",
            "7:67: spec.scenarios[0].steps[0].http.expect.status: must be a list, not 200: write [200]",
        ),
        (
            "  profile: {preset: smoke}\n  scenarios: [{name: a, steps: [{http: {path: /}, check: {ok: true}}]}]\n",
            "7:63: spec.scenarios[0].steps[0].check.ok: must be a string, not true: put it in quotes",
        ),
        (
            "  profile: {preset: smoke}\n  scenarios: [{name: a, steps: []}]\n",
            "7:32: spec.scenarios[0].steps: has 0 items, needs at least 1",
        ),
        (
            "  profile: {preset: smoke}\n  slos: [{name: a, errorRate: {atMost: 1%, class: [TLS, Dns]}}]\n",
            "7:57: spec.slos[0].errorRate.class[1]: \"Dns\" is not one of DNS, Connect, TLS, Timeout, Reset, Protocol, Status, Body; did you mean \"DNS\"?",
        ),
    ] {
        assert_eq!(of_spec(&format!("{good}{spec}")), [format!("checkout.yaml:{expected}")], "{spec}");
    }
}

#[test]
fn profiles_are_checked_by_themselves() {
    let head = "apiVersion: plimsoll.dev/v1alpha1\nkind: ClusterLoadProfile\nmetadata: {name: p}\nspec:\n";
    for good in [
        "  users: 3\n",
        "  stages: [{duration: 1m, users: 20%}]\n",
        "  duration: 2m\n  stages: [{duration: 1m, users: 3}]\n",
        "  arrivals: {rate: 5/s}\n  slos: [{name: x, request: only-in-the-test, errorRate: {atMost: 1%}}]\n",
    ] {
        assert!(read("m.yaml", &format!("{head}{good}")).is_ok(), "{good}");
    }
    for (bad, expected) in [
        (
            "  duration: 30s\n  stages: [{duration: 1m, users: 3}]\n",
            "5:13: spec.duration: duration 30s is shorter than the sum of its stages, 1m: remove it",
        ),
        (
            "  duration: 1m\n",
            "5:3: spec.users: required, but missing: set users, stages, arrivals, a preset or a ref",
        ),
        (
            "  users: 3\n  duration: 1m\n  slos: [{name: x}]\n",
            "7:10: spec.slos[0]: an SLO has exactly one of ",
        ),
        (
            "  users: 3\n  duration: 1m\n  slos: [{name: x, window: w, errorRate: {atMost: 1%}}]\n",
            "7:28: spec.slos[0].window: there is no window \"w\"",
        ),
        ("  users: 3\n  arrivals: {rate: 5/s}\n", "5:10: spec.users: users (closed model) and arrivals"),
    ] {
        let problems = read("m.yaml", &format!("{head}{bad}")).expect_err(bad);
        assert!(problems[0].to_string().starts_with(&format!("m.yaml:{expected}")), "{bad}{problems:#?}");
    }
}

#[test]
fn documents_that_are_none() {
    for (text, expected) in [
        ("a: [1", "m.yaml:2:1: not YAML: "),
        ("- 1", "m.yaml:1:1: a document is a map of apiVersion, kind, metadata and spec"),
        ("kind: LoadTest", "m.yaml:1:1: apiVersion is missing: every document needs apiVersion and kind"),
        (
            "apiVersion: plimsoll.dev/v1\nkind: LoadTest",
            "m.yaml:1:13: apiVersion: \"plimsoll.dev/v1\" is not plimsoll.dev/v1alpha1",
        ),
        (
            "apiVersion: plimsoll.dev/v1alpha1\nkind: LoadTst",
            "m.yaml:2:7: kind: \"LoadTst\" is not one of LoadTest, LoadTestRun, LoadProfile, ClusterLoadProfile; did you mean \"LoadTest\"?",
        ),
        ("a: 1\na: 2", "m.yaml:2:1: not YAML: "),
    ] {
        let problem = read("m.yaml", text).unwrap_err()[0].to_string();
        assert!(problem.starts_with(expected), "{problem}");
    }
}

#[test]
fn objects_of_other_apis_stand_beside_ours() {
    let text = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {k: v}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n---\n";
    let documents = read("m.yaml", text).unwrap();
    assert!(matches!(&documents[0].object, Object::Secret(s) if s.string_data.as_ref().unwrap()["k"] == "v"));
    assert!(matches!(&documents[1].object, Object::Other(what) if what == "apps/v1 Deployment"));
    assert_eq!(documents.len(), 2);
}

#[test]
fn a_path_has_a_position_even_where_nothing_was_written() {
    let text = format!("{HEAD}  target: {{url: http://a}}\n  profile:\n    preset: smoke\n");
    let source = &read("m.yaml", &text).unwrap()[0].source;
    assert_eq!(source.problem("spec.profile.preset", "x").to_string(), "m.yaml:7:13: spec.profile.preset: x");
    assert_eq!(
        source.problem("spec.profile.stages[3].users", "x").to_string(),
        "m.yaml:7:5: spec.profile.stages[3].users: x"
    );
}

#[test]
fn what_was_set_is_named_by_its_argument() {
    let text = format!("{HEAD}  target: {{url: http://a}}\n  profile: {{preset: smoke}}\n");
    let sets = |all: &[&str]| Changes {
        sets: all.iter().map(|s| s.parse().unwrap()).collect(),
        ..Changes::default()
    };
    let documents = read_with("m.yaml", &text, &sets(&["spec.profile.users=7"])).unwrap();
    let Object::LoadTest(test) = &documents[0].object else { panic!() };
    assert_eq!(test.spec.profile.shape.users, Some(7));
    let problems = read_with("m.yaml", &text, &sets(&["spec.profile.user=7"])).unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "--set spec.profile.user=7: spec.profile.user: unknown field; did you mean \"users\"?"
    );
}

#[test]
fn no_problem_of_a_secret_shows_a_value() {
    let secret =
        |rest: &str| problems(&format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\n{rest}\n"));
    for (rest, problem) in [
        (
            "stringData: {pin: 31337}",
            "checkout.yaml:4:19: stringData.pin: must be a string: put it in quotes",
        ),
        ("stringData: 31337", "checkout.yaml:4:13: stringData: must be a map"),
        (
            "data: {pin: 31337!}",
            "checkout.yaml:4:13: data.pin: not base64: encode it, or write the plain text under stringData",
        ),
        ("type: [31337]", "checkout.yaml:1:1: not a v1 Secret: check its metadata and type"),
    ] {
        assert_eq!(secret(rest), [problem]);
    }
}
