//! Every example is resolved to the committed plan, SLOs and notices. `UPDATE=1` writes them.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod support;

use std::fs;
use std::path::PathBuf;

use serde_json::json;
use support::{examples, resolve};

#[test]
fn examples_resolve_to_the_committed_plans() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for (name, text) in examples() {
        for resolved in resolve(&text) {
            let resolved = resolved.unwrap_or_else(|problems| panic!("{name}: {problems:#?}"));
            let golden = json!({
                "notices": resolved.notices,
                "slos": resolved.slos,
                "validity": resolved.validity,
                "plan": resolved.plan,
            });
            let text = plimsoll_api::to_yaml(&golden).unwrap();
            let path = folder.join(format!("{name}.{}.yaml", resolved.plan.run.test));
            if std::env::var_os("UPDATE").is_some() {
                fs::create_dir_all(&folder).unwrap();
                fs::write(&path, &text).unwrap();
            }
            let committed = fs::read_to_string(&path).unwrap_or_default();
            assert!(
                committed == text,
                "{} differs: run UPDATE=1 cargo test -p plimsoll-api\n{text}",
                path.display()
            );
        }
    }
}
