//! Tree → typed code: checks operators and selections, and says where something is wrong. Names are resolved in `names.rs`, calls
//! in `calls.rs`.

use std::sync::Arc;

use super::ast::{Expr, Kind};
use super::code::Code;
use super::fold::settled;
use super::json::Step;
use super::names;
use super::ops::Op;
use super::scope::Scope;
use super::value::{Type, Value};
use crate::error::Fault;

/// Operators, calls and brackets within one another; bounds the recursion of whoever walks code.
const DEEPEST: u32 = 200;

/// Resolves and type-checks an expression; constant parts are computed.
pub(crate) fn check(expr: &Expr, scope: &Scope<'_>) -> Result<(Code, Type), Fault> {
    Checker { scope, locals: Vec::new(), depth: 0, lenient: 0 }.check(expr)
}

/// Code and its type.
pub(super) type Checked = Result<(Code, Type), Fault>;

pub(super) struct Checker<'a> {
    pub(super) scope: &'a Scope<'a>,
    /// Variables of the loops around, the outermost first.
    pub(super) locals: Vec<(&'a str, Type)>,
    depth: u32,
    /// Over 0 where a constant that fails may be meant to: the whole can have a value nevertheless.
    lenient: u32,
}

impl<'a> Checker<'a> {
    pub(super) fn check(&mut self, expr: &'a Expr) -> Checked {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Fault::new(expr.offset, "the expression is nested too deeply; split it"));
        }
        let (code, kind) = self.resolve(expr)?;
        self.depth -= 1;
        let code = match settled(&code) {
            Ok(constant) => constant.unwrap_or(code),
            Err(_) if self.lenient > 0 => code,
            Err(failure) => return Err(Fault::new(expr.offset, failure.to_string())),
        };
        let kind = code.constant().map_or(kind, Value::kind);
        Ok((code, kind))
    }

    /// Checks a part that the whole may do without.
    pub(super) fn check_part(&mut self, expr: &'a Expr) -> Checked {
        self.lenient += 1;
        let checked = self.check(expr);
        self.lenient -= 1;
        checked
    }

    fn resolve(&mut self, expr: &'a Expr) -> Checked {
        let constant = |value: Value| {
            let kind = value.kind();
            Ok((Code::Const(value), kind))
        };
        match &expr.kind {
            Kind::Null => constant(Value::Null),
            Kind::Bool(value) => constant(Value::Bool(*value)),
            Kind::Int(value) => constant(Value::Int(*value)),
            Kind::Double(value) => constant(Value::Double(*value)),
            Kind::String(value) => constant(Value::text(value)),
            Kind::Uint(value) => Err(Fault::new(
                expr.offset,
                format!("there are no unsigned numbers; write {value} without the \"u\""),
            )),
            Kind::Bytes(_) => Err(Fault::new(
                expr.offset,
                "there are no literals of bytes; write a string, without the \"b\"",
            )),
            Kind::List(items) => {
                let items = items.iter().map(|item| self.check(item)).collect::<Result<Vec<_>, _>>()?;
                let (codes, kinds): (Vec<_>, Vec<_>) = items.into_iter().unzip();
                Ok((Code::List(codes), Type::List(Box::new(Type::common(kinds)))))
            }
            Kind::Map(entries) => self.map(entries),
            Kind::Name(name) => names::name(self, name, expr.offset),
            Kind::Member { of, name } => self.member(expr, of, name),
            Kind::Index { of, index } => self.index(expr, of, index),
            Kind::Call { on, name, args } => self.call(expr, on.as_deref(), name, args),
            Kind::Unary { op, of } => self.unary(op, of),
            Kind::Binary { op, left, right } => self.binary(op, left, right, expr.offset),
            Kind::Ternary { test, yes, no } => {
                let test = self.condition(test)?;
                let ((yes, a), (no, b)) = (self.check_part(yes)?, self.check_part(no)?);
                Ok((Code::Choose(Box::new((test, yes, no))), a.or(b)))
            }
        }
    }

    fn map(&mut self, entries: &'a [(Expr, Expr)]) -> Checked {
        let mut codes = Vec::with_capacity(entries.len());
        let mut kinds = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let (key_code, key_kind) = self.check(key)?;
            if !matches!(key_kind, Type::String | Type::Int | Type::Bool | Type::Any) {
                let message = format!("{} cannot be a key; use a string, an int or a bool", a(&key_kind));
                return Err(Fault::new(key.offset, message));
            }
            let (value, kind) = self.check(value)?;
            codes.push((key_code, value));
            kinds.push(kind);
        }
        Ok((Code::Map(codes), Type::Map(Box::new(Type::common(kinds)))))
    }

    /// Code that is true or false.
    pub(super) fn condition(&mut self, expr: &'a Expr) -> Result<Code, Fault> {
        let (code, kind) = self.check(expr)?;
        if kind.may_be(&Type::Bool) {
            return Ok(code);
        }
        Err(Fault::new(
            expr.offset,
            format!("this must be true or false, not {}; compare it with something", a(&kind)),
        ))
    }

    /// The same for a part that the whole may do without.
    pub(super) fn condition_part(&mut self, expr: &'a Expr) -> Result<Code, Fault> {
        self.lenient += 1;
        let checked = self.condition(expr);
        self.lenient -= 1;
        checked
    }

    fn unary(&mut self, op: &str, of: &'a Expr) -> Checked {
        if op == "!" {
            return Ok((Code::Not(Box::new(self.condition(of)?)), Type::Bool));
        }
        let (code, kind) = self.check(of)?;
        match kind {
            Type::Int | Type::Double | Type::Any => Ok((Code::Negate(Box::new(code)), kind)),
            other => Err(Fault::new(of.offset, format!("cannot negate {}; \"-\" takes a number", a(&other)))),
        }
    }

    fn member(&mut self, expr: &'a Expr, of: &'a Expr, name: &'a str) -> Checked {
        if let Some(found) = names::selected(self, expr) {
            return found;
        }
        let (code, kind) = self.check(of)?;
        let value = match kind {
            Type::Any => Type::Any,
            Type::Map(value) => *value,
            other => {
                let message = format!("{} has no member \"{name}\"; only maps have members", a(&other));
                return Err(Fault::new(expr.offset, message));
            }
        };
        let code = match code {
            Code::Body(path) => Code::Body(longer(&path, Step::Key(name.into()))),
            Code::Message(path) => Code::Message(longer(&path, Step::Key(name.into()))),
            Code::Headers => header(name, expr.offset)?,
            other => Code::Member { of: Box::new(other), name: name.into() },
        };
        Ok((code, value))
    }

    fn index(&mut self, expr: &'a Expr, of: &'a Expr, index: &'a Expr) -> Checked {
        if let Some(found) = names::selected(self, expr) {
            return found;
        }
        let ((code, kind), (index_code, index_kind)) = (self.check(of)?, self.check(index)?);
        let value = match kind {
            Type::Any => Type::Any,
            Type::Map(value) => *value,
            Type::List(value) if index_kind.may_be(&Type::Int) => *value,
            Type::List(_) => {
                let message = format!("the index of a list is an int, not {}", a(&index_kind));
                return Err(Fault::new(index.offset, message));
            }
            other => {
                let message = format!("{} has no elements; only lists and maps can be indexed", a(&other));
                return Err(Fault::new(expr.offset, message));
            }
        };
        let step = match &index_code {
            Code::Const(Value::String(key)) => Some(Step::Key(key.clone())),
            Code::Const(Value::Int(at)) => Some(Step::At(*at)),
            _ => None,
        };
        let code = match (code, step) {
            (Code::Body(path), Some(step)) => Code::Body(longer(&path, step)),
            (Code::Message(path), Some(step)) => Code::Message(longer(&path, step)),
            (Code::Headers, Some(Step::Key(name))) => header(&name, index.offset)?,
            (of, Some(Step::Key(name))) => Code::Member { of: Box::new(of), name },
            (of, _) => Code::Index(Box::new((of, index_code))),
        };
        Ok((code, value))
    }

    fn binary(&mut self, op: &str, left: &'a Expr, right: &'a Expr, offset: usize) -> Checked {
        if let "&&" | "||" = op {
            let sides = Box::new((self.condition_part(left)?, self.condition_part(right)?));
            return Ok((if op == "&&" { Code::And(sides) } else { Code::Or(sides) }, Type::Bool));
        }
        let ((left_code, a), (right_code, b)) = (self.check(left)?, self.check(right)?);
        let op = operator(op);
        let kind = match op {
            Op::Add | Op::Subtract | Op::Multiply | Op::Divide | Op::Remainder => arithmetic(op, &a, &b),
            Op::Equal | Op::NotEqual => comparable(&a, &b).then_some(Type::Bool),
            Op::In => contained(&a, &b).then_some(Type::Bool),
            _ => ordered(&a, &b).then_some(Type::Bool),
        };
        let Some(kind) = kind else {
            let remedy = remedy(op, (&left_code, &a), (&right_code, &b));
            return Err(Fault::new(offset, format!("{}{remedy}", mismatch(op, &a, &b))));
        };
        Ok((Code::Binary { op, sides: Box::new((left_code, right_code)) }, kind))
    }
}

