//! Tree → typed code: resolves names and functions, checks types, and says where something is wrong.

use std::collections::BTreeSet;

use super::ast::{Expr, Kind};
use super::code::Code;
use super::value::{Type, Value};
use crate::error::{Fault, did_you_mean};

/// What expressions may refer to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope<'a> {
    /// Names of the run constants.
    pub(crate) vars: BTreeSet<&'a str>,
}

/// Functions, with their parameters for messages.
const FUNCTIONS: [(&str, &str); 4] = [
    ("pick", "pick(list)"),
    ("randInt", "randInt(min, max)"),
    ("randString", "randString(length)"),
    ("uuid", "uuid()"),
];

/// Told when something cannot be used in a request.
const USABLE: &str =
    "usable are vars.NAME, pick(list), randInt(min, max), randString(length), uuid(), + and literals";

/// Resolves and type-checks an expression; constant parts are computed.
pub(crate) fn check(expr: &Expr, scope: &Scope<'_>) -> Result<(Code, Type), Fault> {
    let (code, kind) = resolve(expr, scope)?;
    let code = code.fold(None).map_err(|failure| Fault::new(expr.offset, failure.0))?;
    let kind = code.constant().map_or(kind, Value::kind);
    Ok((code, kind))
}

fn resolve(expr: &Expr, scope: &Scope<'_>) -> Result<(Code, Type), Fault> {
    let constant = |value: Value| {
        let kind = value.kind();
        Ok((Code::Const(value), kind))
    };
    match &expr.kind {
        Kind::Null => constant(Value::Null),
        Kind::Bool(value) => constant(Value::Bool(*value)),
        Kind::Int(value) => constant(Value::Int(*value)),
        Kind::Double(value) => constant(Value::Double(*value)),
        Kind::String(value) => constant(Value::String(value.as_str().into())),
        Kind::Uint(value) => Err(unusable(expr, &format!("the unsigned number {value}u"))),
        Kind::Bytes(value) => Err(unusable(expr, &format!("a literal of {} bytes", value.len()))),
        Kind::List(items) => {
            let items = items.iter().map(|item| check(item, scope)).collect::<Result<Vec<_>, _>>()?;
            let (codes, kinds): (Vec<_>, Vec<_>) = items.into_iter().unzip();
            Ok((Code::List(codes), Type::List(Box::new(Type::common(kinds)))))
        }
        Kind::Map(entries) => {
            for (key, value) in entries {
                check(key, scope)?;
                check(value, scope)?;
            }
            Err(unusable(expr, "a map"))
        }
        Kind::Name(name) => Err(unknown_name(name, expr, scope)),
        Kind::Member { of, name } => match &of.kind {
            Kind::Name(root) if root == "vars" => variable(name, expr, scope),
            _ => check(of, scope).and_then(|_| Err(unusable(expr, &format!("the member \".{name}\"")))),
        },
        Kind::Index { of, index } => match (&of.kind, &index.kind) {
            (Kind::Name(root), Kind::String(name)) if root == "vars" => variable(name, expr, scope),
            _ => {
                check(of, scope)?;
                check(index, scope)?;
                Err(unusable(expr, "an index"))
            }
        },
        Kind::Call { on: Some(on), name, .. } => {
            check(on, scope)?;
            Err(unusable(expr, &format!("the method \".{name}()\"")))
        }
        Kind::Call { on: None, name, args } => call(name, args, expr, scope),
        Kind::Unary { op: "-", of } => negate(of, scope),
        Kind::Unary { op, of } => {
            check(of, scope).and_then(|_| Err(unusable(expr, &format!("the operator \"{op}\""))))
        }
        Kind::Binary { op: "+", left, right } => add(left, right, expr, scope),
        Kind::Binary { op, left, right } => {
            check(left, scope)?;
            check(right, scope)?;
            Err(unusable(expr, &format!("the operator \"{op}\"")))
        }
        Kind::Ternary { test, yes, no } => {
            for part in [test, yes, no] {
                check(part, scope)?;
            }
            Err(unusable(expr, "the operator \"? :\""))
        }
    }
}

fn unusable(expr: &Expr, what: &str) -> Fault {
    Fault::new(expr.offset, format!("{what} cannot be used in a request; {USABLE}"))
}

