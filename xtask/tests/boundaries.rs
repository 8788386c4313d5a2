//! Holds the table of crates in ARCHITECTURE.md against the dependency graph: who may know of which of ours, and what
//! nobody there may reach, however indirectly. Dependencies of tests are free.

#![allow(clippy::unwrap_used, reason = "tests may")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use xtask::{checks, paths, process};

/// A line of the table.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    folder: String,
    may: String,
    never: Vec<String>,
}

/// The lines of the table whose header has "may know of ours"; one per folder.
fn table(document: &str) -> Vec<Row> {
    let lines = document.lines().skip_while(|line| !line.contains("| may know of ours |")).skip(2);
    let mut rows = Vec::new();
    for line in lines.take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [folders, _, may, never] = cells[..] else { panic!("four columns expected: {line}") };
        for folder in folders.split(", ") {
            rows.push(Row {
                folder: folder.trim_matches('`').to_owned(),
                may: may.to_owned(),
                never: never.split(", ").filter(|word| *word != "–").map(str::to_owned).collect(),
            });
        }
    }
    rows
}

fn rows() -> Vec<Row> {
    let rows = table(&std::fs::read_to_string(paths::root().join("ARCHITECTURE.md")).unwrap());
    assert!(rows.len() >= 10, "the table of crates is not found in ARCHITECTURE.md");
    rows
}

impl Row {
    /// The name in the table's other columns.
    fn name(&self) -> &str {
        self.folder.trim_start_matches("crates/")
    }

    fn package(&self) -> String {
        package(self.name())
    }

    /// The names that the column "may know of ours" stands for.
    fn may<'a>(&'a self, rows: &'a [Row]) -> BTreeSet<&'a str> {
        let (among, rest) = match self.may.strip_prefix("all libraries") {
            Some(rest) => ("crates/", rest),
            None => match self.may.strip_prefix("all") {
                Some(rest) => ("", rest),
                None => return self.may.split(", ").filter(|word| *word != "–").collect(),
            },
        };
        let but: Vec<&str> = rest.trim_start_matches(" but ").split(", ").collect();
        let all = rows.iter().filter(|row| row.folder.starts_with(among)).map(Row::name);
        all.filter(|name| !but.contains(name)).collect()
    }
}

fn package(name: &str) -> String {
    if ["xtask", "e2e"].contains(&name) { name.to_owned() } else { format!("plimsoll-{name}") }
}

/// The packages that a word in the column "never" stands for; for `clocks` there is none.
fn packages_of(word: &str) -> Vec<String> {
    let names: &[&str] = match word {
        "clocks" => &[],
        "tokio" => &["tokio"],
        "kube's client" => &["kube-client", "kube-runtime"],
        "kube" => &["kube", "kube-core", "kube-client", "kube-runtime", "k8s-openapi"],
        ours => return vec![package(ours)],
    };
    names.iter().map(|&name| name.to_owned()).collect()
}

/// The dependencies of each of our packages on ours, as Cargo sees them, without those of tests.
fn edges() -> BTreeMap<String, BTreeSet<String>> {
    let metadata =
        process::output(checks::cargo().args(["metadata", "--format-version=1", "--no-deps"])).unwrap();
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let packages = metadata["packages"].as_array().unwrap();
    let ours: BTreeSet<String> = packages.iter().map(|package| text(&package["name"])).collect();
    let own_edges = |package: &Value| {
        let all = package["dependencies"].as_array().unwrap();
        let wanted = all.iter().filter(|dependency| dependency["kind"] != "dev");
        wanted.map(|dependency| text(&dependency["name"])).filter(|name| ours.contains(name)).collect()
    };
    packages.iter().map(|package| (text(&package["name"]), own_edges(package))).collect()
}

