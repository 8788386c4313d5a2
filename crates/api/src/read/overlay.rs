//! `--values FILE`: a part of a LoadTest, laid over every LoadTest before it is checked. `set.rs` sets single fields after it.

use serde_json::{Map, Value};

use super::parse::{self, Position, Positions};
use super::path::Path;
use super::{API_VERSION, Problem};

/// Fields of a LoadTest that take the place of those of a manifest.
#[derive(Clone, Debug)]
pub struct Overlay {
    file: String,
    value: Value,
    positions: Positions,
}

/// Where a field that came from an overlay was written.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) file: String,
    pub(super) key: Position,
    pub(super) value: Position,
}

/// Lists whose items are taken whole, as a run's overrides do: an item's fields exclude each other.
const WHOLE: [&str; 2] = ["spec.vars", "spec.slos"];

impl Overlay {
    /// Reads a values file: one document with a `spec`; `apiVersion` and `kind` may be there. `file` only names it in messages.
    ///
    /// # Errors
    /// It is not YAML, or holds something else. Its fields are checked where it is laid over a test.
    pub fn read(file: &str, text: &str) -> Result<Self, Vec<Problem>> {
        let problem = |position: Position, path: &str, message: String| {
            let (file, path) = (file.to_owned(), path.to_owned());
            vec![Problem { file, line: position.line, column: position.column, path, message }]
        };
        let documents =
            parse::parse(text).map_err(|wrong| problem(wrong.position, &wrong.path, wrong.message))?;
        let [(value, positions)] = <[_; 1]>::try_from(documents).map_err(|documents| {
            let found = documents.len();
            let message = format!(
                "holds {found} documents: a values file is one, such as spec: {{target: {{url: …}}}}"
            );
            problem(Position::default(), "", message)
        })?;
        for (field, given) in value.as_object().into_iter().flatten() {
            let allowed = match field.as_str() {
                "spec" => given.is_object(),
                "apiVersion" => given == API_VERSION,
                "kind" => given == "LoadTest",
                _ => false,
            };
            if !allowed {
                let message = format!(
                    "a values file holds the fields of a LoadTest's spec to change, under spec; {field} is not one"
                );
                return Err(problem(positions.key(field).unwrap_or_default(), field, message));
            }
        }
        Ok(Self { file: file.to_owned(), value, positions })
    }

    /// Lays it over a document of this schema; returns the paths of the document that it wrote, with where they stand.
    pub(super) fn apply(&self, schema: &Value, document: &mut Value) -> Vec<(String, Place)> {
        let mut written = Vec::new();
        if let (Some(from), Some(schema)) = (self.value.get("spec"), schema.pointer("/properties/spec")) {
            let into = &mut document["spec"];
            let path = Path::default().field("spec");
            self.merge(schema, (into, &path), (from, &path), &mut written);
        }
        written
    }

    /// Maps deeply, lists of named things by name, everything else as a whole; null removes a field.
    fn merge(
        &self,
        schema: &Value,
        (into, path): (&mut Value, &Path),
        (from, own): (&Value, &Path),
        written: &mut Vec<(String, Place)>,
    ) {
        let is_named = schema.get("x-kubernetes-list-type").is_some_and(|kind| kind == "map");
        match (into, from) {
            (Value::Object(into), Value::Object(fields)) => {
                for (name, from) in fields {
                    if from.is_null() {
                        into.remove(name);
                        continue;
                    }
                    let schema =
                        schema.get("properties").and_then(|fields| fields.get(name)).unwrap_or(&Value::Null);
                    let value = into.entry(name.as_str()).or_insert(Value::Null);
                    self.merge(schema, (value, &path.field(name)), (from, &own.field(name)), written);
                }
            }
            (Value::Array(into), Value::Array(items)) if is_named => {
                let schema = schema.get("items").unwrap_or(&Value::Null);
                let whole = WHOLE.contains(&path.to_string().as_str());
                for (at, from) in items.iter().enumerate() {
                    let name = from.get("name");
                    let place = into.iter().position(|item| name.is_some() && item.get("name") == name);
                    let place = place.unwrap_or_else(|| {
                        into.push(Value::Object(Map::new()));
                        into.len() - 1
                    });
                    let (path, own) = (path.index(place), own.index(at));
                    if whole {
                        into[place] = Value::Null;
                    }
                    self.merge(schema, (&mut into[place], &path), (from, &own), written);
                }
            }
            (into, from) => {
                *into = from.clone();
                self.note(from, path, own, written);
            }
        }
    }

