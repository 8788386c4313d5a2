//! Expressions: text → tokens (`lexer.rs`) → tree (`parser.rs`, the expression grammar of CEL) → typed code (`check.rs`, the
//! part of the language that requests use) → value (`code.rs`). Templates, which hold expressions in `${}`, are in
//! `../template.rs`.

mod ast;
mod check;
mod code;
mod lexer;
mod parser;
mod value;

#[cfg(test)]
mod tests;

pub(crate) use check::{Scope, check};
pub(crate) use code::{Code, Failure, letters, rand_int, rand_string, range, uuid};
pub(crate) use parser::parse_braced;
pub(crate) use value::{Type, Value};