/// Everything that a package needs to be built and run, however indirectly.
fn closure(package: &str) -> BTreeSet<String> {
    let mut tree = checks::cargo();
    tree.args([
        "tree",
        "--package",
        package,
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]);
    let tree = process::output(&mut tree).unwrap();
    tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

fn fail_on(found: &[String]) {
    assert!(found.is_empty(), "\n  {}\n", found.join("\n  "));
}

#[test]
fn crates_know_only_what_the_table_says() {
    let (rows, mut found) = (rows(), Vec::new());
    for (package, dependencies) in edges() {
        let Some(row) = rows.iter().find(|row| row.package() == package) else {
            found.push(format!("{package}: give it a line in the table of ARCHITECTURE.md"));
            continue;
        };
        let may: BTreeSet<String> = row.may(&rows).into_iter().map(self::package).collect();
        for name in dependencies.difference(&may) {
            found.push(format!("{package} may not know of {name}; it may know of {}", row.may));
        }
    }
    fail_on(&found);
}

#[test]
fn crates_never_reach_what_the_table_forbids() {
    let (rows, there, mut found) = (rows(), edges(), Vec::new());
    for row in &rows {
        let package = row.package();
        if !there.contains_key(&package) {
            found.push(format!("the table names {}, which is no package", row.folder));
            continue;
        }
        let reached = closure(&package);
        for name in row.never.iter().flat_map(|word| packages_of(word)).filter(|name| reached.contains(name))
        {
            found.push(format!(
                "{package} reaches {name}: `cargo tree -p {package} -e normal,build -i {name}` shows how"
            ));
        }
    }
    fail_on(&found);
}

/// What a crate that never knows of clocks must not call, of time and of chance.
const CLOCKS: [&str; 6] =
    ["Instant::now", "SystemTime::now", "Timestamp::now", "Zoned::now", "RandomState::new", "getrandom::"];

#[test]
fn crates_without_clocks_take_time_and_chance_as_parameters() {
    let mut found = Vec::new();
    for row in rows().iter().filter(|row| row.never.iter().any(|word| word == "clocks")) {
        let mut folders = vec![paths::root().join(&row.folder).join("src")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                match entry.path() {
                    path if path.ends_with("tests") => {}
                    path if path.is_dir() => folders.push(path),
                    path => calls_in(&path, &mut found),
                }
            }
        }
    }
    fail_on(&found);
}

fn calls_in(path: &Path, found: &mut Vec<String>) {
    let text = std::fs::read_to_string(path).unwrap();
    // Tests may do as they like.
    let code = text.split("\n#[cfg(test)]").next().unwrap_or(&text);
    for (index, line) in code.lines().enumerate() {
        let line = line.split("//").next().unwrap_or(line);
        if let Some(clock) = CLOCKS.iter().find(|clock| line.contains(*clock)) {
            found.push(format!("{}:{}: {clock}", path.display(), index + 1));
        }
    }
}

#[test]
fn the_table_is_read_as_people_read_it() {
    let rows = table(concat!(
        "| folder | says | may know of ours | never |\n|---|---|---|---|\n",
        "| `crates/a` | x | – | tokio, clocks |\n| `crates/b` | x | a | kube |\n",
        "| `c` | x | all libraries but b | b |\n| `xtask`, `e2e` | x | all | – |\n\nelse\n| `d` | x | – | – |\n",
    ));
    let names: Vec<&str> = rows.iter().map(Row::name).collect();
    assert_eq!(names, ["a", "b", "c", "xtask", "e2e"]);
    assert_eq!(rows[0].never, ["tokio", "clocks"]);
    assert_eq!(rows[0].may(&rows), BTreeSet::new());
    assert_eq!(rows[1].may(&rows), BTreeSet::from(["a"]));
    assert_eq!(rows[2].may(&rows), BTreeSet::from(["a"]));
    assert_eq!(rows[3].may(&rows).len(), 5);
    assert_eq!((rows[3].never.len(), rows[4].package()), (0, "e2e".to_owned()));
    assert_eq!(packages_of("b"), ["plimsoll-b"]);
    assert!(closure("xtask").contains("anyhow"));
}