fn unknown_name(name: &str, expr: &Expr, scope: &Scope<'_>) -> Fault {
    if name == "vars" {
        return Fault::new(expr.offset, "\"vars\" alone is no value; name a variable: vars.NAME");
    }
    if let Some((function, usage)) = FUNCTIONS.iter().find(|(function, _)| *function == name) {
        return Fault::new(expr.offset, format!("\"{function}\" is a function; write {usage}"));
    }
    if scope.vars.contains(name) {
        let closest = Some(format!("vars.{name}"));
        return Fault { closest, ..Fault::new(expr.offset, format!("unknown name \"{name}\"")) };
    }
    let roots = FUNCTIONS.iter().map(|(function, _)| *function).chain(["vars", "true", "false", "null"]);
    let closest = did_you_mean(name, roots);
    let remedy = if closest.is_some() { String::new() } else { format!("; {USABLE}") };
    Fault { closest, ..Fault::new(expr.offset, format!("unknown name \"{name}\"{remedy}")) }
}

fn variable(name: &str, expr: &Expr, scope: &Scope<'_>) -> Result<(Code, Type), Fault> {
    if scope.vars.contains(name) {
        return Ok((Code::Var(name.to_owned()), Type::String));
    }
    let closest = did_you_mean(name, scope.vars.iter().copied());
    let declared = match (&closest, scope.vars.is_empty()) {
        (Some(_), _) => String::new(),
        (None, true) => "; spec.vars declares none".to_owned(),
        (None, false) => {
            format!("; spec.vars declares {}", scope.vars.iter().copied().collect::<Vec<_>>().join(", "))
        }
    };
    Err(Fault { closest, ..Fault::new(expr.offset, format!("unknown variable \"{name}\"{declared}")) })
}

fn negate(of: &Expr, scope: &Scope<'_>) -> Result<(Code, Type), Fault> {
    let (code, kind) = check(of, scope)?;
    match kind {
        Type::Int | Type::Double | Type::Any => Ok((Code::Negate(Box::new(code)), kind)),
        other => Err(Fault::new(of.offset, format!("cannot negate a {other}; \"-\" takes a number"))),
    }
}

fn add(left: &Expr, right: &Expr, expr: &Expr, scope: &Scope<'_>) -> Result<(Code, Type), Fault> {
    let ((a, a_kind), (b, b_kind)) = (check(left, scope)?, check(right, scope)?);
    let kind = match (&a_kind, &b_kind) {
        (Type::List(a), Type::List(b)) => Type::List(Box::new(Type::common([(**a).clone(), (**b).clone()]))),
        (Type::Any, other) | (other, Type::Any) if !matches!(other, Type::Null | Type::Bool) => other.clone(),
        (Type::String | Type::Int | Type::Double, _) if a_kind == b_kind => a_kind.clone(),
        _ => {
            let remedy = if [&a_kind, &b_kind].contains(&&Type::String) {
                "; put the two into ${} of their own, one after the other"
            } else {
                ""
            };
            return Err(Fault::new(expr.offset, format!("cannot add {a_kind} and {b_kind}{remedy}")));
        }
    };
    Ok((Code::Add(Box::new(a), Box::new(b)), kind))
}

fn call(name: &str, args: &[Expr], expr: &Expr, scope: &Scope<'_>) -> Result<(Code, Type), Fault> {
    let Some((_, usage)) = FUNCTIONS.iter().find(|(function, _)| *function == name) else {
        let closest = did_you_mean(name, FUNCTIONS.iter().map(|(function, _)| *function));
        let remedy = if closest.is_some() { String::new() } else { format!("; {USABLE}") };
        return Err(Fault {
            closest,
            ..Fault::new(expr.offset, format!("unknown function \"{name}\"{remedy}"))
        });
    };
    let checked = args.iter().map(|arg| check(arg, scope)).collect::<Result<Vec<_>, _>>()?;
    let mut taken = checked.into_iter().zip(args);
    let mut argument = |wanted: &Type| match taken.next() {
        None => Err(Fault::new(expr.offset, format!("too few arguments; write {usage}"))),
        Some(((_, kind), arg)) if !kind.may_be(wanted) => {
            Err(Fault::new(arg.offset, format!("{usage} takes {wanted} here, not {kind}")))
        }
        Some(((code, kind), _)) => Ok((Box::new(code), kind)),
    };
    let result = match name {
        "pick" => {
            let (from, kind) = argument(&Type::List(Box::new(Type::Any)))?;
            let element = if let Type::List(element) = kind { *element } else { Type::Any };
            (Code::Pick(from), element)
        }
        "randInt" => (Code::RandInt(argument(&Type::Int)?.0, argument(&Type::Int)?.0), Type::Int),
        "randString" => (Code::RandString(argument(&Type::Int)?.0), Type::String),
        _ => (Code::Uuid, Type::String),
    };
    match taken.next() {
        Some((_, arg)) => Err(Fault::new(arg.offset, format!("too many arguments; write {usage}"))),
        None => Ok(result),
    }
}