    /// Everything inside of a value that was taken over stands here.
    fn note(&self, value: &Value, path: &Path, own: &Path, written: &mut Vec<(String, Place)>) {
        let at = own.to_string();
        if let (Some(key), Some(value)) = (self.positions.key(&at), self.positions.value(&at)) {
            written.push((path.to_string(), Place { file: self.file.clone(), key, value }));
        }
        match value {
            Value::Object(fields) => {
                fields
                    .iter()
                    .for_each(|(name, value)| self.note(value, &path.field(name), &own.field(name), written));
            }
            Value::Array(items) => {
                let items = items.iter().enumerate();
                items.for_each(|(at, value)| self.note(value, &path.index(at), &own.index(at), written));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::read::{Changes, Object, read_with};

    use super::*;

    const TEST: &str = "\
apiVersion: plimsoll.dev/v1alpha1
kind: LoadTest
metadata: {name: t}
spec:
  target: {url: 'http://a', headers: {x: one}}
  vars:
  - {name: token, valueFrom: {secretKeyRef: {name: s, key: k}}}
  - {name: agent, value: echo}
  profile: {preset: smoke}
  slos:
  - {name: errors, errorRate: {atMost: 1%}}
";

    fn changes(text: &str) -> Changes {
        Changes { overlays: vec![Overlay::read("v.yaml", text).unwrap()], ..Changes::default() }
    }

    #[test]
    fn maps_merge_and_named_items_are_found_by_name() {
        let values = "spec:\n  target: {url: 'http://b'}\n  vars: [{name: token, value: x}, {name: more, value: z}]\n  profile: {users: 3}\n";
        let documents = read_with("t.yaml", TEST, &changes(values)).unwrap();
        let Object::LoadTest(test) = &documents[0].object else { panic!() };
        let spec = &test.spec;
        assert_eq!((spec.target.url.as_str(), spec.target.headers.len()), ("http://b", 1));
        let vars: Vec<_> = spec.vars.iter().map(|var| (var.name.as_str(), var.value.as_deref())).collect();
        assert_eq!(vars, [("token", Some("x")), ("agent", Some("echo")), ("more", Some("z"))]);
        assert!(spec.vars[0].value_from.is_none());
    }

    #[test]
    fn null_removes_a_field() {
        let documents = read_with("t.yaml", TEST, &changes("spec: {target: {headers: null}}\n")).unwrap();
        let Object::LoadTest(test) = &documents[0].object else { panic!() };
        assert!(test.spec.target.headers.is_empty());
    }

    #[test]
    fn what_is_wrong_stands_in_the_values_file() {
        let problems = read_with("t.yaml", TEST, &changes("spec:\n  profile:\n    userz: 3\n")).unwrap_err();
        assert_eq!(
            problems[0].to_string(),
            "v.yaml:3:5: spec.profile.userz: unknown field; did you mean \"users\"?"
        );
        let problems =
            read_with("t.yaml", &TEST.replace("smoke", "smok"), &changes("spec: {}\n")).unwrap_err();
        assert!(problems[0].to_string().starts_with("t.yaml:9:21: spec.profile.preset"), "{}", problems[0]);
    }

    #[test]
    fn other_files_are_refused() {
        for (text, wanted) in [
            ("target: {url: x}\n", "v.yaml:1:1: target: a values file holds"),
            ("kind: ConfigMap\nspec: {}\n", "v.yaml:1:1: kind: a values file"),
            ("a: [", "v.yaml:"),
            ("spec: {}\n---\nspec: {}\n", "v.yaml: holds 2 documents"),
        ] {
            let problems = Overlay::read("v.yaml", text).unwrap_err();
            assert!(problems[0].to_string().starts_with(wanted), "{}", problems[0]);
        }
    }
}
