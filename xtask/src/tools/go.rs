//! Builds the Go programs of `list.rs` from their pinned modules into the cache.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::list::GoTool;
use crate::{paths, process, report};

/// How often a long build says that it goes on.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);

/// Builds a tool unless the cache has it as its module says it should be.
///
/// # Errors
/// If the build fails, or with `CI=true` if this machine has no Go.
pub fn build(tool: &GoTool) -> Result<()> {
    let title = format!("{} {}", tool.name, tool.version()?);
    let folder = tool.folder()?;
    let recipe = recipe(tool)?;
    let complete = tool.programs().all(|program| paths::is_program(&folder.join(program)));
    if complete && std::fs::read_to_string(folder.join(RECIPE)).is_ok_and(|built| built == recipe) {
        report::cached(&title);
        return Ok(());
    }
    let Some(go) = paths::on_path("go") else {
        return report::skip(&title, &format!("building it needs Go ({})", tool.purpose));
    };
    let purpose = format!("{title}: {} (about {} from nothing)", tool.purpose, tool.takes);
    report::step(&purpose, || {
        // Under another name until it is whole; what an interrupted build left there is of no use.
        let partial = paths::cache().join("tools").join(format!("{}.partial", tool.name));
        if partial.exists() {
            std::fs::remove_dir_all(&partial)?;
        }
        compile(&go, tool, &partial)?;
        std::fs::write(partial.join(RECIPE), recipe)?;
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::rename(&partial, &folder).with_context(|| format!("move into {}", folder.display()))
    })
}

/// The file in the cache that says what a tool was built from.
const RECIPE: &str = "built-from";

/// Everything that decides what comes out of the build: flags, versions, and the sources of programs of our own.
fn recipe(tool: &GoTool) -> Result<String> {
    let mut files: Vec<_> = std::fs::read_dir(tool.sources())?.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "go" || extension == "mod"));
    files.sort();
    let mut recipe = format!("{}\n{}\n", tool.linker_flags()?, tool.packages.join(" "));
    if !tool.tags.is_empty() {
        recipe += &format!("{}\n", tool.tags.join(","));
    }
    for path in files {
        recipe += &std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    }
    Ok(recipe)
}

fn compile(go: &Path, tool: &GoTool, into: &Path) -> Result<()> {
    std::fs::create_dir_all(into)?;
    let mut command = Command::new(go);
    command.current_dir(tool.sources()).args(["build", "-v", "-trimpath", "-ldflags", &tool.linker_flags()?]);
    // The trailing slash makes it a folder also where there is one program only.
    if !tool.tags.is_empty() {
        command.args(["-tags", &tool.tags.join(",")]);
    }
    command.arg("-o").arg(into.join("")).args(tool.packages);
    command.env("CGO_ENABLED", "0").env("GOFLAGS", "-mod=readonly -buildvcs=false").env("GOWORK", "off");
    let line = process::text(&command);
    let mut child = command
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start `{line}`"))?;
    let Some(stderr) = child.stderr.take() else { bail!("`{line}` has no standard error") };
    let (send, lines) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        // With -v the names of packages as they are compiled, and whatever goes wrong.
        BufReader::new(stderr).lines().map_while(Result::ok).try_for_each(|line| send.send(line))
    });
    let said = follow(&lines);
    let status = child.wait()?;
    let _ = reader.join();
    if !status.success() {
        bail!("`{line}` ended with {status}:\n{}", Vec::from(said).join("\n"));
    }
    Ok(())
}

/// Reads what the build says to its end, tells how far it is, and returns the last lines.
fn follow(lines: &mpsc::Receiver<String>) -> VecDeque<String> {
    let (start, mut told, mut packages) = (Instant::now(), Instant::now(), 0_u32);
    let mut said = VecDeque::new();
    loop {
        match lines.recv_timeout(SIGN_OF_LIFE.saturating_sub(told.elapsed())) {
            Ok(line) => {
                packages += u32::from(!line.contains(' '));
                said.push_back(line);
                if said.len() > 40 {
                    said.pop_front();
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return said,
        }
        if told.elapsed() >= SIGN_OF_LIFE {
            println!("    {}: {packages} packages compiled", report::seconds(start.elapsed()));
            told = Instant::now();
        }
    }
}
