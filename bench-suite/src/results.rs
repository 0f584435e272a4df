//! A file of results: read without trust, resumed, and written whole after every cell.

use crate::{EnvironmentLine, Line};
use base::Diagnostic;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};
use tensor::file::write_atomically;

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Results {
    pub lines: Vec<Line>,
    path: PathBuf,
}

impl Results {
    /// What the file holds, where there is one. Lines of another machine are refused unless `force`: times of two
    /// machines say nothing about their programs.
    pub fn open(path: &Path, here: &EnvironmentLine, force: bool) -> Result<Results, Diagnostic> {
        let mut results = Results { lines: Vec::new(), path: path.to_path_buf() };
        if path.exists() {
            results.lines = Results::read(path)?;
        }
        let other = results.machines().into_iter().find(|machine| *machine != here.machine);
        if let Some(machine) = other.filter(|_| !force) {
            let message = format!(
                "`{}` was measured on the machine {machine}, this one is {}",
                path.display(),
                here.machine
            );
            return Err(Diagnostic::error("E1013", message).help(
                "write to another file, or mix them with `--force`: times of two machines cannot be compared",
            ));
        }
        results.lines.push(Line::Environment(Box::new(here.clone())));
        Ok(results)
    }

    /// The lines of a file.
    pub fn read(path: &Path) -> Result<Vec<Line>, Diagnostic> {
        let bytes = tensor::file::read(path, &tensor::Limits::default())?;
        parse(&bytes, &path.display().to_string())
    }

    /// Hashes of the cells that are done.
    pub fn cells(&self) -> BTreeSet<&str> {
        self.lines
            .iter()
            .filter_map(|line| match line {
                Line::Arm(arm) => Some(arm.cell.as_str()),
                _ => None,
            })
            .collect()
    }

    /// Adds the lines of a cell in place of older ones about the same, and writes the file.
    pub fn add(&mut self, lines: Vec<Line>) -> Result<(), Diagnostic> {
        self.lines.retain(|old| !lines.iter().any(|new| same(old, new)));
        self.lines.extend(lines);
        self.write()
    }

    pub fn write(&self) -> Result<(), Diagnostic> {
        let mut text = String::new();
        for line in &self.lines {
            let line = serde_json::to_string(line)
                .map_err(|fault| Diagnostic::error("E1013", format!("a result is no JSON: {fault}")))?;
            text += &line;
            text.push('\n');
        }
        write_atomically(&self.path, text.as_bytes())
    }

    fn machines(&self) -> BTreeSet<String> {
        let known = self.lines.iter().filter_map(|line| match line {
            Line::Environment(environment) => Some(environment.machine.clone()),
            Line::Arm(arm) => Some(arm.machine.clone()),
            _ => None,
        });
        known.collect()
    }
}

/// Whether two lines tell of the same thing, so that the newer one stands.
fn same(a: &Line, b: &Line) -> bool {
    match (a, b) {
        (Line::Arm(a), Line::Arm(b)) => a.arm == b.arm && a.key() == b.key(),
        (Line::Floor(a), Line::Floor(b)) => {
            (&a.model, a.mode, a.batch, &a.sizes, a.threads, &a.precision)
                == (&b.model, b.mode, b.batch, &b.sizes, b.threads, &b.precision)
        }
        (Line::Facts(a), Line::Facts(b)) => a.arm == b.arm,
        (Line::Curve(a), Line::Curve(b)) => a.arm == b.arm && a.model == b.model,
        (Line::Kernel(a), Line::Kernel(b)) => {
            (&a.model, a.mode, a.batch, &a.sizes, a.threads)
                == (&b.model, b.mode, b.batch, &b.sizes, b.threads)
        }
        _ => false,
    }
}

pub fn parse(bytes: &[u8], name: &str) -> Result<Vec<Line>, Diagnostic> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Diagnostic::error("E1013", format!("`{name}` is not UTF-8")))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            serde_json::from_str(line).map_err(|fault| {
                let message = format!("`{name}`, line {}: this is no result: {fault}", number + 1);
                Diagnostic::error("E1013", message)
                    .help("results are made by `dlc bench`; move the file away to begin a new one")
            })
        })
        .collect()
}
