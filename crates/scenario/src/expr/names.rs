//! Names in expressions → code: what `vars.`, `user.`, `data.`, `setup.` and `run.` lead to, and what belongs to a response.

use super::ast::{Expr, Kind};
use super::check::{Checked, Checker};
use super::code::{Code, RunName};
use super::scope::{Columns, Scope};
use super::signatures::{Form, SIGNATURES};
use super::value::{Type, TypeName, Value};
use crate::error::{Fault, did_you_mean};

/// Names that something belongs to, with how they are used.
const NAMESPACES: [(&str, &str); 5] = [
    ("vars", "vars.NAME"),
    ("user", "user.NAME"),
    ("data", "data.TABLE.COLUMN"),
    ("setup", "setup.NAME"),
    ("run", "run.name, run.test, run.namespace, run.user or run.iteration"),
];

/// Names of a response.
const RESPONSE: [&str; 6] = ["status", "body", "text", "headers", "latency", "error"];

/// Names of types, as `type(x)` gives them.
const TYPES: [(&str, TypeName); 10] = [
    ("null_type", TypeName::Null),
    ("bool", TypeName::Bool),
    ("int", TypeName::Int),
    ("double", TypeName::Double),
    ("string", TypeName::String),
    ("list", TypeName::List),
    ("map", TypeName::Map),
    ("duration", TypeName::Duration),
    ("timestamp", TypeName::Timestamp),
    ("type", TypeName::Type),
];

/// What a name that stands alone means.
pub(super) fn name<'a>(checker: &Checker<'a>, name: &'a str, offset: usize) -> Checked {
    if let Some(at) = checker.locals.iter().rposition(|(local, _)| *local == name) {
        let kind = checker.locals.get(at).map_or(Type::Any, |(_, kind)| kind.clone());
        return Ok((Code::Local(u16::try_from(at).unwrap_or(u16::MAX)), kind));
    }
    let scope = checker.scope;
    if RESPONSE.contains(&name) {
        if !scope.response {
            return Err(Fault::new(
                offset,
                format!(
                    "\"{name}\" is known only after a response; keep what you need of it with capture: {{NAME: …}} \
                     and write user.NAME here"
                ),
            ));
        }
        return Ok(match name {
            "status" => (Code::Status, Type::Int),
            "text" => (Code::Text, Type::String),
            "headers" => (Code::Headers, Type::Map(Box::new(Type::String))),
            "latency" => (Code::Latency, Type::Duration),
            // A string, or null.
            "error" => (Code::Error, Type::Any),
            _ => (Code::Body([].into()), Type::Any),
        });
    }
    if name == "message" {
        if !scope.message {
            return Err(Fault::new(
                offset,
                "\"message\" is there only where a websocket or sse step reads messages",
            ));
        }
        return Ok((Code::Message([].into()), Type::Any));
    }
    if let Some((_, kind)) = TYPES.iter().find(|(kind, _)| *kind == name) {
        return Ok((Code::Const(Value::Type(*kind)), Type::Type));
    }
    Err(unknown(checker, name, offset))
}

fn unknown(checker: &Checker<'_>, name: &str, offset: usize) -> Fault {
    let scope = checker.scope;
    if let Some((_, usage)) = NAMESPACES.iter().find(|(root, _)| *root == name) {
        return Fault::new(offset, format!("\"{name}\" alone is no value; write {usage}"));
    }
    if let Some(signature) = SIGNATURES.iter().find(|s| s.name == name && s.form != Form::Method) {
        return Fault::new(offset, format!("\"{name}\" is a function; write {}", signature.usage));
    }
    let fault = Fault::new(offset, format!("unknown name \"{name}\""));
    if let Some(remedy) = elsewhere(name, scope.response) {
        return Fault { message: format!("{}; {remedy}", fault.message), ..fault };
    }
    let declared = [
        ("user", scope.users.iter().any(|(user, _)| *user == name)),
        ("vars", scope.vars.contains(name)),
        ("setup", scope.setup.contains(&name)),
    ];
    if let Some((root, _)) = declared.iter().find(|(_, is)| *is) {
        return Fault { closest: Some(format!("{root}.{name}")), ..fault };
    }
    let roots = NAMESPACES.iter().map(|(root, _)| *root);
    let response = RESPONSE.iter().copied().filter(|_| scope.response);
    let message = ["message"].into_iter().filter(|_| scope.message);
    let functions =
        SIGNATURES.iter().filter(|s| s.form != Form::Method).map(|s| s.name).chain(["has", "first"]);
    let locals = checker.locals.iter().map(|(local, _)| *local);
    let all = locals.chain(roots).chain(response).chain(message).chain(functions);
    match did_you_mean(name, all.chain(["true", "false", "null"])) {
        None => Fault {
            message: format!("unknown name \"{name}\"; put it in quotes if it is meant as a string"),
            ..fault
        },
        closest => Fault { closest, ..fault },
    }
}

/// What a name of other languages and tools is here.
fn elsewhere(name: &str, after_response: bool) -> Option<String> {
    match name {
        "None" | "nil" | "undefined" => Some("write null".to_owned()),
        "env" | "ENV" | "process" | "os" => {
            Some("values from outside are declared in spec.vars; write vars.NAME".to_owned())
        }
        "response" | "res" | "resp" | "r" if after_response => {
            Some(format!("of a response there is {}", RESPONSE.join(", ")))
        }
        _ => None,
    }
}

