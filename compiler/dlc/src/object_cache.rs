//! Compiled objects in the user's cache folder.

use crate::installation;
use driver::Cache;
use std::{env, fs, path::PathBuf};

/// Objects kept; the oldest beyond these are removed.
const MOST_OBJECTS: usize = 512;

pub struct ObjectCache {
    folder: Option<PathBuf>,
}

impl ObjectCache {
    /// `DLC_NO_CACHE` turns it off.
    pub fn of_user() -> ObjectCache {
        let off = env::var_os("DLC_NO_CACHE").is_some_and(|value| !value.is_empty());
        ObjectCache { folder: if off { None } else { folder() } }
    }

    pub fn folder(&self) -> Option<&PathBuf> {
        self.folder.as_ref()
    }

    fn prune(folder: &PathBuf) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        let mut files: Vec<_> = entries
            .flatten()
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        files.sort();
        let surplus = files.len().saturating_sub(MOST_OBJECTS);
        for (_, path) in &files[..surplus] {
            let _ = fs::remove_file(path);
        }
    }
}

impl Cache for ObjectCache {
    fn load(&self, key: &str) -> Option<Vec<u8>> {
        fs::read(self.folder.as_ref()?.join(key)).ok()
    }

    fn store(&self, key: &str, bytes: &[u8]) {
        let Some(folder) = &self.folder else { return };
        if private_folder(folder) && tensor::file::write_atomically(&folder.join(key), bytes).is_ok() {
            ObjectCache::prune(folder);
        }
    }
}

/// A folder of its own for each build of `dlc`: another build may make other code of the same kernels.
fn folder() -> Option<PathBuf> {
    Some(installation::cache_folder()?.join(installation::build()?))
}

/// Code that is loaded later may be written by nobody else.
fn private_folder(folder: &PathBuf) -> bool {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).is_ok()
}
