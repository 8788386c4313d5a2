//! Values of expressions and their types.

use std::fmt;
use std::sync::Arc;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    String(Arc<str>),
    List(Arc<[Value]>),
}

/// What is known of a value before it is computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Null,
    Bool,
    Int,
    Double,
    String,
    List(Box<Type>),
    /// Known only when computed: an element of a mixed list.
    Any,
}

impl Value {
    pub(crate) fn kind(&self) -> Type {
        match self {
            Self::Null => Type::Null,
            Self::Bool(_) => Type::Bool,
            Self::Int(_) => Type::Int,
            Self::Double(_) => Type::Double,
            Self::String(_) => Type::String,
            Self::List(items) => Type::List(Box::new(Type::common(items.iter().map(Self::kind)))),
        }
    }
}

impl Type {
    /// The type of a list's elements: the one they all have, or `Any`.
    pub(crate) fn common(types: impl IntoIterator<Item = Self>) -> Self {
        let mut types = types.into_iter();
        let Some(first) = types.next() else { return Self::Any };
        if types.all(|t| t == first) { first } else { Self::Any }
    }

    /// Whether a value of this type may turn out to be of that one.
    pub(crate) fn may_be(&self, wanted: &Self) -> bool {
        match (self, wanted) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::List(a), Self::List(b)) => a.may_be(b),
            (a, b) => a == b,
        }
    }

    /// Whether such a value can be put into a text.
    pub(crate) fn is_text(&self) -> bool {
        !matches!(self, Self::Null | Self::List(_))
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
            Self::Any => "any",
        })
    }
}
