//! What one virtual user remembers ([`Memory`]) and what all of a run share ([`Shared`]). Expressions read both through
//! `env.rs`; `after.rs` writes the user's variables.

use std::fmt;
use std::sync::Arc;

use crate::after::Notes;
use crate::compiled::CompiledScenario;
use crate::expr::Value;
use crate::model::Pick;
use crate::rng::Rng;
use crate::table::Table;
use crate::{Env, Response};

/// Names of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunNames {
    /// Of the run: `run.name`.
    pub name: String,
    /// Of the load test: `run.test`.
    pub test: String,
    /// Of their namespace: `run.namespace`.
    pub namespace: String,
}

/// What all users of a run share. Its `Debug` form shows no values.
#[derive(Clone, Default)]
pub struct Shared {
    /// Names of the run.
    pub run: RunNames,
    /// What setup captured.
    pub(crate) setup: Arc<[Option<Value>]>,
    pub(crate) tables: Arc<[Source]>,
}

/// A table and how its rows are dealt out.
pub(crate) struct Source {
    pub(crate) table: Table,
    pub(crate) pick: Pick,
    pub(crate) once: bool,
}

impl Shared {
    pub(crate) fn new(run: RunNames, tables: Arc<[Source]>) -> Self {
        Self { run, setup: Arc::default(), tables }
    }

    /// What tests of expressions share.
    #[cfg(test)]
    pub(crate) fn for_tests(run: RunNames, setup: Vec<Option<Value>>, tables: Vec<Table>) -> Self {
        let source = |table| Source { table, pick: Pick::Sequential, once: false };
        Self { run, setup: setup.into(), tables: tables.into_iter().map(source).collect() }
    }

    /// What setup captured as its variable number `slot`.
    #[inline]
    #[must_use]
    pub fn setup(&self, slot: u16) -> Option<&Value> {
        self.setup.get(usize::from(slot))?.as_ref()
    }

    /// The value of a column in a row of a table; absent where that row lacks it.
    #[inline]
    #[must_use]
    pub fn cell(&self, table: u16, row: usize, column: u16) -> Option<&Value> {
        self.tables.get(usize::from(table))?.table.cell(row, column)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("run", &self.run).finish_non_exhaustive()
    }
}

/// The variables of a kind of user, and the tables whose rows it sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slots {
    /// Names of the variables `user.NAME`, by slot.
    pub names: Vec<String>,
    /// Indexes of the tables that it uses.
    pub tables: Vec<u16>,
}

/// What one user remembers. Its `Debug` form shows no values.
pub struct Memory {
    /// The user's own choices.
    pub rng: Rng,
    /// The user's number in the run, from 0.
    pub user: u64,
    /// The number of its iteration, from 0.
    pub iteration: u64,
    /// Its last response, if a later step reads it.
    pub last: Option<Box<Response>>,
    layout: Arc<Slots>,
    variables: Box<[Option<Value>]>,
    /// Current row by table; of those in `layout.tables` only.
    rows: Box<[u32]>,
    stage: Stage,
    /// Values computed and not yet assigned; empty between calls.
    pub(crate) computed: Vec<Option<Value>>,
}

/// Where a user is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Has seen no row yet.
    Unborn,
    /// Has its first rows, and no iteration yet.
    Born,
    /// Is in an iteration, or after one.
    Alive,
}

impl Memory {
    /// The memory of user `user`, without any variable.
    #[must_use]
    pub fn new(slots: &Arc<Slots>, rng: Rng, user: u64) -> Self {
        Self {
            rng,
            user,
            iteration: 0,
            last: None,
            layout: slots.clone(),
            variables: vec![None; slots.names.len()].into(),
            rows: vec![0; slots.tables.iter().max().map_or(0, |last| usize::from(*last) + 1)].into(),
            stage: Stage::Unborn,
            computed: Vec::new(),
        }
    }

    /// A memory of so many unnamed variables and tables.
    #[cfg(test)]
    pub(crate) fn blank(rng: Rng, user: u64, slots: usize, tables: u16) -> Self {
        let names = (0..slots).map(|n| format!("v{n}")).collect();
        Self::new(&Arc::new(Slots { names, tables: (0..tables).collect() }), rng, user)
    }

