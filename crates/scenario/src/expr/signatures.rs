//! Functions: what they take and give. `calls.rs` checks calls against it, `functions.rs` computes most of them; macros and
//! `first`, which do not compute their arguments first, are in `calls.rs` alone.

use super::functions::Function;
use super::value::Type;

/// A set of types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kinds(u16);

impl Kinds {
    const BOOL: Self = Self(1);
    const INT: Self = Self(1 << 1);
    const DOUBLE: Self = Self(1 << 2);
    const STRING: Self = Self(1 << 3);
    const LIST: Self = Self(1 << 4);
    const MAP: Self = Self(1 << 5);
    const DURATION: Self = Self(1 << 6);
    const TIMESTAMP: Self = Self(1 << 7);
    const NULL: Self = Self(1 << 8);
    const TYPE: Self = Self(1 << 9);
    const ANY: Self = Self(u16::MAX);

    const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether a value of that type may be of one of these.
    pub(super) fn may_have(self, kind: &Type) -> bool {
        let kind = match kind {
            Type::Any => return true,
            Type::Null => Self::NULL,
            Type::Bool => Self::BOOL,
            Type::Int => Self::INT,
            Type::Double => Self::DOUBLE,
            Type::String => Self::STRING,
            Type::List(_) => Self::LIST,
            Type::Map(_) => Self::MAP,
            Type::Duration => Self::DURATION,
            Type::Timestamp => Self::TIMESTAMP,
            Type::Type => Self::TYPE,
        };
        self.0 & kind.0 != 0
    }

    /// `string, list or map`.
    pub(super) fn names(self) -> String {
        let all = [
            (Self::BOOL, "bool"),
            (Self::INT, "int"),
            (Self::DOUBLE, "double"),
            (Self::STRING, "string"),
            (Self::LIST, "list"),
            (Self::MAP, "map"),
            (Self::DURATION, "duration"),
            (Self::TIMESTAMP, "timestamp"),
            (Self::NULL, "null"),
            (Self::TYPE, "type"),
        ];
        let names: Vec<&str> =
            all.iter().filter(|(kind, _)| self.0 & kind.0 != 0).map(|(_, name)| *name).collect();
        match names.split_last() {
            Some((last, [])) => (*last).to_owned(),
            Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
            None => String::new(),
        }
    }
}

/// How a function is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `name(a, b)`.
    Function,
    /// `a.name(b)`.
    Method,
    /// As one likes.
    Both,
}

/// The type of a function's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gives {
    Bool,
    Int,
    Double,
    String,
    Strings,
    Duration,
    Timestamp,
    Type,
    /// What its arguments have in common.
    Common,
    Any,
}

/// Which function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Builtin {
    /// One of its arguments alone.
    Plain(Function),
    Dyn,
    Matches,
    Find,
    Pick,
    Sample,
    RandInt,
    RandString,
    Uuid,
    Now,
}

/// What a function takes and gives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signature {
    pub(super) name: &'static str,
    /// How it is written, for messages.
    pub(super) usage: &'static str,
    pub(super) builtin: Builtin,
    pub(super) form: Form,
    /// Its arguments, the object of a method first.
    pub(super) takes: &'static [Kinds],
    /// How many of them must be there.
    pub(super) needed: usize,
    pub(super) gives: Gives,
}

const STRING: Kinds = Kinds::STRING;
const INT: Kinds = Kinds::INT;
const TIME: Kinds = Kinds::DURATION.or(Kinds::TIMESTAMP);
const NUMBER: Kinds = INT.or(Kinds::DOUBLE);
const ORDERED: Kinds = NUMBER.or(STRING).or(TIME);

const fn function(
    name: &'static str,
    usage: &'static str,
    function: Function,
    takes: &'static [Kinds],
    gives: Gives,
) -> Signature {
    special(name, usage, Builtin::Plain(function), takes, gives)
}

/// A function with code of its own.
const fn special(
    name: &'static str,
    usage: &'static str,
    builtin: Builtin,
    takes: &'static [Kinds],
    gives: Gives,
) -> Signature {
    Signature { name, usage, builtin, form: Form::Function, takes, needed: takes.len(), gives }
}

const fn method(
    name: &'static str,
    usage: &'static str,
    function: Function,
    takes: &'static [Kinds],
    gives: Gives,
) -> Signature {
    Signature { form: Form::Method, ..special(name, usage, Builtin::Plain(function), takes, gives) }
}

/// The same without its last argument, if one likes.
const fn optional(signature: Signature) -> Signature {
    Signature { needed: signature.needed - 1, ..signature }
}