/// `of.name`, or `of['name']`.
fn selection(expr: &Expr) -> Option<(&Expr, &str)> {
    match &expr.kind {
        Kind::Member { of, name } => Some((of, name)),
        Kind::Index { of, index } => match &index.kind {
            Kind::String(name) => Some((of, name)),
            _ => None,
        },
        _ => None,
    }
}

/// The namespace that a tree is, unless a loop has a variable of that name.
fn namespace<'a>(checker: &Checker<'a>, expr: &'a Expr) -> Option<&'a str> {
    let Kind::Name(name) = &expr.kind else { return None };
    let taken = checker.locals.iter().any(|(local, _)| local == name);
    (!taken && NAMESPACES.iter().any(|(root, _)| root == name)).then_some(name)
}

/// What a member of a namespace means; nothing if the tree is none.
pub(super) fn selected<'a>(checker: &Checker<'a>, expr: &'a Expr) -> Option<Checked> {
    let (of, name) = selection(expr)?;
    let (scope, offset) = (checker.scope, expr.offset);
    if let Some((root, table)) = selection(of)
        && namespace(checker, root) == Some("data")
    {
        return Some(cell(scope, table, name, offset));
    }
    Some(match namespace(checker, of)? {
        "vars" => variable(scope, name, offset),
        "user" => user(scope, name, offset),
        "setup" => setup(scope, name, offset),
        "run" => run(name, offset),
        _ => table(scope, name, offset).and_then(|(_, table)| {
            let columns = table.columns.iter().flatten().map(|(column, _)| *column);
            let column = columns.into_iter().next().unwrap_or("COLUMN");
            Err(Fault::new(offset, format!("a table is no value; name a column: data.{name}.{column}")))
        }),
    })
}

/// A fault with the nearest of the names that there are, or all of them.
fn undeclared<'n>(
    offset: usize,
    message: String,
    names: impl Iterator<Item = &'n str> + Clone,
    wanted: &str,
    none: &str,
) -> Fault {
    let closest = did_you_mean(wanted, names.clone());
    let remedy = match &closest {
        Some(_) => String::new(),
        None => {
            let all: Vec<&str> = names.collect();
            if all.is_empty() { format!("; {none}") } else { format!("; there is {}", all.join(", ")) }
        }
    };
    Fault { closest, ..Fault::new(offset, message + &remedy) }
}

fn variable(scope: &Scope<'_>, name: &str, offset: usize) -> Checked {
    if scope.vars.contains(name) {
        return Ok((Code::Var(name.into()), Type::String));
    }
    let message = format!("unknown variable vars.{name}");
    Err(undeclared(offset, message, scope.vars.iter().copied(), name, "spec.vars declares none"))
}

fn user(scope: &Scope<'_>, name: &str, offset: usize) -> Checked {
    let found = scope.users.iter().zip(0..).find(|((user, _), _)| *user == name);
    if let Some(((_, kind), slot)) = found {
        return Ok((Code::User { slot, name: name.into() }, kind.clone()));
    }
    let names = scope.users.iter().map(|(user, _)| *user);
    let none = "no step captures anything and there is no state; declare it with state: {NAME: …}";
    Err(undeclared(offset, format!("unknown variable user.{name}"), names, name, none))
}

fn setup(scope: &Scope<'_>, name: &str, offset: usize) -> Checked {
    if scope.within_setup {
        let renamed = |fault: Fault| fault.message.replacen("user.", "setup.", 1);
        return user(scope, name, offset).map_err(|fault| Fault { message: renamed(fault.clone()), ..fault });
    }
    if let Some((_, slot)) = scope.setup.iter().zip(0..).find(|(setup, _)| **setup == name) {
        return Ok((Code::Setup { slot, name: name.into() }, Type::Any));
    }
    let none = "spec.setup captures nothing";
    Err(undeclared(offset, format!("unknown variable setup.{name}"), scope.setup.iter().copied(), name, none))
}

fn run(name: &str, offset: usize) -> Checked {
    Ok(match name {
        "name" => (Code::RunName(RunName::Name), Type::String),
        "test" => (Code::RunName(RunName::Test), Type::String),
        "namespace" => (Code::RunName(RunName::Namespace), Type::String),
        "user" => (Code::UserNumber, Type::Int),
        "iteration" => (Code::Iteration, Type::Int),
        _ => {
            let names = ["name", "test", "namespace", "user", "iteration"];
            return Err(undeclared(offset, format!("unknown name run.{name}"), names.into_iter(), name, ""));
        }
    })
}

fn table<'s>(scope: &'s Scope<'_>, name: &str, offset: usize) -> Result<(u16, &'s Columns<'s>), Fault> {
    if let Some((table, number)) = scope.tables.iter().zip(0..).find(|(table, _)| table.name == name) {
        return Ok((number, table));
    }
    let names = scope.tables.iter().map(|table| table.name);
    Err(undeclared(offset, format!("unknown table data.{name}"), names, name, "spec.data declares none"))
}

fn cell(scope: &Scope<'_>, name: &str, column: &str, offset: usize) -> Checked {
    let (table, found) = table(scope, name, offset)?;
    let Some(columns) = &found.columns else {
        return Ok((Code::Cell { table, column: None, name: column.into() }, Type::Any));
    };
    match columns.iter().zip(0..).find(|((name, _), _)| *name == column) {
        Some(((_, kind), number)) => {
            Ok((Code::Cell { table, column: Some(number), name: column.into() }, kind.clone()))
        }
        None => {
            let names = columns.iter().map(|(name, _)| *name);
            let message = format!("data.{name} has no column \"{column}\"");
            Err(undeclared(offset, message, names, column, "it has none at all"))
        }
    }
}
