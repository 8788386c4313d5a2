//! Other load generators, which `cargo xtask bench engine` runs beside Plimsoll. Only the benchmark brings them: neither
//! `cargo xtask tools` nor CI does. How each is driven is in `bench/engine/clients.rs`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::list::{CargoTool, GoTool, Package, package};
use super::{apt, cargo, go};
use crate::{paths, process, report};

/// A load generator of somebody else's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    /// C, closed model, one event loop per thread.
    Wrk,
    /// C, HTTP/2.
    H2load,
    /// Rust, hyper.
    Oha,
    /// Go, open model.
    Vegeta,
    /// Go with scripts in JavaScript.
    K6,
    /// Python.
    Locust,
}

/// One that is here.
#[derive(Debug, Clone)]
pub struct Found {
    /// Which.
    pub peer: Peer,
    /// Its program.
    pub program: PathBuf,
    /// What it says of its version.
    pub version: String,
}

const WRK: Package = package("wrk", "wrk", "a load generator to compare with");
const H2LOAD: Package = package("nghttp2-client", "h2load", "a load generator for HTTP/2 to compare with");
const STRACE: Package = package("strace", "strace", "counts system calls");
const VENV: Package = package("python3-venv", "/usr/share/doc/python3-venv", "keeps Locust apart");

const OHA: CargoTool =
    CargoTool { name: "oha", version: "1.16.0", purpose: "a load generator to compare with" };

const VEGETA: GoTool = GoTool {
    name: "vegeta",
    module: "github.com/tsenart/vegeta/v12",
    packages: &["github.com/tsenart/vegeta/v12"],
    purpose: "a load generator to compare with",
    takes: "half a minute",
    variables: &[],
    tags: &[],
};

/// The version of Locust in the cache; `xtask/tools/locust/requirements.txt` pins it and all that it needs.
const LOCUST: &str = include_str!("../../tools/locust/requirements.txt");

impl Peer {
    /// All, the fastest first.
    pub const ALL: [Self; 6] = [Self::Wrk, Self::H2load, Self::Oha, Self::Vegeta, Self::K6, Self::Locust];

    /// Its name, which is that of its program.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wrk => "wrk",
            Self::H2load => "h2load",
            Self::Oha => "oha",
            Self::Vegeta => "vegeta",
            Self::K6 => "k6",
            Self::Locust => "locust",
        }
    }

    /// Installs it if it is missing, and asks for its version.
    ///
    /// # Errors
    /// If it cannot be had here.
    pub fn bring(self) -> Result<Found> {
        let program = match self {
            Self::Wrk => debian(&WRK)?,
            Self::H2load => debian(&H2LOAD)?,
            Self::Oha => {
                cargo::install(&OHA)?;
                cargo::program(&OHA)
            }
            Self::Vegeta => {
                go::build(&VEGETA)?;
                VEGETA.folder()?.join(self.name())
            }
            Self::K6 => paths::on_path("k6").context(
                "it is under the AGPL and not brought by this project; put a k6 of your own on PATH to have it measured",
            )?,
            Self::Locust => locust()?,
        };
        if !paths::is_program(&program) {
            bail!("{} is not there after its installation", program.display());
        }
        Ok(Found { peer: self, version: self.version(&program)?, program })
    }

    fn version(self, program: &Path) -> Result<String> {
        let (argument, prefix) = match self {
            // It says its version on its first line, and ends with an error for want of an address.
            Self::Wrk => ("-v", "wrk"),
            Self::Vegeta => return VEGETA.version().map(|version| format!("vegeta {version}")),
            Self::K6 => ("version", "k6"),
            Self::H2load | Self::Oha | Self::Locust => ("--version", self.name()),
        };
        let output = Command::new(program).arg(argument).output().context("ask for the version")?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let line = said.lines().find(|line| line.starts_with(prefix)).unwrap_or("of unknown version");
        let line = line.split(" Copyright").next().unwrap_or(line);
        Ok(line.split(" from ").next().unwrap_or(line).to_owned())
    }
}

/// Brings those of `wanted` that can be had and names the others loudly.
pub fn bring(wanted: &[Peer]) -> Vec<Found> {
    let mut found = Vec::new();
    for &peer in wanted {
        match peer.bring() {
            Ok(there) => {
                println!("    {}: {}", there.version, there.program.display());
                found.push(there);
            }
            Err(why) => report::allowed_skip(peer.name(), &format!("{why:#}")),
        }
    }
    found
}

/// `strace`, installed if it is missing.
///
/// # Errors
/// If it cannot be had here.
pub fn strace() -> Result<PathBuf> {
    debian(&STRACE)
}

fn debian(package: &Package) -> Result<PathBuf> {
    if paths::on_path(package.brings).is_none() {
        apt::install(std::slice::from_ref(package))?;
    }
    paths::on_path(package.brings).with_context(|| format!("the package {} is not installed", package.name))
}

/// Locust in an environment of its own in the cache, made anew when its pinned versions change.
fn locust() -> Result<PathBuf> {
    let folder = paths::cache().join("tools/locust");
    let (program, recipe) = (folder.join("bin/locust"), folder.join("built-from"));
    if paths::is_program(&program) && std::fs::read_to_string(&recipe).is_ok_and(|built| built == LOCUST) {
        report::cached("locust");
        return Ok(program);
    }
    let python = paths::on_path("python3").context("it needs Python 3")?;
    report::step("locust: a load generator to compare with (about a minute)", || {
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        let mut venv = Command::new(&python);
        venv.args(["-m", "venv"]).arg(&folder);
        if process::output(&mut venv).is_err() {
            // Debian's own Python comes without what makes environments.
            apt::install(&[VENV])?;
            process::output(&mut venv)?;
        }
        let requirements = paths::root().join("xtask/tools/locust/requirements.txt");
        let mut pip = Command::new(folder.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(requirements);
        process::output(&mut pip)?;
        Ok(std::fs::write(&recipe, LOCUST)?)
    })?;
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_pinned() {
        assert!(VEGETA.version().unwrap().starts_with('v'));
        assert_eq!(VEGETA.programs().collect::<Vec<_>>(), ["vegeta"]);
        for line in LOCUST.lines().filter(|line| !line.starts_with('#')) {
            assert!(line.contains("=="), "{line}");
        }
    }
}
