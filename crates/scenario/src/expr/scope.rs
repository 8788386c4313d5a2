//! What the names in an expression may mean; `check.rs` looks them up here.

use std::collections::BTreeSet;

use super::value::Type;

/// What expressions may refer to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope<'a> {
    /// Names of the run constants.
    pub(crate) vars: BTreeSet<&'a str>,
    /// Tables; code refers to them by their index here.
    pub(crate) tables: Vec<Columns<'a>>,
    /// Variables of the user with their types, `Any` where unknown; code refers to them by their index here.
    pub(crate) users: Vec<(&'a str, Type)>,
    /// What setup captures; code refers to it by its index here.
    pub(crate) setup: Vec<&'a str>,
    /// Whether these are setup's own steps: what it captures is there as its user's, by either name.
    pub(crate) within_setup: bool,
    /// Whether `status`, `body`, `text`, `headers`, `latency` and `error` mean something here.
    pub(crate) response: bool,
    /// Whether `message` does.
    pub(crate) message: bool,
}

/// A table.
#[derive(Clone, Debug)]
pub(crate) struct Columns<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Its columns with their types, if they are known before the run.
    pub(crate) columns: Option<Vec<(&'a str, Type)>>,
}