/// All of them.
pub(super) static SIGNATURES: &[Signature] = &[
    Signature {
        form: Form::Both,
        ..function(
            "size",
            "size(value)",
            Function::Size,
            &[STRING.or(Kinds::LIST).or(Kinds::MAP)],
            Gives::Int,
        )
    },
    function("type", "type(value)", Function::Type, &[Kinds::ANY], Gives::Type),
    function("int", "int(value)", Function::Int, &[NUMBER.or(STRING).or(Kinds::TIMESTAMP)], Gives::Int),
    function(
        "double",
        "double(value)",
        Function::Double,
        &[NUMBER.or(STRING).or(Kinds::TIMESTAMP)],
        Gives::Double,
    ),
    function("string", "string(value)", Function::String, &[ORDERED.or(Kinds::BOOL)], Gives::String),
    function("bool", "bool(value)", Function::Bool, &[STRING.or(Kinds::BOOL)], Gives::Bool),
    function(
        "duration",
        "duration('1m30s')",
        Function::Duration,
        &[STRING.or(Kinds::DURATION)],
        Gives::Duration,
    ),
    function(
        "timestamp",
        "timestamp('2026-01-31T12:00:00Z')",
        Function::Timestamp,
        &[STRING.or(INT).or(Kinds::TIMESTAMP)],
        Gives::Timestamp,
    ),
    method("contains", "text.contains(part)", Function::Contains, &[STRING, STRING], Gives::Bool),
    method("startsWith", "text.startsWith(part)", Function::StartsWith, &[STRING, STRING], Gives::Bool),
    method("endsWith", "text.endsWith(part)", Function::EndsWith, &[STRING, STRING], Gives::Bool),
    method("lowerAscii", "text.lowerAscii()", Function::LowerAscii, &[STRING], Gives::String),
    method("upperAscii", "text.upperAscii()", Function::UpperAscii, &[STRING], Gives::String),
    method("trim", "text.trim()", Function::Trim, &[STRING], Gives::String),
    optional(method(
        "split",
        "text.split(separator[, most])",
        Function::Split,
        &[STRING, STRING, INT],
        Gives::Strings,
    )),
    optional(method("join", "list.join([separator])", Function::Join, &[Kinds::LIST, STRING], Gives::String)),
    optional(method(
        "replace",
        "text.replace(old, new[, most])",
        Function::Replace,
        &[STRING, STRING, STRING, INT],
        Gives::String,
    )),
    optional(method(
        "substring",
        "text.substring(from[, to])",
        Function::Substring,
        &[STRING, INT, INT],
        Gives::String,
    )),
    optional(method(
        "indexOf",
        "text.indexOf(part[, from])",
        Function::IndexOf,
        &[STRING, STRING, INT],
        Gives::Int,
    )),
    method("getSeconds", "time.getSeconds()", Function::GetSeconds, &[TIME], Gives::Int),
    method("getMilliseconds", "time.getMilliseconds()", Function::GetMilliseconds, &[TIME], Gives::Int),
    function("min", "min(a, b)", Function::Min, &[ORDERED, ORDERED], Gives::Common),
    function("max", "max(a, b)", Function::Max, &[ORDERED, ORDERED], Gives::Common),
    function("json", "json(text)", Function::Json, &[STRING], Gives::Any),
    function("base64", "base64(text)", Function::Base64, &[STRING], Gives::String),
    function("urlEncode", "urlEncode(text)", Function::UrlEncode, &[STRING], Gives::String),
    special("dyn", "dyn(value)", Builtin::Dyn, &[Kinds::ANY], Gives::Any),
    Signature {
        form: Form::Both,
        ..special("matches", "text.matches('regex')", Builtin::Matches, &[STRING, STRING], Gives::Bool)
    },
    optional(special(
        "find",
        "find(text, 'regex'[, group])",
        Builtin::Find,
        &[STRING, STRING, INT.or(STRING)],
        Gives::String,
    )),
    special("pick", "pick(list)", Builtin::Pick, &[Kinds::LIST], Gives::Any),
    special("sample", "sample(list, n)", Builtin::Sample, &[Kinds::LIST, INT], Gives::Common),
    special("randInt", "randInt(min, max)", Builtin::RandInt, &[INT, INT], Gives::Int),
    special("randString", "randString(length)", Builtin::RandString, &[INT], Gives::String),
    special("uuid", "uuid()", Builtin::Uuid, &[], Gives::String),
    special("now", "now()", Builtin::Now, &[], Gives::Timestamp),
];

impl Gives {
    /// The type, of the call with arguments of these types.
    pub(super) fn kind(self, args: &[Type]) -> Type {
        match self {
            Self::Bool => Type::Bool,
            Self::Int => Type::Int,
            Self::Double => Type::Double,
            Self::String => Type::String,
            Self::Strings => Type::List(Box::new(Type::String)),
            Self::Duration => Type::Duration,
            Self::Timestamp => Type::Timestamp,
            Self::Type => Type::Type,
            Self::Common => Type::common(args.iter().cloned()),
            Self::Any => Type::Any,
        }
    }
}
