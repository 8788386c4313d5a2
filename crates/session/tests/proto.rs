//! `src/proto.rs` is what the generator makes of `proto/plimsoll.v1.proto`; UPDATE=1 writes it. Needs no protoc.

use std::path::Path;

#[test]
fn generated_code_is_current() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let described = protox::compile(["plimsoll.v1.proto"], [home.join("proto")]).unwrap();
    let out = Path::new(env!("CARGO_TARGET_TMPDIR"));
    tonic_prost_build::configure().out_dir(out).compile_fds(described).unwrap();
    let code = std::fs::read_to_string(out.join("plimsoll.v1.rs")).unwrap();
    let code =
        format!("//! Generated from `proto/plimsoll.v1.proto` by `tests/proto.rs`; do not edit.\n{code}");
    let committed = home.join("src/proto.rs");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&committed, &code).unwrap();
    }
    let current = std::fs::read_to_string(&committed).unwrap_or_default();
    assert!(
        current == code,
        "{} is stale: UPDATE=1 cargo test -p plimsoll-session --test proto",
        committed.display()
    );
}
