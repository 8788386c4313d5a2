//! `--set spec.profile.users=5`: fields of a LoadTest set before it is checked.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value, json};

use super::parse::parse_value;
use super::path::{Path, Segment};

/// A field and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Set {
    path: Path,
    value: Value,
    text: String,
}

impl FromStr for Set {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The first = outside of brackets: `spec.slos[name=p95].disabled=true`.
        let mut depth = 0usize;
        let at = text
            .char_indices()
            .find(|(_, c)| {
                match c {
                    '[' => depth += 1,
                    ']' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                depth == 0 && *c == '='
            })
            .map(|(at, _)| at)
            .ok_or_else(|| format!("{text:?} is not path=value, such as spec.profile.users=5"))?;
        let (path, value) = (&text[..at], &text[at + 1..]);
        let path = Path::parse(path)?;
        let value = parse_value(value).map_err(|wrong| format!("{value:?} is not a value: {wrong}"))?;
        Ok(Self { path, value, text: text.to_owned() })
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Set {
    /// Whether the field at a path is set by this, or is inside of what is.
    pub(super) fn covers(&self, path: &str) -> bool {
        let own = self.path.to_string();
        path.strip_prefix(own.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }

    /// Sets the field, making the maps on the way to it.
    pub(super) fn apply(&self, document: &mut Value) -> Result<(), String> {
        let mut value = document;
        for (at, segment) in self.path.0.iter().enumerate() {
            let so_far = Path(self.path.0[..at].to_vec());
            if value.is_null() {
                *value =
                    if matches!(segment, Segment::Field(_)) { Value::Object(Map::new()) } else { json!([]) };
            }
            value = match (segment, value) {
                (Segment::Field(name), Value::Object(map)) => map.entry(name.as_str()).or_insert(Value::Null),
                (Segment::Index(index), Value::Array(items)) => {
                    let length = items.len();
                    items
                        .get_mut(*index)
                        .ok_or_else(|| format!("{so_far} has {length} items, none at {index}"))?
                }
                (Segment::Named(name), Value::Array(items)) => named(items, name),
                (Segment::Field(_), _) => return Err(format!("{so_far} is not a map")),
                (_, _) => return Err(format!("{so_far} is not a list")),
            };
        }
        *value = self.value.clone();
        Ok(())
    }
}

/// The item of that name, made if there is none.
fn named<'a>(items: &'a mut Vec<Value>, name: &str) -> &'a mut Value {
    let at = items.iter().position(|item| item.get("name").and_then(Value::as_str) == Some(name));
    let at = at.unwrap_or_else(|| {
        items.push(json!({"name": name}));
        items.len() - 1
    });
    &mut items[at]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> Result<Value, String> {
        let mut value = json!({"spec": {"profile": {"preset": "smoke"}, "slos": [{"name": "p95"}]}});
        text.parse::<Set>()?.apply(&mut value)?;
        Ok(value)
    }

    #[test]
    fn sets_what_is_there_and_what_is_not() {
        for (text, pointer, value) in [
            ("spec.profile.users=5", "/spec/profile/users", json!(5)),
            ("spec.profile.duration=10s", "/spec/profile/duration", json!("10s")),
            ("spec.validity.minSamples=1", "/spec/validity/minSamples", json!(1)),
            ("spec.slos[0].disabled=true", "/spec/slos/0/disabled", json!(true)),
            ("spec.slos[name=p95].disabled=true", "/spec/slos/0/disabled", json!(true)),
            ("spec.slos[name=new].severity=Info", "/spec/slos/1", json!({"name": "new", "severity": "Info"})),
            ("spec.vars[name=a].value=x=y", "/spec/vars/0", json!({"name": "a", "value": "x=y"})),
            ("spec.profile={preset: light}", "/spec/profile", json!({"preset": "light"})),
        ] {
            assert_eq!(set(text).unwrap().pointer(pointer), Some(&value), "{text}");
        }
        for text in
            ["spec.profile.users", "spec.slos[1].x=1", "spec.profile[0]=1", "spec.profile.preset.x=1", "=1"]
        {
            assert!(set(text).is_err(), "{text}");
        }
    }
}
