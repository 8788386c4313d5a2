//! Writes values as YAML: block style, fields in the order given, strings quoted only where they must be. Read by `read.rs`.

use serde::Serialize;
use serde_json::{Map, Number, Value};

/// A value as one YAML document, without a leading `---`.
///
/// # Errors
/// If the value cannot be serialised (its map keys are not strings).
pub fn to_yaml<T: Serialize + ?Sized>(value: &T) -> Result<String, serde_json::Error> {
    to_yaml_within(value, 0)
}

/// As [`to_yaml`], with maps and lists in flow style, on one line, wherever that takes at most `width` characters beside the
/// indentation.
///
/// # Errors
/// If the value cannot be serialised (its map keys are not strings).
pub fn to_yaml_within<T: Serialize + ?Sized>(value: &T, width: usize) -> Result<String, serde_json::Error> {
    let value = serde_json::to_value(value)?;
    let mut out = String::new();
    match &value {
        Value::Object(map) if !map.is_empty() => fields(map, (0, width), false, &mut out),
        Value::Array(items) if !items.is_empty() => list(items, (0, width), &mut out),
        other => {
            scalar(other, 0, &mut out);
            out.push('\n');
        }
    }
    Ok(out)
}

/// Writes the fields of a map; the first one on the line that is begun, if `begun`.
fn fields(map: &Map<String, Value>, (indent, width): (usize, usize), mut begun: bool, out: &mut String) {
    for (key, value) in map {
        if !begun {
            out.extend(std::iter::repeat_n(' ', indent));
        }
        begun = false;
        let start = out.len();
        text(key, out);
        out.push(':');
        if in_flow(value, width.saturating_sub(out.len() - start), out) {
            continue;
        }
        match value {
            Value::Object(map) if !map.is_empty() => {
                out.push('\n');
                fields(map, (indent + 2, width), false, out);
            }
            Value::Array(items) if !items.is_empty() => {
                out.push('\n');
                list(items, (indent, width), out);
            }
            other => {
                out.push(' ');
                scalar(other, indent + 2, out);
                out.push('\n');
            }
        }
    }
}

/// Writes a map or list that is not empty and the rest of its line, if that takes at most `room` characters.
fn in_flow(value: &Value, room: usize, out: &mut String) -> bool {
    let is_nested = match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    if !is_nested || room < 2 {
        return false;
    }
    let mut line = String::from(" ");
    flow(value, &mut line);
    let fits = line.chars().count() <= room;
    if fits {
        out.push_str(&line);
        out.push('\n');
    }
    fits
}

/// Writes a value in flow style.
fn flow(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            out.push('{');
            for (at, (key, value)) in map.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ", " });
                flow_text(key, out);
                out.push_str(": ");
                flow(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ", " });
                flow(item, out);
            }
            out.push(']');
        }
        Value::String(s) => flow_text(s, out),
        Value::Number(n) => number(n, out),
        other => out.push_str(&other.to_string()),
    }
}

/// A string within flow style, where brackets and commas mean something.
fn flow_text(s: &str, out: &mut String) {
    if is_plain(s) && !s.contains([',', '[', ']', '{', '}']) {
        out.push_str(s);
    } else if s.chars().any(char::is_control) {
        out.push_str(&Value::from(s).to_string());
    } else {
        quoted(s, out);
    }
}

fn list(items: &[Value], (indent, width): (usize, usize), out: &mut String) {
    for item in items {
        out.extend(std::iter::repeat_n(' ', indent));
        out.push('-');
        if in_flow(item, width.saturating_sub(1), out) {
            continue;
        }
        out.push(' ');
        match item {
            Value::Object(map) if !map.is_empty() => fields(map, (indent + 2, width), true, out),
            // A list directly in a list: flow style is plain enough.
            Value::Array(_) => {
                out.push_str(&item.to_string());
                out.push('\n');
            }
            other => {
                scalar(other, indent + 2, out);
                out.push('\n');
            }
        }
    }
}

fn scalar(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::String(s) if is_block(s) => block(s, indent, out),
        Value::String(s) => text(s, out),
        Value::Number(n) => number(n, out),
        // null, true, false, {} and [] read the same in both languages.
        other => out.push_str(&other.to_string()),
    }
}