fn longer(path: &[Step], step: Step) -> Arc<[Step]> {
    path.iter().cloned().chain([step]).collect()
}

/// A header by its name, which must be as `headers` has it.
fn header(name: &str, offset: usize) -> Result<Code, Fault> {
    let lower = name.to_ascii_lowercase();
    if lower == name {
        return Ok(Code::Header(name.into()));
    }
    let message = format!("the names in headers are in lower case; there is no \"{name}\"");
    Err(Fault { closest: Some(lower), ..Fault::new(offset, message) })
}

/// A type with its article.
pub(super) fn a(kind: &Type) -> String {
    match kind {
        Type::Null => "null".to_owned(),
        Type::Int => "an int".to_owned(),
        Type::Any => "any value".to_owned(),
        kind => format!("a {kind}"),
    }
}

fn operator(op: &str) -> Op {
    match op {
        "+" => Op::Add,
        "-" => Op::Subtract,
        "*" => Op::Multiply,
        "/" => Op::Divide,
        "%" => Op::Remainder,
        "==" => Op::Equal,
        "!=" => Op::NotEqual,
        "<" => Op::Less,
        "<=" => Op::LessOrEqual,
        ">" => Op::Greater,
        ">=" => Op::GreaterOrEqual,
        _ => Op::In,
    }
}

