//! Every code is explained and has at least two cases, or tests where only a run finds it.

use crate::corpus::folder;
use libtest_mimic::{Failed, Trial};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Codes with fewer, and why.
const EXCUSED: &[(&str, &str)] = &[
    ("E0502", "what code generation lacks, where a pass makes it of a right model: none is known"),
    ("E0809", "a system that starts no more threads"),
    ("E0999", "a bug"),
];

pub fn trials() -> Vec<Trial> {
    vec![Trial::test("codes::each_is_explained_and_has_two_cases", || {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
        let mut sources = Vec::new();
        for part in ["compiler", "runtime", "grammar", "reports", "bench-suite"] {
            collect(&root.join(part), &["rs"], &mut sources)?;
        }
        let (mut used, mut counted) = (BTreeSet::new(), BTreeMap::new());
        for path in &sources {
            let text = fs::read_to_string(path)?;
            let own_file = path.ends_with("tests.rs") && text.contains("#[test]");
            let of_tests = own_file || path.components().any(|part| part.as_os_str() == "tests");
            let begin = if of_tests { 0 } else { text.find("#[cfg(test)]").unwrap_or(text.len()) };
            if path.components().all(|part| part.as_os_str() != "filetests") {
                used.extend(text[..begin].lines().flat_map(quoted));
            }
            text[begin..].lines().for_each(|line| count(line, &mut counted));
        }
        let mut cases = Vec::new();
        collect(&folder(), &["model"], &mut cases)?;
        for path in &cases {
            let text = fs::read_to_string(path)?;
            text.lines().filter(|line| line.starts_with("//")).for_each(|line| count(line, &mut counted));
        }
        let mut pages = Vec::new();
        collect(&root.join("compiler/dlc/explain"), &["md"], &mut pages)?;
        let mut explained = BTreeSet::new();
        for path in &pages {
            let text = fs::read_to_string(path)?;
            let heads = text.lines().filter_map(|line| line.strip_prefix("# ")?.split_once(": "));
            explained.extend(heads.map(|(code, _)| code.to_string()));
        }
        let excused: BTreeSet<&str> = EXCUSED.iter().map(|(code, _)| *code).collect();
        let mut faults = Vec::new();
        for code in &used {
            let n = counted.get(code).copied().unwrap_or_default();
            match excused.contains(code.as_str()) {
                false if n < 2 => faults.push(format!("{code} has {n} cases and tests instead of two")),
                true if n >= 2 => {
                    faults.push(format!("{code} need not be excused: it has {n} cases and tests"))
                }
                _ => {}
            }
            if !explained.contains(code) {
                faults.push(format!("{code} has no section in compiler/dlc/explain"));
            }
        }
        faults.extend(
            explained.difference(&used).map(|code| format!("{code} is explained, but given by nothing")),
        );
        let gone = excused.iter().filter(|code| !used.contains(**code));
        faults.extend(gone.map(|code| format!("{code} need not be excused")));
        if used.len() < 120 {
            faults.push(format!("only {} codes were found in the sources", used.len()));
        }
        if faults.is_empty() { Ok(()) } else { Err(Failed::from(faults.join("\n"))) }
    })]
}

fn collect(folder: &Path, extensions: &[&str], paths: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                collect(&path, extensions, paths)?;
            }
        } else if path
            .extension()
            .and_then(|name| name.to_str())
            .is_some_and(|name| extensions.contains(&name))
        {
            paths.push(path);
        }
    }
    Ok(())
}

/// Codes of a line, each once.
fn codes(line: &str) -> BTreeSet<String> {
    let is_code = |word: &&str| {
        word.len() == 5 && word.starts_with(['E', 'W']) && word[1..].bytes().all(|byte| byte.is_ascii_digit())
    };
    line.split(|c: char| !c.is_ascii_alphanumeric()).filter(is_code).map(String::from).collect()
}

/// Those that stand in quotes by themselves: what a program gives, not what a comment speaks of.
fn quoted(line: &str) -> impl Iterator<Item = String> {
    let line = line.to_string();
    codes(&line).into_iter().filter(move |code| line.contains(&format!("\"{code}\"")))
}

fn count(line: &str, counted: &mut BTreeMap<String, usize>) {
    for code in codes(line) {
        *counted.entry(code).or_default() += 1;
    }
}
