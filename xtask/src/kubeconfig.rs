//! Kubeconfig files, written as JSON, which is YAML too. The certificates are from `pki.rs`.

use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::pki::Pki;

/// Who a kubeconfig speaks for.
#[derive(Debug, Clone, Copy)]
pub enum Identity<'a> {
    /// A certificate of the folder by its name: `admin`, `node`.
    Certificate(&'a str),
    /// A bearer token, such as `kubectl create token` prints.
    Token(&'a str),
}

/// Writes a kubeconfig with everything in it, so that it works from any folder.
///
/// # Errors
/// If a certificate cannot be read or the file not be written.
pub fn write(path: &Path, pki: &Pki, server: &str, identity: Identity<'_>) -> Result<()> {
    let encoded = |name: &str| -> Result<Value> {
        let file = pki.file(name);
        let bytes = std::fs::read(&file).with_context(|| format!("read {}", file.display()))?;
        Ok(STANDARD.encode(bytes).into())
    };
    let user = match identity {
        Identity::Certificate(name) => json!({
            "client-certificate-data": encoded(&format!("{name}.crt"))?,
            "client-key-data": encoded(&format!("{name}.key"))?,
        }),
        Identity::Token(token) => json!({ "token": token }),
    };
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "plimsoll",
            "cluster": { "server": server, "certificate-authority-data": encoded("ca.crt")? },
        }],
        "users": [{ "name": "user", "user": user }],
        "contexts": [{ "name": "plimsoll", "context": { "cluster": "plimsoll", "user": "user" } }],
        "current-context": "plimsoll",
    });
    std::fs::write(path, format!("{config:#}\n")).with_context(|| format!("write {}", path.display()))
}
