//! The house rules that a program can check.

mod codes;
mod edges;
mod headers;
mod library;
mod names;
mod paths;
mod purity;
mod sizes;

use crate::Tree;

/// A rule: looks at the tree and adds errors and warnings.
pub type Rule = fn(&Tree, &mut Findings);

#[derive(Default)]
pub struct Findings {
    pub errors: Vec<String>,
    pub warnings: Vec<String>,
}

const RULES: &[Rule] = &[
    names::check,
    edges::check,
    headers::check,
    purity::check,
    sizes::check,
    paths::check,
    codes::check,
    library::check,
];

/// Errors and warnings of all rules.
pub fn check(tree: &Tree) -> (Vec<String>, Vec<String>) {
    let mut findings = Findings::default();
    for rule in RULES {
        rule(tree, &mut findings);
    }
    (findings.errors, findings.warnings)
}
