//! Bare expressions: conditions, checks, assignments, metrics, each of the type that its place takes.

use super::Builder;
use crate::after::{
    CompiledAssign, CompiledAssigns, CompiledChecks, CompiledCondition, CompiledMeasure, Placed,
};
use crate::error::{BindError, CompileError, Fault, did_you_mean};
use crate::expr::{Code, Type, Value, check, parse_whole};
use crate::model::{Assign, Check, Condition, Measure, MeasureKind};

/// What an expression may see beside constants and variables.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    response: bool,
    message: bool,
}

impl Sight {
    /// Constants and variables only.
    pub(super) const NOTHING: Self = Self { response: false, message: false };
    /// A response.
    pub(super) const RESPONSE: Self = Self { response: true, message: false };
    /// A message, and the response that began the session.
    pub(super) const MESSAGE: Self = Self { response: true, message: true };
}

/// What a place takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    Anything,
    Bool,
    Time,
    For(MeasureKind),
}

impl Wanted {
    fn takes(self, kind: &Type) -> bool {
        match self {
            Self::Anything => !matches!(kind, Type::Type),
            Self::Bool => kind.may_be(&Type::Bool),
            Self::Time => {
                [Type::Timestamp, Type::String, Type::Int, Type::Double].iter().any(|t| kind.may_be(t))
            }
            // Null measures nothing.
            Self::For(MeasureKind::Counter) => kind.may_be(&Type::Int) || *kind == Type::Null,
            Self::For(MeasureKind::Rate) => kind.may_be(&Type::Bool) || *kind == Type::Null,
            Self::For(MeasureKind::Trend) => kind.may_be(&Type::Duration) || *kind == Type::Null,
        }
    }

    fn remedy(self) -> String {
        match self {
            Self::Anything => "take a value".to_owned(),
            Self::Bool => "it must be true or false, so compare it with something".to_owned(),
            Self::Time => "sentAt takes a timestamp, an RFC 3339 text or a number of seconds".to_owned(),
            Self::For(kind) => format!("a {} takes {}", kind.name(), kind.takes()),
        }
    }
}

impl<'a> Builder<'a> {
    /// A bare expression.
    pub(super) fn expression(&mut self, at: &str, text: &str, wanted: Wanted, sight: Sight) -> Placed {
        let code = self.checked(at, text, wanted, sight).unwrap_or_else(|error| {
            self.error(error);
            Code::Const(Value::Null)
        });
        let names = code.uses().vars;
        let code = self.bound(code).unwrap_or_else(|failure| {
            let message = unfit(&failure.to_string(), &names);
            self.unfit.push(BindError::Unfit { at: at.to_owned(), message });
            Code::Const(Value::Null)
        });
        Placed { code, at: at.into() }
    }

    fn checked(&mut self, at: &str, text: &str, wanted: Wanted, sight: Sight) -> Result<Code, CompileError> {
        (self.scope.response, self.scope.message) = (sight.response, sight.message);
        let checked = parse_whole(text).and_then(|expr| {
            let (code, kind) = check(&expr, &self.scope)?;
            if wanted.takes(&kind) {
                return Ok(code);
            }
            Err(Fault::new(0, format!("this is a {kind}; {}", wanted.remedy())))
        });
        (self.scope.response, self.scope.message) = (false, false);
        checked.map_err(|fault| fault.place(at, text))
    }

    /// A condition that decides whether something is done; it sees the user's last response.
    pub(super) fn when(&mut self, condition: &Condition) -> CompiledCondition {
        self.condition(condition, Sight::RESPONSE)
    }

    pub(super) fn condition(&mut self, condition: &Condition, sight: Sight) -> CompiledCondition {
        let expr = self.expression(&condition.at, &condition.expr, Wanted::Bool, sight);
        CompiledCondition { expr, fault: condition.fault }
    }

    pub(super) fn checks(&mut self, checks: &[Check], sight: Sight) -> CompiledChecks {
        let check =
            |check: &Check| (self.expression(&check.at, &check.expr, Wanted::Bool, sight), check.metric);
        CompiledChecks(checks.iter().map(check).collect())
    }

    pub(super) fn assigns(&mut self, assigns: &[Assign], sight: Sight) -> CompiledAssigns {
        let assign = |assign: &Assign| {
            let expr = self.expression(&assign.at, &assign.expr, Wanted::Anything, sight);
            let slot = self.slot_of(assign);
            CompiledAssign { name: assign.name.as_str().into(), slot, expr, fault: assign.fault }
        };
        CompiledAssigns(assigns.iter().map(assign).collect())
    }

    /// The slot of a variable that is assigned: it must be declared.
    fn slot_of(&mut self, assign: &Assign) -> u16 {
        let names = || self.scope.users.iter().map(|(name, _)| *name);
        if let Some(slot) = names().position(|name| name == assign.name) {
            return u16::try_from(slot).unwrap_or(u16::MAX);
        }
        let closest = did_you_mean(&assign.name, names());
        let remedy = match &closest {
            Some(_) => String::new(),
            None => "; declare it in the scenario's state, or capture it".to_owned(),
        };
        let message = format!("user.{} is set and nowhere declared{remedy}", assign.name);
        self.error(CompileError { closest, ..CompileError::whole(&assign.at, message) });
        0
    }

    pub(super) fn measures(&mut self, measures: &[Measure], sight: Sight) -> Box<[CompiledMeasure]> {
        let measure = |measure: &Measure| CompiledMeasure {
            expr: self.expression(&measure.at, &measure.expr, Wanted::For(measure.kind), sight),
            kind: measure.kind,
            metric: measure.metric,
            fault: measure.fault,
        };
        measures.iter().map(measure).collect()
    }
}

/// A message about values that make an expression impossible, with the name of one of them.
pub(super) fn unfit(message: &str, names: &[String]) -> String {
    match names.first() {
        Some(name) => format!("{message} (the value of vars.{name})"),
        None => message.to_owned(),
    }
}
