//! Calls → code: functions and methods by their signatures, and what does not compute its arguments first: `has`, `first`, and
//! the macros over lists.

use super::ast::{Expr, Kind};
use super::check::{Checked, Checker, a};
use super::code::{Code, Group, Loop, LoopKind, Match, Pattern};
use super::signatures::{Builtin, Form, SIGNATURES, Signature};
use super::value::{Type, Value};
use crate::error::{Fault, did_you_mean};

/// Macros over lists, with how they are written.
const LOOPS: [(&str, LoopKind, &str); 5] = [
    ("all", LoopKind::All, "list.all(x, condition)"),
    ("exists", LoopKind::Exists, "list.exists(x, condition)"),
    ("exists_one", LoopKind::ExistsOne, "list.exists_one(x, condition)"),
    ("filter", LoopKind::Filter, "list.filter(x, condition)"),
    ("map", LoopKind::Map, "list.map(x[, condition], value)"),
];

impl<'a> Checker<'a> {
    pub(super) fn call(
        &mut self,
        expr: &'a Expr,
        on: Option<&'a Expr>,
        name: &str,
        args: &'a [Expr],
    ) -> Checked {
        match on {
            None if name == "has" => self.has(expr, args),
            None if name == "first" => self.first(expr, args),
            Some(on) if LOOPS.iter().any(|(looped, ..)| *looped == name) => self.looped(on, name, expr, args),
            _ => {
                let signature = SIGNATURES.iter().find(|signature| signature.name == name);
                let fits = |signature: &&Signature| match signature.form {
                    Form::Both => true,
                    Form::Function => on.is_none(),
                    Form::Method => on.is_some(),
                };
                match signature.filter(fits) {
                    Some(signature) => self.function(signature, expr, on, args),
                    None => Err(unknown(name, on.is_some(), expr, signature)),
                }
            }
        }
    }

    fn function(
        &mut self,
        signature: &Signature,
        expr: &'a Expr,
        on: Option<&'a Expr>,
        args: &'a [Expr],
    ) -> Checked {
        let usage = signature.usage;
        let args: Vec<&'a Expr> = on.into_iter().chain(args).collect();
        let mut codes = Vec::with_capacity(args.len());
        let mut kinds = Vec::with_capacity(args.len());
        for (i, arg) in args.iter().enumerate() {
            let (code, kind) = self.check(arg)?;
            let Some(takes) = signature.takes.get(i) else {
                return Err(Fault::new(arg.offset, format!("too many arguments; write {usage}")));
            };
            if !takes.may_have(&kind) {
                let message = format!("{usage} takes {} here, not {kind}", takes.names());
                return Err(Fault::new(arg.offset, message));
            }
            codes.push(code);
            kinds.push(kind);
        }
        if codes.len() < signature.needed {
            return Err(Fault::new(expr.offset, format!("too few arguments; write {usage}")));
        }
        build(signature, codes, &kinds, &args)
    }

    fn has(&mut self, expr: &'a Expr, args: &'a [Expr]) -> Checked {
        let usage = "has(user.NAME), has(body.a.b) or has(headers['x'])";
        let [place] = args else {
            return Err(Fault::new(expr.offset, format!("has takes one argument; write {usage}")));
        };
        let (code, _) = self.check_part(place)?;
        if !matches!(place.kind, Kind::Member { .. } | Kind::Index { .. }) {
            return Err(Fault::new(place.offset, format!("has takes a member of something; write {usage}")));
        }
        Ok((Code::Has(Box::new(code)), Type::Bool))
    }

    fn first(&mut self, expr: &'a Expr, args: &'a [Expr]) -> Checked {
        if args.is_empty() {
            return Err(Fault::new(expr.offset, "too few arguments; write first(a, b, …)"));
        }
        let checked = args.iter().map(|arg| self.check_part(arg)).collect::<Result<Vec<_>, _>>()?;
        let (codes, kinds): (Vec<_>, Vec<_>) = checked.into_iter().unzip();
        // Null is never the first that is there.
        let kind = Type::common(kinds.into_iter().filter(|kind| *kind != Type::Null));
        Ok((Code::First(codes), kind))
    }

