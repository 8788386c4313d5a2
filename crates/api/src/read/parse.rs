//! YAML text to values and the positions of their keys and values.
//!
//! YAML 1.2, where `yes` and `n` are texts; kubectl reads YAML 1.1, where they are booleans. So that a manifest means the same
//! everywhere, such words must be in quotes.

use std::collections::HashMap;

use saphyr::{LoadableYamlNode, MarkedYaml, Marker, Scalar, YamlData};
use serde_json::{Map, Number, Value};

use super::path::{Path, Segment};

/// A place in a text, both from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
}

/// Where the keys and values of a document stand, by displayed path.
#[derive(Clone, Debug, Default)]
pub(super) struct Positions {
    /// Key (if it has one) and value.
    places: HashMap<String, (Option<Position>, Position)>,
}

impl Positions {
    /// Where a value begins, or the nearest value around it that was written.
    pub(super) fn value(&self, path: &str) -> Option<Position> {
        self.nearest(path).map(|(_, value)| value)
    }

    /// Where the key of a value begins.
    pub(super) fn key(&self, path: &str) -> Option<Position> {
        self.nearest(path).map(|(key, value)| key.unwrap_or(value))
    }

    fn nearest(&self, path: &str) -> Option<(Option<Position>, Position)> {
        let mut path = path;
        loop {
            if let Some(place) = self.places.get(path) {
                return Some(*place);
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }
}

/// A text that is not the YAML of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NotYaml {
    pub(super) position: Position,
    pub(super) path: String,
    pub(super) message: String,
}

/// All documents of a text; empty ones are left out.
pub(super) fn parse(text: &str) -> Result<Vec<(Value, Positions)>, NotYaml> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let nodes = MarkedYaml::load_from_str(text).map_err(|wrong| NotYaml {
        position: position(*wrong.marker()),
        path: String::new(),
        message: format!("not YAML: {}{}", wrong.info(), remedy(wrong.info())),
    })?;
    let lines: Vec<&str> = text.lines().collect();
    let mut documents = Vec::new();
    for node in nodes {
        let mut positions = Positions::default();
        let value = convert(&node, None, &Path::default(), &mut positions)?;
        refuse_booleans_of_kubectl(&value, &lines, &positions)?;
        match value {
            Value::Null => {}
            Value::Object(_) => documents.push((value, positions)),
            _ => {
                return Err(NotYaml {
                    position: position(node.span.start),
                    path: String::new(),
                    message: "a document is a map of apiVersion, kind, metadata and spec".to_owned(),
                });
            }
        }
    }
    Ok(documents)
}

/// What most likely helps against what the parser says.
fn remedy(info: &str) -> &'static str {
    if info.contains("flow mapping") || info.contains("flow sequence") {
        "; within {} or [] a value that holds any of , [ ] { } or \": \" needs quotes around it"
    } else if info.contains("tabs disallowed") {
        "; indent with spaces"
    } else if info.contains("mapping values") {
        "; a value that holds \": \" needs quotes around it, and a field its own line"
    } else if info.contains("block mapping") || info.contains("block collection") {
        "; fields of one map begin in one column, and so do the \"- \" of one list"
    } else {
        ""
    }
}

/// One value, as `--set` and tests write it.
///
/// # Errors
/// Says why the text is not one YAML value.
pub(crate) fn parse_value(text: &str) -> Result<Value, String> {
    let nodes = MarkedYaml::load_from_str(text).map_err(|wrong| wrong.info().to_owned())?;
    match nodes.as_slice() {
        [] => Ok(Value::Null),
        [node] => {
            convert(node, None, &Path::default(), &mut Positions::default()).map_err(|wrong| wrong.message)
        }
        _ => Err("more than one document".to_owned()),
    }
}