    /// Becomes the memory of another user; nothing is allocated if it is of the same kind.
    pub fn renew(&mut self, slots: &Arc<Slots>, rng: Rng, user: u64) {
        if !Arc::ptr_eq(&self.layout, slots) {
            *self = Self::new(slots, rng, user);
            return;
        }
        self.variables.fill(None);
        (self.rng, self.user, self.iteration, self.last, self.stage) = (rng, user, 0, None, Stage::Unborn);
    }

    /// The user's birth: picks its first rows, which its first iteration keeps, and computes its `state`; `now` is in nanoseconds
    /// since the epoch. `false`: the data are used up, and the user ends.
    pub fn begin_life(
        &mut self,
        scenario: &CompiledScenario,
        shared: &Shared,
        rows: &mut Rows,
        now: u64,
        notes: &mut Notes<'_>,
    ) -> bool {
        if !self.pick_rows(shared, rows) {
            return false;
        }
        self.stage = Stage::Born;
        if !scenario.state.is_empty() {
            let mut env = Env { shared, memory: self, response: None, message: None, now };
            scenario.state.set(&mut env, notes);
        }
        true
    }

    /// Begins the next iteration with its rows. `false`: the data are used up, and the user ends.
    #[inline]
    pub fn begin_iteration(&mut self, shared: &Shared, rows: &mut Rows) -> bool {
        match self.stage {
            Stage::Born => self.stage = Stage::Alive,
            Stage::Unborn => {
                self.stage = Stage::Alive;
                return self.pick_rows(shared, rows);
            }
            Stage::Alive => {
                self.iteration += 1;
                return self.pick_rows(shared, rows);
            }
        }
        true
    }

    fn pick_rows(&mut self, shared: &Shared, rows: &mut Rows) -> bool {
        for index in &self.layout.tables {
            let Some(source) = shared.tables.get(usize::from(*index)) else { continue };
            let count = source.table.rows() as u64;
            let row = match source.pick {
                Pick::Random => self.rng.below(count),
                Pick::PerUser => self.user % count.max(1),
                Pick::Sequential => match rows.take(usize::from(*index)) {
                    row if row < count => row,
                    _ if source.once => return false,
                    row => row % count.max(1),
                },
            };
            if let Some(place) = self.rows.get_mut(usize::from(*index)) {
                *place = u32::try_from(row).unwrap_or(0);
            }
        }
        true
    }

    /// The variable number `slot`; absent until it was set.
    #[inline]
    #[must_use]
    pub fn slot(&self, slot: u16) -> Option<&Value> {
        self.variables.get(usize::from(slot))?.as_ref()
    }

    /// Sets the variable number `slot`.
    #[inline]
    pub fn set_slot(&mut self, slot: u16, value: Value) {
        if let Some(variable) = self.variables.get_mut(usize::from(slot)) {
            *variable = Some(value);
        }
    }

    /// The row of a table that the current iteration sees.
    #[inline]
    #[must_use]
    pub fn row(&self, table: u16) -> usize {
        self.rows.get(usize::from(table)).map_or(0, |row| *row as usize)
    }

    /// All variables that are set, with their names.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &Value)> {
        let named = self.layout.names.iter().zip(&self.variables);
        named.filter_map(|(name, value)| value.as_ref().map(|value| (name.as_str(), value)))
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("user", &self.user)
            .field("iteration", &self.iteration)
            .field("variables", &self.layout.names)
            .finish_non_exhaustive()
    }
}

/// Where one core is in the tables that are read in order: it takes the rows `offset`, `offset + step`, …, so that all cores of a
/// run together take every row once.
#[derive(Clone, Debug)]
pub struct Rows {
    offset: u64,
    step: u64,
    /// Rows taken, by table.
    taken: Vec<u64>,
}

impl Rows {
    /// The rows of core number `offset` of `step` cores in all.
    #[must_use]
    pub fn new(offset: u64, step: u64) -> Self {
        Self { offset, step: step.max(1), taken: Vec::new() }
    }

    fn take(&mut self, table: usize) -> u64 {
        if self.taken.len() <= table {
            self.taken.resize(table + 1, 0);
        }
        let taken = &mut self.taken[table];
        let row = self.offset.saturating_add(self.step.saturating_mul(*taken));
        *taken += 1;
        row
    }
}
