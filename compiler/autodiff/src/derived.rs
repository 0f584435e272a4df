//! Functions that are made from other functions: their names, and finding those made before.

use graph::{FuncId, Module, Param};

/// `softmax.vjp` where the whole function is meant, `softmax.vjp.0.2` where a selection is.
pub(crate) fn name(of: &str, kind: &str, selected: &[bool], all: &[bool]) -> String {
    let mut name = format!("{of}.{kind}");
    if selected != all {
        for (position, _) in selected.iter().enumerate().filter(|(_, selected)| **selected) {
            name.push_str(&format!(".{position}"));
        }
    }
    name
}

/// The function of this name, if it takes these parameters: made by an earlier call.
pub(crate) fn find(module: &Module, name: &str, params: &[Param]) -> Option<FuncId> {
    module.find(name).filter(|id| module.functions[*id].params == params)
}
