//! Every code that a crate can give is explained, and nothing else is.

use super::Findings;
use crate::Tree;
use std::collections::BTreeMap;

pub fn check(tree: &Tree, findings: &mut Findings) {
    let mut given: BTreeMap<&str, &str> = BTreeMap::new();
    for file in tree.ending(".rs").filter(|file| file.path.contains("/src/") && !is_test(&file.path)) {
        // Tests at the end of a file may speak of codes that do not exist.
        let text = file.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for code in codes(text) {
            given.entry(code).or_insert(&file.path);
        }
    }
    let mut explained = BTreeMap::new();
    for file in tree.ending(".md").filter(|file| file.path.starts_with("compiler/dlc/explain/")) {
        for line in file.text.lines() {
            if let Some((code, _)) = line.strip_prefix("# ").and_then(|head| head.split_once(": ")) {
                explained.insert(code, file.path.as_str());
            }
        }
    }
    for (code, path) in &given {
        if !explained.contains_key(code) {
            findings.errors.push(format!("{path}: {code} is not explained in compiler/dlc/explain"));
        }
    }
    for (code, path) in &explained {
        if !given.contains_key(code) {
            findings.errors.push(format!("{path}: no crate gives {code}"));
        }
    }
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.starts_with("compiler/filetests/")
}

/// String literals that are codes: `"E0301"`.
fn codes(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).filter(|word| {
        word.len() == 5 && word.starts_with(['E', 'W']) && word[1..].bytes().all(|byte| byte.is_ascii_digit())
    })
}
