//! The crates depend on each other as the table in ARCHITECTURE.md says, no more and no less.

use super::Findings;
use crate::Tree;
use std::collections::{BTreeMap, BTreeSet};

type Edges = BTreeMap<String, BTreeSet<String>>;

pub fn check(tree: &Tree, findings: &mut Findings) {
    let Some(page) = tree.get("ARCHITECTURE.md") else {
        findings.errors.push("ARCHITECTURE.md is missing".into());
        return;
    };
    let documented = table(&page.text);
    let actual = manifests(tree);
    for (name, edges) in &actual {
        let Some(allowed) = documented.get(name) else {
            findings.errors.push(format!("ARCHITECTURE.md: the table of dependencies lacks `{name}`"));
            continue;
        };
        for edge in edges.difference(allowed) {
            findings.errors.push(format!("{name} depends on {edge}, which ARCHITECTURE.md does not list"));
        }
        for edge in allowed.difference(edges) {
            findings.errors.push(format!("ARCHITECTURE.md lists {name} → {edge}, which does not exist"));
        }
    }
    for name in documented.keys().filter(|name| !actual.contains_key(*name)) {
        findings.errors.push(format!("ARCHITECTURE.md: there is no crate `{name}`"));
    }
}

/// Rows `| crate | a, b |` between the two marks.
fn table(text: &str) -> Edges {
    let inside = text.split("<!-- edges -->").nth(1).unwrap_or_default();
    let mut edges = Edges::new();
    for line in inside.split("<!-- end of edges -->").next().unwrap_or_default().lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, list] = cells[..] else { continue };
        let name = name.trim_matches('`');
        if name == "crate" || name.starts_with('-') || name.is_empty() {
            continue;
        }
        let words = list.split([',', ' ']).map(|word| word.trim_matches('`')).filter(|word| !word.is_empty());
        edges.insert(name.into(), words.filter(|word| *word != "–").map(String::from).collect());
    }
    edges
}

/// What the crates' manifests say; dependencies of tests alone do not count.
fn manifests(tree: &Tree) -> Edges {
    let manifests: Vec<(String, &str)> = tree
        .ending("/Cargo.toml")
        .filter_map(|file| {
            let name =
                file.text.lines().find_map(|line| line.strip_prefix("name = \""))?.trim_end_matches('"');
            Some((name.to_string(), file.text.as_str()))
        })
        .collect();
    let names: BTreeSet<&str> = manifests.iter().map(|(name, _)| name.as_str()).collect();
    let mut edges = Edges::new();
    for (name, text) in &manifests {
        let mut counts = false;
        let mut found = BTreeSet::new();
        for line in text.lines() {
            if line.starts_with('[') {
                counts = line == "[dependencies]" || line == "[build-dependencies]";
            } else if counts {
                let word: String =
                    line.chars().take_while(|c| c.is_alphanumeric() || "-_".contains(*c)).collect();
                if names.contains(word.as_str()) {
                    found.insert(word);
                }
            }
        }
        edges.insert(name.clone(), found);
    }
    edges
}
