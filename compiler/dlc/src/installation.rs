//! Which build of `dlc` this is, and where its user's caches lie.

use std::{env, fs, path::PathBuf, time::UNIX_EPOCH};

/// Differs between builds, also of one version: another build may make other code of the same source.
pub fn build() -> Option<String> {
    let program = fs::metadata(env::current_exe().ok()?).ok()?;
    let built = program.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(format!("{}-{:x}-{:x}", driver::VERSION, built.as_nanos(), program.len()))
}

/// The folder `dlc` among this user's caches.
pub fn cache_folder() -> Option<PathBuf> {
    let base = match env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute()) {
        Some(path) => path,
        None => PathBuf::from(env::var_os("HOME").filter(|home| !home.is_empty())?).join(".cache"),
    };
    Some(base.join("dlc"))
}
