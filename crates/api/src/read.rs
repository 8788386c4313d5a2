//! Reads manifests: YAML with positions, checked against the CRDs' own schemas, every problem with file, line and path.
//!
//! Used by the command line; the API server checks the same schema when a manifest is applied. What goes beyond the schema is
//! checked by `lower.rs`, whose errors name a path; [`Source::problem`] finds its line.

mod overlay;
mod parse;
mod path;
mod set;
mod texts;
mod walk;

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use plimsoll_scenario::did_you_mean;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use overlay::Overlay;
pub use parse::Position;
#[cfg(test)]
pub(crate) use parse::parse_value;
use path::Path;
pub(crate) use path::field_path;
pub use set::Set;

use crate::v1alpha1::{API_VERSION, ClusterLoadProfile, GROUP, LoadProfile, LoadTest, LoadTestRun};

/// Something in a manifest that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// File as it was named, or the `--set` argument.
    pub file: String,
    /// Line from 1; 0 if the problem has none.
    pub line: usize,
    /// Column from 1.
    pub column: usize,
    /// Path of the field; empty if the problem is not of a field.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// One object of a manifest, and where it was written.
#[derive(Clone, Debug)]
pub struct Document {
    /// The object.
    pub object: Object,
    /// Where it was written.
    pub source: Source,
}

/// The kinds of objects that manifests hold.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Object {
    LoadTest(Box<LoadTest>),
    LoadTestRun(Box<LoadTestRun>),
    LoadProfile(Box<LoadProfile>),
    ClusterLoadProfile(Box<ClusterLoadProfile>),
    Secret(Box<Secret>),
    ConfigMap(Box<ConfigMap>),
    /// An object of another API, which a manifest may hold beside ours: `apps/v1 Deployment`.
    Other(String),
}

/// Where the fields of a document were written.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// File as it was named.
    pub file: String,
    positions: parse::Positions,
    /// What overlays wrote, by path.
    overlaid: HashMap<String, overlay::Place>,
    sets: Vec<Set>,
}

/// What is changed in every LoadTest before it is checked: first the overlays, then single fields.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Parts of a spec, in order.
    pub overlays: Vec<Overlay>,
    /// Single fields, in order.
    pub sets: Vec<Set>,
}

impl Source {
    /// Where the value at a path begins, or else the nearest value around it.
    #[must_use]
    pub fn position(&self, path: &str) -> Option<Position> {
        self.positions.value(path)
    }

    /// A problem with the field at a path such as `spec.slos[0].latency`.
    #[must_use]
    pub fn problem(&self, path: &str, message: impl Into<String>) -> Problem {
        self.at(path, self.positions.value(path), message.into(), |place| place.value)
    }

    /// A problem with the name of a field rather than its value.
    fn key_problem(&self, path: &str, message: String) -> Problem {
        self.at(path, self.positions.key(path), message, |place| place.key)
    }

    fn at(
        &self,
        path: &str,
        position: Option<Position>,
        message: String,
        in_overlay: impl Fn(&overlay::Place) -> Position,
    ) -> Problem {
        if let Some(set) = self.sets.iter().find(|set| set.covers(path)) {
            return Problem {
                file: format!("--set {set}"),
                line: 0,
                column: 0,
                path: path.to_owned(),
                message,
            };
        }
        let place = self.overlaid(path);
        let (file, position) = place.map_or((&self.file, position), |p| (&p.file, Some(in_overlay(p))));
        let (line, column) = position.map_or((0, 0), |p| (p.line, p.column));
        Problem { file: file.clone(), line, column, path: path.to_owned(), message }
    }

    /// Where an overlay wrote a field, or the nearest value around it.
    fn overlaid(&self, path: &str) -> Option<&overlay::Place> {
        fn around<'p>(path: &&'p str) -> Option<&'p str> {
            path.rfind(['.', '[']).map(|end| &path[..end])
        }
        std::iter::successors(Some(path), around).find_map(|path| self.overlaid.get(path))
    }
}

/// Reads all documents of a manifest. `file` only names it in messages.
///
/// # Errors
/// Every problem of every document, in the order of the lines.
pub fn read(file: &str, text: &str) -> Result<Vec<Document>, Vec<Problem>> {
    read_with(file, text, &Changes::default())
}

/// As [`read`], with fields of every LoadTest changed before it is checked.
///
/// # Errors
/// Every problem of every document, in the order of the lines.
pub fn read_with(file: &str, text: &str, changes: &Changes) -> Result<Vec<Document>, Vec<Problem>> {
    let parsed = parse::parse(text).map_err(|wrong| {
        vec![Problem {
            file: file.to_owned(),
            line: wrong.position.line,
            column: wrong.position.column,
            path: wrong.path,
            message: wrong.message,
        }]
    })?;
    let mut documents = Vec::new();
    let mut problems = Vec::new();
    for (value, positions) in parsed {
        let source = Source { file: file.to_owned(), positions, ..Source::default() };
        match document(value, source, changes) {
            Ok(document) => documents.push(document),
            Err(more) => problems.extend(more),
        }
    }
    if problems.is_empty() {
        return Ok(documents);
    }
    problems.sort_by_key(|p| (p.line, p.column));
    Err(problems)
}

/// Schemas by kind, as the API server has them.
static SCHEMAS: LazyLock<Vec<(String, Value)>> = LazyLock::new(|| {
    crate::crds()
        .into_iter()
        .filter_map(|crd| {
            let schema = crd.spec.versions.first()?.schema.as_ref()?.open_api_v3_schema.as_ref()?;
            Some((crd.spec.names.kind, serde_json::to_value(schema).ok()?))
        })
        .collect()
});

