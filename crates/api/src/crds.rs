//! The CRDs: what the derives say, made into what an API server takes and people read. Written to `crds/` by `tests/crds.rs`.
//!
//! Steps stand in eight places, and a schema cannot refer to another one. So that the CRD stays small enough to be applied, steps are
//! explained in one of them, and the others say in which.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use crate::v1alpha1::{
    ClusterLoadProfile, LONGEST_RUN_NAME, LONGEST_TEST_NAME, LoadProfile, LoadTest, LoadTestRun,
};

/// All CRDs, in the order in which they are installed.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    [LoadTest::crd(), LoadTestRun::crd(), LoadProfile::crd(), ClusterLoadProfile::crd()]
        .into_iter()
        .map(finish)
        .collect()
}

/// Completes one CRD: names that fit, the status default, schemas without what Kubernetes does not know.
fn finish(crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let longest = match crd.spec.names.kind.as_str() {
        "LoadTest" => LONGEST_TEST_NAME,
        "LoadTestRun" => LONGEST_RUN_NAME,
        _ => 253,
    };
    // The derive makes a value of this type from a value; the way back and forth cannot fail, and if it did, the test of the
    // committed files would show it.
    let Ok(mut value) = serde_json::to_value(&crd) else { return crd };
    if let Some(schema) = value.pointer_mut("/spec/versions/0/schema/openAPIV3Schema") {
        clean(schema);
        if crd.spec.names.kind == "LoadTest" {
            explain_steps_once(schema);
        }
        if let Some(schema) = schema.as_object_mut() {
            finish_root(schema, longest);
        }
    }
    serde_json::from_value(value).unwrap_or(crd)
}

fn finish_root(schema: &mut Map<String, Value>, longest: usize) {
    if longest < 253 {
        schema.insert(
            "x-kubernetes-validations".into(),
            json!([{
                "rule": format!("size(self.metadata.name) <= {longest}"),
                "message": format!("the name is longer than {longest} characters: its pods are named after it"),
            }]),
        );
    }
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    // The names of these three are explained by the API server itself.
    for (name, schema) in [("apiVersion", "string"), ("kind", "string"), ("metadata", "object")] {
        properties.entry(name).or_insert_with(|| json!({"type": schema}));
    }
    if let Some(status) = properties.get_mut("status").and_then(Value::as_object_mut) {
        status.insert("default".into(), json!({"observedGeneration": -1}));
    }
}

/// Removes what structural schemas do not know or do not need, in the whole tree of schemas.
fn clean(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    // An optional field is left out; null is a mistake that should be named.
    schema.remove("nullable");
    schema.remove("title");
    schema.remove("default");
    if let Some(Value::Array(words)) = schema.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    fix_format(schema);
    if let Some(Value::String(text)) = schema.get_mut("description") {
        // Line ends of the source are not those of the reader's screen.
        *text = text.split('\n').map(str::trim).collect::<Vec<_>>().join(" ");
    }
    for key in ["properties", "additionalProperties", "items"] {
        match schema.get_mut(key) {
            Some(Value::Object(children)) if key == "properties" => children.values_mut().for_each(clean),
            Some(child) => clean(child),
            None => {}
        }
    }
}

/// Where steps stand beside [`EXPLAINED`].
const STEPS: [&str; 7] = [
    "/flows/items/properties/steps",
    "/scenarios/items/properties/onStart",
    "/scenarios/items/properties/onStop",
    "/scenarios/items/properties/tasks/items/properties/steps",
    "/setup",
    "/teardown",
    "/timeline",
];
/// Where their fields are explained.
const EXPLAINED: &str = "spec.scenarios.steps";

/// Cuts the descriptions of steps in all places but one: fields keep their first sentence, what is in them none.
fn explain_steps_once(schema: &mut Value) {
    for place in STEPS {
        let Some(steps) = schema.pointer_mut(&format!("/properties/spec/properties{place}")) else {
            continue;
        };
        if let Some(Value::String(description)) = steps.get_mut("description") {
            description.push_str(&format!(" See {EXPLAINED} for their fields."));
        }
        let fields = steps.pointer_mut("/items/properties").and_then(Value::as_object_mut);
        for field in fields.into_iter().flat_map(Map::values_mut) {
            let first = field.get("description").and_then(Value::as_str).map(first_sentence);
            remove_descriptions(field);
            if let (Some(first), Some(field)) = (first, field.as_object_mut()) {
                field.insert("description".into(), first.into());
            }
        }
    }
}

fn first_sentence(text: &str) -> String {
    let end = [". ", ": ", "; "].iter().filter_map(|end| text.find(end)).min();
    format!("{}.", text[..end.unwrap_or(text.len())].trim_end_matches('.'))
}

fn remove_descriptions(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    schema.remove("description");
    for key in ["properties", "additionalProperties", "items"] {
        match schema.get_mut(key) {
            Some(Value::Object(children)) if key == "properties" => {
                children.values_mut().for_each(remove_descriptions);
            }
            Some(child) => remove_descriptions(child),
            None => {}
        }
    }
}

/// Kubernetes knows signed integers only; the minimum of 0 stays.
fn fix_format(schema: &mut Map<String, Value>) {
    let format = match schema.get("format").and_then(Value::as_str) {
        Some("uint8" | "uint16" | "int8" | "int16") => "int32",
        Some("uint32" | "uint64" | "uint") => "int64",
        _ => return,
    };
    schema.insert("format".into(), format.into());
    let minimum = schema.get("minimum").and_then(Value::as_f64);
    if minimum == Some(0.0) {
        schema.insert("minimum".into(), json!(0));
    }
}
