//! Expressions: text → tokens (`lexer.rs`) → tree (`parser.rs`, the expression grammar of CEL) → typed code (`check.rs`, with
//! the names of `scope.rs`) → value (`eval.rs`, with what `env.rs` gives). Templates, which hold expressions in `${}`, are in
//! `../template.rs`.

mod ast;
mod calls;
mod check;
mod code;
mod env;
mod eval;
mod failure;
mod fold;
mod functions;
mod json;
mod lexer;
mod loops;
mod names;
mod ops;
mod parser;
mod places;
mod random;
mod response;
mod scan;
mod scope;
mod signatures;
mod time;
mod value;
mod view;

#[cfg(test)]
mod tests;

pub(crate) use check::check;
pub(crate) use code::Code;
pub(crate) use failure::Failure;
pub(crate) use fold::Constants;
pub(crate) use json::parse as parse_json;
pub(crate) use parser::{parse_braced, parse_whole};
pub(crate) use random::{letters, rand_int, rand_string, range, uuid};
pub(crate) use scope::{Columns, Scope};
pub(crate) use time::{write_duration, write_timestamp};
pub(crate) use value::Type;

pub use env::Env;
pub use response::{Message, Response};
pub use value::{Key, Map, TypeName, Value};
