//! Where things are: the work tree, and the cache outside of it that tools, images and the cluster live in.

use std::path::{Path, PathBuf};

/// The root of the work tree.
pub fn root() -> PathBuf {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder.parent().unwrap_or(crate_folder).to_path_buf()
}

/// The cache: `$PLIMSOLL_CACHE`, or `~/.cache/plimsoll`. It survives `cargo clean` and a fresh clone.
pub fn cache() -> PathBuf {
    match std::env::var_os("PLIMSOLL_CACHE") {
        Some(folder) if !folder.is_empty() => PathBuf::from(folder),
        _ => {
            PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/root".into())).join(".cache/plimsoll")
        }
    }
}

/// The program `name` on PATH, or in the folders for administrators that a user's PATH leaves out.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let admin = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(admin).map(|folder| folder.join(name)).find(|file| is_program(file))
}

/// Whether `file` is a file that may be executed.
pub fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