    fn looped(&mut self, on: &'a Expr, name: &str, expr: &'a Expr, args: &'a [Expr]) -> Checked {
        let Some((_, kind, usage)) = LOOPS.iter().find(|(looped, ..)| *looped == name) else {
            return Err(unknown(name, true, expr, None));
        };
        let (variable, test, make) = match (kind, args) {
            (LoopKind::Map, [variable, make]) => (variable, None, Some(make)),
            (LoopKind::Map, [variable, test, make]) => (variable, Some(test), Some(make)),
            (LoopKind::Map, _) => {
                return Err(Fault::new(expr.offset, format!("map takes 2 or 3 arguments; write {usage}")));
            }
            (_, [variable, test]) => (variable, Some(test), None),
            _ => return Err(Fault::new(expr.offset, format!("{name} takes 2 arguments; write {usage}"))),
        };
        let Kind::Name(variable) = &variable.kind else {
            return Err(Fault::new(
                variable.offset,
                format!("the name of a variable must be here; write {usage}"),
            ));
        };
        let (range, range_kind) = self.check(on)?;
        let element = match range_kind {
            Type::List(element) => *element,
            // The keys; all strings if it comes from JSON.
            Type::Map(_) | Type::Any => Type::Any,
            other => {
                let message = format!("{name} needs a list or a map, not {}; write {usage}", a(&other));
                return Err(Fault::new(on.offset, message));
            }
        };
        let local = u16::try_from(self.locals.len()).unwrap_or(u16::MAX);
        self.locals.push((variable, element.clone()));
        let body = self.body(test, make);
        self.locals.pop();
        let (test, make) = body?;
        let result = match (kind, &make) {
            (LoopKind::Map, Some((_, made))) => Type::List(Box::new(made.clone())),
            (LoopKind::Filter, _) => Type::List(Box::new(element)),
            _ => Type::Bool,
        };
        let make = make.map(|(code, _)| code);
        Ok((Code::Loop(Box::new(Loop { kind: *kind, range, local, test, make })), result))
    }

    #[allow(clippy::type_complexity)]
    fn body(
        &mut self,
        test: Option<&'a Expr>,
        make: Option<&'a Expr>,
    ) -> Result<(Option<Code>, Option<(Code, Type)>), Fault> {
        // The list may be empty.
        let test = test.map(|test| self.condition_part(test)).transpose()?;
        let make = make.map(|make| self.check_part(make)).transpose()?;
        Ok((test, make))
    }
}

/// The code of a call whose arguments fit.
fn build(signature: &Signature, codes: Vec<Code>, kinds: &[Type], args: &[&Expr]) -> Checked {
    let kind = signature.gives.kind(kinds);
    if let Builtin::Plain(function) = signature.builtin {
        if signature.name == "min" || signature.name == "max" {
            comparable(signature, kinds, args)?;
        }
        return Ok((Code::Call { function, args: codes }, kind));
    }
    let offset = |index: usize| args.get(index).map_or(0, |arg| arg.offset);
    let mut codes = codes.into_iter();
    let mut next = || Box::new(codes.next().unwrap_or(Code::Const(Value::Null)));
    Ok(match signature.builtin {
        Builtin::Pick => {
            let element = match kinds.first() {
                Some(Type::List(element)) => (**element).clone(),
                _ => Type::Any,
            };
            (Code::Pick(next()), element)
        }
        Builtin::Sample => {
            let list = kinds.first().cloned().unwrap_or(Type::Any);
            (Code::Sample(Box::new((*next(), *next()))), list)
        }
        Builtin::RandInt => (Code::RandInt(next(), next()), kind),
        Builtin::RandString => (Code::RandString(next()), kind),
        Builtin::Uuid => (Code::Uuid, kind),
        Builtin::Now => (Code::Now, kind),
        Builtin::Matches | Builtin::Find => {
            let (text, pattern) = (*next(), *next());
            let group = match signature.builtin {
                Builtin::Find => Some(group(codes.next(), offset(2))?),
                _ => None,
            };
            let pattern = self::pattern(pattern, group.as_ref(), offset(1))?;
            (Code::Match(Box::new(Match { text, pattern, group })), kind)
        }
        Builtin::Dyn | Builtin::Plain(_) => (*next(), Type::Any),
    })
}

