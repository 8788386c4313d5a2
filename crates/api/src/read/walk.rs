//! Checks a value against a CRD's schema and says every problem in words. The schema comes from `crds.rs`.

use std::collections::BTreeSet;

use plimsoll_scenario::did_you_mean;
use serde_json::{Map, Value};

use super::path::Path;
use super::{Problem, Source, texts};
use crate::quantity::share;
use crate::v1alpha1::{LONGEST_RUN_NAME, LONGEST_TEST_NAME};

/// Fields that people write under `metadata`, and those that a server adds.
const METADATA: [&str; 15] = [
    "name",
    "generateName",
    "namespace",
    "labels",
    "annotations",
    "finalizers",
    "ownerReferences",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// All problems of an object of ours.
pub(super) fn document(schema: &Value, value: &Value, source: &Source) -> Vec<Problem> {
    let mut walk = Walk { source, problems: Vec::new() };
    metadata(value, source, &mut walk.problems);
    let mut value = value.clone();
    if let Some(map) = value.as_object_mut() {
        // A status is not taken from a file, and metadata has no schema of its own.
        map.remove("status");
        map.remove("metadata");
    }
    walk.value(schema, &value, &Path::default());
    walk.problems
}

fn metadata(value: &Value, source: &Source, problems: &mut Vec<Problem>) {
    let empty = Map::new();
    let fields = match value.get("metadata") {
        None => &empty,
        Some(Value::Object(fields)) => fields,
        Some(_) => return problems.push(source.problem("metadata", "must be a map")),
    };
    for name in fields.keys().filter(|name| !METADATA.contains(&name.as_str())) {
        problems.push(source.key_problem(&format!("metadata.{name}"), unknown_field(name, &METADATA)));
    }
    let kind = value.get("kind").and_then(Value::as_str);
    let longest = match kind {
        Some("LoadTest") => LONGEST_TEST_NAME,
        Some("LoadTestRun") => LONGEST_RUN_NAME,
        _ => 253,
    };
    match (fields.get("name"), fields.get("generateName")) {
        (Some(Value::String(name)), _) => {
            if let Some(message) = wrong_name(name, longest) {
                problems.push(source.problem("metadata.name", message));
            }
        }
        (Some(_), _) => problems.push(source.problem("metadata.name", "must be a string")),
        (None, Some(_)) if kind == Some("LoadTestRun") => {}
        (None, _) => problems.push(source.problem("metadata.name", "required, but missing")),
    }
}

fn wrong_name(name: &str, longest: usize) -> Option<String> {
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if name.len() > longest {
        return Some(format!("{name:?} is longer than {longest} characters"));
    }
    let good = name.starts_with(edge) && name.ends_with(edge) && name.chars().all(inside);
    (!good).then(|| format!("{name:?} is not a name of lower-case letters, digits, - and ."))
}

struct Walk<'a> {
    source: &'a Source,
    problems: Vec<Problem>,
}

