//! A value where it lies: in a variable, a response, a constant. Comparing or measuring it makes no copy, and a list or map of a
//! JSON text is built only when it is kept.

use std::cell::{Cell, OnceCell};
use std::cmp::Ordering;
use std::sync::Arc;

use super::failure::Failure;
use super::json::{self, Found, Step};
use super::ops::{self, Op};
use super::value::{Key, TypeName, Value};

/// A value that need not be a copy.
#[derive(Clone, Debug)]
pub(super) enum View<'e> {
    /// Kept elsewhere.
    Held(&'e Value),
    /// A text that is no [`Value`].
    Text(&'e str),
    /// The valid JSON text of a list or a map.
    Raw(&'e str),
    /// Just computed, or too small to matter.
    Own(Value),
}

impl<'e> View<'e> {
    /// Its type.
    pub(super) fn type_name(&self) -> TypeName {
        match self {
            Self::Held(value) => value.type_name(),
            Self::Own(value) => value.type_name(),
            Self::Text(_) => TypeName::String,
            Self::Raw(raw) => json::type_of(raw),
        }
    }

    /// A copy.
    #[inline]
    pub(super) fn into_value(self) -> Value {
        match self {
            Self::Held(value) => value.clone(),
            Self::Own(value) => value,
            Self::Text(text) => Value::text(text),
            Self::Raw(raw) => json::parse(raw).unwrap_or(Value::Null),
        }
    }

    /// The text, if it is one.
    #[inline]
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Held(Value::String(text)) => Some(text),
            Self::Own(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// The value, if it is not a text that lies elsewhere or not yet built.
    #[inline]
    pub(super) fn value(&self) -> Option<&Value> {
        match self {
            Self::Held(value) => Some(value),
            Self::Own(value) => Some(value),
            Self::Text(_) | Self::Raw(_) => None,
        }
    }

    /// The int, if it is one.
    #[inline]
    pub(super) fn int(&self) -> Option<i64> {
        match self.value() {
            Some(Value::Int(int)) => Some(*int),
            _ => None,
        }
    }

    /// The same with its list or map built.
    #[inline]
    pub(super) fn built(self) -> Self {
        match self {
            Self::Raw(_) => Self::Own(self.into_value()),
            other => other,
        }
    }

    /// Whether it equals another.
    #[inline]
    pub(super) fn equals(self, other: Self) -> bool {
        if let (Some(a), Some(b)) = (self.value(), other.value()) {
            return ops::equal(a, b);
        }
        match (self.text(), other.text()) {
            (Some(a), Some(b)) => return a == b,
            (None, None) => {}
            _ => return false,
        }
        let (a, b) = (self.built(), other.built());
        a.value().zip(b.value()).is_some_and(|(a, b)| ops::equal(a, b))
    }

    /// Whether it is less than another, and so on.
    #[inline]
    pub(super) fn ordered(&self, op: Op, other: &Self) -> Result<bool, Failure> {
        let order: Option<Option<Ordering>> = match (self.text(), other.text()) {
            (Some(a), Some(b)) => Some(Some(a.cmp(b))),
            _ => self.value().zip(other.value()).and_then(|(a, b)| ops::order(a, b)),
        };
        match order {
            Some(order) => Ok(ops::holds(op, order)),
            None => Err(ops::unusable(op, self.type_name(), other.type_name())),
        }
    }

    /// Whether it is an element of a list or a key of a map.
    pub(super) fn lies_in(self, container: Self) -> Result<bool, Failure> {
        let container = container.built();
        match container.value() {
            Some(Value::List(items)) => match &self {
                Self::Text(text) => {
                    Ok(items.iter().any(|item| matches!(item, Value::String(item) if **item == **text)))
                }
                _ => {
                    let this = self.built();
                    Ok(this.value().is_some_and(|value| items.iter().any(|item| ops::equal(value, item))))
                }
            },
            Some(Value::Map(map)) => Ok(match self.text() {
                Some(text) => map.get(text).is_some(),
                None => self.as_key().is_some_and(|key| map.of(&key).is_some()),
            }),
            _ => Err(ops::unusable(Op::In, self.type_name(), container.type_name())),
        }
    }

    /// The key it is, if not a text; a whole double is the int it equals.
    fn as_key(&self) -> Option<Key> {
        match self.value()? {
            Value::Bool(key) => Some(Key::Bool(*key)),
            Value::Int(key) => Some(Key::Int(*key)),
            Value::Double(key) if key.fract() == 0.0 && key.abs() < 9e18 => Some(Key::Int(*key as i64)),
            _ => None,
        }
    }

    /// The value of a key that is a text.
    pub(super) fn member(self, name: &Arc<str>) -> Result<Self, Failure> {
        let found = match &self {
            Self::Held(Value::Map(map)) => map.get(name).map(View::Held),
            Self::Own(Value::Map(map)) => map.get(name).cloned().map(View::Own),
            Self::Raw(raw) => return select(raw, std::slice::from_ref(&Step::Key(name.clone()))),
            other => return Err(Failure::NoMember(other.type_name(), name.clone())),
        };
        found.ok_or_else(|| Failure::NoKey(name.clone()))
    }

    /// The element of a list or the value of a key.
    pub(super) fn at(self, index: &View<'_>) -> Result<Self, Failure> {
        let this = self.built();
        // Neither index nor key is shown: it may be what the user keeps secret.
        let found = match &this {
            Self::Held(Value::List(items)) => element(items, index)?.map(View::Held),
            Self::Own(Value::List(items)) => element(items, index)?.cloned().map(View::Own),
            Self::Held(Value::Map(map)) => entry(map, index).map(View::Held),
            Self::Own(Value::Map(map)) => entry(map, index).cloned().map(View::Own),
            other => return Err(no_index(other.type_name())),
        };
        found.ok_or_else(|| match this.type_name() {
            TypeName::List => Failure::new("the index is out of the list's range"),
            _ => Failure::new("no such key"),
        })
    }
}

fn element<'v>(items: &'v [Value], index: &View<'_>) -> Result<Option<&'v Value>, Failure> {
    match index.int() {
        Some(index) => Ok(usize::try_from(index).ok().and_then(|index| items.get(index))),
        None => Err(Failure::new("the index of a list must be an int")),
    }
}

fn entry<'v>(map: &'v super::value::Map, index: &View<'_>) -> Option<&'v Value> {
    match index.text() {
        Some(name) => map.get(name),
        None => index.as_key().and_then(|key| map.of(&key)),
    }
}

#[cold]
fn no_index(kind: TypeName) -> Failure {
    Failure::new(format!("cannot index {}; only lists and maps have elements", super::failure::article(kind)))
}

/// A text that may be JSON, and what is known of it already.
#[derive(Clone, Copy)]
pub(super) struct Document<'e> {
    /// Absent if it is not even UTF-8.
    pub(super) text: Option<&'e str>,
    /// Nothing inside: it is not JSON.
    pub(super) parsed: &'e OnceCell<Option<Value>>,
    /// Whether the text is known to be JSON.
    pub(super) known: &'e Cell<bool>,
}

/// Why a document has nothing at a path.
pub(super) enum Absent {
    /// The text is not JSON.
    NotJson,
    /// The step with this number leads nowhere from a value of this type.
    Nothing(usize, TypeName),
}

impl<'e> Document<'e> {
    /// The whole.
    pub(super) fn whole(self) -> Option<&'e Value> {
        self.parsed.get_or_init(|| self.text.and_then(json::parse)).as_ref()
    }

    /// What a path leads to; without building what is beside it.
    #[inline]
    pub(super) fn look(self, path: &[Step]) -> Result<View<'e>, Absent> {
        if path.is_empty() || self.parsed.get().is_some() {
            return walk(self.whole().ok_or(Absent::NotJson)?, path);
        }
        let text = self.text.ok_or(Absent::NotJson)?;
        let known = self.known.replace(true);
        let found = if known { json::select::<true>(text, path) } else { json::select::<false>(text, path) };
        match found {
            Some(Found::Value(raw)) => Ok(seen(raw)),
            Some(Found::Nothing(step, kind)) => Err(Absent::Nothing(step, kind)),
            None => {
                let _ = self.parsed.set(None);
                Err(Absent::NotJson)
            }
        }
    }
}

