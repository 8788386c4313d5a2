//! The committed CRDs are the generated ones, and keep the schema rules. `UPDATE=1` writes them.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

fn schemas() -> Vec<(String, Value)> {
    let crds = plimsoll_api::crds().into_iter();
    crds.map(|crd| (crd.spec.names.kind.clone(), serde_json::to_value(&crd.spec.versions[0]).unwrap()))
        .collect()
}

#[test]
fn committed_crds_are_the_generated_ones() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../crds");
    for crd in plimsoll_api::crds() {
        let path = folder.join(format!("{}.yaml", crd.metadata.name.clone().unwrap()));
        let text = plimsoll_api::to_yaml_within(&crd, 300).unwrap();
        assert!(text.len() < 200 * 1024, "{} takes {} bytes", path.display(), text.len());
        if std::env::var_os("UPDATE").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == text,
            "{} is not what the types say: run UPDATE=1 cargo test -p plimsoll-api",
            path.display()
        );
    }
}

/// Every schema in the tree with its path, but for what Kubernetes' own types bring.
fn each(schema: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, child) in schema["properties"].as_object().into_iter().flatten() {
        if name != "conditions" {
            each(child, &format!("{path}.{name}"), visit);
        }
    }
    for key in ["items", "additionalProperties"] {
        if schema[key].is_object() {
            each(&schema[key], &format!("{path}[]"), visit);
        }
    }
}

/// Steps stand in eight places; what is in their fields is described in one of them, so that the CRD can be applied.
fn is_of_step_explained_elsewhere(path: &str) -> bool {
    let places = [
        "flows[].steps[].",
        "scenarios[].onStart[].",
        "scenarios[].onStop[].",
        "scenarios[].tasks[].steps[].",
        "setup[].",
        "teardown[].",
        "timeline[].",
    ];
    let within = |place| path.strip_prefix("LoadTest.spec.").and_then(|path| path.strip_prefix(place));
    places.into_iter().find_map(within).is_some_and(|field: &str| field.contains(['.', '[']))
}

#[test]
fn everything_is_bounded_and_described() {
    for (kind, version) in schemas() {
        for part in ["spec", "status"] {
            let schema = &version["schema"]["openAPIV3Schema"]["properties"][part];
            if !schema.is_object() {
                continue;
            }
            each(schema, &format!("{kind}.{part}"), &mut |path, schema| {
                let has = |key: &str| !schema[key].is_null();
                let open = schema["x-kubernetes-preserve-unknown-fields"] == true;
                match schema["type"].as_str() {
                    Some("string") => {
                        assert!(has("maxLength") || has("enum") || has("format"), "{path} has no maximum");
                    }
                    Some("array") => {
                        assert!(has("maxItems"), "{path} has no maximum");
                        assert!(has("x-kubernetes-list-type"), "{path} has no list type");
                    }
                    Some("object") => {
                        assert!(open || has("properties") || has("maxProperties"), "{path} has no maximum");
                    }
                    Some(_) => {}
                    None => {
                        assert!(open || schema["x-kubernetes-int-or-string"] == true, "{path} has no type");
                    }
                }
                let explained =
                    path.ends_with("[]") || is_of_step_explained_elsewhere(path) || has("description");
                assert!(explained, "{path} has no description");
                assert!(!has("default") || path == format!("{kind}.status"), "{path} has a default");
                assert!(!has("nullable"), "{path} is nullable");
                let format = schema["format"].as_str().unwrap_or("int64");
                assert!(
                    ["int32", "int64", "double", "date-time"].contains(&format),
                    "{path} has the format {format}"
                );
            });
        }
    }
}

#[test]
fn columns_and_names() {
    for crd in plimsoll_api::crds() {
        let names = &crd.spec.names;
        let short = names.short_names.clone().unwrap_or_default();
        assert_eq!(names.categories, Some(vec!["plimsoll".to_owned()]));
        let columns: Vec<_> = crd.spec.versions[0].additional_printer_columns.iter().flatten().collect();
        let wide = |wide: bool| -> Vec<&str> {
            columns.iter().filter(|c| (c.priority == Some(1)) == wide).map(|c| c.name.as_str()).collect()
        };
        let status = ["Phase", "Verdict", "SLOs", "Progress", "Rate", "P95", "Errors", "Age"];
        match names.kind.as_str() {
            "LoadTest" => assert_eq!(
                (short, wide(false), wide(true)),
                (vec!["plt".into()], status.into(), vec!["Reason", "Run"])
            ),
            "LoadTestRun" => assert_eq!(
                (short, wide(false), wide(true)),
                (vec!["plr".into()], status.into(), vec!["Reason", "Test"])
            ),
            "LoadProfile" => assert_eq!(short, ["plp"]),
            other => assert_eq!((other, short), ("ClusterLoadProfile", vec!["plcp".to_owned()])),
        }
    }
}
