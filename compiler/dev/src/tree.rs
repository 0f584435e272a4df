//! The text files of the repository.

use std::{fs, io, path::Path};

pub struct File {
    /// Relative to the root, with `/`.
    pub path: String,
    pub text: String,
}

pub struct Tree {
    /// Sorted by path.
    pub files: Vec<File>,
    /// Names in the root, outputs left out.
    pub top_level: Vec<String>,
}

/// Folders that hold nothing of ours: outputs, version control, data.
const SKIPPED: &[&str] = &["target", "build", "runs", ".git", "data", "node_modules"];
const TEXTS: &[&str] =
    &["rs", "md", "toml", "model", "lalrpop", "sh", "c", "h", "json", "py", "graph", "stderr"];

impl Tree {
    pub fn read(root: &Path) -> io::Result<Tree> {
        let mut files = Vec::new();
        collect(root, "", &mut files)?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let mut top_level = Vec::new();
        for entry in fs::read_dir(root)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !SKIPPED.contains(&name.as_str()) && !name.ends_with(".tmp") {
                top_level.push(name);
            }
        }
        top_level.sort();
        Ok(Tree { files, top_level })
    }

    pub fn get(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Files whose path ends so.
    pub fn ending<'a>(&'a self, end: &'a str) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| file.path.ends_with(end))
    }
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<File>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() {
            // `runtime/data` is a crate, `models/data` holds tables.
            let is_crate = entry.path().join("Cargo.toml").exists();
            if is_crate || !SKIPPED.contains(&name.as_str()) {
                collect(&entry.path(), &path, files)?;
            }
        } else if kind.is_file() {
            let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
            if TEXTS.contains(&extension) || name == "Makefile" {
                let text = String::from_utf8(fs::read(entry.path())?);
                files.push(File { path, text: text.unwrap_or_default() });
            }
        }
    }
    Ok(())
}
