//! Dashboards and rules as they are committed: made from their descriptions, complete, laid out, and the rules' own tests. What their queries
//! name is checked in `crates/telemetry/tests/dashboards.rs`.

#![allow(clippy::unwrap_used, reason = "tests may")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;
use xtask::dashboards::queries::{is_built_in, panels, variables};
use xtask::dashboards::{committed, drift, write};
use xtask::{paths, process, report, tools};

fn fail_on(found: &[String]) {
    assert!(found.is_empty(), "\n  {}\n", found.join("\n  "));
}

#[test]
fn files_are_those_of_their_descriptions() {
    if std::env::var_os("UPDATE").is_some() {
        write().unwrap();
    }
    let drift = drift().unwrap();
    assert!(drift.is_empty(), "run `cargo xtask generate`: {drift:#?}");
    let subjects: Vec<String> = committed().unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        subjects,
        ["plimsoll-compare", "plimsoll-fleet", "plimsoll-operator", "plimsoll-run", "plimsoll-slos"]
    );
}

#[test]
fn every_panel_has_a_title_a_description_a_unit_and_legends() {
    let mut found = Vec::new();
    for (name, dashboard) in committed().unwrap() {
        for panel in panels(&dashboard) {
            let mut say = |what: &str| found.push(format!("{name}, {}: {what}", panel["title"]));
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (title, description) = (text(&panel["title"]), text(&panel["description"]));
            if title.is_empty() || !description.ends_with('.') {
                say("needs a title and a description that ends as a sentence does");
            }
            if panel["type"] == "text" {
                continue;
            }
            if text(&panel["fieldConfig"]["defaults"]["unit"]).is_empty() {
                say("needs a unit");
            }
            let targets = panel["targets"].as_array().unwrap();
            if targets.is_empty() {
                say("asks nothing");
            }
            for target in targets {
                if text(&target["legendFormat"]).is_empty() {
                    say("needs a legend for every query");
                }
                if target["datasource"]["uid"] != "${datasource}" {
                    say("asks another data source than the one that is chosen");
                }
            }
            let legends: BTreeSet<String> =
                targets.iter().map(|target| text(&target["legendFormat"])).collect();
            if legends.len() != targets.len() {
                say("has two queries with one legend");
            }
        }
    }
    fail_on(&found);
}

#[test]
fn panels_do_not_overlap_and_identifiers_are_unique() {
    let (mut found, mut uids) = (Vec::new(), BTreeSet::new());
    for (name, dashboard) in committed().unwrap() {
        assert_eq!(dashboard["uid"], name.as_str());
        assert!(uids.insert(dashboard["uid"].to_string()));
        let (mut cells, mut ids) = (BTreeMap::new(), BTreeSet::new());
        let all = dashboard["panels"].as_array().unwrap();
        for panel in all.iter().chain(panels(&dashboard)) {
            ids.insert(panel["id"].to_string());
        }
        let rows = all.iter().filter(|panel| panel["type"] == "row").count();
        assert_eq!(ids.len(), panels(&dashboard).len() + rows, "{name}: an id is used twice");
        for panel in all {
            let at = |side: &str| panel["gridPos"][side].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24, "{name}, {}: wider than the grid", panel["title"]);
            for cell in
                (at("x")..at("x") + at("w")).flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y)))
            {
                if let Some(other) = cells.insert(cell, panel["title"].to_string()) {
                    found.push(format!("{name}: {} lies on {other}", panel["title"]));
                }
            }
        }
    }
    found.dedup();
    fail_on(&found);
}

#[test]
fn variables_are_defined_where_they_are_used() {
    let mut found = Vec::new();
    for (name, dashboard) in committed().unwrap() {
        let list = dashboard["templating"]["list"].as_array().unwrap();
        let defined: BTreeSet<&str> = list.iter().filter_map(|variable| variable["name"].as_str()).collect();
        assert!(defined.contains("datasource"), "{name}");
        let used: BTreeSet<String> = variables(&dashboard.to_string()).into_iter().collect();
        for variable in used.iter().filter(|used| !defined.contains(used.as_str()) && !is_built_in(used)) {
            found.push(format!("{name}: ${variable} is not defined"));
        }
        for variable in defined.iter().filter(|defined| !used.contains(**defined)) {
            found.push(format!("{name}: ${variable} is not used"));
        }
    }
    fail_on(&found);
}

#[test]
fn the_tests_of_the_rules_pass_and_test_every_alert() {
    let folder = paths::root().join("dashboards/rules");
    let files = |folder: &std::path::Path| -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
        let mut files: Vec<_> =
            entries.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
        files.sort();
        files
    };
    let (rules, tests) = (files(&folder), files(&folder.join("tests")));
    let all = |files: &[std::path::PathBuf]| -> String {
        files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
    };
    let tested = all(&tests);
    let alerts: Vec<String> = all(&rules)
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: ").map(str::to_owned))
        .collect();
    assert!(alerts.len() > 10);
    for alert in &alerts {
        // With its annotations: there is a test in which it fires.
        assert!(
            tested.contains(&format!("runbook_url: docs/runbooks/{alert}.md")),
            "no test lets {alert} fire"
        );
    }
    if let Err(why) = tools::require(&["promtool"]) {
        report::skip("tests of the alerting rules", &why.to_string()).unwrap();
        return;
    }
    let promtool = tools::find("promtool").unwrap();
    process::output(Command::new(&promtool).args(["check", "rules"]).args(&rules)).unwrap();
    process::output(Command::new(&promtool).args(["test", "rules"]).args(&tests)).unwrap();
}

#[test]
fn every_alert_has_a_page_and_every_page_an_alert() {
    let folder = paths::root().join("docs/runbooks");
    let index = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let alerts =
        std::fs::read_to_string(paths::root().join("dashboards/rules/plimsoll-alerts.yaml")).unwrap();
    let alerts: BTreeSet<&str> =
        alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let pages: BTreeSet<String> = std::fs::read_dir(&folder)
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_string_lossy().strip_suffix(".md").map(str::to_owned))
        .filter(|name| name != "README")
        .collect();
    assert!(pages.iter().map(String::as_str).eq(alerts.iter().copied()), "{pages:?} {alerts:?}");
    for alert in alerts {
        let page = std::fs::read_to_string(folder.join(format!("{alert}.md"))).unwrap();
        assert!(
            page.starts_with(&format!("# {alert}\n")) && page.contains("## Look") && page.contains("## Do"),
            "{alert}"
        );
        assert!(
            index.contains(&format!("[{alert}]({alert}.md)")),
            "{alert} is not in docs/runbooks/README.md"
        );
    }
}