fn schema_of(kind: &str) -> Option<&'static Value> {
    SCHEMAS.iter().find(|(known, _)| known == kind).map(|(_, schema)| schema)
}

fn document(mut value: Value, mut source: Source, changes: &Changes) -> Result<Document, Vec<Problem>> {
    let kind = word(&value, &source, "kind").map_err(|p| vec![p])?;
    let version = word(&value, &source, "apiVersion").map_err(|p| vec![p])?;
    let ours = version.split('/').next() == Some(GROUP);
    match (version.as_str(), kind.as_str()) {
        (_, "LoadTest") if ours => {
            for overlay in &changes.overlays {
                source.overlaid.extend(overlay.apply(schema_of(&kind).unwrap_or(&Value::Null), &mut value));
            }
            for set in &changes.sets {
                set.apply(&mut value).map_err(|message| {
                    vec![Problem {
                        file: format!("--set {set}"),
                        line: 0,
                        column: 0,
                        path: String::new(),
                        message,
                    }]
                })?;
            }
            source.sets.clone_from(&changes.sets);
            typed(value, source, &version, &kind, Object::LoadTest)
        }
        (_, "LoadTestRun") if ours => typed(value, source, &version, &kind, Object::LoadTestRun),
        (_, "LoadProfile") if ours => {
            checked_profile(typed(value, source, &version, &kind, Object::LoadProfile)?)
        }
        (_, "ClusterLoadProfile") if ours => {
            checked_profile(typed(value, source, &version, &kind, Object::ClusterLoadProfile)?)
        }
        ("v1", "Secret") => secret(value, source),
        ("v1", "ConfigMap") => foreign(value, source, Object::ConfigMap),
        _ => {
            let kinds: Vec<&str> = SCHEMAS.iter().map(|(kind, _)| kind.as_str()).collect();
            if kinds.contains(&kind.as_str()) {
                return Err(vec![source.problem("apiVersion", format!("{version:?} is not {API_VERSION}"))]);
            }
            if ours || did_you_mean(&kind, kinds.iter().copied()).is_some() {
                return Err(vec![source.problem("kind", walk::unknown_word(&kind, &kinds))]);
            }
            Ok(Document { object: Object::Other(format!("{version} {kind}")), source })
        }
    }
}

/// A text at the top of the document.
fn word(value: &Value, source: &Source, field: &str) -> Result<String, Problem> {
    match value.get(field) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(source.problem(field, "must be a string")),
        None => {
            let mut problem =
                source.problem("", format!("{field} is missing: every document needs apiVersion and kind"));
            problem.path.clear();
            Err(problem)
        }
    }
}

/// An object of ours, checked against its schema.
fn typed<T: DeserializeOwned>(
    value: Value,
    source: Source,
    version: &str,
    kind: &str,
    wrap: impl Fn(Box<T>) -> Object,
) -> Result<Document, Vec<Problem>> {
    if version != API_VERSION {
        return Err(vec![source.problem("apiVersion", format!("{version:?} is not {API_VERSION}"))]);
    }
    let problems = schema_of(kind).map(|schema| walk::document(schema, &value, &source)).unwrap_or_default();
    if !problems.is_empty() {
        return Err(problems);
    }
    foreign(value, source, wrap)
}

/// A profile that makes sense by itself; what a test adds is checked with the test.
fn checked_profile(document: Document) -> Result<Document, Vec<Problem>> {
    let spec = match &document.object {
        Object::LoadProfile(profile) => &profile.spec,
        Object::ClusterLoadProfile(profile) => &profile.spec.0,
        _ => return Ok(document),
    };
    let wrong = crate::lower::check_profile(spec);
    let problems: Vec<Problem> =
        wrong.into_iter().map(|(path, message)| document.source.problem(&path, message)).collect();
    if problems.is_empty() { Ok(document) } else { Err(problems) }
}

/// A Secret; no message about it holds a value.
fn secret(value: Value, source: Source) -> Result<Document, Vec<Problem>> {
    let mut problems = Vec::new();
    for field in ["data", "stringData"] {
        let keys = match value.get(field) {
            None | Some(Value::Null) => continue,
            Some(Value::Object(keys)) => keys,
            Some(_) => {
                problems.push(source.problem(field, "must be a map"));
                continue;
            }
        };
        for (key, value) in keys {
            let message = match value {
                Value::String(_) if field == "stringData" => continue,
                Value::String(_) if serde_json::from_value::<ByteString>(value.clone()).is_ok() => continue,
                Value::String(_) => "not base64: encode it, or write the plain text under stringData",
                _ => "must be a string: put it in quotes",
            };
            problems.push(source.problem(&Path::default().field(field).field(key).to_string(), message));
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let whole = source.problem("", "not a v1 Secret: check its metadata and type");
    foreign(value, source, Object::Secret).map_err(|_| vec![whole])
}

/// An object whose schema is not ours: its type is the check.
fn foreign<T: DeserializeOwned>(
    value: Value,
    source: Source,
    wrap: impl Fn(Box<T>) -> Object,
) -> Result<Document, Vec<Problem>> {
    match serde_json::from_value(value) {
        Ok(object) => Ok(Document { object: wrap(Box::new(object)), source }),
        Err(wrong) => Err(vec![source.problem("", wrong.to_string())]),
    }
}
