//! Seeds: files of the repository, and items cut out of them, in pieces that mutations exchange.

use crate::Target;
use base::SourceMap;
use std::{fs, io, path::Path, path::PathBuf};

/// Longer files give only their items: short inputs are fast.
const MAX_SEED: usize = 1500;

pub struct Corpus {
    /// Words, numbers, spaces and signs, in the order of the text.
    pub seeds: Vec<Vec<String>>,
    /// Every piece that there is.
    pub words: Vec<String>,
}

impl Corpus {
    pub fn of(target: &Target) -> io::Result<Corpus> {
        let mut texts: Vec<String> = Vec::new();
        for path in files(&root().join("../.."), target.extension)? {
            let text = fs::read_to_string(&path)?;
            match target.extension {
                "model" => items(&text, &mut texts),
                "dims" => texts.extend(text.lines().map(String::from)),
                _ => texts.extend(text.split("\n\n").map(String::from)),
            }
            texts.push(text);
        }
        if target.extension == "model" {
            // What is well-typed stays so more often after a small change.
            texts.extend((0..200).map(|seed| generate::model(seed, generate::Kind::Forward).source()));
        }
        texts.retain(|text| text.len() <= MAX_SEED && !text.trim().is_empty());
        texts.sort();
        texts.dedup();
        let seeds: Vec<Vec<String>> = texts.iter().map(|text| pieces(text)).collect();
        let mut words: Vec<String> = seeds.iter().flatten().cloned().collect();
        words.sort();
        words.dedup();
        words.retain(|word| word.len() <= 40);
        Ok(Corpus { seeds, words })
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

/// What was found once for a target.
pub fn findings(target: &Target) -> io::Result<Vec<(PathBuf, String)>> {
    let mut all = Vec::new();
    for path in files(&root().join("findings").join(target.name), "txt")? {
        let text = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
        all.push((path, text));
    }
    Ok(all)
}

fn files(folder: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let places = match extension {
        "model" => vec!["models", "models/std", "compiler/filetests/cases"],
        "graph" => vec!["compiler/filetests/cases/graph"],
        "dims" => vec!["compiler/fuzz/seeds"],
        _ => vec!["."],
    };
    let mut found = Vec::new();
    for place in places {
        collect(&folder.join(place), extension, &mut found)?;
    }
    found.sort();
    Ok(found)
}

fn collect(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, extension, found)?;
        } else if path.extension().is_some_and(|known| known == extension) {
            found.push(path);
        }
    }
    Ok(())
}

/// The items of a file, each by itself.
fn items(text: &str, found: &mut Vec<String>) {
    let mut sources = SourceMap::new();
    let source = sources.add("seed.model", text);
    let (file, _) = grammar::parse(&source);
    found.extend(file.items.iter().map(|item| sources.text(item.span).to_string()));
}

fn pieces(text: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let kind = |c: char| match c {
        _ if c.is_alphanumeric() || c == '_' => 0,
        ' ' => 1,
        _ => 2,
    };
    let mut last = 2;
    for c in text.chars() {
        match all.last_mut() {
            Some(piece) if kind(c) == last && last != 2 => piece.push(c),
            _ => all.push(c.to_string()),
        }
        last = kind(c);
    }
    all
}
