//! The text files of the repository.

use std::{collections::BTreeSet, fs, io, path::Path, process::Command};

pub struct File {
    /// Relative to the root, with `/`.
    pub path: String,
    pub text: String,
}

pub struct Tree {
    /// Sorted by path.
    pub files: Vec<File>,
    /// Names in the root.
    pub top_level: BTreeSet<String>,
}

/// Outputs, for trees that are no checkout.
const SKIPPED: &[&str] = &["target", "build", "runs", "data", "node_modules", "__pycache__"];
const TEXTS: &[&str] =
    &["rs", "md", "toml", "model", "lalrpop", "sh", "c", "h", "json", "py", "graph", "stderr"];

impl Tree {
    /// In a checkout, what git knows with what is new beside it; else all but outputs. What else lies in the root, such
    /// as notes or an environment of Python, is not ours.
    pub fn read(root: &Path) -> io::Result<Tree> {
        let paths = match (git(root, &[]), git(root, &["--others", "--exclude-standard"])) {
            (Some(known), Some(new)) if !known.is_empty() => {
                let tops: BTreeSet<String> = known.iter().map(|path| top(path).to_string()).collect();
                let new = new.into_iter().filter(|path| tops.contains(top(path)));
                known.iter().cloned().chain(new).collect()
            }
            _ => {
                let mut paths = BTreeSet::new();
                walk(root, "", &mut paths)?;
                paths
            }
        };
        let mut tree = Tree { files: Vec::new(), top_level: BTreeSet::new() };
        for path in paths {
            // Known to git, but removed from the working tree.
            let Ok(bytes) = fs::read(root.join(&path)) else { continue };
            tree.top_level.insert(top(&path).to_string());
            let is_text = path == "Makefile"
                || path.rsplit_once('.').is_some_and(|(_, extension)| TEXTS.contains(&extension));
            if is_text {
                tree.files.push(File { path, text: String::from_utf8(bytes).unwrap_or_default() });
            }
        }
        Ok(tree)
    }

    pub fn get(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Files whose path ends so.
    pub fn ending<'a>(&'a self, end: &'a str) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| file.path.ends_with(end))
    }
}

fn top(path: &str) -> &str {
    path.split('/').next().unwrap_or(path)
}

/// Files that `git ls-files` lists; `None` where there is no git, or no checkout.
fn git(root: &Path, options: &[&str]) -> Option<BTreeSet<String>> {
    let output =
        Command::new("git").current_dir(root).args(["ls-files", "-z"]).args(options).output().ok()?;
    let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    Some(text.split_terminator('\0').map(String::from).collect())
}

fn walk(folder: &Path, prefix: &str, paths: &mut BTreeSet<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() {
            // `runtime/data` is a crate, `models/data` holds tables.
            let is_crate = entry.path().join("Cargo.toml").exists();
            if name != ".git" && (is_crate || !SKIPPED.contains(&name.as_str())) {
                walk(&entry.path(), &path, paths)?;
            }
        } else if kind.is_file() {
            paths.insert(path);
        }
    }
    Ok(())
}
