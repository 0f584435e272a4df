//! Cases as files: where they are, what their directives say, how an expectation beside them is held or written.

use driver::{Files, Options, Session};
use libtest_mimic::{Failed, Trial};
use std::{
    fs,
    path::{Path, PathBuf},
};

pub type Check = fn(&Case) -> Result<(), Failed>;

pub struct Case {
    pub path: PathBuf,
    pub text: String,
}

impl Case {
    /// What messages call the file: its name, so that expectations hold no paths.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// What follows `// word ` on lines of its own, in order.
    pub fn directives<'a>(&'a self, word: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.text.lines().filter_map(move |line| {
            let rest = line.strip_prefix("// ")?.strip_prefix(word)?;
            (rest.is_empty() || rest.starts_with(' ')).then_some(rest.trim())
        })
    }

    pub fn directive<'a>(&'a self, word: &'a str) -> Option<&'a str> {
        self.directives(word).next()
    }

    /// A session over the file, with `// set NAME=VALUE` and `// bind NAME=VALUE` as its settings.
    pub fn session(&self, mut options: Options) -> Result<Session, Failed> {
        for pair in self.directives("set") {
            let (name, value) = pair.split_once('=').ok_or("`// set NAME=VALUE`")?;
            options.sema.set.insert(name.into(), value.into());
        }
        for pair in self.directives("bind") {
            let (name, value) = pair.split_once('=').ok_or("`// bind NAME=VALUE`")?;
            options
                .sema
                .bind
                .insert(name.into(), value.parse().map_err(|_| "`// bind` takes a whole number")?);
        }
        Ok(Session::new(&self.name(), &self.text, &Beside(self.path.with_file_name("")), options))
    }
}

/// Imports are read from the folder of the case.
struct Beside(PathBuf);

impl Files for Beside {
    fn read(&self, path: &str) -> Result<Option<String>, String> {
        let path = self.0.join(path);
        if !path.exists() {
            return Ok(None);
        }
        fs::read_to_string(path).map(Some).map_err(|fault| fault.to_string())
    }
}

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")
}

/// One trial for each `.model` file of a stage; files in a folder called `used` are only imported.
pub fn trials(stage: &'static str, check: Check) -> Vec<Trial> {
    let root = folder().join(stage);
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    paths.sort();
    let trial = |path: PathBuf| {
        let name = path.strip_prefix(&root).unwrap_or(&path).with_extension("");
        let name = format!("{stage}::{}", name.display());
        Trial::test(name, move || {
            let text = fs::read_to_string(&path)?;
            check(&Case { path, text })
        })
    };
    paths.into_iter().map(trial).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if entry.file_name() != "used" {
                collect(&path, paths);
            }
        } else if path.extension().is_some_and(|extension| extension == "model") {
            paths.push(path);
        }
    }
}

/// The models that ship with the compiler, or with `std` the files of its library, sorted.
pub fn models(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models").join(folder);
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "model"));
    paths.sort();
    paths
}

pub fn blessing() -> bool {
    std::env::var_os("DLC_BLESS").is_some_and(|value| value == "1")
}

/// Holds `found` against the file beside the case, or writes it there.
pub fn golden(path: &Path, found: &str) -> Result<(), Failed> {
    if blessing() {
        return Ok(fs::write(path, found)?);
    }
    let expected = fs::read_to_string(path)
        .map_err(|_| format!("{} is missing: DLC_BLESS=1 writes it", path.display()))?;
    same(&expected, found)
}

/// Equal texts, or the first lines that differ.
pub fn same(expected: &str, found: &str) -> Result<(), Failed> {
    if expected == found {
        return Ok(());
    }
    let mut pairs = expected.lines().zip(found.lines());
    let number = pairs
        .position(|(a, b)| a != b)
        .unwrap_or_else(|| expected.lines().count().min(found.lines().count()));
    let line = |text: &str| text.lines().nth(number).unwrap_or("(the end)").to_string();
    Err(format!(
        "line {} is\n    {}\ninstead of\n    {}\nin\n{found}",
        number + 1,
        line(found),
        line(expected)
    )
    .into())
}
