//! A function with the bodies of what it calls in place, and equal computations merged: what a derivative needs of the
//! computation that it belongs to shows only then.

use graph::{FuncId, Function, Module, Node, NodeId, Op, Scope, Type, assume_in_dims, ops::bind, specialise};
use shape::{Dim, Symbol};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Calls of functions that state a derivative, or compute their values again, stay.
pub(crate) fn flatten(module: &mut Module, source: &Function) -> Result<Function, String> {
    let mut function = Function { nodes: base::IdVec::new(), ..source.clone() };
    let params: Vec<NodeId> =
        (0..function.params.len()).map(|index| crate::reverse::parameter(&mut function, index)).collect();
    let mut flat = Flat { function, known: HashMap::new() };
    let results = flat.copy(module, source, &params, None)?;
    let mut function = flat.function;
    for (result, value) in function.results.iter_mut().zip(results) {
        result.2 = value;
    }
    Ok(function)
}

struct Flat {
    function: Function,
    known: HashMap<(Op, Vec<NodeId>, Vec<Type>), NodeId>,
}

impl Flat {
    /// The results of `source` on these operands. `call` is what is replaced, in the function's own dimensions.
    fn copy(
        &mut self,
        module: &mut Module,
        source: &Function,
        operands: &[NodeId],
        call: Option<(&Node, &BTreeMap<Symbol, Dim>)>,
    ) -> Result<Vec<NodeId>, String> {
        let mut values: Vec<Option<NodeId>> = vec![None; source.nodes.len()];
        let mut results: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
        let outputs: Vec<NodeId> = source.results.iter().map(|(_, _, value)| *value).collect();
        for id in source.needed(&outputs) {
            let mut node = source.nodes[id].clone();
            match &node.op {
                Op::Parameter(parameter) => {
                    values[id.index()] = Some(operands[parameter.index]);
                    continue;
                }
                Op::Get(get) => {
                    if let Some(expanded) = results.get(&node.inputs[0]) {
                        values[id.index()] = Some(expanded[get.index]);
                        continue;
                    }
                }
                _ => {}
            }
            node.inputs = node
                .inputs
                .iter()
                .map(|input| values[input.index()].ok_or("an operand has no copy".to_string()))
                .collect::<Result<Vec<NodeId>, String>>()?;
            if let Some((call, dims)) = call {
                node.op = node.op.substitute(dims);
                node.op.map_bodies(|body| specialise(module, body, dims));
                for ty in &mut node.types {
                    ty.shape = ty.shape.substitute(dims);
                }
                node.scope =
                    Some(Arc::new(Scope::called(node.scope.as_deref(), call.scope.as_deref(), call.span)));
            }
            if let Some(callee) = node.op.callee()
                && is_expanded(module, callee)
            {
                results.insert(id, self.expand(module, callee, &node)?);
                continue;
            }
            let key = (node.op.clone(), node.inputs.clone(), node.types.clone());
            let copy = match self.known.get(&key) {
                Some(known) => *known,
                None => {
                    let copy = self.function.nodes.push(node);
                    self.known.insert(key, copy);
                    copy
                }
            };
            values[id.index()] = Some(copy);
        }
        let result = |id: &NodeId| values[id.index()].ok_or("a result has no copy".to_string());
        outputs.iter().map(result).collect()
    }

    fn expand(&mut self, module: &mut Module, callee: FuncId, call: &Node) -> Result<Vec<NodeId>, String> {
        let callee = module.functions[callee].clone();
        let types: Vec<&Type> = call.inputs.iter().map(|input| self.function.ty(*input)).collect();
        let dims = bind(&callee, &self.function.facts, &types).map_err(|fault| fault.message.clone())?;
        for effect in callee.effects.iter().map(|effect| effect.in_dims(&dims)) {
            if !self.function.effects.contains(&effect) && !effect.always_holds(&self.function.facts) {
                self.function.effects.push(effect);
            }
        }
        for assumption in callee.facts.assumptions() {
            assume_in_dims(&mut self.function.facts, assumption, &dims);
        }
        self.copy(module, &callee, &call.inputs, Some((call, &dims)))
    }
}

fn is_expanded(module: &Module, callee: FuncId) -> bool {
    module.functions.get(callee).is_some_and(|callee| callee.derivative.is_none() && !callee.remat)
}
