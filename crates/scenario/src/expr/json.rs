//! Reads JSON (RFC 8259): a whole text into a [`Value`], or only what a constant path selects, without building the rest. Both
//! ways walk the whole text by the same grammar, so they agree on what is JSON and what is not.

use std::sync::Arc;

use super::scan::{Quoted, Scan, escape};
use super::value::{Key, Map, TypeName, Value};

/// Names that are shared; looking for one among more would cost more than it saves.
const MOST_NAMES: usize = 16;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// `.name` or `['name']`.
    Key(Arc<str>),
    /// `[3]`.
    At(i64),
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found<'t> {
    /// A value: its JSON text, without blanks around it.
    Value(&'t str),
    /// The step with this number leads nowhere from a value of this type.
    Nothing(usize, TypeName),
}

/// The value of a JSON text: numbers without fraction and exponent that fit are ints, all others doubles; of members with the
/// same name the last counts. Nothing if the text is not JSON.
pub(crate) fn parse(text: &str) -> Option<Value> {
    let mut scan = Scan::<false>::new(text);
    let value = build(&mut scan, &mut Vec::new())?;
    scan.ends().then_some(value)
}

/// What a path leads to in a JSON text; nothing if the text is not JSON. Walks over all of the text, even if it is `KNOWN` to be
/// JSON: a later member may have the same name.
pub(super) fn select<'t, const KNOWN: bool>(text: &'t str, path: &[Step]) -> Option<Found<'t>> {
    let mut scan = Scan::<KNOWN>::new(text);
    let found = follow(&mut scan, path, 0)?;
    scan.ends().then_some(found)
}

/// Goes over a value and keeps what the rest of the path leads to.
fn follow<'t, const KNOWN: bool>(
    scan: &mut Scan<'t, KNOWN>,
    path: &[Step],
    done: usize,
) -> Option<Found<'t>> {
    let next = scan.blanks()?;
    let start = scan.at();
    let Some(step) = path.get(done) else {
        scan.skip()?;
        return scan.since(start).map(Found::Value);
    };
    match (next, step) {
        (b'{', Step::Key(key)) => {
            let mut found = Found::Nothing(done, TypeName::Map);
            scan.members(|scan, name| {
                if name.is(key) {
                    found = follow(scan, path, done + 1)?;
                    Some(())
                } else {
                    scan.skip()
                }
            })?;
            Some(found)
        }
        (b'[', Step::At(wanted)) => {
            let mut found = Found::Nothing(done, TypeName::List);
            let mut index = 0;
            scan.items(|scan| {
                let here = index == *wanted;
                index += 1;
                if here {
                    found = follow(scan, path, done + 1)?;
                    Some(())
                } else {
                    scan.skip()
                }
            })?;
            Some(found)
        }
        _ => {
            scan.skip()?;
            Some(Found::Nothing(done, type_of(scan.since(start)?)))
        }
    }
}

/// Builds a value. Names that have occurred are shared: the elements of a list often have the same.
fn build(scan: &mut Scan<'_, false>, names: &mut Vec<Arc<str>>) -> Option<Value> {
    let next = scan.blanks()?;
    let start = scan.at();
    Some(match next {
        b'{' => {
            let mut entries = Vec::new();
            scan.members(|scan, name| {
                let known = names.iter().find(|known| name.is(known)).cloned();
                let name = match known {
                    Some(known) => known,
                    None => {
                        let name = name.value()?;
                        if names.len() < MOST_NAMES {
                            names.push(name.clone());
                        }
                        name
                    }
                };
                entries.push((Key::String(name), build(scan, names)?));
                Some(())
            })?;
            Value::Map(Map::new(entries).into())
        }
        b'[' => {
            let mut items = Vec::new();
            scan.items(|scan| {
                items.push(build(scan, names)?);
                Some(())
            })?;
            Value::List(items.into())
        }
        b'"' => {
            let escaped = scan.string()?;
            Value::String(Quoted { text: scan.since(start)?, escaped }.value()?)
        }
        _ => {
            scan.skip()?;
            scalar(scan.since(start)?)?
        }
    })
}

/// The type of a value by its valid JSON text.
pub(super) fn type_of(raw: &str) -> TypeName {
    match raw.as_bytes().first() {
        Some(b'{') => TypeName::Map,
        Some(b'[') => TypeName::List,
        Some(b'"') => TypeName::String,
        Some(b't' | b'f') => TypeName::Bool,
        Some(b'n') | None => TypeName::Null,
        Some(_) => number(raw).map_or(TypeName::Double, |value| value.type_name()),
    }
}

/// Number of elements or members of a list or map by its valid JSON text.
pub(super) fn size_of(raw: &str) -> Option<usize> {
    if raw.starts_with('{') {
        // Names may repeat.
        return match parse(raw)? {
            Value::Map(map) => Some(map.len()),
            _ => None,
        };
    }
    let mut scan = Scan::<true>::new(raw);
    let mut count = 0;
    scan.items(|scan| {
        count += 1;
        scan.skip()
    })?;
    Some(count)
}

/// The value of a valid JSON text that is no list and no map.
pub(super) fn scalar(raw: &str) -> Option<Value> {
    Some(match raw.as_bytes().first()? {
        b'"' => match plain(raw) {
            Some(text) => Value::text(text),
            None => Value::String(decoded(raw)?.into()),
        },
        b't' => Value::Bool(true),
        b'f' => Value::Bool(false),
        b'n' => Value::Null,
        _ => return number(raw),
    })
}

fn number(raw: &str) -> Option<Value> {
    if let Ok(int) = raw.parse() {
        return Some(Value::Int(int));
    }
    raw.parse().ok().filter(|double: &f64| double.is_finite()).map(Value::Double)
}

/// The text within a valid string's quotes, if none of it is escaped.
#[inline]
pub(super) fn plain(quoted: &str) -> Option<&str> {
    let inner = inner(quoted)?;
    (!inner.as_bytes().contains(&b'\\')).then_some(inner)
}

#[inline]
fn inner(quoted: &str) -> Option<&str> {
    quoted.get(1..quoted.len().checked_sub(1)?)
}

impl Quoted<'_> {
    #[inline]
    fn is(&self, name: &str) -> bool {
        if self.escaped {
            return decoded(self.text).is_some_and(|decoded| decoded == name);
        }
        inner(self.text) == Some(name)
    }

    fn value(&self) -> Option<Arc<str>> {
        if self.escaped { decoded(self.text).map(Into::into) } else { inner(self.text).map(Into::into) }
    }
}

fn decoded(quoted: &str) -> Option<String> {
    let mut rest = inner(quoted)?;
    let mut out = String::with_capacity(rest.len());
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let (character, length) = escape(&rest[at..])?;
        out.push(character);
        rest = rest.get(at + length..)?;
    }
    out.push_str(rest);
    Some(out)
}
