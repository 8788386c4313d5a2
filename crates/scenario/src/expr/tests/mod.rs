//! Tests of the whole way from text to value.

mod chance;
mod cost;
mod functions;
mod json;
mod mistakes;
mod names;
mod operators;
mod property;
mod syntax;

use super::*;
use crate::error::Fault;
use crate::memory::{Memory, RunNames, Shared};
use crate::model::{DataFormat, Vars};
use crate::rng::{Rng, Stream};
use crate::table::Table;

/// 2026-11-24T12:00:00.250Z.
const NOW: u64 = 1_795_521_600_250_000_000;

const BODY: &str = r#"{"access_token": "t-1", "status": "completed", "total": 12.5, "n": 3, "none": null, "yes": true,
    "debates": [{"id": "a", "size": 1}, {"id": "b", "size": 2}, {"id": "c", "size": 3}], "tokens": {"access": {"key": "\u00fc"}}}"#;

/// Every name that an expression may use.
fn scope() -> Scope<'static> {
    Scope {
        vars: ["token", "agent", "pattern"].into(),
        tables: vec![
            Columns { name: "users", columns: Some(vec![("basket", Type::Any), ("email", Type::String)]) },
            Columns { name: "later", columns: None },
        ],
        users: vec![
            ("token", Type::Any),
            ("ids", Type::List(Box::new(Type::String))),
            ("n", Type::Int),
            ("unset", Type::Any),
        ],
        setup: vec!["tenant", "absent"],
        response: true,
        message: true,
        within_setup: false,
    }
}

fn shared() -> Shared {
    let run = RunNames { name: "run-1".into(), test: "checkout".into(), namespace: "shop".into() };
    let users = Table::parse(
        "users",
        DataFormat::JsonLines,
        b"{\"email\": \"a@x\", \"basket\": [1]}\n{\"email\": \"b@x\"}",
    );
    let later = Table::parse("later", DataFormat::Csv, b"a\nb\n");
    Shared::for_tests(run, vec![Some(Value::text("acme")), None], vec![users.unwrap(), later.unwrap()])
}

fn memory() -> Memory {
    let mut memory = Memory::blank(Rng::new(1, Stream::Member, 1), 7, 4, 2);
    memory.set_slot(0, Value::text("t-0"));
    memory.set_slot(1, Value::List([Value::text("x"), Value::text("y")].into()));
    memory.set_slot(2, Value::Int(5));
    memory
}

fn response() -> Response {
    let headers = [("content-type", "application/json"), ("set-cookie", "a=1"), ("set-cookie", "b=2")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Response::new(200, headers.into(), BODY.into(), 85_000_000, None)
}

fn checked(text: &str) -> Result<(Code, Type), Fault> {
    check(&parse_whole(text)?, &scope())
}

/// What a text comes to, whatever stops it.
fn try_eval_with(
    text: &str,
    response: Option<&Response>,
    message: Option<&Message>,
) -> Result<Value, String> {
    let (code, _) = checked(text).map_err(|fault| format!("{}: {}", fault.offset, fault.message))?;
    let vars: Vars = [("token", "s3cret"), ("agent", "echo"), ("pattern", "a+")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let (shared, mut memory) = (shared(), memory());
    let code = code
        .fold(Some(&Constants { vars: &vars, run: &shared.run }))
        .map_err(|failure| format!("at bind: {failure}"))?;
    let mut env = Env { shared: &shared, memory: &mut memory, response, message, now: NOW };
    code.eval(&mut env).map_err(|failure| failure.to_string())
}

fn try_eval(text: &str) -> Result<Value, String> {
    try_eval_with(text, Some(&response()), Some(&Message::new(r#"{"type": "end", "n": [1]}"#.into())))
}

fn eval(text: &str) -> Value {
    try_eval(text).unwrap_or_else(|message| panic!("{text}: {message}"))
}

fn holds(text: &str) {
    assert_eq!(eval(text), Value::Bool(true), "{text}");
}

fn fails(text: &str, message: &str) {
    assert_eq!(try_eval(text), Err(message.to_owned()), "{text}");
}

fn fault(text: &str) -> (usize, String) {
    match checked(text) {
        Ok(found) => panic!("{text}: {found:?}"),
        Err(fault) => {
            let closest = fault.closest.map_or(String::new(), |closest| format!(" -> {closest}"));
            (fault.offset, fault.message + &closest)
        }
    }
}

fn string(text: &str) -> Value {
    Value::text(text)
}
