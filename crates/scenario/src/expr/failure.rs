//! Why an expression has no value. Made without a copy of any name, because `first(a, b)` makes one for every alternative that is
//! not there; never holds a value.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::value::TypeName;

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// In words.
    Text(Cow<'static, str>),
    /// A map without this key.
    NoKey(Arc<str>),
    /// Not a map, but asked for this key.
    NoMember(TypeName, Arc<str>),
    /// `user.NAME` or `setup.NAME` before it was assigned.
    Unset(&'static str, Arc<str>),
}

impl Failure {
    /// A failure in words.
    pub(crate) fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self::Text(message.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(message) => f.write_str(message),
            Self::NoKey(key) => write!(f, "no such key {key:?}"),
            Self::NoMember(kind, key) => {
                write!(f, "no such key {key:?}: the value is {}", article(*kind))?;
                if matches!(&**key, "length" | "size" | "count") && *kind != TypeName::Null {
                    write!(f, "; write size(…) for how many it has")?;
                }
                Ok(())
            }
            Self::Unset(root, name) => write!(f, "{root}.{name} has no value yet"),
        }
    }
}

/// A type with its article: `a list`, `an int`, `null`.
pub(super) fn article(kind: TypeName) -> Cow<'static, str> {
    match kind {
        TypeName::Null => Cow::Borrowed("null"),
        TypeName::Int => Cow::Borrowed("an int"),
        kind => Cow::Owned(format!("a {kind}")),
    }
}
