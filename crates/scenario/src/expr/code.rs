//! Typed code: what `check.rs` makes of a tree. [`Code::fold`] (in `fold.rs`) puts the constants of the run in and computes what
//! does not change; `Code::eval` (in `eval.rs`) computes the rest. `../slot.rs` gives the common forms a shorter way.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::failure::Failure;
use super::functions::Function;
use super::json::Step;
use super::ops::Op;
use super::value::Value;

/// Code of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Code {
    Const(Value),
    /// A run constant that has no value yet.
    Var(Arc<str>),
    /// A name of the run that has no value yet.
    RunName(RunName),
    /// `run.user`.
    UserNumber,
    /// `run.iteration`.
    Iteration,
    /// `data.NAME.COLUMN`; the column's number is known when the data are.
    Cell {
        table: u16,
        column: Option<u16>,
        name: Arc<str>,
    },
    /// `user.NAME`.
    User {
        slot: u16,
        name: Arc<str>,
    },
    /// `setup.NAME`.
    Setup {
        slot: u16,
        name: Arc<str>,
    },
    Status,
    Text,
    Latency,
    Error,
    Headers,
    /// One header, its name in lower case.
    Header(Arc<str>),
    /// `body`, and what a constant path leads to in it.
    Body(Arc<[Step]>),
    /// `message`, and what a constant path leads to in it.
    Message(Arc<[Step]>),
    /// The variable of the loop with this number, counted from the outermost.
    Local(u16),
    List(Vec<Code>),
    Map(Vec<(Code, Code)>),
    Member {
        of: Box<Code>,
        name: Arc<str>,
    },
    Index(Box<(Code, Code)>),
    /// Whether the place is there.
    Has(Box<Code>),
    Not(Box<Code>),
    Negate(Box<Code>),
    Binary {
        op: Op,
        sides: Box<(Code, Code)>,
    },
    And(Box<(Code, Code)>),
    Or(Box<(Code, Code)>),
    Choose(Box<(Code, Code, Code)>),
    Loop(Box<Loop>),
    Call {
        function: Function,
        args: Vec<Code>,
    },
    Match(Box<Match>),
    First(Vec<Code>),
    Pick(Box<Code>),
    Sample(Box<(Code, Code)>),
    RandInt(Box<Code>, Box<Code>),
    RandString(Box<Code>),
    Uuid,
    Now,
}

/// What is known of a run when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunName {
    Name,
    Test,
    Namespace,
}

/// A macro over a list, or over the keys of a map.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Loop {
    pub(super) kind: LoopKind,
    pub(super) range: Code,
    /// Number of its variable.
    pub(super) local: u16,
    /// The condition; of `map`, only if it has one.
    pub(super) test: Option<Code>,
    /// The element that `map` makes.
    pub(super) make: Option<Code>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoopKind {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

/// `matches` or `find`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Match {
    pub(super) text: Code,
    pub(super) pattern: Pattern,
    /// Which group `find` gives; `matches` has none.
    pub(super) group: Option<Group>,
}

/// A regular expression; compiled once, at the latest when the constants of the run are known.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    Late(Code),
    Ready(Arc<regex::Regex>),
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Late(a), Self::Late(b)) => a == b,
            (Self::Ready(a), Self::Ready(b)) => a.as_str() == b.as_str(),
            _ => false,
        }
    }
}

/// A group of a regular expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Group {
    Number(usize),
    Name(String),
}

/// Most bytes of a compiled regular expression, so that none can take the worker's memory.
const LARGEST_PATTERN: usize = 1 << 20;

impl Pattern {
    /// Compiles a pattern and looks for the group in it. No message holds the pattern: it may come from a secret.
    pub(super) fn compile(pattern: &str, group: Option<&Group>) -> Result<Self, Failure> {
        let built = regex::RegexBuilder::new(pattern)
            .size_limit(LARGEST_PATTERN)
            .dfa_size_limit(LARGEST_PATTERN)
            .nest_limit(50)
            .build();
        let regex = built.map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                Failure::new("the regular expression is too large; simplify it")
            }
            other => {
                let text = other.to_string();
                let why = text.lines().last().unwrap_or("").trim_start_matches("error: ");
                Failure::new(format!("not a regular expression: {why}"))
            }
        })?;
        let groups = regex.captures_len() - 1;
        match group {
            Some(Group::Number(number)) if *number > groups => Err(Failure::new(format!(
                "the regular expression has no group {number}; it has {groups}, and 0 is the whole match"
            ))),
            Some(Group::Name(name)) if !regex.capture_names().flatten().any(|n| n == name) => {
                Err(Failure::new(format!("the regular expression has no group {name:?}; write (?<{name}>…)")))
            }
            _ => Ok(Self::Ready(regex.into())),
        }
    }
}

