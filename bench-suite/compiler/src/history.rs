//! Lines of the history: one measurement each, appended and never changed.

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};
use std::{fs, path::Path};
use tensor::file::write_atomically;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Always `compiler`, which tells the line apart from others in a report.
    pub kind: String,
    /// `parse/resnet50`.
    pub bench: String,
    pub median_s: f64,
    pub ci95_s: [f64; 2],
    pub commit: String,
    pub date: String,
    /// Measurements of different machines are never compared.
    pub machine: String,
}

/// All lines of a history that may not exist yet.
pub fn read(path: &Path) -> Result<Vec<Entry>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            serde_json::from_str(line).with_context(|| format!("{}:{}", path.display(), number + 1))
        })
        .collect()
}

/// The whole history is written anew, so that a failure leaves the old one.
pub fn append(path: &Path, entries: &[Entry]) -> Result<()> {
    let mut text = if path.exists() { fs::read_to_string(path)? } else { String::new() };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for entry in entries {
        text.push_str(&serde_json::to_string(entry)?);
        text.push('\n');
    }
    write_atomically(path, text.as_bytes()).map_err(|fault| anyhow!(fault.message))
}
