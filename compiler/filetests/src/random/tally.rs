//! What models were made of: the proof that a campaign draws every operator and lets every pass do something.

use graph::{FuncId, Module, Op};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub struct Tally {
    pub models: usize,
    pub agreed: usize,
    pub rejected: BTreeMap<&'static str, usize>,
    /// Operators, and functions of those that have several.
    pub operators: BTreeMap<String, usize>,
    /// Passes that changed something.
    pub passes: BTreeMap<&'static str, usize>,
}

impl Tally {
    /// What an entry point does, in its own function and in those that it calls.
    pub fn note(&mut self, module: &Module, function: FuncId) {
        self.note_new(module, function, &mut BTreeSet::new());
    }

    fn note_new(&mut self, module: &Module, function: FuncId, known: &mut BTreeSet<FuncId>) {
        if !known.insert(function) {
            return;
        }
        for node in module.functions[function].nodes.values() {
            for name in names(&node.op) {
                *self.operators.entry(name).or_default() += 1;
            }
            if let Some(callee) = node.op.callee() {
                self.note_new(module, callee, known);
            }
        }
    }

    pub fn fired(&mut self, passes: &[&'static str]) {
        for pass in passes.iter().copied().collect::<BTreeSet<_>>() {
            *self.passes.entry(pass).or_default() += 1;
        }
    }
}

/// The operator, and the function among those that it has.
fn names(op: &Op) -> Vec<String> {
    let function = match op {
        Op::Unary(unary) => Some(graph::unary_name(unary.op)),
        Op::Binary(binary) => Some(graph::binary_name(binary.op)),
        Op::Reduce(reduce) => Some(graph::combine_name(reduce.combine)),
        _ => None,
    };
    let whole = op.name().to_string();
    function.map(|function| format!("{whole} {function}")).into_iter().chain([whole]).collect()
}
