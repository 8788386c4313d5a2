//! What the plan names but does not hold: secrets, ConfigMap keys, tables, certificates. In a pod they are mounted files.

use plimsoll_engine::Materials;
use plimsoll_plan::Plan;
use plimsoll_scenario::VarSource;

/// Where a value is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shelf {
    /// A Secret.
    Secret,
    /// A ConfigMap.
    ConfigMap,
}

/// A value that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} needs key {key} of {shelf:?} {name}: {cause}")]
pub struct MaterialError {
    /// What needs it: `vars.NAME`, `data.NAME`, `target.tls`.
    pub what: String,
    /// Where it should be.
    pub shelf: Shelf,
    /// Name of the Secret or ConfigMap.
    pub name: String,
    /// Key in it.
    pub key: String,
    /// Why it cannot be had; never holds a value.
    pub cause: String,
}

/// Reads a value from a shelf by name and key, or says why there is none.
pub type Reader<'a> = dyn Fn(Shelf, &str, &str) -> Result<Vec<u8>, String> + 'a;

/// Collects everything a plan needs.
///
/// # Errors
/// When a value cannot be had, or a variable's is not UTF-8.
pub fn materials(plan: &Plan, read: &Reader<'_>) -> Result<Materials, MaterialError> {
    let fetch = |what: &str, shelf: Shelf, name: &str, key: &str| {
        let fail = |cause| MaterialError {
            what: what.to_owned(),
            shelf,
            name: name.to_owned(),
            key: key.to_owned(),
            cause,
        };
        read(shelf, name, key).map_err(fail)
    };
    let source = |what: &str, source: &VarSource| match source {
        VarSource::Value(value) => Ok(value.clone().into_bytes()),
        VarSource::Secret { name, key } => fetch(what, Shelf::Secret, name, key),
        VarSource::ConfigMap { name, key } => fetch(what, Shelf::ConfigMap, name, key),
    };
    let mut vars = plimsoll_scenario::Vars::new();
    for var in &plan.vars {
        let what = format!("vars.{}", var.name);
        let value = String::from_utf8(source(&what, &var.from)?).map_err(|_| not_text(what, &var.from))?;
        vars.insert(var.name.clone(), value);
    }
    let mut data = plimsoll_scenario::DataTexts::new();
    // A table that stands in the manifest is part of the plan.
    let mounted = plan.script.data.iter().filter(|table| !matches!(table.from, VarSource::Value(_)));
    for table in mounted {
        data.insert(table.name.clone(), source(&format!("data.{}", table.name), &table.from)?);
    }
    let tls = plan.target.tls.as_ref();
    let ca_pem = tls.and_then(|tls| tls.ca.as_ref()).map(|ca| source("target.tls.ca", ca)).transpose()?;
    let client_pem = match tls.and_then(|tls| tls.client_secret.as_deref()) {
        Some(name) => {
            let part = |key| fetch("target.tls.clientCertificate", Shelf::Secret, name, key);
            Some((part("tls.crt")?, part("tls.key")?))
        }
        None => None,
    };
    Ok(Materials { vars, data, ca_pem, client_pem })
}

fn not_text(what: String, source: &VarSource) -> MaterialError {
    let cause = "the value is not UTF-8; encode it as text".to_owned();
    let (shelf, name, key) = match source {
        VarSource::Secret { name, key } => (Shelf::Secret, name.clone(), key.clone()),
        VarSource::ConfigMap { name, key } => (Shelf::ConfigMap, name.clone(), key.clone()),
        VarSource::Value(_) => (Shelf::ConfigMap, String::new(), String::new()),
    };
    MaterialError { what, shelf, name, key, cause }
}
