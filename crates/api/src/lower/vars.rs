//! Run constants: values, or where workers find them. Secret values are never read here.

use plimsoll_scenario::{Var, VarSource};

use super::error::Errors;
use crate::v1alpha1::{self as api, LoadTestSpec};

pub(super) fn lower(spec: &LoadTestSpec, errors: &mut Errors) -> Vec<Var> {
    let mut vars = Vec::new();
    for (at, var) in spec.vars.iter().enumerate() {
        match source(var) {
            Ok(from) => vars.push(Var { name: var.name.clone(), from }),
            Err(message) => errors.add(format!("spec.vars[{at}]"), format!("{}: {message}", var.name)),
        }
    }
    vars
}

fn source(var: &api::Var) -> Result<VarSource, &'static str> {
    match (&var.value, &var.value_from) {
        (Some(value), None) => Ok(VarSource::Value(value.clone())),
        (None, Some(from)) => match (&from.secret_key_ref, &from.config_map_key_ref) {
            (Some(key), None) => Ok(VarSource::Secret { name: key.name.clone(), key: key.key.clone() }),
            (None, Some(key)) => Ok(VarSource::ConfigMap { name: key.name.clone(), key: key.key.clone() }),
            _ => Err("valueFrom has either secretKeyRef or configMapKeyRef"),
        },
        _ => Err("a variable has either value or valueFrom"),
    }
}