/// The value of a valid JSON text.
fn seen(raw: &str) -> View<'_> {
    match raw.as_bytes().first() {
        Some(b'{' | b'[') => View::Raw(raw),
        Some(b'"') => match json::plain(raw) {
            Some(text) => View::Text(text),
            None => View::Own(json::scalar(raw).unwrap_or(Value::Null)),
        },
        _ => View::Own(json::scalar(raw).unwrap_or(Value::Null)),
    }
}

fn select<'e>(raw: &'e str, path: &[Step]) -> Result<View<'e>, Failure> {
    match json::select::<true>(raw, path) {
        Some(Found::Value(raw)) => Ok(seen(raw)),
        Some(Found::Nothing(step, kind)) => Err(nowhere(path.get(step), kind)),
        None => Err(Failure::new("not JSON")),
    }
}

/// The same as [`json::select`] in a value that is built.
fn walk<'v>(value: &'v Value, path: &[Step]) -> Result<View<'v>, Absent> {
    let mut here = value;
    for (done, step) in path.iter().enumerate() {
        let next = match (here, step) {
            (Value::Map(map), Step::Key(key)) => map.get(key),
            (Value::List(items), Step::At(index)) => {
                usize::try_from(*index).ok().and_then(|index| items.get(index))
            }
            _ => None,
        };
        here = next.ok_or_else(|| Absent::Nothing(done, here.type_name()))?;
    }
    Ok(View::Held(here))
}

/// A step that leads nowhere from a value of this type.
pub(super) fn nowhere(step: Option<&Step>, kind: TypeName) -> Failure {
    match (step, kind) {
        (Some(Step::Key(key)), TypeName::Map) => Failure::NoKey(key.clone()),
        (Some(Step::Key(key)), kind) => Failure::NoMember(kind, key.clone()),
        (Some(Step::At(index)), TypeName::List) => {
            Failure::new(format!("the index {index} is out of the list's range"))
        }
        (Some(Step::At(_)), TypeName::Map) => Failure::new("no such key"),
        _ => no_index(kind),
    }
}
