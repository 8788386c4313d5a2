//! Rules about the tree that no compiler knows: headers, lengths, paths in documents, copies. Who may depend on whom is
//! in `boundaries.rs`.

#![allow(clippy::unwrap_used, reason = "tests may")]

use std::path::{Path, PathBuf};

use xtask::{generate, paths};

/// The longest file, without its tests.
const LONGEST: usize = 400;

/// Files of the tree with this extension, without what Cargo and Git keep.
fn files(extension: &str) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![paths::root()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
                folders.push(path);
            } else if path.extension().is_some_and(|own| own == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(paths::root()).unwrap_or(path).display().to_string()
}

/// Whether a file was written by a program: it says so in its first lines.
fn generated(text: &str) -> bool {
    text.lines().take(3).any(|line| line.contains("@generated"))
}

/// The part of a source file before its tests.
fn without_tests(text: &str) -> &str {
    text.find("\n#[cfg(test)]\nmod ").map_or(text, |at| &text[..=at])
}

fn is_test(path: &Path) -> bool {
    let in_folder = path.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "e2e");
    in_folder || path.file_name().is_some_and(|name| name == "tests.rs")
}

fn fail_on(found: &[String]) {
    assert!(found.is_empty(), "\n  {}\n", found.join("\n  "));
}

#[test]
fn every_file_says_what_it_does_and_is_short() {
    let mut found = Vec::new();
    for path in files("rs") {
        let text = std::fs::read_to_string(&path).unwrap();
        if generated(&text) {
            continue;
        }
        if !text.starts_with("//!") {
            found
                .push(format!("{}: begin with a `//!` header that says what the file does", relative(&path)));
        }
        let lines = without_tests(&text).lines().count();
        if lines > LONGEST && !is_test(&path) {
            found.push(format!("{}: {lines} lines without tests, allowed {LONGEST}", relative(&path)));
        }
    }
    fail_on(&found);
}

/// What stands between backticks and means a path of this tree: it has a slash and no blank or placeholder, and begins
/// with a folder at the root or ends as a file does.
fn paths_in(document: &str) -> Vec<String> {
    let tops: Vec<String> = std::fs::read_dir(paths::root())
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let endings = [".rs", ".md", ".toml", ".yaml", ".json"];
    // Inside of a fence backticks mean something else.
    let prose = document.split("```").step_by(2);
    let quoted =
        prose.flat_map(|part| part.split('`').skip(1).step_by(2)).map(|word| word.trim_start_matches("./"));
    quoted
        .filter(|word| word.contains('/') && !word.starts_with(['/', '~', '$', '-']))
        .filter(|word| {
            !word.contains([' ', '<', '{', '*', ':', '$', '…', '\n']) && !word.starts_with("target/")
        })
        .filter(|word| {
            let first = word.split('/').next().unwrap_or(word);
            tops.iter().any(|top| top == first) || endings.iter().any(|ending| word.ends_with(ending))
        })
        .map(str::to_owned)
        .collect()
}

#[test]
fn documents_name_paths_that_exist() {
    let mut found = Vec::new();
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let Ok(text) = std::fs::read_to_string(paths::root().join(document)) else { continue };
        for path in paths_in(&text) {
            if !paths::root().join(&path).exists() {
                found.push(format!("{document} names `{path}`, which does not exist"));
            }
        }
    }
    fail_on(&found);
}

/// Source files that a comment names: between backticks, ending as a source file does.
fn sources_in(comment: &str) -> impl Iterator<Item = &str> {
    let quoted = comment.split('`').skip(1).step_by(2).map(|word| word.trim_start_matches(['.', '/']));
    quoted.filter(|word| word.ends_with(".rs") && !word.contains([' ', '*', '<', '{']))
}

#[test]
fn comments_name_source_files_that_exist() {
    let sources: Vec<String> = files("rs").iter().map(|path| format!("/{}", relative(path))).collect();
    let mut found = Vec::new();
    for path in files("rs") {
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines().filter(|line| line.trim_start().starts_with("//")) {
            for name in sources_in(line) {
                if !sources.iter().any(|source| source.ends_with(&format!("/{name}"))) {
                    found
                        .push(format!("{}: a comment names `{name}`, which does not exist", relative(&path)));
                }
            }
        }
    }
    fail_on(&found);
}

#[test]
fn copies_are_those_of_their_originals() {
    let drift = generate::drift().unwrap();
    assert!(drift.is_empty(), "run `cargo xtask generate`: {drift:#?}");
}

#[test]
fn the_rules_see_what_they_look_for() {
    assert_eq!(without_tests("a\n#[cfg(test)]\nmod tests {\n}\n"), "a\n");
    assert!(generated("// @generated by a program\n"));
    let document = "see `xtask/src/main.rs`, `xtask/gone.rs`, `kubectl get`, `a/b`, `crates/<name>`\n```\n`x/y.rs`\n```\n";
    assert_eq!(paths_in(document), ["xtask/src/main.rs", "xtask/gone.rs"]);
    let named: Vec<&str> = sources_in("by `../wire.rs` and `a/b.rs`, not `x.rs: y` or `*.rs`").collect();
    assert_eq!(named, ["wire.rs", "a/b.rs"]);
}
