//! Script → what the engine executes, in one walk that is done twice: by [`compile`] without values, for what can be wrong before
//! any traffic, and by [`Program::bind`] with the values of the run, which become part of the literal bytes.
//!
//! Scenarios are in `script.rs`, steps in `step.rs`, requests in `http.rs`, sessions and streams in `stream.rs`, templates in
//! `text.rs`, bare expressions in `expression.rs`, variables in `names.rs`; `live.rs` finds what must be kept of responses.

mod expression;
mod http;
pub(crate) mod live;
mod names;
mod script;
mod step;
mod stream;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::compiled::Bound;
use crate::error::{BindError, CompileError};
use crate::expr::{Code, Columns, Constants, Failure, Scope, Type};
use crate::memory::{RunNames, Shared, Source};
use crate::model::{Data, DataFormat, Script, Var, VarSource, Vars};
use crate::origin::Origin;
use crate::table::Table;

/// Texts of the tables, by name.
pub type DataTexts = BTreeMap<String, Vec<u8>>;

/// A checked script whose variables have no values yet.
#[derive(Clone, Debug)]
pub struct Program {
    script: Script,
    /// Names of the run constants.
    vars: Vec<String>,
    /// Those that some expression uses.
    used: BTreeSet<String>,
}

/// Type-checks every template and expression of a script. Of the run constants only the names matter here, of the tables those
/// whose text stands in the manifest.
///
/// # Errors
/// Everything that is wrong, in the order of the manifest.
pub fn compile(script: &Script, vars: &[Var]) -> Result<Program, Vec<CompileError>> {
    let vars: Vec<String> = vars.iter().map(|var| var.name.clone()).collect();
    let mut errors = Vec::new();
    let mut tables = Vec::with_capacity(script.data.len());
    for data in &script.data {
        tables.push(inline(data).and_then(|text| match Table::parse(&data.name, data.format, text) {
            Ok(table) => Some(table),
            Err(message) => {
                errors.push(CompileError::whole(&format!("spec.data[{}]", tables.len()), message));
                None
            }
        }));
    }
    let mut builder = Builder::new(script, &vars, &tables, None);
    // Only what is wrong with it matters.
    let _ = builder.script();
    errors.append(&mut builder.errors);
    let used = std::mem::take(&mut builder.used);
    let errors = builder.distinct(&errors);
    if errors.is_empty() { Ok(Program { script: script.clone(), vars, used }) } else { Err(errors) }
}