/// Both arguments must have one order.
fn comparable(signature: &Signature, kinds: &[Type], args: &[&Expr]) -> Result<(), Fault> {
    let number = |kind: &Type| matches!(kind, Type::Int | Type::Double);
    match (kinds, args) {
        ([a, b], [_, second]) if !(a.may_be(b) || (number(a) && number(b))) => Err(Fault::new(
            second.offset,
            format!("{} takes two values of the same type, not {a} and {b}", signature.usage),
        )),
        _ => Ok(()),
    }
}

fn pattern(code: Code, group: Option<&Group>, offset: usize) -> Result<Pattern, Fault> {
    match code {
        Code::Const(Value::String(pattern)) => {
            Pattern::compile(&pattern, group).map_err(|failure| Fault::new(offset, failure.to_string()))
        }
        code if code.is_settled() => Ok(Pattern::Late(code)),
        _ => Err(Fault::new(
            offset,
            "a regular expression must be constant: a string, vars.NAME or a name of the run; use contains() to look for \
             what varies",
        )),
    }
}

fn group(code: Option<Code>, offset: usize) -> Result<Group, Fault> {
    match code {
        None => Ok(Group::Number(0)),
        Some(Code::Const(Value::Int(number))) if number >= 0 => {
            Ok(Group::Number(usize::try_from(number).unwrap_or(usize::MAX)))
        }
        Some(Code::Const(Value::String(name))) => Ok(Group::Name(name.to_string())),
        Some(_) => Err(Fault::new(offset, "the group must be a constant: its number from 0, or its name")),
    }
}

/// The name here of what has another one in other languages.
fn elsewhere(name: &str, on: bool) -> Option<&'static str> {
    Some(match (name, on) {
        ("len" | "length" | "count", _) => "size",
        ("str", false) => "string",
        ("float" | "number", false) => "double",
        ("rand" | "random" | "randint" | "randomInt", false) => "randInt",
        ("choice", false) => "pick",
        ("lower" | "toLowerCase", true) => "lowerAscii",
        ("upper" | "toUpperCase", true) => "upperAscii",
        ("includes", true) => "contains",
        ("strip", true) => "trim",
        _ => return None,
    })
}

/// Nothing is called like that.
fn unknown(name: &str, on: bool, expr: &Expr, other: Option<&Signature>) -> Fault {
    let offset = expr.offset;
    if let Some(signature) = other {
        let what = if on { "function" } else { "method" };
        return Fault::new(offset, format!("{name} is a {what}; write {}", signature.usage));
    }
    if let Some((_, _, usage)) = LOOPS.iter().find(|(looped, ..)| *looped == name) {
        return Fault::new(offset, format!("{name} is a method; write {usage}"));
    }
    if on && matches!(name, "has" | "first") {
        return Fault::new(offset, format!("{name} is a function; write {name}(…)"));
    }
    let what = if on { "method" } else { "function" };
    let form = if on { Form::Method } else { Form::Function };
    let others: &[&str] = if on { &[] } else { &["has", "first"] };
    let loops = LOOPS.iter().map(|(looped, ..)| *looped).filter(|_| on);
    let all = SIGNATURES.iter().filter(|s| s.form == form || s.form == Form::Both).map(|s| s.name);
    let names: Vec<&str> = all.chain(loops).chain(others.iter().copied()).collect();
    let closest =
        elsewhere(name, on).map(str::to_owned).or_else(|| did_you_mean(name, names.iter().copied()));
    let remedy = if closest.is_some() { String::new() } else { format!("; there is {}", names.join(", ")) };
    Fault { closest, ..Fault::new(offset, format!("unknown {what} \"{name}\"{remedy}")) }
}