impl Walk<'_> {
    fn wrong(&mut self, path: &Path, message: String) {
        self.problems.push(self.source.problem(&path.to_string(), message));
    }

    fn value(&mut self, schema: &Value, value: &Value, path: &Path) {
        let wanted = if either(schema) {
            Some("integer or string")
        } else {
            schema.get("type").and_then(Value::as_str)
        };
        if let Some(wanted) = wanted
            && !is_of(wanted, value)
        {
            return self.wrong(path, mistyped(schema, wanted, value));
        }
        if let Some(words) = schema.get("enum").and_then(Value::as_array)
            && !words.contains(value)
        {
            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            return self.wrong(path, unknown_word(value.as_str().unwrap_or_default(), &words));
        }
        match value {
            Value::Object(fields) => self.map(schema, fields, path),
            Value::Array(items) => self.list(schema, items, path),
            Value::String(text) => self.text(schema, text, path),
            Value::Number(number) => self.number(schema, number.as_f64().unwrap_or_default(), path),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn map(&mut self, schema: &Value, fields: &Map<String, Value>, path: &Path) {
        self.count(schema, ("minProperties", "maxProperties"), (fields.len(), "fields"), path);
        let known = schema.get("properties").and_then(Value::as_object);
        let others = schema.get("additionalProperties");
        let keep = schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
        for (name, value) in fields {
            let here = path.field(name);
            match (known.and_then(|known| known.get(name)).or(others), keep) {
                (Some(schema), _) => self.value(schema, value, &here),
                (None, true) => {}
                (None, false) => {
                    let names: Vec<&str> =
                        known.into_iter().flat_map(Map::keys).map(String::as_str).collect();
                    self.problems
                        .push(self.source.key_problem(&here.to_string(), unknown_field(name, &names)));
                }
            }
        }
        for name in
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
        {
            if !fields.contains_key(name) {
                self.wrong(&path.field(name), "required, but missing".to_owned());
            }
        }
    }

    fn list(&mut self, schema: &Value, items: &[Value], path: &Path) {
        self.count(schema, ("minItems", "maxItems"), (items.len(), "items"), path);
        if let Some(schema) = schema.get("items") {
            for (at, item) in items.iter().enumerate() {
                self.value(schema, item, &path.index(at));
            }
        }
        let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
        let mut seen = BTreeSet::new();
        for key in keys.into_iter().flatten().filter_map(Value::as_str) {
            for (at, item) in items.iter().enumerate() {
                if let Some(name) = item.get(key).and_then(Value::as_str)
                    && !seen.insert(name)
                {
                    self.wrong(
                        &path.index(at).field(key),
                        format!("{name:?} is there twice: each {key} once"),
                    );
                }
            }
        }
        if schema.get("x-kubernetes-list-type").and_then(Value::as_str) == Some("set") {
            for (at, item) in items.iter().enumerate().filter(|(at, item)| items[..*at].contains(item)) {
                self.wrong(&path.index(at), format!("{item} is there twice"));
            }
        }
    }

    fn text(&mut self, schema: &Value, text: &str, path: &Path) {
        self.count(schema, ("minLength", "maxLength"), (text.chars().count(), "characters"), path);
        if let Some(message) =
            schema.get("pattern").and_then(Value::as_str).and_then(|p| texts::check(p, text))
        {
            let or_number = either(schema) && schema.get("pattern") == Some(&Value::from(share::PATTERN));
            let message = if or_number { format!("{message}, nor a whole number") } else { message };
            self.wrong(path, message);
        }
    }

    fn number(&mut self, schema: &Value, number: f64, path: &Path) {
        let bound = |name| schema.get(name).and_then(Value::as_f64);
        if let Some(least) = bound("minimum").filter(|least| number < *least) {
            self.wrong(path, format!("{number} is less than {least}"));
        }
        if let Some(most) = bound("maximum").filter(|most| number > *most) {
            self.wrong(path, format!("{number} is more than {most}"));
        }
    }

    fn count(&mut self, schema: &Value, keys: (&str, &str), (count, what): (usize, &str), path: &Path) {
        let bound = |key| schema.get(key).and_then(Value::as_u64).map(|bound| bound as usize);
        if let Some(least) = bound(keys.0).filter(|least| count < *least) {
            self.wrong(path, format!("has {count} {what}, needs at least {least}"));
        }
        if let Some(most) = bound(keys.1).filter(|most| count > *most) {
            self.wrong(path, format!("has {count} {what}, may have {most}"));
        }
    }
}

fn either(schema: &Value) -> bool {
    schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true))
}

/// The message of a value of another type than the schema's, with what would be right.
fn mistyped(schema: &Value, wanted: &str, value: &Value) -> String {
    let plain = matches!(value, Value::Number(_) | Value::Bool(_) | Value::String(_));
    if wanted == "string" && plain {
        let text = value.to_string();
        let words = schema.get("enum").and_then(Value::as_array);
        if let Some(words) = words {
            return unknown_word(&text, &words.iter().filter_map(Value::as_str).collect::<Vec<_>>());
        }
        // A number that lacks its unit is no better with quotes.
        let pattern = schema.get("pattern").and_then(Value::as_str);
        if let Some(message) = pattern.and_then(|pattern| texts::check(pattern, &text)) {
            return message;
        }
    }
    let remedy = match wanted {
        "string" if plain => ": put it in quotes".to_owned(),
        "array" if plain => format!(": write [{value}]"),
        "array" if value.is_object() => ": begin each item with \"- \"".to_owned(),
        "object" if plain || value.is_array() => fields_of(schema),
        _ => String::new(),
    };
    format!("must be {}, not {}{remedy}", article(wanted), shown(value))
}

/// What a map may hold, for one who wrote something else.
fn fields_of(schema: &Value) -> String {
    let known: Vec<&str> = schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(Map::keys)
        .map(String::as_str)
        .collect();
    match known.as_slice() {
        [] => ": write {NAME: …}".to_owned(),
        [only] => format!(": its field is {only}"),
        _ => format!(": its fields are {}", known.join(", ")),
    }
}

fn is_of(wanted: &str, value: &Value) -> bool {
    match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "integer or string" => value.is_i64() || value.is_u64() || value.is_string(),
        _ => true,
    }
}

fn article(wanted: &str) -> &str {
    match wanted {
        "object" => "a map",
        "array" => "a list",
        "string" => "a string",
        "boolean" => "true or false",
        "number" => "a number",
        "integer" => "a whole number",
        "integer or string" => "a whole number or a string",
        other => other,
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "empty".to_owned(),
        Value::Object(_) => "a map".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::String(text) => format!("the string {text:?}"),
        other => other.to_string(),
    }
}

/// The message of a field that is not known, with the closest one that is.
pub(super) fn unknown_field(name: &str, known: &[&str]) -> String {
    match did_you_mean(name, known.iter().copied()) {
        Some(close) => format!("unknown field; did you mean {close:?}?"),
        None => format!("unknown field; there are {}", known.join(", ")),
    }
}

/// The message of a word that is not one of a few.
pub(crate) fn unknown_word(word: &str, known: &[&str]) -> String {
    let hint = did_you_mean(word, known.iter().copied())
        .map_or_else(String::new, |close| format!("; did you mean {close:?}?"));
    format!("{word:?} is not one of {}{hint}", known.join(", "))
}