impl Program {
    /// Puts in the values of the run constants, the tables, the target's origin and the names of the run.
    ///
    /// # Errors
    /// Every variable that is used and has no value, every table that cannot be read or lacks a column, or every text and
    /// expression that these values make impossible; no message holds a value.
    pub fn bind(
        &self,
        vars: &Vars,
        data: &DataTexts,
        origin: &Origin,
        run: &RunNames,
    ) -> Result<Bound, Vec<BindError>> {
        let missing = self.used.iter().filter(|name| !vars.contains_key(*name));
        let mut errors: Vec<_> = missing.map(|name| BindError::Missing { name: name.clone() }).collect();
        let mut tables = Vec::with_capacity(self.script.data.len());
        for table in &self.script.data {
            let text = data.get(&table.name).map(Vec::as_slice).or_else(|| inline(table));
            let read = text
                .ok_or_else(|| "its text was not given".to_owned())
                .and_then(|text| Table::parse(&table.name, table.format, text));
            match read {
                Ok(read) => tables.push(Some(read)),
                Err(message) => {
                    errors.push(BindError::Unfit { at: format!("data.{}", table.name), message });
                }
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let values = Values { constants: Constants { vars, run }, origin };
        let mut builder = Builder::new(&self.script, &self.vars, &tables, Some(values));
        let mut bound = builder.script();
        let wrong = std::mem::take(&mut builder.errors);
        let wrong = builder.distinct(&wrong).into_iter().map(BindError::from);
        for error in builder.unfit.drain(..).chain(wrong) {
            // A flow is built for each scenario that runs it.
            if !errors.contains(&error) {
                errors.push(error);
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let sources = self.script.data.iter().zip(tables).filter_map(|(data, table)| {
            table.map(|table| Source { table, pick: data.pick, once: data.once })
        });
        bound.shared = Arc::new(Shared::new(run.clone(), sources.collect()));
        Ok(bound)
    }
}

/// The text of a table that stands in the manifest.
fn inline(data: &Data) -> Option<&[u8]> {
    match &data.from {
        VarSource::Value(text) => Some(text.as_bytes()),
        _ => None,
    }
}

/// What is known when binding.
#[derive(Clone, Copy)]
struct Values<'a> {
    constants: Constants<'a>,
    origin: &'a Origin,
}

/// The walk.
struct Builder<'a> {
    script: &'a Script,
    scope: Scope<'a>,
    values: Option<Values<'a>>,
    errors: Vec<CompileError>,
    unfit: Vec<BindError>,
    /// Run constants that are used.
    used: BTreeSet<String>,
    /// Tables that the present kind of user uses.
    tables: BTreeSet<u16>,
    /// Requests so far.
    requests: usize,
    /// How often each step was built: more than once if several scenarios run its flow.
    visits: BTreeMap<&'a str, usize>,
    /// The present kind of user, for messages: `scenario "browser"`.
    who: String,
    /// Who had the error, by index into `errors`.
    whose: Vec<String>,
}

impl<'a> Builder<'a> {
    fn new(
        script: &'a Script,
        vars: &'a [String],
        tables: &'a [Option<Table>],
        values: Option<Values<'a>>,
    ) -> Self {
        let columns = |(data, table): (&'a Data, &'a Option<Table>)| Columns {
            name: &data.name,
            columns: table.as_ref().map(|table| {
                let kind = if data.format == DataFormat::Csv { Type::String } else { Type::Any };
                table.columns().iter().map(|column| (column.as_str(), kind.clone())).collect()
            }),
        };
        let scope = Scope {
            vars: vars.iter().map(String::as_str).collect(),
            tables: script.data.iter().zip(tables).map(columns).collect(),
            ..Scope::default()
        };
        Self {
            script,
            scope,
            values,
            errors: Vec::new(),
            unfit: Vec::new(),
            used: BTreeSet::new(),
            tables: BTreeSet::new(),
            requests: 0,
            visits: BTreeMap::new(),
            who: String::new(),
            whose: Vec::new(),
        }
    }

    fn fault(&mut self, at: &str, message: impl Into<String>) {
        self.error(CompileError::whole(at, message));
    }

    fn error(&mut self, error: CompileError) {
        self.errors.push(error);
        self.whose.push(self.who.clone());
    }

    /// Puts the values in, if they are known; notes which variables and tables are used.
    fn bound(&mut self, code: Code) -> Result<Code, Failure> {
        let uses = code.uses();
        self.used.extend(uses.vars);
        self.tables.extend(uses.tables);
        match &self.values {
            None => Ok(code),
            Some(values) => code.fold(Some(&values.constants)),
        }
    }

    /// A flow that several scenarios run is built for each: what is wrong for all is told once, what is wrong for one with its
    /// name.
    fn distinct(&self, errors: &[CompileError]) -> Vec<CompileError> {
        let before = errors.len() - self.whose.len().min(errors.len());
        let mut told: Vec<CompileError> = Vec::with_capacity(errors.len());
        for (i, error) in errors.iter().enumerate() {
            let same = |other: &CompileError| other.at == error.at && other.offset == error.offset;
            if told.iter().any(&same) {
                continue;
            }
            let times = errors.iter().filter(|other| same(other)).count();
            let mut error = error.clone();
            if let Some(who) = i.checked_sub(before).and_then(|i| self.whose.get(i))
                && self.visited(&error.at) > times
            {
                error.message = format!("{} (as {who} runs it)", error.message);
            }
            told.push(error);
        }
        told
    }

    /// How often the step with this place was built.
    fn visited(&self, at: &str) -> usize {
        let within =
            |step: &str| at.strip_prefix(step).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        self.visits.iter().filter(|(step, _)| within(step)).map(|(_, times)| *times).max().unwrap_or(0)
    }
}
