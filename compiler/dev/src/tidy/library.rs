//! Every shipped model parses and stands in canonical form.

use super::Findings;
use crate::Tree;
use base::SourceMap;

pub fn check(tree: &Tree, findings: &mut Findings) {
    for file in tree.ending(".model").filter(|file| file.path.starts_with("models/")) {
        let mut sources = SourceMap::new();
        let source = sources.add(file.path.as_str(), file.text.as_str());
        match grammar::format(&source) {
            Ok(formatted) if formatted == file.text => {}
            Ok(_) => findings.errors.push(format!("{}: not in the form that `dlc fmt` gives", file.path)),
            Err(faults) => {
                findings.errors.extend(faults.iter().map(|fault| format!("{}: {}", file.path, fault.message)))
            }
        }
    }
}