/// Words without quotes that YAML 1.1 takes for true or false, and YAML 1.2 for texts.
fn refuse_booleans_of_kubectl(value: &Value, lines: &[&str], positions: &Positions) -> Result<(), NotYaml> {
    let mut ways = vec![(Path::default(), value)];
    let mut found: Vec<NotYaml> = Vec::new();
    while let Some((path, value)) = ways.pop() {
        let (key, here) = positions.places.get(&path.to_string()).copied().unwrap_or_default();
        if let Some(Segment::Field(name)) = path.0.last() {
            found.extend(key.and_then(|key| boolean_of_kubectl(name, key, lines, &path)));
        }
        match value {
            Value::String(word) => found.extend(boolean_of_kubectl(word, here, lines, &path)),
            Value::Object(fields) => {
                ways.extend(fields.iter().map(|(name, value)| (path.field(name), value)));
            }
            Value::Array(items) => {
                ways.extend(items.iter().enumerate().map(|(at, item)| (path.index(at), item)));
            }
            _ => {}
        }
    }
    found.sort_by_key(|wrong| (wrong.position.line, wrong.position.column));
    found.into_iter().next().map_or(Ok(()), Err)
}

fn boolean_of_kubectl(word: &str, position: Position, lines: &[&str], path: &Path) -> Option<NotYaml> {
    let meaning = match word.to_ascii_lowercase().as_str() {
        "y" | "yes" | "on" => "true",
        "n" | "no" | "off" => "false",
        _ => return None,
    };
    let written = lines.get(position.line.checked_sub(1)?)?.chars().skip(position.column.checked_sub(1)?);
    let plain = written.take(word.chars().count()).eq(word.chars());
    plain.then(|| NotYaml {
        position,
        path: path.to_string(),
        message: format!("{word} without quotes is {meaning} for kubectl: write {meaning}, or {word:?} if you mean the word"),
    })
}

fn position(marker: Marker) -> Position {
    Position { line: marker.line(), column: marker.col() + 1 }
}

fn convert(
    node: &MarkedYaml<'_>,
    key: Option<Position>,
    path: &Path,
    positions: &mut Positions,
) -> Result<Value, NotYaml> {
    // An empty value has no place of its own: the parser gives that of what follows.
    let empty = matches!(node.data, YamlData::Value(Scalar::Null));
    let here = key.filter(|_| empty).unwrap_or_else(|| position(node.span.start));
    positions.places.insert(path.to_string(), (key, here));
    let wrong = |message: String| NotYaml { position: here, path: path.to_string(), message };
    Ok(match &node.data {
        YamlData::Value(scalar) => scalar_value(scalar).map_err(wrong)?,
        YamlData::Sequence(items) => {
            let items = items.iter().enumerate();
            items
                .map(|(at, item)| convert(item, None, &path.index(at), positions))
                .collect::<Result<_, _>>()?
        }
        YamlData::Mapping(entries) => {
            let mut map = Map::new();
            for (key, value) in entries {
                let name = field_name(key).ok_or_else(|| NotYaml {
                    position: position(key.span.start),
                    path: path.to_string(),
                    message: "a field name must be a text".to_owned(),
                })?;
                let value = convert(value, Some(position(key.span.start)), &path.field(&name), positions)?;
                map.insert(name, value);
            }
            Value::Object(map)
        }
        YamlData::Tagged(tag, _) => {
            return Err(wrong(format!("the tag {tag} means nothing here: remove it")));
        }
        YamlData::Representation(..) | YamlData::Alias(_) | YamlData::BadValue => {
            return Err(wrong("not a value that its tag allows".to_owned()));
        }
    })
}

fn field_name(key: &MarkedYaml<'_>) -> Option<String> {
    match &key.data {
        YamlData::Value(Scalar::String(name)) => Some(name.to_string()),
        YamlData::Value(Scalar::Integer(number)) => Some(number.to_string()),
        YamlData::Value(Scalar::Boolean(word)) => Some(word.to_string()),
        _ => None,
    }
}

fn scalar_value(scalar: &Scalar<'_>) -> Result<Value, String> {
    Ok(match scalar {
        Scalar::Null => Value::Null,
        Scalar::Boolean(word) => Value::Bool(*word),
        Scalar::Integer(number) => Value::from(*number),
        Scalar::FloatingPoint(number) => match Number::from_f64(number.into_inner()) {
            Some(number) => Value::Number(number),
            None => return Err(format!("{number} is not a number that JSON knows")),
        },
        Scalar::String(text) => Value::from(text.as_ref()),
    })
}
