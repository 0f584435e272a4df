//! Nothing depends on, or tells of, the machine it was written on.

use super::Findings;
use crate::Tree;

/// Written in two parts, so that this file does not find itself.
const PRIVATE: &[&str] =
    &[concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("../sha", "red")];

pub fn check(tree: &Tree, findings: &mut Findings) {
    for file in &tree.files {
        for (number, line) in file.text.lines().enumerate() {
            if let Some(word) = PRIVATE.iter().find(|word| line.contains(**word)) {
                findings.errors.push(format!("{}:{}: names the place `{word}`", file.path, number + 1));
            }
        }
    }
}
