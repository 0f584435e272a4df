//! Every crate begins by saying its stage, its input, its output and its invariants.

use super::Findings;
use crate::Tree;

pub fn check(tree: &Tree, findings: &mut Findings) {
    for manifest in tree.ending("/Cargo.toml") {
        let folder = manifest.path.trim_end_matches("/Cargo.toml");
        let roots = ["src/lib.rs", "src/main.rs"].map(|root| format!("{folder}/{root}"));
        let Some(root) = roots.iter().find_map(|root| tree.get(root)) else { continue };
        let head: String = root.text.lines().take_while(|line| line.starts_with("//!")).collect();
        for word in ["Input", "Output", "Invariants"] {
            if !head.contains(&format!("{word}:")) {
                findings.errors.push(format!("{}: the head does not state `{word}:`", root.path));
            }
        }
    }
}
