//! Values of expressions and their types. What is done with them is in `ops.rs`, how they are read from JSON in `json.rs`.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// A value. Copies share what is large.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A 64-bit integer.
    Int(i64),
    /// A double.
    Double(f64),
    /// A text.
    String(Arc<str>),
    /// A list.
    List(Arc<[Value]>),
    /// A map.
    Map(Arc<Map>),
    /// Nanoseconds.
    Duration(i64),
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    Timestamp(i64),
    /// A type, as `type(x)` gives it.
    Type(TypeName),
}

/// The name of a type, a value of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum TypeName {
    Null,
    Bool,
    Int,
    Double,
    String,
    List,
    Map,
    Duration,
    Timestamp,
    Type,
}

/// The key of a map's entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// `true` or `false`.
    Bool(bool),
    /// A 64-bit integer.
    Int(i64),
    /// A text: the only kind in JSON.
    String(Arc<str>),
}

/// A map, in the order of its keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map(Box<[(Key, Value)]>);

impl Map {
    /// The map of these entries; of several with the same key, the last.
    #[must_use]
    pub fn new(mut entries: Vec<(Key, Value)>) -> Self {
        entries.reverse();
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        entries.dedup_by(|(later, _), (kept, _)| later == kept);
        Self(entries.into())
    }

    /// Its entries, in the order of their keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Key, &Value)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a key that is a text.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.find(|key| match key {
            Key::String(key) => (**key).cmp(name),
            _ => Ordering::Less,
        })
    }

    /// The value of a key.
    #[must_use]
    pub fn of(&self, wanted: &Key) -> Option<&Value> {
        self.find(|key| key.cmp(wanted))
    }

    fn find(&self, order: impl Fn(&Key) -> Ordering) -> Option<&Value> {
        self.0.binary_search_by(|(key, _)| order(key)).ok().and_then(|at| self.0.get(at)).map(|(_, v)| v)
    }
}

impl Key {
    /// The key as a value.
    #[must_use]
    pub fn value(&self) -> Value {
        match self {
            Self::Bool(key) => Value::Bool(*key),
            Self::Int(key) => Value::Int(*key),
            Self::String(key) => Value::String(key.clone()),
        }
    }
}

impl Value {
    /// A text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::String(text.into())
    }

    /// Its type.
    #[must_use]
    pub fn type_name(&self) -> TypeName {
        match self {
            Self::Null => TypeName::Null,
            Self::Bool(_) => TypeName::Bool,
            Self::Int(_) => TypeName::Int,
            Self::Double(_) => TypeName::Double,
            Self::String(_) => TypeName::String,
            Self::List(_) => TypeName::List,
            Self::Map(_) => TypeName::Map,
            Self::Duration(_) => TypeName::Duration,
            Self::Timestamp(_) => TypeName::Timestamp,
            Self::Type(_) => TypeName::Type,
        }
    }

    /// All that is known of its type, down to the elements.
    pub(crate) fn kind(&self) -> Type {
        match self {
            Self::Null => Type::Null,
            Self::Bool(_) => Type::Bool,
            Self::Int(_) => Type::Int,
            Self::Double(_) => Type::Double,
            Self::String(_) => Type::String,
            Self::List(items) => Type::List(Box::new(Type::common(items.iter().map(Self::kind)))),
            Self::Map(map) => Type::Map(Box::new(Type::common(map.iter().map(|(_, value)| value.kind())))),
            Self::Duration(_) => Type::Duration,
            Self::Timestamp(_) => Type::Timestamp,
            Self::Type(_) => Type::Type,
        }
    }
}

impl From<&serde_json::Value> for Value {
    /// Numbers without a fraction that fit are ints.
    fn from(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(*value),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(int) => Self::Int(int),
                None => Self::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => Self::text(text),
            serde_json::Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            serde_json::Value::Object(members) => {
                let entry = |(key, value): (&String, &serde_json::Value)| {
                    (Key::String(key.as_str().into()), Self::from(value))
                };
                Self::Map(Map::new(members.iter().map(entry).collect()).into())
            }
        }
    }
}

/// What is known of a value before it is computed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "a type is a value, so it has a type")]
pub(crate) enum Type {
    Null,
    Bool,
    Int,
    Double,
    String,
    List(Box<Type>),
    /// A map with values of this type.
    Map(Box<Type>),
    Duration,
    Timestamp,
    Type,
    /// Known only when computed: what a target sends, an element of a mixed list.
    Any,
}

impl Type {
    /// The type that all of these have, or `Any`.
    pub(crate) fn common(types: impl IntoIterator<Item = Self>) -> Self {
        let mut types = types.into_iter();
        let Some(first) = types.next() else { return Self::Any };
        types.fold(first, |a, b| a.or(b))
    }

    /// The type of a value that has this type or that one.
    pub(crate) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::List(a), Self::List(b)) => Self::List(Box::new(a.or(*b))),
            (Self::Map(a), Self::Map(b)) => Self::Map(Box::new(a.or(*b))),
            (a, b) if a == b => a,
            _ => Self::Any,
        }
    }

    /// Whether a value of this type may turn out to be of that one.
    pub(crate) fn may_be(&self, wanted: &Self) -> bool {
        match (self, wanted) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::List(a), Self::List(b)) | (Self::Map(a), Self::Map(b)) => a.may_be(b),
            (a, b) => a == b,
        }
    }

    /// Whether such a value can be put into a text.
    pub(crate) fn is_text(&self) -> bool {
        !matches!(self, Self::Null | Self::List(_) | Self::Map(_) | Self::Type)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Double => "double",
            Self::String => "string",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Duration => "duration",
            Self::Timestamp => "timestamp",
            Self::Type => "type",
            Self::Any => "any",
        })
    }
}

impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Double => "double",
            Self::String => "string",
            Self::List => "list",
            Self::Map => "map",
            Self::Duration => "duration",
            Self::Timestamp => "timestamp",
            Self::Type => "type",
        })
    }
}
