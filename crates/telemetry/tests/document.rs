//! Holds `docs/metrics.md` against the inventory; `cargo xtask generate` writes it anew (`UPDATE=1`).

#![allow(clippy::unwrap_used, reason = "tests may")]

use std::path::Path;

use plimsoll_telemetry::document::{BEGIN, END, tables};

#[test]
fn the_page_says_what_the_inventory_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(BEGIN).unwrap();
    let (_, tail) = rest.split_once(END).unwrap();
    let wanted = format!("{head}{BEGIN}\n\n{}\n{END}{tail}", tables());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, wanted).unwrap();
    } else {
        assert!(page == wanted, "docs/metrics.md is not what the inventory says: run `cargo xtask generate`");
    }
}
