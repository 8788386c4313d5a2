//! The programs that tests, cluster and checks need and a Rust toolchain does not bring: `cargo xtask tools` installs
//! them, [`find`] finds them. `list.rs` says which, `apt.rs`, `go.rs` and `cargo.rs` how.

pub mod apt;
pub mod cargo;
pub mod go;
pub mod list;
pub mod peers;

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::paths;

/// Finds a program: for `etcd`, `kube-apiserver` and `kubectl` first in `$KUBEBUILDER_ASSETS`, then in the cache, and
/// those whose version does not matter on PATH.
///
/// # Errors
/// If it is nowhere; the text says how to get it.
pub fn find(program: &str) -> Result<PathBuf> {
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(|folder| Path::new(&folder).join(program));
    if let Some(file) =
        assets.filter(|file| list::IN_KUBEBUILDER_ASSETS.contains(&program) && paths::is_program(file))
    {
        return Ok(file);
    }
    if let Some(tool) = list::GO.iter().find(|tool| tool.programs().any(|p| p == program)) {
        let file = tool.folder()?.join(program);
        if paths::is_program(&file) {
            return Ok(file);
        }
        bail!("{program} {} is not in the cache: run `cargo xtask tools`", tool.version()?);
    }
    match paths::on_path(program) {
        Some(file) => Ok(file),
        None => bail!("{program} is not installed: run `cargo xtask tools`, or install it by hand"),
    }
}

/// Whether every one of `programs` can be found; otherwise what is missing and the remedy.
///
/// # Errors
/// The first that is missing.
pub fn require(programs: &[&str]) -> Result<()> {
    programs.iter().try_for_each(|program| find(program).map(drop))
}

/// Installs and builds whatever is missing, cheapest first, and leaves out what the environment already offers.
///
/// # Errors
/// If a step fails, or with `CI=true` if one cannot run on this machine.
pub fn install() -> Result<()> {
    let _lock = lock(&paths::cache().join("tools"))?;
    println!("tools: cached in {}", paths::cache().join("tools").display());
    apt::install(list::DEBIAN)?;
    for tool in list::GO {
        match tool.offered_by_environment() {
            Some(instead) => println!("ok  {}: {instead} is used", tool.name),
            None => go::build(tool)?,
        }
    }
    cargo::install(&list::CARGO_DENY)
}

/// Waits until no other process works in `folder`, and keeps them out until the file is dropped.
///
/// # Errors
/// If the folder cannot be made or locked.
pub fn lock(folder: &Path) -> Result<File> {
    std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let path = folder.join(".lock");
    let file = File::create(&path).with_context(|| format!("open {}", path.display()))?;
    if file.try_lock().is_err() {
        println!("waiting for another xtask that holds {}", path.display());
        file.lock().with_context(|| format!("lock {}", path.display()))?;
    }
    Ok(file)
}
