//! Holds what is told to users, `docs/testbed.md` and `testbed --help`, against what is served and what can be set.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::process::Command;

use plimsoll_testbed::{Aragora, Fault, Limit, Stats, Testbed, endpoints};
use serde_json::{Value, json};

fn page() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/testbed.md")).unwrap()
}

fn help() -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_testbed")).arg("--help").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The words of a text, as they stand between blanks, backticks and what separates a list.
fn words(text: &str) -> Vec<&str> {
    let parts =
        |c: char| c.is_whitespace() || matches!(c, '`' | ',' | '|' | '"' | ':' | ';' | '(' | ')' | '[' | ']');
    text.split(parts).filter(|word| !word.is_empty()).collect()
}

/// The names of an object's fields and of those of objects in it, with dots between.
fn fields(value: &Value) -> Vec<String> {
    let mut all = Vec::new();
    for (name, inner) in value.as_object().unwrap() {
        match inner {
            Value::Object(own) if !own.is_empty() => {
                all.extend(fields(inner).into_iter().map(|field| format!("{name}.{field}")));
            }
            _ => all.push(name.clone()),
        }
    }
    all
}

fn named(value: impl serde::Serialize) -> Vec<String> {
    fields(&serde_json::to_value(value).unwrap())
}

/// All fields of a fault; those that are left out by default are given here.
fn fault_fields() -> Vec<String> {
    let full = json!({
        "path": "/", "exact": true, "method": "GET", "latency": 1.0, "driftMsPerMinute": 1.0, "hang": {"every": 1},
        "reset": {"every": 1}, "drop": {"every": 1}, "rules": [{}], "partition": ["/"], "ready": false, "leakBytes": 1,
        "limits": [], "aragora": {}, "freezeMs": 1.0,
    });
    let fault: Fault = serde_json::from_value(full).unwrap();
    let fields = named(fault).into_iter().map(|field| field.split('.').next().unwrap_or_default().to_owned());
    fields.collect()
}

#[test]
fn every_endpoint_is_told() {
    for (text, name) in [(page(), "docs/testbed.md"), (help(), "--help")] {
        let words = words(&text);
        for (method, path) in endpoints() {
            let there = words.iter().any(|word| *word == path || word.split('?').next() == Some(path));
            assert!(there, "{name} does not tell of {method} {path}");
        }
    }
}

#[test]
fn every_field_is_told() {
    let limit = Limit { path: Some("/".into()), exact: true, method: Some("GET".into()), ..Limit::default() };
    let fields: Vec<String> = [fault_fields(), named(limit)].concat();
    assert!(fields.len() > 20, "{fields:?}");
    for (text, name) in [(page(), "docs/testbed.md"), (help(), "--help")] {
        let words = words(&text);
        for field in &fields {
            assert!(words.contains(&field.as_str()), "{name} does not tell of {field}");
        }
    }
    let page = page();
    for setting in named(Aragora::default()).iter().filter(|setting| *setting != "enabled") {
        assert!(page.contains(&format!("`{setting}`")), "docs/testbed.md does not tell of {setting}");
        let short = setting.rsplit('.').next().unwrap();
        assert!(words(&help()).contains(&short), "--help does not tell of {setting}");
    }
    let stats = serde_json::to_value(Stats::default()).unwrap();
    for field in fields_of_stats(&stats) {
        assert!(words(&page).contains(&field.as_str()), "docs/testbed.md does not tell of {field}");
    }
}

fn fields_of_stats(stats: &Value) -> Vec<String> {
    let own = stats.as_object().unwrap().keys().cloned();
    let inner = ["ws", "aragora"].iter().flat_map(|part| stats[*part].as_object().unwrap().keys().cloned());
    own.chain(inner).collect()
}

#[test]
fn the_examples_of_the_page_are_faults() {
    let testbed = Testbed::start(plimsoll_testbed::Config::aragora()).unwrap();
    let page = page();
    let examples: Vec<&str> =
        page.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(examples.len() >= 3);
    for example in examples {
        let patch = serde_json::from_str(example).unwrap();
        testbed.merge_fault(&patch).unwrap_or_else(|error| panic!("{error}: {example}"));
    }
    for command in help().lines().filter(|line| line.contains("/__fault -d")) {
        let body = command.split('\'').nth(1).unwrap();
        testbed
            .merge_fault(&serde_json::from_str(body).unwrap())
            .unwrap_or_else(|error| panic!("{error}: {body}"));
    }
}
