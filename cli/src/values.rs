//! Values of secrets and config maps for a local run: from documents of the input and from `--secret`.
//! In a cluster the kubelet mounts them; `worker/src/share.rs` reads them there.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result, anyhow};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use plimsoll_engine::Materials;
use plimsoll_plan::Plan;
use plimsoll_worker::{MaterialError, Shelf};

/// Everything that references of a test may point at, by object and key.
#[derive(Default)]
pub(crate) struct Values {
    secrets: BTreeMap<(String, String), Vec<u8>>,
    configs: BTreeMap<(String, String), Vec<u8>>,
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Values({} secret keys, {} config keys)", self.secrets.len(), self.configs.len())
    }
}

impl Values {
    /// Takes the keys of a Secret document.
    pub(crate) fn add_secret(&mut self, secret: Secret) {
        let name = secret.metadata.name.unwrap_or_default();
        for (key, value) in secret.data.unwrap_or_default() {
            self.secrets.insert((name.clone(), key), value.0);
        }
        for (key, value) in secret.string_data.unwrap_or_default() {
            self.secrets.insert((name.clone(), key), value.into_bytes());
        }
    }

    /// Takes the keys of a ConfigMap document.
    pub(crate) fn add_config(&mut self, config: ConfigMap) {
        let name = config.metadata.name.unwrap_or_default();
        for (key, value) in config.data.unwrap_or_default() {
            self.configs.insert((name.clone(), key), value.into_bytes());
        }
        for (key, value) in config.binary_data.unwrap_or_default() {
            self.configs.insert((name.clone(), key), value.0);
        }
    }

    /// Takes one `--secret NAME/KEY=env:VAR` or `NAME/KEY=file:PATH`. Errors never show the value.
    pub(crate) fn add_flag(&mut self, flag: &str) -> Result<()> {
        // What stands after the = may be the secret itself.
        let given = flag.split(['=', ':']).next().unwrap_or_default();
        let usage = || anyhow!("--secret {given}…: write NAME/KEY=env:VAR or NAME/KEY=file:PATH");
        let (object, source) = flag.split_once('=').ok_or_else(usage)?;
        let (name, key) = object.split_once('/').ok_or_else(usage)?;
        let value = match source.split_once(':') {
            Some(("env", var)) => std::env::var(var)
                .with_context(|| format!("--secret {object}: environment variable {var} cannot be read"))?
                .into_bytes(),
            Some(("file", path)) => std::fs::read(path)
                .with_context(|| format!("--secret {object}: file {path} cannot be read"))?,
            _ => return Err(usage()),
        };
        self.secrets.insert((name.to_owned(), key.to_owned()), value);
        Ok(())
    }

    /// What the engine needs beside the plan; an error names the first reference that nothing resolves, and the remedy.
    pub(crate) fn materials(&self, plan: &Plan) -> std::result::Result<Materials, MaterialError> {
        plimsoll_worker::materials(plan, &|shelf, name, key| self.read(shelf, name, key))
    }

    fn read(&self, shelf: Shelf, name: &str, key: &str) -> std::result::Result<Vec<u8>, String> {
        let object = (name.to_owned(), key.to_owned());
        match shelf {
            Shelf::Secret => self.secrets.get(&object).cloned().ok_or_else(|| {
                format!(
                    "not in the input; give --secret {name}/{key}=env:VAR or --secret {name}/{key}=file:PATH, or add \
                     the Secret's document"
                )
            }),
            Shelf::ConfigMap => {
                self.configs.get(&object).cloned().ok_or_else(|| "not in the input; add the ConfigMap's document".to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_flag_that_cannot_be_read_is_named_without_its_value() {
        let mut values = Values::default();
        let problem = values.add_flag("load-user/password=hunter2").unwrap_err().to_string();
        assert!(problem.contains("NAME/KEY=env:VAR"), "{problem}");
        assert!(problem.contains("load-user/password") && !problem.contains("hunter2"), "{problem}");
        let problem =
            values.add_flag("load-user/password=env:NO_SUCH_VARIABLE_HERE").unwrap_err().to_string();
        assert!(problem.contains("NO_SUCH_VARIABLE_HERE"), "{problem}");
    }

    #[test]
    fn a_missing_secret_says_how_to_give_it() {
        let problem = Values::default().read(Shelf::Secret, "api", "token").unwrap_err();
        assert!(problem.contains("--secret api/token=env:VAR"), "{problem}");
    }

    #[test]
    fn string_data_replaces_data_as_in_the_api_server() {
        let secret: Secret = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "api"}, "data": {"token": "b2xk"}, "stringData": {"token": "new"}
        }))
        .unwrap();
        let mut values = Values::default();
        values.add_secret(secret);
        assert_eq!(values.read(Shelf::Secret, "api", "token").unwrap(), b"new");
    }
}
