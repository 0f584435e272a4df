//! Files stay short enough to be read in one sitting. Grammar and tables are exempt.

use super::Findings;
use crate::Tree;

const WARN: usize = 600;
const FAIL: usize = 1000;

pub fn check(tree: &Tree, findings: &mut Findings) {
    for file in tree.ending(".rs") {
        let lines = file.text.lines().count();
        let told = format!("{}: {lines} lines", file.path);
        match lines {
            FAIL.. => findings.errors.push(format!("{told}, {FAIL} is the limit")),
            WARN.. => findings.warnings.push(told),
            _ => {}
        }
    }
}
