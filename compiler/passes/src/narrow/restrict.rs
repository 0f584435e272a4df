//! Functions with fewer parameters and results.

use base::IdVec;
use graph::{
    Builder, FuncId, Function, Module, Node, NodeId, Op, Type,
    ops::{self, bind},
};
use shape::{Dim, Facts, Symbol};
use std::collections::{BTreeMap, BTreeSet};

/// What is left of a function.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Restriction {
    /// Numbers of the parameters that are left, in their new order.
    pub params: Vec<usize>,
    /// Numbers of the results that are left.
    pub results: Vec<usize>,
    /// Bits of the one value that all elements of a dropped parameter have.
    pub constants: BTreeMap<usize, u64>,
}

/// Copies made so far: nodes that run one function in one way share its copy.
#[derive(Default)]
pub(super) struct Bodies(BTreeMap<(FuncId, Restriction), FuncId>);

impl Bodies {
    pub fn restricted(
        &mut self,
        module: &mut Module,
        id: FuncId,
        restriction: Restriction,
    ) -> Result<FuncId, String> {
        let key = (id, restriction);
        if let Some(known) = self.0.get(&key) {
            return Ok(*known);
        }
        let function = restricted(module, &module.functions[id], &key.1)?;
        let copy = module.add(function);
        self.0.insert(key, copy);
        Ok(copy)
    }
}

/// A copy of the function with what the restriction leaves of it.
pub(crate) fn restricted(
    module: &Module,
    source: &Function,
    restriction: &Restriction,
) -> Result<Function, String> {
    let mut function = Function { nodes: IdVec::new(), params: Vec::new(), ..source.clone() };
    function.composite = None;
    function.derivative = None;
    let mut copies: Vec<Option<NodeId>> = vec![None; source.nodes.len()];
    let mut of_params: BTreeMap<usize, NodeId> = BTreeMap::new();
    let mut b = Builder::new(module, &mut function);
    for old in &restriction.params {
        of_params.insert(*old, b.param(source.params[*old].clone()));
    }
    for (old, bits) in &restriction.constants {
        let ty: &Type = &source.params[*old].ty;
        of_params.insert(*old, b.full(ty.dtype, &ty.shape, f64::from_bits(*bits)));
    }
    let outputs: Vec<NodeId> = restriction.results.iter().map(|result| source.results[*result].2).collect();
    for id in source.needed(&outputs) {
        let node = &source.nodes[id];
        copies[id.index()] = Some(match &node.op {
            Op::Parameter(parameter) => {
                *of_params.get(&parameter.index).ok_or("a parameter that is read was dropped")?
            }
            _ => {
                let inputs = node.inputs.iter().map(|input| copies[input.index()]);
                let inputs = inputs.collect::<Option<Vec<NodeId>>>().ok_or("an operand was dropped")?;
                function.nodes.push(Node { inputs, ..node.clone() })
            }
        });
    }
    function.results.clear();
    for result in &restriction.results {
        let (name, role, value) = &source.results[*result];
        let value = copies[value.index()].ok_or("a result was dropped")?;
        function.results.push((name.clone(), *role, value));
    }
    Ok(function)
}

/// Parameters that the chosen results need.
pub(super) fn read_params(function: &Function, results: &[usize]) -> BTreeSet<usize> {
    let outputs: Vec<NodeId> = results.iter().map(|result| function.results[*result].2).collect();
    let params = function.needed(&outputs).into_iter().filter_map(|id| match &function.nodes[id].op {
        Op::Parameter(ops::Parameter { index }) => Some(*index),
        _ => None,
    });
    params.collect()
}

/// Adds parameters that alone say what a dimension is, unless it has the same name outside.
pub(crate) fn keep_names(
    function: &Function,
    facts: &Facts,
    types: &[&Type],
    kept: &mut BTreeSet<usize>,
) -> Result<(), String> {
    let dims = bind(function, facts, types).map_err(|fault| fault.message.clone())?;
    let bare = |index: usize| -> BTreeSet<Symbol> {
        function.params[index].ty.shape.iter().filter_map(Dim::as_symbol).collect()
    };
    for index in 0..function.params.len() {
        if kept.contains(&index) {
            continue;
        }
        let named: BTreeSet<Symbol> = function.params[index].ty.shape.iter().flat_map(Dim::symbols).collect();
        let known: BTreeSet<Symbol> = kept.iter().flat_map(|kept| bare(*kept)).collect();
        let outside = |symbol: &Symbol| dims.get(symbol).and_then(Dim::as_symbol).as_ref() == Some(symbol);
        // One that is left may say it, or a later one that is dropped too is kept for it.
        if named.iter().any(|symbol| !known.contains(symbol) && !outside(symbol)) {
            kept.insert(index);
        }
    }
    Ok(())
}