/// The type of an arithmetic operator's value; none if it cannot have one.
fn arithmetic(op: Op, a: &Type, b: &Type) -> Option<Type> {
    use Type::{Any, Double, Duration, Int, List, String, Timestamp};
    let number = |kind: &Type| matches!(kind, Int | Double | Any);
    let moment = |kind: &Type| matches!(kind, Duration | Timestamp);
    Some(match (op, a, b) {
        (Op::Remainder, Int | Any, Int | Any) => Int,
        (Op::Remainder, ..) => return None,
        // An int of unknown type may be a double.
        (_, Double, Any | Double) | (_, Any, Double) => Double,
        (_, Int, Int) => Int,
        (Op::Add, String, String | Any) | (Op::Add, Any, String) => String,
        (Op::Add, List(a), List(b)) => List(Box::new((**a).clone().or((**b).clone()))),
        (Op::Add, List(_), Any) | (Op::Add, Any, List(_)) => List(Box::new(Any)),
        (Op::Add, Duration, Duration) | (Op::Subtract, Timestamp, Timestamp) => Duration,
        (Op::Subtract, Duration, Duration | Any) => Duration,
        (Op::Add, Timestamp, Duration | Any) | (Op::Add, Duration | Any, Timestamp) => Timestamp,
        (Op::Subtract, Timestamp, Duration) => Timestamp,
        (Op::Add | Op::Subtract, a, b) if (moment(a) && *b == Any) || (*a == Any && moment(b)) => Any,
        (_, Any, b) if number(b) => Any,
        (_, a, Any) if number(a) => Any,
        _ => return None,
    })
}

/// Whether two values may be equal. Anything can be compared with null.
fn comparable(a: &Type, b: &Type) -> bool {
    match (a, b) {
        (Type::Null, _) | (_, Type::Null) => true,
        (Type::Int | Type::Double, Type::Int | Type::Double) => true,
        (Type::List(a), Type::List(b)) | (Type::Map(a), Type::Map(b)) => comparable(a, b),
        _ => a.may_be(b),
    }
}

/// Whether one may be less than the other.
fn ordered(a: &Type, b: &Type) -> bool {
    let has_order = |kind: &Type| !matches!(kind, Type::Null | Type::List(_) | Type::Map(_) | Type::Type);
    has_order(a) && has_order(b) && comparable(a, b)
}

fn contained(element: &Type, container: &Type) -> bool {
    match container {
        Type::Any => true,
        Type::List(of) => comparable(element, of),
        Type::Map(_) => matches!(element, Type::String | Type::Int | Type::Double | Type::Bool | Type::Any),
        _ => false,
    }
}

fn mismatch(op: Op, left: &Type, right: &Type) -> String {
    let (left_name, right_name) = (a(left), a(right));
    match op {
        Op::Add => format!("cannot add {left_name} and {right_name}"),
        Op::Subtract => format!("cannot subtract {right_name} from {left_name}"),
        Op::Multiply => format!("cannot multiply {left_name} by {right_name}"),
        Op::Divide => format!("cannot divide {left_name} by {right_name}"),
        Op::Remainder => format!("\"%\" takes two ints, not {left_name} and {right_name}"),
        Op::Equal | Op::NotEqual => format!("{left_name} is never equal to {right_name}"),
        Op::In => match right {
            Type::List(of) => format!("{left_name} is never in a list whose elements are {of}"),
            _ => format!("{left_name} cannot be in {right_name}; \"in\" takes a list or a map on its right"),
        },
        _ => format!("cannot compare {left_name} with {right_name}"),
    }
}

/// What may be meant, after a semicolon.
fn remedy(op: Op, left: (&Code, &Type), right: (&Code, &Type)) -> String {
    let sides = [(left, right), (right, left)];
    for ((code, kind), (_, other)) in sides {
        let text = match (code, kind, other) {
            (Code::Const(Value::Int(n)), _, Type::Duration) => format!("write duration('{n}ms')"),
            (Code::Const(Value::Double(n)), _, Type::Duration) => format!("write duration('{n}ms')"),
            (Code::Const(Value::String(text)), _, Type::Int | Type::Double)
                if op != Op::Add && text.parse::<f64>().is_ok_and(f64::is_finite) =>
            {
                format!("write {text} without quotes")
            }
            (Code::Const(Value::String(text)), _, Type::Duration) => format!("write duration('{text}')"),
            (_, Type::String, Type::Timestamp) => "write timestamp(…) around the string".to_owned(),
            (_, Type::Int, Type::Double) => "write double(…) around the int".to_owned(),
            (_, Type::String, Type::Int | Type::Double | Type::Bool) if op == Op::Add => {
                format!("write string(…) around the {other}")
            }
            _ => continue,
        };
        return format!("; {text}");
    }
    String::new()
}