/// What code asks for beside the user's own variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Uses {
    /// Names of run constants without a value yet, each once.
    pub(crate) vars: Vec<String>,
    /// Indexes of tables.
    pub(crate) tables: BTreeSet<u16>,
    /// Anything of the response.
    pub(crate) response: bool,
    /// Its body.
    pub(crate) body: bool,
    /// Its headers.
    pub(crate) headers: bool,
    /// The message.
    pub(crate) message: bool,
}

impl Code {
    /// The value, if it is a constant.
    pub(crate) fn constant(&self) -> Option<&Value> {
        match self {
            Self::Const(value) => Some(value),
            _ => None,
        }
    }

    /// What it asks for.
    pub(crate) fn uses(&self) -> Uses {
        let mut uses = Uses::default();
        self.visit(&mut |code| {
            match code {
                Self::Var(name) if !uses.vars.iter().any(|used| **used == **name) => {
                    uses.vars.push(name.to_string());
                }
                Self::Cell { table, .. } => {
                    uses.tables.insert(*table);
                }
                Self::Message(_) => uses.message = true,
                Self::Body(_) | Self::Text => uses.body = true,
                Self::Headers | Self::Header(_) => uses.headers = true,
                Self::Status | Self::Latency | Self::Error => uses.response = true,
                _ => {}
            }
            uses.response |= uses.body || uses.headers;
        });
        uses
    }

    /// Goes through all code in it, itself first.
    pub(super) fn visit<'c>(&'c self, see: &mut dyn FnMut(&'c Self)) {
        see(self);
        match self {
            Self::List(items) | Self::First(items) | Self::Call { args: items, .. } => {
                items.iter().for_each(|item| item.visit(see));
            }
            Self::Map(entries) => entries.iter().for_each(|(key, value)| {
                key.visit(see);
                value.visit(see);
            }),
            Self::Member { of, .. }
            | Self::Has(of)
            | Self::Not(of)
            | Self::Negate(of)
            | Self::Pick(of)
            | Self::RandString(of) => of.visit(see),
            Self::RandInt(a, b) => {
                a.visit(see);
                b.visit(see);
            }
            Self::Index(two)
            | Self::And(two)
            | Self::Or(two)
            | Self::Sample(two)
            | Self::Binary { sides: two, .. } => {
                two.0.visit(see);
                two.1.visit(see);
            }
            Self::Choose(three) => {
                three.0.visit(see);
                three.1.visit(see);
                three.2.visit(see);
            }
            Self::Loop(inner) => {
                inner.range.visit(see);
                inner.test.iter().chain(&inner.make).for_each(|code| code.visit(see));
            }
            Self::Match(inner) => {
                inner.text.visit(see);
                if let Pattern::Late(pattern) = &inner.pattern {
                    pattern.visit(see);
                }
            }
            _ => {}
        }
    }

    /// Whether its value is known at the latest when the constants of the run are.
    pub(super) fn is_settled(&self) -> bool {
        let mut settled = true;
        self.visit(&mut |code| settled &= !code.varies() && !matches!(code, Self::Local(_)));
        settled
    }

    /// Whether it is, itself and apart from its parts, different from one evaluation to the next.
    pub(super) fn varies(&self) -> bool {
        matches!(
            self,
            Self::UserNumber
                | Self::Iteration
                | Self::Cell { .. }
                | Self::User { .. }
                | Self::Setup { .. }
                | Self::Status
                | Self::Text
                | Self::Latency
                | Self::Error
                | Self::Headers
                | Self::Header(_)
                | Self::Body(_)
                | Self::Message(_)
                | Self::Pick(_)
                | Self::Sample(_)
                | Self::RandInt(..)
                | Self::RandString(_)
                | Self::Uuid
                | Self::Now
        )
    }
}
