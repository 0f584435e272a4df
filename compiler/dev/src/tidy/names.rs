//! The root holds what ARCHITECTURE.md says and nothing else, so that a newcomer sees the whole at a glance.

use super::Findings;
use crate::Tree;

/// Folders, and files that are not settings of a tool.
const NAMES: &[&str] = &[
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "Makefile",
    "README.md",
    "bench-suite",
    "compiler",
    "docs",
    "grammar",
    "models",
    "reports",
    "runtime",
];
/// What has to be there.
const NEEDED: &[&str] =
    &["ARCHITECTURE.md", "CHANGELOG.md", "LICENSE", "Makefile", "README.md", "docs/language.md"];

pub fn check(tree: &Tree, findings: &mut Findings) {
    for name in &tree.top_level {
        let setting = name.starts_with('.') || name.ends_with(".toml");
        if !setting && !NAMES.contains(&name.as_str()) {
            findings.errors.push(format!("{name}: not a name of the root"));
        }
    }
    for path in NEEDED {
        if !tree.top_level.contains(*path) && tree.get(path).is_none() {
            findings.errors.push(format!("{path} is missing"));
        }
    }
}