/// Schemas hold their bounds as floats; whole ones are written as people write them.
fn number(number: &Number, out: &mut String) {
    #[allow(clippy::cast_possible_truncation)] // checked to be whole and small
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 9e15 => {
            out.push_str(&(float as i64).to_string());
        }
        _ => out.push_str(&number.to_string()),
    }
}

/// Several lines that a literal block can hold as they are.
fn is_block(s: &str) -> bool {
    let body = s.strip_suffix('\n').unwrap_or(s);
    body.contains('\n')
        && !body.ends_with('\n')
        && !body.starts_with([' ', '\n'])
        && s.chars().all(|c| c == '\n' || !c.is_control())
}

fn block(s: &str, indent: usize, out: &mut String) {
    let body = s.strip_suffix('\n');
    out.push_str(if body.is_some() { "|" } else { "|-" });
    for line in body.unwrap_or(s).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.extend(std::iter::repeat_n(' ', indent));
            out.push_str(line);
        }
    }
}

fn text(s: &str, out: &mut String) {
    if is_plain(s) {
        out.push_str(s);
    } else if s.chars().any(char::is_control) {
        // A JSON string is a double-quoted YAML scalar.
        out.push_str(&Value::from(s).to_string());
    } else {
        quoted(s, out);
    }
}

fn quoted(s: &str, out: &mut String) {
    out.push('\'');
    out.push_str(&s.replace('\'', "''"));
    out.push('\'');
}

/// Whether every reader takes the text without quotes for this very string.
fn is_plain(s: &str) -> bool {
    let first = s.chars().next().unwrap_or(' ');
    let safe = |c: char| c.is_alphanumeric() || " _-./:;,()$+=%≤≥…<>*?!&|{}[]@~^\"'#".contains(c);
    let word = s.to_ascii_lowercase();
    let other_type = matches!(
        word.as_str(),
        "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n" | "nan" | "inf"
    );
    // Sexagesimal numbers and timestamps of YAML 1.1 begin with a digit or sign, too.
    let number =
        first.is_ascii_digit() && s.chars().all(|c| c.is_ascii_hexdigit() || "xo._:-+eETZ ".contains(c));
    (first.is_alphanumeric() || "/_$".contains(first))
        && !s.ends_with([' ', ':'])
        && s.chars().all(safe)
        && !s.contains(": ")
        && !s.contains(" #")
        && !other_type
        && !number
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn looks_as_people_write_it() {
        let value = json!({
            "kind": "LoadTest", "n": 3, "max": 10.0, "bound": 0.8, "none": {}, "yes": "yes", "port": "8080",
            "list": [{"a": 1, "b": [1, 2]}, "x"], "script": "one\ntwo\n", "q": "a: b", "rate": "10/s"
        });
        assert_eq!(
            to_yaml(&value).unwrap(),
            "kind: LoadTest\n'n': 3\nmax: 10\nbound: 0.8\nnone: {}\n'yes': 'yes'\nport: '8080'\nlist:\n- a: 1\n  b:\n  - 1\n  - 2\n- x\n\
             script: |\n  one\n  two\nq: 'a: b'\nrate: 10/s\n"
        );
    }

    #[test]
    fn what_fits_is_on_one_line() {
        let value = json!({"a": {"b": [1, "x, y"], "c": {}}, "long": {"text": "12345678901234567890"}, "l": [{"a": 1}]});
        assert_eq!(
            to_yaml_within(&value, 30).unwrap(),
            "a: {b: [1, 'x, y'], c: {}}\nlong:\n  text: '12345678901234567890'\nl: [{a: 1}]\n"
        );
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            "[ -~\n\t]{0,12}",
            "(yes|no|~|null|0x1f|1e3|- a|# b|a #b|a:|'|\"|\\||>|%|@|`|12:30|2026-11-24|\\.inf|é ü)"
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            text.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(text.clone(), inner, 0..4)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn reads_back(value in any_value()) {
            for width in [0, 20, 80, 1000] {
                let text = to_yaml_within(&value, width).unwrap();
                prop_assert_eq!(crate::read::parse_value(&text), Ok(value.clone()), "{}", text);
            }
        }
    }
}
