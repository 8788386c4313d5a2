//! `plimsoll init`: a commented manifest to start from.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::args::InitArgs;
use crate::exit::Exit;
use crate::out::{print, say};

/// The manifest; a test runs it.
const STARTER: &str = include_str!("init/starter.yaml");

/// Writes the starter manifest; never over a file that is there, unless told to.
pub(crate) fn init(args: &InitArgs) -> Result<Exit> {
    let (file, shown) = (args.file.as_path(), args.file.display());
    let manifest =
        STARTER.replace("FILE", &if file == Path::new("-") { "FILE".into() } else { shown.to_string() });
    if file == Path::new("-") {
        print(&manifest)?;
        return Ok(Exit::Passed);
    }
    let mut open = OpenOptions::new();
    open.write(true).create(true).truncate(true);
    let opened = if args.force { open.open(file) } else { open.create_new(true).open(file) };
    let mut opened = match opened {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!("{shown} exists already: name another file, or overwrite it with --force")
        }
        opened => opened.with_context(|| format!("{shown} cannot be written"))?,
    };
    opened.write_all(manifest.as_bytes()).with_context(|| format!("{shown} cannot be written"))?;
    say(&format_args!("wrote {shown}; next: plimsoll try {shown} --testbed"));
    Ok(Exit::Passed)
}
